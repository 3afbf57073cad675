"""A dock whose title says what its panel shows."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QDockWidget,
    QFrame,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from canopy_ui.docks import DockSpec, translated
from canopy_ui.icons import Sign, icon
from canopy_ui.theme import Theme
from canopy_ui.widgets.panel import Panel

SMALLEST = QSize(300, 130)  # a panel that needs more than this can be scrolled


class Dock(QDockWidget):
    """Closable, movable, floating; named in `objectName` so that its place is remembered."""

    def __init__(self, spec: DockSpec, panel: Panel, theme: Theme) -> None:
        name = translated(spec.title)
        super().__init__(name)
        self.setObjectName(spec.key)
        self.setAccessibleName(name)
        self._title = TitleBar(name, theme)
        self._title.close_button.clicked.connect(self.close)
        self._title.float_button.clicked.connect(self._on_float_clicked)
        self.setTitleBarWidget(self._title)
        body = QFrame()
        body.setProperty("look", "dock-body")
        layout = QVBoxLayout(body)
        layout.setContentsMargins(1, 0, 1, 1)
        layout.addWidget(PanelArea(panel))
        self.setWidget(body)
        self._title.set_subtitle(panel.title())
        panel.title_changed.connect(self._title.set_subtitle)

    def subtitle(self) -> str:
        """What stands beside the name."""
        return self._title.subtitle()

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._title.set_theme(theme)

    @Slot()
    def _on_float_clicked(self) -> None:
        self.setFloating(not self.isFloating())


class PanelArea(QScrollArea):
    """Scrolls where the dock is too small for its panel, so that large text never makes the window too large."""

    def __init__(self, panel: QWidget) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._panel = panel
        self.setWidget(panel)
        panel.installEventFilter(self)

    def sizeHint(self) -> QSize:
        return self._panel.sizeHint()

    def minimumSizeHint(self) -> QSize:
        return self._panel.minimumSizeHint().boundedTo(SMALLEST)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._fit()
        super().resizeEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() is QEvent.Type.LayoutRequest:
            self._fit()
            self.updateGeometry()
        return super().eventFilter(watched, event)

    def _fit(self) -> None:
        """Not `setWidgetResizable`: that scrolls as soon as there is less than the preferred height."""
        room, least = self.maximumViewportSize(), self._panel.minimumSizeHint()
        if least.width() > room.width():
            room.setHeight(room.height() - self.horizontalScrollBar().sizeHint().height())
        if least.height() > room.height():
            room.setWidth(room.width() - self.verticalScrollBar().sizeHint().width())
        self._panel.resize(room.expandedTo(least))


class TitleBar(QFrame):
    """Name, subtitle, and buttons to float and close. Dragging it moves the dock."""

    def __init__(self, name: str, theme: Theme) -> None:
        super().__init__()
        self.setProperty("look", "dock-title")
        self._text = ""
        self._name = QLabel(name)
        self._name.setProperty("look", "name")
        self._subtitle = QLabel()
        self._subtitle.setProperty("look", "secondary")
        self._subtitle.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.float_button = self._button(self.tr("Float or dock “{name}”").format(name=name))
        self.close_button = self._button(self.tr("Close “{name}”; View shows it again").format(name=name))
        self._layout = QHBoxLayout(self)
        self._layout.addWidget(self._name)
        self._layout.addWidget(self._subtitle, 1)
        self._layout.addWidget(self.float_button)
        self._layout.addWidget(self.close_button)
        self.set_theme(theme)

    @Slot(str)
    def set_subtitle(self, text: str) -> None:
        """Show a text, cut at the end where there is no room."""
        if text != self._text:
            self._text = text
            self._elide()

    def subtitle(self) -> str:
        """The whole text, however much of it is shown."""
        return self._text

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._layout.setContentsMargins(theme.px(12), theme.px(2), theme.px(6), theme.px(2))
        self._layout.setSpacing(theme.px(6))
        for button, sign in ((self.float_button, Sign.FLOAT), (self.close_button, Sign.CLOSE)):
            button.setIcon(icon(sign, theme.secondary))
            button.setIconSize(QSize(theme.px(16), theme.px(16)))
            button.setFixedSize(theme.px(20), theme.px(20))
        self._elide()

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._elide()

    def _elide(self) -> None:
        metrics = self._subtitle.fontMetrics()
        shown = metrics.elidedText(self._text, Qt.TextElideMode.ElideRight, max(0, self._subtitle.width()))
        if shown != self._subtitle.text():
            self._subtitle.setText(shown)
        self._subtitle.setToolTip(self._text if shown != self._text else "")

    def _button(self, name: str) -> QToolButton:
        button = QToolButton()
        button.setProperty("look", "dock-button")
        button.setToolTip(name)
        button.setAccessibleName(name)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return button
