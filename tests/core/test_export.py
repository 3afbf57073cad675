"""A checkpoint of a class that is not in the table comes in through optimum, which plays here as it is told."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from canopy_desktop import paths
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.card import WeightForm
from tests.core.checkpoints import change, write_checkpoint
from tests.core.command import Cli
from tests.core.exports import write_folder
from tests.core.fake_environment import write_environment
from tests.core.given import ELSE

ROOT = Path(__file__).resolve().parents[2]
NAME = "qwen2"
PATIENCE_S = 60.0
EXPORTS = """
def run(name, arguments):
    import json, shutil
    seen = {"arguments": arguments, "files": sorted(os.listdir(arguments[0])), "environment": dict(os.environ)}
    with open(os.environ["HEARD"], "w") as file:
        json.dump(seen, file)
    print("loading", "exporting", sep="\\n", flush=True)
    with open(arguments[1] + "/tokenizer_config.json", "w") as file:
        file.write("{}")  # as transformers would have written it
    shutil.copy(os.environ["GRAPH"], arguments[1] + "/model.onnx")
"""
NEVER = "def run(name, arguments): open(os.environ['HEARD'], 'w').close()"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A checkpoint of a class that nobody knows."""
    folder = write_checkpoint(NAME, tmp_path / "Some Model")
    change(folder, "config.json", architectures=[ELSE])
    return folder


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where models are put, empty."""
    monkeypatch.setenv("CANOPY_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the export environment would be; what is played there finds an export, and tells what it saw."""
    graph = write_folder(NAME, tmp_path / "export of optimum") / "model.onnx"
    monkeypatch.setenv("GRAPH", str(graph))
    monkeypatch.setenv("HEARD", str(tmp_path / "heard"))
    monkeypatch.setenv("CANOPY_EXPORT", str(tmp_path / "environment"))
    return tmp_path / "environment"


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def refused(command: Cli, source: Path) -> str:
    """The one sentence; lines of progress may stand before it."""
    status, out, err = command.run("models", "import", str(source), "--json")
    *progress, sentence = err.splitlines()
    assert (status, out) == (1, "")
    assert sentence.endswith(".")
    assert all(": " in line for line in progress)
    assert "unexpected" not in err
    return sentence


# --- what comes in


def test_what_optimum_exports_becomes_a_model_and_nothing_else_is_left(
    command: Cli, source: Path, models: Path, environment: Path
) -> None:
    write_environment(environment, EXPORTS)
    (source / "README.md").write_text("---\nlicense: mit\n---\n")
    status, out, err = command.run("models", "import", str(source), "--json")
    assert (status, json.loads(out)["id"]) == (0, "some-model")
    words = ("reading", "exporting", "converting", "checking", "done")
    assert err == "".join(f"some-model: {doing}\n" for doing in words)
    card = Bundle.open(models / "some-model").card
    assert (card.title, card.licence, card.source, card.weights) == (
        "Some Model", "mit", "Some Model", WeightForm.GIVEN,
    )  # fmt: skip
    assert len(card.end_ids) > 0  # of the checkpoint's own files, not of those that lay beside the graph
    assert names_in(models) == ["some-model"]


def test_the_same_checkpoint_again_is_noticed_without_an_environment(
    command: Cli, source: Path, models: Path, environment: Path
) -> None:
    write_environment(environment, EXPORTS)
    assert command.run("models", "import", str(source))[0] == 0
    shutil.rmtree(environment)
    status, out, _ = command.run("models", "import", str(source), "--name", "other", "--json")
    assert (status, json.loads(out)) == (
        0, {"id": "some-model", "folder": str(models / "some-model"), "imported": False},
    )  # fmt: skip


def test_optimum_is_shown_config_and_weights_alone_offline_and_without_a_token(
    command: Cli, source: Path, models: Path, environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_environment(environment, EXPORTS)
    monkeypatch.setenv("HF_TOKEN", "secret")
    for name in ("modeling.py", "pytorch_model.bin", "adapter_config.json"):
        (source / name).write_text("hostile")
    (source / "model.safetensors").rename(source / "weights.safetensors")
    assert command.run("models", "import", str(source))[0] == 0
    seen = json.loads((tmp_path / "heard").read_text())
    assert seen["files"] == ["config.json", "model.safetensors"]
    assert seen["environment"]["HF_HUB_OFFLINE"] == seen["environment"]["TRANSFORMERS_OFFLINE"] == "1"
    assert "HF_TOKEN" not in seen["environment"]
    assert all(Path(seen["environment"][name]).is_relative_to(models) for name in ("HF_HOME", "TMPDIR"))


def test_a_class_of_the_table_is_built_and_not_exported(
    command: Cli, models: Path, environment: Path, tmp_path: Path
) -> None:
    write_environment(environment, NEVER)
    status, out, _ = command.run("models", "import", str(write_checkpoint(NAME, tmp_path / "known")), "--json")
    assert (status, Bundle.open(Path(json.loads(out)["folder"])).card.weights) == (0, WeightForm.INT8)
    assert not (tmp_path / "heard").exists()


def test_an_export_that_lies_beside_the_checkpoint_is_taken_as_it_is(
    command: Cli, source: Path, models: Path, environment: Path
) -> None:
    shutil.copy(os.environ["GRAPH"], source / "model.onnx")
    status, out, _ = command.run("models", "import", str(source), "--json")
    assert (status, Bundle.open(Path(json.loads(out)["folder"])).card.weights) == (0, WeightForm.GIVEN)


# --- what does not


def test_without_an_environment_the_sentence_says_how_to_make_it(
    command: Cli, source: Path, models: Path, environment: Path
) -> None:
    sentence = refused(command, source)
    assert ELSE in sentence
    assert "canopy-desktop models import --setup" in sentence
    assert names_in(models) == []


@pytest.mark.parametrize("has_environment", [True, False])
@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("auto_map", {"AutoModelForCausalLM": "modeling.Mine"}, "code of its own"),
        ("quantization_config", {"quant_method": "gptq"}, "quantised"),
        ("vocab_size", 7, "tokenizer.json"),
    ],
)
def test_what_could_not_be_exported_is_refused_before_optimum_is_asked(
    command: Cli, source: Path, models: Path, environment: Path, tmp_path: Path, key: str, value: object, words: str,
    has_environment: bool,
) -> None:  # fmt: skip
    if has_environment:
        write_environment(environment, NEVER)
    change(source, "config.json", **{key: value})
    assert words in refused(command, source)
    assert not (tmp_path / "heard").exists()
    assert names_in(models) == []


def test_pickles_alone_are_refused_before_optimum_is_asked(
    command: Cli, source: Path, models: Path, environment: Path, tmp_path: Path
) -> None:
    write_environment(environment, NEVER)
    (source / "model.safetensors").rename(source / "pytorch_model.bin")
    assert "pickles" in refused(command, source)
    assert not (tmp_path / "heard").exists()


@pytest.mark.parametrize(
    ("does", "words"),
    [
        ("print('refused: KeyError: it is\\x1b unknown. '); sys.exit(1)", "KeyError: it is unknown. Import"),
        ("print('refused: ' + 'x' * 100_000); sys.exit(1)", "x" * 150),
        ("sys.exit(1)", "it said nothing"),
        ("os.kill(os.getpid(), 9)", "signal 9"),
        ("sys.stdout.buffer.write(bytes(range(256)) * 100)", "it left no graph"),
        ("os.mkdir(arguments[1] + '/model.onnx')", "it left no graph"),
        ("open(arguments[1] + '/model.onnx', 'wb').write(b'\\x08' * 999)", "what optimum exported cannot be run"),
        ("os.symlink('/etc/passwd', arguments[1] + '/model.onnx')", "what optimum exported cannot be run"),
    ],
)
def test_an_export_that_fails_is_one_sentence_and_leaves_nothing(
    command: Cli, source: Path, models: Path, environment: Path, does: str, words: str
) -> None:
    write_environment(environment, f"def run(name, arguments): {does}")
    sentence = refused(command, source)
    assert words in sentence
    assert "\x1b" not in sentence
    assert str(models / ".building") not in sentence
    assert len(sentence) < 700
    assert names_in(models) == []


def test_too_little_memory_or_room_is_said_with_numbers_before_optimum_is_asked(
    command: Cli, source: Path, models: Path, environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_environment(environment, NEVER)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 0))
    assert f"its export takes 0.1 GB in {models}, and 0.0 GB are free there" in refused(command, source)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=100_000_000))
    assert "its export needs about 0.5 GB of memory, and 0.1 GB are free" in refused(command, source)
    assert not (tmp_path / "heard").exists()


def test_an_import_that_is_interrupted_ends_the_export_and_leaves_nothing(
    source: Path, models: Path, environment: Path, tmp_path: Path
) -> None:
    write_environment(
        environment,
        "def run(name, arguments):\n"
        "    with open(os.environ['HEARD'] + '.new', 'w') as file: file.write(str(os.getpid()))\n"
        "    os.rename(os.environ['HEARD'] + '.new', os.environ['HEARD'])\n"
        "    time.sleep(600)\n",
    )
    command = [sys.executable, "-m", "canopy_desktop", "models", "import", str(source)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as running:
        heard, began = tmp_path / "heard", time.monotonic()
        while not heard.exists() and running.poll() is None and time.monotonic() - began < PATIENCE_S:
            time.sleep(0.01)
        child = psutil.Process(int(heard.read_text()))
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=PATIENCE_S)
    assert (running.returncode, err.splitlines()[-1]) == (1, "Interrupted.")
    assert not child.is_running()
    assert names_in(models) == []


def test_what_optimum_said_is_in_the_log(command: Cli, source: Path, models: Path, environment: Path) -> None:
    write_environment(environment, "def run(name, arguments): print('why', file=sys.stderr); sys.exit(1)")
    assert str(paths.export_log()) in refused(command, source)
    assert paths.export_log().read_text() == "why\n"
