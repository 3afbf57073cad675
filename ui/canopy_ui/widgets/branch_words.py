"""A node of the tree in words: for the line below the picture, the table, and screen readers."""

from __future__ import annotations

import math

from PySide6.QtCore import QCoreApplication

from canopy_desktop.exploration.branches import BranchKind, BranchNode
from canopy_ui.widgets.numbers import grouped, percent

PRUNED = "✂"


def total_text(total: float) -> str:
    """A cumulative log-probability: "Σ −12.34"."""
    return f"Σ {signed(total)}"


def signed(value: float) -> str:
    """Two decimals with a real minus sign; no −0.00."""
    rounded = f"{abs(value):.2f}"
    return f"−{rounded}" if value < 0 and float(rounded) else rounded


def chance_text(node: BranchNode) -> str:
    """The probability that the model assigned to its token."""
    return percent(math.exp(node.logprob))


def tail_text(node: BranchNode) -> str:
    """What stands behind a text: the place of a found one, or how many draws came to it."""
    if node.place is not None:
        return f"#{node.place}"
    return f"{grouped(node.draws)}×" if node.draws else ""


def origin_text(node: BranchNode) -> str:
    """Where a node comes from, and what became of it."""
    words = []
    match node.kind:
        case BranchKind.PROMPT:
            return _tr("the prompt")
        case BranchKind.RECORDED:
            words.append(_tr("in the text") if node.on_way else _tr("written, not in the text"))
        case BranchKind.BEAM:
            words.append(_tr("beam, pruned") if node.pruned else _tr("beam"))
        case BranchKind.DRAW:
            pass
    if node.place is not None and node.score is not None:
        words.append(
            _tr("number {place} of the search, score {score}").format(place=node.place, score=signed(node.score))
        )
    if node.draws:
        words.append(_tr("drawn {count}×").format(count=grouped(node.draws)))
    if node.ended:
        words.append(_tr("ended"))
    return ", ".join(words)


def hidden_text(node: BranchNode) -> str:
    """What of the tree is not shown after a node."""
    words = []
    if node.folded:
        words.append(_tr("{count} folded away").format(count=grouped(node.folded)))
    if node.cut:
        words.append(_tr("{count} pruned not shown").format(count=grouped(node.cut)))
    return ", ".join(words)


def node_text(node: BranchNode) -> str:
    """All of it, in one line."""
    if node.kind is BranchKind.PROMPT:
        parts = [_tr("The prompt"), hidden_text(node)]
    else:
        parts = [
            f"“{node.text}”",
            node.name,
            _tr("token {step}").format(step=grouped(node.step)),
            chance_text(node),
            _tr("{total} from the prompt").format(total=total_text(node.total)),
            origin_text(node),
            hidden_text(node),
        ]
    return " · ".join(part for part in parts if part)


def _tr(text: str) -> str:
    return QCoreApplication.translate("BranchWords", text)
