"""Measurements beside the text, on the inference thread, with a small real model."""

from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from canopy_desktop.errors import PromptTooLongError
from canopy_desktop.exploration.bandwidth import Bandwidth
from canopy_desktop.exploration.cache_size import CacheSize
from canopy_desktop.exploration.measurements import RaceFinished, RaceStep, Throughput
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.provider import ProviderChoice
from canopy_ui.controller import Controller
from canopy_ui.errands import BandwidthErrand, Errand, ErrandReport, RaceErrand, ThroughputErrand
from canopy_ui.state import RunPhase
from tests.core import tiny
from tests.support.driving import PATIENCE_MS, PREFERENCES

IDS = tiny.PROMPT_IDS


class Measured:
    """A controller, and what it was told of measurements."""

    def __init__(self, qtbot: QtBot, controller: Controller) -> None:
        self.qtbot = qtbot
        self.controller = controller
        self.reports: list[ErrandReport] = []
        self.errors: list[Exception] = []
        controller.measuring.reported.connect(self.reports.append)
        controller.failed.connect(self.errors.append)

    def begin(self, errand: Errand) -> None:
        self.controller.measuring.begin(errand)

    def wait_for_end(self, errand: Errand) -> list[object]:
        """What was measured."""
        mine = self.reports

        def ended() -> bool:
            return any(report.ended and report.errand is errand for report in mine)

        self.qtbot.waitUntil(ended, timeout=PATIENCE_MS)
        return [report.value for report in mine if report.errand is errand and report.value is not None]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.open(tiny.build(tmp_path_factory.mktemp("models")))


@pytest.fixture
def measured(qtbot: QtBot, bundle: Bundle) -> Iterator[Measured]:
    controller = Controller(lambda progress: ModelSession.open(bundle, ProviderChoice.CPU), PREFERENCES)
    with qtbot.waitSignal(controller.model_opened, timeout=PATIENCE_MS):
        controller.open()
    yield Measured(qtbot, controller)
    controller.shutdown()


def test_a_race_reports_each_step_and_its_end(measured: Measured) -> None:
    errand = RaceErrand(ids=IDS, steps=4)
    measured.begin(errand)
    found = measured.wait_for_end(errand)
    steps = [value for value in found if isinstance(value, RaceStep)]
    assert [step.position for step in steps] == [7, 8, 9, 10]
    assert isinstance(found[-1], RaceFinished)
    assert all(step.refed.difference == 0.0 for step in steps)


def test_requests_at_once_and_the_memory_s_speed_are_measured(measured: Measured) -> None:
    requests, bandwidth = ThroughputErrand(requests=(1, 2)), BandwidthErrand()
    measured.begin(requests)
    found = measured.wait_for_end(requests)
    assert [value.requests for value in found if isinstance(value, Throughput)] == [1, 2]
    measured.begin(bandwidth)
    assert all(isinstance(value, Bandwidth) for value in measured.wait_for_end(bandwidth))


def test_a_measurement_can_be_left_between_two_passes(measured: Measured) -> None:
    errand = RaceErrand(ids=IDS, steps=40)
    measured.begin(errand)
    measured.qtbot.waitUntil(lambda: bool(measured.reports), timeout=PATIENCE_MS)
    measured.controller.measuring.end()
    found = measured.wait_for_end(errand)
    assert not any(isinstance(value, RaceFinished) for value in found)


def test_a_run_ends_a_measurement_and_goes_its_way(measured: Measured) -> None:
    errand = RaceErrand(ids=IDS, steps=40)
    measured.begin(errand)
    measured.controller.run()
    found = measured.wait_for_end(errand)
    assert not any(isinstance(value, RaceFinished) for value in found)
    measured.qtbot.waitUntil(lambda: measured.controller.state.phase is RunPhase.FINISHED, timeout=PATIENCE_MS)


def test_a_measurement_pauses_the_run_in_hand_which_then_goes_on(measured: Measured) -> None:
    controller = measured.controller
    controller.set_interval(50)
    controller.run()
    measured.qtbot.waitUntil(lambda: controller.state.phase is RunPhase.RUNNING, timeout=PATIENCE_MS)
    errand = RaceErrand(ids=IDS, steps=2)
    measured.begin(errand)
    measured.wait_for_end(errand)
    assert controller.state.phase is RunPhase.PAUSED
    controller.set_interval(0)
    controller.run()
    measured.qtbot.waitUntil(lambda: controller.state.phase is RunPhase.FINISHED, timeout=PATIENCE_MS)
    assert controller.state.generated == PREFERENCES.decoding.max_tokens


def test_a_second_measurement_ends_the_first(measured: Measured) -> None:
    first, second = RaceErrand(ids=IDS, steps=40), RaceErrand(ids=IDS, steps=2)
    measured.begin(first)
    measured.begin(second)
    assert not any(isinstance(value, RaceFinished) for value in measured.wait_for_end(first))
    assert isinstance(measured.wait_for_end(second)[-1], RaceFinished)


def test_what_cannot_be_measured_is_said_once_and_the_next_one_can(measured: Measured) -> None:
    errand = RaceErrand(ids=IDS * 20, steps=2)
    measured.begin(errand)
    measured.wait_for_end(errand)
    assert [type(error) for error in measured.errors] == [PromptTooLongError]
    again = RaceErrand(ids=IDS, steps=2)
    measured.begin(again)
    assert measured.wait_for_end(again)


def test_the_cache_s_size_is_what_was_read(measured: Measured) -> None:
    sizes: list[CacheSize] = []
    controller = measured.controller
    controller.measuring.cache_measured.connect(sizes.append)
    controller.run()
    measured.qtbot.waitUntil(lambda: controller.state.phase is RunPhase.FINISHED, timeout=PATIENCE_MS)
    controller.measuring.measure_cache()
    controller.measuring.measure_cache()  # the first answer will do for both
    assert not controller.measuring.idle
    measured.qtbot.waitUntil(lambda: controller.measuring.idle, timeout=PATIENCE_MS)
    (size,) = sizes
    assert size.used == size.predicted > 0
    assert size.positions == controller.state.prompt_tokens + controller.state.generated - 1
