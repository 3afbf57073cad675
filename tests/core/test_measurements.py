"""What is measured beside the text, and what is computed for the cache and the sizes of models."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from canopy_desktop.exploration.bandwidth import Bandwidth, read_passes
from canopy_desktop.exploration.cache_size import CacheSize, LayerSize
from canopy_desktop.exploration.cache_view import cache_view
from canopy_desktop.exploration.measurements import Lap, RaceStep, Throughput, ThroughputProgress
from canopy_desktop.exploration.model_sizes import TEXT_TOKENS, installed_sizes, parameters_of, typical_sizes
from canopy_desktop.exploration.race_view import race_view
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.exploration.throughput import throughput_passes
from canopy_desktop.exploration.view import Chip, MetricsView, TokenRole, WindowView
from canopy_desktop.model.bundle import Bundle, Listed
from canopy_desktop.model.card import Activation, Architecture, Norm, Positions
from canopy_desktop.model.provider import ProviderChoice
from canopy_desktop.model.tokenizer import Token
from tests.core import tiny

SHAPE = Architecture(
    layers=30,
    heads=9,
    kv_heads=3,
    head_size=64,
    hidden=576,
    feed_forward=1536,
    vocabulary=49_152,
    context=8_192,
    rope_base=1e5,
    epsilon=1e-5,
)
GPT2 = Architecture(
    layers=12,
    heads=12,
    kv_heads=12,
    head_size=64,
    hidden=768,
    feed_forward=3072,
    vocabulary=50_257,
    context=1_024,
    epsilon=1e-5,
    norm=Norm.LAYER,
    positions=Positions.LEARNED,
    gated=False,
    qkv_biases=True,
    block_biases=True,
    activation=Activation.GELU,
)
METRICS = MetricsView(
    ttft_ms=None,
    tpot_ms_median=None,
    tpot_ms_p95=None,
    tokens_per_s=None,
    prefill_tokens_per_s=None,
    context_used=7,
    context=16,
    cache_bytes=0,
    columns_bytes=0,
    budget_bytes=0,
    memory_bytes=0,
    step_ms=np.empty(0, np.float32),
)


def test_every_pass_reads_the_whole_buffer_and_the_fastest_counts() -> None:
    passes = list(read_passes(8_000_000, passes=4, threads=2))
    assert [(one.done, one.passes) for one in passes] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    speeds = [one.bytes_per_s for one in passes]
    assert speeds == sorted(speeds)
    assert speeds[0] > 0


def test_the_least_time_of_a_token_is_its_weights_by_the_bandwidth() -> None:
    assert Bandwidth(1, 1, 25e9).least_ms(150_000_000) == pytest.approx(6.0)


def test_throughput_can_be_left_after_every_pass(tmp_path: Path) -> None:
    session = ModelSession.open(Bundle.open(tiny.build(tmp_path)), ProviderChoice.CPU)
    events = list(throughput_passes(session, (1, 3), steps=2))
    assert [one.requests for one in events if isinstance(one, Throughput)] == [1, 3]
    progress = [(one.requests, one.done, one.total) for one in events if isinstance(one, ThroughputProgress)]
    assert progress == [(1, 1, 4), (1, 2, 4), (1, 3, 4), (3, 1, 5), (3, 2, 5), (3, 3, 5), (3, 4, 5)]


def lap(ms: float, difference: float = 0.0, token_id: int = 1) -> Lap:
    return Lap(token_id, ms, difference)


def test_the_first_step_of_a_race_is_the_same_pass_for_all_and_is_left_out() -> None:
    prefill = RaceStep(position=9, token_id=1, without_cache=lap(50), refed=lap(50), cached=lap(50))
    steps = [
        RaceStep(
            position=10 + step,
            token_id=1,
            without_cache=lap(20.0 + step),
            refed=lap(6.0),
            cached=lap(5.0, 0.1 * step, token_id=1 + step // 3),
        )
        for step in range(4)
    ]
    view = race_view([prefill, *steps])
    assert view.lengths.tolist() == [10, 11, 12, 13]
    assert view.without_cache.tolist() == [20, 21, 22, 23]
    assert view.cached_differences.max() == pytest.approx(0.3)
    assert view.same_choices == 3
    assert view.late(view.without_cache) == 21.5
    assert race_view([prefill]).steps == race_view([]).steps == 0


def test_parameters_are_those_that_the_cards_of_well_known_models_say() -> None:
    shapes = {
        "SmolLM2 360M": replace(SHAPE, layers=32, heads=15, kv_heads=5, hidden=960, feed_forward=2560),
        "Llama 3.2 1B": replace(
            SHAPE, layers=16, heads=32, kv_heads=8, hidden=2048, feed_forward=8192, vocabulary=128_256
        ),
        "Llama 3.2 3B": replace(
            SHAPE, layers=28, heads=24, kv_heads=8, head_size=128, hidden=3072, feed_forward=8192, vocabulary=128_256
        ),
    }
    sizes = {size.name: size for size in typical_sizes()}
    assert parameters_of(SHAPE) == 134_515_008
    assert parameters_of(GPT2) == 124_439_808
    for name, shape in shapes.items():
        assert sizes[name].parameters == parameters_of(shape)
        assert sizes[name].cache_bytes_per_token == shape.kv_bytes_per_token


def test_sizes_grow_with_the_model_and_count_the_cache_of_one_text() -> None:
    sizes = typical_sizes()
    assert [size.total_bytes for size in sizes] == sorted(size.total_bytes for size in sizes)
    assert {size.tokens for size in sizes} == {TEXT_TOKENS}
    assert all(size.total_bytes == size.weight_bytes + TEXT_TOKENS * size.cache_bytes_per_token for size in sizes)


def test_an_installed_model_is_as_large_as_its_file_and_its_text_no_longer_than_its_context(tmp_path: Path) -> None:
    bundle = Bundle.open(tiny.build(tmp_path))
    broken = Listed("broken", tmp_path, None, "no card")
    (size,) = installed_sizes([Listed(bundle.card.id, bundle.folder, bundle.card, None), broken])
    assert size.weight_bytes == (bundle.folder / "weights.bin").stat().st_size
    assert size.tokens == tiny.CONTEXT
    assert size.parameters == sum(array.size for array in tiny.weights().values())


def measured(positions: int, capacity: int = 512) -> CacheSize:
    layer = LayerSize(key_bytes=768, value_bytes=768, used=1536 * positions, allocated=1536 * capacity)
    return CacheSize(positions=positions, capacity=capacity, predicted_per_position=46_080, layers=(layer,) * 30)


def window(prompt: int, generated: int, dropped: range = range(0)) -> WindowView:
    token = Token(1, "a", b"a", False)
    chips = [Chip(at, token, TokenRole.COMPLETION, None) for at in range(prompt)]
    chips += [Chip(prompt + at, token, TokenRole.GENERATED, at) for at in range(generated)]
    return WindowView(chips=tuple(chips), dropped=dropped, selected=prompt + generated - 1)


def test_the_newest_token_is_not_in_the_cache_before_it_is_read() -> None:
    view = cache_view(window(5, 3), METRICS, SHAPE, measured(7))
    assert view is not None
    assert (view.prompt, view.read, view.used, view.ahead) == (5, 7, 7, 0)
    assert view.number_bytes == 4
    assert view.size.predicted == view.size.used == 7 * 46_080


def test_after_a_slide_what_was_read_lies_behind_what_was_dropped() -> None:
    view = cache_view(window(5, 15, range(2, 14)), METRICS, SHAPE, measured(7))
    assert view is not None
    assert (view.read, view.used) == (19, 7)


def test_after_going_back_the_cache_still_holds_what_was_ahead() -> None:
    view = cache_view(window(5, 3), METRICS, SHAPE, measured(10))
    assert view is not None
    assert view.ahead == 3


def test_before_anything_was_read_there_is_no_cache_to_show() -> None:
    assert cache_view(WindowView(), METRICS, SHAPE, measured(7)) is None
    assert cache_view(window(5, 0), METRICS, SHAPE, measured(0)) is None
    assert cache_view(window(5, 0), METRICS, SHAPE, None) is None
