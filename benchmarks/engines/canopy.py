"""This program: its decoder, with all columns kept as always, or with none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

import canopy_desktop
from benchmarks.engine import STEPS, THREADS, parser_of, serve
from canopy_desktop.arrays import FloatArray
from canopy_desktop.exploration.columns import ColumnStore
from canopy_desktop.exploration.reader import ColumnReader
from canopy_desktop.exploration.sequence import TokenSequence
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.card import Architecture
from canopy_desktop.model.decoder import OnnxDecoder, chunks_of
from canopy_desktop.model.provider import share_threads

CHECKS = 40
SEED = 20261123


class KeepingEngine:
    """Everything is kept: queries, keys, values and residuals of every token."""

    def __init__(self, folder: Path) -> None:
        bundle = Bundle.open(folder)
        a = bundle.card.architecture
        self._architecture = a
        decoder = OnnxDecoder(bundle)
        self._head = decoder.head
        self._sequence = TokenSequence(decoder, ColumnStore(a, precision=np.float16))
        self._reader = ColumnReader(self._sequence, self._head)
        self.weight_bytes = eight_bit_bytes(a)
        self.kv_bytes = a.kv_bytes_per_token
        self.versions = versions()

    def prefill(self, ids: Sequence[int]) -> int:
        """Pass the prompt through in the program's own chunks."""
        self._sequence.forget()
        return int(np.argmax(self._feed_chunks(ids)))

    def step(self, token_id: int) -> int:
        """Pass one token through."""
        _, logits = self._sequence.feed([token_id])
        return int(np.argmax(logits))

    def check(self, ids: Sequence[int], prompt: int) -> dict[str, Any]:
        """Compare what is computed from what was kept with what passes gave, bit for bit."""
        places = self._places(len(self._sequence))
        self._check_steps(ids, places)
        text = list(ids[:prompt])
        self.prefill(text)
        bytes_per_token = self._sequence.columns.bytes // prompt + self.kv_bytes
        ends = sorted({int(i) for i in np.random.default_rng(SEED).integers(2, prompt + 1, 8)} | {prompt})
        rows = self._attention(places, prompt)
        kept = [self._kept_logits(end - 1) for end in ends]
        for end, logits in zip(ends, kept, strict=True):
            self._sequence.forget()
            _require(np.array_equal(self._feed_chunks(text[:end]), logits), f"Logits of position {end - 1}")
        _require(_equal(rows, self._attention(places, prompt)), "Attention of the prompt")
        return {
            "steps": STEPS,
            "prompt_logits": len(ends),
            "attention_rows": 2 * len(places),
            "kept_bytes_per_token": bytes_per_token,
        }

    def _check_steps(self, ids: Sequence[int], places: list[tuple[int, int, int]]) -> None:
        """Logits and attention of the steps just timed, before they are forgotten, and when they are made again."""
        length = len(self._sequence)
        first = length - STEPS
        rows = self._attention(places, length)
        kept = [self._kept_logits(position) for position in range(first, length)]
        self._sequence.go_to(self._sequence.slots[:first].copy())
        for position, logits in enumerate(kept, start=first):
            _, again = self._sequence.feed([ids[position]])
            _require(np.array_equal(again, logits), f"Logits of position {position}")
        _require(_equal(rows, self._attention(places, length)), "Attention of the steps")

    def _kept_logits(self, position: int) -> FloatArray:
        slots = self._sequence.slots[position : position + 1]
        row: FloatArray = self._head.logits(self._sequence.columns.residuals(slots, -1))[0]
        return row

    def _places(self, length: int) -> list[tuple[int, int, int]]:
        """Random layer, head and query, counted from the end so that half of them are among the last."""
        random = np.random.default_rng(SEED)
        a = self._architecture
        backs = [int(random.integers(1, STEPS if i % 2 else length)) for i in range(CHECKS)]
        return [(int(random.integers(a.layers)), int(random.integers(a.heads)), back) for back in backs]

    def _attention(self, places: list[tuple[int, int, int]], length: int) -> list[FloatArray]:
        rows = []
        for layer, head, back in places:
            row = self._reader.attention_row(self._sequence.slots, layer, head, max(length - back, 0))
            if row is None or abs(float(row.sum()) - 1.0) > 1e-4:
                raise RuntimeError(f"There is no attention of layer {layer}, head {head}, {back} from the end.")
            rows.append(row)
        return rows

    def _feed_chunks(self, ids: Sequence[int]) -> FloatArray:
        done = 0
        logits = np.empty(0, np.float32)
        for count in chunks_of(len(ids)):
            _, logits = self._sequence.feed(ids[done : done + count])
            done += count
        return logits


class DiscardingEngine:
    """The same decoder; the next pass writes over what a pass left, and nothing copies it."""

    def __init__(self, folder: Path) -> None:
        bundle = Bundle.open(folder)
        a = bundle.card.architecture
        self._decoder = OnnxDecoder(bundle)
        self.weight_bytes = eight_bit_bytes(a)
        self.kv_bytes = a.kv_bytes_per_token
        self.versions = versions()

    def prefill(self, ids: Sequence[int]) -> int:
        """Pass the prompt through in the program's own chunks."""
        self._decoder.truncate(0)
        done = 0
        chosen = -1
        for count in chunks_of(len(ids)):
            chosen = self._feed(ids[done : done + count])
            done += count
        return chosen

    def step(self, token_id: int) -> int:
        """Pass one token through."""
        return self._feed([token_id])

    def check(self, ids: Sequence[int], prompt: int) -> dict[str, Any]:
        """Nothing is kept, so nothing can be wrong."""
        return {}

    def _feed(self, ids: Sequence[int]) -> int:
        return int(np.argmax(self._decoder.feed(ids)[0]))


def eight_bit_bytes(a: Architecture) -> int:
    """Bytes of every matrix in 8 bits with one float32 scale for 32 numbers, whatever form the bundle really has."""
    attention = 2 * a.hidden * a.heads * a.head_size + 2 * a.hidden * a.kv_heads * a.head_size
    numbers = a.vocabulary * a.hidden + a.layers * (attention + 3 * a.hidden * a.feed_forward)
    return numbers * 36 // 32


def versions() -> dict[str, str]:
    """What the figures depend on."""
    return {"canopy-desktop": canopy_desktop.__version__, "onnxruntime": ort.__version__, "numpy": np.__version__}


def _equal(rows: list[FloatArray], others: list[FloatArray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(rows, others, strict=True))


def _require(same: bool, what: str) -> None:
    if not same:
        raise RuntimeError(f"{what} from what was kept differ from those of a pass.")


def main() -> None:
    """Serve one of the two."""
    parser = parser_of(__doc__)
    parser.add_argument("--discard", action="store_true")
    arguments = parser.parse_args()
    share_threads(THREADS)
    serve(lambda: (DiscardingEngine if arguments.discard else KeepingEngine)(Path(arguments.model)))


if __name__ == "__main__":
    main()
