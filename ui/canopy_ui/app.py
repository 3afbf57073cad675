"""The program's entry: what needs no window goes to the core before Qt is imported."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from canopy_desktop import __version__, cli
from canopy_desktop.errors import CanopyError, UsageError

SNAPSHOT, BENCH = "snapshot", "bench"
SUFFIX = ".canopy"
PROVIDERS = ("auto", "cpu", "cuda")


class Parser(argparse.ArgumentParser):
    """Argument errors become one sentence and exit status 2."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:]}; '{self.prog} --help' shows what is possible.")


def main(argv: Sequence[str] | None = None) -> int:
    """Open the window, or run a command. Returns the exit status: 0, 1 for a failure, 2 for wrong use."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in cli.SUBCOMMANDS:
        return cli.main(arguments, {BENCH: _bench})
    try:
        if arguments[:1] == [SNAPSHOT]:
            from canopy_ui.snapshot import snapshot

            return snapshot(arguments[1:])
        wanted = window_parser().parse_args(arguments)
        file = None if wanted.file is None else exploration_file(wanted.file)
        gc.disable()  # a tenth of a second of searches while everything is imported; the window has searches of its own
        from canopy_ui.program import run_window

        return run_window(wanted.model, wanted.provider, file)
    except CanopyError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_status


def _bench(arguments: argparse.Namespace) -> cli.JsonObject:
    """`bench`, which measures the window too where `--ui` asks for it."""
    from canopy_desktop.commands.measure import bench

    if not arguments.ui:
        return bench(arguments)
    from canopy_ui.bench_ui import event_loop

    return bench(arguments, lambda: event_loop(arguments.model, arguments.provider))


def exploration_file(name: str) -> Path:
    """The file to open. Raises `UsageError` for what is none."""
    if not name.endswith(SUFFIX):
        raise UsageError(
            f"{name!r} is neither a command nor an exploration file (.canopy); "
            "'canopy-desktop --help' lists the commands."
        )
    if not Path(name).is_file():
        raise UsageError(f"There is no file {name!r}: name one that is there.")
    return Path(name)


def window_parser() -> argparse.ArgumentParser:
    """The arguments of the window itself."""
    commands = ", ".join(sorted({*cli.SUBCOMMANDS, SNAPSHOT}))
    parser = Parser(
        prog="canopy-desktop",
        description="See how a language model writes, one token at a time. Without a command the window opens.",
        epilog=f"Commands: {commands}. 'canopy-desktop COMMAND --help' explains each.",
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help="an exploration to open (.canopy)")
    parser.add_argument("--model", metavar="ID|DIR", help="the model to load")
    parser.add_argument("--provider", choices=PROVIDERS, default="auto", help="what runs the model")
    parser.add_argument("--version", action="version", version=f"canopy-desktop {__version__}")
    return parser
