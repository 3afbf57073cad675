"""Which ways through the model give the same bits, and how far the others are apart (docs/architecture.md)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from canopy_desktop.arrays import FloatArray
from canopy_desktop.exploration.passes import ALIKE
from canopy_desktop.model.decoder import chunks_of
from canopy_desktop.model.provider import open_session
from tests.core.engine import all_logits, go_on, log_softmax, one_by_one, prefill, session_of
from tests.reference import fixtures


@pytest.fixture(params=["int8", "fp32"])
def session(request: pytest.FixtureRequest, built_model: Path, built_fp32_model: Path):
    return session_of(built_model if request.param == "int8" else built_fp32_model)


@pytest.fixture
def ids() -> tuple[int, ...]:
    return fixtures.prompt_logits("prose").ids


@pytest.mark.parametrize("size", [2, 7, 100, 256, 300])
def test_a_chunked_prefill_gives_the_bits_of_a_whole_one(session, ids, size: int) -> None:
    whole = prefill(session, ids[:301], 1000)
    whole_all = all_logits(session)
    chunked = prefill(session, ids[:301], size)
    assert np.array_equal(chunked, whole)
    assert np.array_equal(all_logits(session), whole_all)


@pytest.mark.parametrize("length", [129, 257, 259])
def test_refeeding_and_chunks_agree_where_blocks_of_rows_leave_one_over(session, ids, length: int) -> None:
    whole = prefill(session, ids[:length])
    assert np.array_equal(prefill(session, ids[:length], 50), whole)
    prefill(session, ids[: length - 2])
    assert np.array_equal(session.sequence.feed(ids[length - 2 : length])[1], whole)


def test_a_prompt_is_never_cut_so_that_a_single_row_is_left_over() -> None:
    for size in (2, 3, 256):
        for count in range(2, 1100):
            sizes = chunks_of(count, size)
            assert sum(sizes) == count
            assert max(sizes) <= size + 1
            assert all(taken >= 2 and taken % 128 != 1 for taken in sizes)
    assert chunks_of(1) == [1]
    assert chunks_of(0) == []


def test_rewinding_and_repeating_gives_the_same_bits(session, ids) -> None:
    prefill(session, ids[:40])
    first = one_by_one(session, ids[40:60])
    session.sequence.go_to(session.sequence.slots[:45].copy())
    assert np.array_equal(one_by_one(session, ids[45:60]), first[5:])


def test_logits_from_a_kept_residual_are_the_bits_of_the_pass(session, ids) -> None:
    prefill(session, ids[:30])
    passed = one_by_one(session, ids[30:50])
    residuals = session.sequence.columns.residuals(session.sequence.slots[30:], -1)
    for row, logits in zip(residuals, passed, strict=True):
        assert np.array_equal(session.head.logits(row[None])[0], logits)


def test_leaving_a_branch_and_coming_back_gives_the_same_bits(session, ids) -> None:
    prefill(session, ids[:40])
    one_by_one(session, ids[40:52])
    branch = session.sequence.slots.copy()
    straight = one_by_one(session, ids[52:60])
    session.sequence.go_to(branch[:44])
    one_by_one(session, ids[100:130])
    session.sequence.go_to(branch)
    assert np.array_equal(one_by_one(session, ids[52:60]), straight)


def test_growing_the_cache_changes_no_bit(session, ids) -> None:
    long = (*ids, *ids[:20])
    assert len(long) > 512
    whole = prefill(session, long, 1000)
    session.sequence.decoder.cache.capacity = 0  # the next pass makes new buffers, the one after grows them
    session.sequence.forget()
    go_on(session, long[:500])
    assert session.sequence.decoder.cache.capacity == 512
    assert np.array_equal(go_on(session, long[500:]), whole)
    assert session.sequence.decoder.cache.capacity > 512


def test_fp32_decoding_with_the_cache_equals_recomputing_everything(built_fp32_model: Path, ids) -> None:
    session = session_of(built_fp32_model)
    prefill(session, ids[:20])
    stepped = one_by_one(session, ids[20:60])
    prefill(session, ids[:60])
    whole = all_logits(session)[20:]
    assert np.abs(stepped - whole).max() <= 2e-3
    assert np.array_equal(stepped.argmax(axis=-1), whole.argmax(axis=-1))


def test_8_bit_decoding_with_the_cache_differs_from_recomputing_by_rounding_alone(built_model: Path, ids) -> None:
    session = session_of(built_model)
    prefill(session, ids[:20])
    stepped = one_by_one(session, ids[20:320])
    prefill(session, ids[:320])
    whole = all_logits(session)[20:]
    exact, rounded = log_softmax(whole), log_softmax(stepped)
    divergence = (np.exp(exact) * (exact - rounded)).sum(axis=-1).mean()
    print(f"largest logit difference {np.abs(stepped - whole).max():.2f}, mean KL {divergence:.4f}")
    assert divergence <= 0.006
    assert np.abs(stepped - whole).max() <= 2.0


def test_8_bit_refeeding_the_last_two_tokens_gives_the_bits_of_recomputing(built_model: Path, ids) -> None:
    session = session_of(built_model)
    prefill(session, ids[:20])
    refed = []
    for position in range(20, 60):
        session.sequence.go_to(session.sequence.slots[: position - 1].copy())
        refed.append(session.sequence.feed(ids[position - 1 : position + 1])[1])
    prefill(session, ids[:60])
    assert np.array_equal(np.stack(refed), all_logits(session)[20:])


class _Bias:
    """The same bias in every layer, built for the part of the text that is asked for."""

    def __init__(self, value: float, pairs: list[tuple[int, int]]) -> None:
        self._value, self._pairs = value, pairs

    def of_layer(self, layer: int, first: int, new: int) -> np.ndarray:
        found = np.zeros((1, 1, new, first + new), np.float32)
        for query, key in self._pairs:
            if first <= query < first + new:
                found[0, 0, query - first, key] = self._value
        return found


def test_a_bias_of_zeros_is_bit_equal_to_none(session, ids) -> None:
    without = prefill(session, ids[:30])
    session.sequence.forget()
    assert np.array_equal(session.sequence.feed(ids[:30], bias=_Bias(0.0, []))[1], without)


def test_paris_depends_on_what_is_may_look_at(session) -> None:
    france = fixtures.prompt_logits("france").ids
    paris = 7042
    before = np.exp(log_softmax(prefill(session, france)))[paris]
    session.sequence.forget()
    _, logits = session.sequence.feed(france, bias=_Bias(-np.inf, [(4, 3)]))
    after = np.exp(log_softmax(logits))[paris]
    assert before > 0.7
    assert after < 0.06


# --- heads of more numbers than are multiplied at once


def attention_alone(head_size: int) -> ort.InferenceSession:
    """The operator as the graph has it, four heads over one, without rotation."""
    edges: dict[str, tuple[int, list[int | str]]] = {
        "qkv": (TensorProto.FLOAT, [1, "new", 6 * head_size]),
        "key": (TensorProto.FLOAT, [1, 1, "capacity", head_size]),
        "value": (TensorProto.FLOAT, [1, 1, "capacity", head_size]),
        "seqlens": (TensorProto.INT32, [1]),
        "total": (TensorProto.INT32, []),
        "bias": (TensorProto.FLOAT, [1, 1, "new", "length"]),
    }
    node = helper.make_node(
        "GroupQueryAttention", ["qkv", "", "", "key", "value", "seqlens", "total", "", "", "", "bias"],
        ["mixed", "keys", "values"], domain="com.microsoft", num_heads=4, kv_num_heads=1,
    )  # fmt: skip
    inputs = [helper.make_tensor_value_info(name, *edge) for name, edge in edges.items()]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("mixed", "keys", "values")]
    graph = helper.make_graph([node], "attention", inputs, outputs)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return open_session(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())


def attended(session: ort.InferenceSession, rows: FloatArray, head_size: int, cuts: Sequence[int]) -> FloatArray:
    """What attention makes of rows that pass in pieces which end at `cuts`."""
    cache = [np.zeros((1, 1, 512, head_size), np.float32) for _ in range(2)]
    found, first = [], 0
    for last in cuts:
        mixed = np.empty((1, last - first, 4 * head_size), np.float32)
        binding = session.io_binding()
        inputs = (
            np.ascontiguousarray(rows[None, first:last]), *cache, np.array([last - 1], np.int32),
            np.array(last, np.int32), np.zeros((1, 1, last - first, last), np.float32),
        )  # fmt: skip
        for edge, array in zip(session.get_inputs(), inputs, strict=True):
            binding.bind_input(edge.name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        for edge, array in zip(session.get_outputs(), (mixed, *cache), strict=True):
            binding.bind_output(edge.name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        session.run_with_iobinding(binding)
        found.append(mixed[0])
        first = last
    return np.concatenate(found)


@pytest.mark.parametrize("head_size", [64, 128, 160, 256, 512])
def test_rows_of_passes_that_end_alike_have_the_same_bits_and_those_of_small_heads_always(head_size: int) -> None:
    rows = np.random.default_rng(head_size).standard_normal((400, 6 * head_size)).astype(np.float32)
    session, differing = attention_alone(head_size), 0
    whole = attended(session, rows, head_size, (400,))
    for cuts in ((2, 40, 400), (64, 200, 400), (65, 150, 192, 400), (128, 256, 400), (100, 130, 320, 340, 400)):
        found = attended(session, rows, head_size, cuts)
        assert np.array_equal(found[cuts[-2] :], whole[cuts[-2] :])
        differing += int((found != whole).any(axis=1).sum())
    assert (differing > 0) == (head_size > ALIKE)
