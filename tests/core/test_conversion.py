"""From a GGUF to a decoder, end to end, on a model that is written here."""

import json
from pathlib import Path

import numpy as np
import pytest

from canopy_desktop.arrays import FloatArray
from canopy_desktop.errors import CanopyError, ProviderError, SourceError
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.card import BUILT_FORMS, WeightForm
from canopy_desktop.model.decoder import PassRunner
from canopy_desktop.model.tokenizer import Tokenizer
from tests.core import tiny
from tests.core.engine import all_logits, one_by_one, prefill
from tests.core.fake_card import CARD


def logits_of(folder: Path) -> FloatArray:
    session = ModelSession.open(Bundle.open(folder))
    prefill(session, tiny.PROMPT_IDS)
    return all_logits(session)


@pytest.fixture(scope="module")
def expected() -> FloatArray:
    return tiny.forward(tiny.weights(), tiny.PROMPT_IDS)


def test_fp32_weights_compute_what_the_papers_say(tmp_path: Path, expected: FloatArray) -> None:
    found = logits_of(tiny.build(tmp_path, WeightForm.FP32))
    assert np.abs(found - expected).max() <= 2e-5 * np.abs(expected).max()


def test_8_bit_weights_stay_near_the_exact_ones(tmp_path: Path, expected: FloatArray) -> None:
    found = logits_of(tiny.build(tmp_path))
    assert 0 < np.abs(found - expected).max() <= 0.03 * np.abs(expected).max()


@pytest.mark.parametrize("form", BUILT_FORMS)
def test_decoding_with_the_cache_computes_what_a_whole_pass_does(
    tmp_path: Path, form: WeightForm, expected: FloatArray
) -> None:
    session = ModelSession.open(Bundle.open(tiny.build(tmp_path, form)))
    prefill(session, tiny.PROMPT_IDS[:2])
    found = one_by_one(session, tiny.PROMPT_IDS[2:])
    tolerance = 2e-5 if form is WeightForm.FP32 else 0.03
    assert np.abs(found - expected[2:]).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize("form", BUILT_FORMS)
def test_two_builds_give_the_same_bytes(tmp_path: Path, form: WeightForm) -> None:
    one, other = tiny.build(tmp_path / "a", form), tiny.build(tmp_path / "b", form)
    names = sorted(path.name for path in one.iterdir())
    assert names == ["card.json", "head.onnx", "model-cuda.onnx", "model.onnx", "tokenizer.json", "weights.bin"]
    assert [(one / name).read_bytes() for name in names] == [(other / name).read_bytes() for name in names]


def test_a_bundle_of_an_older_version_opens_without_a_graph_for_a_card(tmp_path: Path) -> None:
    folder = tiny.build(tmp_path)
    assert Bundle.open(folder).cuda_decoder == folder / "model-cuda.onnx"
    card = json.loads((folder / "card.json").read_text("utf-8"))
    card["files"] = [entry for entry in card["files"] if entry["name"] != "model-cuda.onnx"]
    (folder / "card.json").write_text(json.dumps(card), "utf-8")
    (folder / "model-cuda.onnx").unlink()
    session = ModelSession.open(Bundle.open(folder))
    assert session.bundle.cuda_decoder is None
    assert session.provider.name == "cpu"
    with pytest.raises(ProviderError, match="no graph for it"):
        PassRunner.open(session.bundle, CARD)


def test_the_card_says_what_the_source_said(tmp_path: Path) -> None:
    card = Bundle.open(tiny.build(tmp_path)).card
    a = card.architecture
    assert (a.layers, a.heads, a.kv_heads, a.head_size, a.hidden) == (2, 4, 2, 16, 64)
    assert (a.feed_forward, a.vocabulary, a.context, a.rope_base) == (96, len(tiny.TOKENS), tiny.CONTEXT, 10_000.0)
    assert card.end_ids == (0,)
    assert card.chat_template == tiny.TEMPLATE


def test_the_tokenizer_is_the_one_of_the_source(tmp_path: Path) -> None:
    tokenizer = Tokenizer.open(Bundle.open(tiny.build(tmp_path)).tokenizer)
    ids = tokenizer.encode(f" the{tiny.END} 1é").ids
    assert [tiny.TOKENS[token_id] for token_id in ids] == ["Ġthe", tiny.END, "Ġ", "1", "Ã", "©"]


def test_a_source_that_computes_something_else_is_refused_and_the_old_bundle_stays(tmp_path: Path) -> None:
    folder = tiny.build(tmp_path)
    before = (folder / "weights.bin").read_bytes()
    work = tmp_path / "work"
    work.mkdir()
    other = tiny.write_gguf(work / "other.gguf", tiny.weights(seed=2), tiny.metadata())
    recipe = tiny.recipe(tiny.forward(tiny.weights(), tiny.PROMPT_IDS))
    with pytest.raises(CanopyError, match=r"differ by .* from the recipe's reference"):
        tiny.convert(recipe, WeightForm.INT8, other, tmp_path, lambda doing, part: None, work)
    assert (folder / "weights.bin").read_bytes() == before


def test_a_width_that_8_bit_blocks_do_not_fill_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    tensors = {
        name: values[..., :80] if "ffn_down" in name else values[:80] if "gate" in name or "up" in name else values
        for name, values in tiny.weights().items()
    }
    source = tiny.write_gguf(tmp_path / "odd.gguf", tensors, tiny.metadata(llama__feed_forward_length=80))
    recipe = tiny.recipe(tiny.forward(tensors, tiny.PROMPT_IDS))
    with pytest.raises(SourceError, match="blocks of 32"):
        tiny.convert(recipe, WeightForm.INT8, source, tmp_path, lambda doing, part: None, tmp_path)
