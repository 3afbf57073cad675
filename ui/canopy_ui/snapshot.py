"""`canopy-desktop snapshot`: pictures of the real window after a real run."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import StorageError
from canopy_desktop.settings import THEMES, Preferences
from canopy_ui.app import PROVIDERS, Parser
from canopy_ui.display import display_is_reachable
from canopy_ui.workspaces import NAMES

DEFAULT_SIZES = ((1280, 720), (1920, 1080))
SMALLEST, LARGEST = (640, 400), (7680, 4320)
DECODING = DecodingSettings(temperature=0.8, top_k=40, top_p=0.9, seed=8, max_tokens=20)
PATIENCE_MS = 120_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture to take."""

    workspace: str
    size: tuple[int, int]  # device pixels
    scale: int
    theme: str

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.workspace}-{self.size[0]}x{self.size[1]}-{self.theme}.png"


def snapshot(argv: Sequence[str]) -> int:
    """Take the pictures and print where they are. Returns the exit status. Raises `CanopyError`."""
    wanted = snapshot_parser().parse_args(argv)
    pictures = pictures_of(wanted)
    folder = Path(wanted.out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(folder, f"the folder cannot be made: {error.strerror}") from error
    if not display_is_reachable():
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ["QT_SCALE_FACTOR"] = str(wanted.scale)
    from canopy_ui.opening import opener_of
    from canopy_ui.photographer import take

    paths = take(
        pictures,
        folder,
        opener=opener_of(wanted.model, wanted.provider),
        preferences=preferences_for(wanted.theme),
        patience_ms=PATIENCE_MS,
    )
    if wanted.json:
        print(json.dumps({"pictures": [str(path) for path in paths]}))  # noqa: T201
    else:
        print("\n".join(str(path) for path in paths))  # noqa: T201
    return 0


def snapshot_parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    parser = Parser(prog="canopy-desktop snapshot", description="Take pictures of the window after a real run.")
    parser.add_argument("--out", required=True, metavar="DIR", help="the folder for the pictures")
    parser.add_argument("--size", type=_size, metavar="WxH", help="in device pixels; default: 1280x720 and 1920x1080")
    parser.add_argument("--scale", type=int, choices=(1, 2), default=1, help="device pixels in one of the window's")
    parser.add_argument("--workspace", choices=(*NAMES, "all"), default="all")
    parser.add_argument("--theme", choices=THEMES, default=THEMES[0])
    parser.add_argument("--model", metavar="ID|DIR")
    parser.add_argument("--provider", choices=PROVIDERS, default=PROVIDERS[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def pictures_of(wanted: argparse.Namespace) -> tuple[Picture, ...]:
    """What the arguments ask for."""
    names = NAMES if wanted.workspace == "all" else (wanted.workspace,)
    sizes = DEFAULT_SIZES if wanted.size is None else (wanted.size,)
    return tuple(
        Picture(workspace=name, size=size, scale=wanted.scale, theme=wanted.theme) for name in names for size in sizes
    )


def preferences_for(theme: str) -> Preferences:
    """Those of a first start, with settings of which every stage has something to do."""
    return replace(Preferences(), theme=theme, decoding=DECODING)


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 1280x720")
    width, height = int(found[1]), int(found[2])
    if not (SMALLEST[0] <= width <= LARGEST[0] and SMALLEST[1] <= height <= LARGEST[1]):
        raise argparse.ArgumentTypeError(f"{text} is not between 640x400 and 7680x4320")
    return width, height
