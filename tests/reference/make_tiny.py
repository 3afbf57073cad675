"""Write a tiny random model of each family as a GGUF, and ask transformers what it computes and llama.cpp for tokens.

llama.cpp runs each file too, so that a file which is not written as llama.cpp reads it cannot become a fixture.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gguf
import numpy as np
import torch
from llama_cpp import Llama
from source import DATA, made_with, write_npz
from texts import named_texts, random_texts
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

VOCABULARY, LAYERS, CONTEXT, TEXT_TOKENS = 512, 3, 2048, 24
BEGIN, END = "<|begin_of_text|>", "<|eot_id|>"
CHAT = (
    "{{ bos_token }}{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '<|eot_id|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
PIECES_ALONE, PIECES_WITH_SPACE = "pieces", "pieces with a space before"  # sentencepiece, which has no pre-tokenizer
GEMMA_CHAT = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<start_of_turn>' + message['role'] + '\n' + message['content'] | trim + '<end_of_turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
LLAMA_TOLERANCE = 0.05  # of the largest logit: llama.cpp keeps keys and values in 16 bits
COMMON = {
    "vocab_size": VOCABULARY,
    "num_hidden_layers": LAYERS,
    "max_position_embeddings": CONTEXT,
    "rms_norm_eps": 1e-5,
    "attn_implementation": "eager",
}
# learned positions, whose rows end the context
GPT2_COMMON = {"vocab_size": VOCABULARY, "n_layer": LAYERS, "attn_implementation": "eager"}
SMALL = {"num_attention_heads": 5, "hidden_size": 40, "head_dim": 16, "intermediate_size": 72}
BLOCKS = SMALL | {"hidden_size": 32, "head_dim": 32, "intermediate_size": 64}  # whole blocks of 32, for 8-bit weights
# whole and local layers of Gemma 3, in a text longer than the window
SLIDING = {"num_hidden_layers": 7, "sliding_window": 8, "rope_theta": 1_000_000.0, "query_pre_attn_scalar": 32}
WIDE = (
    SLIDING
    | {"tie_word_embeddings": True}
    | {
        "num_hidden_layers": 62,
        "hidden_size": 24,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "intermediate_size": 16,
        "query_pre_attn_scalar": 12,
    }
)
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 1024,
}


@dataclass(frozen=True)
class Tiny:
    """One model: transformers' classes with what is not common, and how its GGUF says it."""

    arch: gguf.MODEL_ARCH
    model: type
    config: Any
    pre: str
    begins: bool = False
    chat: str | None = None
    rope_scaling: dict[str, Any] | None = None
    sizes: dict[str, int] = field(default_factory=dict)
    common: dict[str, Any] = field(default_factory=COMMON.copy)

    def build(self, seed: int) -> torch.nn.Module:
        """The model with random weights that 16 bits hold exactly."""
        torch.manual_seed(seed)
        scaling = {} if self.rope_scaling is None else {"rope_scaling": self.rope_scaling}
        model = self.model(self.config(**(self.common | self.sizes | scaling)))
        for name, weights in model.named_parameters():
            drawn = torch.randn_like(weights)
            if name.endswith("norm.weight") or (".ln_" in name and name.endswith(".weight")):
                drawn = (0 if self.arch is gguf.MODEL_ARCH.GEMMA3 else 1) + 0.2 * drawn  # Gemma's gain is 1 + weight
            elif name.endswith(".bias"):
                drawn = 0.5 * drawn
            elif self.arch is gguf.MODEL_ARCH.GPT2:  # whose blocks have (inputs, outputs)
                inputs = weights.shape[-1 if name == "lm_head.weight" else 0]
                drawn = drawn if name.endswith(("wte.weight", "wpe.weight")) else drawn / math.sqrt(inputs)
            elif "embed_tokens" not in name or self.arch is gguf.MODEL_ARCH.GEMMA3:  # which multiplies it with the root
                drawn = drawn / math.sqrt(weights.shape[-1])
            weights.data = drawn.half().float()
        model.tie_weights()
        return model.eval()


_LLAMA = (gguf.MODEL_ARCH.LLAMA, LlamaForCausalLM, LlamaConfig)
_QWEN2 = (gguf.MODEL_ARCH.QWEN2, Qwen2ForCausalLM, Qwen2Config)
_QWEN3 = (gguf.MODEL_ARCH.QWEN3, Qwen3ForCausalLM, Qwen3Config)
_GPT2 = (gguf.MODEL_ARCH.GPT2, GPT2LMHeadModel, GPT2Config)
_GEMMA3 = (gguf.MODEL_ARCH.GEMMA3, Gemma3ForCausalLM, Gemma3TextConfig)
ONE, ALL = {"num_key_value_heads": 1}, {"num_key_value_heads": 5}
TIED, APART = {"tie_word_embeddings": True}, {"tie_word_embeddings": False}
MODELS = {
    "llama": Tiny(*_LLAMA, "smollm", sizes=SMALL | ONE | TIED | {"rope_theta": 100_000.0}),
    "llama-factors": Tiny(
        *_LLAMA,
        "llama-bpe",
        begins=True,
        chat=CHAT,
        rope_scaling=LLAMA3_ROPE,
        sizes=SMALL | ALL | APART | {"hidden_size": 48},
    ),
    "llama-linear": Tiny(
        *_LLAMA, "gpt-2", rope_scaling={"rope_type": "linear", "factor": 4.0}, sizes=SMALL | ONE | TIED
    ),
    "qwen2": Tiny(
        *_QWEN2, "qwen2", sizes=BLOCKS | ONE | APART | {"num_attention_heads": 4, "hidden_size": 64, "head_dim": 16}
    ),
    "qwen3": Tiny(*_QWEN3, "qwen2", sizes=BLOCKS | ONE | TIED | {"rope_theta": 1_000_000.0}),
    "qwen3-untied": Tiny(*_QWEN3, "qwen2", sizes=SMALL | ALL | APART),
    "llama-pieces": Tiny(*_LLAMA, PIECES_WITH_SPACE, begins=True, sizes=SMALL | ALL | APART),
    "gemma3": Tiny(*_GEMMA3, PIECES_ALONE, begins=True, chat=GEMMA_CHAT, sizes=BLOCKS | ONE | TIED | SLIDING),
    "gemma3-linear": Tiny(
        *_GEMMA3,
        PIECES_ALONE,
        begins=True,
        rope_scaling={"rope_type": "linear", "factor": 4.0},
        sizes=SMALL | ALL | TIED | SLIDING | {"sliding_window": 5, "query_pre_attn_scalar": 16},
    ),
    # as deep as the 27B, by which llama.cpp knows that q·k is scaled by the width per head
    "gemma3-wide": Tiny(*_GEMMA3, PIECES_ALONE, begins=True, sizes=WIDE),
    "gpt2": Tiny(*_GPT2, "gpt-2", sizes={"n_embd": 32, "n_head": 2, "n_positions": 256}, common=GPT2_COMMON),
    "gpt2-untied": Tiny(
        *_GPT2,
        "gpt-2",
        sizes=APART | {"n_embd": 48, "n_head": 3, "n_inner": 72, "n_positions": 64},
        common=GPT2_COMMON,
    ),
}

# Names that llama.cpp takes for the same way of cutting a text; the first is that of the fixture.
PRE_TOKENIZERS = (
    ("smollm", "starcoder", "refact", "command-r"),
    ("llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral"),
    ("qwen2", "deepseek-r1-qwen", "stablelm2"),
    ("dbrx", "smaug-bpe"),
    ("gpt-2", "phi-2", "mpt", "olmo"),
    ("tekken",),
    ("default",),
)
_SEEN = """'s 'S 'LL 'll 'Re 'vE 'D 'ſ ' '' a B c É é ß ſ ǅ ª 日 の अ 1 12 345 6789 ² ٣ ½ Ⅷ 𝟘 👩
! ? / // $ + < = > ^ ~ | ` … “ — _ #"""
PIECES = [
    *_SEEN.split(),
    "\u0301",
    "\u200d",
    "\ue000",
    "\u0378",
    "\n",
    "\r",
    "\r\n",
    " ",
    "  ",
    "\t",
    "\u3000",
    "\u00a0",
    "\x0b",
    "\x85",
    "\u2028",
]


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by id, their types, and merges, or for sentencepiece scores."""

    tokens: list[str]
    types: list[int]
    merges: list[str]
    scores: list[float] = field(default_factory=list)


def vocabulary() -> Vocabulary:
    """Byte-level BPE that merged whatever stands side by side most often, so that a piece's borders show."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, initial_alphabet=alphabet, special_tokens=[BEGIN, END], show_progress=False
    )
    tokenizer.train_from_iterator([text for _, text in named_texts()] + tricky_texts(300, 8), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    assert len(tokens) == VOCABULARY
    return Vocabulary(tokens, [3, 3] + [1] * (VOCABULARY - 2), [" ".join(merge) for merge in model["merges"]])


SPECIAL_TAIL = "</s> <start_of_turn>a<b>b  <0x41>"  # of the texts for pieces
PIECE_SPECIALS = ["<unk>", "<s>", "</s>", "<start_of_turn>", "<end_of_turn>"]
PIECE_TYPES = [2, 3, 3, 3, 3]
OWN = ["\n\n", "  ", "   ", "<b>"]  # of a person's: found in any text before all else, as Gemma's


def pieces() -> Vocabulary:
    """Sentencepiece: merges of whatever stands side by side, ▁ for spaces, tokens for the bytes of all other text."""
    tokenizer = Tokenizer(models.BPE())
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    size = VOCABULARY - len(bytes_) - len(PIECE_SPECIALS) - len(OWN)
    trainer = trainers.BpeTrainer(vocab_size=size + len(OWN), limit_alphabet=90, show_progress=False)
    texts = [text for _, text in named_texts()] + tricky_texts(300, 8)
    tokenizer.train_from_iterator([text.replace(" ", "▁") for text in texts], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    learnt = sorted(model["vocab"], key=model["vocab"].get)
    characters = [token for token in learnt if len(token) == 1]
    merged = [token for token in learnt if len(token) > 1 and token not in OWN][: size - len(characters)]
    tokens = [*PIECE_SPECIALS, *bytes_, *OWN, *merged, *characters]
    assert len(tokens) == VOCABULARY == len(set(tokens))
    types = [*PIECE_TYPES, *[6] * 256, *[4] * len(OWN), *[1] * size]
    scores = [0.0] * (VOCABULARY - size) + [-float(rank) for rank in range(len(merged))] + [-1e4] * len(characters)
    return Vocabulary(tokens, types, [], scores)


def tricky_texts(count: int, seed: int) -> list[str]:
    """Strings of pieces at whose borders ways of cutting differ."""
    draw = random.Random(seed)
    return ["".join(draw.choices(PIECES, k=draw.randint(1, 10))) for _ in range(count)]


def add_tokenizer(writer: gguf.GGUFWriter, known: Vocabulary, pre: str, *, begins: bool) -> None:
    """Say how the model reads text."""
    writer.add_tokenizer_model("llama" if known.scores else "gpt2")
    writer.add_tokenizer_pre("default" if known.scores else pre)
    writer.add_token_list(known.tokens)
    writer.add_token_types(known.types)
    if known.scores:
        writer.add_token_scores(known.scores)
        writer.add_add_space_prefix(pre == PIECES_WITH_SPACE)
    else:
        writer.add_token_merges(known.merges)
    first = known.types.index(3)
    writer.add_bos_token_id(first)
    writer.add_eos_token_id(first + 1)
    writer.add_add_bos_token(begins)


def write_model(path: Path, tiny: Tiny, model: torch.nn.Module, known: Vocabulary) -> None:
    """Write a model as llama.cpp's convert_hf_to_gguf.py does: matrices in 16 bits, all else in 32."""
    c = model.config
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[tiny.arch])
    writer.add_name(f"Tiny {path.stem.removeprefix('tiny_')}")
    writer.add_license("cc0-1.0")
    writer.add_block_count(c.num_hidden_layers)
    writer.add_context_length(c.max_position_embeddings)
    writer.add_embedding_length(c.hidden_size)
    is_gpt2 = tiny.arch is gguf.MODEL_ARCH.GPT2
    writer.add_feed_forward_length((c.n_inner or 4 * c.n_embd) if is_gpt2 else c.intermediate_size)
    writer.add_head_count(c.num_attention_heads)
    if is_gpt2:
        writer.add_layer_norm_eps(c.layer_norm_epsilon)
    else:
        writer.add_head_count_kv(c.num_key_value_heads)
        writer.add_key_length(c.head_dim)
        writer.add_value_length(c.head_dim)
        writer.add_layer_norm_rms_eps(c.rms_norm_eps)
        writer.add_rope_freq_base(c.rope_theta)
        writer.add_rope_dimension_count(c.head_dim)
    add_tokenizer(writer, known, tiny.pre, begins=tiny.begins)
    if tiny.chat is not None:
        writer.add_chat_template(tiny.chat)
    if (tiny.rope_scaling or {}).get("rope_type") == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(tiny.rope_scaling["factor"])
    elif tiny.rope_scaling is not None:
        writer.add_tensor("rope_freqs.weight", rope_factors(c.head_dim, c.rope_theta, tiny.rope_scaling))
    is_gemma = tiny.arch is gguf.MODEL_ARCH.GEMMA3
    if is_gemma:
        writer.add_sliding_window(c.sliding_window)
    names = gguf.get_tensor_name_map(tiny.arch, c.num_hidden_layers)
    for name, values in model.state_dict().items():
        if name == "lm_head.weight" and c.tie_word_embeddings:
            continue
        array = values.numpy()
        if tiny.arch is gguf.MODEL_ARCH.LLAMA and name.endswith(("q_proj.weight", "k_proj.weight")):
            array = in_pairs(array, c.num_attention_heads if "q_proj" in name else c.num_key_value_heads)
        if is_gemma and name.endswith("norm.weight"):
            array = 1 + array
        if is_gpt2 and name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
            array = array.T
        told = names.get_name(name, try_suffixes=(".weight", ".bias"))
        is_narrow = array.ndim > 1 and not name.endswith("wpe.weight")
        writer.add_tensor(told, np.ascontiguousarray(array, np.float16 if is_narrow else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def in_pairs(rows: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp's order of query and key rows: (half, pair) to (pair, half) within each head."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(rows.shape)


def rope_factors(size: int, base: float, scaling: dict[str, Any]) -> np.ndarray:
    """Llama 3.1's division of slow frequencies, (size / 2,), as convert_hf_to_gguf.py writes it."""
    low, high, old = (
        scaling[key] for key in ("low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    )
    factors = []
    for frequency in base ** -(np.arange(0, size, 2) / size):
        turns = old * frequency / (2 * math.pi)
        smooth = min(max((turns - low) / (high - low), 0.0), 1.0)
        factors.append(1 / ((1 - smooth) / scaling["factor"] + smooth))
    return np.array(factors, np.float32)


def computed(model: torch.nn.Module, ids: list[int]) -> dict[str, np.ndarray]:
    """(position, vocabulary) logits, (layer, head, query, key) attention, (layer + 1, position, hidden) residuals."""
    seen: list[torch.Tensor] = []
    if isinstance(model, GPT2LMHeadModel):
        norms = [*(layer.ln_1 for layer in model.transformer.h), model.transformer.ln_f]
    else:
        norms = [*(layer.input_layernorm for layer in model.model.layers), model.model.norm]
    hooks = [norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0][0].clone())) for norm in norms]
    out = model(torch.tensor([ids]), use_cache=False, output_attentions=True)
    for hook in hooks:
        hook.remove()
    return {
        "logits": out.logits[0].numpy(),
        "attention": torch.stack([layer[0] for layer in out.attentions]).numpy(),
        "residuals": torch.stack(seen).numpy(),
    }


def check_with_llama_cpp(path: Path, ids: list[int], logits: np.ndarray) -> None:
    """Fail unless llama.cpp computes nearly the same from the file."""
    llama = Llama(str(path), n_ctx=64, logits_all=True, verbose=False)
    llama.eval(ids)
    difference = np.abs(llama.scores[: len(ids)] - logits).max() / np.abs(logits).max()
    if not difference < LLAMA_TOLERANCE:
        raise AssertionError(f"llama.cpp reads {path.name} otherwise: {difference:.3f}")


def make_models(known: Vocabulary, in_pieces: Vocabulary) -> None:
    """Write every model and its numbers."""
    made_by = programs("transformers", "torch", "gguf", "llama_cpp_python")
    ids = np.random.default_rng(24).integers(2, VOCABULARY, TEXT_TOKENS).tolist()
    for seed, (name, tiny) in enumerate(MODELS.items()):
        model = tiny.build(seed)
        path = DATA / f"tiny_{name}.gguf"
        write_model(path, tiny, model, in_pieces if tiny.pre in (PIECES_ALONE, PIECES_WITH_SPACE) else known)
        found = computed(model, ids)
        check_with_llama_cpp(path, ids, found["logits"])
        write_npz(f"tiny_{name}.npz", made_by, ids=np.array(ids, np.int32), **found)


def make_tokens(known: Vocabulary, in_pieces: Vocabulary) -> None:
    """Write llama.cpp's tokens of many texts for every way of cutting, and of pieces, no begin token."""
    texts = [*(text for _, text in named_texts()), *random_texts(800, 9), *tricky_texts(1500, 10)]
    arrays: dict[str, np.ndarray] = {}
    for names in PRE_TOKENIZERS:
        found = [tokens_of(known, name, texts) for name in names]
        if any(other != found[0] for other in found):
            raise AssertionError(f"{names} are not the same")
        arrays[f"ids {' '.join(names)}"] = np.array(list(chain.from_iterable(found[0])), np.uint16)
        arrays[f"counts {' '.join(names)}"] = np.array([len(row) for row in found[0]], np.uint16)
    for pre in (PIECES_ALONE, PIECES_WITH_SPACE):
        for special in (False, True):
            found = tokens_of(in_pieces, pre, [text + SPECIAL_TAIL for text in texts], special=special)
            name = f"{pre}{', special' if special else ''}"
            arrays[f"{name} ids"] = np.array(list(chain.from_iterable(found)), np.uint16)
            arrays[f"{name} counts"] = np.array([len(row) for row in found], np.uint16)
    write_npz(
        "tiny_tokens.npz",
        programs("llama_cpp_python", "tokenizers"),
        code_points=np.array([ord(char) for char in "".join(texts)], np.uint32),
        text_lengths=np.array([len(text) for text in texts], np.uint16),
        **arrays,
    )


def tokens_of(known: Vocabulary, pre: str, texts: Sequence[str], *, special: bool = False) -> list[list[int]]:
    """llama.cpp's ids of each text, the text of special tokens being text unless they are `special`."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "vocabulary.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        add_tokenizer(writer, known, pre, begins=False)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        llama = Llama(str(path), vocab_only=True, verbose=False)
        return [llama.tokenize(text.encode(), add_bos=False, special=special) for text in texts]


def programs(*packages: str) -> dict[str, str]:
    """What a fixture says about the programs that made it; no model from elsewhere is its source."""
    return {name: version for name, version in made_with(*packages).items() if name != "source_sha256"}


def main() -> None:
    """Make tiny_*.gguf, tiny_*.npz and tiny_tokens.npz."""
    torch.set_grad_enabled(False)
    known, in_pieces = vocabulary(), pieces()
    make_models(known, in_pieces)
    make_tokens(known, in_pieces)


if __name__ == "__main__":
    main()
