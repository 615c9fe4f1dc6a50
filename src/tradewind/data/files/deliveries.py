"""Deliveries of bars: what a store keeps of them, and why their order does not matter.

A store is a growing set of distinct rows. A row is known by its bar and by its content, and carries the latest moment
at which it was delivered: two sets are joined by union and by that maximum, which is commutative, associative and
idempotent. So late, repeated, overlapping and out-of-order deliveries end in the same set, a delivery that was
interrupted is simply made again, and nothing is ever overwritten. Which of several rows is the bar is decided when
bars are checked (`cleaning.check_bars`), by one rule, for every source.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.cleaning import type_bars
from tradewind.data.files.quarantine import quarantine_rows, require_all_rows
from tradewind.errors import BadData
from tradewind.market.timeframes import bar_duration_ms

VALUES = ("open", "high", "low", "close", "volume", "quote_volume", "trades")
STILL_OPEN = "the bar had not closed when it was received"
# The order in which stored rows are read: of one bar, the row that counts comes last.
ORDER = ["open_time", "received_at", "content_hash"]
IDENTITY = ["open_time", "content_hash"]

_STORED = {"open_time": "int64", **dict.fromkeys(VALUES, "float64"), "received_at": "int64", "content_hash": "int64"}


@dataclass(frozen=True)
class Span:
    """A stretch of opening times, [`since_ms`, `until_ms`) in epoch milliseconds."""

    since_ms: int
    until_ms: int

    def __post_init__(self) -> None:
        if self.since_ms >= self.until_ms:
            raise BadData(f"a span must end after it begins, found {self.since_ms} to {self.until_ms}")


@dataclass(frozen=True)
class Delivery:
    """What one answer of a source holds of one kind of bars.

    `rows` are distinct stored rows (`stored_columns`), `rejected` those that cannot be read or were not yet closed
    (`schema.Quarantine`), `rows_received` counts them all with `repeated` ones: received = rows + repeated + rejected.
    `covered` is the span of opening times that the answer is complete for: what is not in it does not exist there.
    """

    key: BarKey
    source: str
    received_at_ms: int
    rows: pd.DataFrame
    rejected: pd.DataFrame
    rows_received: int
    repeated: int
    covered: Span | None = None


@dataclass(frozen=True)
class Receipt:
    """What became of a delivery: received = new + known + rejected; `known` rows were stored before, or repeated."""

    rows_received: int
    rows_new: int
    rows_known: int
    rows_rejected: int

    def __post_init__(self) -> None:
        if self.rows_received != self.rows_new + self.rows_known + self.rows_rejected:
            raise BadData(f"{self}: the rows do not add up: the store lost or made up rows")


def receive(
    received: pd.DataFrame, key: BarKey, source: str, received_at: datetime, covered: Span | None = None
) -> Delivery:
    """The delivery that `received` is: rows as a source gives them, `open_time` in epoch milliseconds.

    A bar that was still open at `received_at` is rejected for good: later nobody could tell it from a closed one.

    Args:
        received: `open_time` (UTC milliseconds), prices and volumes; cells may be wrong.
        key: venue, symbol and timeframe of all rows.
        source: its name, for the ledger.
        received_at: when the rows came.
        covered: the opening times for which this answer is final: a bar missing there does not exist.

    Returns:
        Accepted rows, each once, and the others with a reason.

    Raises:
        BadData: a missing column, or an `open_time` in another unit.
    """
    received_at_ms = int(received_at.timestamp() * 1000)
    if received.empty:
        return Delivery(key, source, received_at_ms, stored_columns(), _no_rejected(key), 0, 0, covered)
    typed, rejected = type_bars(received, key)
    opened = typed["open_time"].to_numpy("datetime64[ms]").astype(np.int64)
    still_open = opened + bar_duration_ms(key.timeframe) > received_at_ms
    if still_open.any():
        reason = np.where(still_open, STILL_OPEN, "").astype(object)
        content = typed.drop(columns=["venue", "symbol", "timeframe", "timestamp", "source_row"])
        late = quarantine_rows(content, key, typed["source_row"].to_numpy(), reason)
        rejected = pd.concat([rejected, late], ignore_index=True) if len(rejected) else late
        typed, opened = typed.loc[~still_open], opened[~still_open]
    rows = stored_columns(typed.assign(open_time=opened, received_at=received_at_ms))
    distinct = merge_rows([rows])
    require_all_rows(key, len(received), len(rows), len(rejected))
    return Delivery(
        key, source, received_at_ms, distinct, rejected.reset_index(drop=True), len(received),
        len(rows) - len(distinct), covered,
    )  # fmt: skip


def stored_columns(rows: pd.DataFrame | None = None) -> pd.DataFrame:
    """`rows` with the columns that a store keeps, in its types, hashed; an empty table without `rows`.

    open_time and received_at are epoch milliseconds; quote_volume and trades are NaN where the source has none.
    """
    if rows is None:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in _STORED.items()})
    columns = {
        name: rows[name].to_numpy(kind) if name in rows else np.full(len(rows), np.nan)
        for name, kind in _STORED.items()
        if name != "content_hash"
    }
    columns["content_hash"] = content_hash(columns)
    return pd.DataFrame(columns)[list(_STORED)]


def content_hash(columns: dict[str, npt.NDArray[np.float64]]) -> npt.NDArray[np.int64]:
    """For each row a number in [0, 2**63) of its `VALUES`, the same on every machine (SplitMix64, Steele et al. 2014).

    All NaN are alike, and so are both zeros.
    """
    state = np.zeros(len(columns["open"]), dtype=np.uint64)
    for name in VALUES:
        values = np.where(np.isnan(columns[name]), np.nan, columns[name] + 0.0)
        state = (state ^ values.view(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return (state >> np.uint64(1)).view(np.int64)


def merge_rows(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The union of stored rows, each once with its latest `received_at`, in `ORDER`; the law of every store."""
    filled = [table for table in tables if len(table)]
    if not filled:
        return stored_columns()
    rows = filled[0] if len(filled) == 1 else pd.concat(filled, ignore_index=True)
    times = rows["open_time"].to_numpy()
    if (times[1:] > times[:-1]).all():
        return rows.reset_index(drop=True)  # most deliveries: each bar once, oldest first
    order = np.lexsort((rows["received_at"], rows["content_hash"], rows["open_time"]))
    opened, hashes = rows["open_time"].to_numpy()[order], rows["content_hash"].to_numpy()[order]
    is_latest = np.ones(len(rows), dtype=bool)
    is_latest[:-1] = (opened[1:] != opened[:-1]) | (hashes[1:] != hashes[:-1])
    distinct = rows.iloc[order[is_latest]]
    return distinct.iloc[np.lexsort([distinct[name] for name in reversed(ORDER)])].reset_index(drop=True)


def _no_rejected(key: BarKey) -> pd.DataFrame:
    return quarantine_rows(pd.DataFrame(), key, np.empty(0, dtype=np.int64), np.empty(0, dtype=object))
