"""Rows of a side series as received become vintages; what is rejected is kept with its reason."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.cells import FloatArray
from tradewind.data.files.cleaning import DUPLICATE
from tradewind.data.files.quarantine import describe_rejected, quarantine_rows
from tradewind.data.side_data.columns import empty_table, join_tables
from tradewind.data.side_data.spec import SideSpec
from tradewind.errors import BadData

Reasons = npt.NDArray[np.object_]

SUPERSEDED = "superseded by a later row for the same time"


@dataclass(frozen=True)
class SideKey:
    """Which rows these are: a series, its symbol (empty: market-wide), and the file they stand in (empty: a table)."""

    series: str
    symbol: str
    file: str = ""

    def __str__(self) -> str:
        where = f" in {self.file}" if self.file else ""
        return f"side series {self.series}{f' of {self.symbol}' if self.symbol else ''}{where}"


@dataclass(frozen=True)
class ReadRows:
    """Rows as a reader understood them, one for each row of the source, in its order.

    `reference_ms` and `known_ms` are epoch milliseconds, NaN where `reason` says why they are none; `content` holds
    the row's cells; its index counts the source's rows from 0.
    """

    reference_ms: FloatArray
    known_ms: FloatArray
    value: FloatArray
    reason: Reasons
    content: pd.DataFrame


@dataclass(frozen=True)
class SideDelivery:
    """What became of one series and symbol: rows received = accepted + those in `rejected`.

    `vintages` is a `schema.SideVintages`, `rejected` a `tables.SideQuarantine`.
    """

    key: SideKey
    rows_received: int
    rows_accepted: int
    vintages: pd.DataFrame
    rejected: pd.DataFrame

    def __post_init__(self) -> None:
        if self.rows_received != self.rows_accepted + len(self.rejected):
            raise BadData(
                f"{self.key}: {self.rows_received} rows received, but {self.rows_accepted} accepted and "
                f"{len(self.rejected)} rejected: the reading lost or made up rows"
            )

    def counts(self) -> pd.DataFrame:
        """One row of `tables.SideCounts`."""
        row = {
            "series": self.key.series, "symbol": self.key.symbol, "file": self.key.file,
            "rows_received": self.rows_received, "rows_accepted": self.rows_accepted,
            "rows_rejected": len(self.rejected), "vintages": len(self.vintages),
        }  # fmt: skip
        return join_tables("counts", [pd.DataFrame([row])])


def deliver(key: SideKey, rows: ReadRows, spec: SideSpec | None) -> SideDelivery:
    """The vintages that the rows are, and the rows that are none.

    Of two rows for one period that became known at once, the later one in the file is kept, as with bars: a row that
    comes again corrects. Equal rows are rejected as duplicates, others as superseded.

    Args:
        key: series, symbol and file.
        rows: as a reader gives them.
        spec: range and unit of the series; None checks no range.

    Returns:
        Vintages, rejected rows and counts.
    """
    reason = rows.reason.copy()
    if spec is not None:
        is_out = ~((rows.value >= spec.low) & (rows.value <= spec.high))
        reason[(reason == "") & is_out] = f"value lies outside {spec.low:g} to {spec.high:g} {spec.unit}"
    _mark_repeated(rows, reason)
    accepted = np.flatnonzero(reason == "")
    vintages = vintage_table(key, rows.reference_ms[accepted], rows.known_ms[accepted], rows.value[accepted])
    return SideDelivery(key, len(reason), len(accepted), vintages, rejected_rows(key, rows.content, reason))


def vintage_table(key: SideKey, reference_ms: FloatArray, known_ms: FloatArray, value: FloatArray) -> pd.DataFrame:
    """`schema.SideVintages`.

    Args:
        key: series and symbol of all rows.
        reference_ms: what time each value is of, UTC milliseconds, shape (rows,).
        known_ms: when it became known, UTC milliseconds, shape (rows,).
        value: shape (rows,).

    Returns:
        By reference time, then known time.
    """
    order = np.lexsort((known_ms, reference_ms))
    table = pd.DataFrame(
        {
            "series": pd.Series([key.series] * len(order), dtype="str"),
            "symbol": pd.Series([key.symbol] * len(order), dtype="str"),
        }
    )
    for name, instants in (("reference_at", reference_ms), ("known_at", known_ms)):
        table[name] = pd.DatetimeIndex(instants[order].astype(np.int64).astype("datetime64[ms]"), tz="UTC")
    return table.assign(value=value[order].astype(np.float64))


def rejected_rows(key: SideKey, content: pd.DataFrame, reason: Reasons) -> pd.DataFrame:
    """The rows that have a reason (`tables.SideQuarantine`).

    Args:
        key: series, symbol and file.
        content: rows as they stand in the file, indexed by their place in it.
        reason: why each is rejected, "" if it is not, shape (rows,).

    Returns:
        Only the rejected ones.
    """
    if not (reason != "").any():
        return empty_table("quarantine")
    as_bars = BarKey(venue="", symbol=key.symbol, timeframe="")
    table = quarantine_rows(content, as_bars, content.index.to_numpy(), reason)
    return join_tables("quarantine", [table.assign(series=key.series, file=key.file)])


def require_few_rejected(delivery: SideDelivery, limit: float) -> None:
    """Nothing, if the share of rejected rows is within `limit`.

    Raises:
        BadData: more was rejected; the message counts the reasons and quotes the first row of each.
    """
    if len(delivery.rejected) <= limit * delivery.rows_received:
        return
    raise BadData(
        f"{delivery.key}: {len(delivery.rejected)} of {delivery.rows_received} rows are rejected, more than "
        f"data_engineering.market.reject_share_limit {limit:.2%}: {describe_rejected(delivery.rejected)}. Rows count "
        "from 0, without the header. Correct the source or how it is read (columns, time_format), or raise the limit"
    )


def _mark_repeated(rows: ReadRows, reason: Reasons) -> None:
    """Fill in the reason of every valid row but the last one for its period and moment."""
    valid = np.flatnonzero(reason == "")
    valid = valid[np.lexsort((valid, rows.known_ms[valid], rows.reference_ms[valid]))]
    is_last = np.ones(len(valid), dtype=bool)
    is_last[:-1] = np.diff(rows.reference_ms[valid]) != 0
    is_last[:-1] |= np.diff(rows.known_ms[valid]) != 0
    last = np.flatnonzero(is_last)
    last_row = valid[last[np.searchsorted(last, np.arange(len(valid)))]]
    is_equal = rows.value[valid] == rows.value[last_row]
    reason[valid[~is_last & is_equal]] = DUPLICATE
    reason[valid[~is_last & ~is_equal]] = SUPERSEDED
