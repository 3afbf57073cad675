"""The transport's signs, drawn in the colour of the theme."""

from __future__ import annotations

from enum import Enum

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPainterPath, QPen, QPixmap, QPolygonF

_SIDE = 20  # the drawing's own units
_SCALES = (1.0, 2.0, 3.0)


class Sign(Enum):
    """A drawing that everybody knows from players."""

    RESET = "reset"
    BACK = "back"
    STEP = "step"
    RUN = "run"
    PAUSE = "pause"
    STOP = "stop"
    CLOSE = "close"
    FLOAT = "float"


def icon(sign: Sign, colour: str) -> QIcon:
    """A sharp icon at every usual scale of the screen."""
    made = QIcon()
    for scale in _SCALES:
        pixmap = QPixmap(round(_SIDE * scale), round(_SIDE * scale))
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.scale(scale, scale)
        _draw(painter, sign, QColor(colour))
        painter.end()
        made.addPixmap(pixmap)
    return made


def _draw(painter: QPainter, sign: Sign, colour: QColor) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    match sign:
        case Sign.RUN:
            painter.drawPolygon(_triangle(5, 16))
        case Sign.BACK:
            painter.drawPolygon(_triangle(15, 4))
        case Sign.STEP:
            painter.drawPolygon(_triangle(4, 13))
            painter.drawRect(QRectF(14, 4, 2.4, 12))
        case Sign.PAUSE:
            painter.drawRect(QRectF(5, 4, 3.6, 12))
            painter.drawRect(QRectF(11.4, 4, 3.6, 12))
        case Sign.STOP:
            painter.drawRect(QRectF(5, 5, 10, 10))
        case Sign.RESET:
            _draw_reset(painter, colour)
        case Sign.CLOSE:
            painter.setPen(QPen(colour, 1.6))
            painter.drawLine(QPointF(6, 6), QPointF(14, 14))
            painter.drawLine(QPointF(14, 6), QPointF(6, 14))
        case Sign.FLOAT:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(colour, 1.5))
            painter.drawRect(QRectF(5.5, 7.5, 7, 7))
            painter.drawPolyline(QPolygonF([QPointF(8, 5), QPointF(15, 5), QPointF(15, 12)]))


def _triangle(base: float, tip: float) -> QPolygonF:
    return QPolygonF([QPointF(base, 4), QPointF(base, 16), QPointF(tip, 10)])


def _draw_reset(painter: QPainter, colour: QColor) -> None:
    arc = QPainterPath()
    arc.arcMoveTo(QRectF(4, 4, 12, 12), 40)
    arc.arcTo(QRectF(4, 4, 12, 12), 40, 290)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(colour, 2.0))
    painter.drawPath(arc)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    painter.drawPolygon(QPolygonF([QPointF(11.5, 6.5), QPointF(17.5, 8.0), QPointF(16.8, 1.8)]))
