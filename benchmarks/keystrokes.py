"""Measures what a keystroke in the prompt costs on the window's own thread, and prints one JSON object.

    .venv/bin/python benchmarks/keystrokes.py [--characters 2000] [--keys 40]

Run it on a quiet machine, with QT_QPA_PLATFORM=offscreen or on a display. The prompt panel stands alone with the real
tokenizer. A keystroke is measured until its tokens are painted: encoding, counting, ruler and chips. With a history or
facts the encoding is done beside the window: then the keystroke itself is measured, and apart from it the taking of
the tokens when they come.
"""

from __future__ import annotations

import canopy_desktop  # noqa: F401  (first: it keeps numpy to one thread)

# isort: split

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from canopy_desktop.exploration.facts import Facts
from canopy_desktop.exploration.prompt import PromptRequest, Turn
from canopy_desktop.paths import resources
from canopy_desktop.settings import Preferences
from canopy_ui.controller import Controller
from canopy_ui.facts_desk import FactsChoice
from canopy_ui.links.prompt_link import PromptLink
from canopy_ui.opening import opener_of
from canopy_ui.panels.prompt_panel import PromptPanel
from canopy_ui.program import make_application
from canopy_ui.theme import apply_theme, theme_named

WORDS = "When the student finished the exam, they felt relieved, and walked home through the old town. "


def main() -> None:
    """Measure three prompts."""
    parser = argparse.ArgumentParser(description="Measure typing.")
    parser.add_argument("--characters", type=int, default=2000)
    parser.add_argument("--keys", type=int, default=40)
    parser.add_argument("--model", default=None)
    wanted = parser.parse_args()
    make_application()
    controller = Controller(opener_of(wanted.model, "cpu"), Preferences())
    theme = theme_named("light")
    panel = PromptPanel(theme)
    PromptLink(panel, controller)
    app = QApplication.instance()
    if isinstance(app, QApplication):
        apply_theme(app, theme)
    panel.resize(272, 560)
    panel.show()
    controller.open()
    wait_until(lambda: controller.session is not None)
    plain = PromptRequest(text=(WORDS * 1000)[: wanted.characters])
    chat = replace(plain, chat=True, history=(Turn(WORDS, WORDS * 4),) * 8)
    facts = FactsChoice("", 3, Facts.read(Path(resources() / "facts" / "solar-system.txt")))
    found = {}
    for name, request, choice in (
        ("plain", plain, FactsChoice()),
        ("history", chat, FactsChoice()),
        ("facts", plain, facts),
    ):
        controller.draft.set_facts(choice)
        panel.set_prompt(request)
        wait_until(partial(known, controller))
        found[name] = measured(panel, controller, wanted.keys)
    print(json.dumps({"characters": wanted.characters, "keys": wanted.keys, "typing": found}))
    controller.shutdown()


def measured(panel: PromptPanel, controller: Controller, keys: int) -> dict[str, float]:
    """Milliseconds of the window's thread: of a keystroke with its painting, and of taking tokens that come later."""
    keystrokes, takings = [], []
    for number in range(keys):
        with Watch(keystrokes):
            QTest.keyClick(panel._text, "abcdefghij"[number % 10])
            panel.grab()
        wait_until(partial(known, controller))
        with Watch(takings):
            controller.draft.encoded.emit(controller.draft.prompt())
            panel.grab()
    return {
        f"{name}_{kind}_ms_{figure}": round(float(np.percentile([watch[place] for watch in watches], share)), 1)
        for name, watches in (("keystroke", keystrokes), ("taking", takings))
        for place, kind in enumerate(("wall", "cpu"))
        for figure, share in (("median", 50), ("p95", 95))
    }


class Watch:
    """Notes how long something took, in milliseconds: on the clock, and of this thread's own time."""

    def __init__(self, into: list[tuple[float, float]]) -> None:
        self._into = into

    def __enter__(self) -> None:
        self._began = time.perf_counter(), time.thread_time()

    def __exit__(self, *_: object) -> None:
        wall, cpu = time.perf_counter() - self._began[0], time.thread_time() - self._began[1]
        self._into.append((1000 * wall, 1000 * cpu))


def known(controller: Controller) -> bool:
    """Whether the tokens of what is typed are there."""
    return not controller.draft.waiting


def wait_until(holds: Callable[[], bool]) -> None:
    """Let events run until it holds."""
    while not holds():
        QTest.qWait(5)


if __name__ == "__main__":
    main()
