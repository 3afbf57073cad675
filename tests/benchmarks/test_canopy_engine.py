"""The comparison's own side: what it times is this program, and its check can fail."""

from pathlib import Path

import pytest

from benchmarks.compare import token_ids
from benchmarks.engine import STEPS, measure
from benchmarks.engines.canopy import DiscardingEngine, KeepingEngine, eight_bit_bytes
from canopy_desktop.model.bundle import Bundle

PROMPT = 40


def test_keeping_columns_changes_no_token(built_model: Path) -> None:
    ids = token_ids()
    keeping = measure(KeepingEngine(built_model), ids, PROMPT)
    assert keeping.chosen == measure(DiscardingEngine(built_model), ids, PROMPT).chosen
    assert len(keeping.step_ms) == STEPS


def test_the_check_fails_where_a_kept_residual_was_changed(built_model: Path) -> None:
    ids = token_ids()
    engine = KeepingEngine(built_model)
    measure(engine, ids, PROMPT)
    assert engine.check(ids, PROMPT)["kept_bytes_per_token"] > 0
    measure(engine, ids, PROMPT)
    columns = engine._sequence.columns
    columns.residuals(engine._sequence.slots[-1:], -1)[0, 0] += 1.0
    with pytest.raises(RuntimeError, match="Logits of position"):
        engine.check(ids, PROMPT)


def test_eight_bit_bytes_count_every_matrix_once_with_its_scales(built_model: Path) -> None:
    architecture = Bundle.open(built_model).card.architecture
    assert eight_bit_bytes(architecture) == 134_479_872 * 36 // 32
