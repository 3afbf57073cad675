"""The tidy tree, as properties of where its boxes stand."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canopy_desktop.exploration.tree_layout import tidy_layout

Tree = tuple[list[int], list[float], list[float]]
SLACK = 1e-6


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    count = draw(st.integers(1, 40))
    parents = [-1] + [draw(st.integers(max(0, number - 6), number - 1)) for number in range(1, count)]
    sizes = st.floats(0.5, 30.0)
    return parents, [draw(sizes) for _ in parents], [draw(sizes) for _ in parents]


def children_of(parents: list[int], box: int) -> list[int]:
    return [number for number, parent in enumerate(parents) if parent == box]


def beam_tree(beams: int, steps: int, seed: int = 1) -> Tree:
    """Every beam has two candidates a step, of which the best go on."""
    random = np.random.default_rng(seed)
    parents, running = [-1], [0]
    for _ in range(steps):
        born = []
        for beam in running:
            for _ in range(2):
                parents.append(beam)
                born.append(len(parents) - 1)
        running = sorted(random.permutation(born)[:beams].tolist())
    return parents, random.uniform(4, 20, len(parents)).tolist(), [1.0] * len(parents)


@settings(max_examples=60, deadline=None)
@given(trees())
def test_no_two_boxes_overlap(tree: Tree) -> None:
    parents, lengths, breadths = tree
    starts, tops = tidy_layout(*tree)
    for one in range(len(parents)):
        for other in range(one):
            beside = starts[one] + lengths[one] <= starts[other] + SLACK
            beside |= starts[other] + lengths[other] <= starts[one] + SLACK
            above = tops[one] + breadths[one] <= tops[other] + SLACK
            above |= tops[other] + breadths[other] <= tops[one] + SLACK
            assert beside or above


@settings(max_examples=60, deadline=None)
@given(trees())
def test_a_parent_stands_in_the_middle_of_its_children_and_they_keep_their_order(tree: Tree) -> None:
    parents, lengths, breadths = tree
    starts, tops = tidy_layout(*tree)
    for box in range(len(parents)):
        children = children_of(parents, box)
        if children:
            first, last = children[0], children[-1]
            middle = (tops[first] + tops[last] + breadths[last]) / 2
            assert tops[box] + breadths[box] / 2 == pytest.approx(middle, abs=SLACK)
            np.testing.assert_allclose(starts[children], starts[box] + lengths[box])
            assert (np.diff(tops[children]) > 0).all()
    assert tops.min() == 0.0


@settings(max_examples=30, deadline=None)
@given(trees())
def test_the_same_tree_is_laid_out_the_same_and_its_mirror_image_mirrored(tree: Tree) -> None:
    parents, lengths, breadths = tree
    starts, tops = tidy_layout(*tree)
    np.testing.assert_array_equal(tops, tidy_layout(*tree)[1])
    order = [0]  # the mirror's boxes in an order that puts the last child first
    for box in order:
        order += reversed(children_of(parents, box))
    place = {box: number for number, box in enumerate(order)}
    mirror = tidy_layout(
        [-1] + [place[parents[box]] for box in order[1:]], [lengths[b] for b in order], [breadths[b] for b in order]
    )
    np.testing.assert_allclose(mirror[0], starts[order])


def test_a_subtree_shares_rows_with_what_begins_after_it() -> None:
    """A trunk that loses a candidate at each step, above and below in turn, stays straight however long it is."""
    parents, trunk = [-1], [0]
    for step in range(50):
        parents += [trunk[-1]] * 2
        trunk.append(len(parents) - 1 - step % 2)
    _, tops = tidy_layout(parents, [1.0] * len(parents), [1.0] * len(parents))
    assert np.ptp(tops[trunk]) == pytest.approx(0.5)
    assert np.ptp(tops) < 3


def test_a_chain_is_one_row() -> None:
    count = 3_000
    starts, tops = tidy_layout([-1, *range(count - 1)], [2.0] * count, [1.0] * count)
    assert (tops == 0).all()
    assert starts[-1] == 2.0 * (count - 1)


def test_an_empty_tree_has_no_boxes_and_a_wrong_one_is_refused() -> None:
    assert tidy_layout([], [], [])[0].size == 0
    for parents in ([0], [-1, -1], [-1, 2, 0]):
        with pytest.raises(ValueError, match="root"):
            tidy_layout(parents, [1.0] * len(parents), [1.0] * len(parents))


@pytest.mark.parametrize(("beams", "steps", "boxes"), [(10, 30, 580), (10, 101, 2_000)])
def test_a_beam_search_is_laid_out_in_linear_time(beams: int, steps: int, boxes: int) -> None:
    tree = beam_tree(beams, steps)
    assert len(tree[0]) == pytest.approx(boxes, rel=0.05)
    taken = []
    for _ in range(7):
        began = time.thread_time()
        tidy_layout(*tree)
        taken.append(time.thread_time() - began)
    assert min(taken) < 0.030
