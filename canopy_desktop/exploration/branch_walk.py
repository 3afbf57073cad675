"""Where an arrow key leads in the picture of the tree."""

from __future__ import annotations

from enum import Enum

from canopy_desktop.exploration.branch_picture import ELIDED, BranchPicture

_ASIDE = 0.15  # lines that a character to the side counts as


class Way(Enum):
    """A direction on the screen."""

    BACK = "back"
    FORWARD = "forward"
    UP = "up"
    DOWN = "down"


def neighbour(picture: BranchPicture, number: int, way: Way) -> int:
    """The node that is next in a direction; the same where there is none. What is left out is stepped over."""
    match way:
        case Way.BACK:
            return _drawn_before(picture, number)
        case Way.FORWARD:
            return _after(picture, number)
        case Way.UP | Way.DOWN:
            return _beside(picture, number, 1 if way is Way.DOWN else -1)


def _drawn_before(picture: BranchPicture, number: int) -> int:
    nodes = picture.tree.nodes
    number = max(0, nodes[number].parent)
    while picture.cell_of(number)[1].node == ELIDED:
        number = nodes[number].parent
    return number


def _after(picture: BranchPicture, number: int) -> int:
    """Along the way to where we stand, else to the likeliest text that leads somewhere."""
    nodes = picture.tree.nodes
    while nodes[number].children:
        number = min(
            nodes[number].children,
            key=lambda child: (not nodes[child].on_way, nodes[child].pruned, -nodes[child].logprob),
        )
        if picture.cell_of(number)[1].node != ELIDED:
            break
    return number


def _beside(picture: BranchPicture, number: int, sign: int) -> int:
    """The nearest token above or below; a line of the same text goes first."""
    twig, cell = picture.cell_of(number)
    x, y = twig.x + cell.x, twig.y + cell.line
    found, least = number, float("inf")
    for other in picture.twigs:
        for there in other.cells:
            down = sign * (other.y + there.line - y)
            away = down + _ASIDE * abs(other.x + there.x - x)
            if there.node != ELIDED and down > 0 and away < least:
                found, least = there.node, away
    return found
