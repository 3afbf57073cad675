"""Write a checkpoint as an ONNX decoder with past: `optimum_export.py CHECKPOINT FOLDER LARGEST_FILE MEMORY`.

The last two are in bytes. Without arguments it only tries whether everything is there. On standard output it says in a
word what it does, and behind "refused: " why there is no export. Nothing is fetched, no code that lies beside a
checkpoint is run, no pickle is read.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

TASK = "text-generation-with-past"
MOST_NAMES = 3


class RefusedError(Exception):
    """The checkpoint is not what its config.json says."""


def refuse_network(event: str, _: tuple[Any, ...]) -> None:
    """Let nothing be fetched: an audit hook."""
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise OSError("nothing is fetched for an export")


def limit(largest_file: int, memory: int) -> None:
    """Let this process write no larger file and take no more memory, where the system can see to that."""
    try:
        import resource
    except ImportError:
        return
    for what, most in ((resource.RLIMIT_FSIZE, largest_file), (resource.RLIMIT_DATA, memory)):
        resource.setrlimit(what, (most, most))


def export(checkpoint: Path | None, folder: Path, tell: Callable[[str], None]) -> None:
    """Load a checkpoint in 32 bits and write it, or neither. Raises whatever torch, transformers and optimum do."""
    import torch
    from optimum.exporters.onnx import onnx_export_from_model
    from optimum.exporters.utils import DisableCompileContextManager
    from transformers import AutoModelForCausalLM

    if checkpoint is None:
        return
    tell("loading")
    with DisableCompileContextManager():
        model, found = AutoModelForCausalLM.from_pretrained(
            checkpoint,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    (named,) = model.config.architectures
    if type(model).__name__ != named:
        raise RefusedError(f"transformers has no decoder of the name {named}")
    # transformers would fill these with random numbers
    if lacking := sorted({str(name) for kind in ("missing_keys", "mismatched_keys") for name in found[kind]}):
        raise RefusedError(f"{type(model).__name__} needs other weights: {', '.join(lacking[:MOST_NAMES])}")
    model.config.use_cache = True
    tell("exporting")
    onnx_export_from_model(model, folder, task=TASK, do_validation=False)


def main(arguments: list[str]) -> int:
    """The exit status: 0 for an export, 1 for none."""
    out = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    os.dup2(2, 1)  # what libraries print is no word of this program

    def tell(text: str) -> None:
        out.write(f"{' '.join(text.split())}\n")

    sys.addaudithook(refuse_network)
    try:
        if arguments:
            limit(*map(int, arguments[2:]))
            export(Path(arguments[0]), Path(arguments[1]), tell)
        else:
            export(None, Path(), tell)
    except Exception as error:  # noqa: BLE001 - whatever three libraries raise is told, and stands in the log
        traceback.print_exc()
        tell(f"refused: {error if isinstance(error, RefusedError) else f'{type(error).__name__}: {error}'}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
