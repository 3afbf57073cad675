"""A layout that puts items in rows, and begins another row where one is full."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtWidgets import QLayout, QLayoutItem, QWidget


class FlowLayout(QLayout):
    """Rows of items at their preferred width; the last item of a row may grow to its end, or all of them evenly."""

    def __init__(
        self, parent: QWidget | None = None, *, column_gap: int = 24, row_gap: int = 8, even: bool = False
    ) -> None:
        """`even`: all items of a row share what is left of it."""
        super().__init__(parent)
        self._even = even
        self._items: list[QLayoutItem] = []
        self._column_gap = column_gap
        self._row_gap = row_gap

    def set_gaps(self, column_gap: int, row_gap: int) -> None:
        """Change the room between items."""
        self._column_gap, self._row_gap = column_gap, row_gap
        self.invalidate()

    def addItem(self, item: QLayoutItem) -> None:
        self._items.append(item)

    def count(self) -> int:
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def expandingDirections(self) -> Qt.Orientation:
        return Qt.Orientation.Horizontal

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return self._arrange(QRect(0, 0, width, 0), move=False)

    def setGeometry(self, rect: QRect) -> None:
        super().setGeometry(rect)
        self._arrange(rect, move=True)

    def sizeHint(self) -> QSize:
        return self.minimumSize()

    def minimumSize(self) -> QSize:
        size = QSize()
        for item in self._items:
            size = size.expandedTo(item.minimumSize())
        margins = self.contentsMargins()
        return size + QSize(margins.left() + margins.right(), margins.top() + margins.bottom())

    def _arrange(self, rect: QRect, *, move: bool) -> int:
        """Place the items into `rect`, and return the height that they need."""
        margins = self.contentsMargins()
        inner = rect.adjusted(margins.left(), margins.top(), -margins.right(), -margins.bottom())
        top = inner.top()
        for row in self._rows(inner.width()):
            height = max(item.sizeHint().height() for item in row)
            left = inner.left()
            spare = inner.width() - sum(item.sizeHint().width() + self._column_gap for item in row) + self._column_gap
            for number, item in enumerate(row):
                width = min(item.sizeHint().width(), inner.width())
                if self._even:
                    width += max(0, (number + 1) * spare // len(row) - number * spare // len(row))
                elif item is row[-1] and item.expandingDirections() & Qt.Orientation.Horizontal:
                    width = min(inner.right() + 1 - left, _widest(item))
                if move:
                    item.setGeometry(QRect(QPoint(left, top), QSize(width, height)))
                left += width + self._column_gap
            top += height + self._row_gap
        return top - self._row_gap - rect.top() + margins.bottom() if self._items else 0

    def _rows(self, width: int) -> list[list[QLayoutItem]]:
        rows: list[list[QLayoutItem]] = []
        left = 0
        for item in self._items:
            needed = item.sizeHint().width()
            if not rows or left + needed > width:
                rows.append([])
                left = 0
            rows[-1].append(item)
            left += needed + self._column_gap
        return rows


def _widest(item: QLayoutItem) -> int:
    widget = item.widget()
    return widget.maximumWidth() if widget is not None else 1 << 20
