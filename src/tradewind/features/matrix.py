"""Bars, other symbols and side series joined as they were known, and the features computed from them."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tradewind.errors import BadData
from tradewind.features.spec import Chunk, Feature


def epoch_ms(instants: pd.Series) -> np.ndarray:
    """UTC milliseconds of a column of instants, whatever its resolution."""
    return instants.dt.as_unit("ms").astype("int64").to_numpy()


def market_returns(bars_by_symbol: Mapping[str, pd.DataFrame]) -> pd.Series:
    """Mean one-bar log return of the symbols present at each timestamp; a return across a gap does not count."""
    columns = []
    for bars in bars_by_symbol.values():
        change = np.log(bars["close"]).diff()
        is_next = (bars["open_time"] == bars["timestamp"].shift()) & (bars["segment"] == bars["segment"].shift())
        columns.append(pd.Series(change.where(is_next).to_numpy(), index=epoch_ms(bars["timestamp"])))
    return pd.concat(columns, axis=1).mean(axis=1) if columns else pd.Series(dtype="float64")


def build_chunk(
    bars: pd.DataFrame, reference: pd.DataFrame, market_return: pd.Series, side_series: Mapping[str, pd.DataFrame]
) -> Chunk:
    """One symbol's bars with everything else that was known at each close.

    `reference` are the reference symbol's bars; `market_return` is indexed by UTC milliseconds; `side_series` holds
    one table of `known_at` and `value` for each series. Other symbols are joined on the same timestamp (their bars
    close at the same moment), side series backwards on `known_at`. What is absent is NaN.

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
        market_return=market_return.reindex(timestamp).to_numpy(dtype=np.float64),
        side={name: as_known(timestamp, series) for name, series in side_series.items()},
    )


def as_known(timestamp: np.ndarray, series: pd.DataFrame) -> np.ndarray:
    """The latest value published at or before each timestamp; NaN before the first."""
    series = series.sort_values("known_at", kind="stable")
    newest = np.searchsorted(epoch_ms(series["known_at"]), timestamp, side="right") - 1
    return np.where(newest >= 0, np.append(series["value"].to_numpy(dtype=np.float64), np.nan)[newest], np.nan)


def compute_features(chunk: Chunk, features: Sequence[Feature]) -> dict[str, np.ndarray]:
    """float32 values by feature name; infinite values are an error, NaN means not yet known.

    Raises:
        BadData: a feature became infinite, with its name and the row.
    """
    columns = {}
    for feature in features:
        _, values = feature.advance(None, chunk)
        infinite = np.flatnonzero(np.isinf(values))
        if len(infinite):
            at = pd.Timestamp(int(chunk.timestamp[infinite[0]]), unit="ms", tz="UTC")
            raise BadData(f"feature {feature.name} is infinite on {len(infinite)} bars, first at {at}")
        columns[feature.name] = values.astype(np.float32)
    return columns


def feature_table(symbol: str, chunk: Chunk, features: Sequence[Feature]) -> pd.DataFrame:
    """The features of one symbol in the shape of `schema.Features`."""
    instants = pd.to_datetime(chunk.timestamp, unit="ms", utc=True).as_unit("ms")
    columns = compute_features(chunk, features)
    return pd.DataFrame(
        {"symbol": pd.Series(symbol, index=range(len(chunk)), dtype="str"), "timestamp": instants, **columns}
    )
