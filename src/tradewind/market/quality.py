"""How good the bars of each symbol are: what came, what was refused, what is missing, what looks odd."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pandera.pandas as pa
from pandera.typing import Series

from tradewind.market.bar_key import BarKey
from tradewind.market.cleaning import DUPLICATE, SUPERSEDED
from tradewind.market.quarantine import require_all_rows
from tradewind.market.schema import Instant
from tradewind.market.segments import missing_before
from tradewind.market.timeframes import bar_duration_ms


class RowCounts(pa.DataFrameModel):
    """What became of the rows of each source; received is accepted plus rejected."""

    venue: Series[str]
    symbol: Series[str]
    timeframe: Series[str]
    rows_received: Series[np.int64] = pa.Field(ge=0)
    rows_accepted: Series[np.int64] = pa.Field(ge=0)
    rows_rejected: Series[np.int64] = pa.Field(ge=0)

    class Config:
        strict = True
        unique = ["venue", "symbol", "timeframe"]  # noqa: RUF012 - pandera reads a plain list

    @pa.dataframe_check(name="received = accepted + rejected")
    def adds_up(cls, counts: pd.DataFrame) -> Series[bool]:  # noqa: N805
        """No row is lost or made up."""
        return counts["rows_received"] == counts["rows_accepted"] + counts["rows_rejected"]


class DataQuality(RowCounts):
    """One row a symbol.

    `first` and `last` are bar closes. Missing bars are those the grid has between the first and the last bar;
    `completeness` is the share that is there. A stale bar repeats the close before it in all four prices.
    `largest_abs_return` is the largest absolute log return from close to close within a segment.
    """

    first: Series[Instant]
    last: Series[Instant]
    rejected_reasons: Series[str]
    duplicates: Series[np.int64] = pa.Field(ge=0)
    expected_bars: Series[np.int64] = pa.Field(gt=0)
    missing_bars: Series[np.int64] = pa.Field(ge=0)
    completeness: Series[float] = pa.Field(gt=0, le=1)
    gaps: Series[np.int64] = pa.Field(ge=0)
    longest_gap_bars: Series[np.int64] = pa.Field(ge=0)
    segments: Series[np.int64] = pa.Field(ge=1)
    longest_segment_bars: Series[np.int64] = pa.Field(ge=1)
    zero_volume_bars: Series[np.int64] = pa.Field(ge=0)
    stale_bars: Series[np.int64] = pa.Field(ge=0)
    largest_abs_return: Series[float] = pa.Field(ge=0)


def count_rows(key: BarKey, received: int, accepted: int, rejected: int) -> pd.DataFrame:
    """One row of `RowCounts`.

    Raises:
        BadData: the rows do not add up.
    """
    require_all_rows(key, received, accepted, rejected)
    counts = pd.DataFrame(key.columns(1))
    counts["rows_received"] = np.int64(received)
    counts["rows_accepted"] = np.int64(accepted)
    counts["rows_rejected"] = np.int64(rejected)
    return counts


def describe_bars(bars: pd.DataFrame, counts: pd.DataFrame, rejected: pd.DataFrame) -> pd.DataFrame:
    """One row of `DataQuality` for the checked bars of one symbol, its row counts and its rejected rows."""
    bar_ms = bar_duration_ms(str(bars["timeframe"].iloc[0]))
    opened_ms = _open_time_ms(bars)
    missing = missing_before(opened_ms, bar_ms)
    reasons = rejected["reason"].value_counts()
    segment_sizes = np.bincount(bars["segment"].to_numpy())
    expected = int((opened_ms[-1] - opened_ms[0]) // bar_ms + 1)
    row = {
        "first": bars["timestamp"].iloc[0],
        "last": bars["timestamp"].iloc[-1],
        "rejected_reasons": "; ".join(f"{count} x {reason}" for reason, count in sorted(reasons.items())),
        "duplicates": int(reasons.get(DUPLICATE, 0)) + int(reasons.get(SUPERSEDED, 0)),
        "expected_bars": expected,
        "missing_bars": int(missing.sum()),
        "completeness": len(bars) / expected,
        "gaps": int((missing > 0).sum()),
        "longest_gap_bars": int(missing.max()),
        "segments": len(segment_sizes),
        "longest_segment_bars": int(segment_sizes.max()),
        "zero_volume_bars": int((bars["volume"] == 0).sum()),
        "stale_bars": _count_stale(bars),
        "largest_abs_return": _largest_abs_return(bars),
    }
    quality = pd.concat([counts.reset_index(drop=True), pd.DataFrame([row])], axis=1)
    return quality.astype({"first": "datetime64[ms, UTC]", "last": "datetime64[ms, UTC]", "rejected_reasons": "str"})


def missing_by_month(bars: pd.DataFrame) -> pd.DataFrame:
    """Expected and missing bars of one symbol for each calendar month (UTC, by open time) of its life.

    Columns: symbol, month (text, `2024-01`), expected_bars, missing_bars, missing_share in [0, 1]. The first and
    the last month count from the first and to the last bar.
    """
    bar_ms = bar_duration_ms(str(bars["timeframe"].iloc[0]))
    opened_ms = _open_time_ms(bars)
    grid = np.arange(opened_ms[0], opened_ms[-1] + bar_ms, bar_ms).astype("datetime64[ms]")
    expected = _count_by_month(grid)
    present = _count_by_month(opened_ms.astype("datetime64[ms]")).reindex(expected.index, fill_value=0)
    months = pd.DataFrame({"expected_bars": expected, "missing_bars": expected - present})
    months["missing_share"] = months["missing_bars"] / months["expected_bars"]
    months.insert(0, "month", months.index.astype("str"))
    months.insert(0, "symbol", str(bars["symbol"].iloc[0]))
    return months.astype({"symbol": "str", "month": "str"}).reset_index(drop=True)


def join_rows(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The tables of all symbols as one, with dtypes kept and a fresh index."""
    filled = [table for table in tables if len(table)] or list(tables[:1])
    return pd.concat(filled, ignore_index=True)


def _open_time_ms(bars: pd.DataFrame) -> npt.NDArray[np.int64]:
    return bars["open_time"].to_numpy("datetime64[ms]").astype(np.int64)


def _count_by_month(instants: npt.NDArray[np.datetime64]) -> pd.Series:
    months, counts = np.unique(instants.astype("datetime64[M]"), return_counts=True)
    return pd.Series(counts.astype(np.int64), index=months.astype("str"))


def _within_segment(bars: pd.DataFrame) -> npt.NDArray[np.bool_]:
    segment = bars["segment"].to_numpy()
    return segment[1:] == segment[:-1]


def _count_stale(bars: pd.DataFrame) -> int:
    prices = bars[["open", "high", "low", "close"]].to_numpy()
    return int(((prices[1:] == prices[:-1, 3:]).all(axis=1) & _within_segment(bars)).sum())


def _largest_abs_return(bars: pd.DataFrame) -> float:
    close = bars["close"].to_numpy()
    returns = np.abs(np.log(close[1:] / close[:-1]))[_within_segment(bars)]
    return float(returns.max()) if len(returns) else 0.0
