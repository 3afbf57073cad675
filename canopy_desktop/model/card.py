"""A bundle's card: what the model is, and the sum of every file."""

from __future__ import annotations

import json
import math
import re
import stat
from dataclasses import MISSING, asdict, dataclass, fields, replace
from enum import Enum, StrEnum
from pathlib import Path

import numpy as np

from canopy_desktop.errors import BundleError

CARD_FILE = "card.json"
CARD_FORMAT = 1
MAX_CARD_BYTES = 4_000_000
MAX_LAYERS = 1_000
MAX_SIZE = 1 << 22  # of any other number of an architecture
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class WeightForm(Enum):
    """How the matrices are kept."""

    INT8 = "int8"  # 8 bits in blocks of 32, one float scale a block, int8 activations
    FP32 = "fp32"
    GIVEN = "given"  # as another program left them in its graph


BUILT_FORMS = (WeightForm.INT8, WeightForm.FP32)


class GraphForm(Enum):
    """What a decoder's graph runs on."""

    CPU = "cpu"  # everything in 32 bits
    CUDA = "cuda"  # attention, its cache and all that is kept in 16 bits, but the last residual

    @property
    def kept(self) -> type[np.floating]:
        """The type of the cache, of the bias and of queries."""
        return np.float32 if self is GraphForm.CPU else np.float16

    def kept_stream(self, architecture: Architecture) -> type[np.floating]:
        """The type of every kept residual but the last, which is always exact."""
        return np.float32 if architecture.has_wide_stream else self.kept


class Activation(StrEnum):
    """What bends the gate of a feed-forward, or its inner numbers where it has none."""

    SILU = "silu"
    GELU = "gelu_tanh"  # in its approximation by tanh


class Norm(StrEnum):
    """What brings numbers to one scale before a matrix takes them."""

    RMS = "rms"  # divided by their root mean square, with a gain (Zhang and Sennrich 2019, arXiv:1910.07467)
    LAYER = "layer"  # less their mean, divided by their deviation, with a gain and a bias (Ba et al. 2016, 1607.06450)


class Positions(StrEnum):
    """How a model knows where a token stands."""

    ROTARY = "rotary"  # queries and keys are rotated by it
    LEARNED = "learned"  # a row for each place is added to the embedding; the context ends where the rows end
    GIVEN = "given"  # in a way of its own: its graph is another program's, and is run as it is


@dataclass(frozen=True, slots=True)
class LayerAttention:
    """How the heads of one layer look, whatever their weights are."""

    rope_base: float  # 0: nothing is rotated
    rope_divisors: tuple[float, ...]  # of each rotated pair's frequency; none: all 1
    scale: float  # of q·k
    window: int | None  # keys that a query sees at most, its own being the last of them; None: all up to its own

    @property
    def rotates(self) -> bool:
        """Whether queries and keys are rotated by their places."""
        return self.rope_base > 0

    def first_seen(self, query: int) -> int:
        """The first key that a query sees."""
        return 0 if self.window is None else max(0, query + 1 - self.window)


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """The numbers of a decoder, and what its blocks have that a plain llama's lack.

    A card leaves out what has its default, so the cards of plain llamas never change. A given graph keeps
    `feed_forward` and `epsilon` to itself, which are 0 then.
    """

    layers: int
    heads: int
    kv_heads: int
    head_size: int
    hidden: int  # numbers that the head takes: the stream's, or of a given graph whose end is not known its logits
    feed_forward: int
    vocabulary: int
    context: int
    epsilon: float
    rope_base: float = 0.0  # 0: nothing is rotated
    rope_divisors: tuple[float, ...] = ()  # of each rotated pair's frequency, head_size / 2 of them; none: all 1
    tied: bool = True  # the output matrix is the embedding
    norm: Norm = Norm.RMS
    positions: Positions = Positions.ROTARY
    gated: bool = True  # the feed-forward has a gate
    qkv_biases: bool = False  # added to query, key and value
    block_biases: bool = False  # added to what all other matrices of a block give
    qk_norms: bool = False  # an RMS norm of each head's query and key before the rotation
    post_norms: bool = False  # RMS norms of what attention and feed-forward give, before it is added to the stream
    scaled_embedding: bool = False  # by the root of `hidden`
    activation: Activation = Activation.SILU
    attention_scale: float = 0.0  # of q·k; 0: 1 / √head_size
    window: int = 0  # of local layers, `LayerAttention.window`; 0: all layers are global
    window_period: int = 1  # every so manyth layer is global, the others are local
    window_rope_base: float = 10_000.0  # of local layers, whose frequencies nothing divides
    queries: bool = True  # its passes leave every head's query
    residuals: bool = True  # and the stream before and after every block
    steps_alone: bool = False  # a pass over a past takes one token

    def __post_init__(self) -> None:
        for name in NUMBERS:
            if not (self.is_given and name in _BUILT_NUMBERS) and not 0 < getattr(self, name) <= MAX_SIZE:
                raise ValueError(f"{name} must be above 0, up to {MAX_SIZE}")
        if self.layers > MAX_LAYERS:
            raise ValueError(f"layers must be up to {MAX_LAYERS}")
        if self.heads % self.kv_heads or self.head_size % 2:
            raise ValueError("heads must be a multiple of kv_heads, and head_size even")
        for name in ("rope_base", "attention_scale", "window", "window_period", "window_rope_base"):
            if not 0 <= getattr(self, name) <= MAX_SIZE:
                raise ValueError(f"{name} must be 0 to {MAX_SIZE}")
        if not self.window_period or not self.window_rope_base:
            raise ValueError("window_period and window_rope_base must be above 0")
        self._check_positions()
        if self.is_given:
            if any(getattr(self, name) for name in _BUILT_NUMBERS):
                raise ValueError(f"{' and '.join(_BUILT_NUMBERS)} must be 0 for a given graph")
        elif not (self.queries and self.residuals) or self.steps_alone:
            raise ValueError("only given graphs lack queries and residuals, or take one token alone")
        if self.norm is not Norm.RMS and (self.qk_norms or self.post_norms):
            raise ValueError("norms of heads and of what is added must be RMS norms")

    def _check_positions(self) -> None:
        if self.rope_divisors and len(self.rope_divisors) != self.head_size // 2:
            raise ValueError("rope_divisors must be half as many as head_size")
        if not all(0 < divisor <= MAX_SIZE for divisor in self.rope_divisors):
            raise ValueError(f"rope_divisors must be above 0, up to {MAX_SIZE}")
        is_rotary = self.positions is Positions.ROTARY
        if is_rotary != bool(self.rope_base):
            raise ValueError("rope_base must be above 0 where positions are rotary, and 0 elsewhere")
        if not is_rotary and (self.rope_divisors or self.window):
            raise ValueError("only where positions are rotary may there be rope_divisors or a window")

    def attention(self, layer: int) -> LayerAttention:
        """How a layer's heads look."""
        scale = self.attention_scale or 1.0 / math.sqrt(self.head_size)
        if self.window and (layer + 1) % self.window_period:
            return LayerAttention(self.window_rope_base, (), scale, self.window)
        return LayerAttention(self.rope_base, self.rope_divisors, scale, None)

    @property
    def is_given(self) -> bool:
        """Whether the graph is another program's, and is run as it is."""
        return self.positions is Positions.GIVEN

    @property
    def gives(self) -> tuple[str, ...]:
        """What passes leave to be looked at."""
        more = {"residuals": self.residuals, "queries": self.queries}
        return ("logits", "cache", *(name for name, given in more.items() if given))

    @property
    def query_width(self) -> int:
        """Numbers of a layer's queries that a pass leaves of a token; 0 where it leaves none."""
        return self.heads * self.head_size if self.queries else 0

    @property
    def stream_width(self) -> int:
        """Numbers of a residual before the last that a pass leaves of a token; 0 where it leaves none."""
        return self.hidden if self.residuals else 0

    @property
    def has_wide_stream(self) -> bool:
        """Whether residuals outgrow 16 bits, which end at 65,504: those of Gemma 3 270M reach 103,790."""
        return self.post_norms

    @property
    def position_bytes(self) -> int:
        """Bytes of the tables that say positions: cosines and sines for the CPU and for a card, or learned rows."""
        match self.positions:
            case Positions.ROTARY:
                return self.context * self.head_size * (4 + 2) * (2 if self.window else 1)
            case Positions.LEARNED:
                return self.context * self.hidden * 4
            case Positions.GIVEN:
                return 0

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes that the cache keeps for one position: a key and a value of 4 bytes a number in every layer."""
        return 2 * self.layers * self.kv_heads * self.head_size * 4


NUMBERS = tuple(field.name for field in fields(Architecture) if field.default is MISSING)
_BUILT_NUMBERS = ("feed_forward", "epsilon")  # that a graph is built from


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
    template_variables: tuple[tuple[str, str], ...] = ()  # what the chat template calls them, and their text
    built_as: str = ""  # the id under which it was built, where it was renamed since

    @property
    def bytes(self) -> int:
        """Of all its files."""
        return sum(entry.bytes for entry in self.files)

    @property
    def as_built(self) -> Card:
        """The same card before it was renamed: whoever knows the model by its card's sum knows it by this one."""
        return replace(self, id=self.built_as or self.id, built_as="")

    def renamed(self, name: str) -> Card:
        """The card of the same model under another id."""
        built_as = self.as_built.id
        return replace(self, id=name, built_as="" if name == built_as else built_as)

    def to_json(self) -> str:
        """The same text for the same card, on any machine."""
        values = asdict(self)
        values["format"] = CARD_FORMAT
        values["weights"] = self.weights.value
        values["architecture"] = {
            field.name: getattr(self.architecture, field.name)
            for field in fields(Architecture)
            if getattr(self.architecture, field.name) != field.default
        }
        values["template_variables"] = dict(self.template_variables)
        if not self.template_variables:
            del values["template_variables"]
        if not self.built_as:
            del values["built_as"]
        return json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def is_name(text: str) -> bool:
    """Whether a text can be a file's name, and stays in its folder."""
    return _NAME.fullmatch(text) is not None


def read_card(folder: Path) -> Card:
    """The card of a bundle. Raises `BundleError`."""
    if own_size(folder, CARD_FILE) > MAX_CARD_BYTES:
        raise BundleError(folder, f"{CARD_FILE} is larger than {MAX_CARD_BYTES} bytes")
    try:
        values = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
    except OSError as error:
        raise BundleError(folder, f"{CARD_FILE} cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise BundleError(folder, f"{CARD_FILE} is not valid JSON") from error
    try:
        return _card(_Fields(values))
    except ValueError as error:
        raise BundleError(folder, f"{CARD_FILE} does not say what it must ({error})") from error


def own_size(folder: Path, name: str) -> int:
    """Size of a file in the folder itself. Raises `BundleError` if it is missing, a link, a pipe or a folder."""
    try:
        found = (folder / name).lstat()
    except OSError as error:
        raise BundleError(folder, f"{name} cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(found.st_mode):
        raise BundleError(folder, f"{name} is not a plain file in this folder")
    return found.st_size


class _Fields:
    """Typed access to an object of the card. Raises `ValueError`."""

    def __init__(self, values: object) -> None:
        if not isinstance(values, dict):
            raise ValueError("an object is missing")
        self._values: dict[str, object] = values

    def value(self, key: str, default: object = None) -> object:
        """Whatever stands there, or the default where it is left out and there is one."""
        if key not in self._values and default is None:
            raise ValueError(f"{key} is missing")
        return self._values.get(key, default)

    def has(self, key: str) -> bool:
        """Whether something stands there."""
        return key in self._values

    def text(self, key: str, default: str | None = None) -> str:
        """A string."""
        value = self.value(key, default)
        if not isinstance(value, str):
            raise ValueError(f"{key} is not text")
        return value

    def name(self, key: str) -> str:
        """A string that can be a file's name, and stays in its folder."""
        text = self.text(key)
        if not is_name(text):
            raise ValueError(f"{key} is not a plain name: {text[:100]!r}")
        return text

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number."""
        return _number(key, self.value(key, default))

    def whole(self, key: str, default: int | None = None) -> int:
        """A whole number."""
        return _whole(key, self.value(key, default))

    def flag(self, key: str, default: bool) -> bool:
        """True or false, or the default where it is left out."""
        value = self.value(key, default)
        if not isinstance(value, bool):
            raise ValueError(f"{key} is neither true nor false")
        return value

    def entries(self, key: str, default: list[object] | None = None) -> list[object]:
        """A list of anything, or the default where it is left out."""
        value = self.value(key, default)
        if not isinstance(value, list):
            raise ValueError(f"{key} is not a list")
        return value

    def texts(self, key: str) -> tuple[tuple[str, str], ...]:
        """An object of strings as pairs; none where it is left out."""
        value = self._values.get(key, {})
        if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
            raise ValueError(f"{key} is not an object of texts")
        return tuple(value.items())


def _whole(key: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{key} is not a whole number")
    return value


def _number(key: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"{key} is not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{key} is not finite")
    return number


def _card(card: _Fields) -> Card:
    if (form := card.whole("format")) != CARD_FORMAT:
        raise ValueError(f"its format is {form}, and {CARD_FORMAT} is known")
    architecture = _architecture(_Fields(card.value("architecture")))
    end_ids = tuple(_whole("end_ids", token_id) for token_id in card.entries("end_ids"))
    if not all(0 <= token_id < architecture.vocabulary for token_id in end_ids):
        raise ValueError("an end token lies outside of the vocabulary")
    files = (_Fields(entry) for entry in card.entries("files"))
    return Card(
        id=card.name("id"),
        title=card.text("title"),
        licence=card.text("licence"),
        source=card.text("source"),
        source_sha256=card.text("source_sha256"),
        recipe_sha256=card.text("recipe_sha256"),
        weights=WeightForm(card.text("weights")),
        architecture=architecture,
        end_ids=end_ids,
        chat_template=None if card.value("chat_template") is None else card.text("chat_template"),
        files=tuple(FileSum(name=f.name("name"), bytes=f.whole("bytes"), sha256=f.text("sha256")) for f in files),
        template_variables=card.texts("template_variables"),
        built_as=card.name("built_as") if card.has("built_as") else "",
    )


def _architecture(values: _Fields) -> Architecture:
    return Architecture(
        rope_base=values.number("rope_base", 0.0),
        epsilon=values.number("epsilon"),
        rope_divisors=tuple(_number("rope_divisors", value) for value in values.entries("rope_divisors", [])),
        tied=values.flag("tied", True),
        norm=Norm(values.text("norm", Norm.RMS)),
        positions=Positions(values.text("positions", Positions.ROTARY)),
        gated=values.flag("gated", True),
        qkv_biases=values.flag("qkv_biases", False),
        block_biases=values.flag("block_biases", False),
        qk_norms=values.flag("qk_norms", False),
        post_norms=values.flag("post_norms", False),
        scaled_embedding=values.flag("scaled_embedding", False),
        activation=Activation(values.text("activation", Activation.SILU)),
        attention_scale=values.number("attention_scale", 0.0),
        window=values.whole("window", 0),
        window_period=values.whole("window_period", 1),
        window_rope_base=values.number("window_rope_base", 10_000.0),
        queries=values.flag("queries", True),
        residuals=values.flag("residuals", True),
        steps_alone=values.flag("steps_alone", False),
        **{name: values.whole(name) for name in NUMBERS if name != "epsilon"},
    )
