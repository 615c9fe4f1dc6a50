"""What is joined to a bar was known at its close: replacing all that came later moves nothing before."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tradewind.learning.features import catalogue, matrix
from tradewind.learning.features.bars import Chunk
from tradewind.learning.features.catalogue import FeatureSelection
from tradewind.learning.features.market_columns import Published, fold_settled
from tradewind.market.segments import assign_segments

HOUR_MS = 3_600_000
MAX_GAP_BARS = 3
COLUMNS = ("open", "high", "low", "close", "volume")
MARKET = ("market_return", "market_breadth", "market_dispersion", "market_rank")

Tables = Mapping[str, pd.DataFrame]
Join = Callable[[Tables, Tables], Chunk]


def join(bars: Tables, side: Tables) -> Chunk:
    return matrix.build_chunk(bars["SIM2"], bars["SIM1"], matrix.market_table(bars), side)


@pytest.fixture(scope="module")
def bars(market_bars: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Three symbols, each with bars of its own missing."""
    rng = np.random.default_rng(4)
    return {
        name: resegmented(table.iloc[600:1400][rng.random(800) > 0.02].reset_index(drop=True))
        for name, table in market_bars.items()
    }


def settled_slowly(known: np.ndarray, value: np.ndarray, times: np.ndarray) -> np.ndarray:
    """What was paid within each bar, by looking at every payment."""
    return np.array([
        sum(paid for at, paid in zip(known, value, strict=True) if opened < at <= closed and paid == paid)
        for opened, closed in times.T
    ], dtype=np.float64)  # fmt: skip


def test_payments_belong_to_the_bar_that_contains_them_wherever_the_history_is_cut() -> None:
    rng = np.random.default_rng(2)
    opened = np.sort(rng.choice(400, 200, replace=False)).astype(np.int64)  # with gaps, in which nothing is paid
    times = np.stack([opened, opened + 1]) * HOUR_MS
    known = np.sort(rng.integers(0, 400 * 4, 150)) * (HOUR_MS // 4)
    value = np.where(rng.random(150) < 0.1, np.nan, rng.integers(1, 9, 150).astype(np.float64))
    whole = fold_settled(Published(), known, value, (times[0], times[1]))[1]
    np.testing.assert_array_equal(whole, settled_slowly(known, value, times))
    assert whole.any() and (whole == 0).any() and whole.sum() < np.nansum(value)
    for is_carried in (True, False):
        state, paid, told = Published(), [], -1
        for first in range(0, 200, 7):
            part = times[:, first : first + 7]
            until = part[1, -1] + 5 * HOUR_MS  # some come hours before the bar that contains them
            news = (known > told) & (known <= until)
            state, out = fold_settled(state, known[news], value[news], (part[0], part[1]))
            state, told = state if is_carried else Published(), until
            paid.append(out)
        assert np.array_equal(np.concatenate(paid), whole) == is_carried


def resegmented(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(segment=assign_segments(matrix.epoch_ms(table["open_time"]), HOUR_MS, MAX_GAP_BARS))


def another_future(table: pd.DataFrame, now: pd.Timestamp, rng: np.random.Generator) -> pd.DataFrame:
    """The same bars up to `now`; after it other prices and volumes, and other bars missing."""
    later = table[table["timestamp"] > now]
    later = later[rng.random(len(later)) > 0.2]
    factor = np.exp(rng.normal(0, 0.5, len(later)))
    later = later.assign(**{name: later[name] * factor for name in COLUMNS})
    return resegmented(pd.concat([table[table["timestamp"] <= now], later], ignore_index=True))


def another_side(series: pd.DataFrame, now: pd.Timestamp, rng: np.random.Generator) -> pd.DataFrame:
    later = series["known_at"] > now
    return series.assign(value=np.where(later, rng.normal(0, 1, len(series)), series["value"]))


def check_joins(make: Join, bars: Tables, side: Tables, cut: int, seed: int) -> tuple[Chunk, Chunk]:
    """The chunk up to and with row `cut`, as it is and with another future: equal in every column."""
    rng = np.random.default_rng(seed)
    now = bars["SIM2"]["timestamp"].iloc[cut]
    other_bars = {name: another_future(table, now, rng) for name, table in bars.items()}
    other_side = {name: another_side(series, now, rng) for name, series in side.items()}
    before, after = make(bars, side).rows(0, cut + 1), make(other_bars, other_side).rows(0, cut + 1)
    for name in ("timestamp", "open_time", "segment", *COLUMNS, "reference_close", *MARKET):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name), err_msg=name)
    for name in side:
        np.testing.assert_array_equal(after.side[name], before.side[name], err_msg=name)
    return before, after


@pytest.mark.parametrize("seed", range(4))
def test_the_joins_do_not_see_the_future(
    bars: dict[str, pd.DataFrame], side_series: dict[str, pd.DataFrame], seed: int
) -> None:
    cuts = np.random.default_rng(seed).choice(np.arange(1, len(bars["SIM2"]) - 1), 50, replace=False)
    for cut in cuts:
        check_joins(join, bars, side_series, int(cut), seed)


def test_no_feature_sees_another_symbols_future(
    bars: dict[str, pd.DataFrame], side_series: dict[str, pd.DataFrame]
) -> None:
    features = catalogue.select(FeatureSelection(), "1h", tuple(side_series))
    for cut in (480, 600, 701):
        before, after = check_joins(join, bars, side_series, cut, seed=cut)
        ours, theirs = (matrix.feature_matrix(part, features) for part in (before, after))
        for row, feature in enumerate(features):
            np.testing.assert_array_equal(theirs[row], ours[row], err_msg=feature.name)


def _side_joined_forwards(bars: Tables, side: Tables) -> Chunk:
    early = {name: series.assign(known_at=series["known_at"] - pd.Timedelta(hours=8)) for name, series in side.items()}
    return join(bars, early)


def _reference_filled_backwards(bars: Tables, side: Tables) -> Chunk:
    chunk = join(bars, side)
    return replace(chunk, reference_close=pd.Series(chunk.reference_close).bfill().to_numpy())


def _reference_stamped_by_its_open(bars: Tables, side: Tables) -> Chunk:
    early = bars["SIM1"].assign(timestamp=bars["SIM1"]["open_time"])
    return matrix.build_chunk(bars["SIM2"], early, matrix.market_table(bars), side)


def _market_one_bar_ahead(bars: Tables, side: Tables) -> Chunk:
    market = matrix.market_table(bars).sort_index().shift(-1)
    return matrix.build_chunk(bars["SIM2"], bars["SIM1"], market, side)


PLANTED: dict[str, Join] = {
    "side series joined by the date they refer to": _side_joined_forwards,
    "an absent reference filled backwards": _reference_filled_backwards,
    "the reference stamped by its open": _reference_stamped_by_its_open,
    "the market one bar ahead": _market_one_bar_ahead,
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_join_that_leaks_is_caught(
    name: str, bars: dict[str, pd.DataFrame], side_series: dict[str, pd.DataFrame]
) -> None:
    with pytest.raises(AssertionError):
        for cut in range(300, 500):
            check_joins(PLANTED[name], bars, side_series, cut, seed=1)
