"""What came, what was rejected, what is missing: counted, a symbol at a time."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.cleaning import DUPLICATE, SUPERSEDED
from tradewind.data.files.quarantine import require_all_rows
from tradewind.data.quality.grid import Grid, epoch_ms, grid_of, key_of

Bools = npt.NDArray[np.bool_]


def count_rows(key: BarKey, received: int, accepted: int, rejected: int) -> pd.DataFrame:
    """One row of `RowCounts`.

    Args:
        key: whose rows they are.
        received: how many came.
        accepted: how many were taken.
        rejected: how many were not.

    Returns:
        A table of one row.

    Raises:
        BadData: the rows do not add up.
    """
    require_all_rows(key, received, accepted, rejected)
    counts = pd.DataFrame(key.columns(1))
    counts["rows_received"] = np.int64(received)
    counts["rows_accepted"] = np.int64(accepted)
    counts["rows_rejected"] = np.int64(rejected)
    return counts


def describe_bars(
    bars: pd.DataFrame, counts: pd.DataFrame, rejected: pd.DataFrame, grid: Grid | None = None
) -> pd.DataFrame:
    """One row of `BarCounts` for the checked bars of one symbol, its row counts and its rejected rows.

    Args:
        bars: one symbol's checked bars.
        counts: its row of `RowCounts`.
        rejected: its rejected rows.
        grid: the time in which bars are expected; from the first to the last bar if None.

    Returns:
        A table of one row.
    """
    grid = grid or grid_of(bars)
    _, lengths = grid.gaps()
    reasons = rejected["reason"].value_counts()
    segment_sizes = np.bincount(bars["segment"].to_numpy())
    row = {
        "first": bars["timestamp"].iloc[0],
        "last": bars["timestamp"].iloc[-1],
        "rejected_reasons": "; ".join(f"{count} x {reason}" for reason, count in sorted(reasons.items())),
        "duplicates": int(reasons.get(DUPLICATE, 0)) + int(reasons.get(SUPERSEDED, 0)),
        "expected_bars": grid.expected,
        "missing_bars": int(lengths.sum()),
        "completeness": 1 - int(lengths.sum()) / grid.expected,
        "gaps": len(lengths),
        "longest_gap_bars": int(lengths.max(initial=0)),
        "segments": int((segment_sizes > 0).sum()),
        "longest_segment_bars": int(segment_sizes.max()),
        "zero_volume_bars": int((bars["volume"] == 0).sum()),
        "stale_bars": int(is_stale(bars).sum()),
        "largest_abs_return": _largest_abs_return(bars),
    }
    described = pd.concat([counts.reset_index(drop=True), pd.DataFrame([row])], axis=1)
    return described.astype({"first": "datetime64[ms, UTC]", "last": "datetime64[ms, UTC]", "rejected_reasons": "str"})


def missing_by_day(bars: pd.DataFrame, grid: Grid | None = None) -> pd.DataFrame:
    """Expected and missing bars of one symbol for each day (`QualityCalendar`); days without expected bars are out."""
    grid = grid or grid_of(bars)
    expected, missing = grid.expected_by("D"), grid.missing_by("D")
    days = pd.DataFrame(key_of(bars).columns(len(expected)))
    days["day"] = pd.DatetimeIndex(expected.index).as_unit("ms").tz_localize("UTC")
    days["expected_bars"] = expected.to_numpy()
    days["missing_bars"] = missing.reindex(expected.index, fill_value=0).to_numpy()
    return days


def missing_by_month(bars: pd.DataFrame, grid: Grid | None = None) -> pd.DataFrame:
    """Expected and missing bars of one symbol for each calendar month (UTC, by open time) of its span.

    Columns: symbol, month (text, `2024-01`), expected_bars, missing_bars, missing_share in [0, 1]. The first and
    the last month count from the first and to the last bar.
    """
    grid = grid or grid_of(bars)
    expected = grid.expected_by("M")
    months = pd.DataFrame({"expected_bars": expected, "missing_bars": grid.missing_by("M")}).fillna(0)
    months = months.astype("int64")
    months["missing_share"] = months["missing_bars"] / months["expected_bars"]
    months.insert(0, "month", months.index.to_numpy("datetime64[M]").astype("str"))
    months.insert(0, "symbol", str(bars["symbol"].iloc[0]))
    return months.astype({"symbol": "str", "month": "str"}).reset_index(drop=True)


def join_rows(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The tables of all symbols as one, with dtypes kept and a fresh index."""
    filled = [table for table in tables if len(table)] or list(tables[:1])
    return pd.concat(filled, ignore_index=True)


def is_stale(bars: pd.DataFrame) -> Bools:
    """Which bars repeat the close before them in all four prices, within a segment."""
    prices = bars[["open", "high", "low", "close"]].to_numpy()
    return np.r_[False, (prices[1:] == prices[:-1, 3:]).all(axis=1) & within_segment(bars)]


def within_segment(bars: pd.DataFrame) -> Bools:
    """For each bar but the first: whether it is in the segment of the bar before it."""
    segment = bars["segment"].to_numpy()
    return np.asarray(segment[1:] == segment[:-1], dtype=bool)


def is_next(bars: pd.DataFrame) -> Bools:
    """For each bar but the first: whether it opens when the bar before it closes."""
    return np.asarray(epoch_ms(bars["open_time"])[1:] == epoch_ms(bars["timestamp"])[:-1], dtype=bool)


def _largest_abs_return(bars: pd.DataFrame) -> float:
    close = bars["close"].to_numpy()
    returns = np.abs(np.log(close[1:] / close[:-1]))[within_segment(bars)]
    return float(returns.max()) if len(returns) else 0.0
