"""Write tiny models of kinds that are not in the table as ONNX, by optimum, and ask transformers what they compute."""

from __future__ import annotations

import gzip
import json
import math
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import torch
from optimum.exporters.onnx import main_export
from source import DATA, made_with, write_npz
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, OPTConfig, OPTForCausalLM, PreTrainedModel

FOLDER = DATA / "given"
VOCABULARY, TEXT_TOKENS, NEW_TOKENS, MARGIN = 512, 24, 16, 0.01
MODELS = {
    # blocks whose halves stand side by side, a rotated quarter of each head, biases
    "gpt_neox": (
        GPTNeoXForCausalLM,
        GPTNeoXConfig(
            vocab_size=VOCABULARY, hidden_size=40, num_hidden_layers=3, num_attention_heads=5, intermediate_size=48,
            max_position_embeddings=96, rotary_pct=0.5, bos_token_id=0, eos_token_id=1,
        ),
    ),
    # learned positions that are counted from the mask, another width for the embedding than inside
    "opt": (
        OPTForCausalLM,
        OPTConfig(
            vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, ffn_dim=48,
            word_embed_proj_dim=24, max_position_embeddings=96, bos_token_id=0, eos_token_id=1, pad_token_id=0,
        ),
    ),
}  # fmt: skip


def build(name: str, seed: int) -> PreTrainedModel:
    """A model with random weights that 16 bits hold exactly."""
    torch.manual_seed(seed)
    kind, config = MODELS[name]
    config._attn_implementation = "eager"  # which tells its attention
    model = kind(config)
    for key, weights in model.named_parameters():
        drawn = torch.randn_like(weights)
        if "norm" in key and key.endswith("weight"):
            drawn = 1 + 0.2 * drawn
        elif weights.ndim == 1:
            drawn = 0.3 * drawn
        elif "embed" not in key:
            drawn = drawn / math.sqrt(weights.shape[-1])
        weights.data = drawn.half().float()
    model.tie_weights()
    return model.eval()


def computed(model: PreTrainedModel, ids: list[int]) -> dict[str, np.ndarray]:
    """(position, vocabulary) logits, (layer, head, query, key) attention, (layer + 1, position, hidden) residuals."""
    decoder = model.gpt_neox if hasattr(model, "gpt_neox") else model.model.decoder
    seen: list[torch.Tensor] = []
    parts = [*decoder.layers, decoder.final_layer_norm]
    hooks = [part.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone())) for part in parts]
    out = model(torch.tensor([ids]), use_cache=False, output_attentions=True)
    for hook in hooks:
        hook.remove()
    return {
        "logits": out.logits[0].numpy(),
        "attention": torch.stack([layer[0] for layer in out.attentions]).numpy(),
        "residuals": torch.stack([part.reshape(len(ids), -1) for part in seen]).numpy(),
    }


def greedy(model: PreTrainedModel, ids: list[int]) -> list[int] | None:
    """What follows a text, if each token is surely the likeliest."""
    found = list(ids)
    for _ in range(NEW_TOKENS):
        best = model(torch.tensor([found])).logits[0, -1].topk(2)
        if float(best.values[0] - best.values[1]) <= MARGIN:
            return None
        found.append(int(best.indices[0]))
    return found[len(ids) :]


def surely_continued(model: PreTrainedModel) -> tuple[list[int], list[int]]:
    """A random text, and what follows it."""
    while True:
        ids = torch.randint(0, VOCABULARY, (TEXT_TOKENS,)).tolist()
        if (after := greedy(model, ids)) is not None:
            return ids, after


def main() -> None:
    """Make given/, and given_*.npz beside it."""
    torch.set_grad_enabled(False)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    for seed, name in enumerate(MODELS, 1):
        model = build(name, seed)
        ids, after = surely_continued(model)
        with TemporaryDirectory() as work:
            model.save_pretrained(work)
            main_export(work, f"{work}/onnx", task="text-generation-with-past", do_validation=False)
            graph = onnx.load(f"{work}/onnx/model.onnx").SerializeToString(deterministic=True)
            config = json.loads((Path(work) / "onnx" / "config.json").read_text())
        (FOLDER / f"{name}.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="ascii")
        with (FOLDER / f"{name}.onnx.gz").open("wb") as file:
            file.write(gzip.compress(graph, mtime=0))
        write_npz(
            f"given_{name}.npz",
            made_with("torch", "transformers", "optimum-onnx"),
            ids=torch.tensor(ids).numpy(),
            **computed(model, ids),
            greedy=torch.tensor(after).numpy(),
        )


if __name__ == "__main__":
    main()
