"""What the desktop asks for: light, dark or high contrast, and whether things may move."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QObject, Qt, Signal
from PySide6.QtGui import QGuiApplication

from canopy_desktop.settings import SYSTEM_THEME
from canopy_ui.desktop_motion import DesktopMotion

_STILL = "canopy-still"  # property of the application


class SystemLook(QObject):
    """Tells when a wish of the desktop changes."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        hints = QGuiApplication.styleHints()
        hints.colorSchemeChanged.connect(self.changed)
        if hasattr(hints, "accessibility"):  # since Qt 6.10
            hints.accessibility().contrastPreferenceChanged.connect(self.changed)
        self._motion = DesktopMotion(self)
        self._motion.changed.connect(self.changed)

    def theme_name(self, choice: str) -> str:
        """The name of a theme: `choice` itself, or what the desktop asks for."""
        if choice != SYSTEM_THEME:
            return choice
        hints = QGuiApplication.styleHints()
        contrast = (
            hasattr(hints, "accessibility")
            and hints.accessibility().contrastPreference() is Qt.ContrastPreference.HighContrast
        )
        return theme_asked_for(hints.colorScheme(), contrast=contrast)

    def allow_motion(self, wanted: bool) -> None:
        """Whether the person lets things move; where the desktop does not, they stay still all the same."""
        app = QCoreApplication.instance()
        if app is not None:
            app.setProperty(_STILL, not wanted or self._motion.still)


def theme_asked_for(scheme: Qt.ColorScheme, *, contrast: bool) -> str:
    """The theme for what a desktop says; light where it says nothing."""
    if contrast:
        return "contrast"
    return "dark" if scheme is Qt.ColorScheme.Dark else "light"


def motion_wanted() -> bool:
    """Whether something may move by itself: to be asked before anything does."""
    app = QCoreApplication.instance()
    return app is None or not app.property(_STILL)
