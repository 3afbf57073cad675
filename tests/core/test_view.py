"""One frozen view from what happened and what is selected."""

from pathlib import Path

import numpy as np
import pytest

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.attention_view import AttentionReading
from canopy_desktop.exploration.decision import Decision
from canopy_desktop.exploration.decision_view import DecisionWish, wanted_decision
from canopy_desktop.exploration.records import RunFinished, StepRecord
from canopy_desktop.exploration.view import Readings, Selection, TokenRole, ViewResolver
from canopy_desktop.exploration.window import ContextWindow, WhenFull
from canopy_desktop.model.chat import encode_completion
from tests.core.engine import session_of

SAMPLED = DecodingSettings(temperature=1.3, top_k=8, seed=2, max_tokens=6)


@pytest.fixture
def session(built_model: Path):
    return session_of(built_model)


def decision_for(session, wish: DecisionWish) -> Decision:
    decision = session.new_reader().decision(
        wish.slot, wish.settings, wish.history, wish.position, shown=wish.shown, also=wish.also
    )
    assert decision is not None
    return decision


@pytest.fixture
def explore(session):
    """Run a prompt; gives the exploration and its resolver."""

    def run(text: str, settings: DecodingSettings = SAMPLED):
        generation = session.new_generation()
        generation.begin(1, encode_completion(session.tokenizer, text), settings)
        while not hasattr(generation.advance(), "reason"):
            pass
        return generation.exploration, ViewResolver(generation.exploration, session.tokenizer)

    return run


def test_the_newest_token_is_selected_unless_another_is(explore) -> None:
    exploration, resolver = explore("The capital of France is")
    view = resolver.resolve(Selection(), Readings())
    assert view.selected == len(view.chips) - 1 == 10
    assert resolver.resolve(Selection(position=6), Readings()).selected == 6
    assert resolver.resolve(Selection(position=600), Readings()).selected == 10
    exploration.go_to(exploration.path(exploration.cursor)[1].node)
    assert resolver.resolve(Selection(), Readings()).selected == 6


def test_everything_that_is_not_drawn_is_in_the_last_bar(explore, session) -> None:
    exploration, resolver = explore("The capital of France is")
    for shown in (10, 50):
        wish = wanted_decision(exploration, None, SAMPLED, shown=shown, end_ids=())
        assert wish is not None
        for readings in (Readings(), Readings(decision=decision_for(session, wish))):
            distribution = resolver.resolve(Selection(shown=shown), readings).distribution
            assert distribution is not None
            for place, column in enumerate(distribution.columns):
                listed = [bar.probabilities[place] for bar in distribution.bars]
                assert sum(listed) + column.others_probability == pytest.approx(1.0, abs=1e-6)
                assert sum(share > 0 for share in listed) + column.others == column.kept
            assert sum(bar.chosen for bar in distribution.bars) == 1


def test_a_chosen_token_outside_of_the_drawn_ones_is_added_to_them(explore) -> None:
    exploration, _ = explore("The capital of France is")
    record: StepRecord = exploration.path(exploration.cursor)[0]
    assert record.kept == 8
    _, resolver = explore("Once", DecodingSettings(temperature=100.0, seed=4, max_tokens=1))
    distribution = resolver.resolve(Selection(shown=10), Readings()).distribution
    assert distribution is not None
    assert len(distribution.bars) == 11
    assert distribution.bars[-1].chosen


def test_a_prompt_token_has_the_distribution_that_the_reader_computed(explore, session) -> None:
    exploration, resolver = explore("The capital of France is")
    selection = Selection(position=3)
    wish = wanted_decision(exploration, 3, DecodingSettings(), shown=10, end_ids=())
    assert wish is not None
    assert wish.history.prompt == exploration.prompt.ids[:3]
    assert resolver.resolve(selection, Readings()).distribution is None
    decision = decision_for(session, wish)
    view = resolver.resolve(selection, Readings(decision=decision))
    assert view.distribution is not None
    assert view.distribution.parent is None
    assert view.facts is not None
    (france,) = [one for one in decision.tokens if one.token_id == exploration.prompt.ids[3]]
    assert view.facts.rank == france.rank
    assert any(bar.chosen and bar.token.text == " France" for bar in view.distribution.bars)
    assert resolver.resolve(Selection(position=4), Readings(decision=decision)).distribution is None


def test_surprisal_is_minus_the_binary_logarithm_of_what_was_assigned(explore) -> None:
    exploration, resolver = explore("The capital of France is")
    view = resolver.resolve(Selection(), Readings(prompt_surprisal=np.array([np.nan, 5.0], np.float32)))
    assert view.surprisal[1] == 5.0
    assert np.isnan(view.surprisal[[0, 2, 3, 4]]).all()
    for chip, bits in zip(view.chips[5:], view.surprisal[5:], strict=True):
        assert chip.role is TokenRole.GENERATED
        record = exploration.record(chip.node)
        assert bits == pytest.approx(-record.chosen.raw_logprob / np.log(2), rel=1e-5)


def test_bytes_without_a_token_are_marked_where_they_stood(explore) -> None:
    _, resolver = explore("a\x04b \x06", DecodingSettings(max_tokens=1))
    view = resolver.resolve(Selection(), Readings())
    marks = {chip.position: chip.lost for chip in view.chips if chip.lost}
    texts = [chip.token.text for chip in view.chips]
    assert marks[texts.index("b")] == b"\x04"
    assert marks[len(view.chips) - 1] == b"\x06"


def test_chips_of_an_unchanged_text_are_the_same_objects(explore) -> None:
    _, resolver = explore("The capital of France is")
    first, second = (resolver.resolve(Selection(position=p), Readings()).chips for p in (1, 4))
    assert all(one is other for one, other in zip(first, second, strict=True))


def test_after_a_slide_the_attention_has_the_windows_rows_and_dropped_tokens_say_so(session) -> None:
    generation = session.new_generation()
    prompt = encode_completion(session.tokenizer, "one two three four five six seven eight nine ten eleven twelve")
    window = ContextWindow(size=16, when_full=WhenFull.SLIDE)
    generation.begin(1, prompt, DecodingSettings(max_tokens=8), window)
    while not isinstance(generation.advance(), RunFinished):
        pass
    tree = generation.exploration
    resolver, positions = ViewResolver(tree, session.tokenizer), tree.positions(tree.cursor)
    length = positions.size
    reading = AttentionReading(
        layer=0, head=0, hide_first=False, length=length, cell=1, values=np.zeros((length, length), np.float32)
    )
    readings = Readings(attention=reading, attention_positions=positions)
    text = [session.tokenizer.token(token_id).text for token_id in tree.token_ids(tree.cursor)]
    for position, selected, dropped in ((0, None, True), (4, 0, False), (5, 1, False), (19, None, False)):
        view = resolver.resolve(Selection(position=position), readings)
        assert view.dropped == range(4)
        assert view.facts.dropped is dropped
        assert view.attention.selected == selected
        assert view.attention.tokens == tuple(text[4 : 4 + length])
        missing = view.attention.missing
        assert (missing is None) is (selected is not None)
        assert missing is None or (missing.text, missing.dropped) == (text[position], dropped)
    assert [chip.position for chip in view.chips if chip.slide is not None] == [16]
