"""Deliveries of bars: what a store keeps of them, and why their order does not matter.

A store is a growing set of distinct rows. A row is known by its bar and by its content, and carries the first moment
at which it was delivered: two sets are joined by union and by that minimum, which is commutative, associative and
idempotent. So late, repeated, overlapping and out-of-order deliveries end in the same set, a delivery that was
interrupted is simply made again, and nothing is ever overwritten. Which of several rows is the bar is decided when
bars are checked (`cleaning.check_bars`), by one rule, for every source: the content that came last for the first time.
Content that was there before is no correction, however late it is delivered again.

The last row of a file may have been open when the file was written, and the file does not say when that was. Such a row
is provisional: it carries its moment plus `PROVISIONAL_MS`, which the minimum undoes once the same content comes as a
row that others follow, and it stands before every other content of its bar.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.cleaning import DUPLICATE, reasons_to_reject, type_bars
from tradewind.data.files.quarantine import quarantine_rows, require_all_rows
from tradewind.errors import BadData
from tradewind.market.calendars import Calendar
from tradewind.market.timeframes import bar_duration_ms

VALUES = ("open", "high", "low", "close", "volume", "quote_volume", "trades")
STILL_OPEN = "the bar had not closed when it was received"
PROVISIONAL_MS = 1 << 47  # beyond every moment (the year 6429), and still one that every store can hold
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
    received: pd.DataFrame, key: BarKey, source: str, received_at: datetime, covered: Span | None = None,
    may_end_open: bool = False, calendar: Calendar | None = None,
) -> Delivery:  # fmt: skip
    """The delivery that `received` is: rows as a source gives them, `open_time` in epoch milliseconds.

    Rows are held against the checks that a run makes (`cleaning.reasons_to_reject`): what is accepted becomes a bar, as
    long as no later delivery corrects it. A bar that was still open at `received_at` is rejected for good: later nobody
    could tell it from a closed one.

    Args:
        received: rows as delivered.
        key: which bars these are.
        source: who delivered them.
        received_at: when, or before.
        covered: the span that they are complete for.
        may_end_open: nobody says when the rows were written, so that the last may not have been closed then: it is
            provisional.
        calendar: on whose grid bars open; None: that of the venue, weeks from Monday.

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
    reason = reasons_to_reject(typed, key, received_at, calendar)
    reason[reason == DUPLICATE] = ""  # counted as repeated
    reason[opened + bar_duration_ms(key.timeframe) > received_at_ms] = STILL_OPEN
    # A row of the present bar, rejected as it is, shows that the one before had closed; one of the future does not.
    newest = opened[(reason == "") | ((reason == STILL_OPEN) & (opened <= received_at_ms))].max(initial=0)
    is_wrong = reason != ""
    if is_wrong.any():
        content = typed.drop(columns=["venue", "symbol", "timeframe", "timestamp", "source_row"])
        wrong = quarantine_rows(content, key, typed["source_row"].to_numpy(), reason)
        rejected = pd.concat([rejected, wrong], ignore_index=True) if len(rejected) else wrong
        typed, opened = typed.loc[~is_wrong], opened[~is_wrong]
    moments = np.full(len(typed), received_at_ms)
    if may_end_open and len(opened):
        moments[opened == newest] += PROVISIONAL_MS
    rows = stored_columns(typed.assign(open_time=opened, received_at=moments))
    distinct = merge_rows([rows])
    require_all_rows(key, len(received), len(rows), len(rejected))
    return Delivery(
        key, source, received_at_ms, distinct, rejected.reset_index(drop=True), len(received),
        len(rows) - len(distinct), covered,
    )  # fmt: skip


def stored_columns(rows: pd.DataFrame | None = None) -> pd.DataFrame:
    """`rows` with the columns that a store keeps, in its types, hashed; an empty table without `rows`.

    open_time and received_at are epoch milliseconds (of a provisional row with `PROVISIONAL_MS`); quote_volume and
    trades are NaN where the source has none.
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
    """The union of stored rows, each once with its first `received_at`, in `reading_order`; the law of every store."""
    filled = [table for table in tables if len(table)]
    if not filled:
        return stored_columns()
    rows = filled[0] if len(filled) == 1 else pd.concat(filled, ignore_index=True)
    times = rows["open_time"].to_numpy()
    if (times[1:] > times[:-1]).all():
        return rows.reset_index(drop=True)  # most deliveries: each bar once, oldest first
    order = np.lexsort((rows["received_at"], rows["content_hash"], rows["open_time"]))
    opened, hashes = rows["open_time"].to_numpy()[order], rows["content_hash"].to_numpy()[order]
    is_first = np.ones(len(rows), dtype=bool)
    is_first[1:] = (opened[1:] != opened[:-1]) | (hashes[1:] != hashes[:-1])
    distinct = rows.iloc[order[is_first]]
    return distinct.iloc[reading_order(distinct)].reset_index(drop=True)


def reading_order(rows: pd.DataFrame | Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    """The order in which distinct stored rows are read: by bar, and of one bar the row that counts last.

    Provisional rows come before the others. Of several provisional ones the one with more volume counts, then the one
    with the wider range: a bar that is still open only grows.

    Args:
        rows: the columns of `stored_columns`, a table or a mapping.
    """
    moment = np.asarray(rows["received_at"])
    provisional = moment >= PROVISIONAL_MS
    if not provisional.any():
        return np.lexsort((rows["content_hash"], moment, rows["open_time"]))
    volume = np.where(provisional, rows["volume"], 0.0)
    reach = np.where(provisional, np.asarray(rows["high"]) - np.asarray(rows["low"]), 0.0)
    return np.lexsort((rows["content_hash"], moment, reach, volume, ~provisional, rows["open_time"]))


def settled(rows: pd.DataFrame) -> pd.DataFrame:
    """Stored rows without the provisional ones of bars for which there is another row: they were never finished."""
    opened = rows["open_time"].to_numpy()
    is_last = np.r_[opened[1:] != opened[:-1], np.ones(min(len(opened), 1), dtype=bool)]
    kept = is_last | (rows["received_at"].to_numpy() < PROVISIONAL_MS)
    return rows if kept.all() else rows[kept].reset_index(drop=True)


def _no_rejected(key: BarKey) -> pd.DataFrame:
    return quarantine_rows(pd.DataFrame(), key, np.empty(0, dtype=np.int64), np.empty(0, dtype=object))
