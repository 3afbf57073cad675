"""Searches as facts: what they keep is what beam search and the draws found."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from canopy_desktop.decoding.beams import BeamSettings, BeamStep, Fate
from canopy_desktop.decoding.pipeline import History
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import ContextFullError
from canopy_desktop.exploration.beam_search import BeamSearch, BeamsFinished
from canopy_desktop.exploration.draws import continuations, first_draws
from canopy_desktop.exploration.records import PROMPT_NODE
from canopy_desktop.exploration.searching import (
    START,
    Searched,
    SearchKind,
    SearchPhase,
    SearchWish,
    search_settings,
)
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.provider import ProviderChoice
from tests.core import tiny
from tests.core.engine import log_softmax, prefill

IDS = (10, 11, 12, 13)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> ModelSession:
    return ModelSession.open(Bundle.open(tiny.build(tmp_path_factory.mktemp("models"))), ProviderChoice.CPU)


def wish_of(kind: SearchKind, count: int, length: int, ids: tuple[int, ...] = IDS) -> SearchWish:
    settings = search_settings(kind, DecodingSettings(seed=7), length)
    return SearchWish(
        number=1, node=PROMPT_NODE, text=History(ids, end_ids=(0,)), kind=kind, count=count, settings=settings
    )


def ids_of(searched: Searched, number: int) -> tuple[int, ...]:
    ids: list[int] = []
    while number != START:
        ids.append(searched.found[number].token_id)
        number = searched.found[number].parent
    return tuple(reversed(ids))


def test_a_beam_search_keeps_every_candidate_and_names_the_best_texts(small: ModelSession) -> None:
    wish = wish_of(SearchKind.BEAMS, 3, 5)
    seen = list(small.new_searcher().run(wish))
    events = list(BeamSearch(small).run(wish.text, wish.settings, BeamSettings(beams=3)))
    steps = [event for event in events if isinstance(event, BeamStep)]
    last, end = seen[-1], events[-1]
    assert isinstance(end, BeamsFinished)
    assert len(last.found) == sum(len(step.candidates) for step in steps)
    assert [ids_of(last, result.last) for result in last.results] == [one.ids for one in end.sequences]
    assert [result.score for result in last.results] == [one.score for one in end.sequences]
    for result, one in zip(last.results, end.sequences, strict=True):
        number, total = result.last, 0.0
        while number != START:
            total += last.found[number].logprob
            number = last.found[number].parent
        assert total == pytest.approx(one.cumulative, abs=1e-12)
    fates = Counter(candidate.fate for step in steps for candidate in step.candidates)
    assert Counter(token.fate for token in last.found) == fates


def test_a_search_grows_step_by_step_and_what_leads_nowhere_is_not_alive(small: ModelSession) -> None:
    seen = list(small.new_searcher().run(wish_of(SearchKind.BEAMS, 3, 6)))
    assert [one.phase for one in seen] == [
        SearchPhase.READING,
        *[SearchPhase.SEARCHING] * (len(seen) - 2),
        SearchPhase.FINISHED,
    ]
    for before, after in pairwise(seen):
        assert after.found[: len(before.found)] == before.found
    last = seen[-1]
    alive = last.alive()
    assert alive == {number for result in last.results for number in way(last, result.last)}
    assert all(last.found[number].fate is not Fate.PRUNED for number in alive)
    middle = seen[3]
    assert {number for number in middle.alive() if not children(middle, number)} <= set(middle.going)
    assert 0 < len(alive) < len(last.found)


def way(searched: Searched, number: int) -> list[int]:
    found = []
    while number != START:
        found.append(number)
        number = searched.found[number].parent
    return found


def children(searched: Searched, number: int) -> list[int]:
    return [child for child, token in enumerate(searched.found) if token.parent == number]


def test_draws_that_begin_alike_share_their_tokens(small: ModelSession) -> None:
    wish = wish_of(SearchKind.DRAWS, 20, 4)
    last = list(small.new_searcher().run(wish))[-1]
    logits = prefill(small, IDS)
    first = first_draws(logits, wish.text, wish.settings, 20)
    texts = [
        one.token_ids
        for event in continuations(first, small.sequence.decoder, small.tokenizer)
        for one in event.finished
    ]
    assert len(texts) == 20
    expected = Counter(text[:length] for text in texts for length in range(1, len(text) + 1))
    found = {ids_of(last, number): token.draws for number, token in enumerate(last.found)}
    assert found == expected
    assert last.alive() == set(range(len(last.found)))
    likely = log_softmax(logits)
    for number, token in enumerate(last.found):
        if token.parent == START:
            assert token.logprob == pytest.approx(float(likely[token.token_id]), abs=1e-5), number


def test_greedy_settings_draw_at_temperature_1_and_beams_look_at_the_model_alone() -> None:
    given = DecodingSettings(temperature=0.5, top_k=3, min_tokens=9, max_tokens=20, stop=("x",), seed=3)
    drawn = search_settings(SearchKind.DRAWS, given, 4)
    assert (drawn.temperature, drawn.top_k, drawn.min_tokens, drawn.max_tokens, drawn.seed) == (0.5, 3, 4, 4, 3)
    assert search_settings(SearchKind.DRAWS, DecodingSettings(), 4).temperature == 1.0
    beams = search_settings(SearchKind.BEAMS, given, 4)
    assert beams == DecodingSettings(max_tokens=4, stop=("x",))


def test_a_search_after_a_full_context_is_refused(small: ModelSession) -> None:
    ids = tuple(int(i) for i in np.arange(tiny.CONTEXT) % 90 + 5)
    for kind in SearchKind:
        with pytest.raises(ContextFullError):
            small.new_searcher().run(wish_of(kind, 2, 4, ids))


def test_a_stopped_search_keeps_what_it_found(small: ModelSession) -> None:
    events = small.new_searcher().run(wish_of(SearchKind.BEAMS, 2, 8))
    next(events)
    found = next(events)
    assert found.busy
    stopped = found.stopped()
    assert not stopped.busy
    assert stopped.found == found.found
    assert stopped.alive() == found.alive()
