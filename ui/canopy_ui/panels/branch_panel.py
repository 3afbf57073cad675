"""Branches and beams: one tree of what was written, drawn and searched, to walk in."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Signal, Slot
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QInputDialog, QMenu, QStackedWidget, QVBoxLayout, QWidget

from canopy_desktop.exploration.branch_picture import BranchPicture
from canopy_desktop.exploration.branches import RECORDED, BranchKind, BranchNode, PrunedShown, Ref
from canopy_desktop.exploration.searching import SearchAsk, Searched
from canopy_ui.theme import Theme
from canopy_ui.widgets.branch_canvas import BranchCanvas
from canopy_ui.widgets.branch_table import BranchTable
from canopy_ui.widgets.branch_words import node_text
from canopy_ui.widgets.elided_label import ElidedLabel
from canopy_ui.widgets.message_page import MessagePage
from canopy_ui.widgets.numbers import grouped
from canopy_ui.widgets.panel import Panel
from canopy_ui.widgets.search_form import SearchForm
from canopy_ui.widgets.segmented import Segmented


class BranchPanel(Panel):
    """The tree, or the same as a table, and what can be searched after its current node."""

    go_requested = Signal(int)  # a recorded node, or the prompt
    walk_requested = Signal(int, object)  # a recorded node, and the token ids after it
    node_selected = Signal(int)  # a recorded node that the keyboard means
    node_hovered = Signal(object)  # a recorded node, or None
    search_requested = Signal(object)  # SearchAsk
    search_stop_requested = Signal()
    renamed = Signal(object, str)  # the references of a node
    delete_requested = Signal(object)
    fold_requested = Signal(object)
    open_requested = Signal(object)
    pruned_chosen = Signal(object)  # PrunedShown
    room_changed = Signal(int)  # characters of the tree that are side by side
    shown_changed = Signal(bool)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._picture: BranchPicture | None = None
        self._awaited: int | None = None  # the node to mean once there is a tree
        self._lit: int | None = None  # a recorded node that is under the mouse elsewhere
        self._form = SearchForm(theme)
        self._canvas = BranchCanvas(theme)
        self._table = BranchTable(theme)
        self._table.about_to_be_read.connect(self._on_table_about_to_be_read)
        self._page = MessagePage(self.tr("Press Run: every branch of the text grows here, and beams can be searched."))
        self._pages = QStackedWidget()
        for page in (self._page, self._canvas, self._table):
            self._pages.addWidget(page)
        self._facts = ElidedLabel()
        self._facts.setProperty("look", "secondary")
        self._facts.setAccessibleName(self.tr("The current token"))
        self._pruned = self._pruned_box()
        self._view = Segmented((self.tr("Tree"), self.tr("Table")), self.tr("How the branches are shown"))
        self._head, self._foot = QVBoxLayout(), QHBoxLayout()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        self._head.addWidget(self._form)
        layout.addLayout(self._head)
        layout.addWidget(self._pages, 1)
        for widget, share in ((self._view, 0), (self._pruned, 0), (self._facts, 1)):
            self._foot.addWidget(widget, share)
        layout.addLayout(self._foot)
        self._connect()
        self.set_theme(theme)
        self._show()

    def _connect(self) -> None:
        canvas, table, form = self._canvas, self._table, self._form
        canvas.node_picked.connect(self._on_node_picked)
        canvas.current_changed.connect(self._on_current_changed)
        canvas.current_moved.connect(self._on_current_moved)
        canvas.room_changed.connect(self.room_changed)
        canvas.hovered.connect(self._on_hovered)
        canvas.fold_wished.connect(self._on_fold_wished)
        canvas.open_wished.connect(self._on_open_wished)
        canvas.menu_requested.connect(self._on_menu_requested)
        canvas.rename_wished.connect(self._on_rename_wished)
        canvas.delete_wished.connect(self._on_delete_wished)
        table.node_picked.connect(self._on_node_picked)
        table.current_moved.connect(canvas.move_to)
        form.search_clicked.connect(self._on_search_clicked)
        form.stop_clicked.connect(self.search_stop_requested)
        self._pruned.activated.connect(self._on_pruned_activated)
        self._view.chosen.connect(self._on_view_chosen)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        for widget in (self._form, self._canvas, self._table):
            widget.set_theme(theme)
        self._pruned.setFont(theme.font(13))
        self._head.setContentsMargins(theme.px(12), theme.px(6), theme.px(12), theme.px(4))
        self._foot.setContentsMargins(theme.px(12), theme.px(4), theme.px(12), theme.px(8))
        self._foot.setSpacing(theme.px(10))

    def set_picture(self, picture: BranchPicture | None) -> None:
        """Show this tree; None: there is no text yet."""
        self._picture = picture
        self._canvas.set_picture(picture)
        self.set_lit(self._lit)
        if picture is not None and self._awaited is not None:
            self.set_selected(self._awaited)
            self._awaited = None
        self._show()

    def set_searched(self, searched: Searched | None) -> None:
        """Show how far the newest search has come."""
        self._form.set_searched(searched)

    def set_lit(self, node: int | None) -> None:
        """Mark the recorded node that is under the mouse elsewhere."""
        self._lit = node
        tree = None if self._picture is None else self._picture.tree
        self._canvas.set_lit(None if tree is None or node is None else tree.at.get(Ref(RECORDED, node)))

    def set_selected(self, node: int) -> None:
        """Mean the node that is selected elsewhere in the window; without a tree, as soon as there is one."""
        if self._picture is None:
            self._awaited = node
            return
        number = self._picture.tree.at.get(Ref(RECORDED, node))
        if number is not None:
            self._canvas.set_current(number)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.shown_changed.emit(True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.shown_changed.emit(False)

    @Slot()
    def _on_table_about_to_be_read(self) -> None:
        self._table.set_picture(self._picture, self._canvas.current())

    def _show(self) -> None:
        empty = self._picture is None
        as_table = self._view.choice() == 1
        page = self._page if empty else self._table if as_table else self._canvas
        self._pages.setCurrentWidget(page)
        self._table.set_picture(self._picture if as_table else None, self._canvas.current())
        self._set_title(self._titled())
        self._show_current()

    def _titled(self) -> str:
        if self._picture is None:
            return ""
        nodes = self._picture.tree.nodes
        texts = sum(not node.children for node in nodes)
        return self.tr("tokens: {tokens} · texts: {texts}").format(tokens=grouped(len(nodes) - 1), texts=grouped(texts))

    def _show_current(self) -> None:
        node = self._node()
        self._facts.set_text("" if node is None else node_text(node))
        searchable = node is not None and node.node is not None
        hint = "" if searchable else self.tr("Go to this token first: press Return")
        self._form.set_possible(searchable, hint if node is not None else "")

    def _node(self) -> BranchNode | None:
        return None if self._picture is None else self._canvas.current_node()

    def _refs(self, number: int) -> tuple[Ref, ...]:
        assert self._picture is not None, "a node was picked in a picture"
        return self._picture.tree.nodes[number].refs

    def _pruned_box(self) -> QComboBox:
        box = QComboBox()
        for pruned, text in (
            (PrunedShown.NONE, self.tr("pruned: counted (✂)")),
            (PrunedShown.ONCE_KEPT, self.tr("pruned: those once kept")),
            (PrunedShown.ALL, self.tr("pruned: all")),
        ):
            box.addItem(text, pruned)
        box.setCurrentIndex(1)
        box.setAccessibleName(self.tr("Which pruned beams are shown"))
        box.setToolTip(self.tr("A beam is pruned when better ones leave it no place; “once kept” went on for a while"))
        return box

    @Slot(int)
    def _on_node_picked(self, number: int) -> None:
        assert self._picture is not None, "a node was picked in a picture"
        node, ids = self._picture.tree.way_from_recorded(number)
        if ids:
            self.walk_requested.emit(node, ids)
        else:
            self.go_requested.emit(node)

    @Slot(int)
    def _on_current_changed(self, number: int) -> None:
        self._show_current()

    @Slot(int)
    def _on_current_moved(self, number: int) -> None:
        node = self._node()
        if node is not None and node.on_way and node.node is not None:
            self.node_selected.emit(node.node)

    @Slot(object)
    def _on_hovered(self, number: int | None) -> None:
        node = None if number is None or self._picture is None else self._picture.tree.nodes[number]
        self.node_hovered.emit(None if node is None else node.node)
        if node is None:
            self._show_current()
        else:
            self._facts.set_text(node_text(node))

    @Slot(int)
    def _on_fold_wished(self, number: int) -> None:
        if number:
            self.fold_requested.emit(self._refs(number))

    @Slot(int)
    def _on_open_wished(self, number: int) -> None:
        self.open_requested.emit(self._refs(number))

    @Slot(object)
    def _on_menu_requested(self, at: QPoint) -> None:
        menu = self.node_menu()
        if menu is not None:
            menu.exec(at)
            menu.deleteLater()

    def node_menu(self) -> QMenu | None:
        """What can be done with the current node."""
        node = self._node()
        if node is None:
            return None
        number, menu = self._canvas.current(), QMenu(self)
        menu.setFont(self._theme.font(14))
        menu.addAction(self.tr("Go here\tReturn")).triggered.connect(lambda: self._on_node_picked(number))
        if node.kind is not BranchKind.PROMPT:
            fold = self.tr("Unfold\tSpace") if node.folded else self.tr("Fold\tSpace")
            menu.addAction(fold).triggered.connect(lambda: self._on_fold_wished(number))
            menu.addSeparator()
            menu.addAction(self.tr("Name …\tF2")).triggered.connect(self._on_rename_wished)
            menu.addAction(self.tr("Delete\tDel")).triggered.connect(self._on_delete_wished)
        return menu

    @Slot()
    def _on_rename_wished(self) -> None:
        node = self._node()
        if node is None or node.kind is BranchKind.PROMPT:
            return
        name, wanted = QInputDialog.getText(
            self, self.tr("Name of the branch"), self.tr("The branch that begins here is called:"), text=node.name
        )
        if wanted:
            self.renamed.emit(node.refs, name)

    @Slot()
    def _on_delete_wished(self) -> None:
        node = self._node()
        if node is not None and node.kind is not BranchKind.PROMPT:
            self.delete_requested.emit(node.refs)

    @Slot()
    def _on_search_clicked(self) -> None:
        node = self._node()
        if node is None or node.node is None:
            return
        form = self._form
        self.search_requested.emit(
            SearchAsk(
                node=node.node, kind=form.kind(), count=form.count(), length=form.length(), penalty=form.penalty()
            )
        )

    @Slot(int)
    def _on_pruned_activated(self, index: int) -> None:
        self.pruned_chosen.emit(self._pruned.itemData(index))

    @Slot(int)
    def _on_view_chosen(self, number: int) -> None:
        self._show()
