"""llama.cpp through its C interface, with its own defaults but for threads and context; it keeps its cache alone."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import llama_cpp
import llama_cpp._logger
import numpy as np

from benchmarks.engine import THREADS, parser_of, serve

CONTEXT = 8192
BATCH = 512


class LlamaCppEngine:
    """The GGUF as it is, mapped into memory; a cache of 16-bit numbers."""

    def __init__(self, gguf: Path, flash_attention: int | None) -> None:
        llama_cpp._logger.set_verbose(False)
        llama_cpp.llama_backend_init()
        model = llama_cpp.llama_model_load_from_file(str(gguf).encode(), llama_cpp.llama_model_default_params())
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_batch = CONTEXT, BATCH
        params.n_threads = params.n_threads_batch = THREADS
        if flash_attention is not None:
            params.flash_attn_type = flash_attention
        self._context = llama_cpp.llama_init_from_model(model, params)
        if not self._context:
            raise RuntimeError("llama.cpp could not load the model.")
        self._vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
        kv_heads = llama_cpp.llama_model_n_head_kv(model)
        head_size = llama_cpp.llama_model_n_embd(model) // llama_cpp.llama_model_n_head(model)
        self.weight_bytes = gguf.stat().st_size
        self.kv_bytes = 2 * llama_cpp.llama_model_n_layer(model) * kv_heads * head_size * 2
        self.versions = {
            "llama-cpp-python": llama_cpp.__version__,
            "llama.cpp built for": llama_cpp.llama_print_system_info().decode().strip(),
        }

    def prefill(self, ids: Sequence[int]) -> int:
        """Empty the cache and decode the prompt in batches."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), False)
        for first in range(0, len(ids), BATCH):
            self._decode(ids[first : first + BATCH])
        return self._likeliest()

    def step(self, token_id: int) -> int:
        """Decode one token."""
        self._decode([token_id])
        return self._likeliest()

    def check(self, ids: Sequence[int], prompt: int) -> dict[str, Any]:
        """Nothing is kept."""
        return {}

    def _decode(self, ids: Sequence[int]) -> None:
        tokens = (llama_cpp.llama_token * len(ids))(*ids)
        code = llama_cpp.llama_decode(self._context, llama_cpp.llama_batch_get_one(tokens, len(ids)))
        if code:
            raise RuntimeError(f"llama_decode failed with {code}.")

    def _likeliest(self) -> int:
        pointer = llama_cpp.llama_get_logits_ith(self._context, -1)
        logits = np.ctypeslib.as_array(ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float)), (self._vocabulary,))
        return int(np.argmax(logits))


def main() -> None:
    """Serve it."""
    parser = parser_of(__doc__)
    parser.add_argument("--flash-attention", type=int, help="-1 its own choice, 0 off, 1 on")
    arguments = parser.parse_args()
    serve(lambda: LlamaCppEngine(Path(arguments.model), arguments.flash_attention))


if __name__ == "__main__":
    main()
