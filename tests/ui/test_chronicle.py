"""The window's own copy of an exploration."""

from __future__ import annotations

from canopy_desktop.exploration.records import PrefillProgress, PromptAccepted
from canopy_desktop.exploration.view import Selection
from canopy_desktop.model.chat import encode_completion
from canopy_ui.chronicle import Chronicle
from canopy_ui.reader import AttentionRequest
from tests.support.scripted import byte_tokenizer


def prefilling(done: int, total: int) -> Chronicle:
    """A prompt of `total` tokens, `done` of them read, and no step taken."""
    tokenizer, chronicle = byte_tokenizer(), Chronicle()
    prompt = encode_completion(tokenizer, "x" * total)
    chronicle.begin(PromptAccepted(run_id=1, prompt=prompt, context=300), tokenizer)
    chronicle.note_progress(PrefillProgress(run_id=1, done=done, total=total, ms=1.0, slots=tuple(range(done))))
    return chronicle


def test_the_progress_of_a_prefill_is_known_before_the_first_step() -> None:
    chronicle = prefilling(20, 50)
    assert (chronicle.processed, chronicle.prompt_tokens, chronicle.generated) == (20, 50, 0)
    assert chronicle.metrics(0).context_used == 20


def test_what_was_read_of_a_prompt_can_be_looked_at_before_the_first_step() -> None:
    wishes = prefilling(20, 50).wishes(Selection(), 0.0, busy=True)
    assert [wish.slots.size for wish in wishes if isinstance(wish, AttentionRequest)] == [20]
