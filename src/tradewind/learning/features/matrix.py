"""Bars, other symbols and side series joined as they were known, and the features computed from them."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tradewind.errors import BadData
from tradewind.learning.features.bars import Chunk
from tradewind.learning.features.market_columns import (
    MARKET_COLUMNS,
    SETTLED,
    Published,
    as_known,
    epoch_ms,
    fold_settled,
    market_table,
)
from tradewind.learning.features.spec import Feature
from tradewind.learning.features.stream import compute_batch

__all__ = [
    "MARKET_COLUMNS",
    "as_known",
    "build_chunk",
    "epoch_ms",
    "feature_matrix",
    "feature_table",
    "market_table",
]


def build_chunk(
    bars: pd.DataFrame, reference: pd.DataFrame, market: pd.DataFrame, side_series: Mapping[str, pd.DataFrame],
    settlements: Mapping[str, pd.DataFrame] | None = None,
) -> Chunk:  # fmt: skip
    """One symbol's bars with everything else that was known at each close.

    Other symbols are joined on the same timestamp (their bars close at the same moment), side series backwards on
    `known_at`. What is absent is NaN.

    Args:
        bars: one symbol's checked bars, oldest first.
        reference: the reference symbol's bars.
        market: a `market_table` of the universe.
        side_series: by name a table of `known_at` and `value`.
        settlements: the same of series that are summed up within each bar.

    Returns:
        One row a bar.

    Raises:
        BadData: the bars are not sorted.
    """
    timestamp = epoch_ms(bars["timestamp"])
    if np.any(np.diff(timestamp) <= 0):
        raise BadData("bars must be sorted by timestamp, oldest first, without duplicates")
    reference_close = pd.Series(reference["close"].to_numpy(), index=epoch_ms(reference["timestamp"]))

    def column(name: str) -> np.ndarray:
        return np.ascontiguousarray(bars[name].to_numpy(dtype=np.float64))

    return Chunk(
        timestamp=timestamp,
        open_time=epoch_ms(bars["open_time"]),
        segment=bars["segment"].to_numpy(dtype=np.int32),
        open=column("open"),
        high=column("high"),
        low=column("low"),
        close=column("close"),
        volume=column("volume"),
        reference_close=reference_close.reindex(timestamp).to_numpy(dtype=np.float64),
        **_market_columns(market, timestamp, str(bars["symbol"].iloc[0]) if len(bars) else ""),
        side={name: as_known(timestamp, series) for name, series in side_series.items()}
        | {f"{SETTLED}{name}": _settled(bars, timestamp, table) for name, table in (settlements or {}).items()},
    )


def _settled(bars: pd.DataFrame, timestamp: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    table = table.sort_values("known_at", kind="stable")
    value = table["value"].to_numpy(dtype=np.float64)
    return fold_settled(Published(), epoch_ms(table["known_at"]), value, (epoch_ms(bars["open_time"]), timestamp))[1]


def _market_columns(market: pd.DataFrame, timestamp: np.ndarray, symbol: str) -> dict[str, np.ndarray]:
    own = market.reindex(index=timestamp, columns=[*MARKET_COLUMNS, f"rank:{symbol}"])
    names = [*MARKET_COLUMNS, "market_rank"]
    return {name: np.ascontiguousarray(own.iloc[:, at].to_numpy(dtype=np.float64)) for at, name in enumerate(names)}


def feature_matrix(chunk: Chunk, features: Sequence[Feature], threads: int = 2) -> np.ndarray:
    """float32 values, one row a feature; infinite values are an error, NaN means not yet known.

    Args:
        chunk: bars of one symbol, oldest first.
        features: one row each.
        threads: at work; the values do not depend on how many.

    Returns:
        float32, shape (features, bars).

    Raises:
        BadData: a feature became infinite, with its name and the row.
    """
    values = compute_batch(features, chunk, threads)
    # Looked at row by row: a mask of the whole matrix would cost a quarter of its memory.
    for feature, row in zip(features, values, strict=True):
        if np.isinf(row).any():
            infinite = np.flatnonzero(np.isinf(row))
            at = pd.Timestamp(int(chunk.timestamp[infinite[0]]), unit="ms", tz="UTC")
            raise BadData(f"feature {feature.name} is infinite on {len(infinite)} bars, first at {at}")
    return values


def feature_table(symbol: str, chunk: Chunk, features: Sequence[Feature], threads: int = 2) -> pd.DataFrame:
    """The features of one symbol in the shape of `schema.Features`; the values are not copied.

    Args:
        symbol: of all its rows.
        chunk: bars of that symbol, oldest first.
        features: one column each.
        threads: at work; the values do not depend on how many.

    Returns:
        symbol, timestamp and a float32 column a feature, one row a bar.

    Raises:
        BadData: a feature became infinite.
    """
    instants = pd.to_datetime(chunk.timestamp, unit="ms", utc=True).as_unit("ms")
    names = [feature.name for feature in features]
    table = pd.DataFrame(feature_matrix(chunk, features, threads).T, columns=names, copy=False)
    table.insert(0, "timestamp", instants)
    table.insert(0, "symbol", pd.Series(symbol, index=table.index, dtype="str"))
    return table
