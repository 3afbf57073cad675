"""The lens as a grid: the likeliest token after each layer at each position, and the rank of what came next."""

import threading
from pathlib import Path

import numpy as np
import pytest

from canopy_desktop.arrays import FloatArray
from canopy_desktop.exploration.lens import NO_RANK, ROWS, lens_grid, read_rows
from tests.core.engine import log_softmax, prefill, session_of
from tests.reference import fixtures


class WatchedHead:
    """The real head, which notes how many rows it is given."""

    def __init__(self, head) -> None:
        self._head = head
        self.rows: list[int] = []

    def logits(self, residuals: FloatArray) -> FloatArray:
        self.rows.append(len(residuals))
        return self._head.logits(residuals)


@pytest.mark.parametrize(("length", "threads"), [(1, 2), (13, 2), (40, 2), (57, 1), (57, 2)])
def test_every_cell_is_what_the_head_says_of_that_residual(built_model: Path, length: int, threads: int) -> None:
    session, ids = session_of(built_model), fixtures.prompt_logits("prose").ids[:length]
    prefill(session, ids)
    slots = session.sequence.slots
    grid = lens_grid(session.sequence.columns, slots, session.head, [*ids[1:], None], threads=threads)
    assert grid.token_ids.shape == (31, length)
    for layer in (0, 1, 17, 30):
        logits = session.head.logits(session.sequence.columns.residuals(slots, layer))
        exact = log_softmax(logits)
        assert np.array_equal(grid.token_ids[layer], logits.argmax(axis=1))
        assert grid.probabilities[layer] == pytest.approx(np.exp(exact.max(axis=1)), rel=1e-4)
        for position, token_id in enumerate(ids[1:]):
            assert grid.ranks[layer, position] == 1 + np.count_nonzero(logits[position] > logits[position, token_id])
        assert grid.ranks[layer, -1] == NO_RANK


@pytest.mark.parametrize("name", ["france", "single"])
def test_fp32_the_last_position_is_that_of_transformers(built_fp32_model: Path, name: str) -> None:
    session, witness = session_of(built_fp32_model), fixtures.lens(name)
    prefill(session, witness.ids)
    columns, slots = session.sequence.columns, session.sequence.slots
    grid = lens_grid(columns, slots, session.head, [None] * len(slots))
    assert np.array_equal(grid.token_ids[:, -1], witness.top_ids[:, 0])
    assert np.abs(np.log(grid.probabilities[:, -1]) - witness.top_logprobs[:, 0]).max() <= 2e-3


def test_logits_of_no_more_than_a_batch_are_asked_for_at_once_and_few_batches_are_small(built_model: Path) -> None:
    session, ids = session_of(built_model), fixtures.prompt_logits("prose").ids[:57]
    prefill(session, ids)
    head = WatchedHead(session.head)
    lens_grid(session.sequence.columns, session.sequence.slots, head, [None] * 57)  # type: ignore[arg-type]
    assert sum(head.rows) == 31 * 57
    assert sorted(head.rows)[1:] == [ROWS] * (len(head.rows) - 1)


def test_of_equal_logits_the_lower_id_comes_first() -> None:
    logits = np.array([[1, 2, 2, 0], [3, 3, 3, 3]], np.float32)
    top, probabilities, ranks = read_rows(logits.copy(), np.array([2, 3]))
    assert top.tolist() == [1, 0]
    assert ranks.tolist() == [2, 4]
    assert probabilities[1] == pytest.approx(0.25)


def test_an_error_of_the_head_ends_the_grid_and_its_threads(built_model: Path) -> None:
    session, ids = session_of(built_model), fixtures.prompt_logits("prose").ids[:57]
    prefill(session, ids)

    class BrokenHead:
        def logits(self, residuals: FloatArray) -> FloatArray:
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        lens_grid(session.sequence.columns, session.sequence.slots, BrokenHead(), [None] * 57)  # type: ignore[arg-type]
    assert not any(thread.name.startswith("lens") for thread in threading.enumerate())


def test_columns_that_are_gone_are_a_lookup_error(built_model: Path) -> None:
    session, ids = session_of(built_model), fixtures.prompt_logits("prose").ids[:20]
    prefill(session, ids)
    slots = session.sequence.slots.copy()
    session.sequence.forget()
    with pytest.raises(LookupError):
        lens_grid(session.sequence.columns, slots, session.head, [None] * 20)
