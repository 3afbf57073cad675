"""transformers on PyTorch in fp32: plain, or as attention tools use it, eager with every attention matrix kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM
from transformers.cache_utils import DynamicCache

from benchmarks.engine import THREADS, parser_of, serve


class TransformersEngine:
    """The GGUF's weights, dequantised beforehand."""

    def __init__(self, folder: str, attentions: bool) -> None:
        torch.set_num_threads(THREADS)
        torch.set_grad_enabled(False)
        kind = "eager" if attentions else "sdpa"
        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation=kind).eval()
        self._attentions = attentions
        self._kept: list[Any] = []
        config = self._model.config
        self.weight_bytes = sum(p.numel() * p.element_size() for p in self._model.parameters())
        self.kv_bytes = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * 4
        self.versions = {"transformers": transformers.__version__, "torch": torch.__version__}

    def prefill(self, ids: Sequence[int]) -> int:
        """Pass the whole prompt through at once; logits of its last position alone."""
        self._cache = DynamicCache(config=self._model.config)
        self._kept = []
        return self._feed(list(ids))

    def step(self, token_id: int) -> int:
        """Pass one token through."""
        return self._feed([token_id])

    def check(self, ids: Sequence[int], prompt: int) -> dict[str, Any]:
        """Nothing to prove."""
        return {}

    def _feed(self, ids: list[int]) -> int:
        out = self._model(
            torch.tensor([ids]),
            past_key_values=self._cache,
            use_cache=True,
            output_attentions=self._attentions,
            logits_to_keep=1,
        )
        if self._attentions:
            self._kept.append(out.attentions)
        return int(out.logits[0, -1].argmax())


def main() -> None:
    """Serve one of the two."""
    parser = parser_of(__doc__)
    parser.add_argument("--attentions", action="store_true")
    arguments = parser.parse_args()
    serve(lambda: TransformersEngine(arguments.model, arguments.attentions))


if __name__ == "__main__":
    main()
