"""tests/conftest.py: what a skipped test means."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = {
    "test_marked": "@pytest.mark.skip(reason='none')\ndef test_rule(): ...",
    "test_inside": "def test_rule():\n    pytest.skip('none')",
    "test_module": "pytest.skip('none', allow_module_level=True)",
    "test_card": "@pytest.mark.cuda\ndef test_rule():\n    pytest.skip('no card')",
    "test_known": "@pytest.mark.xfail(reason='known')\ndef test_rule():\n    assert False",
}


@pytest.mark.parametrize(("ci", "failed"), [("true", {"test_marked", "test_inside", "test_module"}), ("", set())])
def test_in_ci_only_tests_for_a_card_may_be_skipped(
    tmp_path: Path, own_environment: dict[str, str], ci: str, failed: set[str]
) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = cuda\n", encoding="utf-8")
    for name, source in MODULES.items():
        (tmp_path / f"{name}.py").write_text(f"import pytest\n\n{source}\n", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rfE",
        "-p",
        "no:cacheprovider",
        "--continue-on-collection-errors",
    ]
    done = subprocess.run(
        command, cwd=tmp_path, env={**own_environment, "CI": ci}, capture_output=True, text=True, check=False
    )
    assert set(re.findall(r"^(?:FAILED|ERROR) (\w+)\.py", done.stdout, re.MULTILINE)) == failed, done.stdout
    assert done.stdout.count("counts as a failure in CI") >= len(failed)
