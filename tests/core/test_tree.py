"""The tree of steps, and the view that is resolved from it."""

import numpy as np
import pytest

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.columns import ColumnStore
from canopy_desktop.exploration.records import PROMPT_NODE, Candidate, ChosenBy, StepRecord, WindowSlid
from canopy_desktop.exploration.tree import Exploration
from canopy_desktop.model.card import Architecture
from tests.core.engine import left_by, plain_prompt
from tests.support.records import step_record

GREEDY = DecodingSettings()


def exploration(prompt: int = 3) -> Exploration:
    made = Exploration(plain_prompt(range(prompt)))
    made.prompt_slots.extend(range(prompt))
    return made


def step(
    tree: Exploration, parent: int, token: int, source: int, by: ChosenBy = ChosenBy.GREEDY, settings=GREEDY
) -> StepRecord:
    record = step_record(
        node=tree.next_node(),
        parent=parent,
        position=len(tree.prompt.ids) + tree.depth(parent),
        chosen=Candidate(token, 1.0, -0.1, 0.9),
        chosen_by=by,
        settings=settings,
        source=source,
    )
    tree.add(record)
    return record


def test_the_columns_of_a_node_are_those_of_the_tokens_before_it_and_its_own_once_it_was_fed() -> None:
    tree = exploration()
    first = step(tree, PROMPT_NODE, 5, source=2)
    assert tree.slots(first.node).tolist() == [0, 1, 2]
    second = step(tree, first.node, 6, source=3)
    assert tree.slots(first.node).tolist() == [0, 1, 2, 3]
    assert tree.slots(second.node).tolist() == [0, 1, 2, 3]
    assert tree.slots(PROMPT_NODE).tolist() == [0, 1, 2]


def test_branches_share_the_columns_up_to_their_fork() -> None:
    tree = exploration()
    first = step(tree, PROMPT_NODE, 5, source=2)
    left = step(tree, first.node, 6, source=3)
    step(tree, left.node, 7, source=4)
    right = step(tree, first.node, 8, source=3, by=ChosenBy.PERSON)
    step(tree, right.node, 9, source=20)
    assert tree.slots(left.node).tolist() == [0, 1, 2, 3, 4]
    assert tree.slots(right.node).tolist() == [0, 1, 2, 3, 20]
    assert tree.token_ids(right.node) == [0, 1, 2, 5, 8]


def test_the_way_forward_is_the_branch_that_was_visited_last() -> None:
    tree = exploration()
    first = step(tree, PROMPT_NODE, 5, source=2)
    left = step(tree, first.node, 6, source=3)
    right = step(tree, first.node, 8, source=3)
    tree.go_to(PROMPT_NODE)
    assert tree.tip(PROMPT_NODE) == right.node
    tree.go_to(left.node)
    assert tree.tip(PROMPT_NODE) == left.node


def test_a_known_step_is_what_the_same_settings_decided() -> None:
    tree = exploration()
    step(tree, PROMPT_NODE, 5, source=2, by=ChosenBy.PERSON)
    decided = step(tree, PROMPT_NODE, 6, source=2)
    assert tree.known_step(PROMPT_NODE, DecodingSettings(max_tokens=3, seed=9)) is decided
    assert tree.known_step(PROMPT_NODE, DecodingSettings(temperature=1.0)) is None
    assert tree.child_with_token(PROMPT_NODE, 5) is not None


def test_a_token_that_a_person_chose_is_walked_to_again_while_its_branch_was_the_last_visited() -> None:
    tree = exploration()
    decided = step(tree, PROMPT_NODE, 6, source=2)
    chosen = step(tree, PROMPT_NODE, 5, source=2, by=ChosenBy.PERSON)
    assert tree.known_step(PROMPT_NODE, GREEDY) is chosen
    assert tree.known_step(PROMPT_NODE, DecodingSettings(temperature=1.0)) is chosen
    tree.go_to(decided.node)
    assert tree.known_step(PROMPT_NODE, GREEDY) is decided


def test_a_branch_that_was_left_is_kept_and_not_walked_again() -> None:
    tree = exploration()
    decided = step(tree, PROMPT_NODE, 6, source=2)
    chosen = step(tree, PROMPT_NODE, 5, source=2, by=ChosenBy.PERSON)
    tree.leave_branch(PROMPT_NODE)
    assert (tree.cursor, tree.tip(PROMPT_NODE)) == (PROMPT_NODE, PROMPT_NODE)
    assert tree.known_step(PROMPT_NODE, GREEDY) is decided
    assert tree.known_step(PROMPT_NODE, DecodingSettings(temperature=1.0)) is None
    assert tree.children(PROMPT_NODE) == (decided.node, chosen.node)


def test_a_step_must_be_the_next_one() -> None:
    tree = exploration()
    record = step(tree, PROMPT_NODE, 5, source=2)
    with pytest.raises(ValueError, match="does not follow"):
        tree.add(record)


def slid(node: int, first: int, last: int, slots: tuple[int, ...], kept: int = 1) -> WindowSlid:
    return WindowSlid(run_id=1, node=node, kept=kept, first=first, last=last, slots=slots, ms=1.0)


def test_a_text_beside_the_recorded_one_begins_with_what_is_in_the_window() -> None:
    tree = exploration(prompt=4)
    first = step(tree, PROMPT_NODE, 5, source=3)
    second = step(tree, first.node, 6, source=4)
    whole = tree.window_history(second.node, (9,))
    assert (whole.prompt, whole.generated, whole.end_ids) == ((0, 1, 2, 3), (5, 6), (9,))
    third = step(tree, second.node, 7, source=5)
    tree.add_slide(slid(third.node, 1, 2, (10, 11, 12, 13)))
    some = tree.window_history(third.node, ())
    assert (some.prompt, some.generated) == ((0, 3), (5, 6, 7))
    fourth = step(tree, third.node, 8, source=13)
    tree.add_slide(slid(fourth.node, 1, 4, (14, 15, 16)))
    rest = tree.window_history(fourth.node, ())
    assert (rest.prompt, rest.generated) == ((0,), (6, 7, 8))
    assert tree.window_history(second.node, ()).prompt == (0, 1, 2, 3)


def test_after_a_slide_the_columns_are_the_kept_ones_and_the_new_ones_and_what_followed() -> None:
    tree = exploration(prompt=4)
    first = step(tree, PROMPT_NODE, 5, source=3)
    tree.add_slide(slid(first.node, 1, 2, (10, 11)))
    assert tree.slots(first.node).tolist() == [0, 10, 11]
    assert tree.positions(first.node).tolist() == [0, 3, 4]
    second = step(tree, first.node, 6, source=11)
    third = step(tree, second.node, 7, source=12)
    assert tree.slots(third.node).tolist() == [0, 10, 11, 12]
    assert tree.positions(third.node).tolist() == [0, 3, 4, 5]
    tree.add_slide(slid(third.node, 3, 4, (20, 21)))
    assert tree.slots(third.node).tolist() == [0, 20, 21]
    assert (tree.dropped(second.node), tree.dropped(third.node)) == (range(1, 3), range(1, 5))
    assert tree.window_length(third.node) == 3
    assert [slide.first for slide in tree.slides(third.node)] == [1, 3]
    assert tree.slots(PROMPT_NODE).tolist() == [0, 1, 2, 3]
    assert len(tree.dropped(PROMPT_NODE)) == 0


def test_a_branch_beside_a_slide_has_the_whole_window() -> None:
    tree = exploration(prompt=4)
    first = step(tree, PROMPT_NODE, 5, source=3)
    tree.add_slide(slid(first.node, 1, 2, (10, 11)))
    step(tree, first.node, 6, source=11)
    other = step(tree, PROMPT_NODE, 8, source=3, by=ChosenBy.PERSON)
    assert tree.slides(other.node) == []
    assert tree.slots(other.node).tolist() == [0, 1, 2, 3]
    assert tree.window_length(other.node) == 5


def test_the_window_slides_at_a_node_once_and_before_anything_follows() -> None:
    tree = exploration(prompt=4)
    first = step(tree, PROMPT_NODE, 5, source=3)
    tree.add_slide(slid(first.node, 1, 2, (10, 11)))
    for node in (first.node, PROMPT_NODE):
        with pytest.raises(ValueError, match="cannot slide"):
            tree.add_slide(slid(node, 1, 2, (10, 11)))


def test_slots_of_a_store_are_never_those_of_the_one_before() -> None:
    shape = Architecture(
        layers=1, heads=1, kv_heads=1, head_size=2, hidden=2, feed_forward=2, vocabulary=3, context=9,
        rope_base=1e4, epsilon=1e-5,
    )  # fmt: skip
    store = ColumnStore(shape)
    old = store.fill([0, 1, 2], left_by(shape, np.zeros(3)), 3)
    new = store.successor().fill([0, 1], left_by(shape, np.zeros(2)), 2)
    assert not set(old) & set(new)
    with pytest.raises(LookupError):
        store.successor().residuals(np.array(old), 0)


def test_columns_come_back_in_the_order_asked_for_across_blocks() -> None:
    shape = Architecture(
        layers=1, heads=1, kv_heads=1, head_size=2, hidden=2, feed_forward=2, vocabulary=3, context=999,
        rope_base=1e4, epsilon=1e-5,
    )  # fmt: skip
    store, slots = ColumnStore(shape), []
    for count in (5, *[1] * 70, 3):
        numbers = np.arange(len(slots), len(slots) + count)
        slots.extend(store.fill(numbers.tolist(), left_by(shape, numbers), numbers.size))
    asked = np.array([slots[i] for i in (0, 1, 4, 5, 6, 60, 74, 75, 77, 2)])
    assert store.residuals(asked, 0)[:, 0].tolist() == [0, 1, 4, 5, 6, 60, 74, 75, 77, 2]
    assert store.token_ids(asked).tolist() == [0, 1, 4, 5, 6, 60, 74, 75, 77, 2]


@pytest.mark.parametrize(("precision", "kept"), [(np.float32, 0.1), (np.float16, 0.0999755859375)])
def test_all_but_the_last_residual_can_be_kept_in_16_bits(precision: type, kept: float) -> None:
    shape = Architecture(
        layers=1, heads=1, kv_heads=1, head_size=2, hidden=2, feed_forward=2, vocabulary=3, context=9,
        rope_base=1e4, epsilon=1e-5,
    )  # fmt: skip
    store = ColumnStore(shape, precision=precision)
    slots = np.array(store.fill([1, 2], left_by(shape, np.array([24_505.0, 0.1])), 2))
    for found in (store.queries(slots, 0), store.residuals(slots, 0)):
        assert found.dtype == np.float32
        assert found[1] == pytest.approx(kept, abs=1e-7)
        assert abs(float(found[0, 0]) - 24_505) <= 8
    assert store.residuals(slots, -1).tolist() == pytest.approx(np.array([[24_505.0] * 2, [np.float32(0.1)] * 2]))
    assert store.bytes == 2 * (2 * np.dtype(precision).itemsize * 2 + 2 * 4)
