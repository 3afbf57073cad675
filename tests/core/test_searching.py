"""Searches as facts: what they keep is what beam search and the draws found."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from canopy_desktop.decoding.beams import BeamSettings, BeamStep, Fate
from canopy_desktop.decoding.pipeline import History
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import ContextFullError, StorageError
from canopy_desktop.exploration import storage
from canopy_desktop.exploration.beam_search import BeamSearch, BeamsFinished
from canopy_desktop.exploration.branches import BranchWish, branch_tree
from canopy_desktop.exploration.codec import BrokenValueError
from canopy_desktop.exploration.draws import continuations, first_draws
from canopy_desktop.exploration.journal import Journal, find, read
from canopy_desktop.exploration.kept import KeptExploration, KeptMarks
from canopy_desktop.exploration.kept_lines import LineWriter
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
from canopy_desktop.exploration.storage import read_lines
from canopy_desktop.exploration.trail import Marks
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.provider import ProviderChoice
from tests.core import tiny
from tests.core.engine import log_softmax, prefill
from tests.support.keeping import begin, beginning, facts, kept, lines_of, reread, run, searched

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


@pytest.fixture(scope="module")
def explored(small: ModelSession) -> KeptExploration:
    """A run, and after its second token beams, draws, and beams that were stopped."""
    begun = beginning(small, "the cat", DecodingSettings(max_tokens=4, stop=("zz",)))
    generation = small.new_generation()
    begin(generation, begun)
    run(generation)
    tree = generation.exploration
    assert tree is not None
    asked = ((SearchKind.BEAMS, 3, 4, 1.3), (SearchKind.DRAWS, 20, 3, 1.0), (SearchKind.BEAMS, 2, 6, 1.0))
    searches = []
    for number, (kind, count, length, penalty) in enumerate(asked, 1):
        wish = SearchWish(
            number=number,
            node=1,
            text=tree.window_history(1, small.card.end_ids),
            kind=kind,
            count=count,
            settings=search_settings(kind, begun.settings, length),
            penalty=penalty,
        )
        steps = list(small.new_searcher().run(wish))
        searches.append(steps[-1] if number < 3 else steps[3].stopped())
    marks = KeptMarks(found_names=((1, 0, "likely"),), found_hidden=((2, 1), (3, 0)))
    return replace(kept(begun, generation, marks), searches=tuple(searches))


def test_searches_come_back_as_they_were_and_their_tokens_are_known(
    small: ModelSession, explored: KeptExploration
) -> None:
    again = reread(explored, small.tokenizer)
    assert facts(again) == facts(explored)
    assert [one.phase for one in again.searches] == [SearchPhase.FINISHED, SearchPhase.FINISHED, SearchPhase.STOPPED]
    assert [one.wish.text.generated for one in again.searches] == [one.wish.text.generated for one in explored.searches]
    assert sum(token.draws for token in again.searches[1].found if token.parent == START) == 20
    pictures = [
        branch_tree(
            BranchWish(steps=one.steps, cursor=1, searches=one.searches, names=marks.names, hidden=marks.hidden),
            lambda token_id, tokens=tokens: str(tokens.token(token_id).data),
        )
        for one, tokens in ((explored, small.tokenizer), (again, again.tokens))
        for marks in [Marks.of(one.marks)]
    ]
    assert [repr(node) for node in pictures[0].nodes] == [repr(node) for node in pictures[1].nodes]
    assert any(node.name == "likely" for node in pictures[1].nodes)


def test_a_search_that_was_undone_is_taken_away_and_one_that_came_back_is_there(
    small: ModelSession, explored: KeptExploration
) -> None:
    writer, (beams, draws, stopped) = LineWriter(small.tokenizer), explored.searches
    lines = [*writer.whole(replace(explored, searches=()))]
    for shown in ((beams,), (beams, draws), (beams, draws), (draws,), (beams, draws), (beams, stopped)):
        lines += writer.searches(shown)
    told = [json.loads(line) for line in lines]
    assert sum("search" in line for line in told) == 4
    again = read_lines(line.rstrip(b"\n") for line in lines)
    assert [searched(one) for one in again.searches] == [searched(beams), searched(stopped)]
    assert again.marks.found_hidden == ((3, 0),)  # nothing is left of the other


HOSTILE: dict[str, Callable[[dict[str, Any]], object]] = {
    "a search without an end": lambda search: search.update(phase="searching"),
    "a node that is not there": lambda search: search["wish"].update(node=99),
    "number nothing": lambda search: search["wish"].update(number=0),
    "a kind that is none": lambda search: search["wish"].update(kind="magic"),
    "settings that are not there": lambda search: search["wish"].update(settings=77),
    "no draws": lambda search: search["wish"].update(count=0),
    "a penalty beyond": lambda search: search["wish"].update(penalty=1e9),
    "a parent that comes later": lambda search: search["found"][0].__setitem__(0, 1),
    "a parent before the first": lambda search: search["found"][0].__setitem__(0, -2),
    "a token that is its own parent": lambda search: search["found"][1].__setitem__(0, 1),
    "a token that is not named": lambda search: search["found"][0].__setitem__(1, 4_000_000),
    "a probability above one": lambda search: search["found"][0].__setitem__(2, 0.5),
    "a fate that is none": lambda search: search["found"][0].__setitem__(3, "blessed"),
    "a list for a fate": lambda search: search["found"][0].__setitem__(3, []),
    "more draws than there were": lambda search: search["found"][0].__setitem__(4, 10**6),
    "a token too long": lambda search: search["found"][0].append(0),
    "a result of nothing": lambda search: search["results"].append({"last": 999, "score": 0.0}),
    "an infinite score": lambda search: search["results"].append({"last": 0, "score": 1e400}),
    "a beam that goes on nowhere": lambda search: search["going"].append(999),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_search_that_nobody_made_is_refused(
    small: ModelSession, explored: KeptExploration, change: Callable[[dict[str, Any]], object]
) -> None:
    lines = [json.loads(line) for line in lines_of(explored, small.tokenizer)]
    change(next(line["search"] for line in lines if "search" in line))
    with pytest.raises(BrokenValueError):
        read_lines(json.dumps(line).encode() for line in lines)


def test_searches_of_more_tokens_than_a_file_holds_are_refused(
    small: ModelSession, explored: KeptExploration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("kept_lines", "storage", "journal"):
        monkeypatch.setattr(f"canopy_desktop.exploration.{module}.MAX_FOUND", 60)
    with pytest.raises(BrokenValueError, match="too much"):
        reread(explored, small.tokenizer)
    with pytest.raises(StorageError, match="undo the last"):
        storage.save(tmp_path / "a.canopy", explored, small.tokenizer)
    journal = Journal(tmp_path)
    journal.begin(explored.beginning, small.tokenizer)
    journal.searched(explored.searches)
    journal.close()
    (found,) = find(tmp_path)
    assert read(found.path).searches == ()
