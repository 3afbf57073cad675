"""A dock whose title says what its panel shows."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QPoint, QSize, Qt, Signal, Slot
from PySide6.QtGui import QAction, QResizeEvent
from PySide6.QtWidgets import (
    QDockWidget,
    QFrame,
    QHBoxLayout,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from canopy_ui.docks import DockSpec, translated
from canopy_ui.export_menu import Export, ExportMenu
from canopy_ui.help_card import HelpCard
from canopy_ui.icons import Sign, icon
from canopy_ui.panel_focus import first_control
from canopy_ui.shrinking_row import ShrinkingRow
from canopy_ui.theme import Theme
from canopy_ui.widgets.elided_label import ElidedLabel, PartsLabel
from canopy_ui.widgets.panel import Panel

LEAST_NAME = 8  # letters of a dock's name that are never left out
SMALLEST = QSize(300, 120)  # a panel that needs more than this can be scrolled


class Dock(QDockWidget):
    """Closable, movable, floating; named in `objectName` so that its place is remembered."""

    export_wanted = Signal(object, object)  # the dock, Export

    def __init__(self, spec: DockSpec, panel: Panel, theme: Theme, parent: QWidget) -> None:
        name = translated(spec.title)
        super().__init__(name, parent)
        self.setObjectName(spec.key)
        self.setAccessibleName(name)
        self.theme = theme
        self.panel = panel
        self._help = tuple(translated(sentence) for sentence in spec.help)
        self._card: HelpCard | None = None
        self.reveal_action = self._action(self.tr("Bring this panel to the front, and the keyboard to it"))
        self.reveal_action.triggered.connect(self.reveal)
        self.help_action = self._action(self.tr("What this panel shows, in three sentences"))
        self.help_action.triggered.connect(self.show_help)
        self.export_menu = ExportMenu(panel, self)
        self.export_menu.chosen.connect(self._on_export_chosen)
        self._title = TitleBar(name, theme)
        self._title.menu_button.setMenu(self.export_menu)
        self._title.customContextMenuRequested.connect(self._on_context_menu_requested)
        self._title.help_button.clicked.connect(self.show_help)
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
        self.theme = theme
        self._title.set_theme(theme)

    @property
    def meant(self) -> bool:
        """Whether its title is marked."""
        return self._title.property("meant") is True

    def set_meant(self, meant: bool) -> None:
        """Mark the title of the panel that shows what happens now."""
        if meant != self.meant:
            self._title.setProperty("meant", meant)
            self._title.style().unpolish(self._title)
            self._title.style().polish(self._title)

    @Slot()
    def reveal(self) -> None:
        """Bring it to the front, and the keyboard to its first control."""
        self.show()
        self.raise_()
        self.activateWindow()
        control = first_control(self.panel) or self._title.help_button
        control.setFocus(Qt.FocusReason.ShortcutFocusReason)

    @Slot()
    def show_help(self) -> None:
        """Say what the panel shows, below the button that asks for it."""
        self.show()
        self.raise_()
        if self._card is None:
            self._card = HelpCard(self.windowTitle(), self._help, self)
        button = self._title.help_button
        self._card.show_below(button.mapToGlobal(button.rect().bottomRight()), self.theme)

    def _action(self, explanation: str) -> QAction:
        action = QAction(self.windowTitle(), self)
        action.setWhatsThis(explanation)
        return action

    @Slot(object)
    def _on_export_chosen(self, wanted: Export) -> None:
        self.export_wanted.emit(self, wanted)

    @Slot(QPoint)
    def _on_context_menu_requested(self, place: QPoint) -> None:
        self.export_menu.popup(self._title.mapToGlobal(place))

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
        self._least = QSize()  # room, when the dock was told last
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
            least = self.minimumSizeHint()
            if least != self._least:  # else each new figure would have the whole window laid out anew
                self._least = least
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
    """Name, subtitle, and buttons to copy, for help, to float and to close. Dragging it moves the dock."""

    def __init__(self, name: str, theme: Theme) -> None:
        super().__init__()
        self.setProperty("look", "dock-title")
        self._name = NameLabel()
        self._name.setProperty("look", "name")
        self._name.set_text(name)
        self._subtitle = PartsLabel()
        self._subtitle.setProperty("look", "secondary")
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.menu_button = self._button(self.tr("Copy or save “{name}”").format(name=name))
        self.menu_button.setText("⋯")
        self.menu_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.help_button = self._button(self.tr("What “{name}” shows").format(name=name))
        self.help_button.setText("?")
        self.float_button = self._button(self.tr("Float or dock “{name}”").format(name=name))
        self.close_button = self._button(self.tr("Close “{name}”; View shows it again").format(name=name))
        self._row = ShrinkingRow(
            (self._name, self._subtitle),
            (self.menu_button, self.help_button, self.float_button, self.close_button),
            expendable=(self.float_button, self.menu_button),  # a double click floats, a right click has the menu
            substitutes={},
        )
        self._layout = QHBoxLayout(self)
        self._layout.addWidget(self._row)
        self.set_theme(theme)

    @Slot(str)
    def set_subtitle(self, text: str) -> None:
        """Show a text, without its last parts where there is no room."""
        self._subtitle.set_text(text)

    def subtitle(self) -> str:
        """The whole text, however much of it is shown."""
        return self._subtitle.whole_text()

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._layout.setContentsMargins(theme.px(12), theme.px(2), theme.px(6), theme.px(2))
        for button, sign in ((self.float_button, Sign.FLOAT), (self.close_button, Sign.CLOSE)):
            button.setIcon(icon(sign, theme.secondary))
            button.setIconSize(QSize(theme.px(16), theme.px(16)))
        for button in (self.menu_button, self.help_button, self.float_button, self.close_button):
            button.setFixedSize(theme.px(20), theme.px(20))
        self._row.set_gaps(theme.px(6), 0)

    def _button(self, name: str) -> QToolButton:
        button = QToolButton()
        button.setProperty("look", "dock-button")
        button.setToolTip(name)
        button.setAccessibleName(name)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return button


class NameLabel(ElidedLabel):
    """Asks for the room of its whole text, and does with less."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(self.fontMetrics().horizontalAdvance(self.whole_text()) + 1, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        least = LEAST_NAME * self.fontMetrics().averageCharWidth()
        return QSize(min(least, self.sizeHint().width()), super().minimumSizeHint().height())
