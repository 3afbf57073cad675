"""What a panel shows, as text, as tables and as a picture."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence

from PySide6.QtCore import (
    QAbstractItemModel,
    QAbstractTableModel,
    QBuffer,
    QIODevice,
    QModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
)
from PySide6.QtGui import (
    QAbstractTextDocumentLayout,
    QColor,
    QImage,
    QPainter,
    QPalette,
    QTextDocument,
    QTextDocumentFragment,
    QTextOption,
)
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import (
    QAbstractItemView,
    QAbstractSpinBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QTableView,
    QTreeView,
    QWidget,
)

from canopy_ui.theme import Theme
from canopy_ui.widgets.branch_table import BranchTable
from canopy_ui.widgets.copyable_table import CopyableTable
from canopy_ui.widgets.elided_label import LineLabel
from canopy_ui.widgets.panel import Panel

PICTURE_SCALE = 2  # pixels of an exported picture in one of the screen
_NO_XML = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # characters that XML 1.0 cannot have


def table_of(panel: Panel) -> QAbstractItemModel | None:
    """The rows that the panel shows as a table, or could; None where it has none."""
    tables = [table for table in panel.findChildren(QAbstractItemView) if isinstance(table, QTableView | QTreeView)]
    tables.sort(key=lambda table: not table.isVisibleTo(panel))
    for table in tables:
        if isinstance(table, CopyableTable | BranchTable):
            table.about_to_be_read.emit()
        model = table.model()
        if model.rowCount():
            return model
    return None


def csv_of(model: QAbstractItemModel) -> str:
    """A table as RFC 4180 has it: the header, then the rows."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerows(_rows(model))
    return text.getvalue()


def text_of(panel: Panel, caption: Sequence[str]) -> str:
    """What can be read in the panel, its table with tabs between the cells, and what it is a part of."""
    parts = [panel.copied_text(), "\n".join(_said(panel))]
    model = table_of(panel)
    if model is not None:
        parts.append("\n".join("\t".join(cells) for cells in _rows(model)))
    parts.append("\n".join(caption))
    return "\n\n".join(part for part in parts if part) + "\n"


def image_of(panel: QWidget, caption: Sequence[str], theme: Theme) -> QImage:
    """A picture with the caption below, at twice the size of the screen's."""
    size = _size(panel, caption, theme)
    image = QImage(size * PICTURE_SCALE, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(PICTURE_SCALE)
    image.setText("Description", "\n".join(caption))
    painter = QPainter(image)
    _paint(painter, panel, caption, theme, size)
    painter.end()
    return image


def svg_of(panel: QWidget, caption: Sequence[str], theme: Theme) -> bytes:
    """The same as SVG."""
    size = _size(panel, caption, theme)
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    generator = QSvgGenerator()
    generator.setOutputDevice(buffer)
    generator.setSize(size)
    generator.setViewBox(QRect(QPoint(), size))
    generator.setResolution(panel.logicalDpiX())
    generator.setTitle(caption[0])
    generator.setDescription("\n".join(caption[1:]))
    painter = QPainter(generator)
    _paint(painter, panel, caption, theme, size)
    painter.end()
    return _NO_XML.sub(b"", bytes(buffer.data().data()))


def _rows(model: QAbstractItemModel) -> Iterator[list[str]]:
    columns = range(model.columnCount())
    yield [_cell(model.headerData(column, Qt.Orientation.Horizontal)) for column in columns]
    left = _first_cells(model, QModelIndex())
    while left:
        first = left.pop()
        yield [_cell(first.siblingAtColumn(column).data()) for column in columns]
        if not isinstance(model, QAbstractTableModel):  # what stands below a row of a tree follows it
            left += _first_cells(model, first)


def _first_cells(model: QAbstractItemModel, parent: QModelIndex) -> list[QModelIndex]:
    """The last row comes first."""
    return [model.index(row, 0, parent) for row in reversed(range(model.rowCount(parent)))]


def _cell(value: object) -> str:
    return "" if value is None else str(value).replace("\t", " ")


def _said(panel: QWidget) -> Iterator[str]:
    """What its labels and fields say, in reading order."""
    widgets = [widget for widget in panel.findChildren(QWidget) if widget.isVisibleTo(panel)]
    names = {widget.accessibleName() for widget in widgets if not isinstance(widget, LineLabel)}
    labels = {widget.text() for widget in widgets if isinstance(widget, QLabel)} - {""}
    places = {widget: widget.mapTo(panel, QPoint()) for widget in widgets}
    for widget in sorted(widgets, key=lambda widget: (places[widget].y(), places[widget].x())):
        said = _said_by(widget)
        if said and said not in names and widget.accessibleDescription() not in labels:
            yield said


def _said_by(widget: QWidget) -> str:
    match widget:
        case LineLabel():
            text = widget.whole_text()
            return text if widget.accessibleName() == text else _named(widget, text)
        case QLabel():
            rich = widget.textFormat() is Qt.TextFormat.RichText
            text = QTextDocumentFragment.fromHtml(widget.text()).toPlainText() if rich else widget.text()
            return _named(widget, text)
        case QPlainTextEdit():
            return widget.toPlainText()
        case QComboBox():
            return _named(widget, widget.currentText())
        case QAbstractSpinBox():
            return _named(widget, widget.text())
        case QLineEdit() if not isinstance(widget.parent(), QAbstractSpinBox | QComboBox):
            return _named(widget, widget.text())
        case _:
            return _named(widget, widget.accessibleDescription())


def _named(widget: QWidget, value: str) -> str:
    name = widget.accessibleName()
    known = value.casefold().startswith(name.casefold())
    return f"{name}: {value}" if name and value and not known else value


def _size(panel: QWidget, caption: Sequence[str], theme: Theme) -> QSize:
    below = round(_set_in_type(caption, panel.width(), theme).size().height())
    return QSize(panel.width(), panel.height() + below)


def _paint(painter: QPainter, panel: QWidget, caption: Sequence[str], theme: Theme, size: QSize) -> None:
    painter.fillRect(QRect(QPoint(), size), QColor(theme.panel))
    panel.render(painter, QPoint(), renderFlags=QWidget.RenderFlag.DrawChildren)
    below = QRect(0, panel.height(), size.width(), size.height() - panel.height())
    painter.setPen(QColor(theme.border))
    painter.drawLine(below.topLeft(), below.topRight())
    painter.translate(below.topLeft())
    context = QAbstractTextDocumentLayout.PaintContext()
    context.palette.setColor(QPalette.ColorRole.Text, QColor(theme.text))
    document = _set_in_type(caption, size.width(), theme)
    document.documentLayout().draw(painter, context)


def _set_in_type(caption: Sequence[str], width: int, theme: Theme) -> QTextDocument:
    document = QTextDocument("\n".join(caption))
    option = QTextOption()
    option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
    document.setDefaultTextOption(option)
    document.setDefaultFont(theme.font(13))
    document.setDocumentMargin(theme.px(10))
    document.setTextWidth(width)
    return document
