"""Reads what the reference programs said, as frozen records with read-only arrays. Needs numpy only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DATA = Path(__file__).resolve().parent / "data"

SHORT_PROMPTS = ("france", "student", "digits", "single", "chat")
PROMPTS = (*SHORT_PROMPTS, "prose")

TINY_MODELS = (
    "llama", "llama-factors", "llama-linear", "llama-pieces", "qwen2", "qwen3", "qwen3-untied",
    "gemma3", "gemma3-linear", "gemma3-wide", "gpt2", "gpt2-untied",
)  # fmt: skip
GIVEN_MODELS = ("gpt_neox", "opt")
PIECES_TAIL = "</s> <start_of_turn>a<b>b  <0x41>"  # at the end of all texts for pieces

PIPELINE_STAGES = ("raw", "penalties", "bias", "min_tokens", "temperature", "top_k", "top_p", "min_p", "typical_p")
PIPELINE_TOP = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizedText:
    """A text and llama.cpp's tokens of it, no BOS added."""

    group: str
    text: str
    plain: tuple[int, ...]  # the text of special tokens is text
    special: tuple[int, ...]  # the text of special tokens becomes those tokens
    lost: tuple[tuple[int, int], ...]  # (offset, byte) in the text's UTF-8: bytes without a token


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatText:
    """A conversation, rendered by transformers from the GGUF's own template."""

    name: str
    messages: tuple[tuple[str, str], ...]  # (role, content)
    add_generation_prompt: bool
    text: str
    ids: tuple[int, ...]  # llama.cpp's; only the template's own special tokens are special


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReducedLogits:
    """What was kept of (position, vocabulary) logits."""

    log_sum_exp: NDArray[np.float64]  # (position,)
    top_ids: NDArray[np.int32]  # (position, 64), highest first
    top_logits: NDArray[np.float32]  # (position, 64)
    probe_ids: NDArray[np.int32]  # (64,), the same random ids everywhere
    probe_logits: NDArray[np.float32]  # (position, 64)

    def __len__(self) -> int:
        return len(self.log_sum_exp)

    def __getitem__(self, positions: slice) -> ReducedLogits:
        """The same for some of the positions."""
        return ReducedLogits(
            log_sum_exp=self.log_sum_exp[positions],
            top_ids=self.top_ids[positions],
            top_logits=self.top_logits[positions],
            probe_ids=self.probe_ids,
            probe_logits=self.probe_logits[positions],
        )

    def greatest_difference(self, logits: NDArray[np.float32]) -> float:
        """The largest |Δ| of (position, vocabulary) logits from the kept ones and their log-sum-exp."""
        if len(logits) != len(self):
            raise ValueError(f"{len(logits)} rows of logits, {len(self)} positions kept")
        wide = logits.astype(np.float64)
        highest = wide.max(axis=1)
        log_sum_exp = np.log(np.exp(wide - highest[:, None]).sum(axis=1)) + highest
        differences = (
            np.take_along_axis(wide, self.top_ids.astype(np.int64), axis=1) - self.top_logits,
            wide[:, self.probe_ids] - self.probe_logits,
            log_sum_exp - self.log_sum_exp,
        )
        return max(float(np.abs(difference).max()) for difference in differences)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Continuation:
    """24 greedy tokens, found without a cache; generation does not stop at an end token."""

    ids: tuple[int, ...]
    margins: NDArray[np.float32]  # (step,) best logit minus second best

    def surely(self, tolerance: float) -> tuple[int, ...]:
        """The first tokens, as far as logits off by up to `tolerance` cannot change the choice."""
        close = np.flatnonzero(self.margins <= 2 * tolerance)
        return self.ids[: int(close[0])] if close.size else self.ids


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PromptLogits:
    """Logits at every position of one prompt, and for short ones how it goes on."""

    text: str  # for "chat" the rendered conversation
    ids: tuple[int, ...]
    logits: ReducedLogits
    greedy: Continuation | None  # None for the prose


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepwiseLogits:
    """Logits of a sequence that was fed in one pass up to `prefill`, then one token at a time through a cache."""

    ids: tuple[int, ...]
    prefill: int
    logits: ReducedLogits  # for every position of ids


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attentions:
    """All heads of one prompt."""

    ids: tuple[int, ...]
    weights: NDArray[np.float32]  # (layer, head, query, key), 0 above the diagonal


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttentionRow:
    """What one query of one head looks at."""

    layer: int
    head: int
    query: int
    weights: NDArray[np.float32]  # (query + 1,)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Residuals:
    """The residual stream of one prompt."""

    ids: tuple[int, ...]
    stream: NDArray[np.float32]  # (61, position, hidden): embedding; 2l+1 after attention, 2l+2 after feed-forward of l
    normed: NDArray[np.float32]  # (position, hidden): the last of the stream after the final norm


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lens:
    """Final norm and output matrix applied to the last position: the embedding, then after each block."""

    ids: tuple[int, ...]
    top_ids: NDArray[np.int32]  # (31, 5), likeliest first
    top_logprobs: NDArray[np.float32]  # (31, 5)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """How one prompt's tokens were met. All arrays are (ids - 1,): the first token has nothing before it."""

    ids: tuple[int, ...]
    logprobs: NDArray[np.float64]  # natural logarithms
    ranks: NDArray[np.int32]  # from 1
    entropy_bits: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChiSquareValue:
    """How often χ² with these degrees of freedom is as large as the statistic."""

    statistic: float
    degrees_of_freedom: int
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PipelineCase:
    """What transformers' processors made of logits, in double precision."""

    logits: NDArray[np.float32]  # (vocabulary,)
    prompt: tuple[int, ...]
    generated: tuple[int, ...]
    end_ids: tuple[int, ...]
    settings: dict[str, Any]  # as JSON
    counts: tuple[int, ...]  # tokens left after each of PIPELINE_STAGES
    kept: NDArray[np.bool_]  # (vocabulary,) after all of them
    ids: NDArray[np.uint16]  # the PIPELINE_TOP likeliest of those, likeliest first
    probabilities: NDArray[np.float64]  # of `ids`
    sum_of_squares: float  # of all probabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class BeamText:
    """One text that a beam search returned."""

    ids: tuple[int, ...]  # generated, with the end token
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BeamSearch:
    """What transformers finds with beams; no choice in it was closer than 0.001."""

    name: str
    ids: tuple[int, ...]
    end_id: int
    settings: dict[str, Any]  # by transformers' names
    sequences: tuple[BeamText, ...]  # best first


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TinyModel:
    """A random model of one family, and what transformers computes with it."""

    gguf: Path
    ids: tuple[int, ...]
    logits: NDArray[np.float32]  # (position, vocabulary)
    attention: NDArray[np.float32]  # (layer, head, query, key)
    residuals: NDArray[np.float32]  # (layer + 1, position, hidden): the embedding, then after each block


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GivenModel:
    """A random model of a kind that is not in the table, as optimum exports it, and what transformers computes."""

    graph: Path  # gzipped
    config: Path
    ids: tuple[int, ...]
    logits: NDArray[np.float32]  # (position, vocabulary)
    attention: NDArray[np.float32]  # (layer, head, query, key)
    residuals: NDArray[np.float32]  # (layer + 1, position, hidden): the embedding, then after each block
    greedy: tuple[int, ...]  # what follows the ids, each by a margin of 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class CutTexts:
    """Texts and llama.cpp's tokens of them with the tiny models' vocabulary and one way of cutting."""

    names: tuple[str, ...]  # of the way
    texts: tuple[str, ...]
    ids: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GemmaLogits:
    """Some of transformers' fp32 logits of Gemma 3 270M for a text longer than its window."""

    ids: tuple[int, ...]
    positions: range
    log_sum_exp: NDArray[np.float64]  # (position,)
    top_ids: NDArray[np.int32]  # (position, 256), highest first
    top_logits: NDArray[np.float32]  # (position, 256)


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceTexts:
    """Texts and llama.cpp's tokens of them with the tiny models' sentencepiece vocabulary."""

    space_prefix: bool
    special: bool  # the text of special tokens becomes those tokens
    texts: tuple[str, ...]
    ids: tuple[tuple[int, ...], ...]


def tokenized_texts() -> tuple[TokenizedText, ...]:
    """The hand-picked texts."""
    return tuple(
        TokenizedText(
            group=row["group"],
            text=row["text"],
            plain=tuple(row["plain"]),
            special=tuple(row["special"]),
            lost=tuple((offset, byte) for offset, byte in row["lost"]),
        )
        for row in _json("tokenization.json")["texts"]
    )


def random_texts() -> tuple[TokenizedText, ...]:
    """10,000 strings of code points from all of Unicode; group "random"."""
    arrays = _arrays("tokenization_random.npz")
    without_token = bytes_without_token()
    characters = "".join(map(chr, arrays["code_points"].tolist()))
    ids = arrays["ids"].tolist()
    text_ends = np.cumsum(arrays["text_lengths"], dtype=np.int64).tolist()
    id_ends = np.cumsum(arrays["id_counts"], dtype=np.int64).tolist()
    texts = []
    for start, stop, first, last in zip([0, *text_ends], text_ends, [0, *id_ends], id_ends, strict=False):
        text, plain = characters[start:stop], tuple(ids[first:last])
        lost = tuple((offset, byte) for offset, byte in enumerate(text.encode()) if byte in without_token)
        texts.append(TokenizedText(group="random", text=text, plain=plain, special=plain, lost=lost))
    return tuple(texts)


def bytes_without_token() -> frozenset[int]:
    """The 21 byte values for which the vocabulary has no token."""
    return frozenset(_json("tokenization.json")["bytes_without_token"])


def special_tokens() -> dict[int, str]:
    """Each special token's id and text."""
    return {int(i): text for i, text in _json("tokenization.json")["special_tokens"].items()}


def chat_template() -> str:
    """The GGUF's chat template."""
    return str(_json("chat.json")["template"])


def chat_texts() -> tuple[ChatText, ...]:
    """Every conversation, each with and without the generation prompt."""
    return tuple(
        ChatText(
            name=row["name"],
            messages=tuple((message["role"], message["content"]) for message in row["messages"]),
            add_generation_prompt=row["add_generation_prompt"],
            text=row["text"],
            ids=tuple(row["ids"]),
        )
        for row in _json("chat.json")["conversations"]
    )


def prompt_logits(name: str) -> PromptLogits:
    """transformers' logits for one of PROMPTS."""
    arrays = _arrays(f"logits_{name}.npz")
    greedy = None
    if "greedy_ids" in arrays:
        greedy = Continuation(ids=_ids(arrays["greedy_ids"]), margins=arrays["greedy_margins"])
    return PromptLogits(text=str(arrays["text"]), ids=_ids(arrays["ids"]), logits=_reduced(arrays), greedy=greedy)


def cached_logits() -> StepwiseLogits:
    """transformers with its cache: the first 40 tokens of the prose."""
    return _stepwise("cached_prose.npz")


def onnx_logits() -> StepwiseLogits:
    """optimum's export with its own past: "student" and 8 greedy tokens."""
    return _stepwise("onnx_student.npz")


def attentions() -> Attentions:
    """transformers' attentions for "student"."""
    arrays = _arrays("attentions_student.npz")
    return Attentions(ids=_ids(arrays["ids"]), weights=arrays["weights"])


def prose_attention_rows() -> tuple[AttentionRow, ...]:
    """40 random rows of transformers' attentions for "prose"."""
    arrays = _arrays("attentions_prose.npz")
    return tuple(
        AttentionRow(layer=layer, head=head, query=query, weights=weights[: query + 1])
        for (layer, head, query), weights in zip(arrays["rows"].tolist(), arrays["weights"], strict=True)
    )


def residuals() -> Residuals:
    """transformers' residual stream for "france"."""
    arrays = _arrays("hidden_france.npz")
    return Residuals(ids=_ids(arrays["ids"]), stream=arrays["residuals"], normed=arrays["normed"])


def lens(name: str) -> Lens:
    """What each layer would say after one of SHORT_PROMPTS."""
    arrays = _arrays(f"lens_{name}.npz")
    return Lens(ids=_ids(arrays["ids"]), top_ids=arrays["top_ids"], top_logprobs=arrays["top_logprobs"])


def scores(name: str) -> Scores:
    """transformers' log-probabilities of the tokens of one of PROMPTS; "single" has none."""
    arrays = _arrays(f"scores_{name}.npz")
    return Scores(
        ids=_ids(arrays["ids"]),
        logprobs=arrays["logprobs"],
        ranks=arrays["ranks"],
        entropy_bits=arrays["entropy_bits"],
    )


def chi_square_values() -> tuple[ChiSquareValue, ...]:
    """mpmath's, computed with 50 digits."""
    return tuple(ChiSquareValue(**row) for row in _json("chi_square.json")["values"])


def seeded_logits(*, seed: int, size: int, scale: int, impossible: bool) -> NDArray[np.float32]:
    """(size,) logits, near to normally distributed with about this deviation; some minus infinity, if asked for.

    Made of PCG64's raw numbers with exact arithmetic alone, so that every numpy makes the same bits.
    """
    raw = np.random.PCG64(seed).random_raw((5, size)) >> np.uint64(40)  # 24 bits each
    total = raw[:4].astype(np.int64).sum(axis=0) - 2 * 2**24  # Irwin and Hall: its deviation is 2**24 / sqrt(3)
    logits = (total * (scale * 1.75 / 2**24)).astype(np.float32)
    if impossible:
        logits[1:][raw[4, 1:] < 2**24 // 8] = -np.inf
    return logits


def pipeline_cases() -> tuple[PipelineCase, ...]:
    """264 cases: 240 of random logits, 24 of the model's own."""
    arrays = _arrays("pipeline.npz")
    cases, bits, values = [], 0, 0
    for row in _json("pipeline.json")["cases"]:
        if "real" in row:
            logits = arrays[f"logits_{row['real']}"]
        else:
            logits = seeded_logits(**{name: row[name] for name in ("seed", "size", "scale", "impossible")})
        bytes_kept, count = (logits.size + 7) // 8, min(PIPELINE_TOP, row["kept"][-1])
        kept = np.unpackbits(arrays["kept"][bits : bits + bytes_kept], count=logits.size).astype(np.bool_)
        cases.append(
            PipelineCase(
                logits=logits,
                prompt=tuple(row["prompt"]),
                generated=tuple(row["generated"]),
                end_ids=tuple(row["end_ids"]),
                settings=row["settings"],
                counts=tuple(row["kept"]),
                kept=kept,
                ids=arrays["ids"][values : values + count],
                probabilities=arrays["probabilities"][values : values + count],
                sum_of_squares=row["sum_of_squares"],
            )
        )
        bits, values = bits + bytes_kept, values + count
    return tuple(cases)


def beam_searches() -> tuple[BeamSearch, ...]:
    """Several prompts, each with some settings; those with "num_beam_groups" are diverse."""
    found = _json("beams.json")
    return tuple(
        BeamSearch(
            name=f"{row['prompt']} {number}",
            ids=tuple(row["ids"]),
            end_id=found["end_id"],
            settings=row["settings"],
            sequences=tuple(BeamText(ids=tuple(one["ids"]), score=one["score"]) for one in row["sequences"]),
        )
        for number, row in enumerate(found["searches"])
    )


def tiny_model(name: str) -> TinyModel:
    """One of `TINY_MODELS`."""
    arrays = _arrays(f"tiny_{name}.npz")
    return TinyModel(
        gguf=DATA / f"tiny_{name}.gguf",
        ids=_ids(arrays["ids"]),
        logits=arrays["logits"],
        attention=arrays["attention"],
        residuals=arrays["residuals"],
    )


def given_model(name: str) -> GivenModel:
    """One of `GIVEN_MODELS`."""
    arrays = _arrays(f"given_{name}.npz")
    return GivenModel(
        graph=DATA / "given" / f"{name}.onnx.gz",
        config=DATA / "given" / f"{name}.json",
        ids=_ids(arrays["ids"]),
        logits=arrays["logits"],
        attention=arrays["attention"],
        residuals=arrays["residuals"],
        greedy=_ids(arrays["greedy"]),
    )


def cut_texts() -> tuple[CutTexts, ...]:
    """2,974 texts, for every way of cutting."""
    arrays = _arrays("tiny_tokens.npz")
    texts = _cut("".join(map(chr, arrays["code_points"].tolist())), arrays["text_lengths"])
    return tuple(
        CutTexts(
            names=tuple(key.split()[1:]),
            texts=texts,
            ids=_cut(tuple(ids.tolist()), arrays[key.replace("ids", "counts", 1)]),
        )
        for key, ids in arrays.items()
        if key.startswith("ids ")
    )


def piece_texts() -> tuple[PieceTexts, ...]:
    """The same texts, each with `PIECES_TAIL`, with and without a space before, special tokens or their text."""
    arrays = _arrays("tiny_tokens.npz")
    texts = _cut("".join(map(chr, arrays["code_points"].tolist())), arrays["text_lengths"])
    return tuple(
        PieceTexts(
            space_prefix="space" in key,
            special="special" in key,
            texts=tuple(text + PIECES_TAIL for text in texts),
            ids=_cut(tuple(ids.tolist()), arrays[key.replace("ids", "counts")]),
        )
        for key, ids in arrays.items()
        if key.startswith("pieces") and key.endswith("ids")
    )


def gemma_prompts() -> tuple[tuple[tuple[int, ...], Continuation], ...]:
    """20 prompts' ids, and how llama.cpp goes on with Gemma 3 270M: 32 greedy tokens of its own 4-bit file."""
    return tuple(
        (tuple(row["ids"]), Continuation(ids=tuple(row["greedy"]), margins=np.array(row["margins"], np.float32)))
        for row in _json("gemma3.json")["prompts"]
    )


def gemma_logits() -> GemmaLogits:
    """Every third position of some 1,100 tokens."""
    arrays = _arrays("gemma3.npz")
    ids = _ids(arrays["ids"])
    step = -(-len(ids) // len(arrays["log_sum_exp"]))
    return GemmaLogits(
        ids=ids,
        positions=range(0, len(ids), step),
        **{name: arrays[name] for name in ("log_sum_exp", "top_ids", "top_logits")},
    )


def gemma_texts() -> tuple[tuple[str, tuple[int, ...]], ...]:
    """1,700 texts and llama.cpp's tokens of them with Gemma 3's own vocabulary, no begin token."""
    arrays = _arrays("gemma3.npz")
    texts = _cut("".join(map(chr, arrays["code_points"].tolist())), arrays["text_lengths"])
    return tuple(zip(texts, _cut(tuple(arrays["token_ids"].tolist()), arrays["token_counts"]), strict=True))


def _cut(whole: Any, lengths: NDArray[Any]) -> tuple[Any, ...]:
    ends = np.cumsum(lengths, dtype=np.int64).tolist()
    return tuple(whole[start:stop] for start, stop in zip([0, *ends], ends, strict=False))


def _stepwise(name: str) -> StepwiseLogits:
    arrays = _arrays(name)
    return StepwiseLogits(ids=_ids(arrays["ids"]), prefill=int(arrays["prefill"]), logits=_reduced(arrays))


def _reduced(arrays: dict[str, NDArray[Any]]) -> ReducedLogits:
    names = ("log_sum_exp", "top_ids", "top_logits", "probe_ids", "probe_logits")
    return ReducedLogits(**{name: arrays[name] for name in names})


def _ids(array: NDArray[Any]) -> tuple[int, ...]:
    return tuple(int(i) for i in array)


@cache
def _json(name: str) -> dict[str, Any]:
    contents: dict[str, Any] = json.loads((DATA / name).read_text(encoding="ascii"))
    return contents


@cache
def _arrays(name: str) -> dict[str, NDArray[Any]]:
    with np.load(DATA / name, allow_pickle=False) as file:
        arrays = dict(file)
    for array in arrays.values():
        array.setflags(write=False)
    return arrays
