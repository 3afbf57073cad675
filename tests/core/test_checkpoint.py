"""A checkpoint folder gives what a GGUF of the same model gives; transformers wrote the folders."""

import json
import shutil
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import tokenizers

from canopy_desktop.errors import SourceError
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.card import Architecture, Card, WeightForm
from canopy_desktop.model.checkpoint import open_checkpoint
from canopy_desktop.model.checkpoint_config import CLASSES, read_architecture
from canopy_desktop.model.checkpoint_json import Values
from canopy_desktop.model.model_import import bundle_id, import_source
from canopy_desktop.model.tokenizer import Tokenizer
from canopy_desktop.model.tokenizer_build import build_tokenizer_json
from tests.core.checkpoints import FOLDER, GGUF_OF, change, write_checkpoint, write_safetensors
from tests.core.command import Cli
from tests.reference import fixtures

IN_8_BITS = ("qwen2", "qwen3", "gemma3", "gpt2")  # those with widths of whole blocks
PIECES = ("llama-pieces", "gemma3", "gemma3-linear", "gemma3-wide")
USUAL = json.loads((FOLDER / "usual.json").read_text())
REQUIRED = {
    "hidden_size", "intermediate_size", "max_position_embeddings", "num_attention_heads", "num_hidden_layers",
    "vocab_size", "n_embd", "n_head", "n_layer", "n_positions",
}  # fmt: skip


def imported(source: Path, form: WeightForm, name: str, folder: Path) -> Card:
    made = import_source(source, form, name, folder, lambda doing, part: None)
    return Bundle.open(made.folder).card


@pytest.fixture
def qwen3(tmp_path: Path) -> Path:
    return write_checkpoint("qwen3", tmp_path / "Tiny-Qwen3.1")


# --- the same model


@pytest.mark.parametrize(
    ("name", "form"),
    [*((name, WeightForm.FP32) for name in GGUF_OF), *((name, WeightForm.INT8) for name in IN_8_BITS)],
)
def test_the_bundle_of_a_checkpoint_is_that_of_its_gguf_bit_for_bit(
    name: str, form: WeightForm, tmp_path: Path
) -> None:
    found = imported(write_checkpoint(name, tmp_path / name), form, "mine", tmp_path / "models")
    expected = imported(fixtures.tiny_model(GGUF_OF[name]).gguf, form, "other", tmp_path / "models")
    differing = [one.name for one, other in zip(found.files, expected.files, strict=True) if one != other]
    # a GGUF has scores of pieces, and merges are made of them in another order: their tokens are compared below
    assert differing == (["tokenizer.json"] if name in PIECES else [])
    assert found.architecture == expected.architecture
    assert found.end_ids == expected.end_ids
    assert (found.chat_template, found.template_variables) == (expected.chat_template, expected.template_variables)


def test_every_class_has_a_tiny_checkpoint_and_a_witness_of_what_it_takes_for_granted() -> None:
    written = [json.loads((FOLDER / name / "config.json").read_text()) for name in GGUF_OF]
    assert {name for config in written for name in config["architectures"]} == set(CLASSES) == set(USUAL)


@pytest.mark.parametrize("name", ["llama-factors", "mistral", "qwen2", "qwen3", "gemma3-wide", "gpt2"])
def test_what_config_json_leaves_out_is_what_transformers_takes_for_granted(name: str) -> None:
    said = json.loads((FOLDER / name / "config.json").read_text())
    for key, usual in USUAL[said["architectures"][0]].items():
        without = architecture({other: value for other, value in said.items() if other != key})
        if key in REQUIRED:
            assert without is None
        else:
            assert without == architecture(said | {key: usual}), key


def test_the_config_of_gpt2_medium_as_it_was_published_is_read() -> None:
    said = {
        "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
        "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 1024, "n_embd": 1024, "n_head": 16, "n_layer": 24,
        "n_positions": 1024, "n_special": 0, "predict_special_tokens": True, "resid_pdrop": 0.1,
        "summary_activation": None, "summary_first_dropout": 0.1, "summary_proj_to_labels": True,
        "summary_type": "cls_index", "summary_use_proj": True, "vocab_size": 50257,
        "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
    }  # fmt: skip
    found = architecture(said)
    assert found is not None
    assert (found.layers, found.heads, found.kv_heads, found.head_size) == (24, 16, 16, 64)
    assert (found.hidden, found.feed_forward, found.context, found.tied) == (1024, 4096, 1024, True)
    assert found.rope_base == 0.0
    for key, value in (
        ("activation_function", "relu"), ("scale_attn_by_inverse_layer_idx", True), ("scale_attn_weights", False),
        ("rope_theta", 10_000.0), ("hidden_size", 1024), ("add_cross_attention", True),
    ):  # fmt: skip
        assert architecture(said | {key: value}) is None


def architecture(said: dict[str, Any]) -> Architecture | None:
    """What a config.json is read as; None where it is refused."""
    try:
        return read_architecture(Values(Path("x"), "config.json", said))[1]
    except SourceError:
        return None


# --- as a person meets it


def test_a_folder_is_imported_known_again_and_told_apart_from_a_changed_one(
    command: Cli, qwen3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANOPY_MODELS", str(tmp_path / "models"))
    first = run(command, "models", "import", qwen3)
    assert first == {"id": "tiny-qwen3.1", "folder": str(tmp_path / "models" / "tiny-qwen3.1"), "imported": True}
    copy = shutil.copytree(qwen3, tmp_path / "copy")
    assert run(command, "models", "import", copy) == {**first, "imported": False}
    change(copy, "generation_config.json", eos_token_id=[1, 7])
    assert run(command, "models", "import", copy)["imported"]
    assert Bundle.open(tmp_path / "models" / "copy").card.end_ids == (1, 7)
    assert len(run(command, "trace", "a word", "--max-tokens", 3, "--model", "copy")["steps"]) == 3


def run(command: Cli, *arguments: object) -> Any:
    """What a command prints; progress goes to standard error."""
    status, out, err = command.run(*map(str, arguments), "--json")
    assert status == 0, err
    return json.loads(out)


@pytest.mark.parametrize(("folder", "expected"), [("Qwen2.5-0.5B", "qwen2.5-0.5b"), ("Mein Modell", "mein-modell")])
def test_a_model_is_called_as_its_folder(tmp_path: Path, folder: str, expected: str) -> None:
    (tmp_path / folder).mkdir()
    assert bundle_id(tmp_path / folder, WeightForm.INT8) == expected


def test_a_snapshot_of_the_hubs_cache_with_its_links_is_called_as_on_the_hub(tmp_path: Path, qwen3: Path) -> None:
    home = tmp_path / "models--some--Qwen3-Tiny"
    snapshot = home / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    (home / "blobs").mkdir()
    for number, path in enumerate(sorted(qwen3.iterdir())):
        path.rename(home / "blobs" / str(number))
        (snapshot / path.name).symlink_to(Path("..") / ".." / "blobs" / str(number))
    assert bundle_id(snapshot, WeightForm.INT8) == "qwen3-tiny"
    assert open_checkpoint(snapshot).title == "some/Qwen3-Tiny"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("---\nlanguage: en\nlicense: apache-2.0\ntags:\n---\n# A model\n", "apache-2.0"),
        ("# A model\nlicense: mit\n", None),
        ("---\ntags: x\n---\nlicense: mit\n", None),
    ],
)
def test_the_licence_is_what_the_description_begins_with(qwen3: Path, text: str, expected: str | None) -> None:
    assert open_checkpoint(qwen3).licence is None
    (qwen3 / "README.md").write_text(text)
    assert open_checkpoint(qwen3).licence == expected


# --- weights


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16"])
def test_weights_of_every_type_come_through_exactly(qwen3: Path, kind: str) -> None:
    drawn = np.random.default_rng(3).standard_normal((64, 32)).astype(np.float32)
    stored = drawn.astype({"F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}[kind])
    write_safetensors(qwen3, {"model.layers.1.mlp.up_proj.weight": (kind, stored)})
    found = open_checkpoint(qwen3).matrix("blk.1.ffn_up.weight")
    assert found.dtype == np.float32
    assert np.array_equal(found, stored.astype(np.float32))


@pytest.mark.parametrize(
    ("tiny", "base"), [("gpt2", "transformer."), ("gpt2-untied", "transformer."), ("qwen3", "model.")]
)
def test_a_model_that_was_saved_without_its_head_is_read_alike(tiny: str, base: str, tmp_path: Path) -> None:
    folder = write_checkpoint(tiny, tmp_path / tiny)
    expected = open_checkpoint(folder)
    names = ("token_embd.weight", "output_norm.weight", "blk.2.attn_v.weight", "blk.1.ffn_down.weight")
    before = {name: expected.matrix(name) for name in names}
    write_safetensors(folder, {}, tiny=tiny, base=base)
    found = open_checkpoint(folder)
    assert all(np.array_equal(found.matrix(name), before[name]) for name in names)


@pytest.mark.parametrize("kind", [np.float32, np.uint8])
def test_the_masks_in_old_files_of_gpt2_are_not_read(kind: type, tmp_path: Path) -> None:
    folder = write_checkpoint("gpt2", tmp_path / "gpt2")
    expected = open_checkpoint(folder).matrix("blk.0.attn_k.bias")
    mask = np.tri(256, dtype=kind)[None, None]
    masks = {f"h.{layer}.attn.bias": ({4: "F32", 1: "U8"}[mask.itemsize], mask) for layer in range(3)}
    write_safetensors(folder, masks, tiny="gpt2", base="transformer.")
    assert np.array_equal(open_checkpoint(folder).matrix("blk.0.attn_k.bias"), expected)
    write_safetensors(folder, {"wte.weight": ("U8", np.zeros((512, 32), np.uint8))}, tiny="gpt2", base="transformer.")
    with pytest.raises(SourceError, match=r"'wte\.weight' is of the type 'U8', which is not known"):
        open_checkpoint(folder).matrix("token_embd.weight")


def test_an_output_matrix_beside_a_tied_embedding_is_not_read(qwen3: Path) -> None:
    other = np.zeros((512, 32), np.float32)
    write_safetensors(qwen3, {"lm_head.weight": ("F32", other)})
    assert open_checkpoint(qwen3).architecture.tied


# --- rotation and windows


def test_the_rotation_is_read_alike_as_older_and_newer_transformers_write_it() -> None:
    said = json.loads((FOLDER / "llama-factors" / "config.json").read_text())
    scaling, base = said.pop("rope_scaling"), said.pop("rope_theta")
    newer = architecture(said | {"rope_parameters": scaling | {"rope_theta": base}})
    older = {"type" if key == "rope_type" else key: value for key, value in scaling.items()}
    assert newer is not None
    assert len(newer.rope_divisors) == 8
    assert newer == architecture(said | {"rope_theta": base, "rope_scaling": older})
    plain = architecture(said | {"rope_parameters": {"rope_type": "default", "rope_theta": 500_000.0}})
    assert plain is not None
    assert (plain.rope_base, plain.rope_divisors) == (500_000.0, ())


@pytest.mark.parametrize(
    ("name", "changes", "context"),
    [
        ("mistral", {"sliding_window": 7}, 7),
        ("mistral", {"sliding_window": None}, 2048),
        ("mistral", {"sliding_window": 4096}, 2048),
        ("qwen2", {"sliding_window": 7}, 2048),
        ("qwen2", {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 3, "layer_types": None}, 2048),
        ("qwen2", {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 2, "layer_types": None}, 7),
        ("qwen3", {"use_sliding_window": True, "sliding_window": 7, "layer_types": ["full_attention"] * 3}, 2048),
        ("qwen3", {"use_sliding_window": True, "sliding_window": 7, "layer_types": ["sliding_attention"] * 3}, 7),
    ],
)
def test_a_window_that_attention_slides_over_ends_the_context(name: str, changes: Any, context: int) -> None:
    found = architecture(json.loads((FOLDER / name / "config.json").read_text()) | changes)
    assert found is not None
    assert found.context == context


def test_local_layers_are_read_alike_as_older_and_newer_transformers_write_them() -> None:
    said = json.loads((FOLDER / "gemma3-linear" / "config.json").read_text())
    usual = architecture(said)
    assert usual is not None
    assert (usual.context, usual.window, usual.window_period, usual.window_rope_base) == (2048, 5, 6, 10_000.0)
    assert set(usual.rope_divisors) == {4.0}
    older = {key: value for key, value in said.items() if key not in ("layer_types", "_sliding_window_pattern")}
    assert architecture(older) == architecture(older | {"sliding_window_pattern": 6}) == usual
    newer = {key: value for key, value in said.items() if "rope" not in key}
    rotations = {
        "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1_000_000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
    }
    assert architecture(newer | {"rope_parameters": rotations}) == usual
    other = architecture(
        older | {"sliding_window_pattern": 2, "rope_local_base_freq": 500.0, "query_pre_attn_scalar": 4}
    )
    assert other is not None
    assert (other.window_period, other.window_rope_base, other.attention_scale) == (2, 500.0, 0.5)


# --- tokenizers


@pytest.mark.parametrize("name", ["llama", "llama-factors", "llama-linear", "qwen3", "dbrx"])
def test_tokens_are_those_of_the_checkpoints_own_tokenizer(name: str, tmp_path: Path) -> None:
    """Where accents are composed before a text is cut, of the composed text: nothing is composed here."""
    folder = write_checkpoint("llama-factors" if name == "dbrx" else name, tmp_path / name)
    if name == "dbrx":
        model = json.loads((folder / "tokenizer.json").read_text())["model"]
        change(folder, "tokenizer.json", model=model | {"ignore_merges": False})
    published = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    made = tokenizer_of(folder)
    texts = fixtures.cut_texts()[0].texts
    composed = [published.normalizer.normalize_str(text) if published.normalizer else text for text in texts]
    found = [made.encode(text).ids for text in composed]
    expected = [tuple(published.encode(text, add_special_tokens=False).ids) for text in texts]
    assert [row for row in zip(texts, found, expected, strict=True) if row[1] != row[2]] == []
    assert made.begin == (made.token(0) if published.encode("a").ids[0] == 0 else None)


@pytest.mark.parametrize("name", ["llama-pieces", "gemma3"])
def test_tokens_of_pieces_are_those_of_the_checkpoints_own_tokenizer_and_llama_cpps(name: str, tmp_path: Path) -> None:
    folder = write_checkpoint(name, tmp_path / name)
    published = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    made = tokenizer_of(folder)
    (texts,) = (
        texts for texts in fixtures.piece_texts() if texts.special and texts.space_prefix == (name == "llama-pieces")
    )
    found = [made.encode(text).ids for text in texts.texts]
    assert found == [tuple(published.encode(text, add_special_tokens=False).ids) for text in texts.texts]
    assert found == list(texts.ids)
    assert made.begin == made.token(1)


def tokenizer_of(folder: Path) -> Tokenizer:
    """The tokenizer that a checkpoint becomes."""
    made = folder.parent / "made.json"
    made.write_text(build_tokenizer_json(open_checkpoint(folder).tokenizer), "utf-8")
    return Tokenizer.open(made)


@pytest.mark.parametrize("normalized", [True, False])
def test_an_added_token_of_spaces_has_their_bytes_whenever_it_is_found(tmp_path: Path, normalized: bool) -> None:
    folder = write_checkpoint("gemma3", tmp_path / "gemma3")
    said = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    added = [token | {"normalized": normalized and not token["special"]} for token in said["added_tokens"]]
    change(folder, "tokenizer.json", added_tokens=added)
    spaces = next(token["id"] for token in added if token["content"] == "▁▁▁")
    published = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    made = tokenizer_of(folder)
    assert made.token(spaces).data == b"   "
    texts = ("a   b", "a    b", "    ", "a \n\n   <b>   x")
    assert [made.encode(text).ids for text in texts] == [tuple(published.encode(text).ids[1:]) for text in texts]
    assert (spaces in made.encode("a   b").ids) == normalized


def test_an_added_token_beyond_the_embedding_is_left_out(tmp_path: Path) -> None:
    folder = write_checkpoint("gemma3", tmp_path / "gemma3")
    said = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    image = said["added_tokens"][-1] | {"id": 512, "content": "<image_soft_token>"}
    change(folder, "tokenizer.json", added_tokens=[*said["added_tokens"], image])
    words = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))["added_tokens_decoder"]
    change(folder, "tokenizer_config.json", added_tokens_decoder=words | {"512": image})
    assert tokenizer_of(folder).decode(tokenizer_of(folder).encode("<image_soft_token>").ids) == "<image_soft_token>"
    assert (
        open_checkpoint(folder).tokenizer
        == open_checkpoint(write_checkpoint("gemma3", tmp_path / "as it was")).tokenizer
    )


@pytest.mark.parametrize("name", ["llama", "gemma3"])
def test_a_tokenizer_that_older_programs_wrote_is_read_alike(name: str, tmp_path: Path) -> None:
    folder = write_checkpoint(name, tmp_path / name)
    newer = open_checkpoint(folder).tokenizer
    said = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    model = {key: value for key, value in said["model"].items() if key not in ("ignore_merges", "dropout")}
    change(folder, "tokenizer.json", model=model | {"merges": [" ".join(merge) for merge in said["model"]["merges"]]})
    assert open_checkpoint(folder).tokenizer == newer


def test_rows_of_the_embedding_without_a_token_are_called_as_in_a_gguf(qwen3: Path) -> None:
    change(qwen3, "config.json", vocab_size=514)
    write_safetensors(qwen3, {"model.embed_tokens.weight": ("F32", np.ones((514, 32), np.float32))})
    vocab: dict[str, int] = json.loads((qwen3 / "tokenizer.json").read_text())["model"]["vocab"]
    tokens = open_checkpoint(qwen3).tokenizer.tokens
    assert tokens == (*sorted(vocab, key=vocab.__getitem__), "[PAD512]", "[PAD513]")


def test_tokens_end_a_generation_whoever_of_the_three_files_names_them(qwen3: Path) -> None:
    change(qwen3, "generation_config.json", eos_token_id=[9, 8])
    change(qwen3, "config.json", eos_token_id=7)
    assert open_checkpoint(qwen3).tokenizer.end_ids == (1, 7, 8, 9)


def test_added_tokens_keep_their_bytes_and_their_kind(qwen3: Path) -> None:
    added = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True}
    said = json.loads((qwen3 / "tokenizer.json").read_text())["added_tokens"]
    more = [{"id": 510, "content": "<thïnk> it", "special": False}, {"id": 511, "content": "日", "special": True}]
    vocab = json.loads((qwen3 / "tokenizer.json").read_text())["model"]
    gone = {text for text, token_id in vocab["vocab"].items() if token_id >= 510}
    merges = [merge for merge in vocab["merges"] if not gone & {*merge, "".join(merge)}]
    kept = {text: token_id for text, token_id in vocab["vocab"].items() if text not in gone}
    change(qwen3, "tokenizer.json", model=vocab | {"vocab": kept, "merges": merges})
    change(qwen3, "tokenizer.json", added_tokens=[*said, *(added | token for token in more)])
    made = tokenizer_of(qwen3)
    assert [(token.data.decode(), token.special) for token in made.tokens((510, 511))] == [
        ("<thïnk> it", False), ("日", True),
    ]  # fmt: skip
    assert {510, 511} <= set(made.encode("a<thïnk> it日").ids)


@pytest.mark.parametrize(
    ("said", "file", "expected"),
    [
        ("as text", None, "as text"),
        ([{"name": "tools", "template": "x"}, {"name": "default", "template": "the default"}], None, "the default"),
        ([{"name": "tools", "template": "x"}], None, None),
        ("as text", "of a file", "of a file"),
        (None, None, None),
    ],
)
def test_the_chat_template_is_that_of_its_own_file_or_the_default_one(
    qwen3: Path, said: Any, file: str | None, expected: str | None
) -> None:
    change(qwen3, "tokenizer_config.json", chat_template=said)
    if file is not None:
        (qwen3 / "chat_template.jinja").write_text(file)
    assert open_checkpoint(qwen3).tokenizer.chat_template == expected


def test_a_token_that_is_written_as_an_object_is_named_to_the_template(qwen3: Path) -> None:
    change(qwen3, "tokenizer_config.json", bos_token={"content": "<|eot_id|>"}, chat_template="{{ bos_token }}")
    assert open_checkpoint(qwen3).tokenizer.template_variables == (("bos_token", "<|eot_id|>"),)
