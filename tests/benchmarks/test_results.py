"""The comparison's arithmetic and its table, from made-up turns."""

import json
from dataclasses import replace

import pytest

from benchmarks import compare
from benchmarks.engine import Measurement
from benchmarks.results import (
    ATTENTIONS,
    DISCARDING,
    KEEPING,
    LLAMA,
    OPTIMUM,
    PLAIN,
    Program,
    Run,
    agreement,
    floor_ms,
    middle,
    outcomes,
    ratio,
    tpot,
    ttft,
)
from benchmarks.table import as_json, markdown


def turn(length: int, ttft_ms: float, step_ms: float, *, resident_mb: float = 400, chosen=(1, 2)) -> Measurement:
    return Measurement(
        length=length,
        ttft_ms=ttft_ms,
        step_ms=(step_ms, step_ms, 50 * step_ms),
        chosen=chosen,
        resident_bytes=int(resident_mb * 1e6),
        peak_bytes=int(resident_mb * 1e6),
    )


def program(name: str, *turns: Measurement) -> Program:
    return Program(
        name=name,
        load_ms=500.0,
        start_ms=900.0,
        loaded_bytes=300_000_000,
        weight_bytes=150_000_000,
        kv_bytes=50_000,
        versions={"it": "1.0"},
        turns=list(turns),
    )


def made_run(**changes) -> Run:
    run = Run(
        date="2026-11-23",
        command="benchmarks/run.sh",
        machine={"processor": "a processor"},
        load_before=0.1,
        commit="abc1234",
        seconds=60.0,
        rounds={16: 1, 512: 1},
        bandwidth=30e9,
        bandwidth_method="measured",
        programs=(
            program(KEEPING, turn(16, 20.0, 8.0), turn(512, 500.0, 9.0, resident_mb=460)),
            program(DISCARDING, turn(16, 20.0, 8.0), turn(512, 400.0, 9.0)),
            program(LLAMA, turn(16, 40.0, 10.0), turn(512, 1000.0, 9.0)),
            program(ATTENTIONS, turn(16, 40.0, 50.0), turn(512, 1000.0, 90.0)),
            program(PLAIN, turn(16, 40.0, 40.0), turn(512, 1000.0, 40.0, chosen=(1, 3))),
            program(OPTIMUM, turn(16, 40.0, 40.0), turn(512, 1000.0, 40.0)),
        ),
        kept={"steps": 32, "prompt_logits": 9, "attention_rows": 80, "kept_bytes_per_token": 186_624},
        cut_short=False,
    )
    return replace(run, **changes)


def found(run: Run, measure: str, against: str):
    (outcome,) = [o for o in outcomes(run.programs, run.bandwidth) if (o.measure, o.against) == (measure, against)]
    return outcome


def test_a_time_per_token_is_the_median_of_a_turn_and_then_of_the_rounds() -> None:
    measured = program("it", turn(16, 1.0, 3.0), turn(16, 2.0, 1.0), turn(16, 9.0, 2.0), turn(512, 5.0, 70.0))
    assert middle(measured, 16, tpot) == 2.0
    assert middle(measured, 16, ttft) == 2.0
    assert middle(measured, 2048, tpot) is None


def test_a_ratio_compares_turns_of_the_same_round() -> None:
    one = program("one", turn(16, 10.0, 1.0), turn(16, 100.0, 1.0), turn(16, 30.0, 1.0))
    other = program("other", turn(16, 20.0, 1.0), turn(16, 200.0, 1.0), turn(16, 30.0, 1.0))
    assert ratio(one, other, 16, ttft) == 0.5
    assert ratio(one, other, 512, ttft) is None


def test_the_floor_reads_all_weights_and_the_cache_of_every_position() -> None:
    assert floor_ms(program("it"), 1000, 20e9) == pytest.approx(10.0)


def test_agreement_is_the_part_of_equal_choices() -> None:
    assert agreement(program("a", turn(16, 1, 1)), program("b", turn(16, 1, 1, chosen=(1, 3))), 16) == 0.5


@pytest.mark.parametrize(
    ("measure", "against", "value", "passed"),
    [
        ("TPOT at 16", LLAMA, 0.8, True),
        ("TPOT at 512", LLAMA, 1.0, False),
        ("TTFT at 512", LLAMA, 0.5, False),
        ("TPOT at 512", ATTENTIONS, 0.1, True),
        ("TTFT at 512", DISCARDING, 1.25, False),
        ("TPOT at 512", DISCARDING, 1.0, True),
        ("TPOT at 16", "8-bit weights ÷ bandwidth", 1.6, True),
        ("resident memory at 512", "–", 460.0, False),
    ],
)
def test_each_goal_is_held_against_what_was_found(measure: str, against: str, value: float, passed: bool) -> None:
    outcome = found(made_run(), measure, against)
    assert outcome.found == pytest.approx(value)
    assert outcome.passed is passed


def test_a_length_that_was_not_measured_neither_reaches_nor_misses_its_goal() -> None:
    assert found(made_run(), "TTFT at 8,000", LLAMA).passed is None
    assert "| TTFT at 8,000 | llama.cpp | ≤ 0.45 | – | not measured |" in markdown(made_run())


def test_the_page_shows_goals_figures_memory_and_what_was_proved() -> None:
    page = markdown(made_run())
    for line in (
        "| TPOT at 512 | llama.cpp | ≤ 0.90 | 1.00 | **missed** |",
        "| resident memory at 512 | – | ≤ 450 MB | 460 MB | **missed** |",
        "| canopy | 20.0 | 500 |",
        "| canopy | 0.50 | 0.90 | 300 | 400 (400) | 460 (460) |",
        "| llama.cpp | 100 % | 50 % |",
    ):
        assert line in page.splitlines()
    assert "186,624 bytes a token" in page
    assert "tests/core/test_parity.py" in page


def test_a_run_that_was_cut_short_says_so() -> None:
    assert "cut short" not in markdown(made_run())
    assert "cut short" in markdown(made_run(cut_short=True))


def test_a_run_on_a_busy_machine_says_that_it_proves_nothing() -> None:
    assert "busy" not in markdown(made_run())
    assert "prove nothing" in markdown(made_run(load_before=2.0))


def test_the_json_holds_every_time_and_every_goal() -> None:
    facts = json.loads(as_json(made_run()))
    assert facts["programs"][0]["turns"][0]["step_ms"] == [8.0, 8.0, 400.0]
    assert {goal["passed"] for goal in facts["goals"]} == {True, False, None}


def test_rounds_go_from_short_to_long_and_start_again() -> None:
    assert list(compare.turns({512: 1, 16: 2})) == [(0, 16), (0, 512), (1, 16)]


def test_every_program_gets_the_same_ordinary_tokens_at_every_run() -> None:
    ids = compare.token_ids()
    assert ids == compare.token_ids()
    assert min(ids) >= 100
    assert len(ids) > 8000


def test_without_options_the_whole_comparison_is_asked_for() -> None:
    assert not compare.parse([]).quick
    assert compare.parse([]).minutes < 15
    assert compare.parse(["--quick"]).quick
