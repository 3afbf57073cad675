"""Ask transformers (fp32, CPU) for beam searches, and its own scorer and penalty for diverse ones."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from reduced import prompts
from source import HF_FOLDER, made_with, write_json
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.generation.beam_search import BeamSearchScorer
from transformers.generation.logits_process import HammingDiversityLogitsProcessor

END = 2
PAD = 0  # of groups that are done; were it the end token, those that go on would be penalised for ending
MARGIN = 1e-3  # a search that rounding could turn another way is left out
PROSE_TOKENS = 40
QUESTIONS = {
    "capital": "What is the capital of France? Answer in one word.",
    "yes": "Is water wet? Answer with yes or no.",
    "greeting": "Say hello.",
    "thanks": "Thank you!",
    "colour": "Name a colour.",
}
PENALTIES = ({"repetition_penalty": 1.3}, {"min_new_tokens": 8}, {"suppress_tokens": [28, 253, 504, 7042]})
SETTINGS: tuple[dict[str, Any], ...] = (
    {"num_beams": 2, "max_new_tokens": 16},
    {"num_beams": 4, "max_new_tokens": 16},
    {"num_beams": 10, "max_new_tokens": 10, "length_penalty": -0.5},
    {"num_beams": 5, "max_new_tokens": 16, "length_penalty": 2.0},
    {"num_beams": 3, "max_new_tokens": 20, "length_penalty": 0.5, "early_stopping": True},
    {"num_beams": 4, "max_new_tokens": 16, "length_penalty": 0.0, "early_stopping": "never"},
    {"num_beams": 4, "max_new_tokens": 20, "early_stopping": "never"},
    *({"num_beams": 4, "max_new_tokens": 12, **penalty} for penalty in PENALTIES),
)
DIVERSE: tuple[dict[str, Any], ...] = (
    {"num_beams": 4, "max_new_tokens": 10, "num_beam_groups": 2, "diversity_penalty": 0.5},
    {"num_beams": 3, "max_new_tokens": 10, "num_beam_groups": 3, "diversity_penalty": 1.5, "early_stopping": True},
)
EVERY = 3  # settings that each prompt is searched with, the next ones for each prompt


class Reference:
    """The model, and how narrowly its last search was decided."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        torch.set_grad_enabled(False)
        self.model = AutoModelForCausalLM.from_pretrained(HF_FOLDER, dtype=torch.float32, attn_implementation="eager")
        self.model.eval()
        self.margin = 0.0
        self.model._get_running_beams_for_next_iteration = self._watched(
            self.model._get_running_beams_for_next_iteration
        )

    def search(self, ids: list[int], settings: dict[str, Any]) -> list[dict[str, Any]]:
        """All beams that `generate` returns, best first."""
        self.margin = float("inf")
        found = self.model.generate(
            torch.tensor([ids]),
            generation_config=GenerationConfig(
                **settings,
                num_return_sequences=settings["num_beams"],
                eos_token_id=END,
                pad_token_id=END,
                return_dict_in_generate=True,
                output_scores=True,
            ),
        )
        lengths = (found.beam_indices >= 0).sum(dim=1).tolist()
        rows = [
            row[len(ids) : len(ids) + length].tolist() for row, length in zip(found.sequences, lengths, strict=True)
        ]
        return self._sequences(rows, found.sequences_scores.tolist())

    def diverse(self, ids: list[int], settings: dict[str, Any]) -> list[dict[str, Any]]:
        """The loop that transformers' `group_beam_search` was, on the two parts of it that are still there."""
        self.margin = float("inf")
        beams, groups, limit = settings["num_beams"], settings["num_beam_groups"], settings["max_new_tokens"]
        size = beams // groups
        scorer = BeamSearchScorer(
            1,
            beams,
            torch.device("cpu"),
            do_early_stopping=settings.get("early_stopping", False),
            num_beam_hyps_to_keep=beams,
            num_beam_groups=groups,
            max_length=len(ids) + limit,
        )
        penalise = HammingDiversityLogitsProcessor(settings["diversity_penalty"], beams, groups)
        texts = torch.tensor([ids] * beams)
        sums = torch.full((beams,), -1e9)
        sums[::size] = 0.0
        for _ in range(limit):
            logprobs = torch.log_softmax(self.model(texts, use_cache=False, logits_to_keep=1).logits[:, -1], dim=-1)
            taken = torch.zeros(beams, dtype=torch.long)
            for group in range(groups):
                part = slice(group * size, (group + 1) * size)
                scores = penalise(texts[part], logprobs[part], current_tokens=taken, beam_group_idx=group)
                best, places = torch.topk((scores + sums[part, None]).view(1, -1), 2 * size)
                rows, tokens = places // logprobs.shape[1], places % logprobs.shape[1]
                self._note(best[0], tokens[0] == END, size)
                chosen = scorer.process(
                    texts[part], best, tokens, rows, PAD, END, group_index=group, decoder_prompt_len=len(ids)
                )
                sums[part], taken[part] = chosen["next_beam_scores"], chosen["next_beam_tokens"]
                texts[part] = texts[part][chosen["next_beam_indices"]]
            texts = torch.cat([texts, taken[:, None]], dim=1)
            if scorer.is_done:
                break
        final = scorer.finalize(
            texts, sums, tokens, rows, len(ids) + limit, pad_token_id=PAD, eos_token_id=END, decoder_prompt_len=len(ids)
        )
        written = [row[len(ids) :].tolist() for row in final["sequences"]]
        ended = [row[: row.index(END) + 1] if END in row else row for row in written]
        return self._sequences(ended, final["sequence_scores"].tolist())

    def _sequences(self, rows: list[list[int]], scores: list[float]) -> list[dict[str, Any]]:
        self.margin = min([self.margin, *(one - other for one, other in pairwise(scores))])
        return [{"ids": row, "score": score} for row, score in zip(rows, scores, strict=True)]

    def _watched(self, choose: Callable[..., Any]) -> Callable[..., Any]:
        def run(**given: Any) -> Any:
            hits = given["next_token_hits_stopping_criteria"][0]
            self._note(given["topk_log_probs"][0], hits & ~hits.all(), given["num_beams"])
            return choose(**given)

        return run

    def _note(self, best: torch.Tensor, ends: torch.Tensor, beams: int) -> None:
        """How near the last beam that goes on, or ends, is to the first that does not; `best` is sorted."""
        going = best[~ends]
        self.margin = min(self.margin, float(going[beams - 1] - going[beams]) if len(going) > beams else float("inf"))
        if ends.any():
            self.margin = min(self.margin, float(best[beams - 1] - best[beams]))


def texts() -> dict[str, list[int]]:
    """Ids of every prompt: those of the other fixtures, and questions with short answers."""
    tokenizer = AutoTokenizer.from_pretrained(HF_FOLDER)
    found = {name: prompt.ids[:PROSE_TOKENS] for name, prompt in prompts().items()}
    for name, question in QUESTIONS.items():
        chat = [{"role": "user", "content": question}]
        found[name] = tokenizer.apply_chat_template(chat, add_generation_prompt=True)
    return found


def main() -> None:
    """Make beams.json."""
    reference = Reference()
    rows: list[dict[str, Any]] = []
    for number, (name, ids) in enumerate(texts().items()):
        usual = [SETTINGS[(number * EVERY + turn) % len(SETTINGS)] for turn in range(EVERY)]
        for settings in (*usual, DIVERSE[number % len(DIVERSE)]):
            search = reference.diverse if "num_beam_groups" in settings else reference.search
            sequences = search(ids, settings)
            if reference.margin >= MARGIN:
                rows.append({"prompt": name, "ids": ids, "settings": settings, "sequences": sequences})
    head = {"made_with": made_with("transformers", "torch"), "end_id": END}
    write_json("beams.json", head, "searches", rows)


if __name__ == "__main__":
    main()
