"""Write the tiny models once more as transformers publishes them, but for the numbers, which their GGUFs have.

Of each file of weights stay its header and its sum: a test puts the GGUF's numbers behind the header, and has the file
that `save_pretrained` wrote, byte for byte.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import torch
from make_tiny import (
    BEGIN,
    COMMON,
    END,
    MODELS,
    OWN,
    PIECE_SPECIALS,
    PIECES_WITH_SPACE,
    Vocabulary,
    computed,
)
from source import DATA
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    Gemma3ForCausalLM,
    GPT2LMHeadModel,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2ForCausalLM,
    Qwen3ForCausalLM,
)
from transformers.convert_slow_tokenizer import generate_merges

FOLDER = DATA / "checkpoints"
SPACE = "▁"
CLASSES = (LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM, Gemma3ForCausalLM, GPT2LMHeadModel)
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"


def _split(digits: str) -> list[Any]:
    pattern = Regex(f"{_WORDS}|{digits}|{_REST}")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return [pre_tokenizers.Split(pattern, behavior="isolated", invert=False), byte_level]


_BYTE_LEVEL = pre_tokenizers.ByteLevel(add_prefix_space=False)
# As SmolLM2, Llama 3, Qwen 2 and 3, and GPT-2 publish how they cut texts.
CUTS = {
    "smollm": [pre_tokenizers.Digits(individual_digits=True), _BYTE_LEVEL],
    "llama-bpe": _split(r"\p{N}{1,3}"),
    "qwen2": _split(r"\p{N}"),
    "gpt-2": [_BYTE_LEVEL],
}


@dataclass(frozen=True)
class Written:
    """How one of the tiny models is written."""

    tiny: str  # the model whose numbers these are
    dtype: torch.dtype = torch.float16
    composed: bool = False  # accents are composed before a text is cut, as Qwen's tokenizers do
    saving: dict[str, Any] = field(default_factory=dict)


CHECKPOINTS = {
    "llama": Written("llama", dtype=torch.float32),
    "llama-factors": Written("llama-factors"),
    "llama-linear": Written("llama-linear", saving={"max_shard_size": "60KB"}),
    "mistral": Written("llama"),
    "qwen2": Written("qwen2", composed=True),
    "qwen3": Written("qwen3", composed=True),
    "qwen3-untied": Written("qwen3-untied", composed=True),
    "llama-pieces": Written("llama-pieces"),
    "gemma3": Written("gemma3"),
    "gemma3-linear": Written("gemma3-linear", dtype=torch.float32),
    "gemma3-wide": Written("gemma3-wide"),
    "gpt2": Written("gpt2"),
    "gpt2-untied": Written("gpt2-untied", dtype=torch.float32),
}


def told(path: Path) -> tuple[Vocabulary, str | None]:
    """The vocabulary and the chat template of a GGUF."""
    reader = gguf.GGUFReader(path)
    names = ("tokens", "token_type", "merges", "scores")
    fields = [reader.get_field(f"tokenizer.ggml.{name}") for name in names]
    chat = reader.get_field("tokenizer.chat_template")
    return Vocabulary(*(field.contents() if field else [] for field in fields)), chat.contents() if chat else None


def tokenizer(known: Vocabulary, pre: str, *, begins: bool, composed: bool) -> Tokenizer:
    """The tiny models' tokenizer as checkpoints have theirs."""
    vocab = {text: token_id for token_id, text in enumerate(known.tokens)}
    merges = [tuple(merge.split(" ")) for merge in known.merges]
    made = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=pre == "llama-bpe"))
    made.normalizer = normalizers.NFC() if composed else None
    made.pre_tokenizer = pre_tokenizers.Sequence(CUTS[pre]) if len(CUTS[pre]) > 1 else CUTS[pre][0]
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.ByteLevel(trim_offsets=False)
    if begins:
        template = processors.TemplateProcessing(
            single=f"{BEGIN} $A", pair=f"{BEGIN} $A {BEGIN} $B:1", special_tokens=[(BEGIN, 0)]
        )
        made.post_processor = processors.Sequence([made.post_processor, template])
    made.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in (BEGIN, END)])
    return made


def piece_tokenizer(known: Vocabulary, *, space_prefix: bool) -> Tokenizer:
    """The tiny models' pieces as the checkpoints of Llama 2 (with a space before texts) and Gemma have them."""
    written = {token: token for token in known.tokens}
    if not space_prefix:  # as Gemma's own are, which are found after spaces are written as ▁
        written["   "] = SPACE * 3
    vocab = {written[token]: token_id for token_id, token in enumerate(known.tokens)}
    scores = [(written[token], score) for token, score in zip(known.tokens, known.scores, strict=True)]
    merges = generate_merges(vocab, scores)
    made = Tokenizer(models.BPE(vocab=vocab, merges=merges, byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    marked = normalizers.Replace(" ", SPACE)
    made.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), marked]) if space_prefix else marked
    if not space_prefix:
        made.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    strips = [decoders.Strip(content=" ", left=1)] if space_prefix else []
    made.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *strips])
    begin = PIECE_SPECIALS[1]
    made.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", pair=f"{begin} $A {begin} $B:1", special_tokens=[(begin, 1)]
    )
    made.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in PIECE_SPECIALS])
    made.add_tokens([AddedToken(written[token], normalized=not space_prefix, special=False) for token in OWN])
    return made


def build(name: str, written: Written) -> torch.nn.Module:
    """The model with the numbers of its GGUF."""
    tiny = MODELS[written.tiny]
    model = tiny.build(list(MODELS).index(written.tiny))
    for key, weights in model.named_parameters():
        if "gemma" in name and key.endswith("norm.weight"):
            weights.data = (1 + weights.data) - 1  # what the GGUF's 1 + weight keeps of it
    if name != "mistral":
        return model
    other = MistralForCausalLM(MistralConfig(**COMMON, **tiny.sizes, sliding_window=None)).eval()
    other.load_state_dict(model.state_dict())
    ids = list(range(2, 26))
    if any((computed(model, ids)[key] != values).any() for key, values in computed(other, ids).items()):
        raise AssertionError("a Mistral is no Llama")
    return other


def main() -> None:
    """Make checkpoints/."""
    torch.set_grad_enabled(False)
    shutil.rmtree(FOLDER, ignore_errors=True)
    for name, written in CHECKPOINTS.items():
        tiny, folder = MODELS[written.tiny], FOLDER / name
        known, chat = told(DATA / f"tiny_{written.tiny}.gguf")
        if tiny.pre in CUTS:
            begin, end, texts = 0, 1, tokenizer(known, tiny.pre, begins=tiny.begins, composed=written.composed)
        else:
            begin, end, texts = 1, 2, piece_tokenizer(known, space_prefix=tiny.pre == PIECES_WITH_SPACE)
        model = build(name, written).to(written.dtype)
        model.config.bos_token_id, model.config.eos_token_id = begin, end
        model.generation_config.bos_token_id, model.generation_config.eos_token_id = begin, [end]
        model.save_pretrained(folder, **written.saving)
        PreTrainedTokenizerFast(
            tokenizer_object=texts,
            bos_token=texts.id_to_token(begin),
            eos_token=texts.id_to_token(end),
            chat_template=chat,
        ).save_pretrained(folder)
        take_numbers_out(folder)
    usual = {kind.__name__: taken_for_granted(kind) for kind in CLASSES}
    (FOLDER / "usual.json").write_text(json.dumps(usual, indent=1, sort_keys=True) + "\n", encoding="ascii")


def taken_for_granted(kind: type) -> dict[str, Any]:
    """What a class does with a config.json that says nothing, for every key that it reads of its own."""
    parameters = inspect.signature(kind.config_class.__init__).parameters.values()
    return {found.name: found.default for found in parameters if found.default is not found.empty}


def take_numbers_out(folder: Path) -> None:
    """Leave of each file of weights its header and its sum."""
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        found[path.name] = {"header": data[8 : 8 + length].decode(), "sha256": hashlib.sha256(data).hexdigest()}
        path.unlink()
    (folder / "weights.json").write_text(json.dumps(found, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
