"""Bars, other symbols and side series joined as they were known, and the features computed from them."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tradewind.errors import BadData
from tradewind.learning.features.bars import Chunk
from tradewind.learning.features.spec import Feature
from tradewind.learning.features.stream import compute_batch


def epoch_ms(instants: pd.Series) -> np.ndarray:
    """UTC milliseconds of a column of instants, whatever its resolution."""
    return instants.dt.as_unit("ms").astype("int64").to_numpy()


MARKET_COLUMNS = ("market_return", "market_breadth", "market_dispersion")


def market_table(bars_by_symbol: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """What the universe did at each timestamp (UTC milliseconds): the market columns of `Chunk`, and each symbol's
    rank.

    One-bar log returns of the symbols that have a bar; a return across a gap does not count. The ranks stand in columns
    `rank:SYMBOL`. The order of the symbols does not matter.
    """
    columns = {}
    for symbol in sorted(bars_by_symbol):
        bars = bars_by_symbol[symbol]
        change = np.log(bars["close"]).diff()
        is_next = (bars["open_time"] == bars["timestamp"].shift()) & (bars["segment"] == bars["segment"].shift())
        columns[symbol] = pd.Series(change.where(is_next).to_numpy(), index=epoch_ms(bars["timestamp"]))
    if not columns:
        return pd.DataFrame(columns=MARKET_COLUMNS, dtype="float64")
    returns = pd.concat(columns, axis=1).sort_index()
    present = returns.notna().sum(axis=1)
    table = pd.DataFrame(
        {
            "market_return": returns.mean(axis=1),
            # A return of exactly 0 is neither a rise nor a fall.
            "market_breadth": ((returns > 0).sum(axis=1) + 0.5 * (returns == 0).sum(axis=1))
            / present.where(present > 0),
            "market_dispersion": returns.std(axis=1, ddof=0),
        }
    )
    place = (returns.rank(axis=1) - 1).div(present.where(present > 1) - 1, axis=0)
    alone = returns.notna().mul(present == 1, axis=0)
    return table.join(place.mask(alone, 0.5).add_prefix("rank:"))


def build_chunk(
    bars: pd.DataFrame, reference: pd.DataFrame, market: pd.DataFrame, side_series: Mapping[str, pd.DataFrame]
) -> Chunk:
    """One symbol's bars with everything else that was known at each close.

    `reference` are the reference symbol's bars; `market` is a `market_table`; `side_series` holds one table of
    `known_at` and `value` for each series. Other symbols are joined on the same timestamp (their bars close at the same
    moment), side series backwards on `known_at`. What is absent is NaN.

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
        side={name: as_known(timestamp, series) for name, series in side_series.items()},
    )


def _market_columns(market: pd.DataFrame, timestamp: np.ndarray, symbol: str) -> dict[str, np.ndarray]:
    here = market.reindex(index=timestamp, columns=[*MARKET_COLUMNS, f"rank:{symbol}"])
    names = [*MARKET_COLUMNS, "market_rank"]
    return {name: np.ascontiguousarray(here.iloc[:, at].to_numpy(dtype=np.float64)) for at, name in enumerate(names)}


def as_known(timestamp: np.ndarray, series: pd.DataFrame) -> np.ndarray:
    """The latest value published at or before each timestamp; NaN before the first."""
    series = series.sort_values("known_at", kind="stable")
    newest = np.searchsorted(epoch_ms(series["known_at"]), timestamp, side="right") - 1
    return np.where(newest >= 0, np.append(series["value"].to_numpy(dtype=np.float64), np.nan)[newest], np.nan)


def feature_matrix(chunk: Chunk, features: Sequence[Feature], threads: int = 2) -> np.ndarray:
    """float32 values, one row a feature; infinite values are an error, NaN means not yet known.

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
    """The features of one symbol in the shape of `schema.Features`; the values are not copied."""
    instants = pd.to_datetime(chunk.timestamp, unit="ms", utc=True).as_unit("ms")
    names = [feature.name for feature in features]
    table = pd.DataFrame(feature_matrix(chunk, features, threads).T, columns=names, copy=False)
    table.insert(0, "timestamp", instants)
    table.insert(0, "symbol", pd.Series(symbol, index=table.index, dtype="str"))
    return table
