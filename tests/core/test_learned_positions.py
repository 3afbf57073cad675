"""A model whose positions are rows of a table: whatever moves tokens about gives each the row of where it stands."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import BundleError, ContextFullError
from canopy_desktop.exploration import storage
from canopy_desktop.exploration.attention_view import Look
from canopy_desktop.exploration.generation import Generation
from canopy_desktop.exploration.kept_attention import columns_at
from canopy_desktop.exploration.records import RunFinished, StepRecord, WindowSlid
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.exploration.window import ContextWindow, WhenFull
from canopy_desktop.model.batch import BatchDecoder, Past
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.card import WeightForm
from canopy_desktop.model.chat import encode_completion
from canopy_desktop.model.model_import import import_source
from canopy_desktop.model.provider import ProviderChoice, ProviderReport
from tests.core.command import Cli
from tests.core.engine import all_logits, one_by_one, plain_prompt, prefill
from tests.core.fake_card import CARD, runner_in_half, runner_on_fake_card
from tests.core.test_kept_attention import attention_of, explored, through_file
from tests.core.test_odd_model import COMMANDS
from tests.reference import fixtures

IDS = fixtures.tiny_model("gpt2").ids
SLIDE = ContextWindow(size=16, when_full=WhenFull.SLIDE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    gguf, models = fixtures.tiny_model("gpt2").gguf, tmp_path_factory.mktemp("models")
    return import_source(gguf, WeightForm.INT8, "gpt2", models, lambda doing, part: None).folder


@pytest.fixture
def session(folder: Path) -> ModelSession:
    return ModelSession.open(Bundle.open(folder), ProviderChoice.CPU)


def test_the_context_ends_where_the_rows_end(session: ModelSession) -> None:
    rows = session.card.architecture.context
    assert rows == 256
    prefill(session, (IDS * 11)[:rows])
    with pytest.raises(ContextFullError):
        session.sequence.feed([5])


def test_a_token_that_moved_after_a_slide_has_the_row_of_its_new_place(session: ModelSession) -> None:
    generation = session.new_generation()
    prompt = encode_completion(session.tokenizer, "Once upon")
    generation.begin(1, prompt, DecodingSettings(max_tokens=24, temperature=2.0, seed=4), SLIDE)
    steps, slides = steps_and_slides(generation)
    text = [*prompt.ids, *(step.chosen.token_id for step in steps)]
    assert len(slides) > 2
    for slide, following in zip(slides, [*slides[1:], None], strict=True):
        begins = steps[slide.node].position + 1
        ends = len(text) if following is None else steps[following.node].position + 1
        generation.begin(2, plain_prompt(text[slide.last + 1 : begins]), DecodingSettings(max_tokens=ends - begins))
        fresh, _ = steps_and_slides(generation)
        own = steps[begins - len(prompt.ids)]
        assert [one.logit for one in fresh[0].candidates] == [one.logit for one in own.candidates]


def steps_and_slides(generation: Generation) -> tuple[list[StepRecord], list[WindowSlid]]:
    """Of a run to its end."""
    steps: list[StepRecord] = []
    slides: list[WindowSlid] = []
    while not isinstance(event := generation.advance(), RunFinished):
        match event:
            case StepRecord():
                steps.append(event)
            case WindowSlid():
                slides.append(event)
    return steps, slides


def test_rows_of_a_batch_stand_where_their_own_pasts_end(session: ModelSession) -> None:
    pasts, expected = [], []
    for first, length in ((0, 7), (5, 18), (3, 2)):
        prefill(session, IDS[first : first + length])
        pasts.append(Past.of(session.sequence.decoder.cache, length).copied())
        expected.append(one_by_one(session, IDS[-3:]))
    batch = BatchDecoder(session.sequence.decoder, pasts)
    for step, token_id in enumerate(IDS[-3:]):
        assert np.array_equal(batch.feed([token_id] * 3)[0], np.stack([rows[step] for rows in expected]))


def test_the_embedding_is_the_tokens_row_and_its_places_and_effects_sum_to_the_logit(session: ModelSession) -> None:
    prefill(session, IDS[:20])
    session.sequence.feed([IDS[20]])
    tensors = GGUFReader(fixtures.tiny_model("gpt2").gguf).tensors
    (table,) = (tensor.data for tensor in tensors if tensor.name == "position_embd.weight")
    for position in (0, 13, 20):
        step = session.new_inside().step(session.sequence.slots, position, 1, 1, 7)
        assert step.token_row is not None
        assert step.place_row is not None
        assert np.array_equal(step.place_row, table[position])
        assert np.array_equal(step.token_row + step.place_row, step.stream[0])
        assert np.array_equal(step.query, step.query_rotated)
        assert np.array_equal(step.key, step.key_rotated)
        effects = [step.readout.effect(step.stream[0]), *(part.effect for part in step.blocks())]
        assert sum(effects) + step.readout.constant == pytest.approx(step.logit, abs=0.05)
        assert abs(step.readout.constant) > 0.1


def test_a_card_is_told_the_places_too(folder: Path) -> None:
    bundle = Bundle.open(folder)
    report = ProviderReport("cuda", "a test", card=CARD)
    half, on_card = (ModelSession(bundle, report, made(bundle)) for made in (runner_in_half, runner_on_fake_card))
    for session in (half, on_card):
        prefill(session, IDS[:20])
    assert np.array_equal(one_by_one(on_card, IDS[20:]), one_by_one(half, IDS[20:]))
    assert np.array_equal(all_logits(on_card), all_logits(half))


def test_attention_that_a_file_keeps_is_that_of_the_model_to_the_bit(session: ModelSession, tmp_path: Path) -> None:
    was, tree = explored(session)
    again = through_file(was, session, tmp_path / "kept.canopy")
    assert attention_of(storage.load(tmp_path / "kept.canopy")).note.architecture.positions == "learned"
    places, _ = columns_at(tree, tree.cursor, attention_of(was).note)
    look = Look(2, 1, False)
    shown = attention_of(again).reader().picture(places, look)
    same = session.new_reader().picture(tree.slots(tree.cursor), look)
    assert shown is not None
    assert same is not None
    assert np.array_equal(shown.values, same.values, equal_nan=True)


@pytest.mark.parametrize(
    ("key", "lie"),
    [
        ("norm", "rms"), ("positions", "rotary"), ("gated", True), ("qkv_biases", False), ("block_biases", False),
        ("activation", "silu"), ("context", 128), ("rope_base", 10_000.0), ("window", 8), ("qk_norms", True),
        ("post_norms", True), ("rope_divisors", [2.0] * 8),
    ],
)  # fmt: skip
def test_a_card_that_says_otherwise_than_the_graph_is_refused(
    folder: Path, tmp_path: Path, key: str, lie: object
) -> None:
    bundle = shutil.copytree(folder, tmp_path / "gpt2")
    card = json.loads((bundle / "card.json").read_text())
    card["architecture"][key] = lie
    (bundle / "card.json").write_text(json.dumps(card))
    with pytest.raises(BundleError):
        Bundle.open(bundle)


def test_a_card_with_a_rotation_for_learned_positions_is_refused_even_if_both_are_said(
    folder: Path, tmp_path: Path
) -> None:
    bundle = shutil.copytree(folder, tmp_path / "gpt2")
    card = json.loads((bundle / "card.json").read_text())
    card["architecture"] |= {"positions": "rotary", "rope_base": 10_000.0}
    (bundle / "card.json").write_text(json.dumps(card))
    with pytest.raises(BundleError, match=r"an input .positions., which is not known"):
        Bundle.open(bundle)


def fitting(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The same for a model of two heads."""
    return tuple("1" if before == "--head" else word for before, word in zip(("", *arguments), arguments, strict=False))


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_every_command_works_with_it(
    capsys: pytest.CaptureFixture[str], folder: Path, arguments: tuple[str, ...]
) -> None:
    assert Cli(capsys, folder).json(*fitting(arguments))
