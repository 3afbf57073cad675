"""A GGUF becomes a model that is there like any other, or one sentence says why not and nothing is left."""

import json
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize

from canopy_desktop.errors import BuildError, SourceError
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.card import WeightForm
from canopy_desktop.model.gguf_file import open_gguf
from canopy_desktop.model.model_import import bundle_id, import_source
from tests.core import tiny
from tests.core.command import Cli
from tests.reference import fixtures

ROOT = Path(__file__).resolve().parents[2]
SOURCE = fixtures.tiny_model("qwen3").gguf
BEGINNING = fixtures.tiny_model("llama-factors").gguf


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where models are put, empty."""
    monkeypatch.setenv("CANOPY_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def run(command: Cli, *arguments: object) -> Any:
    """What a command prints; progress goes to standard error."""
    status, out, err = command.run(*map(str, arguments), "--json")
    assert status == 0, err
    return json.loads(out)


def silent(doing: str, part: float) -> None:
    pass


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_an_imported_model_is_listed_verified_and_runs_by_its_id(command: Cli, folder: Path) -> None:
    found = run(command, "models", "import", SOURCE)
    assert found == {"id": "tiny_qwen3", "folder": str(folder / "tiny_qwen3"), "imported": True}
    (listed,) = (model for model in run(command, "models", "list")["models"] if model["id"] == "tiny_qwen3")
    assert (listed["id"], listed["title"], listed["licence"], listed["weights"]) == (
        "tiny_qwen3", "Tiny qwen3", "cc0-1.0", "int8",
    )  # fmt: skip
    assert run(command, "models", "verify", "tiny_qwen3")["models"][0]["problem"] is None
    trace = run(command, "trace", "a word", "--max-tokens", 3, "--model", "tiny_qwen3")
    assert (trace["model"], len(trace["steps"])) == ("tiny_qwen3", 3)


def test_progress_is_told_on_standard_error(command: Cli, folder: Path) -> None:
    status, out, err = command.run("models", "import", str(SOURCE))
    assert (status, out) == (0, f"tiny_qwen3 is in {folder / 'tiny_qwen3'}\n")
    assert err == "".join(f"tiny_qwen3: {doing}\n" for doing in ("reading", "converting", "checking", "done"))


def test_the_same_file_again_is_noticed_under_any_name(command: Cli, folder: Path, tmp_path: Path) -> None:
    first = run(command, "models", "import", SOURCE, "--name", "mine")
    copy = Path(shutil.copy(SOURCE, tmp_path / "copy.gguf"))
    again = run(command, "models", "import", copy)
    assert again == {**first, "imported": False}
    assert names_in(folder) == ["mine"]


def test_a_model_that_was_damaged_since_is_built_again(command: Cli, folder: Path) -> None:
    run(command, "models", "import", SOURCE)
    (folder / "tiny_qwen3" / "weights.bin").write_bytes(b"")
    assert run(command, "models", "import", SOURCE)["imported"]
    assert Bundle.open(folder / "tiny_qwen3")


def test_the_exact_form_of_the_same_file_is_a_model_of_its_own(command: Cli, folder: Path) -> None:
    run(command, "models", "import", SOURCE)
    run(command, "models", "import", SOURCE, "--precision", "fp32")
    assert names_in(folder) == ["tiny_qwen3", "tiny_qwen3-fp32"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Qwen3-0.6B-Q8_0.gguf", "qwen3-0.6b-q8_0"),
        ("Mein Modell (neu).gguf", "mein-modell-neu"),
        ("..gguf", "model"),
        ("日本.gguf", "model"),
        (".hidden.gguf", "hidden"),
        ("x" * 200 + ".gguf", "x" * 80),
    ],
)
def test_a_model_is_called_as_its_file_without_what_a_folder_cannot_be_called(name: str, expected: str) -> None:
    assert bundle_id(Path(name), WeightForm.INT8) == expected
    assert bundle_id(Path(name), WeightForm.FP32) == f"{expected}-fp32"


def test_a_model_whose_texts_begin_with_a_token_is_given_it_and_its_chat_template_names_it(
    command: Cli, folder: Path
) -> None:
    run(command, "models", "import", BEGINNING, "--precision", "fp32", "--name", "chatty")
    model = ("--model", "chatty")
    plain = run(command, "trace", "a word", "--max-tokens", 1, *model)
    begin = {"id": 0, "text": "<|begin_of_text|>"}
    assert plain["prompt_parts"][0] == {"role": "template", "history": False, "text": begin["text"], "tokens": [begin]}
    chat = run(command, "trace", "a word", "--chat", "--max-tokens", 1, *model)
    text = "".join(part["text"] for part in chat["prompt_parts"])
    assert text == "<|begin_of_text|>user: a word<|eot_id|>assistant: "
    assert chat["prompt_ids"].count(0) == 1
    assert run(command, "attention", "a word", *model)["ids"] == plain["prompt_ids"]
    assert run(command, "tokens", "a word", *model)["tokens"][0]["id"] != 0


COMMANDS = (
    ("doctor",), ("tokens", "a word"), ("trace", "a word", "--max-tokens", "3", "--temperature", "0.9"),
    ("attention", "a word"), ("lens", "a word"), ("lens", "a word", "--grid"), ("leave-out", "a word"),
    ("block", "a word", "--query", "2", "--key", "0"), ("race", "a word", "--max-tokens", "3"),
    ("inside", "a word", "--position", "3", "--layer", "2", "--head", "4"),
    ("compare", "a word", "--and", "another", "--max-tokens", "3"), ("score", "a word", "more"), ("score", "a word"),
    ("beams", "a word", "--num-beams", "3", "--max-tokens", "3"), ("draws", "a word", "--count", "5", "--length", "3"),
)  # fmt: skip


@pytest.fixture(scope="module")
def odd_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 layers, 5 heads, 512 tokens, a hidden width that is not theirs, and a begin token."""
    folder = tmp_path_factory.mktemp("odd")
    return import_source(BEGINNING, WeightForm.FP32, "odd", folder, silent).folder


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_every_command_works_on_a_model_of_other_numbers(
    capsys: pytest.CaptureFixture[str], odd_model: Path, arguments: tuple[str, ...]
) -> None:
    found = Cli(capsys, odd_model).json(*arguments)
    begun = [ids for key in ("ids", "prompt_ids") if (ids := found.get(key))]
    assert all(ids[0] == 0 for ids in begun)  # the begin token


# --- refusals


def test_a_name_that_another_model_has_is_refused(command: Cli, folder: Path) -> None:
    run(command, "models", "import", SOURCE, "--name", "mine")
    before = (folder / "mine" / "card.json").read_bytes()
    status, sentence = refused(command, fixtures.tiny_model("qwen2").gguf, "--name", "mine")
    assert (status, "--name" in sentence) == (1, True)
    assert (folder / "mine" / "card.json").read_bytes() == before
    assert names_in(folder) == ["mine"]


def refused(command: Cli, *arguments: object) -> tuple[int, str]:
    """Exit status and the one sentence; lines of progress may stand before it."""
    status, out, err = command.run("models", "import", *map(str, arguments), "--json")
    lines = err.splitlines()
    assert out == ""
    assert lines[-1].endswith(".")
    assert all(": " in line for line in lines[:-1])
    assert not any(word in err for word in ("Traceback", "unexpected"))
    return status, lines[-1]


@pytest.mark.parametrize("name", ["../x", "", "a b", ".x", "x" * 101])
def test_a_name_that_is_no_folders_name_is_wrong_use(command: Cli, folder: Path, name: str) -> None:
    status, sentence = refused(command, SOURCE, f"--name={name}")
    assert (status, "--name" in sentence) == (2, True)
    assert names_in(folder) == []


def test_a_bundle_keeps_its_own_name_and_form(command: Cli, model: Path, folder: Path) -> None:
    assert refused(command, model, "--name", "mine")[0] == 2
    assert refused(command, model, "--precision", "fp32")[0] == 2


def test_what_is_no_model_is_refused_in_one_sentence(command: Cli, folder: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.gguf"
    text.write_text("no model")
    (tmp_path / "empty").mkdir()
    assert refused(command, text)[0] == 1
    for path in (text / "below", tmp_path / "missing", tmp_path / "empty", "\0"):
        assert refused(command, path)[0] == 2
    assert names_in(folder) == []


def test_a_folder_that_cannot_be_written_is_one_sentence(
    command: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("CANOPY_MODELS", str(tmp_path / "file" / "models"))
    assert "CANOPY_MODELS" in refused(command, SOURCE)[1]


def test_a_title_is_one_printable_line(folder: Path, tmp_path: Path) -> None:
    said = tiny.metadata(general__name="a\tb\n\x1b[31mc", general__license="x" * 999)
    path = tiny.write_gguf(tmp_path / "odd.gguf", tiny.weights(), said)
    card = Bundle.open(import_source(path, WeightForm.INT8, "odd", folder, silent).folder).card
    assert (card.title, len(card.licence)) == ("a b [31mc", 200)


def test_a_window_that_attention_slides_over_ends_the_context(tmp_path: Path) -> None:
    said = tiny.metadata(llama__attention__sliding_window=7)
    assert open_gguf(tiny.write_gguf(tmp_path / "window.gguf", tiny.weights(), said)).architecture.context == 7


def test_logits_with_a_soft_cap_are_refused(tmp_path: Path) -> None:
    said = tiny.metadata(llama__final_logit_softcapping=30.0)
    with pytest.raises(SourceError, match="soft cap"):
        open_gguf(tiny.write_gguf(tmp_path / "capped.gguf", tiny.weights(), said))


def test_a_file_that_was_cut_off_is_refused_and_leaves_nothing(command: Cli, folder: Path, tmp_path: Path) -> None:
    whole, path = SOURCE.read_bytes(), tmp_path / "cut.gguf"
    for length in (1_000, len(whole) // 2, len(whole) - 40):
        path.write_bytes(whole[:length])
        status, sentence = refused(command, path)
        assert status == 1
        assert ("its header" if length == 1_000 else "it was cut off") in sentence
    assert names_in(folder) == []


def test_weights_that_are_no_numbers_are_refused_by_name_and_leave_nothing(
    command: Cli, folder: Path, tmp_path: Path
) -> None:
    tensors = tiny.weights()
    tensors["blk.1.ffn_up.weight"][3, 4] = np.nan
    path = tiny.write_gguf(tmp_path / "nan.gguf", tensors, tiny.metadata())
    assert "blk.1.ffn_up.weight" in refused(command, path)[1]
    assert names_in(folder) == []


def test_widths_that_8_bits_cannot_hold_are_refused_with_the_way_out(command: Cli, folder: Path) -> None:
    odd = fixtures.tiny_model("llama").gguf
    assert "--precision fp32" in refused(command, odd)[1]
    assert run(command, "models", "import", odd, "--precision", "fp32")["imported"]


@pytest.mark.parametrize("name", ["gemma2", "gptneox", "mamba"])
def test_another_architecture_is_refused_by_name(command: Cli, folder: Path, tmp_path: Path, name: str) -> None:
    path = tiny.write_gguf(tmp_path / "other.gguf", tiny.weights(), tiny.metadata(general__architecture=name))
    assert f"'{name}'" in refused(command, path)[1]


def test_too_little_room_is_said_with_numbers_before_anything_is_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 0))
    with pytest.raises(BuildError, match=r"it takes 0\.0 GB in .*, and 0\.0 GB are free there"):
        import_source(SOURCE, WeightForm.INT8, "mine", folder, silent)
    assert names_in(folder) == []


IMPORT_IN_A_PROCESS = """
import os, resource, signal, sys
from pathlib import Path
from canopy_desktop.errors import CanopyError
from canopy_desktop.model.card import WeightForm
from canopy_desktop.model.model_import import import_source

source, folder, moment, room = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
how = signal.Signals[sys.argv[5]]
signal.signal(signal.SIGINT, signal.default_int_handler)
if room:
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

def progress(doing, part):
    if doing == moment:
        os.kill(os.getpid(), how)

try:
    import_source(source, WeightForm.FP32, "mine", folder, progress)
except CanopyError as error:
    sys.exit(str(error))
"""


def in_a_process(
    folder: Path, moment: str = "never", room: int = 0, how: str = "SIGKILL"
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", IMPORT_IN_A_PROCESS, str(SOURCE), str(folder), moment, str(room), how]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)


@pytest.mark.parametrize("moment", ["converting", "checking"])
def test_an_import_that_is_killed_leaves_no_model_and_the_next_one_cleans_up(folder: Path, moment: str) -> None:
    assert in_a_process(folder, moment).returncode == -signal.SIGKILL
    assert [name for name in names_in(folder) if not name.startswith(".")] == []
    import_source(SOURCE, WeightForm.FP32, "mine", folder, silent)
    assert names_in(folder) == ["mine"]


@pytest.mark.parametrize("moment", ["converting", "checking"])
def test_an_import_that_is_interrupted_leaves_nothing_at_once(folder: Path, moment: str) -> None:
    assert "KeyboardInterrupt" in in_a_process(folder, moment, how="SIGINT").stderr
    assert names_in(folder) == []


def test_a_disk_that_fills_up_is_one_sentence_and_leaves_nothing(folder: Path) -> None:
    full = in_a_process(folder, room=60_000)
    assert (full.returncode, full.stderr.count("\n")) == (1, 1)
    assert names_in(folder) == []


# --- types of weights

TYPES = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K")
MATRIX = "blk.1.ffn_down.weight"


@pytest.mark.parametrize("kind", TYPES)
def test_weights_of_every_type_come_through_as_the_gguf_package_reads_them(tmp_path: Path, kind: str) -> None:
    path = with_matrix_of_type(tmp_path, GGMLQuantizationType[kind])
    (tensor,) = (tensor for tensor in GGUFReader(path).tensors if tensor.name == MATRIX)
    assert tensor.tensor_type.name == kind
    expected = np.asarray(dequantize(tensor.data, tensor.tensor_type), np.float32)
    made = import_source(path, WeightForm.FP32, "typed", tmp_path / "models", silent)
    weights = (made.folder / "weights.bin").read_bytes()
    assert expected.std() > 0
    assert np.ascontiguousarray(expected.T).tobytes() in weights
    assert np.array_equal(open_gguf(path).tensor(MATRIX), expected)


def with_matrix_of_type(folder: Path, kind: GGMLQuantizationType) -> Path:
    """The tiny llama with a feed-forward of 256, one of whose matrices is of random blocks of a type."""
    wide = 256
    random = np.random.default_rng(7)
    shapes = {"ffn_gate": (wide, tiny.HIDDEN), "ffn_up": (wide, tiny.HIDDEN), "ffn_down": (tiny.HIDDEN, wide)}
    tensors = {
        name: random.standard_normal(shapes[part], np.float32) if (part := name.split(".")[-2]) in shapes else values
        for name, values in tiny.weights().items()
    }
    size, bytes_ = GGML_QUANT_SIZES[kind]
    # small bytes: whatever number of 16 or 32 bits a type makes of them is a finite and not a huge one
    raw = random.integers(1, 0x38, (tiny.HIDDEN, wide // size * bytes_)).astype(np.uint8)
    path = folder / "typed.gguf"
    writer = GGUFWriter(path, "llama")
    for key, value in tiny.metadata(llama__feed_forward_length=wide).items():
        if key != "general.architecture":
            tiny.add_value(writer, key, value)
    for name, values in tensors.items():
        if name == MATRIX:
            writer.add_tensor(name, raw, raw_dtype=kind)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
