"""The command line: arguments in, one JSON object or plain text out. The contract is docs/command-line.md."""

from __future__ import annotations

import argparse
import io
import json
import logging
import math
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn

from canopy_desktop import __version__, paths
from canopy_desktop.decoding.presets import PRESETS
from canopy_desktop.errors import CanopyError, StorageError, UsageError

JsonObject = dict[str, Any]
Command = Callable[[argparse.Namespace], JsonObject]


class _Parser(argparse.ArgumentParser):
    """Argument errors become one sentence and exit status 2."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:]}; '{self.prog} --help' shows what is possible.")


def main(argv: Sequence[str] | None = None, instead: Mapping[str, Command] = MappingProxyType({})) -> int:
    """Run a command, or what is there `instead`. Returns the exit status: 0, 1 for a failure, 2 for wrong use."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    try:
        arguments = parser().parse_args(argv)
        command, show = _COMMANDS[arguments.command]
        result = instead.get(arguments.command, command)(arguments)
        _print(_json(result) if arguments.json else show(result))
    except CanopyError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 1
    except MemoryError:
        print("There is not enough memory: use a shorter prompt or a smaller model.", file=sys.stderr)
        return 1
    except Exception as error:  # noqa: BLE001 - the last boundary: a sentence for the person, the rest to the log
        print(_unexpected(error), file=sys.stderr)
        return 1
    return int(result.get("failed", 0))


def parser() -> argparse.ArgumentParser:
    """The parser of all commands that need no window."""
    top = _Parser(prog="canopy-desktop", description="See how a language model writes: the commands without a window.")
    top.add_argument("--version", action="version", version=f"canopy-desktop {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    tokens = _add(commands, "tokens", "show the tokens of a text")
    tokens.add_argument("text", metavar="TEXT")
    tokens.add_argument("--no-special", action="store_true", help="special-token text is plain text")
    trace = _add(commands, "trace", "generate, and report every step")
    trace.add_argument("prompt", metavar="PROMPT")
    _add_settings(trace)
    trace.add_argument("--top", type=int, default=5, metavar="N", help="likeliest tokens listed at each step (0 to 50)")
    _add_prompt(trace)
    trace.add_argument("--context", type=int, metavar="N", help="tokens that the model sees; default: its own context")
    trace.add_argument("--slide", action="store_true", help="when they are full, drop the oldest quarter and go on")
    trace.add_argument("--keep-system", action="store_true", help="never drop the system message (with --slide)")
    trace.add_argument("--filter", metavar="FILE", help="words and /patterns/ that the written text is searched for")
    trace.add_argument(
        "--filter-action", choices=("stop", "mask", "redraw"), help="what is done about them; default: stop"
    )
    trace.add_argument("--check", metavar="FILE", help="facts that the answer is compared with, one a line")
    attention = _add(commands, "attention", "attention of a text, every layer and head or one")
    attention.add_argument("prompt", metavar="PROMPT")
    attention.add_argument("--layer", type=int, metavar="L")
    attention.add_argument("--head", type=int, metavar="H")
    lens = _add(commands, "lens", "what the model would say after each layer")
    lens.add_argument("prompt", metavar="PROMPT")
    lens.add_argument("--top", type=int, default=5, metavar="N", help="tokens listed for each layer")
    lens.add_argument("--grid", action="store_true", help="the likeliest token of every position, not the last alone")
    _add_cause(commands)
    _add_compare(commands)
    pipeline = _add(commands, "pipeline", "what settings make of given logits, stage by stage; needs no model")
    pipeline.add_argument("--input", required=True, metavar="FILE", help="a JSON object; - is standard input")
    race = _add(commands, "race", "generate without the cache, beside the cache switched on")
    race.add_argument("prompt", metavar="PROMPT")
    race.add_argument("--max-tokens", type=int, metavar="N", help="default: 32, and fewer after a long prompt")
    _add_beams(commands)
    _add_draws(commands)
    _add_facts(commands)
    bench = _add(commands, "bench", "measure this machine")
    bench.add_argument("--contexts", metavar="N,N,…", help="prompt lengths in tokens; default: 16,512,2048")
    bench.add_argument("--concurrency", metavar="N,N,…", help="tokens per second of so many requests at once, too")
    bench.add_argument("--ui", action="store_true", help="how late the window's event loop is while it generates, too")
    _add(commands, "doctor", "versions, provider, memory and a check of the model")
    models = commands.add_parser("models", help="list, verify, build, import, rename or remove models")
    actions = models.add_subparsers(dest="action", required=True, metavar="ACTION", parser_class=_Parser)
    _add(actions, "list", "what is there")
    chosen = _add(actions, "default", "which model opens where none is named, or from now on ID")
    chosen.add_argument("id", nargs="?", metavar="ID")
    rename = _add(actions, "rename", "give a model of your own another id; explorations still know it")
    rename.add_argument("id", metavar="ID")
    rename.add_argument("new", metavar="NEW")
    remove = _add(actions, "remove", "remove a model of your own from the disk")
    remove.add_argument("id", metavar="ID")
    remove.add_argument("--yes", action="store_true", help="do not ask")
    verify = _add(actions, "verify", "check every file of a model")
    verify.add_argument("id", nargs="?", metavar="ID", help="default: all that are there")
    build = _add(actions, "build", "fetch and build a model from its recipe")
    build.add_argument("id", nargs="?", metavar="ID")
    build.add_argument("--precision", choices=("int8", "fp32"), help="form of the weights; default: the recipe's")
    build.add_argument("--accept-licence", action="store_true", help="you have read the model's terms and accept them")
    load = _add(
        actions, "import", "make a model of a GGUF, a checkpoint or an ONNX model, or copy one that was built elsewhere"
    )
    load.add_argument("path", nargs="?", metavar="PATH")
    load.add_argument(
        "--setup", action="store_true", help="first fetch what exports a checkpoint of another architecture, once"
    )
    load.add_argument("--name", metavar="ID", help="what the model is called; default: as its file or folder")
    load.add_argument("--precision", choices=("int8", "fp32"), help="form of its weights; default: int8")
    load.add_argument("--progress", action="store_true", help="tell each percent on standard error, a line each")
    return top


SUBCOMMANDS = frozenset(
    {
        "tokens",
        "trace",
        "attention",
        "lens",
        "block",
        "leave-out",
        "inside",
        "pipeline",
        "compare",
        "race",
        "beams",
        "draws",
        "score",
        "facts",
        "bench",
        "doctor",
        "models",
    }
)


def _add(commands: Any, name: str, summary: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=f"{summary.capitalize()}.")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.add_argument("--model", metavar="ID|DIR")
    command.add_argument("--provider", choices=("auto", "cpu", "cuda"), default="auto")
    return command


def _add_cause(commands: Any) -> None:
    block = _add(commands, "block", "forbid tokens to look at others, and see the next token's probabilities move")
    block.add_argument("prompt", metavar="PROMPT")
    block.add_argument("--query", required=True, metavar="I[,I]", help="positions that may not look")
    block.add_argument("--key", required=True, metavar="J[,J]", help="positions that are not looked at")
    block.add_argument("--layer", type=int, metavar="L", help="default: all")
    block.add_argument("--head", type=int, metavar="H", help="default: all")
    block.add_argument("--top", type=int, default=10, metavar="N", help="tokens listed")
    left = _add(commands, "leave-out", "leave out each token of a prompt, and see what the next one loses")
    left.add_argument("prompt", metavar="PROMPT")
    left.add_argument("--position", type=int, metavar="P", help="leave out this one alone")
    left.add_argument("--replace", metavar="TEXT", help="put this token in its place instead")
    inside = _add(commands, "inside", "everything that happens to one token in one layer and head")
    inside.add_argument("prompt", metavar="PROMPT")
    inside.add_argument("--position", type=int, required=True, metavar="P")
    inside.add_argument("--layer", type=int, required=True, metavar="L")
    inside.add_argument("--head", type=int, required=True, metavar="H")
    inside.add_argument("--without", metavar="J[,J]", help="also the head without these keys, not renormalised")


def _add_facts(commands: Any) -> None:
    facts = commands.add_parser("facts", help="search a file of facts, or compare an answer with it; needs no model")
    actions = facts.add_subparsers(dest="action", required=True, metavar="ACTION", parser_class=_Parser)
    search = _add(actions, "search", "the facts that fit a query best (BM25)")
    search.add_argument("query", metavar="QUERY", help="- is standard input")
    search.add_argument("--count", type=int, default=3, metavar="N", help="facts listed, the best first")
    check = _add(actions, "check", "what facts support, contradict or do not know of an answer")
    check.add_argument("answer", metavar="ANSWER", help="- is standard input")
    for action in (search, check):
        action.add_argument("--facts", required=True, metavar="FILE", help="a text file with one fact a line")


def _add_compare(commands: Any) -> None:
    compare = _add(commands, "compare", "run two prompts, settings or models, and see where they part")
    compare.add_argument("prompt", metavar="PROMPT")
    compare.add_argument("--and", dest="prompt_b", metavar="PROMPT", help="B's prompt; default: the same as A's")
    _add_prompt(compare)
    compare.add_argument("--system-b", metavar="TEXT", help="B's system message; an empty TEXT means none")
    compare.add_argument("--no-history-b", action="store_true", help="B does not see the history")
    compare.add_argument("--no-facts-b", action="store_true", help="B does not see the facts")
    _add_settings(compare)
    compare.add_argument("--settings-b", metavar="JSON|FILE", help="settings of B that differ from A's")
    compare.add_argument("--model-b", metavar="ID|DIR", help="B's model; default: the same as A's")
    compare.add_argument("--top", type=int, default=5, metavar="N", help="likeliest tokens listed of each (0 to 50)")


def _add_prompt(command: argparse.ArgumentParser) -> None:
    """The flags that `commands.prompt` reads."""
    command.add_argument(
        "--chat", action="store_true", help="the prompt is a user's message in the model's chat template"
    )
    command.add_argument("--system", metavar="TEXT", help="the system message; an empty TEXT means none (with --chat)")
    command.add_argument(
        "--history", metavar="FILE", help='earlier turns, a JSON list of {"user", "assistant"}; - is standard input'
    )
    command.add_argument("--no-history", action="store_true", help="do not show them to the model")
    command.add_argument("--facts", metavar="FILE", help="facts that are put before the prompt, one a line")
    command.add_argument("--facts-count", type=int, metavar="N", help="the N that fit the prompt best; default: all")


def _add_beams(commands: Any) -> None:
    beams = _add(commands, "beams", "write several texts side by side, and keep the best")
    beams.add_argument("prompt", metavar="PROMPT")
    _add_settings(beams)
    _add_prompt(beams)
    beams.add_argument("--num-beams", type=int, default=4, metavar="N", help="1 to 10; default: 4")
    beams.add_argument("--num-return", type=int, metavar="N", help="texts that are returned; default: one a beam")
    beams.add_argument(
        "--length-penalty", type=float, default=1.0, metavar="X", help="sums are divided by length^X; default: 1"
    )
    beams.add_argument(
        "--early-stopping",
        choices=("true", "false", "never"),
        default="false",
        help="end when enough texts have ended: at once, when a better one is unlikely (the default), or impossible",
    )
    beams.add_argument("--sample", action="store_true", help="draw the candidates, as sampling flags do")
    beams.add_argument("--groups", type=int, default=1, metavar="N", help="groups of beams that differ; default: 1")
    beams.add_argument(
        "--diversity", type=float, default=0.0, metavar="X", help="taken for a token that an earlier group took"
    )
    beams.add_argument("--tree", action="store_true", help="report the candidates of every step")


def _add_draws(commands: Any) -> None:
    draws = _add(commands, "draws", "draw many continuations, and count first tokens against their probabilities")
    draws.add_argument("prompt", metavar="PROMPT")
    draws.add_argument("--count", type=int, default=100, metavar="N", help="1 to 200; default: 100")
    draws.add_argument(
        "--length", type=int, default=1, dest="max_tokens", metavar="L", help="tokens of each; the same as --max-tokens"
    )
    draws.add_argument("--top", type=int, default=10, metavar="N", help="most probable tokens listed")
    _add_prompt(draws)
    _add_settings(draws)
    draws.set_defaults(max_tokens=1)
    score = _add(commands, "score", "how likely the model finds a text, token by token")
    score.add_argument("prompt", metavar="PROMPT", help="all of the text where no CONTINUATION is given")
    score.add_argument("continuation", nargs="?", metavar="CONTINUATION")
    score.add_argument("--together", action="store_true", help="encode both as one text, not each by itself")
    _add_prompt(score)


def _add_settings(command: argparse.ArgumentParser) -> None:
    """The flags that `commands.settings` reads."""
    base = command.add_mutually_exclusive_group()
    base.add_argument("--preset", choices=[preset.id for preset in PRESETS], help="settings that flags go over")
    base.add_argument("--settings", metavar="FILE", help="the same from a JSON file; - is standard input")
    command.add_argument("--greedy", action="store_true", help="always the likeliest token (the default)")
    command.add_argument("--temperature", type=float)
    command.add_argument("--top-k", type=int, metavar="K")
    command.add_argument("--top-p", type=float, metavar="P")
    command.add_argument("--min-p", type=float, metavar="P", help="least share of the likeliest token's probability")
    command.add_argument("--typical-p", type=float, metavar="P")
    command.add_argument("--repetition-penalty", type=float, metavar="X", help="of tokens in prompt and answer; 1: off")
    command.add_argument("--presence-penalty", type=float, metavar="X", help="of tokens in the answer; 0: off")
    command.add_argument("--frequency-penalty", type=float, metavar="X", help="the same for each time; 0: off")
    command.add_argument("--ban", action="append", default=[], metavar="TEXT|#ID", help="never this token; repeatable")
    command.add_argument(
        "--bias",
        action="append",
        default=[],
        type=_bias,
        metavar="TEXT|#ID=X",
        help="add X to this token's logit; repeatable",
    )
    command.add_argument("--seed", type=int)
    command.add_argument("--min-tokens", type=int, metavar="N", help="no end token before so many")
    command.add_argument("--max-tokens", type=int, metavar="N", help="default: 32")
    command.add_argument("--stop", action="append", default=[], metavar="TEXT", help="stop after this text; repeatable")
    command.add_argument("--keep-stop", action="store_true", help="leave the stop text in the answer")


def _bias(argument: str) -> tuple[str, float]:
    """A token as it is named, and what is added to its logit."""
    token, _, added = argument.rpartition("=")
    try:
        bias = float(added)
    except ValueError:
        bias = math.nan
    if not token or not math.isfinite(bias):
        raise argparse.ArgumentTypeError("must be a token and a number, as ' cat=2.5' or '#5=-1'")
    return token, bias


def _print(text: str) -> None:
    """Print the result; characters that the terminal does not know are escaped. Raises `StorageError`."""
    if sys.stdout is None:
        raise StorageError("Standard output", "it is closed, so the result cannot be printed")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        print(text, flush=True)
    except OSError as error:
        # what is still in the buffer would be written, and fail again, when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # as `| head -1` does
            sys.exit(1)
        raise StorageError("Standard output", f"the result cannot be printed ({error.strerror})") from error


def _unexpected(error: Exception) -> str:
    """A sentence for an error that nobody foresaw; its traceback goes to the log file."""
    path = paths.log_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as log:
            traceback.print_exception(error, file=log)
    except OSError:
        return f"Something unexpected happened ({type(error).__name__}: {error}); please report it."
    return f"Something unexpected happened ({type(error).__name__}: {error}); please report it with {path}."


def _json(result: JsonObject) -> str:
    try:
        return json.dumps(result, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(result), allow_nan=False)


def _finite(value: Any) -> Any:
    """The same value with null for what JSON has no number for."""
    if isinstance(value, dict):
        return {str(key): _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _command(name: str) -> Command:
    """A command, imported when it is run, so that help and errors need no engine."""

    def run(arguments: argparse.Namespace) -> JsonObject:
        from canopy_desktop import commands

        return commands.COMMANDS[name](arguments)

    return run


def _show(name: str) -> Callable[[JsonObject], str]:
    def show(result: JsonObject) -> str:
        from canopy_desktop import plain_text

        return plain_text.shown(name, result)

    return show


_COMMANDS = {name: (_command(name), _show(name)) for name in SUBCOMMANDS}
