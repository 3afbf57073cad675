"""What is shown of the inside of one step is what was computed, row by row and in its sums."""

from pathlib import Path

import numpy as np
import pytest

from canopy_desktop.errors import ColumnsGoneError
from canopy_desktop.exploration.inside_view import InsideView, InsideWish, outcomes_of, rest_of, strongest_first
from canopy_desktop.exploration.lens import lens_grid
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.provider import ProviderChoice
from canopy_desktop.model.tokenizer import Tokenizer
from tests.core import tiny
from tests.core.engine import log_softmax, prefill, session_of
from tests.reference import fixtures


@pytest.fixture
def france(built_model: Path) -> ModelSession:
    session = session_of(built_model)
    prefill(session, fixtures.prompt_logits("france").ids)
    return session


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> ModelSession:
    session = ModelSession.open(Bundle.open(tiny.build(tmp_path_factory.mktemp("tiny"))), ProviderChoice.CPU)
    prefill(session, tiny.PROMPT_IDS)
    return session


def wish_of(session: ModelSession, place: int, layer: int, head: int, ids: tuple[int, ...]) -> InsideWish:
    slots = session.sequence.slots.copy()
    return InsideWish(
        slots=slots,
        positions=np.arange(slots.size) + 100,
        ids=ids,
        place=place,
        next_id=ids[place + 1] if place + 1 < len(ids) else None,
        layer=layer,
        head=head,
    )


def look(session: ModelSession, place: int, layer: int = 1, head: int = 2) -> InsideView:
    return session.new_looker().look(wish_of(session, place, layer, head, tiny.PROMPT_IDS))


def test_rows_are_the_token_itself_and_then_those_it_looks_at_most() -> None:
    weights = np.array([0.1, 0.4, 0.1, 0.1, 0.3, 0.0], np.float32)
    assert strongest_first(weights, 4, 32).tolist() == [4, 1, 3, 2, 0]
    assert strongest_first(weights, 4, 3).tolist() == [4, 1, 3]
    assert strongest_first(weights, 0, 3).tolist() == [0]


def test_a_row_has_the_numbers_of_its_token(small: ModelSession) -> None:
    view = look(small, 5)
    assert (view.seen, view.later, view.position) == (6, 1, 105)
    assert view.rows[0].place == 5
    assert sorted(row.place for row in view.rows) == list(range(6))
    for row in view.rows:
        assert row.position == row.place + 100
        assert row.token.id == tiny.PROMPT_IDS[row.place]
        assert row.product == pytest.approx(float(view.step.query_rotated @ row.key_rotated), rel=1e-5, abs=1e-6)
        assert row.weight == view.step.weights[row.place]
        assert np.array_equal(row.weighted, view.step.weighted[row.place])
    assert np.allclose(view.rows[0].key, view.step.key, atol=1e-6)
    assert sum(row.weight for row in view.rows) == pytest.approx(1, abs=1e-6)


def test_the_streams_of_other_tokens_are_those_that_were_kept(small: ModelSession) -> None:
    view = look(small, 5, layer=1)
    for row in view.rows:
        assert row.stream is not None
        kept = small.sequence.columns.residuals(view.wish.slots[row.place : row.place + 1], 1)[0]
        assert np.array_equal(row.stream, kept.astype(np.float32))


def test_streams_that_made_room_are_left_out_and_the_rest_is_shown(
    small: ModelSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(slots: object, row: int) -> None:
        raise ColumnsGoneError("residuals", 7)

    monkeypatch.setattr(small.sequence.columns, "residuals", gone)
    view = look(small, 5)
    assert all(row.stream is None for row in view.rows)
    assert view.outcomes


def test_the_last_tokens_next_one_is_the_likeliest(small: ModelSession) -> None:
    view = look(small, 6)
    assert not view.came
    assert view.chosen == view.outcomes[0].token
    assert look(small, 5).came
    assert look(small, 5).chosen.id == tiny.PROMPT_IDS[6]


def test_outcomes_are_the_models_own_probabilities(france: ModelSession) -> None:
    ids = fixtures.prompt_logits("france").ids
    last = len(ids) - 1
    view = france.new_looker().look(wish_of(france, last, 12, 7, ids))
    logits = france.head.logits(france.sequence.columns.residuals(france.sequence.slots[-1:], -1))
    exact = np.exp(log_softmax(logits))[0]
    order = np.argsort(-exact, kind="stable")
    assert [one.token.id for one in view.outcomes] == order[: len(view.outcomes)].tolist()
    for one in view.outcomes:
        assert one.probability == pytest.approx(float(exact[one.token.id]), rel=1e-6)
        assert one.logit == pytest.approx(float(logits[0, one.token.id]))
    assert rest_of(view.outcomes) == pytest.approx(1 - float(exact[order[: len(view.outcomes)]].sum()), abs=1e-9)


def test_every_block_says_what_it_adds_and_the_last_what_comes(france: ModelSession) -> None:
    ids = fixtures.prompt_logits("france").ids
    view = france.new_looker().look(wish_of(france, len(ids) - 1, 12, 7, ids))
    stream = view.step.stream
    assert [row.layer for row in view.layers] == list(range(30))
    for row in view.layers:
        assert row.part.norm == pytest.approx(
            float(np.linalg.norm(stream[row.layer + 1] - stream[row.layer])), rel=1e-5
        )
    exact = np.exp(log_softmax(france.head.logits(stream[-1:])))[0]
    assert view.layers[-1].token.id == int(exact.argmax())
    assert view.layers[-1].probability == pytest.approx(float(exact.max()), rel=1e-5)
    assert view.layers[-1].rank == 1  # of the likeliest, after the last block
    assert view.heads[7].norm == pytest.approx(float(np.linalg.norm(view.step.head_outputs[7])), rel=1e-5)


def test_what_would_be_likeliest_after_each_block_is_what_the_lens_says(france: ModelSession) -> None:
    ids, columns = fixtures.prompt_logits("france").ids, france.sequence.columns
    view = france.new_looker().look(wish_of(france, 3, 12, 7, ids))
    grid = lens_grid(columns, france.sequence.slots, france.head, [*ids[1:], None])
    assert [row.token.id for row in view.layers] == grid.token_ids[1:, 3].tolist()
    assert [row.probability for row in view.layers] == pytest.approx(grid.probabilities[1:, 3].tolist(), rel=1e-5)
    assert [row.rank for row in view.layers] == grid.ranks[1:, 3].tolist()


def test_another_head_of_the_same_token_asks_the_models_end_once(small: ModelSession) -> None:
    looker, asked = small.new_looker(), []
    reader = looker._reader
    lens = reader.lens
    reader.lens = lambda stream: asked.append(len(stream)) or lens(stream)
    first = looker.look(wish_of(small, 5, 0, 0, tiny.PROMPT_IDS))
    second = looker.look(wish_of(small, 5, 1, 3, tiny.PROMPT_IDS))
    assert len(asked) == 1
    assert first.outcomes is second.outcomes
    looker.look(wish_of(small, 4, 1, 3, tiny.PROMPT_IDS))
    assert len(asked) == 2


def test_a_wish_is_the_same_until_token_layer_head_or_text_change(small: ModelSession) -> None:
    wish = wish_of(small, 5, 1, 2, tiny.PROMPT_IDS)
    assert wish.same_as(wish_of(small, 5, 1, 2, tiny.PROMPT_IDS))
    assert not wish.same_as(None)
    for place, layer, head, ids in (
        (4, 1, 2, tiny.PROMPT_IDS),
        (5, 0, 2, tiny.PROMPT_IDS),
        (5, 1, 1, tiny.PROMPT_IDS),
        (5, 1, 2, (*tiny.PROMPT_IDS[:6], 99)),
    ):
        assert not wish.same_as(wish_of(small, place, layer, head, ids))


def test_equal_logits_come_in_the_order_of_their_ids(small: ModelSession) -> None:
    tokenizer: Tokenizer = small.tokenizer
    logits = np.zeros(small.card.architecture.vocabulary, np.float32)
    outcomes = outcomes_of(logits, tokenizer)
    assert [one.token.id for one in outcomes] == list(range(len(outcomes)))
    assert rest_of(outcomes) == pytest.approx(1 - len(outcomes) / logits.size)
