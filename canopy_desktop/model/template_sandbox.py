"""Jinja for templates that come with a model: a stranger's program, run with bounded steps and text.

Jinja's sandbox keeps a template away from Python; what is added here keeps it from running for ever or filling the
memory. What a chat template of today uses is left: loops, macros, namespaces, `tojson` and the usual filters.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

from jinja2 import TemplateError as JinjaError
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from canopy_desktop.errors import TemplateError

MAX_STEPS = 100_000  # loop iterations and calls in one rendering
MAX_TEXT = 2_000_000  # characters or items in one value
MAX_EXPONENT = 64
MAX_BITS = 1024  # of an integer that is multiplied

_WITHOUT = ("batch", "center", "format", "indent", "pprint", "random", "slice", "urlize", "wordwrap", "xmlattr")
_PADDING_METHODS = frozenset(("center", "expandtabs", "join", "ljust", "rjust", "translate", "zfill"))


class TemplateSandbox:
    """One compiled template. May be rendered from any thread, one at a time."""

    def __init__(self, source: str) -> None:
        """Raises `TemplateError` if `source` is no template."""
        self._lock = threading.Lock()
        self._environment = _Environment()
        try:
            self._template = self._environment.from_string(source)
        except (JinjaError, RecursionError, SyntaxError, ValueError) as error:
            raise TemplateError(_sentence(error)) from error

    def render(self, **variables: object) -> str:
        """The template's text. Raises `TemplateError`, whatever the template does."""
        with self._lock:
            self._environment.steps = 0
            try:
                return self._environment.concat(self._template.root_render_func(self._template.new_context(variables)))
            except Exception as error:  # the template is a program: anything can come out of it
                raise TemplateError(_sentence(error)) from error


class _Generator(CodeGenerator):
    """Compiles `~` so that it is measured."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        self.write("environment.concat(map(str, (")
        for item in node.nodes:
            self.visit(item, frame)
            self.write(", ")
        self.write(")))")


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox of transformers' chat templates, with limits."""

    code_generator_class = _Generator
    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
        self.steps = 0
        for name in _WITHOUT:
            del self.filters[name]
        self.filters |= {"counted": self._counted, "tojson": _to_json, "join": self._join, "replace": _replace}
        del self.globals["lipsum"]
        self.globals["raise_exception"] = _raise_exception

    def concat(self, parts: Iterable[str]) -> str:
        """Join text while it stays within the limit: Jinja calls this for output, macros and set blocks."""
        kept, length = [], 0
        for part in parts:
            length += len(part)
            _check_size(length)
            kept.append(part)
        return "".join(kept)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Refuse operations whose result may be huge."""
        match operator:
            case "+":
                _check_size(_size(left) + _size(right))
            case "*":
                _check_size(_size(left) * _factor(right) + _size(right) * _factor(left))
                _check_number(left, right)
            case "**":
                _check_number(left, right)
                if right > MAX_EXPONENT:
                    raise SecurityError("it computes with huge numbers")
            case "%" if isinstance(left, str):
                raise SecurityError("it formats text in a way that is not allowed")
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - as Jinja's
        """Count every call, recursive macros included."""
        __self._step()
        name, owner = getattr(__obj, "__name__", ""), getattr(__obj, "__self__", None)
        if isinstance(owner, str) and name == "replace" and len(args) > 1:
            _check_size((len(owner) + 1) * max(len(str(args[1])), 1))
        return super().call(__context, __obj, *args, **kwargs)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Also leave out what pads text to any width."""
        if isinstance(obj, str) and attr in _PADDING_METHODS:
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Refuse `str.format`, which can pad too; Jinja asks here before `is_safe_attribute`."""
        if super().wrap_str_format(value) is not None:
            raise SecurityError("it formats text in a way that is not allowed")
        return None

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """Wrap what each loop goes over in a filter that counts."""
        template = super()._parse(source, name, filename)
        for loop in list(template.find_all(nodes.For)):
            loop.iter = nodes.Filter(loop.iter, "counted", [], [], None, None, lineno=loop.lineno)
        template.set_environment(self)
        return template

    def _step(self) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise SecurityError(f"it takes more than {MAX_STEPS:,} steps")

    def _counted(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self._step()
            yield item

    def _join(self, items: Iterable[Any], separator: str = "") -> str:
        """The filter `join`, within the limit."""
        texts = [str(item) for item in self._counted(items)]
        return self.concat(part for i, text in enumerate(texts) for part in ((separator, text) if i else (text,)))


def _replace(text: Any, old: str, new: str, count: int = -1) -> str:
    """The filter `replace`, within the limit."""
    _check_size((len(str(text)) + 1) * max(len(str(new)), 1))
    return str(text).replace(str(old), str(new), count)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """The filter `tojson` as transformers has it: not escaped for HTML."""
    if indent is not None and not 0 <= indent <= MAX_EXPONENT:
        raise SecurityError("it indents too far")
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: object) -> NoReturn:
    """How a template refuses messages."""
    raise JinjaError(str(message))


def _size(value: Any) -> int:
    return len(value) if isinstance(value, (str, bytes, list, tuple)) else 0


def _factor(value: Any) -> int:
    """How many times longer a multiplication by `value` may make text."""
    return abs(value) if isinstance(value, int) else 1


def _check_number(*values: Any) -> None:
    if any(isinstance(value, int) and value.bit_length() > MAX_BITS for value in values):
        raise SecurityError("it computes with huge numbers")


def _check_size(size: int) -> None:
    if size > MAX_TEXT:
        raise SecurityError(f"it makes more than {MAX_TEXT:,} characters")


def _sentence(error: BaseException) -> str:
    """The gist of an error in a template, as part of a sentence."""
    if isinstance(error, RecursionError):
        return "it calls itself without end"
    lines = str(error).split("\n")[0].strip().rstrip(".:")
    return lines[:200] or f"it fails ({type(error).__name__})"
