"""Every kind of error has words of its own in the window."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from canopy_desktop import errors
from canopy_desktop.decoding.stopping import StopReason
from canopy_desktop.errors import CanopyError
from canopy_ui.messages import Tone, Wording
from canopy_ui.photographer import NoPictureError
from canopy_ui.state import RunPhase, RunState

SAMPLES: dict[type[CanopyError], tuple[CanopyError, str]] = {
    errors.UsageError: (errors.UsageError("'x' is not a command."), "'x'"),
    errors.SourceError: (errors.SourceError(Path("a/model.gguf"), "it ends too early"), "model.gguf"),
    errors.BundleError: (errors.BundleError(Path("b/bundle"), "weights.bin was altered"), "weights.bin was altered"),
    errors.ModelNotFoundError: (errors.ModelNotFoundError("smol", (Path("m"),)), "smol"),
    errors.BuildError: (errors.BuildError("the disk is full", "Free 1 GB."), "Free 1 GB."),
    errors.ExportSetupError: (errors.ExportSetupError("pip is missing", "Install it."), "Install it."),
    errors.ModelKeptError: (errors.ModelKeptError("mine", "the system does not allow it"), "does not allow it"),
    errors.MemoryNeededError: (
        errors.MemoryNeededError("mine", 2_440_000_000, 1_200_000_000, 8192, fitting=2048, is_fp32=True),
        "2.44 GB",
    ),
    errors.EmptyPromptError: (errors.EmptyPromptError(), "empty"),
    errors.PromptTooLongError: (errors.PromptTooLongError(9000, 8192), "808"),
    errors.TemplateError: (errors.TemplateError("two users in a row"), "two users in a row"),
    errors.ContextFullError: (errors.ContextFullError(8192), "8,192"),
    errors.InterruptedStepError: (errors.InterruptedStepError(), "Run"),
    errors.OutOfMemoryError: (errors.OutOfMemoryError(1200), "1,200"),
    errors.CardMemoryError: (errors.CardMemoryError(), "smaller context"),
    errors.ColumnsGoneError: (errors.ColumnsGoneError("queries", 1412), "queries of 1,412"),
    errors.NotGivenError: (errors.NotGivenError("queries"), "queries"),
    errors.ProviderError: (errors.ProviderError("cuda", "out of memory"), "CUDA"),
    errors.SettingsError: (errors.SettingsError("Top-p", "must be above 0"), "Top-p"),
    errors.NothingLeftError: (errors.NothingLeftError("the bans"), "the bans"),
    errors.OtherModelError: (errors.OtherModelError("SmolLM2"), "SmolLM2"),
    errors.StorageError: (errors.StorageError(Path("d/settings.json"), "the disk is full"), "the disk is full"),
}


def test_a_prompt_that_is_too_long_says_what_of_it_is_history_and_facts(qtbot: QtBot) -> None:
    text = Wording().of_error(errors.PromptTooLongError(9000, 8192, history=7000, facts=300)).text
    assert "7,000 of them are the chat's history, 300 are facts." in text


def kinds(of: type[CanopyError] = CanopyError) -> Iterator[type[CanopyError]]:
    """Every error of the core's tree that can be raised: the leaves."""
    below = [kind for kind in of.__subclasses__() if kind is not NoPictureError]
    if not below and of.__module__.startswith("canopy_desktop"):
        yield of
    for kind in below:
        yield from kinds(kind)


@pytest.mark.parametrize("kind", sorted(kinds(), key=lambda kind: kind.__name__))
def test_every_error_is_worded_with_its_facts(kind: type[CanopyError], qtbot: QtBot) -> None:
    error, fact = SAMPLES[kind]
    words = Wording()
    message = words.of_error(error)
    assert message.text != words.unexpected()
    assert fact in message.text
    assert message.text.endswith(".")
    assert message.tone is Tone.WARNING


def test_an_error_of_the_program_itself_points_to_the_log(qtbot: QtBot) -> None:
    words = Wording()
    assert words.of_error(ZeroDivisionError("x")).text == words.unexpected()


@pytest.mark.parametrize("phase", RunPhase)
def test_every_state_has_words(phase: RunPhase, qtbot: QtBot) -> None:
    assert Wording().of_state(RunState(phase=phase))


def test_a_slide_under_way_says_how_far_it_is(qtbot: QtBot) -> None:
    words = Wording().of_state(RunState(phase=RunPhase.RUNNING, slid=1_256, to_slide=6_144))
    assert "1,256 of 6,144" in words


@pytest.mark.parametrize("phase", [RunPhase.PREFILLING, RunPhase.RUNNING])
def test_columns_that_are_made_again_say_how_far_they_are(phase: RunPhase, qtbot: QtBot) -> None:
    assert "12 of 1,034" in Wording().of_state(RunState(phase=phase, remade=12, to_remake=1034))


def test_every_reason_to_stop_has_words_of_its_own(qtbot: QtBot) -> None:
    texts = {Wording().of_state(RunState(phase=RunPhase.FINISHED, reason=reason)) for reason in StopReason}
    assert len(texts) == len(StopReason)
