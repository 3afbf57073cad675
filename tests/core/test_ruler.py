"""A prompt along the context window: what takes its room, and what leaves first."""

from pathlib import Path

import pytest

from canopy_desktop.exploration.prompt import PromptRequest, Turn
from canopy_desktop.exploration.ruler import ContextRuler, ruler_of
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.exploration.window import ContextWindow, WhenFull
from tests.core.engine import session_of

CHAT = PromptRequest(
    text="What did I say?", chat=True, history=(Turn("I like tea.", "Good."),), facts=("Tea is a drink.",)
)


@pytest.fixture
def session(built_model: Path) -> ModelSession:
    return session_of(built_model)


def ruler(session: ModelSession, request: PromptRequest, size: int, *, slides: bool = False) -> ContextRuler:
    window = ContextWindow(size=size, when_full=WhenFull.SLIDE if slides else WhenFull.STOP)
    prompt = request.encoded(session.tokenizer, session.template)
    kept = request.system_tokens(session.tokenizer, session.template) if slides else 0
    return ruler_of(prompt, window, size, kept)


def test_the_sources_share_the_prompt_among_them(session: ModelSession) -> None:
    found = ruler(session, CHAT, 8192)
    prompt = CHAT.encoded(session.tokenizer, session.template)
    shares = {(share.role, share.earlier): share.tokens for share in found.shares}
    assert sum(shares.values()) == found.used == len(prompt.ids)
    assert shares["user", True] + shares["assistant", True] == prompt.history_tokens
    assert shares["facts", False] == prompt.facts_tokens
    assert found.room == 8192 - found.used
    assert found.over == 0


def test_without_its_history_a_chat_has_none_on_the_ruler(session: ModelSession) -> None:
    found = ruler(session, PromptRequest(text="Hi", chat=True, history=CHAT.history, with_history=False), 8192)
    assert not any(share.earlier for share in found.shares)


def test_what_does_not_fit_is_counted(session: ModelSession) -> None:
    found = ruler(session, CHAT, 20)
    assert found.over == found.used - 20 > 0
    assert found.room == 0


def test_the_oldest_quarter_after_the_system_message_leaves_first(session: ModelSession) -> None:
    kept = CHAT.system_tokens(session.tokenizer, session.template)
    assert kept > 0
    assert ruler(session, CHAT, 128, slides=True).leaves_first == range(kept, kept + 32)
    assert ruler(session, CHAT, 128).leaves_first is None
    assert ruler(session, CHAT, 20, slides=True).leaves_first == range(0)
