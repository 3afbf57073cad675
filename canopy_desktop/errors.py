"""Every error that the program raises on purpose.

CanopyError
├── UsageError              wrong use, or a value out of range (exit status 2)
├── ModelError
│   ├── SourceError         a GGUF, checkpoint, wheel or recipe is wrong, truncated or hostile
│   ├── BundleError         a bundle's card, files and graph do not agree
│   ├── ModelNotFoundError  no bundle of that name is installed
│   ├── BuildError          building a bundle failed; the old one, if any, is untouched
│   ├── ExportSetupError    the environment for exports was not made
│   ├── ModelKeptError      a model is not renamed, removed or brought back
│   └── MemoryNeededError   a model with its context needs more memory than is free
├── PromptError
│   ├── EmptyPromptError    the prompt has no token
│   ├── PromptTooLongError  the prompt has more tokens than the context
│   └── TemplateError       the chat template refuses these messages
├── EngineError
│   ├── ContextFullError    no position is left
│   ├── InterruptedStepError  a pass was ended by `interrupt()`
│   ├── OutOfMemoryError    there is no memory left for the next tokens
│   ├── CardMemoryError     the card's memory is full
│   ├── ColumnsGoneError    what is looked at has made room for newer columns
│   ├── NotGivenError       the model's graph does not give what is looked at
│   └── ProviderError       the execution provider failed in the middle
├── SettingsError           settings contradict one another or are out of range (exit status 2)
├── OtherModelError         an exploration needs the model that made it
├── NothingLeftError        settings leave no token to choose from (exit status 2)
└── StorageError            a file could not be written or read

`str(error)` is one plain English sentence with a remedy, for the command line and the log; the window
words each kind itself from the attributes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class CanopyError(Exception):
    """Base of all errors that a person can do something about."""

    exit_status = 1


class UsageError(CanopyError):
    """Wrong use of a command, or a value out of range."""

    exit_status = 2


class ModelError(CanopyError):
    """Something about a model's files is wrong."""


class SourceError(ModelError):
    """A GGUF, checkpoint, wheel or recipe is wrong, truncated or hostile."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{path} cannot be used: {reason}.")
        self.path = Path(path)
        self.reason = reason


class BundleError(ModelError):
    """A bundle's card, files and graph do not agree."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"The model bundle {path} cannot be opened: {reason}. Build or copy it again.")
        self.path = Path(path)
        self.reason = reason


class ModelNotFoundError(ModelError):
    """No bundle of that name is installed."""

    def __init__(self, name: str, searched: Sequence[Path]) -> None:
        places = ", ".join(str(path) for path in searched) or "nowhere"
        super().__init__(
            f"No model called {name!r} was found (looked in {places}); build it with 'canopy-desktop models build', "
            "or name its folder with --model."
        )
        self.name = name
        self.searched = tuple(searched)


class BuildError(ModelError):
    """Building a bundle failed; the old one, if any, is untouched."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"The model could not be built: {reason}. {remedy}")
        self.reason = reason
        self.remedy = remedy


class ExportSetupError(ModelError):
    """The environment for exports was not made; nothing of it is there."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"The environment for exports was not made: {reason}. {remedy}")
        self.reason = reason
        self.remedy = remedy


class ModelKeptError(ModelError):
    """A model is not renamed, removed or brought back; it is as it was."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"The model {name!r} stays as it is: {reason}.")
        self.name = name
        self.reason = reason


class MemoryNeededError(ModelError):
    """A model with its context needs more memory than is free; it was not loaded."""

    def __init__(self, name: str, needed: int, free: int, context: int, *, fitting: int, is_fp32: bool) -> None:
        """Bytes, and tokens: `fitting` is the largest context that would do, 0 where none would."""
        ways = [f"choose a context of {fitting:,} tokens or fewer"] if fitting else []
        ways += ["take the model's 8-bit form"] if is_fp32 else []
        ways += ["close other programs", *([] if fitting or is_fp32 else ["take a smaller model"])]
        super().__init__(
            f"{name} with a context of {context:,} tokens needs {needed / 1e9:.2f} GB of memory, and "
            f"{free / 1e9:.2f} GB are free: {', or '.join(ways)}."
        )
        self.name = name
        self.needed = needed
        self.free = free
        self.context = context
        self.fitting = fitting
        self.is_fp32 = is_fp32


class PromptError(CanopyError):
    """The prompt cannot be run."""


class EmptyPromptError(PromptError):
    """The prompt has no token."""

    def __init__(self) -> None:
        super().__init__("The prompt is empty (0 tokens): type at least one character.")


class PromptTooLongError(PromptError):
    """The prompt has more tokens than the context."""

    def __init__(self, length: int, context: int, *, history: int = 0, facts: int = 0) -> None:
        """`history`, `facts`: how many of the tokens these are."""
        sources = [f"{count} are {name}" for count, name in ((history, "history"), (facts, "facts")) if count]
        super().__init__(
            f"The prompt has {length} tokens and the context holds {context}: shorten it by {length - context}"
            + (f"; {' and '.join(sources)}." if sources else ".")
        )
        self.length = length
        self.context = context
        self.history = history
        self.facts = facts


class TemplateError(PromptError):
    """The chat template refuses these messages."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The chat template cannot be filled in: {reason}. Use plain completion instead.")
        self.reason = reason


class EngineError(CanopyError):
    """The decoder could not go on."""


class ContextFullError(EngineError):
    """No position is left."""

    def __init__(self, context: int) -> None:
        super().__init__(f"The context is full: all {context} positions are taken. Go back, or start again.")
        self.context = context


class InterruptedStepError(EngineError):
    """A pass was ended by `interrupt()`; the decoder is as it was before the pass."""

    def __init__(self) -> None:
        super().__init__("The pass was interrupted; run again to go on.")


class OutOfMemoryError(EngineError):
    """There is no memory left for the next tokens; nothing was lost."""

    def __init__(self, length: int) -> None:
        super().__init__(
            f"There is not enough memory to go on after {length} tokens: close other programs, or shorten the prompt."
        )
        self.length = length


class CardMemoryError(EngineError):
    """The card's memory is full."""

    def __init__(self) -> None:
        super().__init__("The card's memory is full: choose a smaller context, or the CPU.")


class ColumnsGoneError(EngineError):
    """What is looked at has made room for newer columns; it can be made again."""

    def __init__(self, what: str, tokens: int) -> None:
        """`what`: "queries" or "residuals"."""
        super().__init__(
            f"The {what} of {tokens} tokens made room for newer ones: compute them again, or allow more memory."
        )
        self.what = what
        self.tokens = tokens


class NotGivenError(EngineError):
    """The model's graph, which is another program's, does not give what is looked at."""

    def __init__(self, what: str) -> None:
        """`what`: "queries", "residuals", "way to block attention" or "way to look inside of a block"."""
        super().__init__(
            f"This model's graph gives logits and a cache, and no {what}: take a model that is built here for this "
            "('canopy-desktop models list' says which is)."
        )
        self.what = what


class ProviderError(EngineError):
    """The execution provider failed in the middle of a pass."""

    def __init__(self, provider: str, reason: str) -> None:
        super().__init__(f"The {provider} provider failed: {reason}. Run again, or choose the CPU.")
        self.provider = provider
        self.reason = reason


class SettingsError(CanopyError):
    """Settings contradict one another or are out of range."""

    exit_status = 2

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} {reason}.")
        self.name = name
        self.reason = reason


class NothingLeftError(CanopyError):
    """Settings leave no token to choose from."""

    exit_status = 2

    def __init__(self, what: str) -> None:
        """`what` removed the last one: "the bans", "the minimum of tokens", "the output filter"."""
        super().__init__(f"No token is left to choose from, because of {what}: allow at least one.")
        self.what = what


class OtherModelError(CanopyError):
    """An exploration needs the model that made it."""

    def __init__(self, model: str) -> None:
        """`model`: its id."""
        super().__init__(
            f"{model} made this exploration: it can be read and replayed; open the program with that model to go on."
        )
        self.model = model


class StorageError(CanopyError):
    """A file could not be written or read."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{path}: {reason}.")
        self.path = Path(path)
        self.reason = reason
