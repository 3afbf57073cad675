"""The reader thread's worker: computes what is looked at from what the model left behind."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from PySide6.QtCore import QObject, Signal, Slot

from canopy_desktop.arrays import FloatArray, IntArray
from canopy_desktop.errors import CanopyError, ColumnsGoneError, NotGivenError, NothingLeftError, SettingsError
from canopy_desktop.exploration.attention_view import AttentionReading, GoneColumns, Look, RowReading
from canopy_desktop.exploration.decision import Decision
from canopy_desktop.exploration.decision_view import DecisionWish, DrawsReading
from canopy_desktop.exploration.lens_view import LensCell, LensColumn, LensWish
from canopy_desktop.exploration.records import Kept
from canopy_desktop.exploration.squares import Square
from canopy_ui.priority import step_behind_the_window

if TYPE_CHECKING:
    from canopy_desktop.exploration.attention_reader import AttentionReader
    from canopy_desktop.exploration.kept_attention import KeptAttention
    from canopy_desktop.exploration.reader import ColumnReader
    from canopy_desktop.exploration.session import ModelSession

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionRequest:
    """The attention that `look` means among the columns `slots`, or a part of it."""

    generation: int
    slots: IntArray = field(repr=False)  # (length,)
    look: Look
    part: Square | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRequest:
    """Where the last of the columns `slots` looks, in every head."""

    generation: int
    slots: IntArray = field(repr=False)  # (query + 1,)
    rollout: bool = False  # through all layers too


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRequest:
    """What settings make of the logits after a column."""

    generation: int
    wish: DecisionWish


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawsRequest:
    """Many draws from what is decided there."""

    generation: int
    wish: DecisionWish
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SurprisalRequest:
    """The surprisal of tokens `first` … `last` - 1."""

    generation: int
    slots: IntArray = field(repr=False)  # (length,)
    token_ids: tuple[int, ...] = field(repr=False)  # (length,)
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LensRequest:
    """What the model's end makes of these columns after each layer."""

    generation: int
    slots: IntArray = field(repr=False)  # (columns,)


@dataclass(frozen=True, slots=True, kw_only=True)
class LensCellRequest:
    """The likeliest tokens of one cell of the lens."""

    generation: int
    wish: LensWish


ReadingRequest: TypeAlias = (
    AttentionRequest | RowRequest | DecisionRequest | DrawsRequest | SurprisalRequest | LensRequest | LensCellRequest
)
Reading: TypeAlias = (
    AttentionReading | RowReading | Decision | DrawsReading | FloatArray | tuple[LensColumn, ...] | LensCell
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingResult:
    """The answer to a request; None where the columns changed, are gone or never were, or the reader failed."""

    request: ReadingRequest
    value: Reading | None
    gone: GoneColumns | None = None
    refused: CanopyError | None = None  # the settings leave nothing to choose from, or cannot be used here
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRequest:
    """What attention is computed from, of the columns of the window at a node, to be kept in a file."""

    slots: IntArray = field(repr=False)  # (length,)
    node: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepResult:
    """The answer to a wish to keep attention; None where the columns moved meanwhile, or cannot be read."""

    request: KeepRequest
    attention: KeptAttention | None = None
    error: Exception | None = None


class Reader(QObject):
    """Answers each request with one result. Every slot runs on the reader thread; no exception leaves one."""

    result_ready = Signal(object)  # ReadingResult
    attention_kept = Signal(object)  # KeepResult
    left = Signal()  # nothing here holds the model any more

    def __init__(self) -> None:
        super().__init__()
        self._session: ModelSession | None = None
        self._columns: ColumnReader | None = None
        self._kept: AttentionReader | None = None  # of a text whose model is not here

    @Slot(object)
    def open(self, session: ModelSession) -> None:
        """Read from this session's columns from now on."""
        step_behind_the_window()
        self._session, self._columns = session, None

    @Slot()
    def leave(self) -> None:
        """Let go of the model; `left` follows."""
        self._session = self._columns = None
        self.left.emit()

    @Slot()
    def close(self) -> None:
        """Leave the thread's event loop for good."""
        self._session = self._columns = None
        self.thread().quit()

    @Slot(object)
    def read_kept(self, attention: KeptAttention | None) -> None:
        """Read attention from what was kept with a text, from now on; None: from the session's columns."""
        self._kept = None if attention is None else attention.reader()

    @Slot(object)
    def keep(self, request: KeepRequest) -> None:
        """Copy what attention is computed from."""
        try:
            attention = self._opened().keep(request.slots, request.node)
        except CanopyError as error:
            self.attention_kept.emit(KeepResult(request=request, error=error))
        except Exception as error:
            logger.exception("Unexpected error while keeping attention")
            self.attention_kept.emit(KeepResult(request=request, error=error))
        else:
            self.attention_kept.emit(KeepResult(request=request, attention=attention))

    @Slot(object)
    def read(self, request: ReadingRequest) -> None:
        """Compute what is asked for."""
        try:
            value = self._value(request)
        except ColumnsGoneError as error:
            gone = GoneColumns(kind=Kept(error.what), tokens=error.tokens)
            self.result_ready.emit(ReadingResult(request=request, value=None, gone=gone))
        except NotGivenError:
            self.result_ready.emit(ReadingResult(request=request, value=None, failed=True))
        except (SettingsError, NothingLeftError) as error:
            self.result_ready.emit(ReadingResult(request=request, value=None, refused=error))
        except Exception:
            logger.exception("Unexpected error while reading %r", request)
            self.result_ready.emit(ReadingResult(request=request, value=None, failed=True))
        else:
            self.result_ready.emit(ReadingResult(request=request, value=value))

    def _value(self, request: ReadingRequest) -> Reading | None:
        match request:
            case AttentionRequest():
                return self._attending().picture(request.slots, request.look, request.part)
            case RowRequest():
                return self._attending().row(request.slots, request.slots.size - 1, rollout=request.rollout)
            case DecisionRequest(wish=wish):
                return self._opened().decision(
                    wish.slot, wish.settings, wish.history, wish.position, shown=wish.shown, also=wish.also
                )
            case DrawsRequest(wish=wish, count=count):
                return self._opened().draws(wish.slot, wish.settings, wish.history, count=count, listed=wish.shown)
            case SurprisalRequest():
                return self._opened().surprisal(request.slots, request.token_ids, request.first, request.last)
            case LensRequest(slots=slots):
                return self._opened().lens(slots)
            case LensCellRequest(wish=cell):
                return self._opened().lens_cell(cell)

    def _attending(self) -> AttentionReader:
        return self._opened() if self._kept is None else self._kept

    def _opened(self) -> ColumnReader:
        if self._columns is None:
            if self._session is None:
                raise RuntimeError("a request came before the model was loaded")
            self._columns = self._session.new_reader()
        return self._columns
