"""A checkpoint may come from anywhere: whatever is wrong with it ends in one sentence, soon and without much memory."""

import json
import os
import resource
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from canopy_desktop.errors import SourceError
from canopy_desktop.model.card import WeightForm
from canopy_desktop.model.checkpoint import checkpoint_files, open_checkpoint
from canopy_desktop.model.model_import import import_source
from tests.core.checkpoints import change, published_tensors, write_checkpoint, write_safetensors
from tests.core.command import Cli

GROWTH_MB = 300
CONFIG, TOKENIZER, WORDS = "config.json", "tokenizer.json", "tokenizer_config.json"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_checkpoint("qwen3", tmp_path / "qwen3")


def refused(folder: Path) -> str:
    """The one sentence that refuses a folder."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    with pytest.raises(SourceError) as caught:
        open_checkpoint(folder)
    assert time.perf_counter() - began < 2.0  # a second, on a machine that does nothing else
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GROWTH_MB * 1024
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert len(sentence) < 500
    return sentence


# --- weights

WHOLE = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
HEADERS: dict[str, bytes] = {
    "empty": b"",
    "shorter than its length": b"\x02\0\0",
    "a length without end": b"\xff" * 8,
    "a length beyond the end": struct.pack("<Q", 100) + b"{}",
    "a header of 9 MB": struct.pack("<Q", 9_000_000) + b" " * 9_000_000,
    "no JSON": struct.pack("<Q", 4) + b"{{{{",
    "no UTF-8": struct.pack("<Q", 4) + b"\xff\xff\xff\xff",
    "a list": struct.pack("<Q", 2) + b"[]",
    "deep": struct.pack("<Q", 200_000) + b"[" * 200_000,
    "a pickle": b"\x80\x02}q\x00." + bytes(100),
}
ENTRIES: dict[str, Any] = {
    "an entry that is a number": 5,
    "no type": {"shape": [2, 2], "data_offsets": [0, 16]},
    "no shape": {"dtype": "F32", "data_offsets": [0, 16]},
    "no place": {"dtype": "F32", "shape": [2, 2]},
    "a place of one number": WHOLE | {"data_offsets": [0]},
    "a place that is text": WHOLE | {"data_offsets": ["0", "16"]},
    "a place before the beginning": WHOLE | {"data_offsets": [-16, 0]},
    "a place backwards": WHOLE | {"data_offsets": [16, 0]},
    "a place beyond the end": WHOLE | {"shape": [4, 2], "data_offsets": [0, 32]},
    "a gap before it": WHOLE | {"shape": [2], "data_offsets": [8, 16]},
    "bytes behind it": WHOLE | {"shape": [2], "data_offsets": [0, 8]},
    "another shape than its place": WHOLE | {"shape": [2, 3]},
    "a shape that is a number": WHOLE | {"shape": 4},
    "a shape of truth": WHOLE | {"shape": [True, 4]},
    "a shape less than nothing": WHOLE | {"shape": [-2, -2]},
    "a shape without end": WHOLE | {"shape": [2**62, 2**62, 2**62]},
    "a shape of a thousand dimensions": WHOLE | {"shape": [1] * 1000},
    "8-bit floats": {"dtype": "F8_E4M3", "shape": [16], "data_offsets": [0, 16]},
    "bytes": {"dtype": "I8", "shape": [16], "data_offsets": [0, 16]},
    "a type that is a list": WHOLE | {"dtype": []},
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_lies_is_refused(folder: Path, name: str) -> None:
    (folder / WEIGHTS).write_bytes(HEADERS[name])
    assert WEIGHTS in refused(folder)


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_that_lies_is_refused(folder: Path, name: str) -> None:
    header = json.dumps({"x": ENTRIES[name]}).encode()
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(header)) + header + bytes(16))
    assert WEIGHTS in refused(folder)


@pytest.mark.parametrize(
    ("first", "second"), [([0, 16], [0, 16]), ([0, 16], [8, 24]), ([0, 16], [24, 40]), ([24, 40], [0, 16])]
)
def test_places_that_overlap_or_leave_gaps_are_refused(folder: Path, first: list[int], second: list[int]) -> None:
    header = json.dumps({"x": WHOLE | {"data_offsets": first}, "y": WHOLE | {"data_offsets": second}}).encode()
    size = max(*first, *second)
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(header)) + header + bytes(size))
    assert "overlap or leave gaps" in refused(folder)


def test_a_name_that_stands_twice_in_a_header_is_refused(folder: Path) -> None:
    header = f'{{"x": {json.dumps(WHOLE)}, "x": {json.dumps(WHOLE)}}}'.encode()
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(header)) + header + bytes(16))
    assert WEIGHTS in refused(folder)


def test_weights_that_were_cut_off_anywhere_are_refused(folder: Path) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    for length in (*range(0, 40, 5), 1_000, len(whole) // 2, len(whole) - 1):
        (folder / WEIGHTS).write_bytes(whole[:length])
        refused(folder)


def test_weights_with_any_byte_of_their_header_changed_are_opened_or_refused(folder: Path) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    random = np.random.default_rng(6)
    for place in random.integers(0, 8 + int.from_bytes(whole[:8], "little"), 80):
        changed = bytearray(whole)
        changed[int(place)] ^= int(random.integers(1, 256))
        (folder / WEIGHTS).write_bytes(changed)
        with suppress(SourceError):
            open_checkpoint(folder)


@pytest.mark.parametrize("name", published_tensors("qwen3"))
def test_a_missing_tensor_is_named(folder: Path, name: str) -> None:
    write_safetensors(folder, {name: None})
    assert name in refused(folder)


@pytest.mark.parametrize("name", ["model.layers.0.self_attn.k_proj.weight", "model.norm.weight"])
def test_a_tensor_of_another_shape_is_named(folder: Path, name: str) -> None:
    bent = np.ascontiguousarray(published_tensors("qwen3")[name][..., :8])
    write_safetensors(folder, {name: ("F32", bent)})
    assert name in refused(folder)


@pytest.mark.parametrize(
    "name",
    ["model.layers.0.self_attn.q_proj.bias", "model.layers.0.mlp.gate_proj.scales", "score.weight", "two\nlines"],
)
def test_a_tensor_that_the_graph_would_leave_out_is_refused(folder: Path, name: str) -> None:
    write_safetensors(folder, {name: ("F32", np.zeros(64, np.float32))})
    assert repr(name) in refused(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["F32", "F16"])
def test_weights_that_are_no_numbers_are_refused_by_name_and_leave_nothing(
    folder: Path, tmp_path: Path, kind: str, value: float
) -> None:
    name = "model.layers.1.mlp.up_proj.weight"
    stored = published_tensors("qwen3")[name].astype({"F32": np.float32, "F16": np.float16}[kind])
    stored[3, 4] = value
    write_safetensors(folder, {name: (kind, stored)})
    with pytest.raises(SourceError, match=name):
        import_source(folder, WeightForm.FP32, "mine", tmp_path / "models", lambda doing, part: None)
    assert list((tmp_path / "models").iterdir()) == []


# --- which files


def replaced(how: Callable[[Path], object]) -> Callable[[Path], None]:
    """Something else in the place of the weights."""

    def break_it(folder: Path) -> None:
        (folder / WEIGHTS).unlink()
        how(folder / WEIGHTS)

    return break_it


def renamed(*names: str) -> Callable[[Path], None]:
    """The weights under other names."""

    def break_it(folder: Path) -> None:
        whole = (folder / WEIGHTS).read_bytes()
        (folder / WEIGHTS).unlink()
        for name in names:
            (folder / name).write_bytes(whole)

    return break_it


def indexed(*names: Any) -> Callable[[Path], None]:
    """An index that names these files."""
    return lambda folder: change(folder, INDEX, weight_map={str(place): name for place, name in enumerate(names)})


FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "pickles": (renamed("pytorch_model.bin"), "save the model as safetensors"),
    "no weights": (renamed(), WEIGHTS),
    "several and no index": (renamed("a.safetensors", "b.safetensors"), INDEX),
    "a missing shard": (indexed("model-00001-of-00002.safetensors", WEIGHTS), "00001-of-00002"),
    "a shard elsewhere": (indexed("../model.safetensors"), INDEX),
    "an absolute shard": (indexed("/model.safetensors"), INDEX),
    "the folder above": (indexed(".."), INDEX),
    "a shard that is a pickle": (indexed("pytorch_model.bin"), INDEX),
    "a shard that is a list": (indexed(["y"]), INDEX),
    "more shards than a folder holds": (indexed(*(f"{number}.safetensors" for number in range(1001))), INDEX),
    "weights that are a folder": (replaced(lambda path: path.mkdir()), WEIGHTS),
    "weights that are a pipe": (replaced(os.mkfifo), WEIGHTS),
    "a link to itself": (replaced(lambda path: path.symlink_to(WEIGHTS)), WEIGHTS),
    "a link to nothing": (replaced(lambda path: path.symlink_to("nothing")), WEIGHTS),
}


@pytest.mark.parametrize("kind", FILES)
def test_files_that_are_not_there_or_not_what_they_should_be_are_refused(folder: Path, kind: str) -> None:
    break_it, named = FILES[kind]
    break_it(folder)
    assert named in refused(folder)
    with pytest.raises(SourceError):
        checkpoint_files(folder)


def test_a_tensor_in_two_files_is_refused(folder: Path) -> None:
    (folder / "b.safetensors").write_bytes((folder / WEIGHTS).read_bytes())
    indexed(WEIGHTS, "b.safetensors")(folder)
    assert "two files" in refused(folder)


@pytest.mark.parametrize("name", [CONFIG, TOKENIZER, WORDS, "generation_config.json", WEIGHTS])
@pytest.mark.parametrize("links", [True, False])
def test_a_link_out_of_the_folder_is_refused_and_one_within_it_is_followed(
    folder: Path, name: str, links: bool
) -> None:
    outside = (folder / name).rename(folder / "moved" if links else folder.parent / "moved")
    (folder / name).symlink_to(outside)
    if links:
        assert open_checkpoint(folder)
    else:
        assert "leads out of the folder" in refused(folder)


def test_a_snapshot_may_not_link_to_what_is_no_blob_of_its_model(folder: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "models--some--model" / "snapshots" / "0123"
    snapshot.parent.mkdir(parents=True)
    folder.rename(snapshot)
    (tmp_path / "blobs").mkdir()
    (snapshot / CONFIG).rename(tmp_path / "blobs" / "1")
    (snapshot / CONFIG).symlink_to(tmp_path / "blobs" / "1")
    assert "leads out of the folder" in refused(snapshot)


@pytest.mark.parametrize("name", [CONFIG, TOKENIZER, WORDS, "generation_config.json", INDEX])
@pytest.mark.parametrize("kind", ["no JSON", "a list", "deep", "100 MB", "wide", "half a pair", "no UTF-8"])
def test_json_that_is_none_or_without_end_is_refused(folder: Path, name: str, kind: str) -> None:
    path = folder / name
    match kind:
        case "no JSON":
            path.write_text("{")
        case "a list":
            path.write_text("[1]")
        case "deep":
            path.write_text('{"a":' * 100_000)
        case "100 MB":
            with path.open("wb") as file:
                file.truncate(100_000_000)
        case "wide":
            path.write_text('{"a":[' + "[]," * 4_000_000 + "[]]}")
        case "half a pair":
            path.write_text('{"a": "\\ud800"}')
        case "no UTF-8":
            path.write_bytes(b'{"a": "\xff"}')
    assert name in refused(folder)


# --- config.json

SAID: dict[str, dict[str, Any]] = {
    "another class": {"architectures": ["GPTNeoXForCausalLM"]},
    "no class": {"architectures": None},
    "two classes": {"architectures": ["Qwen3ForCausalLM", "LlamaForCausalLM"]},
    "a class that is a number": {"architectures": [7]},
    "another model_type": {"model_type": "llama"},
    "a program of its own": {"auto_map": {"AutoModelForCausalLM": "modeling_x.X"}},
    "quantised weights": {"quantization_config": {"quant_method": "gptq", "bits": 4}},
    "yarn": {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}},
    "longrope": {"rope_scaling": {"type": "longrope", "short_factor": [1.0], "long_factor": [1.0]}},
    "dynamic scaling": {"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}},
    "scaling of an unknown kind": {"rope_scaling": {"rope_type": ["linear"]}},
    "two kinds of scaling": {"rope_scaling": {"rope_type": "linear", "type": "llama3", "factor": 2.0}},
    "two scalings": {"rope_scaling": {"type": "linear", "factor": 2.0}, "rope_parameters": {"rope_type": "default"}},
    "a rotation for each kind of layer": {"rope_parameters": {"full_attention": {"rope_type": "default"}}},
    "linear scaling by nothing": {"rope_scaling": {"rope_type": "linear"}},
    "linear scaling backwards": {"rope_scaling": {"rope_type": "linear", "factor": -2.0}},
    "scaling with an unknown part": {"rope_scaling": {"rope_type": "linear", "factor": 2.0, "attention_factor": 2.0}},
    "llama3 scaling that lacks a part": {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}},
    "llama3 scaling with bounds that are none": {
        "rope_scaling": {
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 4.0, "high_freq_factor": 1.0,
            "original_max_position_embeddings": 1024,
        },
    },
    "a partial rotation": {"partial_rotary_factor": 0.5},
    "a partial rotation, newer": {"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5}},
    "rotated pairs": {"rope_interleaved": True},
    "biases of the feed-forward": {"mlp_bias": True},
    "biases of attention": {"attention_bias": True},
    "another activation": {"hidden_act": "gelu"},
    "a soft cap": {"attn_logit_softcapping": 50.0},
    "scaled logits": {"logits_scaling": 8.0},
    "experts": {"num_experts": 8},
    "layers of another kind": {"layer_types": ["linear_attention"] * 3},
    "more kinds of layers than layers": {"layer_types": ["full_attention"] * 4},
    "an encoder": {"is_encoder_decoder": True},
    "pruned heads": {"pruned_heads": {"1": [0]}},
    "a key that nobody knows": {"made_up": 1},
    "a key without end": {"x" * 10_000: 1},
    "no layers": {"num_hidden_layers": 0},
    "layers without end": {"num_hidden_layers": 2**31},
    "more layers than tensors": {"num_hidden_layers": 4},
    "fewer layers than tensors": {"num_hidden_layers": 2},
    "half a layer": {"num_hidden_layers": 2.5},
    "layers that are text": {"num_hidden_layers": "3"},
    "layers that are true": {"num_hidden_layers": True},
    "heads without end": {"num_attention_heads": 10**18},
    "heads that do not share evenly": {"num_key_value_heads": 3},
    "no key heads": {"num_key_value_heads": 0},
    "heads of a size that cannot be rotated": {"head_dim": 24},
    "heads without size": {"head_dim": 10**12},
    "no width": {"hidden_size": None},
    "a width without end": {"hidden_size": 2**60},
    "an epsilon of nothing": {"rms_norm_eps": 0},
    "an epsilon that is no number": {"rms_norm_eps": float("nan")},
    "an endless rotation": {"rope_theta": float("inf")},
    "a context of nothing": {"max_position_embeddings": 0},
    "a context without end": {"max_position_embeddings": 2**40},
    "a smaller vocabulary": {"vocab_size": 511},
    "a tie that is text": {"tie_word_embeddings": "yes"},
    "an output matrix that is missing": {"tie_word_embeddings": False},
    "a window of nothing": {"use_sliding_window": True, "sliding_window": 0, "layer_types": ["sliding_attention"] * 3},
    "windows from a layer that is text": {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": "x",
                                          "layer_types": None},
    "end tokens that are text": {"eos_token_id": ["1"]},
    "an end token that is not there": {"eos_token_id": 512},
    "an end token before the first": {"eos_token_id": -1},
}  # fmt: skip


@pytest.mark.parametrize("name", SAID)
def test_a_config_that_says_something_impossible_or_unknown_is_refused(folder: Path, name: str) -> None:
    change(folder, CONFIG, **SAID[name])
    refused(folder)


@pytest.mark.parametrize("name", ["GPTNeoXForCausalLM", "PhiForCausalLM", "Qwen3MoeForCausalLM"])
def test_another_architecture_is_refused_by_name(folder: Path, name: str) -> None:
    change(folder, CONFIG, architectures=[name])
    assert all(word in refused(folder) for word in (name, "Qwen3ForCausalLM", "other kinds"))


@pytest.mark.parametrize("key", ["quantization_config", "made_up", "rope_interleaved", "mlp_bias"])
def test_what_is_not_known_is_named_and_nothing_where_it_is_null(folder: Path, key: str) -> None:
    said = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(said | {key: None}))
    assert open_checkpoint(folder)
    (folder / CONFIG).write_text(json.dumps(said | {key: 1}))
    assert key in refused(folder)


# --- the tokenizer


def with_parts(**parts: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda said: said | parts


def with_model(**parts: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda said: said | {"model": said["model"] | parts}


def with_added(**parts: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda said: said | {"added_tokens": [said["added_tokens"][0] | parts, *said["added_tokens"][1:]]}


def with_vocab(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda said: said | {"model": said["model"] | {"vocab": change(said["model"]["vocab"])}}


def with_row(row: int, text: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Another text for the token of a row."""
    return with_vocab(lambda vocab: {text if other == row else old: other for old, other in vocab.items()})


def after(*single: str, ids: int = 0) -> dict[str, Any]:
    """A post-processor that puts special tokens around a text."""
    items = [{"Sequence" if text == "A" else "SpecialToken": {"id": text, "type_id": 0}} for text in single]
    special = {x: {"id": x, "ids": [ids], "tokens": [x]} for x in single if x != "A"}
    return {"type": "TemplateProcessing", "single": items, "pair": [], "special_tokens": special}


BEGIN, END = "<|begin_of_text|>", "<|eot_id|>"
PATTERN = {"type": "Split", "pattern": {"Regex": r"\w+"}, "behavior": "Isolated", "invert": False}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
READ: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "nothing": lambda said: {},
    "no model": with_parts(model=None),
    "a model that is a list": with_parts(model=[]),
    "word pieces": with_model(type="WordPiece"),
    "unigrams": with_model(type="Unigram"),
    "bytes of their own": with_model(byte_fallback=True),
    "dropout": with_model(dropout=0.1),
    "a prefix of subwords": with_model(continuing_subword_prefix="##"),
    "an end of words": with_model(end_of_word_suffix="</w>"),
    "an unknown token where bytes are missing": lambda said: with_model(unk_token=END)(
        with_vocab(lambda vocab: {"XX" if text == "~" else text: row for text, row in vocab.items()})(said)
    ),
    "merges ignored": with_model(ignore_merges=True),
    "a merge of what is not there": with_model(merges=[["x", "y"]]),
    "a merge of three": with_model(merges=[["a", "b", "c"]]),
    "merges that are numbers": with_model(merges=[1, 2]),
    "merges that are text": with_model(merges="a b"),
    "another decoder": with_parts(decoder={"type": "Metaspace"}),
    "no decoder": with_parts(decoder=None),
    "lower case": with_parts(normalizer={"type": "Lowercase"}),
    "a compatibility form": with_parts(normalizer={"type": "Sequence", "normalizers": [{"type": "NFKC"}]}),
    "a normalizer that is text": with_parts(normalizer="NFC"),
    "another way of cutting": with_parts(pre_tokenizer={"type": "Sequence", "pretokenizers": [PATTERN, BYTES]}),
    "no way of cutting": with_parts(pre_tokenizer=None),
    "cutting at blanks": with_parts(pre_tokenizer={"type": "Whitespace"}),
    "a space before every text": with_parts(pre_tokenizer=BYTES | {"add_prefix_space": True}),
    "cutting without end": with_parts(
        pre_tokenizer=json.loads('{"type": "Sequence", "pretokenizers": [' * 300 + "{}" + "]}" * 300)
    ),
    "a token after every text": with_parts(post_processor=after("A", END, ids=1)),
    "two tokens before every text": with_parts(post_processor=after(BEGIN, BEGIN, "A")),
    "a begin token with another id": with_parts(post_processor=after(BEGIN, "A", ids=5)),
    "a begin token that is not there": with_parts(post_processor=after("<s>", "A")),
    "another begin token": with_parts(post_processor=after(END, "A", ids=1)),
    "sentences in pairs": with_parts(post_processor={"type": "RobertaProcessing", "sep": ["x", 1], "cls": ["y", 0]}),
    "an added token that takes in blanks": with_added(lstrip=True),
    "an added token in words only": with_added(single_word=True),
    "an added token with another id": with_added(id=7),
    "an added token beyond the embedding": with_added(id=512, content="new"),
    "an added token that is a number": with_added(content=7),
    "an added token that is a list": with_added(content=["x"]),
    "an added token without a kind": lambda said: said | {"added_tokens": [{"id": 0, "content": BEGIN}]},
    "an empty token": with_row(300, ""),
    "two tokens of the same id": with_vocab(lambda vocab: {text: row - (row == 301) for text, row in vocab.items()}),
    "a token beyond the embedding": with_vocab(lambda vocab: vocab | {"new": 512}),
    "a token of no id": with_vocab(lambda vocab: vocab | {"new": None}),
    "a token before the first": with_vocab(lambda vocab: vocab | {"new": -1}),
    "a token that is no bytes": with_row(511, "日"),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_a_tokenizer_that_this_program_would_get_wrong_is_refused(folder: Path, name: str) -> None:
    said = READ[name](json.loads((folder / TOKENIZER).read_text("utf-8")))
    (folder / TOKENIZER).write_text(json.dumps(said), "utf-8")
    refused(folder)


GEMMA_SAID: dict[str, dict[str, Any]] = {
    "a soft cap of attention": {"attn_logit_softcapping": 50.0},
    "a soft cap of logits": {"final_logit_softcapping": 30.0},
    "another activation": {"hidden_activation": "relu"},
    "looks at what comes": {"use_bidirectional_attention": True},
    "no scale": {"query_pre_attn_scalar": 0},
    "layers in disorder": {"layer_types": [*["sliding_attention", "full_attention"] * 3, "full_attention"]},
    "fewer kinds of layers than layers": {"layer_types": [*["sliding_attention"] * 5, "full_attention"]},
    "no window": {"sliding_window": 0},
    "a window that is text": {"sliding_window": "8"},
    "a local rotation that is nothing": {"rope_local_base_freq": 0.0},
    "a local rotation that is scaled": {
        "rope_parameters": {
            "full_attention": {"rope_type": "default"},
            "sliding_attention": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4},
        },
    },
}


@pytest.mark.parametrize("name", GEMMA_SAID)
def test_what_local_layers_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    folder = write_checkpoint("gemma3", tmp_path / "gemma3")
    change(folder, CONFIG, **GEMMA_SAID[name])
    refused(folder)


PIECES_READ: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "merges ignored": with_model(ignore_merges=True),
    "no merges": with_model(merges=[]),
    "a byte without a token": with_row(9, "x9"),
    "spaces as something else": with_parts(normalizer={"type": "Replace", "pattern": {"String": " "}, "content": "_"}),
    "spaces as they are": with_parts(normalizer=None),
    "a space that stands before some texts": with_parts(
        normalizer=None,
        pre_tokenizer={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False},
    ),
    "cutting at blanks": with_parts(pre_tokenizer={"type": "Whitespace"}),
    "cutting at dots": with_parts(pre_tokenizer={"type": "Split", "pattern": {"String": "."}}),
    "bytes of another kind": with_parts(decoder={"type": "ByteLevel"}),
    "unigrams": with_model(type="Unigram"),
    "an added token in two passes": with_added(normalized=True, content="<b", id=300),
    "added tokens without end": lambda said: (
        said
        | {
            "added_tokens": [
                token | {"id": row, "content": text * 5_000, "normalized": row == 300}
                for token, row, text in ((said["added_tokens"][0], 300, "x"), (said["added_tokens"][0], 301, "y"))
            ],
        }
    ),
    "a special token with the sign of a space": with_added(content="▁x"),
}


@pytest.mark.parametrize("name", PIECES_READ)
def test_pieces_that_this_program_would_get_wrong_are_refused(tmp_path: Path, name: str) -> None:
    folder = write_checkpoint("gemma3", tmp_path / "gemma3")
    said = PIECES_READ[name](json.loads((folder / TOKENIZER).read_text("utf-8")))
    (folder / TOKENIZER).write_text(json.dumps(said), "utf-8")
    change(folder, WORDS, added_tokens_decoder=None)
    refused(folder)


def test_a_token_that_is_found_after_a_space_was_put_before_the_text_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint("llama-pieces", tmp_path / "llama-pieces")
    said = json.loads((folder / TOKENIZER).read_text("utf-8"))
    change(folder, TOKENIZER, added_tokens=[token | {"normalized": True} for token in said["added_tokens"]])
    assert "'<unk>'" in refused(folder)


WORDS_SAID: dict[str, dict[str, Any]] = {
    "a begin token that tokenizer.json does not put there": {"add_bos_token": True},
    "a class that puts a begin token there": {"tokenizer_class": "LlamaTokenizerFast"},
    "a token after every text": {"add_eos_token": True},
    "a space before every text": {"add_prefix_space": True},
    "a flag that is text": {"add_bos_token": "no"},
    "a begin token that is not there": {"bos_token": "<s>"},
    "a begin token that is a list": {"bos_token": ["<s>"]},
    "an end token that says nothing": {"eos_token": {"lstrip": True}},
    "a template that is a number": {"chat_template": 5},
    "a template in a list that is none": {"chat_template": ["x"]},
    "a template of two million characters": {"chat_template": "x" * 2_000_000},
    "a token that tokenizer.json does not have": {"added_tokens_decoder": {"9": {"content": "<new>"}}},
    "added tokens that are a list": {"added_tokens_decoder": ["x"]},
}


@pytest.mark.parametrize("name", WORDS_SAID)
def test_words_about_the_tokenizer_that_it_contradicts_are_refused(folder: Path, name: str) -> None:
    change(folder, WORDS, **WORDS_SAID[name])
    refused(folder)


def test_without_its_tokenizer_or_config_a_folder_is_refused(command: Cli, folder: Path) -> None:
    (folder / TOKENIZER).unlink()
    assert TOKENIZER in refused(folder)
    (folder / CONFIG).unlink()
    status, out, err = command.run("models", "import", str(folder))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert CONFIG in err
