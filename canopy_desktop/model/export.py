"""A checkpoint of a class that is not in the table, through optimum: an ONNX decoder, which is run as it is.

optimum, transformers and torch are in an environment of their own. Of the checkpoint they are shown config.json and
safetensors alone; they fetch nothing, and run no code that lies beside a model.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from canopy_desktop import paths
from canopy_desktop.errors import BuildError, SourceError
from canopy_desktop.model.build import FULL_REMEDY, Progress
from canopy_desktop.model.checkpoint import INDEX, SUFFIX, WEIGHTS, checkpoint_files, checkpoint_name, stated_licence
from canopy_desktop.model.checkpoint_config import is_of_known_class
from canopy_desktop.model.checkpoint_json import CONFIG, Values, one_line, own_file, read_values
from canopy_desktop.model.checkpoint_tokenizer import TOKENIZER_FILES, read_tokenizer
from canopy_desktop.model.child import run_child
from canopy_desktop.model.device import HOST
from canopy_desktop.model.export_environment import OPTIMUM_EXPORT, export_python
from canopy_desktop.model.onnx_given import GivenModel, open_given_model
from canopy_desktop.model.safetensors_file import stored_tensors

SETUP = "canopy-desktop models import --setup"
LIMIT_S = 3600.0
EXPORTED = "model.onnx"
# Numbers in 32 bits of 0.54 GB passed with 3.7 GB and not with 3.0; of 2.2 GB, which are written apart, with 7.2.
MEMORY_BYTES, MEMORY_FACTOR, MEMORY_FACTOR_APART = 500_000_000, 6, 3
APART_BYTES = 2**31  # a graph holds no more
DISK_BYTES, DISK_FACTOR = 100_000_000, 2  # it is written twice where it has more than 2 GB
_OFFLINE = {
    "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "CUDA_VISIBLE_DEVICES": "",
}  # fmt: skip
_LEFT_OUT = ("HF_", "HUGGINGFACE_", "TRANSFORMERS_")
_REFUSED = "refused: "


def is_exported(folder: Path) -> bool:
    """Whether a checkpoint is of one class, and that is not in the table. Raises `SourceError`."""
    config = read_values(folder, CONFIG)
    names = config.items("architectures")
    return len(names) == 1 and isinstance(names[0], str) and not is_of_known_class(config)


def open_exported(folder: Path, work: Path, progress: Progress) -> GivenModel:
    """Export a checkpoint into a folder of `work` and open it there. Raises `SourceError` or `BuildError`."""
    config = read_values(folder, CONFIG)
    _check_config(config)
    if config.get("vocab_size") is not None:
        read_tokenizer(folder, config, config.whole("vocab_size"))  # refused now rather than after minutes
    files = checkpoint_files(folder)
    python = export_python()
    if python is None:
        (name,) = config.items("architectures")
        raise config.refuse(
            f"names the architecture {name[:100]!r}, which comes in through optimum's export alone: fetch what that "
            f"needs with '{SETUP}' (0.3 GB, on the disk 1.3 GB), or import an ONNX export of the model"
        )
    room = _Room.of(files)
    room.check(work)
    checkpoint, exported = work / "checkpoint", work / "exported" / checkpoint_name(folder)
    _link(files, checkpoint)
    exported.mkdir(parents=True)
    progress("exporting", 0.1)
    log = paths.export_log()
    reason = _run(python, [checkpoint, exported, room.disk, HOST.free()], work, log)
    if reason or not (exported / EXPORTED).is_file():
        way_out = f"Import an ONNX export of the model instead ({log} says more)."
        raise BuildError(f"optimum's export failed: {reason or 'it left no graph'}", way_out)
    _put_beside(folder, exported)
    try:
        return replace(open_given_model(exported), path=folder, licence=stated_licence(folder))
    except SourceError as error:
        raise SourceError(folder, f"what optimum exported cannot be run: {error.reason}") from error


@dataclass(frozen=True, slots=True)
class _Room:
    """What an export takes, bytes."""

    memory: int
    disk: int

    @classmethod
    def of(cls, files: Sequence[Path]) -> _Room:
        """`files`: of a checkpoint. Raises `SourceError` where their headers cannot be read."""
        tensors = [tensor for path in files if path.suffix == SUFFIX for tensor in stored_tensors(path).values()]
        weights = sum(4 * math.prod(tensor.shape) for tensor in tensors)
        factor = MEMORY_FACTOR if weights < APART_BYTES else MEMORY_FACTOR_APART
        return cls(MEMORY_BYTES + factor * weights, DISK_BYTES + DISK_FACTOR * weights)

    def check(self, work: Path) -> None:
        """Raises `BuildError` where there is less."""
        if self.memory > (free := HOST.free()):
            raise BuildError(
                f"its export needs about {self.memory / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free",
                "Close other programs, or export it to ONNX on a larger computer.",
            )
        if self.disk > (free := shutil.disk_usage(work).free):
            needed = f"its export takes {self.disk / 1e9:.1f} GB in {work.parent}"
            raise BuildError(f"{needed}, and {free / 1e9:.1f} GB are free there", FULL_REMEDY)


def _check_config(config: Values) -> None:
    if config.get("auto_map") is not None:
        raise config.refuse("asks for code of its own, which is not run")
    if config.get("quantization_config") is not None:
        raise config.refuse("says that its weights are quantised, which cannot be exported: take the full weights")


def _link(files: Sequence[Path], folder: Path) -> None:
    """Show transformers what it may read: config.json, and the weights by the names that it looks for."""
    folder.mkdir()
    is_indexed = any(path.name == INDEX for path in files)
    for path in files:
        if path.name in (CONFIG, INDEX) or path.suffix == SUFFIX:
            name = WEIGHTS if path.suffix == SUFFIX and not is_indexed else path.name
            (folder / name).symlink_to(path.resolve())


def _run(python: Path, arguments: Sequence[Path | int], work: Path, log: Path) -> str:
    """Run optimum's export; why there is none, or nothing."""
    own = work / "own"
    own.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_LEFT_OUT)}
    environment = kept | _OFFLINE | {name: str(own) for name in ("HF_HOME", "TMPDIR", "XDG_CACHE_HOME")}
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")
    said = list[str]()
    program: list[Path | str] = [OPTIMUM_EXPORT, *map(str, arguments)]
    ended = run_child(python, program, environment, log, said.append, limit_s=LIMIT_S)
    if not ended.in_time:
        return f"it took more than {LIMIT_S / 60:.0f} minutes"
    if ended.status < 0:
        return f"the system ended it (signal {-ended.status}), perhaps for want of memory"
    refused = next((line.removeprefix(_REFUSED) for line in said if line.startswith(_REFUSED)), "")
    return (one_line(refused) or "it said nothing").rstrip(".") if ended.status else ""


def _put_beside(folder: Path, exported: Path) -> None:
    """Put a checkpoint's own words about itself in the place of those that transformers wrote."""
    for name in (CONFIG, *TOKENIZER_FILES):
        path = own_file(folder, name)
        (exported / name).unlink(missing_ok=True)
        if path is not None:
            shutil.copyfile(path, exported / name)
