"""A graph of a kind that cannot be built is run as it is, and gives what it gave before."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import ColumnsGoneError, NotGivenError
from canopy_desktop.exploration import storage
from canopy_desktop.exploration.generation import Generation
from canopy_desktop.exploration.memory_needed import memory_needed
from canopy_desktop.exploration.records import Kept, RunFinished, StepRecord
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.exploration.window import ContextWindow, WhenFull
from canopy_desktop.model.batch import BatchDecoder
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.card import WeightForm
from canopy_desktop.model.model_import import bundle_id, runs_as_it_is
from canopy_desktop.model.provider import CudaProblem, ProviderChoice, Refusal
from tests.core.checkpoints import change
from tests.core.command import Cli
from tests.core.engine import all_logits, go_on, one_by_one, plain_prompt, prefill
from tests.core.exports import tiny_of, whole_graph, write_folder
from tests.core.given import closed, graph_of, imported, write_given, write_unknown
from tests.reference import fixtures
from tests.support.keeping import begin, beginning, kept, reread, run

LOGIT, ATTENTION, RESIDUAL = 1e-3, 1e-4, 1e-3
FORMS = {"qwen2-merged": LOGIT, "qwen2-built": LOGIT, "qwen2-fp16": 0.1, "qwen2-q4": None, "qwen2-uint8": None}


@pytest.fixture(scope="module", params=fixtures.GIVEN_MODELS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Bundle]:
    name: str = request.param
    folder = tmp_path_factory.mktemp(name)
    return name, imported(write_given(name, folder / "source"), folder / "models")


@pytest.fixture(scope="module")
def unknown(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Bundle]:
    """The bundle of an export whose class nobody knows."""
    folder = tmp_path_factory.mktemp("unknown")

    @cache
    def made(name: str) -> Bundle:
        return imported(write_unknown(name, folder / name), folder / "models", name)

    return made


@pytest.fixture(scope="module")
def session(model: tuple[str, Bundle]) -> ModelSession:
    return ModelSession.open(model[1], ProviderChoice.CPU)


@pytest.fixture
def reference(model: tuple[str, Bundle]) -> fixtures.GivenModel:
    return fixtures.given_model(model[0])


# --- what it gives


def test_logits_are_those_of_transformers_however_a_text_is_cut(
    session: ModelSession, reference: fixtures.GivenModel
) -> None:
    ids = reference.ids
    for size in (len(ids), 7, 2):
        prefill(session, ids, size)
        assert np.abs(all_logits(session) - reference.logits).max() <= LOGIT
    session.sequence.forget()
    assert np.abs(one_by_one(session, ids) - reference.logits).max() <= LOGIT


def test_greedy_tokens_are_those_of_transformers(session: ModelSession, reference: fixtures.GivenModel) -> None:
    generation = session.new_generation()
    generation.begin(1, plain_prompt(reference.ids), DecodingSettings(max_tokens=len(reference.greedy)))
    assert written(generation) == list(reference.greedy)


def written(generation: Generation) -> list[int]:
    found = []
    while not isinstance(event := generation.advance(), RunFinished):
        if isinstance(event, StepRecord):
            found.append(event.chosen.token_id)
    return found


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_a_decoder_runs_as_it_is(name: str, unknown: Callable[[str], Bundle]) -> None:
    bundle = unknown(name)
    session, reference = ModelSession.open(bundle, ProviderChoice.CPU), fixtures.tiny_model(tiny_of(name))
    prefill(session, reference.ids, 7)
    apart = float(np.abs(all_logits(session) - reference.logits).max())
    assert apart <= (FORMS[name] or 0.5 * np.abs(reference.logits).max())
    assert bundle.card.architecture.is_given


def test_the_card_says_what_the_graph_is_and_what_it_gives(model: tuple[str, Bundle]) -> None:
    name, bundle = model
    a, heads = bundle.card.architecture, {"gpt_neox": (5, 8), "opt": (4, 8)}[name]
    assert (a.layers, a.heads, a.kv_heads, a.head_size) == (3, heads[0], heads[0], heads[1])
    assert (a.vocabulary, a.context, a.is_given, a.queries, a.residuals) == (512, 96, True, True, True)
    assert a.hidden == {"gpt_neox": 40, "opt": 32}[name]
    assert bundle.card.weights is WeightForm.GIVEN
    assert bundle.card.end_ids == (1,)


def test_the_original_is_not_changed_and_its_weights_are_copied_byte_for_byte(tmp_path: Path) -> None:
    source = write_given("opt", tmp_path / "source")
    bundle = imported(source, tmp_path / "models")
    assert (source / "model.onnx").read_bytes() == graph_of("opt")
    kept = (bundle.folder / "weights.bin").read_bytes()
    weights = {tensor.name: tensor for tensor in onnx.load(source / "model.onnx").graph.initializer}
    large = [tensor.raw_data for tensor in weights.values() if len(tensor.raw_data) >= 1024]
    assert len(large) > 10
    assert all(raw in kept for raw in large)


def test_weights_beside_a_graph_are_brought_along(tmp_path: Path) -> None:
    source = write_given("opt", tmp_path / "source")
    beside = onnx.load(source / "model.onnx")
    onnx.save_model(beside, source / "model.onnx", save_as_external_data=True, location="data", size_threshold=256)
    within = imported(write_given("opt", tmp_path / "within"), tmp_path / "models", "within")
    found = imported(source, tmp_path / "models")
    for bundle in (found, within):
        session = ModelSession.open(bundle, ProviderChoice.CPU)
        assert np.abs(prefill(session, range(20)) - prefill(session, range(20), 5)).max() <= LOGIT
    assert (source / "data").stat().st_size > 100_000


def test_it_is_called_as_it_is_and_built_kinds_are_still_built(tmp_path: Path) -> None:
    given, known = write_given("opt", tmp_path / "Some OPT"), write_folder("qwen2", tmp_path / "qwen2")
    assert bundle_id(given, WeightForm.FP32) == bundle_id(given, WeightForm.INT8) == "some-opt"
    assert runs_as_it_is(given)
    assert not runs_as_it_is(known)
    change(known, "config.json", rope_scaling={"rope_type": "yarn", "factor": 4.0})
    assert runs_as_it_is(known)  # of a known class, and rotated as nothing is built here


def test_it_has_no_precision_to_choose_and_the_list_says_what_it_gives(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANOPY_MODELS", str(tmp_path / "models"))
    command = Cli(capsys, tmp_path)
    source = str(write_given("opt", tmp_path / "source"))
    status, sentence = command.refused("models", "import", source, "--precision", "fp32", model=None)
    assert status == 2
    assert "run as its own graph" in sentence
    assert command.run("models", "import", source)[0] == 0
    listed = {model["id"]: model["gives"] for model in json.loads(command.run("models", "list", "--json")[1])["models"]}
    assert listed["source"] == ["logits", "cache", "residuals", "queries"]
    assert "run as its own graph" in command.run("models", "list")[1]


def test_a_known_class_whose_weights_are_kept_in_an_unknown_way_runs_as_its_own_graph(tmp_path: Path) -> None:
    model = whole_graph("qwen2")
    product = next(node for node in model.graph.node if node.name == "/model/layers.1/self_attn/q_proj/MatMul")
    product.name = "renamed"
    source = write_folder("qwen2", tmp_path / "source")
    (source / "model.onnx").write_bytes(model.SerializeToString())
    bundle = imported(source, tmp_path / "models")
    assert bundle.card.weights is WeightForm.GIVEN
    assert bundle.card.architecture.is_given


# --- the cache


def test_going_back_and_another_branch_give_the_bits_of_the_first_time(
    session: ModelSession, reference: fixtures.GivenModel
) -> None:
    ids = reference.ids
    prefill(session, ids[:10])
    after = one_by_one(session, ids[10:14])
    first = session.sequence.slots.copy()
    session.sequence.go_to(first[:11])
    other = one_by_one(session, [7, 8])
    second = session.sequence.slots.copy()
    session.sequence.go_to(first[:11])
    assert np.array_equal(one_by_one(session, ids[11:14]), after[1:])
    session.sequence.go_to(second[:12])
    assert np.array_equal(one_by_one(session, [8]), other[1:])


def test_a_row_of_a_batch_has_the_bits_of_single_steps(session: ModelSession, reference: fixtures.GivenModel) -> None:
    prefill(session, reference.ids)
    batch = BatchDecoder.forked(session.sequence.decoder, 3, room=8)
    steps = np.stack([batch.feed([5, 6, 7])[0], batch.feed([8, 9, 10])[0]])
    start = session.sequence.slots.copy()
    for row, text in enumerate(([5, 8], [6, 9], [7, 10])):
        session.sequence.go_to(start)
        assert np.array_equal(one_by_one(session, text), steps[:, row])


def test_an_interrupted_pass_changes_nothing(session: ModelSession, reference: fixtures.GivenModel) -> None:
    expected = go_on_after(session, reference.ids)
    prefill(session, reference.ids)
    decoder = session.sequence.decoder
    keys = decoder.cache.keys[0][:, :, :24].copy()
    decoder.hold()
    with pytest.raises(Exception, match="interrupted"):
        session.sequence.feed([3])
    decoder.release()
    assert np.array_equal(decoder.cache.keys[0][:, :, :24], keys)
    assert np.array_equal(go_on(session, [3, 4]), expected)


def go_on_after(session: ModelSession, ids: tuple[int, ...]) -> np.ndarray:
    prefill(session, ids)
    return go_on(session, [3, 4])


@pytest.mark.parametrize("slides", [False, True])
def test_a_kept_run_comes_back_bit_for_bit_and_goes_on_as_if_never_closed(session: ModelSession, slides: bool) -> None:
    warm = DecodingSettings(temperature=1.2, seed=3, min_tokens=30, max_tokens=30)
    begun = beginning(session, "ab ab ab", warm, ContextWindow(size=24, when_full=WhenFull.SLIDE) if slides else None)
    whole = session.new_generation()
    begin(whole, begun)
    steps = run(whole)
    assert len(steps) == 30
    sequence = session.sequence
    left = [array.copy() for array in (sequence.slots, *bits_of(session))]

    generation = session.new_generation()
    begin(generation, begun)
    while len(generation.exploration.steps) < 12:
        generation.advance()
    again = reread(kept(begun, generation), session.tokenizer)
    generation = session.new_generation()
    generation.reopen(2, again)
    while generation.replaying:
        generation.advance()
    generation.resume(3, warm, taken=12)
    run(generation)
    assert [step.chosen for step in generation.exploration.steps] == [step.chosen for step in steps]
    for one, other in zip(left[1:], bits_of(session), strict=True):
        assert np.array_equal(one, other)


def bits_of(session: ModelSession) -> list[np.ndarray]:
    sequence = session.sequence
    parts = [sequence.columns.residuals(sequence.slots, -1)]
    for found in (sequence.keys(sequence.slots, 2, 1), sequence.values(sequence.slots, 2, 1)):
        assert found is not None
        parts.append(found)
    return parts


@pytest.mark.parametrize("name", ["qwen2-q4", "qwen2-uint8"])
def test_rounded_graphs_repeat_a_step_alone_in_a_batch_and_from_its_column(
    name: str, unknown: Callable[[str], Bundle]
) -> None:
    session = ModelSession.open(unknown(name), ProviderChoice.CPU)
    prefill(session, range(20, 40))
    batch = BatchDecoder.forked(session.sequence.decoder, 3)
    together = batch.feed([5, 6, 7])[0]
    alone = one_by_one(session, [6])[0]
    assert np.array_equal(together[1], alone)
    assert np.array_equal(all_logits(session)[-1], alone)


# --- what is recognised


def test_attention_and_residuals_are_those_of_transformers(
    session: ModelSession, reference: fixtures.GivenModel
) -> None:
    prefill(session, reference.ids[:20])
    one_by_one(session, reference.ids[20:])
    compare_looks(session, reference.attention, reference.residuals)


def compare_looks(session: ModelSession, attention: np.ndarray, residuals: np.ndarray) -> None:
    columns, slots, reader = session.sequence.columns, session.sequence.slots, session.new_reader()
    for row, expected in enumerate(residuals):
        assert np.abs(columns.residuals(slots, row) - expected).max() <= RESIDUAL
    for layer, heads in enumerate(attention):
        for head, weights in enumerate(heads):
            reading = reader.attention(slots, layer, head, hide_first=False)
            assert reading is not None
            assert np.abs(np.nan_to_num(reading.values) - weights).max() <= ATTENTION


# What is recognised of each form: queries, residuals.
RECOGNISED = {
    "qwen3": (True, True), "gpt2-opset14": (True, True), "qwen2-uint8": (True, True),
    "qwen2-built": (True, True), "qwen3-built-q4": (True, True),  # one operator for all of attention, packed or not
    "qwen2-merged": (True, True),  # two graphs, of which the one with a past is taken
}  # fmt: skip


@pytest.mark.parametrize("name", RECOGNISED)
def test_what_is_recognised_is_what_transformers_computes_and_all_else_is_left_out(
    name: str, unknown: Callable[[str], Bundle]
) -> None:
    bundle = unknown(name)
    a, reference = bundle.card.architecture, fixtures.tiny_model(tiny_of(name))
    assert (a.queries, a.residuals) == RECOGNISED[name]
    if "uint8" not in name and "q4" not in name:
        session = ModelSession.open(bundle, ProviderChoice.CPU)
        prefill(session, reference.ids)
        compare_looks(session, reference.attention[: 3 * a.queries], reference.residuals[: 4 * a.residuals])


def test_a_branch_that_needs_a_past_leaves_a_merged_decoder_as_it_is(tmp_path: Path) -> None:
    model = whole_graph("qwen2-merged")
    branch = next(part.g for part in model.graph.node[0].attribute if part.name == "then_branch")
    maker = next(node for node in branch.node if "logits" in node.output)
    maker.output[:] = ["first"]
    branch.initializer.extend(
        [numpy_helper.from_array(np.array(0), "begin"), numpy_helper.from_array(np.array(0, np.float32), "nothing")]
    )
    branch.node.extend([
        helper.make_node("Gather", ["past_key_values.0.key", "begin"], ["oldest"], axis=2),
        helper.make_node("ReduceSum", ["oldest"], ["number"], keepdims=0),
        helper.make_node("Mul", ["number", "nothing"], ["zero"]),
        helper.make_node("Add", ["first", "zero"], ["logits"]),
    ])  # fmt: skip
    source = write_unknown("qwen2-merged", tmp_path / "source")
    (source / "model.onnx").write_bytes(model.SerializeToString())
    bundle = imported(source, tmp_path / "models")
    assert bundle.card.architecture.gives == ("logits", "cache")
    session = ModelSession.open(bundle, ProviderChoice.CPU)
    prefill(session, fixtures.tiny_model("qwen2").ids, 7)
    assert np.abs(all_logits(session) - fixtures.tiny_model("qwen2").logits).max() <= LOGIT


def test_a_decoder_that_takes_one_token_over_a_past_gets_them_one_by_one(tmp_path: Path) -> None:
    model = whole_graph("qwen2-merged")
    branch = next(part.g for part in model.graph.node[0].attribute if part.name == "then_branch")
    for node in branch.node:
        node.input[:] = ["one" if name == "input_ids" else name for name in node.input]
    branch.initializer.append(numpy_helper.from_array(np.array([1, 1]), "one.shape"))
    branch.node.insert(0, helper.make_node("Reshape", ["input_ids", "one.shape"], ["one"]))
    source = write_unknown("qwen2-merged", tmp_path / "source")
    (source / "model.onnx").write_bytes(model.SerializeToString())
    bundle, reference = imported(source, tmp_path / "models"), fixtures.tiny_model("qwen2")
    assert bundle.card.architecture.steps_alone
    session = ModelSession.open(bundle, ProviderChoice.CPU)
    prefill(session, reference.ids, 7)
    assert np.abs(all_logits(session) - reference.logits).max() <= LOGIT


def test_the_last_layer_of_the_lens_is_the_models_own_answer(session: ModelSession) -> None:
    logits = prefill(session, range(30, 50))
    columns, last = session.sequence.columns, session.sequence.slots[-1:]
    assert np.array_equal(session.head.logits(columns.residuals(last, 3))[0], logits)
    assert not np.allclose(session.head.logits(columns.residuals(last, 2))[0], logits, atol=0.1)


def test_attention_that_a_file_keeps_is_the_same_without_the_model(session: ModelSession, tmp_path: Path) -> None:
    begun = beginning(session, "ab cd ab", DecodingSettings(min_tokens=4, max_tokens=4))
    generation = session.new_generation()
    begin(generation, begun)
    run(generation)
    tree, reader = generation.exploration, session.new_reader()
    slots = tree.slots(tree.cursor)
    was = replace(kept(begun, generation), attention=reader.keep(slots, tree.cursor))
    storage.save(tmp_path / "a.canopy", was, session.tokenizer)
    alone = storage.load(tmp_path / "a.canopy").attention.reader()
    shown = alone.attention(np.arange(slots.size), 1, 2, hide_first=False)
    assert np.array_equal(shown.values, reader.attention(slots, 1, 2, hide_first=False).values, equal_nan=True)


def test_queries_that_made_room_are_made_again_with_the_same_bits(model: tuple[str, Bundle]) -> None:
    session = ModelSession.open(model[1], ProviderChoice.CPU)
    prefill(session, range(30, 70))
    one_by_one(session, range(6))
    sequence, slots = session.sequence, session.sequence.slots.copy()
    before = sequence.columns.queries(slots, 1)
    sequence.columns.evict(10**9, np.empty(0, np.int64))
    with pytest.raises(ColumnsGoneError):
        sequence.columns.queries(slots, 1)
    assert list(sequence.remake(slots, Kept.QUERIES))
    assert np.array_equal(sequence.columns.queries(slots, 1), before)


def test_any_scale_of_products_is_found(tmp_path: Path) -> None:
    model = onnx.load_model_from_string(graph_of("opt"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(1.7, np.float32), "factor"))
    for place, node in enumerate([node for node in model.graph.node if node.op_type == "Softmax"]):
        model.graph.node.append(helper.make_node("Mul", [node.input[0], "factor"], [f"scaled.{place}"]))
        node.input[0] = f"scaled.{place}"
    a = imported(write_given("opt", tmp_path / "source", model), tmp_path / "models").card.architecture
    assert a.queries
    assert a.attention_scale == pytest.approx(1.7, rel=1e-4)


def test_a_window_that_config_json_tells_of_leaves_queries_out(tmp_path: Path) -> None:
    source = write_given("gpt_neox", tmp_path / "source")
    change(source, "config.json", sliding_window=64)
    assert not imported(source, tmp_path / "models").card.architecture.queries


# --- what it does not give


@pytest.fixture(scope="module")
def shut(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("closed")
    return imported(write_given("opt", folder / "source", closed("opt")), folder / "models")


def test_what_the_graph_does_not_give_is_said_and_logits_are_kept_in_its_place(shut: Bundle) -> None:
    session = ModelSession.open(shut, ProviderChoice.CPU)
    prefill(session, range(20))
    sequence, slots = session.sequence, session.sequence.slots
    with pytest.raises(NotGivenError, match="no queries"):
        sequence.columns.queries(slots, 0)
    with pytest.raises(NotGivenError, match="no residuals"):
        sequence.columns.residuals(slots, 1)
    a = session.card.architecture
    assert sequence.columns.bytes == len(slots) * a.vocabulary * 4
    assert a.gives == ("logits", "cache")


REFUSED = {
    ("attention", "ab"): "no queries",
    ("lens", "ab"): "no residuals",
    ("inside", "ab", "--layer", "0", "--head", "0", "--position", "0"): "no way to look inside of a block",
    ("block", "ab", "--query", "1", "--key", "0"): "no way to block attention",
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_a_command_that_needs_what_is_not_given_says_so(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str], shut: Bundle
) -> None:
    status, sentence = Cli(capsys, shut.folder).refused(*arguments)
    assert status == 1
    assert REFUSED[arguments] in sentence


ANSWERED = (
    ("trace", "ab", "--max-tokens", "3"), ("beams", "ab", "--num-beams", "2", "--max-tokens", "3"),
    ("draws", "ab", "--count", "3", "--max-tokens", "2"), ("score", "ab ab"), ("leave-out", "ab cd"),
    ("race", "ab", "--max-tokens", "3"), ("compare", "ab", "--and", "temperature=0.5", "--max-tokens", "3"),
    ("bench", "--contexts", "8"), ("doctor",), ("attention", "ab"), ("lens", "ab"),
)  # fmt: skip


@pytest.mark.parametrize("model", ["gpt_neox"], indirect=True)
@pytest.mark.parametrize("arguments", ANSWERED)
def test_every_other_command_works(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str], model: tuple[str, Bundle]
) -> None:
    assert Cli(capsys, model[1].folder).json(*arguments)


def test_memory_is_predicted_from_the_card_and_never_without_the_cache_of_a_pass(model: tuple[str, Bundle]) -> None:
    card = model[1].card
    short, long = (memory_needed(card, context, budget=0) for context in (32, 64))
    assert long.cache == 2 * short.cache == 3 * 64 * card.architecture.kv_bytes_per_token
    assert long.columns == 64 * card.architecture.hidden * 4
    everything = memory_needed(card, 64, budget=10**12).columns
    a = card.architecture
    assert everything - long.columns == 64 * 3 * (a.heads * a.head_size + a.hidden) * 4
    assert long.weights >= sum(entry.bytes for entry in card.files if entry.name == "weights.bin")


def test_on_a_machine_with_a_card_it_says_why_it_stays_on_the_cpu(model: tuple[str, Bundle]) -> None:
    assert "own graph" in Refusal(CudaProblem.OWN_GRAPH).sentence
    assert model[1].cuda_decoder is None
