"""A model bundle on disk: found, and opened only if card, files and graphs agree."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from canopy_desktop import paths
from canopy_desktop.errors import BundleError, CanopyError, ModelNotFoundError
from canopy_desktop.model.card import CARD_FILE, Card, FileSum, is_name, own_size, read_card

DEFAULT_MODEL = "smollm2-135m-instruct"
DECODER_FILE = "model.onnx"
CUDA_DECODER_FILE = "model-cuda.onnx"
HEAD_FILE = "head.onnx"
TOKENIZER_FILE = "tokenizer.json"
WEIGHTS_FILE = "weights.bin"
FILES = (DECODER_FILE, CUDA_DECODER_FILE, HEAD_FILE, WEIGHTS_FILE, TOKENIZER_FILE)
OPTIONAL = frozenset({CUDA_DECODER_FILE})  # bundles of older versions lack it
_READ_BYTES = 4 << 20
logger = logging.getLogger(__name__)

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle."""

    folder: Path
    card: Card

    @classmethod
    def open(cls, folder: Path, *, progress: Progress | None = None) -> Bundle:
        """Verify every file's sum and the graphs' and tokenizer's contracts. Raises `BundleError`."""
        card = read_card(folder)
        listed = sorted(entry.name for entry in card.files)
        if sorted({*listed, *OPTIONAL}) != sorted(FILES) or len(set(listed)) < len(listed):
            raise BundleError(folder, f"its card does not list exactly {', '.join(FILES)}")
        if card.architecture.is_given and CUDA_DECODER_FILE in listed:
            raise BundleError(folder, f"its graph is another program's, of which no {CUDA_DECODER_FILE} is built")
        total = sum(entry.bytes for entry in card.files) or 1
        done = 0
        for entry in card.files:
            for read in _verify(folder, entry):
                done += read
                if progress:
                    progress(done / total)
        _check_contents(folder, card)
        return cls(folder, card)

    @property
    def decoder(self) -> Path:
        """The decoder's graph for the CPU."""
        return self.folder / DECODER_FILE

    @property
    def cuda_decoder(self) -> Path | None:
        """The decoder's graph for a card, if the bundle has one."""
        return self.folder / CUDA_DECODER_FILE if _has_cuda_decoder(self.card) else None

    @property
    def weight_bytes(self) -> int:
        """Bytes of the file with all weights."""
        return next(entry.bytes for entry in self.card.files if entry.name == WEIGHTS_FILE)

    @property
    def head(self) -> Path:
        """The head's graph."""
        return self.folder / HEAD_FILE

    @property
    def tokenizer(self) -> Path:
        """The tokenizer, in the format of the `tokenizers` package."""
        return self.folder / TOKENIZER_FILE


@dataclass(frozen=True, slots=True)
class Listed:
    """A bundle that was found; `problem` says why its card cannot be read."""

    id: str
    folder: Path
    card: Card | None
    problem: str | None


def find_bundle(name: str | None) -> Path:
    """The folder of a bundle, by id or as a path; None is the default model. Raises `ModelNotFoundError`.

    A default that a person chose and that is not there any more is said in the log, and the built-in one is taken.

    An id means the same model wherever the program is started: a folder of that name in the working directory is
    taken only where no model is called so.
    """
    wanted = name or default_model().id
    folders = paths.model_folders()
    plain = wanted == Path(wanted).name != ".."
    places = [folder / wanted for folder in folders] if plain else []
    for place in places + ([Path(wanted)] if name else []):
        if _has_card(place):
            return place
    raise ModelNotFoundError(wanted, folders)


@dataclass(frozen=True, slots=True)
class Default:
    """The model that opens where none is named."""

    id: str
    vanished: str = ""  # the one that a person chose, where it is not there any more

    @property
    def note(self) -> str:
        """One sentence on why it is not the one that was chosen; nothing where it is."""
        if not self.vanished:
            return ""
        return f"The default model {self.vanished!r} is not there any more, so {self.id!r} is the default again."


def default_model() -> Default:
    """What a person chose, if it is there, else the built-in default."""
    from canopy_desktop import settings  # knows what a model's prompts are; a model needs no settings

    chosen = settings.chosen_model(paths.settings_file())
    if not chosen or any(_has_card(folder / chosen) for folder in paths.model_folders() if is_name(chosen)):
        return Default(chosen or DEFAULT_MODEL)
    found = Default(DEFAULT_MODEL, chosen)
    logger.warning("%s", found.note)
    return found


def installed_bundles() -> tuple[Listed, ...]:
    """All bundles in the known places, the first of each id; cards are read, files not verified."""
    found: dict[str, Listed] = {}
    for folder in paths.model_folders():
        for card_path in sorted(folder.glob(f"*/{CARD_FILE}")):
            bundle = card_path.parent
            if bundle.name.startswith(".") or bundle.name in found:
                continue
            try:
                found[bundle.name] = Listed(bundle.name, bundle, read_card(bundle), None)
            except CanopyError as error:
                found[bundle.name] = Listed(bundle.name, bundle, None, str(error))
    return tuple(found.values())


def file_sum(path: Path) -> FileSum:
    """Size and sha256 of a file."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
            size += len(block)
    return FileSum(name=path.name, bytes=size, sha256=digest.hexdigest())


def _verify(folder: Path, entry: FileSum) -> Iterator[int]:
    if (size := own_size(folder, entry.name)) != entry.bytes:
        raise BundleError(folder, f"{entry.name} has {size} bytes instead of {entry.bytes}")
    digest = hashlib.sha256()
    try:
        with (folder / entry.name).open("rb") as file:
            while block := file.read(_READ_BYTES):
                digest.update(block)
                yield len(block)
    except OSError as error:
        raise BundleError(folder, f"{entry.name} cannot be read ({error.strerror})") from error
    if digest.hexdigest() != entry.sha256:
        raise BundleError(folder, f"{entry.name} was altered")


def _has_cuda_decoder(card: Card) -> bool:
    return any(entry.name == CUDA_DECODER_FILE for entry in card.files)


def _has_card(folder: Path) -> bool:
    """Whether there is a card, of any kind; what cannot be looked into has none."""
    try:
        (folder / CARD_FILE).lstat()
    except (OSError, ValueError):
        return False
    return True


def _check_contents(folder: Path, card: Card) -> None:
    # imported here: listing models needs no ONNX
    from canopy_desktop.model.graph_check import check_graph, cuda_contract, decoder_contract, head_contract
    from canopy_desktop.model.tokenizer_check import check_tokenizer

    weights = folder / WEIGHTS_FILE
    check_tokenizer(folder, TOKENIZER_FILE, card.architecture.vocabulary)
    if card.architecture.is_given:
        from canopy_desktop.model.given_graph import check_given

        check_given(folder, card.architecture)
        return
    check_graph(folder, DECODER_FILE, decoder_contract(card.architecture), weights)
    if _has_cuda_decoder(card):
        check_graph(folder, CUDA_DECODER_FILE, cuda_contract(card.architecture), weights)
    check_graph(folder, HEAD_FILE, head_contract(card.architecture, card.weights), weights)
