"""What stands below an exported picture: enough to make it again."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication

from canopy_desktop.decoding import settings_json
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.view import TokenRole, WindowView

LONGEST_PROMPT = 160  # characters
_ASKED = (TokenRole.USER, TokenRole.COMPLETION)  # what the person typed


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What a picture shows a part of."""

    prompt: str
    model: str  # its id
    weights: str
    provider: str
    settings: DecodingSettings
    step: int | None  # the selected one, from 1; None in the prompt


def run_facts(view: WindowView, settings: DecodingSettings, model: str, weights: str, provider: str) -> RunFacts | None:
    """The run that a view belongs to; None before there is one. `settings` hold where no step is selected."""
    if not view.chips:
        return None
    asked = b"".join(chip.token.data for chip in view.chips if chip.role in _ASKED)
    return RunFacts(
        prompt=asked.decode("utf-8", "replace"),
        model=model,
        weights=weights,
        provider=provider,
        settings=settings if view.step is None else view.step.settings,
        step=None if view.facts is None else view.facts.step,
    )


def caption(panel: str, shown: str, run: RunFacts | None) -> tuple[str, ...]:
    """Lines for a picture of `panel`, whose title says that it shows `shown`."""
    parts = [panel, shown]
    if run is None:
        return (_joined(parts),)
    step = _tr("step {step}").format(step=run.step)
    if run.step is not None and step not in shown:
        parts.append(step)
    return _joined(parts), _prompt_of(run), _made_with(run)


def compared_caption(panel: str, shown: str, a: RunFacts, b: RunFacts) -> tuple[str, ...]:
    """Lines for a picture of two runs beside one another."""
    if a.prompt == b.prompt:
        return _joined([panel, shown]), _prompt_of(a), f"A: {_made_with(a)}", f"B: {_made_with(b)}"
    sides = [f"{name}: {line}" for name, run in (("A", a), ("B", b)) for line in (_prompt_of(run), _made_with(run))]
    return _joined([panel, shown]), *sides


def shortened(text: str, longest: int = LONGEST_PROMPT) -> str:
    """The text in one line, without its middle where it is longer than `longest`."""
    line = text.replace("\r\n", "\n").replace("\n", " ↵ ").replace("\t", " ")
    if len(line) <= longest:
        return line
    head = (longest - 1) // 2
    return f"{line[:head].rstrip()} … {line[head + 3 - longest :].lstrip()}"


def _joined(parts: list[str]) -> str:
    return " · ".join(part for part in parts if part)


def _prompt_of(run: RunFacts) -> str:
    return _tr("Prompt: “{prompt}”").format(prompt=shortened(run.prompt))


def _made_with(run: RunFacts) -> str:
    return _tr("{model} ({weights}, {provider}) · {settings}").format(
        model=run.model,
        weights=run.weights,
        provider=run.provider.upper(),
        settings=settings_json.in_one_line(run.settings),
    )


def _tr(text: str) -> str:
    return QCoreApplication.translate("Captions", text)
