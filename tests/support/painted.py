"""Every text that a widget paints, with its size, colour and background: read from the widget drawn as SVG."""

import re
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import numpy as np
from PySide6.QtCore import QBuffer, QIODevice, QRect
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QImage
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QWidget

from canopy_desktop.arrays import IntArray

_SVG = "{http://www.w3.org/2000/svg}"
_LEAST_INK = 0.02  # of a text's place; a text that is scrolled away has a pixel of its colour there by chance
_NEAR = 40  # of 255 a channel: how far the edge of a glyph may be from its colour


@dataclass(frozen=True, slots=True)
class PaintedText:
    """One text as it stands in the picture."""

    text: str
    pixels: float  # height of the font
    colour: str
    background: str
    place: tuple[int, int, int, int]  # x, y, width, height

    @property
    def contrast(self) -> float:
        """WCAG 2.2, "contrast ratio": 1 to 21."""
        return contrast(QColor(self.colour), QColor(self.background))


def contrast(one: QColor, other: QColor) -> float:
    """WCAG 2.2, "contrast ratio": 1 to 21."""
    lights = sorted((_luminance(one), _luminance(other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def painted_texts(widget: QWidget) -> list[PaintedText]:
    """What can be seen of the widget's texts. The widget is shown, or would be."""
    picture = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    lines = np.frombuffer(picture.constBits(), np.uint32).reshape(picture.height(), picture.bytesPerLine() // 4)
    colours = lines[:, : picture.width()]
    found = []
    for element, matrix in _texts(svg_of(widget)):
        text = "".join(element.itertext()).strip()
        fill = QColor(element.get("fill", "#000000"))
        if not text or float(element.get("fill-opacity", "1")) < 0.9:
            continue
        place = _place(element, text, matrix) & picture.rect()
        background = _background(colours, place, fill)
        if background is not None:
            pixels = float(element.get("font-size", "0")) * abs(matrix[3] or matrix[1])
            rectangle = (place.x(), place.y(), place.width(), place.height())
            found.append(PaintedText(text, pixels, fill.name(), background, rectangle))
    return found


def svg_of(widget: QWidget) -> bytes:
    """The widget drawn as SVG, in its own pixels."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    generator = QSvgGenerator()
    generator.setOutputDevice(buffer)
    generator.setSize(widget.size())
    generator.setViewBox(QRect(0, 0, widget.width(), widget.height()))
    generator.setResolution(widget.logicalDpiX())
    widget.render(generator)
    return bytes(buffer.data().data())


def _texts(svg: bytes) -> list[tuple[ET.Element, tuple[float, ...]]]:
    clean = re.sub(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]", b"", svg)
    found = []
    for group in ET.fromstring(clean).iter(f"{_SVG}g"):
        numbers = re.findall(r"-?[\d.]+(?:e-?\d+)?", group.get("transform", "matrix(1,0,0,1,0,0)"))
        matrix = tuple(float(number) for number in numbers)
        found += [(element, matrix) for element in group.findall(f"{_SVG}text")]
    return found


def _place(element: ET.Element, text: str, matrix: tuple[float, ...]) -> QRect:
    font = QFont(element.get("font-family", "").split(",")[0].strip("'"))
    font.setPixelSize(max(1, round(float(element.get("font-size", "1")))))
    font.setWeight(QFont.Weight(int(element.get("font-weight", "400"))))
    metrics = QFontMetricsF(font)
    x, y = float(element.get("x", "0")), float(element.get("y", "0"))
    corners = [(x, y - metrics.ascent()), (x + metrics.horizontalAdvance(text), y + metrics.descent())]
    a, b, c, d, e, f = matrix
    xs = [a * px + c * py + e for px, py in corners]
    ys = [b * px + d * py + f for px, py in corners]
    return QRect(round(min(xs)), round(min(ys)), round(max(xs) - min(xs)), round(max(ys) - min(ys)))


def _background(colours: IntArray, place: QRect, fill: QColor) -> str | None:
    """The commonest colour around a text that is not its own; None where the text cannot be seen.

    `colours`: of the whole picture, (height, width).
    """
    if place.width() < 2 or place.height() < 5:
        return None
    part = colours[place.top() : place.bottom() + 1, place.left() : place.right() + 1]
    found, counts = np.unique(part, return_counts=True)
    own = np.array([_near(QColor(int(colour)), fill) for colour in found])
    if counts[own].sum() < _LEAST_INK * counts.sum():
        return None
    around = np.where(own, 0, counts)
    return QColor(int(found[around.argmax()])).name() if around.any() else None


def _near(one: QColor, other: QColor) -> bool:
    pairs = ((one.red(), other.red()), (one.green(), other.green()), (one.blue(), other.blue()))
    return all(abs(a - b) <= _NEAR for a, b in pairs)


def _luminance(colour: QColor) -> float:
    channels = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (colour.redF(), colour.greenF(), colour.blueF())
    ]
    return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]
