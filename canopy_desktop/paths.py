"""Where things are; no other module knows."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

APP = "canopy-desktop"
_PACKAGE = Path(__file__).resolve().parent
_PACKED = _PACKAGE / "_data"
_CHECKOUT = _PACKAGE.parent


def resources() -> Path:
    """Icons, fonts, examples: packed into the wheel, or in the source checkout."""
    return _PACKED / "resources" if _PACKED.is_dir() else _CHECKOUT / "resources"


def recipes() -> Path:
    """The folder of recipes, one TOML a model."""
    return _PACKED / "models" if _PACKED.is_dir() else _CHECKOUT / "models"


def checkout_models() -> Path | None:
    """Where a source checkout keeps what it built; None when the program is installed."""
    return None if _PACKED.is_dir() else _CHECKOUT / "models" / "built"


def user_models() -> Path:
    """The user's own models."""
    return Path(platformdirs.user_data_dir(APP, appauthor=False)) / "models"


def model_folders() -> tuple[Path, ...]:
    """Where bundles are looked for, first come first served."""
    given = os.environ.get("CANOPY_MODELS", "")
    folders = [Path(part) for part in given.split(os.pathsep) if part]
    folders.append(user_models())
    folders.extend(Path(part) / "models" for part in _site_data_folders())
    folders.append(_PACKAGE.parent / "canopy-models")
    checkout = checkout_models()
    if checkout is not None:
        folders.append(checkout)
    return tuple(folders)


def own_model_folders() -> tuple[Path, ...]:
    """Those of the person, or named by the person; what lies in the others belongs to the system."""
    given = os.environ.get("CANOPY_MODELS", "")
    own = [Path(part) for part in given.split(os.pathsep) if part]
    checkout = checkout_models()
    return (*own, user_models(), *([] if checkout is None else [checkout]))


def build_folder() -> Path:
    """Where `models build` puts a bundle."""
    given = os.environ.get("CANOPY_MODELS", "").split(os.pathsep)[0]
    return Path(given) if given else checkout_models() or user_models()


def export_environment() -> Path:
    """Where optimum's environment is, or would be made: `$CANOPY_EXPORT`, the checkout's own, or the user's."""
    given = os.environ.get("CANOPY_EXPORT", "")
    if given:
        return Path(given)
    return user_models().with_name("export") if _PACKED.is_dir() else _CHECKOUT / ".venv-export"


def export_locks() -> Path:
    """The folder of what is installed there."""
    return resources() / "export"


def export_log() -> Path:
    """What pip and optimum said last."""
    return log_file().with_name("export.log")


def settings_file() -> Path:
    """The user's settings."""
    return Path(platformdirs.user_config_dir(APP, appauthor=False)) / "settings.json"


def log_file() -> Path:
    """The program's log."""
    return Path(platformdirs.user_log_dir(APP, appauthor=False)) / "canopy-desktop.log"


def journals() -> Path:
    """Where explorations that were not saved are kept."""
    return Path(platformdirs.user_state_dir(APP, appauthor=False)) / "explorations"


def _site_data_folders() -> list[str]:
    folders = platformdirs.site_data_dir(APP, appauthor=False, multipath=True)
    return [part for part in folders.split(os.pathsep) if part]
