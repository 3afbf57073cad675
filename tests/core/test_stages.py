"""A step stage by stage: every figure is one that the step, or a reading of its logits, really has."""

from pathlib import Path

import numpy as np
import pytest

from canopy_desktop.decoding.pipeline import StageName, pipeline
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.decision_view import view_of_decision, wanted_decision
from canopy_desktop.exploration.records import ChosenBy, RunFinished, StepRecord
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.exploration.stages import (
    FIRST,
    LAST,
    NAMED,
    StepStage,
    StepStages,
    neighbour,
    stages_of,
)
from canopy_desktop.exploration.tree import Exploration
from canopy_desktop.exploration.view import Readings, Selection, ViewResolver
from canopy_desktop.exploration.window import ContextWindow, WhenFull
from canopy_desktop.model.chat import encode_completion
from tests.core.engine import session_of

TEXT = "The student read the book, and the student"
WARM = DecodingSettings(
    temperature=0.7,
    top_k=40,
    top_p=0.9,
    repetition_penalty=1.3,
    presence_penalty=0.4,
    frequency_penalty=0.2,
    min_tokens=3,
    max_tokens=6,
    seed=4,
)


@pytest.fixture
def session(built_model: Path) -> ModelSession:
    return session_of(built_model)


def explored(session: ModelSession, settings: DecodingSettings, window: ContextWindow | None = None) -> Exploration:
    generation = session.new_generation()
    generation.begin(1, encode_completion(session.tokenizer, TEXT), settings, window or ContextWindow())
    while not isinstance(generation.advance(), RunFinished):
        pass
    assert generation.exploration is not None
    return generation.exploration


def stages_at(session: ModelSession, exploration: Exploration, index: int, settings: DecodingSettings) -> StepStages:
    """Of the step with this number, with what was read of its decision under `settings`."""
    step = exploration.path(exploration.cursor)[index - 1]
    wish = wanted_decision(exploration, step.position, settings, shown=10, end_ids=session.card.end_ids)
    assert wish is not None
    decision = session.new_reader().decision(
        wish.slot, wish.settings, wish.history, wish.position, shown=wish.shown, also=wish.also
    )
    assert decision is not None
    token_of = session.tokenizer.token
    view = view_of_decision(decision, step.chosen.token_id, token_of, step=step)
    tokens = session.tokenizer.tokens(exploration.token_ids(exploration.cursor))
    return stages_of(step, tokens, view, session.card.architecture, token_of)


def test_the_stages_follow_one_another_from_the_first_to_the_last() -> None:
    walked = [FIRST]
    while (following := neighbour(walked[-1], 1)) is not None:
        walked.append(following)
    assert walked == list(StepStage)
    assert walked[-1] is LAST
    assert neighbour(FIRST, -1) is None


def test_the_whole_prompt_goes_in_first_and_then_each_token_alone(session: ModelSession) -> None:
    exploration = explored(session, WARM)
    ids = exploration.prompt.ids
    first = stages_at(session, exploration, 1, WARM)
    tokenised, embedded = first.of(StepStage.TOKENISE), first.of(StepStage.EMBED)
    assert (tokenised.count, tokenised.prompt) == (len(ids), True)
    assert [token.id for token in tokenised.first] == list(ids[:NAMED])
    assert (embedded.count, embedded.last.id, embedded.hidden) == (len(ids), ids[-1], 576)
    second = stages_at(session, exploration, 2, WARM)
    tokenised = second.of(StepStage.TOKENISE)
    assert (tokenised.count, tokenised.prompt) == (1, False)
    assert tokenised.first[0].id == exploration.path(exploration.cursor)[0].chosen.token_id


def test_the_blocks_see_the_tokens_of_the_window_also_after_a_slide(session: ModelSession) -> None:
    window = ContextWindow(size=16, when_full=WhenFull.SLIDE)
    exploration = explored(session, DecodingSettings(max_tokens=12), window)
    steps = exploration.path(exploration.cursor)
    assert exploration.slides(exploration.cursor)
    for step in steps:
        passed = stages_at(session, exploration, step.index, step.settings).of(StepStage.LAYERS)
        assert (passed.layers, passed.heads) == (30, 9)
        assert passed.seen == exploration.window_length(step.parent)


def test_the_highest_score_is_that_of_the_logits(session: ModelSession) -> None:
    exploration = explored(session, WARM)
    step = exploration.path(exploration.cursor)[3]
    scored = stages_at(session, exploration, 4, WARM).of(StepStage.LOGITS)
    logits = logits_of(session, step)
    assert scored.vocabulary == logits.size
    assert (scored.highest.id, scored.logit) == (int(logits.argmax()), pytest.approx(float(logits.max())))


def logits_of(session: ModelSession, step: StepRecord) -> np.ndarray:
    """What the column before a step really gives."""
    residual = session.sequence.columns.residuals(np.array([step.source]), -1)
    return session.head.logits(residual)[0]


def test_a_penalty_is_what_the_pipeline_did_to_the_score(session: ModelSession) -> None:
    exploration = explored(session, WARM)
    for step in exploration.path(exploration.cursor):
        penalised = stages_at(session, exploration, step.index, WARM).of(StepStage.PENALTIES)
        found = pipeline(logits_of(session, step), WARM, exploration.history(step.parent, session.card.end_ids))
        raw, after = found.stages[0].scores, found.stages[1].scores
        moved = after - raw
        listed = [one.token_id for one in step.candidates]
        assert penalised.penalties
        assert penalised.moved == found.stages[1].changed > 0
        if penalised.most is None:
            assert not moved[listed].any()
        else:
            token, amount = penalised.most
            assert amount == pytest.approx(float(moved[token.id]), abs=1e-5)
            assert abs(amount) == pytest.approx(float(np.abs(moved[listed]).max()), abs=1e-5)
        assert penalised.ends_barred == (len(session.card.end_ids) if step.index <= WARM.min_tokens else 0)


def test_what_a_person_banned_and_boosted_is_counted(session: ModelSession) -> None:
    settings = DecodingSettings(max_tokens=1, logit_bias=((5, 2.0), (9, -3.0)), banned_tokens=(7, 8, 10))
    penalised = stages_at(session, explored(session, settings), 1, settings).of(StepStage.PENALTIES)
    assert (penalised.penalties, penalised.moved, penalised.most) == (False, 0, None)
    assert (penalised.boosted, penalised.banned, penalised.ends_barred) == (2, 3, 0)


def test_the_temperature_is_told_with_the_likeliest_before_and_after(session: ModelSession) -> None:
    exploration = explored(session, WARM)
    step = exploration.path(exploration.cursor)[2]
    heated = stages_at(session, exploration, 3, WARM).of(StepStage.TEMPERATURE)
    found = pipeline(logits_of(session, step), WARM, exploration.history(step.parent, session.card.end_ids))
    names = [stage.name for stage in found.stages]
    place = names.index(StageName.TEMPERATURE)
    assert heated.temperature == 0.7
    assert heated.likeliest is not None
    ids = [heated.likeliest.id]
    assert heated.before == pytest.approx(found.probability_after(place - 1, ids)[0])
    assert heated.after == pytest.approx(found.probability_after(place, ids)[0])
    assert heated.after > heated.before


def test_a_reading_with_other_settings_says_nothing_about_the_step(session: ModelSession) -> None:
    other = DecodingSettings(temperature=1.5, max_tokens=6)
    heated = stages_at(session, explored(session, WARM), 2, other).of(StepStage.TEMPERATURE)
    assert (heated.temperature, heated.likeliest, heated.before, heated.after) == (0.7, None, None, None)


def test_every_cut_is_told_with_what_it_kept(session: ModelSession) -> None:
    exploration = explored(session, WARM)
    step = exploration.path(exploration.cursor)[0]
    trimmed = stages_at(session, exploration, 1, WARM).of(StepStage.CUT)
    assert [(cut.name, cut.value) for cut in trimmed.cuts] == [(StageName.TOP_K, 40), (StageName.TOP_P, 0.9)]
    assert trimmed.cuts[0].kept == 40
    assert trimmed.cuts[-1].kept == trimmed.kept == step.kept
    assert trimmed.cuts[0].kept - trimmed.cuts[1].removed == trimmed.kept
    greedy = DecodingSettings(max_tokens=1)
    assert stages_at(session, explored(session, greedy), 1, greedy).of(StepStage.CUT).cuts == ()


def test_the_draw_and_the_check_are_those_of_the_step(session: ModelSession) -> None:
    exploration = explored(session, WARM)
    for step in exploration.path(exploration.cursor):
        stages = stages_at(session, exploration, step.index, WARM)
        drawn = stages.of(StepStage.DRAW)
        assert drawn.low <= drawn.uniform < drawn.high
        assert (drawn.token.id, drawn.chosen_by, drawn.rejected) == (step.chosen.token_id, ChosenBy.SAMPLED, 0)
        assert stages.of(StepStage.CONTINUE).check is step.check


def test_a_view_tells_the_step_of_the_selected_token(session: ModelSession) -> None:
    exploration = explored(session, WARM)
    resolver = ViewResolver(exploration, session.tokenizer)
    second = exploration.path(exploration.cursor)[1]
    assert resolver.resolve(Selection(position=second.position), Readings()).step is second
    assert resolver.resolve(Selection(position=0), Readings()).step is None
    assert resolver.resolve(Selection(stage=StepStage.CUT), Readings()).stage is StepStage.CUT
