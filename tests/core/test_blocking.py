"""What a forbidden look becomes in the window's places, and what is shown of its effect."""

from pathlib import Path

import pytest

from canopy_desktop.exploration.attention_view import Look
from canopy_desktop.exploration.blocking import BARS, BlockWish, blocked_view, scopes
from canopy_desktop.exploration.intervention import Block, blocked_step
from tests.core.engine import session_of


def wish(query: int, key: int, *, column: bool = False) -> BlockWish:
    return BlockWish(query=query, key=key, column=column, layer=None, head=None)


def test_a_cell_forbids_one_token_and_a_column_all_between_the_two() -> None:
    places = range(9)
    assert wish(7, 2).block(places) == Block((7,), (2,))
    assert wish(7, 4, column=True).block(places) == Block((5, 6, 7), (4,))


def test_positions_in_the_text_become_places_in_the_window() -> None:
    places = [0, 5, 6, 7]
    assert wish(7, 5, column=True).block(places) == Block((2, 3), (1,))
    assert wish(7, 3).block(places) is None


@pytest.mark.parametrize(
    ("query", "key", "column", "possible"),
    [(3, 1, False, True), (3, 3, False, True), (0, 0, False, False), (3, 3, True, False), (1, 3, False, False)],
)
def test_what_would_leave_a_token_nothing_to_see_or_forbids_nothing_is_not_possible(
    query: int, key: int, column: bool, possible: bool
) -> None:
    assert wish(query, key, column=column).possible is possible
    assert (wish(query, key, column=column).block(range(9)) is not None) is possible


def test_a_look_can_be_forbidden_where_it_is_shown_and_in_all_that_it_is_part_of() -> None:
    assert scopes(Look(3, 4, False)) == ((3, 4), (3, None), (None, None))
    assert scopes(Look(3, None, True)) == ((3, None), (None, None))
    assert scopes(Look(None, None, False)) == ((None, None),)


def test_from_is_to_france_forbidden_paris_is_no_longer_the_likeliest(built_model: Path) -> None:
    session = session_of(built_model)
    ids = session.tokenizer.encode("The capital of France is").ids
    forbidden = wish(4, 3, column=True)
    block = forbidden.block(range(len(ids)))
    assert block is not None
    step = blocked_step(session.new_trial(), ids, (block,))
    view = blocked_view(forbidden, step, session.tokenizer)
    bars = {bar.token.text: bar for bar in view.bars}
    assert bars[" Paris"].before > 0.5
    assert bars[" Paris"].after < 0.05
    assert view.bars[0].token.text == " Paris"
    assert BARS <= len(view.bars) <= 2 * BARS
    assert view.beyond_rounding
    for bar in view.bars:
        assert bar.after == pytest.approx(float(step.after.probabilities[bar.token.id]), abs=1e-6)
