"""Ask llama.cpp and transformers about Gemma 3 270M: `make_gemma.py GGUF`, apart from `make reference`.

Its file is for those who accept its terms; it lies in four parts in the packages that models/gemma3-270m.toml names.
"""

from __future__ import annotations

import argparse
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from llama_cpp import Llama
from make_tiny import tricky_texts
from source import check, made_with, write_json, write_npz
from texts import FRANCE, PROSE, named_texts, random_texts
from transformers import AutoModelForCausalLM

SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
PROMPTS = (
    FRANCE,
    "Once upon a time",
    "Photosynthesis is the process by which plants",
    "Water boils at",
    "The United States of",
    "In my opinion, the best movie is",
    "def fibonacci(n):\n",
    "1, 2, 3, 4,",
    "The quick brown fox",
    "She opened the door and",
    "Die Hauptstadt von Deutschland ist",
    "日本の首都は",
    "My favourite animal is the",
    "To be, or not to be,",
    "The opposite of hot is",
    "Roses are red,",
    "import numpy as np\n",
    "On 14 March 2025 the café sold 3,141",
    "A list of fruits:\n\n-",
    "Dear Sir or Madam,\n\n",
)
GREEDY_TOKENS = 32
ROW_STEP, TOP = 3, 256
RUNS = tuple(" " * n + "a" + "\n" * n + "\t" * n for n in range(1, 70, 6))  # tokens for up to 31 of a kind
RECIPE_IDS = 16


def greedy(path: Path) -> list[dict[str, object]]:
    """llama.cpp's likeliest tokens after each prompt, and how far the best logit lay above the second."""
    llama = Llama(str(path), n_ctx=128, logits_all=True, verbose=False)
    rows = []
    for prompt in PROMPTS:
        ids = llama.tokenize(prompt.encode(), add_bos=True)
        llama.reset()
        llama.eval(ids)
        found, margins = [], []
        for _ in range(GREEDY_TOKENS):
            logits = llama.scores[llama.n_tokens - 1]
            second, best = np.sort(logits)[-2:]
            found.append(int(logits.argmax()))
            margins.append(round(float(best - second), 4))
            llama.eval(found[-1:])
        rows.append({"prompt": prompt, "ids": ids, "greedy": found, "margins": margins})
    return rows


def tokens(path: Path) -> dict[str, np.ndarray]:
    """llama.cpp's ids of many texts, no begin token, the text of special tokens being text."""
    llama = Llama(str(path), vocab_only=True, verbose=False)
    texts = [*(text for _, text in named_texts()), *random_texts(300, 9), *tricky_texts(700, 10), *RUNS]
    ids = [llama.tokenize(text.encode(), add_bos=False, special=False) for text in texts]
    return {
        "code_points": np.array([ord(char) for char in "".join(texts)], np.uint32),
        "text_lengths": np.array([len(text) for text in texts], np.uint16),
        "token_ids": np.array(list(chain.from_iterable(ids)), np.int32),
        "token_counts": np.array([len(row) for row in ids], np.uint16),
    }


def logits(path: Path, rows: list[dict[str, object]]) -> dict[str, np.ndarray]:
    """transformers' logits in fp32 of a text longer than the window: the 256 highest of every third position."""
    model = AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    print_reference(model, rows[0]["ids"])
    llama = Llama(str(path), vocab_only=True, verbose=False)
    text = PROSE + "".join("\n\n" + row["prompt"] + llama.detokenize(row["greedy"]).decode() for row in rows)
    ids = llama.tokenize(text.encode(), add_bos=True)
    found = model(torch.tensor([ids]), use_cache=False).logits[0][::ROW_STEP].double()
    top = found.topk(TOP, dim=-1)
    return {
        "ids": np.array(ids, np.int32),
        "log_sum_exp": found.logsumexp(dim=-1).numpy(),
        "top_ids": top.indices.to(torch.int32).numpy(),
        "top_logits": top.values.float().numpy(),
    }


def print_reference(model: torch.nn.Module, ids: list[int]) -> None:
    """What the recipe says under [reference]."""
    last = model(torch.tensor([ids]), use_cache=False).logits[0, -1]
    top = last.topk(RECIPE_IDS)
    print(f"prompt_ids = {ids}\nids = {top.indices.tolist()}\nlogits = {[round(v, 4) for v in top.values.tolist()]}")


def main() -> None:
    """Make gemma3.json and gemma3.npz from the file that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gguf", type=Path)
    path = parser.parse_args().gguf.resolve()
    check(path, SHA256)
    torch.set_grad_enabled(False)
    head = made_with("transformers", "torch", "llama_cpp_python") | {"source_sha256": SHA256}
    rows = greedy(path)
    write_json("gemma3.json", {"made_with": head}, "prompts", rows)
    write_npz("gemma3.npz", head, **logits(path, rows), **tokens(path))


if __name__ == "__main__":
    sys.exit(main())
