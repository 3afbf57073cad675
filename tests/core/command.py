"""The command line in a test's own process, and what it must keep to."""

import json
from pathlib import Path
from typing import Any

import pytest

from canopy_desktop import cli


class Cli:
    """The command line in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], model: Path) -> None:
        self._capsys = capsys
        self._model = model

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, standard output and standard error."""
        status = cli.main(arguments)
        found = self._capsys.readouterr()
        return status, found.out, found.err

    def json(self, *arguments: str) -> Any:
        """The one object that a command prints."""
        status, out, err = self.run(*arguments, "--json", "--model", str(self._model))
        assert (status, err) == (0, "")
        assert out.count("\n") == 1
        return json.loads(out, parse_constant=pytest.fail)

    def refused(self, *arguments: str, model: str | None = "") -> tuple[int, str]:
        """Exit status and the one sentence of a command that fails."""
        named = () if model is None else ("--model", model or str(self._model))
        status, out, err = self.run(*arguments, "--json", *named)
        assert out == ""
        assert_one_sentence(err)
        return status, err


def assert_one_sentence(err: str) -> None:
    assert err.count("\n") == 1
    assert err.endswith(".\n")
    assert "Traceback" not in err
    assert "unexpected" not in err


def assert_record(value: Any, kinds: dict[str, Any]) -> None:
    assert list(value) == list(kinds)
    for key, kind in kinds.items():
        assert isinstance(value[key], kind), key
        assert not isinstance(value[key], bool), key
