"""The program's entry: what needs no window goes to the core before Qt is imported."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from canopy_desktop import __version__, cli
from canopy_desktop.errors import CanopyError, UsageError

SNAPSHOT = "snapshot"
PROVIDERS = ("auto", "cpu", "cuda")


class Parser(argparse.ArgumentParser):
    """Argument errors become one sentence and exit status 2."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:]}; '{self.prog} --help' shows what is possible.")


def main(argv: Sequence[str] | None = None) -> int:
    """Open the window, or run a command. Returns the exit status: 0, 1 for a failure, 2 for wrong use."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in cli.SUBCOMMANDS:
        return cli.main(arguments)
    try:
        if arguments[:1] == [SNAPSHOT]:
            from canopy_ui.snapshot import snapshot

            return snapshot(arguments[1:])
        wanted = window_parser().parse_args(arguments)
        if wanted.file is not None:
            raise UsageError(
                f"{wanted.file!r} is not a command, and files cannot be opened in this version; "
                "'canopy-desktop --help' lists the commands."
            )
        from canopy_ui.program import run_window

        return run_window(wanted.model, wanted.provider)
    except CanopyError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_status


def window_parser() -> argparse.ArgumentParser:
    """The arguments of the window itself."""
    commands = ", ".join(sorted({*cli.SUBCOMMANDS, SNAPSHOT}))
    parser = Parser(
        prog="canopy-desktop",
        description="See how a language model writes, one token at a time. Without a command the window opens.",
        epilog=f"Commands: {commands}. 'canopy-desktop COMMAND --help' explains each.",
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("--model", metavar="ID|DIR", help="the model to load")
    parser.add_argument("--provider", choices=PROVIDERS, default="auto", help="what runs the model")
    parser.add_argument("--version", action="version", version=f"canopy-desktop {__version__}")
    return parser
