"""Prompts from flags, and the exact text and tokens that go in as JSON."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from canopy_desktop.commands.loading import in_range, read_json, valid_text
from canopy_desktop.errors import UsageError
from canopy_desktop.exploration.prompt import PromptRequest, Turn, turns_of
from canopy_desktop.list_file import MAX_ENTRIES
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.chat import ChatTemplate, SystemChoice, TemplatedPrompt
from canopy_desktop.model.tokenizer import Tokenizer

LARGEST_HISTORY = 4_000_000  # bytes, many times what a context holds
PLAIN_CHAT = (
    "This model has no chat template, so the chat went in as plain text: what was said, with empty lines between."
)


def prompt_request(arguments: argparse.Namespace) -> PromptRequest:
    """The prompt that the flags ask for. Raises `UsageError`, `PromptError`, `StorageError` or `SettingsError`."""
    if not arguments.chat:
        for flag, given in (("--system", arguments.system is not None), ("--history", arguments.history is not None)):
            if given:
                raise UsageError(f"{flag} needs --chat: plain completion has neither system message nor history.")
    if arguments.no_history and arguments.history is None:
        raise UsageError("--no-history needs --history: there is none to leave out.")
    text = valid_text(arguments.prompt)
    request = PromptRequest(
        text=text,
        chat=arguments.chat,
        history=() if arguments.history is None else _history(Path(arguments.history)),
        with_history=not arguments.no_history,
        facts=facts_of(arguments, text),
    )
    return request if arguments.system is None else with_system(request, arguments.system)


def with_system(request: PromptRequest, text: str) -> PromptRequest:
    """The same chat with this system message; an empty one means none. Raises `PromptError`."""
    text = valid_text(text)
    choice = SystemChoice.CUSTOM if text else SystemChoice.NONE
    return replace(request, system=choice, system_text=text)


def facts_of(arguments: argparse.Namespace, text: str) -> tuple[str, ...]:
    """All facts of a file, or those that fit a prompt's text best.

    Raises `UsageError`, `StorageError` or `SettingsError`.
    """
    path, count = arguments.facts, arguments.facts_count
    if count is not None:
        in_range("--facts-count", count, 1, MAX_ENTRIES)
    if path is None:
        if count is not None:
            raise UsageError("--facts-count needs --facts: there is no file to search.")
        return ()
    from canopy_desktop.exploration.facts import Facts  # its search engine is loaded for a prompt with facts alone

    facts = Facts.read(Path(path))
    found = facts.facts if count is None else [hit.fact for hit in facts.search(text, count)]
    return tuple(fact.text for fact in found)


def template_of(bundle: Bundle, request: PromptRequest) -> ChatTemplate | None:
    """The model's chat template, where the request needs one and there is one. Raises `TemplateError`."""
    if not request.chat or bundle.card.chat_template is None:
        return None
    return ChatTemplate(bundle.card.chat_template, special_tokens=dict(bundle.card.template_variables))


def note_of(bundle: Bundle, request: PromptRequest) -> dict[str, str]:
    """What a person has to know about how the prompt went in; nothing where it went as asked for."""
    return {"note": PLAIN_CHAT} if request.chat and bundle.card.chat_template is None else {}


def prompt_parts(prompt: TemplatedPrompt, tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """Where each stretch of the prompt comes from; the texts and the tokens make up the whole."""
    return [
        {
            "role": part.role,
            "history": part.earlier,
            "text": part.text,
            "tokens": [{"id": token.id, "text": token.text} for token in tokenizer.tokens(part.ids)],
        }
        for part in prompt.parts
    ]


def _history(path: Path) -> tuple[Turn, ...]:
    try:
        return turns_of(read_json("--history", path, LARGEST_HISTORY))
    except ValueError as error:
        raise UsageError(f"--history {path} cannot be used: {error}.") from error
