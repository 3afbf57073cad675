"""A controller with a scripted model, and what it has said so far."""

from pytestqt.qtbot import QtBot

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.journal import Journal
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.exploration.view import MetricsView, TokenRole, WindowView
from canopy_desktop.settings import Preferences
from canopy_ui.controller import Controller
from canopy_ui.state import RunPhase, RunState
from tests.support.scripted import ScriptedSession, opener_of

PREFERENCES = Preferences(
    prompt=PromptRequest(text="abc"), decoding=DecodingSettings(max_tokens=4), layer=1, head=2, hide_first=False
)
PATIENCE_MS = 20_000


class Driver:
    """Drives a controller the way a window does, and remembers what it would show."""

    def __init__(
        self,
        qtbot: QtBot,
        session: ScriptedSession,
        preferences: Preferences = PREFERENCES,
        journal: Journal | None = None,
    ) -> None:
        self.qtbot = qtbot
        self.session = session
        self.controller = Controller(opener_of(session), preferences, journal)
        self.view = WindowView()
        self.metrics: MetricsView | None = None
        self.states: list[RunState] = []
        self.errors: list[Exception] = []
        self.controller.view_changed.connect(self._show)
        self.controller.metrics_changed.connect(self._measure)
        self.controller.state_changed.connect(self.states.append)
        self.controller.failed.connect(self.errors.append)

    def open(self) -> None:
        with self.qtbot.waitSignal(self.controller.model_opened, timeout=PATIENCE_MS):
            self.controller.open()

    def type(self, text: str) -> None:
        self.controller.draft.edit(PromptRequest(text=text))

    def wait_for(self, phase: RunPhase) -> None:
        """Until the run stands there, and everything that is looked at was painted."""
        self.qtbot.waitUntil(lambda: self.controller.state.phase is phase, timeout=PATIENCE_MS)
        self.settle_view()

    def settle_view(self) -> None:
        """Until everything that is looked at was painted."""
        with self.qtbot.waitSignal(self.controller.settled, timeout=PATIENCE_MS):
            self.controller.touch()

    def wait_painted(self) -> None:
        with self.qtbot.waitSignal(self.controller.view_changed, timeout=PATIENCE_MS):
            self.controller.touch()

    def text(self) -> str:
        """The text that the window shows."""
        return self.session.tokenizer.decode([chip.token.id for chip in self.view.chips])

    def generated(self) -> str:
        chips = [chip for chip in self.view.chips if chip.role is TokenRole.GENERATED]
        return self.session.tokenizer.decode([chip.token.id for chip in chips])

    def token(self, letter: str) -> int:
        return self.session.tokenizer.encode(letter).ids[0]

    def _show(self, view: WindowView) -> None:
        self.view = view

    def _measure(self, metrics: MetricsView) -> None:
        self.metrics = metrics
