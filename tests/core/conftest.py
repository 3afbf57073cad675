"""The command line on a tiny model, and on the real one."""

from pathlib import Path

import pytest

from tests.core import tiny
from tests.core.command import Cli


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with a context of 48."""
    return tiny.build(tmp_path_factory.mktemp("models"))


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], model: Path) -> Cli:
    return Cli(capsys, model)


@pytest.fixture
def real(capsys: pytest.CaptureFixture[str], built_model: Path) -> Cli:
    return Cli(capsys, built_model)
