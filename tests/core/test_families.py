"""Every family of GGUF against independent programs: transformers in fp32, and llama.cpp's tokens."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from canopy_desktop.errors import UsageError
from canopy_desktop.exploration.intervention import Block, Blocks, blocked_head
from canopy_desktop.exploration.score import border
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.block_replay import BlockReplay
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.card import WeightForm
from canopy_desktop.model.chat import encode_completion
from canopy_desktop.model.families import FAMILIES
from canopy_desktop.model.gguf_file import GgufModel, open_gguf
from canopy_desktop.model.model_import import import_source
from canopy_desktop.model.pre_tokenizers import PRE_TOKENIZERS
from canopy_desktop.model.provider import ProviderChoice, ProviderReport
from canopy_desktop.model.tokenizer import Tokenizer
from canopy_desktop.model.tokenizer_build import build_tokenizer_json
from canopy_desktop.model.tokenizer_check import check_tokenizer
from canopy_desktop.model.weight_map import WeightMap
from tests.core.command import Cli
from tests.core.engine import all_logits, one_by_one, prefill
from tests.core.fake_card import CARD, runner_in_half
from tests.core.test_odd_model import COMMANDS
from tests.reference import fixtures

LOGIT, ATTENTION, RESIDUAL = 1e-3, 1e-4, 1e-3
# those with widths of whole blocks, and how near they stay, of the largest logit; Gemma norms what is added, errors too
IN_8_BITS = {"qwen2": 0.05, "qwen3": 0.05, "gemma3": 0.15, "gpt2": 0.05}
SLIDING = ("gemma3", "gemma3-linear")  # those with local layers, whose window is shorter than the text


@cache
def opened(name: str) -> GgufModel:
    return open_gguf(fixtures.tiny_model(name).gguf)


@pytest.fixture(scope="module", params=fixtures.TINY_MODELS)
def exact(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ModelSession]:
    """A tiny model in fp32, imported as a person would."""
    return request.param, imported(request.param, WeightForm.FP32, tmp_path_factory.mktemp("models"))


def imported(name: str, form: WeightForm, folder: Path) -> ModelSession:
    made = import_source(fixtures.tiny_model(name).gguf, form, name, folder, lambda doing, part: None)
    return ModelSession.open(Bundle.open(made.folder), ProviderChoice.CPU)


def test_every_family_has_a_tiny_model() -> None:
    assert {opened(name).family.name for name in fixtures.TINY_MODELS} == set(FAMILIES)


def test_fp32_logits_are_those_of_transformers(exact: tuple[str, ModelSession]) -> None:
    name, session = exact
    reference = fixtures.tiny_model(name)
    prefill(session, reference.ids)
    assert np.abs(all_logits(session) - reference.logits).max() <= LOGIT


def test_fp32_decoding_with_the_cache_has_the_same_logits(exact: tuple[str, ModelSession]) -> None:
    name, session = exact
    reference = fixtures.tiny_model(name)
    prefill(session, reference.ids[:5])
    assert np.abs(one_by_one(session, reference.ids[5:]) - reference.logits[5:]).max() <= LOGIT


def test_fp32_attention_is_that_of_transformers_in_every_head(exact: tuple[str, ModelSession]) -> None:
    name, session = exact
    reference = fixtures.tiny_model(name)
    prefill(session, reference.ids)
    reader, slots = session.new_reader(), session.sequence.slots
    for layer, heads in enumerate(reference.attention):
        for head, weights in enumerate(heads):
            reading = reader.attention(slots, layer, head, hide_first=False)
            assert reading is not None
            assert np.abs(np.nan_to_num(reading.values) - weights).max() <= ATTENTION


def test_fp32_residuals_are_those_of_transformers_after_every_block(exact: tuple[str, ModelSession]) -> None:
    name, session = exact
    reference = fixtures.tiny_model(name)
    prefill(session, reference.ids)
    for layer, expected in enumerate(reference.residuals):
        found = session.sequence.columns.residuals(session.sequence.slots, layer)
        assert np.abs(found - expected).max() <= RESIDUAL


def test_a_step_can_be_looked_into_and_adds_up(exact: tuple[str, ModelSession]) -> None:
    name, session = exact
    reference = fixtures.tiny_model(name)
    prefill(session, reference.ids)
    position, layer, head = 17, 1, session.card.architecture.heads - 1
    token_id = int(reference.logits[position].argmax())
    step = session.new_inside().step(session.sequence.slots, position, layer, head, token_id)
    weights = reference.attention[layer, head, position, : position + 1]
    assert np.abs(step.weights[: position + 1] - weights).max() <= ATTENTION
    beside = 0 if step.output_bias is None else step.output_bias
    assert np.abs(step.head_outputs.sum(axis=0) + beside - step.attention).max() <= RESIDUAL
    assert np.abs(step.before + step.attention + step.feed_forward - step.after).max() <= RESIDUAL
    assert step.readout.effect(step.stream[-1]) + step.readout.constant == pytest.approx(step.logit, abs=LOGIT)
    assert step.logit == pytest.approx(float(reference.logits[position, token_id]), abs=LOGIT)


def assert_replayed_bits(session: ModelSession, ids: Sequence[int]) -> None:
    """Every block, made again from what goes into it, ends in the bits that the pass left."""
    a, sequence = session.card.architecture, session.sequence
    prefill(session, ids)
    weights, cache = WeightMap(session.bundle), sequence.decoder.cache
    first, columns = sequence.replay(sequence.slots, len(ids) - 1)
    passed = columns.stream()
    for layer in range(a.layers):
        before = [np.array(part[layer][0, :, :first]) for part in (cache.keys, cache.values)]
        found = BlockReplay(weights, a, layer).run(passed[layer], *before, None)
        assert np.array_equal(found.after, passed[layer + 1])


def test_a_block_replayed_alone_gives_the_bits_of_the_pass(exact: tuple[str, ModelSession]) -> None:
    name, session = exact
    assert_replayed_bits(session, fixtures.tiny_model(name).ids)


@pytest.mark.parametrize("name", IN_8_BITS)
def test_a_block_of_8_bits_replayed_alone_gives_the_bits_of_the_pass(name: str, tmp_path: Path) -> None:
    assert_replayed_bits(imported(name, WeightForm.INT8, tmp_path), fixtures.tiny_model(name).ids)


def test_local_layers_see_no_further_than_their_window_in_everything_that_looks(
    exact: tuple[str, ModelSession],
) -> None:
    name, session = exact
    reference, a = fixtures.tiny_model(name), session.card.architecture
    prefill(session, reference.ids)
    reader, trial, slots = session.new_reader(), session.new_trial(), session.sequence.slots
    last = slots.size - 1
    rows = reader.all_heads(slots, last)
    for layer in range(a.layers):
        expected = reference.attention[layer]
        assert (expected[:, last, : a.attention(layer).first_seen(last)] == 0).all()
        assert np.abs(rows[layer] - expected[:, last]).max() <= ATTENTION
        assert np.abs(reader.mean_of_layer(slots, layer) - expected.mean(axis=0)).max() <= ATTENTION
    for layer in (0, a.layers - 1):
        assert (
            np.abs(blocked_head(trial, reference.ids, None, layer, 0) - reference.attention[layer, 0]).max()
            <= ATTENTION
        )
    assert any(a.attention(layer).window is not None for layer in range(a.layers)) == name.startswith("gemma3")


@pytest.mark.parametrize("name", SLIDING)
def test_a_block_and_a_window_hide_together(name: str, tmp_path: Path) -> None:
    session, reference = imported(name, WeightForm.FP32, tmp_path), fixtures.tiny_model(name)
    a = session.card.architecture
    position, window = len(reference.ids) - 1, a.window
    inside = tuple(range(position - window + 1, position))  # all that a local layer sees, but itself
    bias = Blocks([Block((position,), inside)], a)
    session.sequence.feed(reference.ids, bias=bias)
    for layer, seen in ((0, {position}), (5, {*range(position - window + 1), position})):
        step = session.new_inside().step(session.sequence.slots, position, layer, 0, 7, bias)
        assert set(np.flatnonzero(step.weights)) == seen
        assert np.abs(step.weighted.sum(axis=0) - step.attended[0]).max() <= ATTENTION
    with pytest.raises(UsageError, match="would see nothing"):
        Blocks([Block((position,), (*inside, position))], a)
    with pytest.raises(UsageError, match="would see nothing"):
        Blocks([Block((position,), (*inside, position), layer=0)], a)
    assert Blocks([Block((position,), (*inside, position), layer=5)], a)  # which looks further back


@pytest.fixture(scope="module")
def sliding_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    gguf, folder = fixtures.tiny_model("gemma3").gguf, tmp_path_factory.mktemp("models")
    return import_source(gguf, WeightForm.INT8, "gemma3", folder, lambda doing, part: None).folder


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_every_command_works_with_sliding_windows_and_pieces(
    capsys: pytest.CaptureFixture[str], sliding_model: Path, arguments: tuple[str, ...]
) -> None:
    assert Cli(capsys, sliding_model).json(*arguments)


def test_the_graph_for_a_card_stays_near_in_16_bits(exact: tuple[str, ModelSession]) -> None:
    name, session = exact
    reference = fixtures.tiny_model(name)
    narrow = ModelSession(session.bundle, ProviderReport("cuda", "a test", card=CARD), runner_in_half(session.bundle))
    prefill(narrow, reference.ids)
    assert 0 < np.abs(all_logits(narrow) - reference.logits).max() <= 0.01 * np.abs(reference.logits).max()


@pytest.mark.parametrize("name", IN_8_BITS)
def test_8_bit_weights_stay_near_the_exact_ones(name: str, tmp_path: Path) -> None:
    reference = fixtures.tiny_model(name)
    session = imported(name, WeightForm.INT8, tmp_path)
    prefill(session, reference.ids)
    assert 0 < np.abs(all_logits(session) - reference.logits).max() <= IN_8_BITS[name] * np.abs(reference.logits).max()


def test_residuals_that_may_outgrow_16_bits_are_kept_in_32(tmp_path: Path) -> None:
    for name, exact in (("gemma3", True), ("qwen3", False)):
        session = imported(name, WeightForm.INT8, tmp_path)
        reference = fixtures.tiny_model(name)
        _, columns = session.sequence.decoder.sibling().feed(reference.ids)
        stream = columns.stream()[1].copy()
        prefill(session, reference.ids)
        slots = session.sequence.slots
        assert np.array_equal(session.sequence.columns.residuals(slots, 1), stream) == exact
        assert session.sequence.columns.queries(slots, 1).std() > 0
        assert (session.bundle.card.architecture.has_wide_stream) == exact


def test_the_tokens_of_every_way_of_cutting_are_llama_cpps(tmp_path: Path) -> None:
    path, fields = tmp_path / "tokenizer.json", opened("llama").tokenizer
    for cut in fixtures.cut_texts():
        path.write_text(build_tokenizer_json(replace(fields, pre=cut.names[0])), "utf-8")
        tokenizer = Tokenizer.open(path)
        found = [tokenizer.encode(text, special=False).ids for text in cut.texts]
        differing = [(cut.names[0], *row) for row in zip(cut.texts, found, cut.ids, strict=True) if row[1] != row[2]]
        assert differing[:3] == []


def pieces_in(folder: Path, *, space_prefix: bool) -> Tokenizer:
    fields = replace(opened("llama-pieces").tokenizer, space_prefix=space_prefix)
    (folder / "tokenizer.json").write_text(build_tokenizer_json(fields), "utf-8")
    check_tokenizer(folder, "tokenizer.json", len(fields.tokens))
    return Tokenizer.open(folder / "tokenizer.json")


@pytest.mark.parametrize("texts", fixtures.piece_texts(), ids=lambda t: f"prefix {t.space_prefix}, special {t.special}")
def test_the_tokens_of_pieces_are_llama_cpps_and_their_bytes_are_the_texts(tmp_path: Path, texts) -> None:
    tokenizer = pieces_in(tmp_path, space_prefix=texts.space_prefix)
    found = [tokenizer.encode(text, special=texts.special).ids for text in texts.texts]
    differing = [row for row in zip(texts.texts, found, texts.ids, strict=True) if row[1] != row[2]]
    assert differing[:3] == []
    for text, ids in zip(texts.texts, found, strict=True):
        if "▁" in text:  # which is read as a space
            continue
        lengths = tokenizer.lengths(ids)
        pieces = [t.data[len(t.data) - n :] for t, n in zip(tokenizer.tokens(ids), lengths, strict=True)]
        assert b"".join(pieces).decode() == text
        assert sum(lengths) < len(tokenizer.data(ids)) if texts.space_prefix else tokenizer.decode(ids) == text


def test_a_text_that_goes_on_has_no_space_before_it(tmp_path: Path) -> None:
    tokenizer = pieces_in(tmp_path, space_prefix=True)
    assert tokenizer.decode(tokenizer.encode("the</s>the").ids) == " the</s> the"
    assert tokenizer.decode(tokenizer.encode("the", inside=True).ids) == "the"
    for text in ("the", " the", "日"):
        both = border(tokenizer, "It is", text)
        assert tokenizer.decode(both.apart) == tokenizer.decode(both.together) == " It is" + text


def test_byte_tokens_are_their_bytes_and_make_a_character_together(tmp_path: Path) -> None:
    tokenizer = pieces_in(tmp_path, space_prefix=False)
    ids = tokenizer.encode("\u0379").ids
    assert [tokenizer.token(i).data for i in ids] == [b"\xcd", b"\xb9"]
    assert tokenizer.token(ids[0]).text == "\ufffd"
    assert {tokenizer.token(i).data for i in range(512)} >= {bytes([byte]) for byte in range(256)}
    assert tokenizer.decode(ids) == "\u0379"


def test_every_part_of_a_prompt_of_pieces_has_the_tokens_that_begin_in_it(exact: tuple[str, ModelSession]) -> None:
    name, session = exact
    tokenizer = session.tokenizer
    if name != "llama-pieces":
        return
    prompt = encode_completion(tokenizer, "the<b> a 日", facts="One fact.\n\n")
    told = [tokenizer.decode(part.ids) for part in prompt.parts]
    assert [part.role for part in prompt.parts] == ["template", "facts", "completion"]
    assert "".join(told).replace(" ", "") == prompt.text.replace(" ", "")
    assert told[2].endswith("the<b>  a 日")


def test_every_name_of_a_pre_tokenizer_was_compared_with_llama_cpp() -> None:
    assert [pre.names for pre in PRE_TOKENIZERS] == [cut.names for cut in fixtures.cut_texts()]


@pytest.mark.parametrize("pre", PRE_TOKENIZERS, ids=lambda pre: pre.names[0])
@pytest.mark.parametrize("begins", [False, True])
def test_a_tokenizer_of_every_kind_is_known_again(tmp_path: Path, pre, begins: bool) -> None:
    fields = replace(opened("llama").tokenizer, pre=pre.names[-1], adds_begin=begins)
    (tmp_path / "tokenizer.json").write_text(build_tokenizer_json(fields), "utf-8")
    check_tokenizer(tmp_path, "tokenizer.json", len(fields.tokens))
    tokenizer = Tokenizer.open(tmp_path / "tokenizer.json")
    assert tokenizer.begin == (tokenizer.token(0) if begins else None)
