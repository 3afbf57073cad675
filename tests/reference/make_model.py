"""Save the GGUF's weights, dequantised by transformers to fp32, as a folder that every other script loads."""

from __future__ import annotations

import numpy as np
import torch
from gguf import GGUFReader, dequantize
from source import GGUF, HF_FOLDER
from transformers import AutoModelForCausalLM, AutoTokenizer

NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
EXPECTED_CONFIG = {
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "vocab_size": 49152,
    "max_position_embeddings": 8192,
    "rope_theta": 100000.0,
    "rope_scaling": None,
    "rms_norm_eps": float(np.float32(1e-5)),
    "tie_word_embeddings": True,
    "hidden_act": "silu",
}


def split_halves(rows: np.ndarray, heads: int) -> np.ndarray:
    """Undo llama.cpp's order of query and key rows: (pair, half) back to (half, pair) within each head."""
    return rows.reshape(heads, rows.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(rows.shape)


def check_weights(model: torch.nn.Module, reader: GGUFReader) -> None:
    """Fail unless every weight equals gguf's own dequantisation, bit for bit."""
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    heads = {"attn_q": 9, "attn_k": 3}
    unseen = set(state) - {"lm_head.weight"}
    for tensor in reader.tensors:
        expected = dequantize(tensor.data, tensor.tensor_type).reshape(tensor.shape[::-1])
        layer, _, kind = tensor.name.removesuffix(".weight").removeprefix("blk.").partition(".")
        if kind in heads:
            expected = split_halves(expected, heads[kind])
        outer = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}
        name = f"{outer[layer] if layer in outer else f'model.layers.{layer}.{NAMES[kind]}'}.weight"
        if not np.array_equal(state[name], expected):
            raise AssertionError(f"transformers reads {tensor.name} otherwise than gguf")
        unseen.remove(name)
    if unseen or not np.array_equal(state["lm_head.weight"], state["model.embed_tokens.weight"]):
        raise AssertionError(f"weights that the GGUF does not explain: {unseen or 'lm_head'}")


def main() -> None:
    """Load, check and save."""
    model = AutoModelForCausalLM.from_pretrained(GGUF.parent, gguf_file=GGUF.name, dtype=torch.float32)
    wrong = {k: getattr(model.config, k) for k, v in EXPECTED_CONFIG.items() if getattr(model.config, k) != v}
    if wrong:
        raise AssertionError(f"transformers reads the architecture otherwise: {wrong}")
    check_weights(model, GGUFReader(GGUF))
    model.save_pretrained(HF_FOLDER)
    AutoTokenizer.from_pretrained(GGUF.parent, gguf_file=GGUF.name).save_pretrained(HF_FOLDER)


if __name__ == "__main__":
    main()
