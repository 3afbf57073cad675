"""A bundle may come from anywhere: it opens whole, or not at all, and nothing outside its folder is looked at."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper

from canopy_desktop.commands.models import import_bundle
from canopy_desktop.errors import BundleError
from canopy_desktop.model.bundle import Bundle, file_sum
from tests.core import tiny

Edit = Callable[[ModelProto], object]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.build(tmp_path_factory.mktemp("pristine"))


@pytest.fixture
def bundle(pristine: Path, tmp_path: Path) -> Path:
    """A bundle of one's own to break."""
    return Path(shutil.copytree(pristine, tmp_path / "bundle"))


def refused(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        Bundle.open(folder)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert len(sentence) < len(str(folder)) + 400
    return sentence


def write_card(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "card.json"
    card = json.loads(path.read_text())
    edit(card)
    path.write_text(json.dumps(card))


def sign(folder: Path) -> None:
    """Give the card the sums of the files as they are: an attacker would."""

    def edit(card: dict[str, Any]) -> None:
        for entry in card["files"]:
            found = file_sum(folder / entry["name"])
            entry |= {"bytes": found.bytes, "sha256": found.sha256}

    write_card(folder, edit)


def edit_graph(folder: Path, edit: Edit, name: str = "model.onnx") -> None:
    model = onnx.load_model(str(folder / name), load_external_data=False)
    edit(model)
    (folder / name).write_bytes(model.SerializeToString())
    sign(folder)


def external(location: str, offset: str = "0", length: str = "64", **more: str) -> TensorProto:
    tensor = TensorProto(name="stolen", data_type=TensorProto.UINT8, dims=[64], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, "offset": offset, "length": length, **more}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def constant(tensor: TensorProto) -> NodeProto:
    return helper.make_node("Constant", [], ["c"], value=tensor)


def inner_graph(tensor: TensorProto) -> GraphProto:
    return helper.make_graph([constant(tensor)], "inner", [], [])


def add_twice(model: ModelProto) -> None:
    tensor = external("weights.bin")
    tensor.external_data.add(key="location", value="../secret")
    model.graph.initializer.append(tensor)


def add_undeclared(model: ModelProto) -> None:
    tensor = external("../secret")
    tensor.data_location = TensorProto.DEFAULT
    model.graph.initializer.append(tensor)


def add_sparse(model: ModelProto) -> None:
    model.graph.sparse_initializer.add(values=external("../secret"), indices=external("../secret"), dims=[64])


def add_sparse_attribute(model: ModelProto) -> None:
    node = helper.make_node("Constant", [], ["c"])
    attribute = node.attribute.add(name="sparse_value", type=AttributeProto.SPARSE_TENSOR)
    attribute.sparse_tensor.values.CopyFrom(external("../secret"))
    model.graph.node.append(node)


def add_mislabelled_attribute(model: ModelProto) -> None:
    attribute = model.graph.node[0].attribute.add(name="axis", type=AttributeProto.INT, i=0)
    attribute.t.CopyFrom(external("../secret"))


def add_deep(model: ModelProto) -> None:
    inner = inner_graph(external("../secret"))
    for _ in range(20):
        inner = helper.make_graph([helper.make_node("If", ["x"], ["y"], then_branch=inner)], "inner", [], [])
    model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner))


def add_training(model: ModelProto) -> None:
    model.training_info.add().initialization.initializer.append(external("../secret"))


def add_function(model: ModelProto) -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    model.functions.append(helper.make_function("own", "F", ["x"], ["y"], [node], [helper.make_opsetid("", 21)]))


def rename(values: Any, old: str, new: str) -> None:
    next(value for value in values if value.name == old).name = new


def remove_output(model: ModelProto) -> None:
    del model.graph.output[-1]


def swap_kind(model: ModelProto) -> None:
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16


def move_output_to_inputs(model: ModelProto) -> None:
    model.graph.input.append(model.graph.output.pop())


def add_initializer(*place: str, **more: str) -> Edit:
    return lambda model: model.graph.initializer.append(external(*place, **more))


def add_node(*arguments: Any, **attributes: Any) -> Edit:
    return lambda model: model.graph.node.append(helper.make_node(*arguments, **attributes))


GRAPHS: dict[str, Edit] = {
    "weights in a file above": add_initializer("../secret"),
    "weights two folders above": add_initializer("../../etc/passwd"),
    "weights in an absolute file": add_initializer("/etc/passwd"),
    "weights in the folder, the long way": add_initializer("./weights.bin"),
    "weights in the card": add_initializer("card.json"),
    "weights in the memory of the process": add_initializer("*/_ORT_MEM_ADDR_/*", "4096"),
    "weights in no file": add_initializer(""),
    "weights that start before the file": add_initializer("weights.bin", "-1"),
    "weights that start after the file": add_initializer("weights.bin", str(2**40)),
    "weights that end after the file": add_initializer("weights.bin", "0", str(2**40)),
    "weights of a negative length": add_initializer("weights.bin", "64", "-64"),
    "weights at no number": add_initializer("weights.bin", "x"),
    "weights at a number of 5,000 digits": add_initializer("weights.bin", "9" * 5000),
    "weights with another block elsewhere": add_initializer("weights.bin", prepacked_0="k|0;64;x"),
    "weights in two places": add_twice,
    "weights elsewhere that call themselves local": add_undeclared,
    "sparse weights in a file above": add_sparse,
    "a sparse attribute in a file above": add_sparse_attribute,
    "a tensor behind a number": add_mislabelled_attribute,
    "a constant in a file above": lambda model: model.graph.node.append(constant(external("../secret"))),
    "a constant in a graph in a graph": add_deep,
    "a list of graphs": add_node("Scan", ["x"], ["y"], bodies=[inner_graph(external("../secret"))]),
    "a list of tensors": add_node("Foo", ["x"], ["y"], values=[external("../secret")]),
    "a training graph": add_training,
    "a function of its own": add_function,
    "an operator of its own": add_node("Steal", ["x"], ["y"], domain="evil"),
    "an operator that reads a file": add_node(
        "EPContext", ["x"], ["y"], domain="com.microsoft", ep_cache_context="../secret"
    ),
    "an operator that fills the memory": add_node("ConstantOfShape", ["x"], ["y"]),
    "an output less": remove_output,
    "an output of another name": lambda model: rename(model.graph.output, "residual.0", "residual.x"),
    "an output of another kind": swap_kind,
    "an output that is an input": move_output_to_inputs,
    "an input less": lambda model: model.graph.input.pop(0),
    "an input more": lambda model: model.graph.input.append(helper.make_tensor_value_info("more", 1, [1])),
    "no nodes and no names": lambda model: model.Clear(),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_of_unknown_parts_is_refused(bundle: Path, name: str) -> None:
    edit_graph(bundle, GRAPHS[name])
    assert "model.onnx" in refused(bundle)


@pytest.mark.parametrize("name", ["weights in a file above", "a constant in a graph in a graph", "an output less"])
def test_the_heads_graph_is_held_to_the_same(bundle: Path, name: str) -> None:
    edit_graph(bundle, GRAPHS[name], "head.onnx")
    assert "head.onnx" in refused(bundle)


@pytest.mark.parametrize("name", ["weights in a file above", "a constant in a graph in a graph", "an output less"])
def test_the_cards_graph_is_held_to_the_same(bundle: Path, name: str) -> None:
    edit_graph(bundle, GRAPHS[name], "model-cuda.onnx")
    assert "model-cuda.onnx" in refused(bundle)


def test_neither_decoder_stands_in_for_the_other(bundle: Path) -> None:
    shutil.copy(bundle / "model.onnx", bundle / "model-cuda.onnx")
    sign(bundle)
    assert "model-cuda.onnx and the card disagree" in refused(bundle)


@pytest.mark.parametrize("data", [b"", b"\xff" * 1000, b"\x08\x0a\x3a\xff\xff\xff\xff\x0f"])
def test_a_file_that_is_no_graph_is_refused(bundle: Path, data: bytes) -> None:
    (bundle / "model.onnx").write_bytes(data)
    sign(bundle)
    refused(bundle)


Tokenizer = dict[str, Any]


def pad(tokenizer: Tokenizer) -> None:
    tokenizer["padding"] = {
        "strategy": {"Fixed": 10**9}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0,
        "pad_token": "x",
    }  # fmt: skip


def add_token(tokenizer: Tokenizer, **changes: Any) -> None:
    tokenizer["added_tokens"].append(tokenizer["added_tokens"][0] | changes)


def split_by(pattern: str) -> Tokenizer:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def begins_with(text: str) -> dict[str, Any]:
    special = {"SpecialToken": {"id": text, "type_id": 0}}
    sequence = [{"Sequence": {"id": name, "type_id": 0}} for name in "AB"]
    tokens = {text: {"id": text, "ids": [tiny.TOKENS.index(text)], "tokens": [text]}}
    single, pair = [special, sequence[0]], [special, *sequence]
    return {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens}


TOKENIZERS: dict[str, Callable[[Tokenizer], object]] = {
    "nothing": lambda tokenizer: tokenizer.clear(),
    "padding that fills the memory": pad,
    "a truncation": lambda tokenizer: tokenizer.update(
        truncation={"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 5}
    ),
    "a regular expression without end": lambda tokenizer: tokenizer.update(pre_tokenizer=split_by("(a+)+$")),
    "a normalizer": lambda tokenizer: tokenizer.update(normalizer={"type": "Lowercase"}),
    "another model": lambda tokenizer: tokenizer["model"].update(type="WordLevel", unk_token="a"),
    "a random dropout": lambda tokenizer: tokenizer["model"].update(dropout=0.5),
    "a token more": lambda tokenizer: tokenizer["model"]["vocab"].update(zz=len(tiny.TOKENS)),
    "a token less": lambda tokenizer: tokenizer["model"]["vocab"].popitem(),
    "an id twice": lambda tokenizer: tokenizer["model"]["vocab"].update(zz=5),
    "an id below nothing": lambda tokenizer: tokenizer["model"]["vocab"].update(a=-1),
    "an id that is no number": lambda tokenizer: tokenizer["model"]["vocab"].update(a="5"),
    "a token of no bytes": lambda tokenizer: tokenizer["model"]["vocab"].update(
        {"漢": tokenizer["model"]["vocab"].pop("a")}
    ),
    "a text after every text": lambda tokenizer: tokenizer.update(
        post_processor=begins_with(tiny.END) | {"single": begins_with(tiny.END)["single"][::-1]}
    ),
    "a begin token that is none": lambda tokenizer: tokenizer.update(post_processor=begins_with("a")),
    "a begin token of another kind": lambda tokenizer: tokenizer.update(
        post_processor={"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    ),
    "an added token outside": lambda tokenizer: add_token(tokenizer, id=9999, content="zz"),
    "an added token that eats blanks": lambda tokenizer: add_token(tokenizer, lstrip=True),
    "added tokens that are none": lambda tokenizer: tokenizer.update(added_tokens=[7]),
    "a vocabulary that is a list": lambda tokenizer: tokenizer["model"].update(vocab=[1, 2]),
}


def test_a_tokenizer_may_put_a_special_token_before_every_text(bundle: Path) -> None:
    path = bundle / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"post_processor": begins_with(tiny.END)}))
    sign(bundle)
    assert Bundle.open(bundle)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_tokenizer_that_does_something_of_its_own_is_refused(bundle: Path, name: str) -> None:
    path = bundle / "tokenizer.json"
    values = json.loads(path.read_text())
    TOKENIZERS[name](values)
    path.write_text(json.dumps(values))
    sign(bundle)
    assert "tokenizer.json" in refused(bundle)


WATCH = """
import json, sys
opened = []
sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event == "open" else None)
from pathlib import Path
from canopy_desktop.errors import BundleError
from canopy_desktop.model.bundle import Bundle
for folder in sys.argv[1:]:
    try:
        Bundle.open(Path(folder))
    except BundleError:
        continue
    raise SystemExit(f"{folder} was opened")
print(json.dumps([opened, "onnxruntime" in sys.modules, "gguf" in sys.modules]))
"""


def test_no_file_outside_the_folder_is_opened_and_onnxruntime_is_not_reached(pristine: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(4096))
    folders = []
    for number, edit in enumerate(GRAPHS.values()):
        folder = Path(shutil.copytree(pristine, tmp_path / str(number)))
        edit_graph(folder, edit)
        folders.append(folder)
    for number, name in enumerate(("card.json", "weights.bin", "model.onnx", "tokenizer.json")):
        folder = Path(shutil.copytree(pristine, tmp_path / f"link-{number}"))
        shutil.copy(folder / name, tmp_path / f"elsewhere-{number}")
        (folder / name).unlink()
        (folder / name).symlink_to(tmp_path / f"elsewhere-{number}")
        folders.append(folder)
    command = [sys.executable, "-c", WATCH, *map(str, folders)]
    opened, *reached = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    mine = {os.path.realpath(path) for path in opened if path.startswith(str(tmp_path))}
    assert mine
    assert {Path(path).parent for path in mine} <= {folder.resolve() for folder in folders}
    assert not [path for path in opened if "passwd" in path]
    assert reached == [False, False]


@pytest.mark.parametrize(
    "name", ["card.json", "model.onnx", "model-cuda.onnx", "head.onnx", "weights.bin", "tokenizer.json"]
)
def test_every_file_must_be_there_whole_unaltered_and_in_its_folder(bundle: Path, tmp_path: Path, name: str) -> None:
    path = bundle / name
    whole = path.read_bytes()
    path.unlink()
    refused(bundle)
    path.mkdir()
    refused(bundle)
    path.rmdir()
    os.mkfifo(path)
    refused(bundle)
    path.unlink()
    (tmp_path / "elsewhere").write_bytes(whole)
    path.symlink_to(tmp_path / "elsewhere")
    refused(bundle)
    path.unlink()
    path.symlink_to(name)  # to itself
    refused(bundle)
    path.unlink()
    path.write_bytes(whole[:-3])
    refused(bundle)
    if name != "card.json":
        path.write_bytes(whole + b"\0")
        refused(bundle)
        path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        assert f"{name} was altered" in refused(bundle)
    path.write_bytes(whole)
    assert Bundle.open(bundle)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\xff\xfe", b"[]", b"null", b"7", b'"card"', b"{}", b"{", b"[" * 100_000, b'{"format": ' * 5_000,
        b'{"format": 1}', b" " * 5_000_000, b'{"format": ' + b"9" * 5_000 + b"}", b'{"format": 1e999}',
    ],
    ids=lambda data: repr(data[:12]),
)  # fmt: skip
def test_a_card_that_is_no_card_is_refused(bundle: Path, data: bytes) -> None:
    (bundle / "card.json").write_bytes(data)
    refused(bundle)


@pytest.mark.parametrize(
    ("key", "lies"),
    [
        ("rope_divisors", (None, 2, "2", [1.0], [1.0] * 7 + [0.0], [1.0] * 7 + [-1], [True] * 8, [float("nan")] * 8)),
        ("tied", (None, 0, 1, "yes", [], False)),
        ("qkv_biases", (None, 1, "no", True)),
        ("block_biases", (None, 1, "no", True)),
        ("gated", (None, 0, "no", False)),
        ("norm", (None, 1, "batch", "layer")),
        ("positions", (None, 1, "sinusoidal", "learned")),
        ("qk_norms", (None, 1, "no", True)),
        ("post_norms", (None, 1, "no", True)),
        ("scaled_embedding", (None, 1, "no", True)),
        ("activation", (None, 1, "relu", "gelu_tanh")),
        ("attention_scale", (None, "1", -1.0, 0.5, float("nan"))),
        ("window", (None, "1", -1, 1.5, True)),
        ("window_period", (None, 0, -1, 1 << 30)),
        ("window_rope_base", (None, 0.0, -1.0, float("inf"))),
    ],
)
def test_a_card_that_lies_about_what_the_blocks_have_is_refused(
    bundle: Path, key: str, lies: tuple[object, ...]
) -> None:
    for lie in lies:
        write_card(bundle, lambda card, lie=lie: card["architecture"].__setitem__(key, lie))
        refused(bundle)


@pytest.mark.parametrize("lie", [None, [], "bos", {"bos_token": 1}, {"bos_token": None}])
def test_a_card_whose_template_variables_are_no_texts_is_refused(bundle: Path, lie: object) -> None:
    write_card(bundle, lambda card: card.update(template_variables=lie))
    refused(bundle)


NOT_WHOLE = (-1, 0, 2.5, "2", None, True, [2], {}, 1e300, float("inf"), float("nan"), 2**62, 10**400, -(10**400))


@pytest.mark.parametrize("key", ["layers", "heads", "kv_heads", "head_size", "hidden", "vocabulary", "context"])
def test_a_card_that_lies_about_a_number_is_refused(bundle: Path, key: str) -> None:
    told = json.loads((bundle / "card.json").read_text())["architecture"][key]
    for lie in (*NOT_WHOLE, told + 1, told * 2, told - 1):
        write_card(bundle, lambda card, lie=lie: card["architecture"].__setitem__(key, lie))
        refused(bundle)


@pytest.mark.parametrize("key", ["rope_base", "epsilon"])
def test_a_card_without_a_usable_constant_is_refused(bundle: Path, key: str) -> None:
    for lie in (-1.0, 0, "2", None, True, float("inf"), float("nan"), 10**400, -(10**400)):
        write_card(bundle, lambda card, lie=lie: card["architecture"].__setitem__(key, lie))
        refused(bundle)


@pytest.mark.parametrize(
    ("key", "lies"),
    [
        ("format", (0, 2, "1", None, True)),
        ("id", ("../x", "..", ".", "", "a/b", "a\\b", "/etc", "c:x", "a\0b", ".hidden", "x" * 200, 7, None, "\ud800")),
        ("title", (None, 7, [], {})),
        ("weights", ("int4", None, 8, ["int8"])),
        ("end_ids", (None, 0, "0", [-1], [10**9], ["0"], [None], [True], {"0": 0})),
        ("chat_template", (7, [], {}, True)),
        ("architecture", (None, [], "llama", 7)),
        ("files", (None, {}, [], "model.onnx", [None], [{}], [{"name": "../x", "bytes": 1, "sha256": ""}])),
        ("source", (None, [])),
        ("recipe_sha256", (None, 1)),
    ],
)
def test_a_card_with_a_wrong_entry_is_refused(bundle: Path, key: str, lies: tuple[object, ...]) -> None:
    for lie in lies:
        write_card(bundle, lambda card, lie=lie: card.__setitem__(key, lie))
        refused(bundle)
    write_card(bundle, lambda card: card.pop(key))
    refused(bundle)


def test_a_card_that_names_a_file_more_or_twice_is_refused(bundle: Path) -> None:
    (bundle / "more.bin").write_bytes(b"more")
    entry = {"name": "more.bin", "bytes": 4, "sha256": file_sum(bundle / "more.bin").sha256}
    write_card(bundle, lambda card: card["files"].append(entry))
    refused(bundle)
    write_card(bundle, lambda card: card["files"].__setitem__(-1, card["files"][0]))
    refused(bundle)


def test_what_else_lies_in_the_folder_is_neither_read_nor_imported(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANOPY_MODELS", str(tmp_path / "models"))
    (bundle / ".DS_Store").write_bytes(b"left by a file manager")
    (bundle / "passwords").symlink_to("/etc/passwd")
    os.mkfifo(bundle / "pipe")
    assert Bundle.open(bundle)
    imported = Path(import_bundle(bundle)["folder"])
    assert sorted(path.name for path in imported.iterdir()) == [
        "card.json", "head.onnx", "model-cuda.onnx", "model.onnx", "tokenizer.json", "weights.bin",
    ]  # fmt: skip
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["tiny"]
