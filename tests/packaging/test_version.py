"""One version, in the package's description and in the program."""

import tomllib
from pathlib import Path

from canopy_desktop import __version__

ROOT = Path(__file__).resolve().parents[2]


def test_the_program_names_the_version_that_is_packaged() -> None:
    described = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert __version__ == described["project"]["version"]


def test_the_changelog_begins_with_this_version() -> None:
    headings = [line for line in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines() if line[:3] == "## "]
    assert headings[0].startswith(f"## {__version__} ")
