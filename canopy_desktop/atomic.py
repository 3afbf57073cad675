"""Files that are replaced in one step: either the old or the new one is there, whatever happens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when it is complete and on the disk. Raises `OSError`."""
    path = path.resolve()  # a link stays one
    new = path.with_name(f".{path.name[:80]}.{os.getpid()}.new")
    with new.open("wb") as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            file.close()
            new.unlink(missing_ok=True)
            raise
    try:
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
