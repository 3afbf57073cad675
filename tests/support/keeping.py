"""Explorations to be kept: made by a generation, and taken apart again."""

from dataclasses import replace

from canopy_desktop.decoding.pipeline import History
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.generation import Generation
from canopy_desktop.exploration.kept import Beginning, KeptExploration, KeptMarks, KeptTokens, ModelIdentity
from canopy_desktop.exploration.kept_lines import LineWriter
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.exploration.records import UNMADE, RunFinished, StepRecord
from canopy_desktop.exploration.searching import Searched
from canopy_desktop.exploration.storage import read_lines
from canopy_desktop.exploration.window import ContextWindow
from canopy_desktop.model.tokenizer import TokenTable


def beginning(session, text: str, settings: DecodingSettings, window: ContextWindow | None = None) -> Beginning:
    """What a completion of `text` begins with."""
    request = PromptRequest(text=text)
    return Beginning(
        model=ModelIdentity.of(session.card),
        request=request,
        prompt=request.encoded(session.tokenizer, None),
        context=session.card.architecture.context if window is None or window.size is None else window.size,
        window=window or ContextWindow(),
        kept=0,
        settings=settings,
        output_filter=None,
    )


def begin(generation: Generation, begun: Beginning) -> None:
    """Start an exploration with it."""
    generation.begin(1, begun.prompt, begun.settings, begun.window, kept=begun.kept)


def run(generation: Generation) -> list[StepRecord]:
    """The steps up to the run's end."""
    steps = []
    while not isinstance(event := generation.advance(), RunFinished):
        steps += [event] if isinstance(event, StepRecord) else []
    return steps


def kept(begun: Beginning, generation: Generation, marks: KeptMarks | None = None) -> KeptExploration:
    """The exploration as it would be saved now."""
    tree = generation.exploration
    assert tree is not None
    return KeptExploration(
        beginning=begun,
        prefill_ms=1.5,
        steps=tree.steps,
        slides=tree.all_slides,
        stand=tree.stand,
        marks=marks or KeptMarks(),
        tokens=KeptTokens([]),
    )


def lines_of(exploration: KeptExploration, tokens: TokenTable) -> list[bytes]:
    """Its lines, without their ends."""
    return [line.rstrip(b"\n") for line in LineWriter(tokens).whole(exploration)]


def reread(exploration: KeptExploration, tokens: TokenTable) -> KeptExploration:
    """The same, through its lines."""
    return read_lines(lines_of(exploration, tokens))


def facts(exploration: KeptExploration) -> tuple[object, ...]:
    """Everything that a kept exploration says, to be compared: no columns."""
    steps = [values(step) for step in exploration.steps]
    slides = {replace(slide, slots=(UNMADE,) * len(slide.slots)) for slide in exploration.slides}
    stand = exploration.stand.cursor, dict(exploration.stand.forward)
    searches = [searched(one) for one in exploration.searches]
    return exploration.beginning, exploration.prefill_ms, steps, slides, stand, exploration.marks, searches


def searched(search: Searched) -> dict[str, object]:
    """What a search found, and what was wished but for the text before it."""
    found = {name: getattr(search, name) for name in Searched.__slots__}
    return found | {"wish": replace(search.wish, text=History())}


def values(step: StepRecord) -> dict[str, object]:
    """A step's fields but for the column and the run."""
    return {name: getattr(step, name) for name in StepRecord.__slots__ if name not in ("source", "run_id")}


def chosen(steps: list[StepRecord]) -> list[int]:
    """The tokens."""
    return [step.chosen.token_id for step in steps]
