"""A checkpoint's config.json as the numbers of a decoder.

What a class of transformers does not read is refused by name rather than passed over: it may be what makes the model
another one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from canopy_desktop.arrays import DoubleArray
from canopy_desktop.model.card import Architecture, Positions
from canopy_desktop.model.checkpoint_json import Values
from canopy_desktop.model.families import FAMILIES, HEAD_UNIT, Family


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedClass:
    """A class of transformers that computes what one of the families does."""

    family: str
    model_type: str
    usual: Mapping[str, Any] = field(default_factory=dict)  # what it takes for granted, beside `_USUAL`
    names: Mapping[str, str] = field(default_factory=dict)  # what it calls keys otherwise than the other classes
    widening: int = 0  # widths of the stream that its feed-forward has where nothing is said; 0: it must be said


ROPE_BASE = 10_000.0
_SLIDING, _FULL = "sliding_attention", "full_attention"
_USUAL = {"rope_theta": ROPE_BASE, "rms_norm_eps": 1e-6, "tie_word_embeddings": False}
_QWEN = {
    "num_key_value_heads": 32, "use_sliding_window": False, "sliding_window": 4096, "max_window_layers": 28,
    "layer_types": None,
}  # fmt: skip
_GPT2 = {
    "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True, "activation_function": "gelu_new",
    "scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False,
}  # fmt: skip
_GPT2_NAMES = {
    "hidden_size": "n_embd", "intermediate_size": "n_inner", "max_position_embeddings": "n_positions",
    "num_attention_heads": "n_head", "num_hidden_layers": "n_layer", "rms_norm_eps": "layer_norm_epsilon",
}  # fmt: skip
_GEMMA3 = {
    "num_key_value_heads": 4, "head_dim": 256, "rope_theta": 1_000_000.0, "rope_local_base_freq": ROPE_BASE,
    "sliding_window": 4096, "layer_types": None, "sliding_window_pattern": 6, "query_pre_attn_scalar": 256,
    "tie_word_embeddings": True, "hidden_activation": "gelu_pytorch_tanh",
}  # fmt: skip
CLASSES = {
    "LlamaForCausalLM": PublishedClass(family="llama", model_type="llama"),
    "MistralForCausalLM": PublishedClass(
        family="llama", model_type="mistral", usual={"num_key_value_heads": 8, "sliding_window": 4096}
    ),
    "Qwen2ForCausalLM": PublishedClass(family="qwen2", model_type="qwen2", usual=_QWEN),
    "Qwen3ForCausalLM": PublishedClass(family="qwen3", model_type="qwen3", usual=_QWEN | {"head_dim": 128}),
    "Gemma3ForCausalLM": PublishedClass(family="gemma3", model_type="gemma3_text", usual=_GEMMA3),
    "GPT2LMHeadModel": PublishedClass(family="gpt2", model_type="gpt2", usual=_GPT2, names=_GPT2_NAMES, widening=4),
}

_READ = {
    "architectures", "attention_bias", "eos_token_id", "head_dim", "hidden_size", "intermediate_size",
    "max_position_embeddings", "model_type", "num_attention_heads", "num_hidden_layers", "num_key_value_heads",
    "rms_norm_eps", "tie_word_embeddings", "vocab_size",
}  # fmt: skip
_READ_OF_ROTATION = {"rope_parameters", "rope_scaling", "rope_theta"}
_MUST: dict[str, tuple[object, ...]] = {  # what these keys may say, if anything
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
    "add_cross_attention": (False,),
    "attn_logit_softcapping": (),
    "auto_map": (),
    "final_logit_softcapping": (),
    "hidden_act": ("silu", "swish"),
    "hidden_activation": ("gelu_pytorch_tanh",),
    "is_encoder_decoder": (False,),
    "mlp_bias": (False,),
    "partial_rotary_factor": (1.0,),
    "pruned_heads": ({},),
    "quantization_config": (),
    "rope_interleaved": (False,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "scale_attn_weights": (True,),
    "tie_encoder_decoder": (False,),
    "use_bidirectional_attention": (False,),
}
# What changes no number of a pass: training, other tasks, settings of a generation, notes of programs.
_WITHOUT_EFFECT = {
    "_attn_implementation", "_attn_implementation_autoset", "_commit_hash", "_model_name_or_path",
    "_name_or_path", "_num_labels", "_sliding_window_pattern", "attention_dropout", "attn_pdrop",
    "bad_words_ids", "begin_suppress_tokens", "bos_token_id", "cache_implementation", "chunk_size_feed_forward",
    "cross_attention_hidden_size", "decoder_start_token_id", "diversity_penalty", "do_sample", "dtype",
    "early_stopping", "embd_pdrop", "encoder_no_repeat_ngram_size", "exponential_decay_length_penalty",
    "finetuning_task", "forced_bos_token_id", "forced_eos_token_id", "gradient_checkpointing", "id2label",
    "initializer_range", "is_decoder", "is_llama_config", "label2id", "length_penalty", "max_length",
    "min_length", "n_ctx", "n_special", "no_repeat_ngram_size", "num_beam_groups", "num_beams",
    "num_return_sequences", "output_attentions", "output_hidden_states", "output_past", "output_scores",
    "pad_token_id", "predict_special_tokens", "prefix", "pretraining_tp", "problem_type",
    "remove_invalid_values", "reorder_and_upcast_attn", "repetition_penalty", "resid_pdrop", "return_dict",
    "return_dict_in_generate", "sep_token_id", "summary_activation", "summary_first_dropout",
    "summary_proj_to_labels", "summary_type", "summary_use_proj", "suppress_tokens", "task_specific_params",
    "temperature", "tf_legacy_loss", "tokenizer_class", "top_k", "top_p", "torch_dtype", "torchscript",
    "transformers.js_config", "transformers_version", "typical_p", "unk_token_id", "unsloth_fixed",
    "unsloth_version", "use_bfloat16", "use_cache",
}  # fmt: skip
_ROPE_COMMON = {"rope_type", "type", "rope_theta", "partial_rotary_factor"}
_LLAMA3 = ("low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
_ROPE_READ = {"default": set[str](), "linear": {"factor"}, "llama3": {"factor", *_LLAMA3}}


def read_architecture(config: Values) -> tuple[Family, Architecture]:
    """The family and the numbers of the model. Raises `SourceError` for what is not known."""
    kind = _class(config)
    family = FAMILIES[kind.family]
    _check_keys(config, kind, family)
    said = config.with_usual(kind.usual).called(kind.names).with_usual(_USUAL)
    layers, heads, hidden = (said.whole(k) for k in ("num_hidden_layers", "num_attention_heads", "hidden_size"))
    head_size = hidden // heads if said.get("head_dim") is None else said.whole("head_dim")
    if head_size % HEAD_UNIT:
        raise said.refuse(f"has heads of {head_size} numbers, and only multiples of {HEAD_UNIT} are supported")
    context, kinds = said.whole("max_position_embeddings"), _layer_kinds(said, layers)
    window = said.whole("sliding_window") if _SLIDING in kinds else 0
    slides = window if family.window_period else 0
    base, divisors, local_base = _rotations(said, family, head_size)
    is_wide = kind.widening > 0 and said.get("intermediate_size") is None
    try:
        return family, Architecture(
            layers=layers,
            heads=heads,
            kv_heads=heads if said.get("num_key_value_heads") is None else said.whole("num_key_value_heads"),
            head_size=head_size,
            hidden=hidden,
            feed_forward=kind.widening * hidden if is_wide else said.whole("intermediate_size"),
            vocabulary=said.whole("vocab_size"),
            # within its window, attention that slides is attention to everything
            context=context if slides else min(context, window or context),
            rope_base=base,
            epsilon=float(np.float32(said.number("rms_norm_eps"))),
            rope_divisors=divisors,
            tied=bool(said.flag("tie_word_embeddings")),
            **family.of_blocks,
            attention_scale=_attention_scale(said, head_size),
            window=slides,
            window_period=_period(said, kinds, family.window_period) if slides else 1,
            window_rope_base=local_base if slides else ROPE_BASE,
        )
    except ValueError as error:
        raise said.refuse(f"does not fit together: {error}") from error


def is_of_known_class(config: Values) -> bool:
    """Whether the model is of one of `CLASSES`. Raises `SourceError`."""
    return _known_class(config) is not None


def _known_class(config: Values) -> PublishedClass | None:
    names = config.items("architectures")
    return CLASSES.get(names[0]) if len(names) == 1 and isinstance(names[0], str) else None


def _class(config: Values) -> PublishedClass:
    names, kind = config.items("architectures"), _known_class(config)
    if kind is None:
        known = ", ".join(CLASSES)
        raise config.refuse(
            f"names the architecture {_short(names)}, and only {known} are supported: models of other kinds cannot be "
            "run here yet"
        )
    if config.get("model_type") != kind.model_type:
        raise config.refuse(f"names {names[0]!r} and another model_type")
    return kind


def _check_keys(config: Values, kind: PublishedClass, family: Family) -> None:
    read = _READ | (_READ_OF_ROTATION if family.positions is Positions.ROTARY else set())
    known = {kind.names.get(key, key) for key in read} | _WITHOUT_EFFECT | kind.usual.keys()
    for key, value in config.all().items():
        if key in _MUST:
            if value is not None and value not in _MUST[key]:
                raise config.refuse(f"says {key} = {_short(value)}, which is not supported")
        elif key not in known and value is not None:
            way_out = "take it out if it changes nothing, or import a GGUF of the model"
            raise config.refuse(f"says {_short(key)}, of which it is not known what it changes: {way_out}")
    if config.get("attention_bias") not in (None, False, family.qkv_biases):
        raise config.refuse("says attention_bias = True, which is not supported")


def _layer_kinds(said: Values, layers: int) -> Sequence[str]:
    """Whether attention slides or is full, of each layer."""
    kinds = said.items("layer_types")
    if any(kind not in (_SLIDING, _FULL) for kind in kinds):
        raise said.refuse("has layers of a kind that is not supported")
    if len(kinds) not in (0, layers):
        raise said.refuse(f"has {layers} layers, and says the kind of {len(kinds)}")
    if said.get("sliding_window") is None or said.flag("use_sliding_window") is False:
        return [_FULL] * layers
    if kinds:
        return kinds
    if period := said.count("sliding_window_pattern"):
        return _periodic(layers, period)
    first = said.count("max_window_layers")
    return [_SLIDING if layer >= first else _FULL for layer in range(layers)]


def _periodic(layers: int, period: int) -> list[str]:
    return [_SLIDING if (layer + 1) % period else _FULL for layer in range(layers)]


def _period(said: Values, kinds: Sequence[str], usual: int) -> int:
    """Every so manyth layer is full, and the others slide."""
    for period in (usual, kinds.index(_FULL) + 1 if _FULL in kinds else usual):
        if _periodic(len(kinds), period) == kinds:
            return period
    raise said.refuse("has sliding layers in an order that is not supported")


def _attention_scale(said: Values, head_size: int) -> float:
    """`Architecture.attention_scale`."""
    if said.get("query_pre_attn_scalar") is None:
        return 0.0
    scalar = said.number("query_pre_attn_scalar")
    return 0.0 if scalar == head_size else math.sqrt(1 / scalar)


def _rotations(said: Values, family: Family, head_size: int) -> tuple[float, tuple[float, ...], float]:
    """The base and the divisors of the rotation, and its base in layers where attention slides beside others."""
    if family.positions is not Positions.ROTARY:
        return 0.0, (), ROPE_BASE
    rope, local_base = _rotation_said(said, family)
    return *_rotation(said, rope, head_size), local_base


def _rotation_said(said: Values, family: Family) -> tuple[Values, float]:
    """What is said of the rotation, and its base in layers where attention slides beside others."""
    parts = [said.part(key) for key in ("rope_parameters", "rope_scaling") if said.get(key)]
    if len(parts) == 2 and parts[0].all() != parts[1].all():
        raise said.refuse("has rope_parameters and another rope_scaling")
    rope = parts[0] if parts else said.part("rope_parameters")
    if not family.window_period:
        return rope, ROPE_BASE
    if rope.all().keys() != {_SLIDING, _FULL}:
        return rope, said.number("rope_local_base_freq")
    local, scaling = _rotation(said, rope.part(_SLIDING), 2)
    if scaling:
        raise said.refuse("scales the rotation of layers where attention slides, which is not supported")
    return rope.part(_FULL), local


def _rotation(said: Values, rope: Values, head_size: int) -> tuple[float, tuple[float, ...]]:
    """The base of the rotation, and what each pair's frequency is divided by, (head_size / 2,); nothing where by 1."""
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
