"""A GGUF may come from anywhere: whatever is wrong with it ends in one sentence, soon and without much memory."""

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
from canopy_desktop.model.gguf_file import open_gguf
from tests.core import tiny

STRING, ARRAY, UINT8, UINT32 = 8, 9, 0, 4
GROWTH_MB = 300


def refused(path: Path) -> str:
    """The one sentence that refuses a file."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    with pytest.raises(SourceError) as caught:
        open_gguf(path)
    assert time.perf_counter() - began < 2.0  # a second, on a machine that does nothing else
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GROWTH_MB * 1024
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert len(sentence) < 500
    return sentence


def text(value: str, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(value) if length is None else length) + value.encode()


def array(item: int, count: int, body: bytes = b"") -> bytes:
    return struct.pack("<IIQ", ARRAY, item, count) + body


def header(body: bytes = b"", *, version: int = 3, tensors: int = 0, entries: int = 1) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, entries) + body


def tensor(name: str, dims: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    sizes = struct.pack(f"<I{len(dims)}Q", len(dims), *dims)
    return header(text(name) + sizes + struct.pack("<IQ", kind, offset), tensors=1, entries=0)


HEADERS = {
    "empty": b"",
    "shorter than its magic": b"GG",
    "another magic": b"GGML" + bytes(100),
    "version 1": header(version=1),
    "the other byte order": b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
    "2**64 - 1 tensors": header(tensors=2**64 - 1, entries=0),
    "2**64 - 1 entries": header(entries=2**64 - 1),
    "a key of 2**63 bytes": header(text("", 2**63)),
    "a key of 2**64 - 1 bytes": header(text("", 2**64 - 1)),
    "a value of 2**63 bytes": header(text("k") + struct.pack("<I", STRING) + text("", 2**63)),
    "a value of unknown type": header(text("k") + struct.pack("<I", 99)),
    "an array of 2**62 bytes": header(text("k") + array(UINT8, 2**62)),
    "an array of 2**61 numbers": header(text("k") + array(UINT32, 2**61) + bytes(64)),
    "an array of 2**62 strings": header(text("k") + array(STRING, 2**62)),
    "an array of an unknown type": header(text("k") + array(77, 3) + bytes(64)),
    "arrays in arrays": header(text("k") + array(ARRAY, 1) + array(ARRAY, 1)[4:] * 40 + bytes(64)),
    "more numbers than there is memory for objects": header(text("k") + array(UINT8, 40_000_000) + bytes(40_000_000)),
    "two keys that are the same": header((text("k") + struct.pack("<IB", UINT8, 1)) * 2, entries=2),
    "a key that is no text": header(struct.pack("<Q", 2) + b"\xff\xfe" + struct.pack("<IB", UINT8, 1)),
    "no architecture": header(text("k") + struct.pack("<IB", UINT8, 1)),
    "a tensor of 2**32 dimensions": header(text("t") + struct.pack("<I", 2**32 - 1), tensors=1, entries=0),
    "a tensor whose size is a multiple of 2**64": tensor("t", (2**32, 2**32)),
    "a tensor of an unknown type": tensor("t", (1,), kind=9999) + bytes(64),
    "a tensor that starts outside": tensor("t", (1,), offset=2**63) + bytes(64),
    "a tensor that starts at 2**64 - 1": tensor("t", (1,), offset=2**64 - 1) + bytes(64),
    "a tensor that ends outside": tensor("t", (4096,)) + bytes(4096),
    "an alignment of nothing": header(text("general.alignment") + struct.pack("<II", UINT32, 0)),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_broken_header_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(HEADERS[name])
    refused(path)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: None])
def test_what_is_no_file_is_refused(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "source.gguf"
    make(path)
    refused(path)


def test_a_file_that_ends_anywhere_before_its_end_is_refused(tmp_path: Path) -> None:
    whole = tiny.write_gguf(tmp_path / "whole.gguf", tiny.weights(), tiny.metadata()).read_bytes()
    path = tmp_path / "cut.gguf"
    random = np.random.default_rng(5)
    for length in (*range(0, 64, 3), *random.integers(64, len(whole) - 32, 60)):
        path.write_bytes(whole[: int(length)])
        refused(path)


def test_a_file_with_any_byte_of_its_header_changed_is_opened_or_refused(tmp_path: Path) -> None:
    whole = tiny.write_gguf(tmp_path / "whole.gguf", tiny.weights(), tiny.metadata()).read_bytes()
    path = tmp_path / "changed.gguf"
    random = np.random.default_rng(6)
    for place in random.integers(0, 9_000, 80):
        changed = bytearray(whole)
        changed[int(place)] ^= int(random.integers(1, 256))
        path.write_bytes(changed)
        with suppress(SourceError):
            open_gguf(path)


WRONG: dict[str, dict[str, Any]] = {
    "another architecture": {"general__architecture": "gptneox"},
    "an architecture that is a number": {"general__architecture": 7},
    "no layers": {"llama__block_count": 0},
    "a layer less than nothing": {"llama__block_count": -1},
    "layers without end": {"llama__block_count": 2**31},
    "more layers than tensors": {"llama__block_count": 3},
    "fewer layers than tensors": {"llama__block_count": 1},
    "no heads": {"llama__attention__head_count": 0},
    "heads that do not share evenly": {"llama__attention__head_count_kv": 3},
    "no key heads": {"llama__attention__head_count_kv": 0},
    "a number of key heads a layer": {"llama__attention__head_count_kv": [2, 2]},
    "another width": {"llama__embedding_length": 128},
    "a width without end": {"llama__embedding_length": 2**40},
    "an epsilon that is no number": {"llama__attention__layer_norm_rms_epsilon": float("nan")},
    "an epsilon of nothing": {"llama__attention__layer_norm_rms_epsilon": 0.0},
    "an endless rotation": {"llama__rope__freq_base": float("inf")},
    "a negative rotation": {"llama__rope__freq_base": -1.0},
    "a context of nothing": {"llama__context_length": 0},
    "a context without end": {"llama__context_length": 2**40},
    "no context": {"llama__context_length": None},
    "a rotation of half a head": {"llama__rope__dimension_count": 8},
    "a scaled rotation": {"llama__rope__scaling__type": "yarn"},
    "a rotation scaled by nothing that is a number": {"llama__rope__scaling__factor": float("nan")},
    "a rotation scaled backwards": {"llama__rope__scale_linear": -2.0},
    "a part of a model": {"split__count": 3},
    "a mixture of experts": {"llama__expert_count": 8},
    "values of another size than keys": {"llama__attention__value_length": 8},
    "heads of a size that cannot be rotated": {"llama__attention__key_length": 24, "llama__rope__dimension_count": 24},
    "a context that is text": {"llama__context_length": "48"},
    "a window of less than nothing": {"llama__attention__sliding_window": -1},
    "another tokenizer": {"tokenizer__ggml__model": "llama"},
    "another pre-tokenizer": {"tokenizer__ggml__pre": "nonsense"},
    "no tokens": {"tokenizer__ggml__tokens": None},
    "fewer tokens": {"tokenizer__ggml__tokens": list(tiny.TOKENS[:-1])},
    "tokens that are numbers": {"tokenizer__ggml__tokens": [1, 2, 3]},
    "a merge of what is not there": {"tokenizer__ggml__merges": ["x y"]},
    "an end token that is not there": {"tokenizer__ggml__eos_token_id": 9999},
    "a token before every text that has no name": {"tokenizer__ggml__add_bos_token": True},
    "a normal token before every text": {"tokenizer__ggml__pre": "llama-bpe", "tokenizer__ggml__bos_token_id": 5},
    "a token after every text": {"tokenizer__ggml__add_eos_token": True},
    "a chat template that is a number": {"tokenizer__chat_template": 5},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_source_that_says_something_impossible_or_unknown_is_refused(tmp_path: Path, name: str) -> None:
    refused(tiny.write_gguf(tmp_path / "odd.gguf", tiny.weights(), tiny.metadata(**WRONG[name])))


@pytest.mark.parametrize("name", tiny.weights())
def test_a_missing_tensor_is_named(tmp_path: Path, name: str) -> None:
    tensors = {other: values for other, values in tiny.weights().items() if other != name}
    assert name in refused(tiny.write_gguf(tmp_path / "part.gguf", tensors, tiny.metadata()))


@pytest.mark.parametrize("name", ["blk.0.attn_k.weight", "output_norm.weight", "blk.1.ffn_down.weight"])
def test_a_tensor_of_another_shape_is_named(tmp_path: Path, name: str) -> None:
    tensors = tiny.weights()
    tensors[name] = np.ascontiguousarray(tensors[name][..., :32])
    assert name in refused(tiny.write_gguf(tmp_path / "bent.gguf", tensors, tiny.metadata()))


@pytest.mark.parametrize("name", ["output.bias", "blk.0.attn_q.bias", "blk.0.attn_k_norm.weight", "two\nlines"])
def test_a_tensor_that_the_graph_would_leave_out_is_refused(tmp_path: Path, name: str) -> None:
    tensors = tiny.weights() | {name: np.zeros(64, np.float32)}
    assert repr(name) in refused(tiny.write_gguf(tmp_path / "more.gguf", tensors, tiny.metadata()))


@pytest.mark.parametrize("name", ["output.weight", "rope_freqs.weight"])
@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_tensor_that_a_family_may_have_must_fit_it(tmp_path: Path, name: str, value: float) -> None:
    for size in (64, tiny.HEAD_SIZE // 2):  # the second is that of `rope_freqs.weight`
        tensors = tiny.weights() | {name: np.full(size, value, np.float32)}
        refused(tiny.write_gguf(tmp_path / "more.gguf", tensors, tiny.metadata()))
