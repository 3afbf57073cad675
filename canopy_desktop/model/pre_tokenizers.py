"""How text is cut before byte-level BPE, as llama.cpp does it (src/llama-vocab.cpp, `llm_tokenizer_bpe`).

Which characters are letters, numbers and punctuation is said explicitly, so that no text differs, whatever Unicode
version the `tokenizers` package brings: llama.cpp's tables are those of Unicode 15.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Letters and numbers of Unicode 16 and 17, which llama.cpp takes for other characters.
_NEWER_LETTERS = (
    "1C89-1C8A A7CB-A7CD A7DA-A7DC 105C0-105F3 10D4A-10D65 10D6F-10D85 10EC2-10EC4 11380-11389 1138B 1138E "
    "11390-113B5 113B7 113D1 113D3 11BC0-11BE0 13460-143FA 16100-1611D 16D40-16D6C 18CFF 1E5D0-1E5ED 1E5F0"
)
_NEWER_NUMBERS = (
    "10D40-10D49 116D0-116E3 11BF0-11BF9 11DE0-11DE9 16130-16139 16D70-16D79 16FF4-16FF6 1CCF0-1CCF9 1E5F1-1E5FA"
)


def _ranges(text: str) -> str:
    """Code points as a character class of Oniguruma: "41-43 61" becomes `\\x{41}-\\x{43}\\x{61}`."""
    return "".join("-".join(rf"\x{{{end}}}" for end in item.split("-")) for item in text.split())


_L = rf"[\p{{L}}&&[^{_ranges(_NEWER_LETTERS)}]]"
_N = rf"[\p{{N}}&&[^{_ranges(_NEWER_NUMBERS)}]]"
_GPT2 = rf"'s|'t|'re|'ve|'m|'ll|'d| ?{_L}+| ?{_N}+| ?[^\s{_L}{_N}]+|\s+(?!\S)|\s+"
_CONTRACTIONS = r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]"
_REST = r"\s*[\r\n]+|\s+(?!\S)|\s+"


DIGITS, WORDS, BYTES = "Digits", "ByteLevel with a pattern", "ByteLevel"  # steps without a pattern that a file says


def _published_gpt(digits: str) -> str:
    """The newer pattern as checkpoints have it, with classes of whatever Unicode the `tokenizers` package brings."""
    words = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
    return rf"{words}|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def _newer_gpt(digits: str) -> str:
    """The pattern that OpenAI's cl100k began, with so many digits in a piece."""
    words = rf"[^\r\n{_L}{_N}]?{_L}+"
    return rf"{_CONTRACTIONS}|{words}|{digits}| ?[^\s{_L}{_N}]+[\r\n]*|{_REST}"


def _tekken() -> str:
    upper, lower = rf"[{_L}&&[^a-z]]", rf"[{_L}&&[^A-Z]]"
    before = rf"[^\r\n{_L}{_N}]?"
    words = rf"{before}{upper}*{lower}+|{before}{upper}+{lower}*"
    return rf"{words}|{_N}| ?[^\s{_L}{_N}]+[\r\n/]*|{_REST}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreTokenizer:
    """One way to cut, and what goes with it."""

    names: tuple[str, ...]  # values of `tokenizer.ggml.pre`
    patterns: tuple[str, ...]  # one after another on what is left whole; what lies between matches is a piece too
    whole_words: bool = False  # a piece that is a token is one, whatever the merges say
    begins: bool = False  # every text begins with the begin token, unless the file says otherwise
    published: tuple[str, ...] = ()  # how a checkpoint's tokenizer.json cuts the same way, step by step


PRE_TOKENIZERS = (
    PreTokenizer(names=("smollm", "starcoder", "refact", "command-r"), patterns=(_N, _GPT2), published=(DIGITS, WORDS)),
    PreTokenizer(
        names=("llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral"),
        patterns=(_newer_gpt(rf"{_N}{{1,3}}"),),
        whole_words=True,
        begins=True,
        published=(_published_gpt(r"\p{N}{1,3}"), BYTES),
    ),
    PreTokenizer(
        names=("qwen2", "deepseek-r1-qwen", "stablelm2"),
        patterns=(_newer_gpt(_N),),
        published=(_published_gpt(r"\p{N}"), BYTES),
    ),
    PreTokenizer(
        names=("dbrx", "smaug-bpe"),
        patterns=(_newer_gpt(rf"{_N}{{1,3}}"),),
        published=(_published_gpt(r"\p{N}{1,3}"), BYTES),
    ),
    PreTokenizer(names=("gpt-2", "phi-2", "mpt", "olmo"), patterns=(_GPT2,), published=(WORDS,)),
    PreTokenizer(names=("tekken",), patterns=(_tekken(),), whole_words=True, begins=True),
    PreTokenizer(names=("default",), patterns=(r"[\p{P}\$\+<=>\^~\|]+", _GPT2, rf"{_N}+", r"[0-9][0-9][0-9]")),
)


def find_pre_tokenizer(name: str) -> PreTokenizer | None:
    """The one that a file calls so."""
    return next((known for known in PRE_TOKENIZERS if name in known.names), None)


def find_published(steps: Sequence[str], *, whole_words: bool) -> PreTokenizer | None:
    """The one that cuts as these steps of a checkpoint's tokenizer.json do."""
    wanted = (tuple(steps), whole_words)
    return next((pre for pre in PRE_TOKENIZERS if pre.published and (pre.published, pre.whole_words) == wanted), None)
