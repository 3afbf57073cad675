"""Tables beside plots."""

from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from canopy_ui.qt_models.figures_table import FiguresTable
from canopy_ui.theme import theme_named
from canopy_ui.widgets.copyable_table import CopyableTable


def test_a_column_is_as_wide_as_its_widest_figure_also_when_that_comes_later(qtbot: QtBot) -> None:
    table, rows = CopyableTable(theme_named("light")), FiguresTable(("token", "rank"))
    table.setModel(rows)
    qtbot.addWidget(table)
    table.resize(300, 300)
    table.show()
    few = [("a", "1"), ("b", "2")]
    rows.set_rows(few)
    QApplication.processEvents()
    rows.set_rows([*few, ("came next", "1,234,567,890")])
    QApplication.processEvents()
    assert table.columnWidth(1) >= table.sizeHintForColumn(1) > table.fontMetrics().horizontalAdvance("1,234,567,890")
