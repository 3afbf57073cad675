"""A checkpoint's config.json as the numbers of a decoder.

What a class of transformers does not read is refused by name rather than passed over: it may be what makes the model
another one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from canopy_desktop.arrays import DoubleArray
from canopy_desktop.model.card import Architecture
from canopy_desktop.model.checkpoint_json import Values
from canopy_desktop.model.families import FAMILIES, HEAD_UNIT, Family


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedClass:
    """A class of transformers that computes what one of the families does."""

    family: str
    model_type: str
    usual: Mapping[str, Any] = field(default_factory=dict)  # what it takes for granted, beside `_USUAL`


_USUAL = {"rope_theta": 10_000.0, "rms_norm_eps": 1e-6, "tie_word_embeddings": False}
_QWEN = {
    "num_key_value_heads": 32, "use_sliding_window": False, "sliding_window": 4096, "max_window_layers": 28,
    "layer_types": None,
}  # fmt: skip
CLASSES = {
    "LlamaForCausalLM": PublishedClass(family="llama", model_type="llama"),
    "MistralForCausalLM": PublishedClass(
        family="llama", model_type="mistral", usual={"num_key_value_heads": 8, "sliding_window": 4096}
    ),
    "Qwen2ForCausalLM": PublishedClass(family="qwen2", model_type="qwen2", usual=_QWEN),
    "Qwen3ForCausalLM": PublishedClass(family="qwen3", model_type="qwen3", usual=_QWEN | {"head_dim": 128}),
}

_READ = {
    "architectures", "attention_bias", "eos_token_id", "head_dim", "hidden_size", "intermediate_size",
    "max_position_embeddings", "model_type", "num_attention_heads", "num_hidden_layers", "num_key_value_heads",
    "rms_norm_eps", "rope_parameters", "rope_scaling", "rope_theta", "tie_word_embeddings", "vocab_size",
}  # fmt: skip
_MUST: dict[str, tuple[object, ...]] = {  # what these keys may say, if anything
    "add_cross_attention": (False,),
    "auto_map": (),
    "hidden_act": ("silu", "swish"),
    "is_encoder_decoder": (False,),
    "mlp_bias": (False,),
    "partial_rotary_factor": (1.0,),
    "pruned_heads": ({},),
    "quantization_config": (),
    "rope_interleaved": (False,),
    "tie_encoder_decoder": (False,),
}
# What changes no number of a pass: training, other tasks, settings of a generation, notes of programs.
_WITHOUT_EFFECT = {
    "_attn_implementation", "_attn_implementation_autoset", "_commit_hash", "_model_name_or_path", "_name_or_path",
    "attention_dropout", "bad_words_ids", "begin_suppress_tokens", "bos_token_id", "chunk_size_feed_forward",
    "cross_attention_hidden_size", "decoder_start_token_id", "diversity_penalty", "do_sample", "dtype",
    "early_stopping", "encoder_no_repeat_ngram_size", "exponential_decay_length_penalty", "finetuning_task",
    "forced_bos_token_id", "forced_eos_token_id", "gradient_checkpointing", "id2label", "initializer_range",
    "is_decoder", "is_llama_config", "label2id", "length_penalty", "max_length", "min_length", "no_repeat_ngram_size",
    "num_beam_groups", "num_beams", "num_return_sequences", "output_attentions", "output_hidden_states",
    "output_scores", "pad_token_id", "prefix", "pretraining_tp", "problem_type", "remove_invalid_values",
    "repetition_penalty", "return_dict", "return_dict_in_generate", "sep_token_id", "suppress_tokens",
    "task_specific_params", "temperature", "tf_legacy_loss", "tokenizer_class", "top_k", "top_p", "torch_dtype",
    "torchscript", "transformers.js_config", "transformers_version", "typical_p", "unk_token_id", "unsloth_fixed",
    "unsloth_version", "use_bfloat16", "use_cache",
}  # fmt: skip
_ROPE_COMMON = {"rope_type", "type", "rope_theta", "partial_rotary_factor"}
_LLAMA3 = ("low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
_ROPE_READ = {"default": set[str](), "linear": {"factor"}, "llama3": {"factor", *_LLAMA3}}


def read_architecture(config: Values) -> Architecture:
    """The numbers of the model. Raises `SourceError` for what is not known, or would compute something else."""
    kind = _class(config)
    family = FAMILIES[kind.family]
    _check_keys(config, kind, family)
    said = config.with_usual(_USUAL | dict(kind.usual))
    layers, heads, hidden = (said.whole(k) for k in ("num_hidden_layers", "num_attention_heads", "hidden_size"))
    head_size = hidden // heads if said.get("head_dim") is None else said.whole("head_dim")
    if head_size % HEAD_UNIT:
        raise said.refuse(f"has heads of {head_size} numbers, and only multiples of {HEAD_UNIT} are supported")
    context = said.whole("max_position_embeddings")
    base, divisors = _rope(said, head_size)
    try:
        return Architecture(
            layers=layers,
            heads=heads,
            kv_heads=heads if said.get("num_key_value_heads") is None else said.whole("num_key_value_heads"),
            head_size=head_size,
            hidden=hidden,
            feed_forward=said.whole("intermediate_size"),
            vocabulary=said.whole("vocab_size"),
            # within its window, attention that slides is attention to everything
            context=min(context, _window(said, layers) or context),
            rope_base=base,
            epsilon=float(np.float32(said.number("rms_norm_eps"))),
            rope_divisors=divisors,
            tied=bool(said.flag("tie_word_embeddings")),
            qkv_biases=family.qkv_biases,
            qk_norms=family.qk_norms,
        )
    except ValueError as error:
        raise said.refuse(f"does not fit together: {error}") from error


def _class(config: Values) -> PublishedClass:
    names = config.items("architectures")
    kind = CLASSES.get(names[0]) if len(names) == 1 and isinstance(names[0], str) else None
    if kind is None:
        known = ", ".join(CLASSES)
        raise config.refuse(
            f"names the architecture {_short(names)}, and only {known} are supported: others would have to be exported "
            "through optimum, which is not possible here yet"
        )
    if config.get("model_type") != kind.model_type:
        raise config.refuse(f"names {names[0]!r} and another model_type")
    return kind


def _check_keys(config: Values, kind: PublishedClass, family: Family) -> None:
    known = _READ | _WITHOUT_EFFECT | kind.usual.keys()
    for key, value in config.all().items():
        if key in _MUST:
            if value is not None and value not in _MUST[key]:
                raise config.refuse(f"says {key} = {_short(value)}, which is not supported")
        elif key not in known and value is not None:
            way_out = "take it out if it changes nothing, or import a GGUF of the model"
            raise config.refuse(f"says {_short(key)}, of which it is not known what it changes: {way_out}")
    if config.get("attention_bias") not in (None, False, family.qkv_biases):
        raise config.refuse("says attention_bias = True, which is not supported")


def _window(said: Values, layers: int) -> int | None:
    """How many keys a query sees at most in the layers where attention slides; None where it slides in none."""
    kinds = said.items("layer_types")
    if any(kind not in ("sliding_attention", "full_attention") for kind in kinds):
        raise said.refuse("has layers of a kind that is not supported")
    if said.get("sliding_window") is None or said.flag("use_sliding_window") is False:
        return None
    slides = "sliding_attention" in kinds if kinds else said.count("max_window_layers") < layers
    return said.whole("sliding_window") if slides else None


def _rope(said: Values, head_size: int) -> tuple[float, tuple[float, ...]]:
    """The base of the rotation, and what each pair's frequency is divided by, (head_size / 2,); nothing where by 1."""
    parts = [said.part(key) for key in ("rope_parameters", "rope_scaling") if said.get(key)]
    rope = parts[0] if parts else said.part("rope_parameters")
    if len(parts) == 2 and parts[0].all() != parts[1].all():
        raise said.refuse("has rope_parameters and another rope_scaling")
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if not isinstance(kind, str) or kind not in _ROPE_READ:
        raise said.refuse(f"scales its rotation by {_short(kind)}, which is not supported")
    if rope.get("type") not in (None, kind):
        raise said.refuse("scales its rotation in two ways")
    for key, value in rope.all().items():
        if key not in _ROPE_COMMON | _ROPE_READ[kind] or (key == "partial_rotary_factor" and value != 1.0):
            raise said.refuse(f"says {_short(key)} of its rotation, which is not supported")
    base = (rope if rope.get("rope_theta") is not None else said).number("rope_theta")
    if kind == "default":
        return base, ()
    factor = rope.number("factor")
    is_linear = kind == "linear"
    divisors = np.full(head_size // 2, factor) if is_linear else _llama3_divisors(rope, base, head_size, factor)
    return base, tuple(float(divisor) for divisor in divisors) if (divisors != 1.0).any() else ()


def _llama3_divisors(rope: Values, base: float, head_size: int, factor: float) -> DoubleArray:
    """Of Llama 3.1: slow frequencies are divided by the factor, fast ones by nothing, and between them by a part."""
    low, high, old = (rope.number(what) for what in _LLAMA3)
    if not low < high:
        raise rope.refuse("scales its rotation by bounds that are none")
    turns = old * base ** -(np.arange(0, head_size, 2) / head_size) / (2 * math.pi)
    smooth = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return (1 / ((1 - smooth) / factor + smooth)).astype(np.float32).astype(np.float64)  # as a GGUF keeps them


def _short(value: object) -> str:
    return repr(value)[:100]
