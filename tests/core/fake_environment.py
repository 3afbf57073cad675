"""A small script in the place of the export environment's Python: what it is asked to run, it plays."""

import sys
from pathlib import Path

from canopy_desktop.model.export_environment import STAMP, pinned

_PYTHON = """#!{python} -ES
import os, sys, shutil, time

program, *arguments = sys.argv[3:]  # behind -I and the tether
name = os.path.basename(program)
play = {{}}
with open({script!r}) as file:
    exec(file.read(), play)
if name == "venv":
    os.makedirs(arguments[0] + "/bin")
    shutil.copy(sys.argv[0], arguments[0] + "/bin/python")
play["run"](name, arguments)
"""


def write_python(path: Path, script: Path, play: str = "def run(name, arguments): pass") -> Path:
    """A fake Python that calls `run(name, arguments)` of `script` instead of a module or file of that name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(f"import os, sys, time\n{play}\n")
    path.write_text(_PYTHON.format(python=sys.executable, script=str(script)))
    path.chmod(0o755)
    return path


def write_environment(folder: Path, play: str) -> None:
    """An environment that is taken as whole, with such a Python."""
    write_python(folder / "bin" / "python", folder / "play.py", play)
    (folder / STAMP).write_text(pinned())


def link_environment(folder: Path, venv: Path) -> None:
    """An environment that is taken as whole, with the packages of another one."""
    folder.mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (folder / name).symlink_to(venv / name)
    (folder / STAMP).write_text(pinned())
