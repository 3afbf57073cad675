"""Ask transformers (fp32, CPU, eager attention) for logits, attentions, residuals, the lens and cached decoding."""

from __future__ import annotations

import numpy as np
import torch
from reduced import prompts, reduced
from source import HF_FOLDER, made_with, write_npz
from transformers import AutoModelForCausalLM
from transformers.cache_utils import DynamicCache

GREEDY_TOKENS = 24
SAMPLED_ROWS = 40
CACHED_TOKENS = 40
CACHED_PREFILL = 8
LENS_TOP = 5


class Reference:
    """The model, asked in ways that never depend on a cache unless they say so."""

    def __init__(self) -> None:
        torch.set_num_threads(2)
        torch.set_grad_enabled(False)
        self.model = AutoModelForCausalLM.from_pretrained(HF_FOLDER, dtype=torch.float32, attn_implementation="eager")
        self.model.eval()

    def logits(self, ids: list[int]) -> np.ndarray:
        """(position, vocabulary) logits of the whole sequence at once."""
        return self.model(torch.tensor([ids]), use_cache=False).logits[0].numpy()

    def scores(self, ids: list[int]) -> dict[str, np.ndarray]:
        """Log-probability and rank of each token after the first, and the entropy in bits that it was met with."""
        logprobs = torch.log_softmax(torch.from_numpy(self.logits(ids)[:-1]).double(), dim=-1)
        chosen = logprobs.gather(1, torch.tensor(ids[1:])[:, None])
        return {
            "logprobs": chosen[:, 0].numpy(),
            "ranks": (1 + (logprobs > chosen).sum(dim=-1)).to(torch.int32).numpy(),
            "entropy_bits": (torch.distributions.Categorical(logits=logprobs).entropy() / np.log(2)).numpy(),
        }

    def attentions(self, ids: list[int]) -> np.ndarray:
        """(layer, head, query, key) weights."""
        out = self.model(torch.tensor([ids]), use_cache=False, output_attentions=True)
        return torch.stack([a[0] for a in out.attentions]).numpy()

    def residuals(self, ids: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """(61, position, hidden) embedding and stream after each half block; (position, hidden) after the last norm."""
        seen: list[torch.Tensor] = []
        layers = self.model.model.layers
        norms = [n for layer in layers for n in (layer.input_layernorm, layer.post_attention_layernorm)]
        hooks = [
            norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0][0].clone()))
            for norm in [*norms, self.model.model.norm]
        ]
        out = self.model(torch.tensor([ids]), use_cache=False, output_hidden_states=True)
        for hook in hooks:
            hook.remove()
        stream = torch.stack(seen)
        if not all(torch.equal(stream[2 * i], state[0]) for i, state in enumerate(out.hidden_states[:-1])):
            raise AssertionError("transformers' hidden states are not the residual stream")
        return stream.numpy(), out.hidden_states[-1][0].numpy()

    def lens(self, ids: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """(31, 5) likeliest ids and log-probabilities at the last position, for the embedding and after each block."""
        stream = torch.from_numpy(self.residuals(ids)[0][::2, -1])
        logits = self.model.lm_head(self.model.model.norm(stream)).numpy()
        parts = reduced(logits)
        logprobs = parts["top_logits"] - parts["log_sum_exp"][:, None]
        return parts["top_ids"][:, :LENS_TOP], logprobs[:, :LENS_TOP].astype(np.float32)

    def greedy(self, ids: list[int], count: int) -> tuple[np.ndarray, np.ndarray]:
        """Likeliest continuation, end tokens included, and how far the best logit lay above the second."""
        text, margins = list(ids), []
        for _ in range(count):
            last = self.logits(text)[-1]
            second, best = np.sort(last)[-2:]
            margins.append(best - second)
            text.append(int(last.argmax()))
        return np.array(text[len(ids) :], np.int32), np.array(margins, np.float32)

    def cached_logits(self, ids: list[int], prefill: int) -> np.ndarray:
        """(position, vocabulary) logits: `prefill` tokens at once, then one at a time through the cache."""
        cache = DynamicCache(config=self.model.config)
        pieces = [ids[:prefill], *([i] for i in ids[prefill:])]
        rows = [self.model(torch.tensor([p]), past_key_values=cache, use_cache=True).logits[0].numpy() for p in pieces]
        return np.concatenate(rows)


def sampled_rows(length: int, layers: int, heads: int) -> np.ndarray:
    """(row, 3) random layer, head and query."""
    return np.random.default_rng(40).integers(0, (layers, heads, length), (SAMPLED_ROWS, 3)).astype(np.int32)


def main() -> None:
    """Make every logits, attentions, hidden, lens and cached fixture."""
    programs = made_with("transformers", "torch", "numpy")
    reference = Reference()
    texts = prompts()
    for name, prompt in texts.items():
        ids = prompt.ids
        arrays = {"text": np.array(prompt.text), "ids": np.array(ids, np.int32), **reduced(reference.logits(ids))}
        if name != "prose":
            arrays["greedy_ids"], arrays["greedy_margins"] = reference.greedy(ids, GREEDY_TOKENS)
            top_ids, logprobs = reference.lens(ids)
            write_npz(f"lens_{name}.npz", programs, ids=np.array(ids, np.int32), top_ids=top_ids, top_logprobs=logprobs)
        write_npz(f"logits_{name}.npz", programs, **arrays)
        if len(ids) > 1:
            write_npz(f"scores_{name}.npz", programs, ids=np.array(ids, np.int32), **reference.scores(ids))

    student, prose, france = (np.array(texts[name].ids, np.int32) for name in ("student", "prose", "france"))
    write_npz("attentions_student.npz", programs, ids=student, weights=reference.attentions(student.tolist()))
    rows = sampled_rows(len(prose), 30, 9)
    weights = reference.attentions(prose.tolist())[tuple(rows.T)]
    write_npz("attentions_prose.npz", programs, ids=prose, rows=rows, weights=weights)
    residuals, normed = reference.residuals(france.tolist())
    write_npz("hidden_france.npz", programs, ids=france, residuals=residuals, normed=normed)
    cached = prose[:CACHED_TOKENS]
    parts = reduced(reference.cached_logits(cached.tolist(), CACHED_PREFILL))
    write_npz("cached_prose.npz", programs, ids=cached, prefill=np.array(CACHED_PREFILL), **parts)


if __name__ == "__main__":
    main()
