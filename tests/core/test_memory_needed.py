"""What a model will take in memory is known before it loads, and what finds no room is refused with the way out."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from canopy_desktop.errors import MemoryNeededError
from canopy_desktop.exploration import memory_needed as needed
from canopy_desktop.exploration.budget import UNLIMITED
from canopy_desktop.exploration.memory_needed import fitting_context, memory_needed, require_memory, usual_context
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model import decoder
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.card import Card, WeightForm, read_card
from canopy_desktop.model.decoder import PassRunner
from canopy_desktop.model.device import HostMemory
from canopy_desktop.model.provider import ProviderChoice
from tests.core.command import Cli

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 0.1
MEASURED = """
import json, sys
from pathlib import Path
import numpy as np
from canopy_desktop.commands.inside import feed_prompt
from canopy_desktop.commands.measure import peak_memory_bytes
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.exploration.budget import UNLIMITED
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.provider import ProviderChoice

bundle = Bundle.open(Path(sys.argv[1]))
session = ModelSession.open(bundle, ProviderChoice.CPU, budget=UNLIMITED)
ids = np.random.default_rng(1).integers(100, bundle.card.architecture.vocabulary, int(sys.argv[2]))
feed_prompt(session, tuple(ids.tolist()))
print(json.dumps(peak_memory_bytes()))
"""


@pytest.fixture(scope="module")
def card(built_model: Path) -> Card:
    return read_card(built_model)


def total(card: Card, context: int, budget: int = UNLIMITED) -> int:
    return memory_needed(card, context, budget=budget).total


@pytest.mark.slow
@pytest.mark.parametrize("context", [512, 2_000])
@pytest.mark.parametrize("form", ["built_model", "built_fp32_model"])
def test_the_prediction_is_what_a_process_takes(request: pytest.FixtureRequest, form: str, context: int) -> None:
    folder: Path = request.getfixturevalue(form)
    command = [sys.executable, "-c", MEASURED, str(folder), str(context)]
    found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert total(read_card(folder), context) == pytest.approx(json.loads(found.stdout), rel=TOLERANCE)


def test_the_peak_is_of_the_program_and_not_of_what_started_it() -> None:
    large = np.ones(400_000_000, np.uint8)
    peak = "from canopy_desktop.commands.measure import peak_memory_bytes; print(peak_memory_bytes())"
    found = subprocess.run([sys.executable, "-c", peak], cwd=ROOT, check=True, capture_output=True, text=True)
    assert 10_000_000 < int(found.stdout) < large.nbytes


def test_the_decoders_own_numbers_are_counted_with() -> None:
    assert (needed.CHUNK, needed.ZEROS_STEP) == (decoder.CHUNK, decoder.ZEROS_STEP)


def test_cache_and_columns_are_what_the_engine_says_of_itself(built_model: Path, card: Card) -> None:
    session = ModelSession.open(Bundle.open(built_model), ProviderChoice.CPU, budget=UNLIMITED)
    predicted = memory_needed(card, 64, budget=UNLIMITED)
    session.sequence.feed(range(100, 164))
    assert predicted.columns == session.sequence.columns.bytes
    assert predicted.cache + predicted.columns == session.sequence.bytes


def test_a_budget_ends_what_columns_take_but_for_what_always_stays(card: Card) -> None:
    everything = memory_needed(card, 4_000, budget=UNLIMITED)
    half = everything.cache + everything.columns // 2
    assert memory_needed(card, 4_000, budget=half).columns == everything.columns // 2
    least = memory_needed(card, 4_000, budget=0)
    assert least.columns == 4_000 * card.architecture.hidden * 4
    assert least.cache == everything.cache


def test_a_chosen_context_is_counted_and_never_more_than_the_models_own(card: Card) -> None:
    own = card.architecture.context
    assert [usual_context(card, chosen) for chosen in (None, 64, 10 * own)] == [needed.USUAL_CONTEXT, 64, own]
    long = replace(card, architecture=replace(card.architecture, context=100_000))
    assert usual_context(long) == needed.USUAL_CONTEXT


@pytest.mark.parametrize("context", [16, 1_024, 8_192])
def test_the_largest_context_that_fits_does_fit_and_the_next_does_not(card: Card, context: int) -> None:
    free = total(card, context)
    assert fitting_context(card, free, budget=UNLIMITED) == context
    assert fitting_context(card, free - 1, budget=UNLIMITED) == context - 16
    require_memory(card, context, free=free, budget=UNLIMITED)


@pytest.mark.parametrize(
    ("form", "free_for", "ways"),
    [
        (WeightForm.INT8, 1_024, ["a context of 1,024 tokens"]),
        (WeightForm.FP32, 1_024, ["a context of 1,024 tokens", "8-bit form"]),
        (WeightForm.INT8, 0, ["a smaller model"]),
        (WeightForm.FP32, 0, ["8-bit form"]),
    ],
)
def test_a_refusal_says_what_is_needed_what_is_free_and_the_way_out(
    card: Card, form: WeightForm, free_for: int, ways: list[str]
) -> None:
    card = replace(card, weights=form)
    free = total(card, free_for) if free_for else 10_000_000
    with pytest.raises(MemoryNeededError) as caught:
        require_memory(card, 4_000, free=free, budget=UNLIMITED)
    sentence = str(caught.value)
    assert f"{total(card, 4_000) / 1e9:.2f} GB" in sentence
    assert f"{free / 1e9:.2f} GB" in sentence
    assert all(way in sentence for way in ways)
    assert ("8-bit" in sentence) is (form is WeightForm.FP32)
    assert sentence.count(".") == 3  # two figures and the end


def test_a_command_is_refused_before_anything_is_loaded(command: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HostMemory, "free", lambda self: 1_000_000)
    monkeypatch.setattr(PassRunner, "open", lambda *arguments: pytest.fail("it was loaded"))
    status, sentence = command.refused("trace", "a", "--max-tokens", "5")
    assert status == 1
    assert "a context of 6 tokens" in sentence  # as long as the text can become
    assert "0.00 GB are free" in sentence


def test_what_a_short_text_takes_decides_and_not_what_a_long_one_would(
    real: Cli, card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HostMemory, "free", lambda self: total(card, 64))
    assert real.json("trace", "The", "--max-tokens", "1")["text"]


def test_the_doctor_tells_what_the_model_takes(real: Cli, card: Card) -> None:
    memory = real.json("doctor")["model"]["memory"]
    assert memory["context"] == usual_context(card)
    assert memory["total_bytes"] > memory["weights_bytes"] > card.bytes
