"""Ask transformers' processors, in double precision, what settings make of logits: of random ones, and the model's own.

Presence and frequency penalties, which transformers lacks, follow vLLM's `apply_penalties`: after repetition, over
generated tokens alone, logits -= frequency · count, then logits -= presence · (count > 0).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from fixtures import PIPELINE_TOP, seeded_logits
from reduced import prompts
from source import HF_FOLDER, made_with, write_json, write_npz
from transformers import AutoModelForCausalLM
from transformers.generation import logits_process as processors

SEED = 20260
RANDOM_CASES = 240
REAL_CASES = 24
REAL_PROMPTS = ("student", "digits", "chat")
SIZES = (1, 2, 3, 5, 10, 50, 200, 1000, 2000)
NEXT_TO = 1e-9  # a case counts only if this relative change of a cut keeps the same tokens

Settings = dict[str, object]
Process = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Case:
    """What is put to the processors."""

    logits: np.ndarray  # (vocabulary,) float32
    prompt: list[int]
    generated: list[int]
    end_ids: list[int]
    settings: Settings


def penalties(case: Case) -> Process:
    """Repetition as in transformers, frequency and presence as in vLLM."""
    generated = torch.tensor(case.generated, dtype=torch.int64)

    def process(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if "repetition_penalty" in case.settings:
            scores = processors.RepetitionPenaltyLogitsProcessor(float(case.settings["repetition_penalty"]))(
                ids, scores
            )
        counts = torch.bincount(generated, minlength=scores.shape[-1])[None].to(scores.dtype)
        scores = scores - case.settings.get("frequency_penalty", 0.0) * counts
        return scores - case.settings.get("presence_penalty", 0.0) * (counts > 0).to(scores.dtype)

    return process


def bias(case: Case) -> Process:
    """Boosts, then bans."""

    def process(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if boosts := case.settings.get("logit_bias"):
            sequences = {(int(token_id),): boost for token_id, boost in boosts.items()}
            scores = processors.SequenceBiasLogitsProcessor(sequences)(ids, scores)
        if banned := case.settings.get("banned_tokens"):
            scores = processors.SuppressTokensLogitsProcessor(banned)(ids, scores)
        return scores

    return process


def unchanged(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """No processor."""
    return scores


def stages(case: Case, nudge: float = 0.0) -> list[Process]:
    """One process for each of `fixtures.PIPELINE_STAGES`; cuts are moved by the relative `nudge`."""
    settings = case.settings
    warped = float(settings.get("temperature", 0.0)) > 0
    found = [unchanged, penalties(case), bias(case)]
    least = int(settings.get("min_tokens", 0))
    found.append(
        processors.MinNewTokensLengthLogitsProcessor(len(case.prompt), least, case.end_ids)
        if least and case.end_ids
        else unchanged
    )
    found.append(processors.TemperatureLogitsWarper(float(settings["temperature"])) if warped else unchanged)
    found.append(processors.TopKLogitsWarper(settings["top_k"]) if warped and "top_k" in settings else unchanged)
    for name, warper in (
        ("top_p", processors.TopPLogitsWarper),
        ("min_p", processors.MinPLogitsWarper),
        ("typical_p", processors.TypicalLogitsWarper),
    ):
        found.append(warper(settings[name] * (1 + nudge)) if warped and name in settings else unchanged)
    return found


def run(case: Case, nudge: float = 0.0) -> list[torch.Tensor]:
    """(vocabulary,) scores after each stage."""
    ids = torch.tensor([case.prompt + case.generated], dtype=torch.int64)
    scores = torch.from_numpy(case.logits.astype(np.float64))[None]
    found = []
    for process in stages(case, nudge):
        scores = process(ids, scores)
        found.append(scores[0])
    return found


def decided(case: Case) -> bool:
    """Whether something is left, and neither equal scores nor the last digits of a sum decide what is cut."""
    after = run(case)
    alive = [torch.isfinite(scores) for scores in after]
    if not alive[-1].any():
        return False
    for nudge in (-NEXT_TO, NEXT_TO):
        if not torch.equal(torch.isfinite(run(case, nudge)[-1]), alive[-1]):
            return False
    for place in (5, 6, 7):
        cut = alive[place - 1] & ~alive[place]
        if torch.isin(after[place - 1][cut], after[place - 1][alive[place]]).any():
            return False
    if "top_k" in case.settings and alive[5].sum() > max(1, int(case.settings["top_k"])):
        return False
    typical = after[8][alive[8]]
    return "typical_p" not in case.settings or typical.unique().numel() == typical.numel()


def random_settings(rng: np.random.Generator, size: int, end_ids: list[int]) -> Settings:
    """Each setting in about every second case; numbers that float32 holds exactly where a processor rounds to it."""
    maybe: dict[str, Callable[[], object]] = {
        "repetition_penalty": lambda: round(float(rng.uniform(0.5, 2.5)), 3),
        "presence_penalty": lambda: round(float(rng.uniform(-2, 2)), 3),
        "frequency_penalty": lambda: round(float(rng.uniform(-1, 1)), 3),
        "logit_bias": lambda: {str(i): int(rng.integers(-32, 33)) / 8 for i in sorted(some(rng, size, 5))},
        "min_tokens": lambda: int(rng.integers(1, 21)),
        "top_k": lambda: int(rng.integers(1, max(2, size))),
        "top_p": lambda: round(float(rng.uniform(0.05, 0.999)), 3),
        "min_p": lambda: round(float(rng.uniform(0.001, 0.5)), 4),
        "typical_p": lambda: round(float(rng.uniform(0.05, 0.999)), 3),
    }
    settings: Settings = {name: value() for name, value in maybe.items() if rng.random() < 0.45}
    if rng.random() < 0.4:
        biased = {int(i) for i in settings.get("logit_bias", {})}
        settings["banned_tokens"] = sorted(some(rng, size, 4) - biased)
    greedy = rng.random() < 0.08
    settings["temperature"] = 0.0 if greedy else round(float(rng.uniform(0.05, 3)), 3)
    return settings


def some(rng: np.random.Generator, size: int, most: int) -> set[int]:
    """Up to `most` ids."""
    return set(rng.integers(0, size, int(rng.integers(1, most + 1))).tolist())


def random_case(rng: np.random.Generator, logits: np.ndarray) -> Case:
    """Random history and settings, redrawn until the case is decided."""
    size = logits.size
    while True:
        pool = rng.integers(0, size, 12)
        prompt, generated = (rng.choice(pool, int(rng.integers(0, 25))).tolist() for _ in range(2))
        end_ids = sorted(some(rng, size, 2)) if rng.random() < 0.7 else []
        case = Case(logits, prompt, generated, end_ids, random_settings(rng, size, end_ids))
        if decided(case):
            return case


@dataclass(frozen=True)
class Answer:
    """What is left of a case."""

    row: dict[str, object]  # the case, how many tokens each stage left, and Σ p²
    kept: np.ndarray  # bits of (vocabulary,)
    ids: np.ndarray  # the PIPELINE_TOP likeliest, likeliest first
    probabilities: np.ndarray  # theirs


def answer(source: dict[str, object], case: Case) -> Answer:
    """Ask the processors."""
    after = run(case)
    probabilities = after[-1].softmax(dim=-1).numpy()
    alive = torch.isfinite(after[-1]).numpy()
    ids = np.argsort(-probabilities, kind="stable")[: min(PIPELINE_TOP, int(alive.sum()))]
    row = source | {
        "prompt": case.prompt,
        "generated": case.generated,
        "end_ids": case.end_ids,
        "settings": case.settings,
        "kept": [int(torch.isfinite(scores).sum()) for scores in after],
        "sum_of_squares": float((probabilities**2).sum()),
    }
    return Answer(row, np.packbits(alive), ids.astype(np.uint16), probabilities[ids])


def real_logits() -> dict[str, np.ndarray]:
    """(vocabulary,) float32 of the last position of some prompts."""
    model = AutoModelForCausalLM.from_pretrained(HF_FOLDER, dtype=torch.float32, attn_implementation="eager").eval()
    texts = prompts()
    return {
        name: model(torch.tensor([texts[name].ids]), use_cache=False).logits[0, -1].numpy() for name in REAL_PROMPTS
    }


def main() -> None:
    """Make pipeline.json and pipeline.npz."""
    torch.set_num_threads(2)
    torch.set_grad_enabled(False)
    rng = np.random.default_rng(SEED)
    answers = []
    for number in range(RANDOM_CASES):
        source = {
            "seed": number,
            "size": SIZES[number % len(SIZES)],
            "scale": int(2 ** rng.integers(0, 5)),
            "impossible": bool(rng.random() < 0.25),
        }
        answers.append(answer(source, random_case(rng, seeded_logits(**source))))
    logits = real_logits()
    for number in range(REAL_CASES):
        name = REAL_PROMPTS[number % len(REAL_PROMPTS)]
        answers.append(answer({"real": name}, random_case(rng, logits[name])))
    programs = made_with("transformers", "torch", "numpy")
    rows = [found.row for found in answers]
    write_json("pipeline.json", {"made_with": programs, "generator": "numpy.random.PCG64"}, "cases", rows)
    arrays = {f"logits_{name}": row for name, row in logits.items()}
    for name in ("kept", "ids", "probabilities"):
        arrays[name] = np.concatenate([getattr(found, name) for found in answers])
    write_npz("pipeline.npz", programs, **arrays)


if __name__ == "__main__":
    main()
