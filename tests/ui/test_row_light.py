"""A row of a table lights its token, and a lit token's rows are framed: one way for all tables."""

import pytest
from PySide6.QtCore import QPoint, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from canopy_ui.light import DARK, Light
from canopy_ui.qt_models.figures_table import FiguresTable
from canopy_ui.theme import theme_named
from canopy_ui.widgets.copyable_table import CopyableTable
from canopy_ui.widgets.row_light import RowLight
from tests.support.whole_window import Painted, canvas_of, hover, leave

LIGHTS = (DARK, Light(position=4), Light(node=9), Light(token_id=300))
INK = QColor(theme_named("light").text)


class Shown:
    """A table of five rows, of which the first and the last stand for no token, below a field that has the keyboard."""

    def __init__(self, qtbot: QtBot) -> None:
        self.around = QWidget()
        qtbot.addWidget(self.around)
        self.table, self.rows = CopyableTable(theme_named("light")), FiguresTable(("token", "figure"))
        self.table.setModel(self.rows)
        self.field = QLineEdit()
        layout = QVBoxLayout(self.around)
        layout.addWidget(self.field)
        layout.addWidget(self.table)
        self.rows.set_rows([(f"token {row}", "1.0") for row in range(5)], LIGHTS)
        self.around.resize(300, 300)
        with qtbot.waitExposed(self.around):
            self.around.show()
        self.around.activateWindow()
        self.field.setFocus()
        QApplication.processEvents()
        (self.light,) = self.table.findChildren(RowLight)
        self.told: list[Light] = []
        self.light.wished.connect(self.told.append)

    def place(self, row: int) -> QRect:
        across = (self.table.visualRect(self.rows.index(row, column)) for column in range(2))
        left, right = across
        return left.united(right)

    def middle(self, row: int) -> QPointF:
        return QRectF(self.place(row)).center()

    def framed(self) -> list[int]:
        """The rows that have a line at each of their four sides."""
        QApplication.processEvents()
        image = canvas_of(self.table).grab().toImage()
        return [row for row in range(5) if is_framed(image, self.place(row))]


def is_framed(image: QImage, place: QRect) -> bool:
    middle = place.center()
    sides = (middle.x(), place.top()), (middle.x(), place.bottom()), (place.left(), middle.y())
    return all(image.pixelColor(*side) == INK for side in (*sides, (place.right(), middle.y())))


@pytest.fixture
def shown(qtbot: QtBot) -> Shown:
    return Shown(qtbot)


def test_the_row_under_the_mouse_tells_its_token_once_until_the_mouse_leaves(shown: Shown) -> None:
    for row in (1, 2, 3):
        hover(shown.table, shown.middle(row))
        hover(shown.table, shown.middle(row) + QPointF(2, 0))
    hover(shown.table, shown.middle(4))
    hover(shown.table, shown.middle(1))
    leave(shown.table)
    assert shown.told == [*LIGHTS[1:], DARK, LIGHTS[1], DARK]


def test_the_current_row_tells_its_token_while_the_table_has_the_keyboard(shown: Shown) -> None:
    shown.table.setCurrentIndex(shown.rows.index(2, 0))
    assert shown.told == []  # somebody else chose the row
    shown.table.setFocus()
    QTest.keyClick(shown.table, Qt.Key.Key_Down)
    QTest.keyClick(shown.table, Qt.Key.Key_Down)
    QTest.keyClick(shown.table, Qt.Key.Key_Up)
    shown.field.setFocus()
    assert shown.told == [LIGHTS[2], LIGHTS[3], DARK, LIGHTS[3], DARK]


def test_a_light_that_went_out_elsewhere_comes_back_with_the_next_move(shown: Shown) -> None:
    hover(shown.table, shown.middle(1))
    shown.light.set_lit(Light(4, None, 7))
    shown.light.set_lit(DARK)
    hover(shown.table, shown.middle(1) + QPointF(2, 0))
    assert shown.told == [LIGHTS[1], LIGHTS[1]]


def test_a_table_that_is_hidden_lights_nothing_any_more(shown: Shown) -> None:
    hover(shown.table, shown.middle(1))
    shown.table.hide()
    assert shown.told == [LIGHTS[1], DARK]


@pytest.mark.parametrize(
    ("lit", "rows"),
    [
        (Light(4, None, 7), [1]),
        (Light(5, 9, 7), [2]),
        (Light(token_id=300), [3]),
        (Light(4, 9, 300), [1, 2, 3]),
        (Light(5, 8, 7), []),
        (DARK, []),
    ],
)
def test_the_rows_of_what_is_lit_are_framed_whatever_is_known_of_them(
    shown: Shown, lit: Light, rows: list[int]
) -> None:
    shown.light.set_lit(lit)
    assert shown.framed() == rows
    shown.light.set_lit(DARK)
    assert shown.framed() == []


def test_on_a_chosen_row_the_frame_stands_within_its_ground(shown: Shown) -> None:
    shown.table.selectRow(1)
    shown.light.set_lit(Light(position=4))
    QApplication.processEvents()
    image, place, theme = canvas_of(shown.table).grab().toImage(), shown.place(1), theme_named("light")
    middle, thin = place.center(), theme.px(1.5)
    ground = image.pixelColor(middle.x(), place.top())
    for inner in (QPoint(middle.x(), place.top() + thin), QPoint(place.right() - thin, middle.y())):
        assert image.pixelColor(inner) == QColor(theme.on_accent) != ground


def test_a_row_that_comes_while_its_token_is_lit_is_framed(shown: Shown) -> None:
    shown.light.set_lit(Light(position=8))
    assert shown.framed() == []
    shown.rows.set_rows([(f"token {row}", "1.0") for row in range(5)], (*LIGHTS, Light(position=8)))
    shown.table.viewport().update()
    assert shown.framed() == [4]


def test_light_paints_the_rows_that_it_comes_to_and_leaves_and_no_others(shown: Shown) -> None:
    shown.light.set_lit(Light(position=4))
    QApplication.processEvents()
    with Painted() as painted:
        shown.light.set_lit(Light(token_id=300))
        QApplication.processEvents()
    height = shown.place(1).height()
    assert sum(part for widget, part in painted.parts if widget is shown.table.viewport()) == (
        2 * height * shown.table.viewport().width()
    )
    with Painted() as painted:
        shown.light.set_lit(Light(token_id=301))
        shown.light.set_lit(Light(token_id=302))
        QApplication.processEvents()
    assert sum(part for _, part in painted.parts if part) == height * shown.table.viewport().width()


def test_what_is_known_of_a_token_decides_whether_it_is_the_one_that_is_lit() -> None:
    lit = Light(4, 9, 300)
    assert all(lit.shines_on(light) for light in (Light(4), Light(node=9), Light(token_id=300), Light(4, 9), lit))
    assert not any(lit.shines_on(light) for light in (DARK, Light(5), Light(4, 8), Light(5, None, 300)))
    assert not DARK.shines_on(DARK)
