"""The laws that every feature obeys, and the leaks that each law catches."""

import itertools
from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.features import catalogue, kernels, matrix, price, trend
from tradewind.features.catalogue import FeatureSelection
from tradewind.features.spec import Chunk, Feature, Floats, on_timeframe, recursive, windowed
from tradewind.market.resample import resample_closed

ALL = catalogue.select(FeatureSelection(), "1h", ("funding", "sentiment"))
HOUR_MS = 3_600_000
CUTS = (0, 1, 2, 3, 26, 27, 333, 500, 999, 1000, 1001, 1337, 2000)


def at_once(feature: Feature, chunk: Chunk) -> Floats:
    return feature.advance(None, chunk)[1]


def in_chunks(feature: Feature, chunk: Chunk, cuts: list[int]) -> Floats:
    state, parts = None, []
    bounds = [0, *cuts, len(chunk)]
    for start, stop in itertools.pairwise(bounds):
        state, values = feature.advance(state, chunk.rows(start, stop))
        parts.append(values)
    return np.concatenate(parts)


def scrambled_after(chunk: Chunk, cut: int, seed: int) -> Chunk:
    """The same bars up to `cut`, and any others after it: prices, volumes, other symbols and side series."""
    rng = np.random.default_rng(seed)
    factor = np.where(np.arange(len(chunk)) < cut, 1.0, np.exp(rng.normal(0, 0.5, len(chunk))))
    columns = {
        name: getattr(chunk, name) * factor
        for name in ("open", "high", "low", "close", "volume", "reference_close", "market_return")
    }
    return replace(chunk, **columns, side={name: values * factor for name, values in chunk.side.items()})


def with_holes(chunk: Chunk) -> Chunk:
    """The same segments with bars missing here and there, and the reference symbol now and then absent."""
    rng = np.random.default_rng(3)
    kept = np.flatnonzero(rng.random(len(chunk)) > 0.02)
    columns = {f.name: getattr(chunk, f.name)[kept] for f in fields(Chunk) if f.name != "side"}
    columns["reference_close"] = np.where(rng.random(len(kept)) < 0.002, np.nan, columns["reference_close"])
    return Chunk(**columns, side={name: values[kept] for name, values in chunk.side.items()})


def check_cuts(feature: Feature, chunk: Chunk, cuts: list[int]) -> None:
    np.testing.assert_allclose(in_chunks(feature, chunk, cuts), at_once(feature, chunk), rtol=1e-9, atol=0)


def check_future(feature: Feature, chunk: Chunk, cut: int, seed: int = 1) -> None:
    """Nothing known before `cut` moves when everything from it on is other than it was."""
    before = at_once(feature, chunk)[:cut]
    np.testing.assert_array_equal(at_once(feature, scrambled_after(chunk, cut, seed))[:cut], before)


def check_lookback(feature: Feature, chunk: Chunk, row: int) -> None:
    """With the declared lookback and no more, the value is that of the whole history."""
    start = row - feature.lookback
    alone = at_once(feature, chunk.rows(start, row + 1))[-1]
    np.testing.assert_allclose(alone, at_once(feature, chunk)[row], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("feature", ALL, ids=str)
def test_cutting_the_history_changes_nothing(feature: Feature, chunk: Chunk) -> None:
    check_cuts(feature, chunk, list(CUTS[1:]))
    live = chunk.rows(480, 1060)  # bar by bar, long enough for daily bars, and across the start of a segment
    check_cuts(feature, live, list(range(1, len(live))))


@pytest.mark.parametrize("feature", ALL, ids=str)
def test_cutting_a_history_with_holes_changes_nothing(feature: Feature, chunk: Chunk) -> None:
    holed = with_holes(chunk.rows(0, 1100))
    check_cuts(feature, holed, list(range(400, len(holed), 3)))


@pytest.mark.parametrize("feature", ALL, ids=str)
def test_no_bars_give_no_values_and_change_nothing(feature: Feature, chunk: Chunk) -> None:
    part, none = chunk.rows(960, 1040), chunk.rows(0, 0)
    assert len(feature.advance(None, none)[1]) == 0
    check_cuts(feature, part, [0, 0, 30, 30, 40, 40, len(part)])


@pytest.mark.parametrize("feature", ALL, ids=str)
@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(0, 2000), max_size=6).map(sorted))
def test_cutting_the_history_anywhere_changes_nothing(feature: Feature, chunk: Chunk, cuts: list[int]) -> None:
    check_cuts(feature, chunk, cuts)


@pytest.mark.parametrize("feature", ALL, ids=str)
def test_the_future_is_not_seen(feature: Feature, chunk: Chunk) -> None:
    whole = at_once(feature, chunk)
    for number, cut in enumerate(np.linspace(1, len(chunk) - 1, 200).astype(int)):
        # A window that ends well after the cut holds all that could leak, and keeps 200 cuts quick.
        start = max(cut - 400, 0)
        part = chunk.rows(start, min(cut + 60, len(chunk)))
        check_future(feature, part, cut - start, seed=number)
    assert np.isfinite(whole).any()


@pytest.mark.parametrize("feature", ALL, ids=str)
def test_the_declared_lookback_is_enough(feature: Feature, chunk: Chunk) -> None:
    for row in (len(chunk) - 1, len(chunk) - 77, len(chunk) - 300):
        check_lookback(feature, chunk, row)


@pytest.mark.parametrize("feature", ALL, ids=str)
def test_nothing_crosses_a_segment(feature: Feature, chunk: Chunk) -> None:
    alone = at_once(feature, chunk.rows(1000, len(chunk)))
    np.testing.assert_array_equal(at_once(feature, chunk)[1000:], alone)


SCALED = [f for f in ALL if f.family not in {"side_data"}]


@pytest.mark.parametrize("feature", SCALED, ids=str)
def test_the_currency_does_not_matter(feature: Feature, chunk: Chunk) -> None:
    columns = {n: getattr(chunk, n) * 1024.0 for n in ("open", "high", "low", "close", "reference_close")}
    np.testing.assert_allclose(
        at_once(feature, replace(chunk, **columns)), at_once(feature, chunk), rtol=1e-6, atol=1e-9
    )


def check_clock(feature: Feature, chunk: Chunk, hours: int) -> None:
    later = hours * HOUR_MS
    shifted = replace(chunk, timestamp=chunk.timestamp + later, open_time=chunk.open_time + later)
    np.testing.assert_array_equal(at_once(feature, shifted), at_once(feature, chunk))


@pytest.mark.parametrize("feature", [f for f in ALL if f.family != "calendar"], ids=str)
def test_another_time_of_day_changes_nothing_but_the_calendar(feature: Feature, chunk: Chunk) -> None:
    check_clock(feature, chunk, 24 if feature.name.endswith(("_4h", "_1d")) else 5)  # slower bars begin at midnight


@pytest.mark.parametrize("feature", [f for f in ALL if f.family == "calendar"], ids=str)
def test_a_feature_that_reads_the_clock_is_noticed(feature: Feature, chunk: Chunk) -> None:
    with pytest.raises(AssertionError):
        check_clock(feature, chunk, 5)


# What a price that does not move says: nothing, which is 0 but for these.
NEUTRAL = {
    **{f"rsi_{period}": 50.0 for period in (7, 14, 28)},
    **dict.fromkeys(("rsi_cutler_14_4h", "rsi_cutler_14_1d", "money_flow_index_14"), 50.0),
    "return_rank_168": 0.5,
    "relative_volume_24": 1.0,
    **dict.fromkeys(("funding_level", "funding_mean_72", "sentiment_level", "sentiment_mean_168"), 1e-4),
}


def check_stillness(feature: Feature, chunk: Chunk, price_level: float, volume: float) -> None:
    """On a price, volume and side series that do not move, the feature says so."""
    still = np.full(len(chunk), price_level)
    columns = dict.fromkeys(("open", "high", "low", "close", "reference_close"), still)
    side = {name: np.full(len(chunk), 1e-4) for name in chunk.side}
    flat = replace(chunk, **columns, volume=np.full(len(chunk), volume), market_return=np.zeros(len(chunk)), side=side)
    neutral = 0.0 if volume == 0 and feature.name == "relative_volume_24" else NEUTRAL.get(feature.name, 0.0)
    np.testing.assert_allclose(at_once(feature, flat)[-1], neutral, rtol=1e-9, atol=1e-9)


# Sums of 1e12 and of 0 are exact; those of the others are not, and rounding must not pass for movement.
@pytest.mark.parametrize(("price_level", "volume"), [(1e12, 0.0), (0.1, 3.3), (27_123.37, 0.7)])
@pytest.mark.parametrize("feature", [f for f in ALL if f.family != "calendar"], ids=str)
def test_a_price_that_does_not_move_says_nothing(
    feature: Feature, chunk: Chunk, price_level: float, volume: float
) -> None:
    check_stillness(feature, chunk, price_level, volume)


def test_rounding_that_poses_as_movement_is_caught(chunk: Chunk) -> None:
    def compute(bars: Chunk) -> Floats:
        mean = kernels.rolling_mean(bars.close, 20)
        square = kernels.rolling_mean((bars.close - mean) ** 2, 20)
        return price.ratio(bars.close - mean, np.sqrt(square))

    with pytest.raises(AssertionError):
        check_stillness(leak("noise", compute), chunk, 0.1, 1.0)


def leak(name: str, compute: Callable[[Chunk], Floats], lookback: int = 50) -> Feature:
    return replace(price.log_return(1), name=name, lookback=lookback, step=windowed(compute, lookback))


def _centred(bars: Chunk) -> Floats:
    mean = kernels.rolling_mean(bars.close, 11)
    return np.append(mean[5:], np.full(5, np.nan))


def _recursion(bars: Chunk) -> Floats:
    return bars.close / kernels.exponential_mean(bars.close, 48.0, np.zeros(2), 0)


def _early_slow_bar() -> Feature:
    """The four-hour close, seen from the first hour on: resampled with the label on the left."""

    def compute(bars: Chunk) -> Floats:
        group = bars.open_time // (4 * HOUR_MS)
        last = dict(zip(group, bars.close, strict=True))
        return np.array([last[key] for key in group])

    return leak("slow_close_from_its_start", compute, lookback=4)


PLANTED_LEAKS = {
    "shift(-1)": leak("tomorrow", lambda b: np.append(b.close[1:], b.close[-1:]) / b.close),
    "global z-score": leak("z_score", lambda b: (b.close - b.close.mean()) / (b.close.std() + 1e-9)),
    "global minimum and maximum": leak("min_max", lambda b: (b.close - b.close.min()) / (np.ptp(b.close) + 1e-9)),
    "rank in the sample": leak("rank", lambda b: b.close.argsort().argsort().astype(float)),
    "centred window": leak("centred", _centred),
    "backward fill": leak("backward_fill", lambda b: np.maximum.accumulate(b.close[::-1])[::-1] / b.close),
    "mean of the sample": leak("demeaned", lambda b: np.log(b.close) - np.log(b.close).mean()),
    "slower bar seen before its close": _early_slow_bar(),
    "filter run both ways": leak("smoothed", lambda b: b.close / np.convolve(b.close, np.ones(5) / 5, "same")),
    "the other symbol's next close": leak("leader", lambda b: np.append(b.reference_close[1:], np.nan) / b.close),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED_LEAKS)
def test_a_planted_leak_is_caught(name: str, chunk: Chunk) -> None:
    with pytest.raises(AssertionError):
        for cut in (500, 501, 502, 503):
            check_future(PLANTED_LEAKS[name], chunk.rows(0, 900), cut)


UNDERSTATED = {
    "a lookback that is too short": replace(price.log_return(24), lookback=12, step=windowed(
        lambda bars: kernels.log_change(bars.close, 24), 12)),
    "a recursion that poses as a window": leak("posing", _recursion, lookback=20),
    "a state that forgets": replace(trend.ema_distance(48), step=recursive(
        lambda bars, state: kernels.exponential_mean(bars.close, 48.0, np.zeros(2), 0), 2, 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", UNDERSTATED)
def test_an_understated_past_is_caught(name: str, chunk: Chunk) -> None:
    with pytest.raises(AssertionError):
        check_cuts(UNDERSTATED[name], chunk, list(range(400, 900, 7)))


def test_a_recursion_with_too_short_a_lookback_is_caught(chunk: Chunk) -> None:
    hasty = replace(trend.rsi(28), lookback=60, step=recursive(
        lambda bars, state: trend._rsi(bars.close, 28, state), 4, 60))  # fmt: skip
    with pytest.raises(AssertionError):
        check_lookback(hasty, chunk, len(chunk) - 1)


def test_a_feature_that_crosses_segments_is_caught(chunk: Chunk) -> None:
    class Crossing(Feature):
        def advance(self, state: object, chunk: Chunk) -> tuple[object, Floats]:
            return None, kernels.log_change(chunk.close, 24)

    crossing = Crossing(**{**price.log_return(24).__dict__})
    with pytest.raises(AssertionError):
        test_nothing_crosses_a_segment(crossing, chunk)


def test_a_slower_bar_is_visible_at_its_close_and_not_before(chunk: Chunk) -> None:
    close = replace(price.log_return(1), step=windowed(lambda bars: bars.close.copy(), 0), lookback=0)
    values = at_once(on_timeframe(close, "4h", HOUR_MS), chunk.rows(0, 400))
    for row in range(8, 400):
        closed = [at for at in range(row + 1) if chunk.timestamp[at] % (4 * HOUR_MS) == 0]
        assert values[row] == chunk.close[closed[-1]]


@pytest.mark.parametrize("timeframe", ["4h", "1d", "1w"])
@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
def test_slower_bars_are_those_of_the_resampler(
    market_bars: dict[str, pd.DataFrame], chunk: Chunk, timeframe: str, column: str
) -> None:
    """Two ways to the same bars: carried along bar by bar, and grouped by pandas; weeks begin on Mondays in both."""
    slow = resample_closed(market_bars["SIM2"].assign(venue="simulated", timeframe="1h"), timeframe)
    read = replace(price.log_return(1), step=windowed(lambda bars: getattr(bars, column).copy(), 0), lookback=0)
    values = at_once(on_timeframe(read, timeframe, HOUR_MS), chunk)
    closes = matrix.epoch_ms(slow["timestamp"])
    at_close = values[np.isin(chunk.timestamp, closes)]
    assert len(at_close) == len(slow) > 10
    np.testing.assert_allclose(at_close, slow[column])
