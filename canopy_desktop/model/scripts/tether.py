"""Run a Python program that ends with the one that started it: `tether.py FILE.py|MODULE ARGUMENT …`.

Standard input is the tether: it is closed when the starter ends, however it ends.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading


def _end_with_starter() -> None:
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_starter, daemon=True).start()
    del sys.argv[0]
    if sys.argv[0].endswith(".py"):
        runpy.run_path(sys.argv[0], run_name="__main__")
    else:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
