"""A bundle's card: what the model is, and the sum of every file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Any

from canopy_desktop.errors import BundleError

CARD_FILE = "card.json"
CARD_FORMAT = 1
MAX_CARD_BYTES = 4_000_000


class WeightForm(Enum):
    """How the matrices are kept."""

    INT8 = "int8"  # 8 bits in blocks of 32, one float scale a block, int8 activations
    FP32 = "fp32"


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """The numbers of a decoder."""

    layers: int
    heads: int
    kv_heads: int
    head_size: int
    hidden: int
    feed_forward: int
    vocabulary: int
    context: int
    rope_base: float
    epsilon: float

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ValueError(f"{field.name} must be above 0, not {value!r}")
        if self.heads % self.kv_heads or self.head_size % 2:
            raise ValueError("heads must be a multiple of kv_heads, and head_size even")

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes that the cache keeps for one position: a key and a value of 4 bytes a number in every layer."""
        return 2 * self.layers * self.kv_heads * self.head_size * 4


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSum:
    """One file of the bundle."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What stands in card.json."""

    id: str
    title: str
    licence: str
    source: str  # where the weights came from, in words
    source_sha256: str
    recipe_sha256: str  # of everything that decided how the bundle was built
    weights: WeightForm
    architecture: Architecture
    end_ids: tuple[int, ...]
    chat_template: str | None
    files: tuple[FileSum, ...]

    def to_json(self) -> str:
        """The same text for the same card, on any machine."""
        values = asdict(self)
        values["format"] = CARD_FORMAT
        values["weights"] = self.weights.value
        return json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def read_card(folder: Path) -> Card:
    """The card of a bundle. Raises `BundleError`."""
    path = folder / CARD_FILE
    try:
        if path.stat().st_size > MAX_CARD_BYTES:
            raise BundleError(folder, f"{CARD_FILE} is larger than {MAX_CARD_BYTES} bytes")
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BundleError(folder, f"{CARD_FILE} cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise BundleError(folder, f"{CARD_FILE} is not valid JSON") from error
    try:
        return _card(values)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(folder, f"{CARD_FILE} does not say what it must ({error})") from error


def _card(values: Mapping[str, Any]) -> Card:
    if values["format"] != CARD_FORMAT:
        raise ValueError(f"format {values['format']!r}")
    files = tuple(
        FileSum(name=_plain(f["name"]), bytes=int(f["bytes"]), sha256=str(f["sha256"])) for f in values["files"]
    )
    architecture = values["architecture"]
    template = values["chat_template"]
    return Card(
        id=_plain(values["id"]),
        title=str(values["title"]),
        licence=str(values["licence"]),
        source=str(values["source"]),
        source_sha256=str(values["source_sha256"]),
        recipe_sha256=str(values["recipe_sha256"]),
        weights=WeightForm(values["weights"]),
        architecture=Architecture(
            rope_base=float(architecture["rope_base"]),
            epsilon=float(architecture["epsilon"]),
            **{
                field.name: int(architecture[field.name])
                for field in fields(Architecture)
                if field.name not in ("rope_base", "epsilon")
            },
        ),
        end_ids=tuple(int(token_id) for token_id in values["end_ids"]),
        chat_template=None if template is None else str(template),
        files=files,
    )


def _plain(name: object) -> str:
    """A name that stays in its folder."""
    text = str(name)
    if not text or text != Path(text).name or text in (".", "..") or "\\" in text or "\0" in text:
        raise ValueError(f"{text!r} is not a plain name")
    return text
