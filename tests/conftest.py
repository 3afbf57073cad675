"""What all tests share: homes of their own, the built models, and no silent skipping in CI."""

import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OWN_ENVIRONMENT = dict(os.environ)  # before the tests are moved away from the person's home
IN_CI = os.environ.get("CI") == "true"
_HOMES = pytest.StashKey[Path]()

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the program does; a test may import numpy before it


def pytest_configure(config: pytest.Config) -> None:
    """Leave the person's home before anything is imported that may look into it."""
    homes = Path(tempfile.mkdtemp(prefix="canopy-tests-"))
    config.stash[_HOMES] = homes
    os.environ.pop("CANOPY_MODELS", None)
    os.environ["CANOPY_EXPORT"] = str(homes / "export")  # where nothing is
    os.environ["XDG_CACHE_HOME"] = str(homes / "cache")
    os.environ["XDG_RUNTIME_DIR"] = str(homes / "runtime")
    (homes / "runtime").mkdir(mode=0o700)
    for name, path in _homes_in(homes / "session").items():
        os.environ[name] = path


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give the environment back, and remove the homes."""
    shutil.rmtree(config.stash[_HOMES], ignore_errors=True)
    os.environ.clear()
    os.environ.update(OWN_ENVIRONMENT)


def _homes_in(folder: Path) -> dict[str, str]:
    """Make a home in `folder`, and name it as programs look for it."""
    names = {
        "HOME": folder,
        "XDG_CONFIG_HOME": folder / "config",
        "XDG_DATA_HOME": folder / "data",
        "XDG_STATE_HOME": folder / "state",
    }
    for path in names.values():
        path.mkdir(parents=True, exist_ok=True)
    return {name: str(path) for name, path in names.items()}


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a home without settings."""
    for name, path in _homes_in(tmp_path_factory.mktemp("home")).items():
        monkeypatch.setenv(name, path)


@pytest.fixture(scope="session")
def own_environment() -> dict[str, str]:
    """The environment in which the tests were started, with the person's home: for tests that run pip or make."""
    return dict(OWN_ENVIRONMENT)


@pytest.fixture(scope="session")
def built_model() -> Path:
    """The default model's bundle."""
    return _bundle("smollm2-135m-instruct", "make model")


@pytest.fixture(scope="session")
def built_fp32_model() -> Path:
    """The same model without rounding of its weights."""
    return _bundle("smollm2-135m-instruct-fp32", "make setup-tests")


def _bundle(name: str, command: str) -> Path:
    folder = ROOT / "models" / "built" / name
    if not (folder / "card.json").is_file():
        pytest.fail(f"The model {name} is not built: run `{command}`.", pytrace=False)
    return folder


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests for a card run where there is one."""
    if item.get_closest_marker("cuda") and not Path("/dev/nvidiactl").exists():
        pytest.skip("there is no NVIDIA card here")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test has failed, for nobody would notice that it no longer runs."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail") and not item.get_closest_marker("cuda"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which counts as a failure in CI: {_reason(report.longrepr)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself."""
    report = yield
    if IN_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, which counts as a failure in CI: {_reason(report.longrepr)}"
    return report


def _reason(longrepr: object) -> str:
    return str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)
