"""The panel Inside the model: what it shows, what can be clicked, and when the model is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QColor, QImage, QKeyEvent
from PySide6.QtWidgets import QApplication
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from canopy_desktop.errors import EngineError
from canopy_desktop.exploration.inside_view import InsideView, InsideWish
from canopy_desktop.model.card import Activation, Norm, Positions
from canopy_desktop.settings import THEMES, Preferences, from_json, to_json
from canopy_ui.inside_desk import SLOW_MS
from canopy_ui.links.inside_link import InsideLink
from canopy_ui.panels.inside_panel import InsidePanel
from canopy_ui.qt_models.sheet_table import SheetTable
from canopy_ui.state import RunPhase
from canopy_ui.theme import Theme, apply_theme, load_fonts, theme_named
from canopy_ui.widgets.inside_colours import InsideColours, full_of, strip_image
from canopy_ui.widgets.inside_layout import Hue, InsideLayout, Station
from canopy_ui.widgets.inside_sheets import exact, sheet_of, stations_in
from canopy_ui.widgets.inside_words import short_number
from tests.support.driving import PREFERENCES, Driver
from tests.support.scripted import ARCHITECTURE, ScriptedSession


def inside(text: str = "abcdefghij", place: int | None = None, layer: int = 1, head: int = 2) -> InsideView:
    """A step of the scripted model."""
    session = ScriptedSession()
    ids = session.tokenizer.encode(text).ids
    slots, _ = session.sequence.feed(ids)
    place = len(ids) - 1 if place is None else place
    wish = InsideWish(
        slots=np.array(slots), positions=np.arange(len(ids)), ids=ids, place=place,
        next_id=ids[place + 1] if place + 1 < len(ids) else None, layer=layer, head=head,
    )  # fmt: skip
    return session.new_looker().look(wish)


def adding(view: InsideView) -> InsideView:
    """The same step as of a model like GPT-2."""
    step = view.step
    learned = replace(
        step.architecture, norm=Norm.LAYER, positions=Positions.LEARNED, rope_base=0.0, gated=False,
        activation=Activation.GELU, qkv_biases=True, block_biases=True,
    )  # fmt: skip
    place = np.arange(learned.hidden, dtype=np.float32)
    changed = replace(
        step, architecture=learned, query_rotated=step.query, token_row=step.stream[0] - place, place_row=place,
        output_bias=np.ones(learned.hidden, np.float32),
    )  # fmt: skip
    rows = tuple(replace(row, key_rotated=row.key) for row in view.rows)
    return replace(view, step=changed, rows=rows, output_bias=changed.part(place, step.before))


@pytest.fixture
def panel(qtbot: QtBot) -> InsidePanel:
    panel = InsidePanel(theme_named("light"))
    panel.resize(1260, 460)
    qtbot.addWidget(panel)
    panel.show()
    panel.set_model(ARCHITECTURE.layers, ARCHITECTURE.heads)
    panel.set_selected(1, 2)
    panel.set_inside(inside())
    return panel


def at_of(panel: InsidePanel) -> InsideLayout:
    at = panel._flow.layout_of_picture()
    assert at is not None
    return at


def click(qtbot: QtBot, panel: InsidePanel, x: float, y: float) -> None:
    panel._flow.grab()
    qtbot.mouseClick(panel._flow, Qt.MouseButton.LeftButton, pos=QPoint(round(x), round(y)))


def test_the_title_names_token_block_and_head(panel: InsidePanel) -> None:
    assert panel.title().startswith("“j” · block 1 · head 2")
    panel.set_inside(inside(place=4))
    assert panel.title().startswith("“e”, then came “f” · block 1 · head 2")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({}, "press Run"),
        ({"pending": True}, "once more"),
        ({"waits": True}, "Pause to look inside"),
        ({"left": True}, "has left the window"),
        ({"error": "No memory is left: close something."}, "No memory is left: close something."),
    ],
)
def test_without_a_picture_one_sentence_says_why(panel: InsidePanel, state: dict[str, object], words: str) -> None:
    panel.set_inside(None, **state)  # type: ignore[arg-type]
    assert panel._pages.currentWidget() is panel._page
    assert words in panel._page.text()


def test_an_older_picture_stays_while_the_run_is_too_fast_and_says_so(panel: InsidePanel) -> None:
    panel.set_inside(panel._view, waits=True)
    assert panel._pages.currentWidget() is panel._content
    assert "Pause to look inside" in panel._notice.text()
    panel.set_inside(panel._view)
    assert panel._notice.isHidden()


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (Qt.Key.Key_Up, [0, 2]),
        (Qt.Key.Key_Down, [2, 2]),
        (Qt.Key.Key_Left, [1, 1]),
        (Qt.Key.Key_Right, [1, 3]),
    ],
)
def test_arrow_keys_choose_block_and_head(panel: InsidePanel, qtbot: QtBot, key: Qt.Key, expected: list[int]) -> None:
    with qtbot.waitSignal(panel.head_selected) as picked:
        qtbot.keyClick(panel._flow, key)
    assert picked.args == expected
    assert [panel._layer.value(), panel._head.value()] == expected


def test_arrow_keys_stay_within_the_model(panel: InsidePanel, qtbot: QtBot) -> None:
    panel.set_inside(inside(layer=ARCHITECTURE.layers - 1, head=0))
    for key, expected in ((Qt.Key.Key_Down, [2, 0]), (Qt.Key.Key_Left, [2, 0])):
        with qtbot.waitSignal(panel.head_selected) as picked:
            qtbot.keyClick(panel._flow, key)
        assert picked.args == expected


def test_a_click_on_a_bar_opens_that_block_or_chooses_that_head(panel: InsidePanel, qtbot: QtBot) -> None:
    bar = at_of(panel).blocks[2]
    with qtbot.waitSignal(panel.head_selected) as picked:
        click(qtbot, panel, bar.centre, bar.bottom - 1)
    assert picked.args == [2, 2]
    bar = at_of(panel).heads[3]
    with qtbot.waitSignal(panel.head_selected) as picked:
        click(qtbot, panel, bar.centre, bar.bottom - 2)
    assert picked.args == [1, 3]


def test_a_click_on_a_token_selects_it(panel: InsidePanel, qtbot: QtBot) -> None:
    label = at_of(panel).lanes[0].label
    shown = panel._flow._shown
    assert shown is not None
    with qtbot.waitSignal(panel.position_selected) as selected:
        click(qtbot, panel, label.centre, label.middle)
    assert selected.args == [shown.rows[0].position]


def test_a_click_on_a_number_opens_the_card_of_its_sum(panel: InsidePanel, qtbot: QtBot) -> None:
    shown = panel._flow._shown
    lane = at_of(panel).lanes[1]
    assert shown is not None
    click(qtbot, panel, lane.product.centre, lane.product.middle)
    assert panel._card.isVisible()
    assert panel._card.station() is Station.PRODUCT
    assert f"key of “{shown.rows[1].token.text}”" in panel._card._sentence.text()


def test_the_keyboard_reaches_every_operation_and_its_numbers(panel: InsidePanel, qtbot: QtBot) -> None:
    assert panel._view is not None
    for station in stations_in(panel._view):
        qtbot.keyClick(panel._flow, Qt.Key.Key_PageDown)
        qtbot.keyClick(panel._flow, Qt.Key.Key_Return)
        assert panel._card.station() is station
        assert panel._card.table.model().rowCount() > 0
        assert panel._flow.accessibleDescription()
        qtbot.keyClick(panel._card.table, Qt.Key.Key_Escape)
        assert panel._card.isHidden()


def test_escape_closes_the_card_and_does_not_stop_the_run(panel: InsidePanel) -> None:
    panel._on_station_opened(Station.MASK, None)
    for shown, kept in ((0, True), (1, False)):
        panel._shown._group.button(shown).click()
        panel._card.setVisible(True)
        press = QKeyEvent(QEvent.Type.ShortcutOverride, Qt.Key.Key_Escape, Qt.KeyboardModifier.NoModifier)
        press.ignore()
        QApplication.sendEvent(panel._card.table, press)
        assert press.isAccepted() is kept


def test_what_is_under_the_mouse_is_said_in_words(panel: InsidePanel) -> None:
    panel._flow.grab()
    at, view = at_of(panel), panel._view
    shown = panel._flow._shown
    assert view is not None
    assert shown is not None
    token = shown.rows[0].token.text
    length = short_number(float(np.linalg.norm(view.step.middle)))
    for box, words in (
        (at.middle, f"Stream after attention was added: 8 numbers, length {length}"),
        (at.query, "Query of “j”: 2 numbers"),
        (at.lanes[0].value, f"Value of “{token}”: 2 numbers"),
        (at.lanes[0].product, f"Query of “j” · key of “{token}”"),
        (at.heads[1], "Head 1 adds a vector of length"),
        (at.blocks[0], "Block 0 adds a vector of length"),
        (at.headers[Station.SCALE], "Each dot product is divided by 1.41"),
    ):
        said = panel._flow.words_at(QPoint(round(box.centre), round(box.bottom - 2)))
        assert said.startswith(words), said


def test_what_other_models_do_between_the_operations_is_said() -> None:
    plain = inside()
    changed = replace(
        plain.step.architecture, qk_norms=True, post_norms=True, window=3, window_period=9, attention_scale=0.25
    )
    other = replace(plain, step=replace(plain.step, architecture=changed))
    for station, words in (
        (Station.PROJECTION, "In each head query and key are normed."),
        (Station.SCALE, "Each dot product is multiplied by 0.2500, the same in all layers."),
        (Station.MASK, "This layer sees 3 tokens at most, so 7 lie too far back."),
        (Station.ATTENTION, "Before that it is normed."),
        (Station.FEED_FORWARD, "Before that they are normed."),
    ):
        assert words in sheet_of(other, station).sentence
        assert words not in sheet_of(plain, station).sentence


def test_nothing_is_said_of_a_rotation_a_gate_or_an_rms_norm_where_there_is_none(panel: InsidePanel) -> None:
    view = adding(inside())
    panel.set_inside(view)
    text = panel.copied_text()
    assert "Position: The numbers of place 9 in the window are added" in text
    assert text.count("LayerNorm") == 3
    assert "8 numbers, bent by GELU, make 8 to be added." in text.replace(str(view.step.architecture.feed_forward), "8")
    for absent in ("Rotation", "turned", "gate", "RMSNorm", "SiLU"):
        assert absent not in text
    listed = [panel._card._stations.itemText(row) for row in range(panel._card._stations.count())]
    assert "Position" in listed
    assert "Rotation" not in listed
    panel.set_inside(inside())
    assert "Query and key are turned by their place" in panel.copied_text()
    assert panel.copied_text().count("RMSNorm") == 3
    assert "Position:" not in panel.copied_text()


def test_an_operation_that_another_model_lacks_is_no_longer_meant(panel: InsidePanel, qtbot: QtBot) -> None:
    for _ in range(3):
        qtbot.keyClick(panel._flow, Qt.Key.Key_PageDown)
    qtbot.keyClick(panel._flow, Qt.Key.Key_Return)
    assert panel._card.station() is Station.ROTATION
    panel.set_inside(adding(inside()))
    assert panel._card.station() in stations_in(adding(inside()))
    assert not panel._flow.grab().isNull()
    qtbot.keyClick(panel._flow, Qt.Key.Key_PageDown)
    assert panel._flow.accessibleDescription().startswith("“j”. Embedding:")


def test_the_embedding_and_its_place_sum_and_so_do_heads_and_bias() -> None:
    view = adding(inside())
    sheet = sheet_of(view, Station.POSITION)
    for at in range(1, sheet.count):
        own, place, total = numbers_in(sheet.row(at))
        assert own + place == pytest.approx(total, abs=2e-4)
    heads = sheet_of(view, Station.HEADS)
    assert [heads.row(at)[0] for at in range(heads.count)] == ["0", "1", "2", "3", "bias", "all"]


def test_what_is_under_the_mouse_is_said_of_added_positions_too(panel: InsidePanel) -> None:
    panel.set_inside(adding(inside()))
    panel._flow.grab()
    at = at_of(panel)
    assert at.position is not None
    for box, words in (
        (at.position, "What is added for the place of “j”: 8 numbers"),
        (at.query, "Query of “j”: 2 numbers"),
        (at.headers[Station.POSITION], "The numbers of place 9 in the window are added"),
    ):
        assert panel._flow.words_at(QPoint(round(box.centre), round(box.bottom - 2))).startswith(words)


def test_the_tables_take_the_place_of_the_picture(panel: InsidePanel, qtbot: QtBot) -> None:
    panel._shown._group.button(1).click()
    assert panel._card.isVisible()
    assert panel._scroll.isHidden()
    assert panel._card.close_button.isHidden()
    panel._shown._group.button(0).click()
    assert panel._card.isHidden()
    assert panel._scroll.isVisible()


def test_the_numbers_follow_the_step(panel: InsidePanel) -> None:
    panel._card.open(Station.PRODUCT)
    before = panel._card.table.copied_text()
    panel.set_inside(inside(layer=2))
    assert panel._card.table.copied_text() != before


def test_kitchen_words_stand_beside_the_technical_ones_once_wanted(panel: InsidePanel, qtbot: QtBot) -> None:
    panel._card.open(Station.SOFTMAX)
    assert "shares:" not in panel._card._sentence.text()
    height = at_of(panel).headers[Station.SOFTMAX].height
    with qtbot.waitSignal(panel.kitchen_toggled) as wanted:
        panel._kitchen.click()
    assert wanted.args == [True]
    assert "shares:" in panel._card._sentence.text()
    assert at_of(panel).headers[Station.SOFTMAX].height > height
    panel._kitchen.click()
    assert "shares:" not in panel._card._sentence.text()


def test_kitchen_words_are_remembered() -> None:
    assert from_json(to_json(Preferences(kitchen_words=True))).kitchen_words
    assert not from_json({"kitchen_words": "yes"}).kitchen_words


def test_the_picture_is_painted_once_for_each_change(panel: InsidePanel) -> None:
    flow = panel._flow
    flow.grab()
    picture = flow._picture
    panel.set_inside(panel._view)
    flow._set_hovered(Station.MASK)
    flow.grab()
    assert flow._picture is picture
    panel.set_inside(inside(head=0))
    flow.grab()
    assert flow._picture is not picture


def test_an_exported_picture_is_painted_as_fine_as_it_is_wanted(panel: InsidePanel) -> None:
    flow = panel._flow
    flow.grab()
    fine = QImage(flow.size() * 2, QImage.Format.Format_RGB32)
    fine.setDevicePixelRatio(2)
    flow.render(fine)
    assert in_blocks_of_two(flow.grab().toImage().scaled(fine.size())) == 1.0
    assert in_blocks_of_two(fine) < 0.97


def in_blocks_of_two(image: QImage) -> float:
    """The share of two pixels side by side, from an even column on, that are the same."""
    grey = image.convertToFormat(QImage.Format.Format_Grayscale8)
    pixels = np.frombuffer(grey.constBits(), np.uint8).reshape(grey.height(), grey.bytesPerLine())[:, : grey.width()]
    inked = pixels[(pixels != pixels[:1]).any(axis=1)]
    return float((inked[:, ::2] == inked[:, 1::2]).mean())


def test_the_text_of_the_panel_has_a_sentence_for_every_operation(panel: InsidePanel) -> None:
    lines = panel.copied_text().splitlines()
    assert panel._view is not None
    assert len(lines) == len(stations_in(panel._view))
    assert lines[0].startswith("Embedding: “j” becomes 8 numbers")
    panel.set_inside(None)
    assert panel.copied_text() == ""


def numbers_in(row: tuple[str, ...]) -> list[float]:
    return [float(cell.replace("−", "-").replace(",", "")) for cell in row[1:]]


def test_the_products_of_a_card_sum_to_the_dot_product() -> None:
    view = inside()
    key = view.rows[3]
    sheet = sheet_of(view, Station.PRODUCT, key)
    rows = [numbers_in(sheet.row(at)) for at in range(sheet.count)]
    assert sheet.count == ARCHITECTURE.head_size
    for query, other, product, _ in rows:
        assert product == pytest.approx(query * other, abs=3e-4)
    assert rows[-1][-1] == pytest.approx(key.product, abs=1e-4)
    assert short_number(key.product) in sheet.sentence


@pytest.mark.parametrize("station", [Station.ATTENTION, Station.AFTER])
def test_what_is_added_gives_the_sum_number_by_number(station: Station) -> None:
    sheet = sheet_of(inside(), station)
    assert sheet.count == ARCHITECTURE.hidden + 1
    for at in range(1, sheet.count):
        before, added, after = numbers_in(sheet.row(at))
        assert before + added == pytest.approx(after, abs=2e-4)


def test_shares_of_the_softmax_follow_from_the_numbers_beside_them() -> None:
    view = inside(place=6)
    sheet = sheet_of(view, Station.SOFTMAX)
    rows = [sheet.row(at) for at in range(sheet.count)]
    assert len(rows) == 10
    powers = [float(row[5]) for row in rows]
    for row, power in zip(rows, powers, strict=True):
        assert float(row[6].removesuffix(" %").lstrip("<>")) == pytest.approx(100 * power / sum(powers), abs=0.1)
    for row in rows[7:]:
        assert (row[4], row[6]) == ("−∞", "0 %")


def test_weighted_values_of_a_card_belong_to_the_token_that_was_meant() -> None:
    view = inside()
    key = view.rows[2]
    sheet = sheet_of(view, Station.WEIGHTED, key)
    for at in range(sheet.count):
        value, weighted, total = numbers_in(sheet.row(at))
        assert weighted == pytest.approx(value * key.weight, abs=2e-4)
        assert total == pytest.approx(float(view.step.attended[view.step.head][at]), abs=1e-4)


def test_all_probabilities_of_the_table_are_accounted_for() -> None:
    sheet = sheet_of(inside(), Station.PROBABILITIES)
    shares = [float(sheet.row(at)[3].removesuffix(" %")) for at in range(sheet.count)]
    assert sum(shares) == pytest.approx(100, abs=0.1 * sheet.count)


@pytest.mark.parametrize("station", Station)
def test_every_table_is_a_proper_model(qtmodeltester: ModelTester, station: Station) -> None:
    table, view = SheetTable(), inside(place=6)
    table.set_sheet(sheet_of(adding(view) if station is Station.POSITION else view, station))
    assert table.rowCount() > 0
    qtmodeltester.check(table)


def test_numbers_are_short_in_the_picture_and_exact_in_the_tables() -> None:
    assert [short_number(value) for value in (0.0, -0.001, 1.094, -12.34, 787.2, -21_792.0, float("-inf"))] == [
        "0.00", "0.00", "1.09", "−12.3", "787", "−21,792", "−∞",
    ]  # fmt: skip
    assert [exact(value) for value in (0.0, -0.00001, -1.09375, 21_792.0)] == [
        "0.0000",
        "0.0000",
        "−1.0938",
        "21,792.0000",
    ]


def test_cells_are_grey_below_zero_and_coloured_above() -> None:
    colours = InsideColours.of(theme_named("light"))
    image = strip_image(np.array([-9, -1, 0, 1, 9], np.float32), 1, 9.0, colours.table(Hue.QUERY))
    pixels = [QColor(image.pixel(x, 0)) for x in range(5)]
    assert pixels[0] == QColor(colours.below)
    assert pixels[2] == QColor(colours.ground)
    assert pixels[4] == QColor(colours.hues[Hue.QUERY])
    assert pixels[3].lightnessF() == pytest.approx(1 - (1 - pixels[4].lightnessF()) / 3, abs=0.02)
    assert full_of([np.zeros(4, np.float32)]) == 1.0


@pytest.fixture(params=[(name, zoom) for name in THEMES for zoom in (0.8, 2.5)], ids=str)
def theme(request: pytest.FixtureRequest, qapp: QApplication) -> Iterator[Theme]:
    load_fonts()
    theme = theme_named(*request.param)
    apply_theme(qapp, theme)
    yield theme
    qapp.setStyleSheet("")


def test_the_panel_paints_in_every_look(qtbot: QtBot, theme: Theme) -> None:
    panel = InsidePanel(theme)
    qtbot.addWidget(panel)
    panel.set_kitchen_words(True)
    session = inside("a" * 90, place=60)
    gone = replace(session, rows=tuple(replace(row, stream=None) for row in session.rows))
    for view in (None, inside("a"), inside(place=3), session, gone, adding(inside(place=3))):
        panel.set_inside(view)
        for size in ((60, 60), (1256, 420), (1890, 900)):
            panel.resize(*size)
            assert not panel.grab().isNull()


def test_a_narrow_panel_is_possible_at_every_zoom(qtbot: QtBot, theme: Theme) -> None:
    panel = InsidePanel(theme)
    qtbot.addWidget(panel)
    assert panel.minimumSizeHint().width() <= theme.px(300)


class Looking(Driver):
    """A driver with the panel in front of it."""

    def __init__(self, qtbot: QtBot, session: ScriptedSession, preferences: Preferences = PREFERENCES) -> None:
        super().__init__(qtbot, session, preferences)
        self.panel = InsidePanel(theme_named("light"))
        self.panel.resize(1260, 460)
        qtbot.addWidget(self.panel)
        InsideLink(self.panel, self.controller)

    def asked(self) -> list[tuple[object, ...]]:
        return [one for one in self.session.asked if one[0] == "inside"]


@pytest.fixture
def looking(qtbot: QtBot) -> Iterator[Looking]:
    driver = Looking(qtbot, ScriptedSession())
    driver.open()
    yield driver
    driver.session.sequence.gate.set()
    driver.controller.shutdown()


def test_nothing_is_asked_while_nobody_sees_it(looking: Looking) -> None:
    looking.controller.run()
    looking.wait_for(RunPhase.FINISHED)
    assert looking.asked() == []
    looking.panel.show()
    looking.wait_for(RunPhase.FINISHED)
    assert looking.asked() == [("inside", 5, 1, 2)]  # of seven tokens the last was never read
    assert looking.controller.inside.view is not None
    assert looking.panel._view is looking.controller.inside.view


def test_token_block_and_head_that_are_selected_are_looked_into(looking: Looking) -> None:
    looking.panel.show()
    looking.controller.run()
    looking.wait_for(RunPhase.FINISHED)
    looking.controller.sight.select(2)
    looking.controller.sight.select_head(0, 3)
    looking.wait_for(RunPhase.FINISHED)
    assert looking.asked()[-1] == ("inside", 2, 0, 3)
    view = looking.panel._view
    assert view is not None
    assert (view.token.text, view.chosen.text, view.came, view.later) == ("c", "d", True, 3)
    count = len(looking.asked())
    looking.controller.touch()
    looking.wait_painted()
    assert len(looking.asked()) == count


def test_a_fast_run_keeps_the_look_waiting_until_it_pauses(looking: Looking, qtbot: QtBot) -> None:
    looking.panel.show()
    looking.session.sequence.gate.clear()
    looking.controller.run()
    qtbot.waitUntil(looking.session.sequence.waiting.is_set)
    looking.wait_painted()
    assert looking.asked() == []
    looking.session.sequence.gate.set()
    looking.wait_for(RunPhase.FINISHED)
    assert len(looking.asked()) == 1


def test_a_slow_run_is_looked_into_between_its_tokens(qtbot: QtBot) -> None:
    driver = Looking(qtbot, ScriptedSession(), replace(PREFERENCES, speed_ms=SLOW_MS))
    driver.open()
    driver.panel.show()
    driver.controller.run()
    qtbot.waitUntil(lambda: bool(driver.asked()) and driver.controller.inside.view is not None, timeout=5000)
    assert driver.controller.state.busy
    driver.controller.shutdown()


def test_of_many_wishes_only_the_first_and_the_last_are_computed(looking: Looking, qtbot: QtBot) -> None:
    looking.controller.run()
    looking.wait_for(RunPhase.FINISHED)
    looking.session.sequence.gate.clear()
    looking.session.sequence.waiting.clear()
    looking.panel.show()
    qtbot.waitUntil(looking.session.sequence.waiting.is_set)
    for head in (0, 1, 3):
        looking.controller.sight.select_head(2, head)
        looking.wait_painted()
    looking.session.sequence.gate.set()
    looking.wait_for(RunPhase.FINISHED)
    assert looking.asked() == [("inside", 5, 1, 2), ("inside", 5, 2, 3)]


def test_a_step_that_cannot_be_looked_into_is_said_in_words(looking: Looking, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object) -> None:
        raise EngineError("The runtime gave up: start again.")

    monkeypatch.setattr("tests.support.scripted.ScriptedInside.step", refuse)
    looking.panel.show()
    looking.controller.run()
    looking.wait_for(RunPhase.FINISHED)
    assert looking.panel._pages.currentWidget() is looking.panel._page
    assert looking.panel._page.text()
    assert "press Run" not in looking.panel._page.text()


def test_a_cleared_text_leaves_nothing_inside(looking: Looking) -> None:
    looking.panel.show()
    looking.controller.run()
    looking.wait_for(RunPhase.FINISHED)
    looking.controller.reset()
    looking.wait_painted()
    assert looking.panel._view is None
    assert "press Run" in looking.panel._page.text()
