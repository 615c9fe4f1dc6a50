"""Received rows become typed rows, typed rows become checked bars; what is rejected is kept with its reason."""

from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.cells import EARLIEST_MS, LATEST_MS, FloatArray, epoch_units, negative_cells, parse_numbers
from tradewind.data.files.quarantine import quarantine_rows
from tradewind.errors import BadData
from tradewind.market.calendars import Calendar, calendar_name
from tradewind.market.timeframes import bar_duration_ms
from tradewind.parameters import Parameters

REQUIRED = ("open_time", "open", "high", "low", "close", "volume")
OPTIONAL = ("quote_volume", "trades")
DUPLICATE = "duplicate of another row"
OUTSIDE = "outside the symbol's time in the universe"  # which is no fault of the row
NOT_CLOSED = "the source says that the bar had not closed"
SUPERSEDED = "superseded by a later row for the same bar"


class MarketRules(Parameters):
    """What counts as a usable market (`params:data_engineering.market`).

    `max_gap_bars`: a hole of up to this many missing bars is bridged, a longer one starts a new segment.
    `reject_share_limit`: a source that has more than this share of its rows rejected stops the run.
    """

    max_gap_bars: int = Field(12, ge=0)
    reject_share_limit: float = Field(0.01, ge=0, le=1)


def type_bars(received: pd.DataFrame, key: BarKey) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows that can be read (`schema.TypedBars`), and the others (`schema.Quarantine`).

    `received` has `open_time` (epoch milliseconds, or instants with a time zone) and the numbers as delivered,
    which may be text; `source_row` counts its rows from 0. A missing cell in an optional column is allowed. A row
    that `is_closed` says no to, where there is such a column, is one of a bar that was still forming.

    Raises:
        BadData: no rows, a missing column, or an `open_time` in another unit.
    """
    _require_columns(received, key)
    columns = [name for name in (*REQUIRED, *OPTIONAL) if name in received]
    open_time_ms = read_open_time(received["open_time"], key)
    numbers = {name: parse_numbers(received[name]) for name in columns[1:]}
    reason = _reasons_to_reject(received, open_time_ms, numbers)
    if reason is None:
        source_row = np.arange(len(received))
        rejected = quarantine_rows(received.iloc[:0][columns], key, source_row[:0], np.empty(0, dtype=object))
    else:
        source_row = np.flatnonzero(reason == "")
        rejected = quarantine_rows(received[columns], key, np.arange(len(received)), reason)
        open_time_ms = open_time_ms[source_row]
        numbers = {name: values[source_row] for name, values in numbers.items()}
    opened = open_time_ms.astype(np.int64).astype("datetime64[ms]")
    closed = opened + np.timedelta64(bar_duration_ms(key.timeframe), "ms")
    typed = {
        **key.columns(len(source_row)),
        "timestamp": pd.DatetimeIndex(closed, tz="UTC"),
        "open_time": pd.DatetimeIndex(opened, tz="UTC"),
        **numbers,
        "source_row": source_row,
    }
    return pd.DataFrame(typed), rejected


def check_bars(
    typed: pd.DataFrame, key: BarKey, now: datetime, calendar: Calendar | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The bars that hold together, oldest first and unique (`schema.Bars` without `segment`), and the others.

    Of several rows for one bar the last received is kept: a venue that delivers a bar again corrects it, often
    because it was still open the first time. Equal rows are rejected as duplicates, others as superseded. A row
    that is invalid by itself never displaces a valid one.

    Args:
        typed: rows of `type_bars`.
        key: which bars these are.
        now: bars that close later are rejected, since they are still open.
        calendar: on whose grid bars open; None: that of the venue, weeks from Monday.
    """
    reason = reasons_to_reject(typed, key, now, calendar)
    order = _oldest_first(typed)
    kept = order[reason[order] == ""]
    bars = typed.iloc[kept].drop(columns="source_row").reset_index(drop=True)
    content = typed.drop(columns=["venue", "symbol", "timeframe", "timestamp", "source_row"])
    return bars, quarantine_rows(content, key, typed["source_row"].to_numpy(), reason)


def reasons_to_reject(
    typed: pd.DataFrame, key: BarKey, now: datetime, calendar: Calendar | None = None
) -> npt.NDArray[np.object_]:
    """Why each row is not a bar, by itself or beside the others (`check_bars`); empty where it is one.

    What is received is held against it, too (`deliveries.receive`), so that a row that is accepted becomes a bar.

    Args:
        typed: rows of `type_bars`.
        key: which bars these are.
        now: bars that close later are still open.
        calendar: on whose grid bars open; None: that of the venue, weeks from Monday.
    """
    reason = _reasons_by_row(typed, key, now, calendar)
    _mark_repeated(typed, _oldest_first(typed), reason)
    return reason


def _oldest_first(typed: pd.DataFrame) -> npt.NDArray[np.int64]:
    return np.lexsort((typed["source_row"].to_numpy(), typed["open_time"].to_numpy("datetime64[ms]")))


def _require_columns(received: pd.DataFrame, key: BarKey) -> None:
    missing = [name for name in REQUIRED if name not in received]
    if missing:
        raise BadData(
            f"{key}: bars need the columns {list(REQUIRED)}; missing {missing}, found {list(received.columns)}. "
            "Name them in the source's dialect or correct the source"
        )
    if received.empty:
        raise BadData(f"{key}: the source has no rows; at least one bar is required")


def read_open_time(open_time: pd.Series, key: BarKey) -> FloatArray:
    """Epoch milliseconds of the cells, NaN where unreadable.

    Args:
        open_time: instants with a time zone, or epoch milliseconds as numbers or text.
        key: for the message.

    Raises:
        BadData: instants without a time zone, or numbers in another unit.
    """
    if isinstance(open_time.dtype, pd.DatetimeTZDtype):
        naive = open_time.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[ms]")
        return np.where(np.isnat(naive), np.nan, naive.astype(np.int64).astype(np.float64))
    if pd.api.types.is_datetime64_any_dtype(open_time.dtype):
        raise BadData(f"{key}: open_time has no time zone; instants with a zone or epoch milliseconds are needed")
    values = parse_numbers(open_time)
    fits = epoch_units(values)
    for unit, is_in_unit in fits.items():
        # A unit is wrong for a whole delivery; a few odd rows are only odd rows.
        if unit != "ms" and is_in_unit.sum() > fits["ms"].sum():
            row = int(np.flatnonzero(is_in_unit)[0])
            raise BadData(
                f"{key}: open_time must be in epoch milliseconds; row {row} holds {values[row]:.0f}, which looks "
                f"like epoch {unit}. Convert the source, or say time_unit: {unit} where its dialect is configured"
            )
    return values


def _reasons_to_reject(
    received: pd.DataFrame, open_time_ms: FloatArray, numbers: dict[str, FloatArray]
) -> npt.NDArray[np.object_] | None:
    """Why each row cannot be read, empty where it can; None where all can. The first column that fails counts."""
    faults: dict[str, npt.NDArray[np.bool_]] = {}
    if not np.isfinite(open_time_ms).all():
        faults["open_time is missing"] = _is_absent(received["open_time"])
        faults["open_time is not an instant"] = ~np.isfinite(open_time_ms)
    faults["open_time is not between 1990 and 2100"] = (open_time_ms < EARLIEST_MS) | (open_time_ms >= LATEST_MS)
    faults["open_time is not a whole millisecond"] = open_time_ms != np.floor(open_time_ms)
    forming = negative_cells(received["is_closed"]) if "is_closed" in received else None
    if forming is not None:
        faults[NOT_CLOSED] = forming
    for name, values in numbers.items():
        if np.isfinite(values).all():
            continue
        unread = np.isnan(values)
        absent = _is_absent(received[name])
        if name in REQUIRED:
            faults[f"{name} is missing"] = unread & absent
        faults[f"{name} is not a number"] = unread & ~absent
        faults[f"{name} is not finite"] = np.isinf(values)
    if not any(rows.any() for rows in faults.values()):
        return None
    reason = np.full(len(received), "", dtype=object)
    for why, rows in reversed(faults.items()):
        reason[rows] = why
    return reason


def _is_absent(values: pd.Series) -> npt.NDArray[np.bool_]:
    absent = values.isna().to_numpy(dtype=bool)
    if not pd.api.types.is_numeric_dtype(values.dtype) and not isinstance(values.dtype, pd.DatetimeTZDtype):
        blank = (isinstance(cell, str) and not cell.strip() for cell in values)
        return absent | np.fromiter(blank, dtype=bool, count=len(values))
    return absent


def _reasons_by_row(
    typed: pd.DataFrame, key: BarKey, now: datetime, calendar: Calendar | None
) -> npt.NDArray[np.object_]:
    """Why each row is not a bar, looking at that row alone; empty where it is one."""
    bar_ms = bar_duration_ms(key.timeframe)
    grid = calendar or Calendar.of(key.timeframe, calendar_name(key.venue))
    opened_ms = typed["open_time"].to_numpy("datetime64[ms]").astype(np.int64)
    prices = typed[["open", "high", "low", "close"]].to_numpy()
    top, bottom = prices[:, [0, 3]].max(axis=1), prices[:, [0, 3]].min(axis=1)
    faults = {
        f"open_time is off the {key.timeframe} grid": ~grid.is_on_grid(opened_ms),
        "the bar has not closed yet": opened_ms + bar_ms > int(now.timestamp() * 1000),
        "a price is not positive": (prices <= 0).any(axis=1),
        "high is below low": prices[:, 1] < prices[:, 2],
        "open or close lies outside low to high": (prices[:, 1] < top) | (prices[:, 2] > bottom),
    }
    for name in ("volume", *OPTIONAL):
        if name in typed:
            faults[f"{name} is negative"] = typed[name].to_numpy() < 0
    reason = np.full(len(typed), "", dtype=object)
    for why, rows in reversed(faults.items()):
        reason[rows] = why
    return reason


def _mark_repeated(typed: pd.DataFrame, order: npt.NDArray[np.int64], reason: npt.NDArray[np.object_]) -> None:
    """Fill in the reason of every valid row but the last received for the same bar (`order` sorts them so)."""
    valid = order[reason[order] == ""]
    opened = typed["open_time"].to_numpy("datetime64[ms]")[valid]
    is_last = np.r_[opened[1:] != opened[:-1], np.ones(min(len(opened), 1), dtype=bool)]
    if is_last.all():
        return
    last = np.flatnonzero(is_last)
    kept = valid[last[np.searchsorted(last, np.arange(len(valid)))]]
    values = typed[[name for name in (*REQUIRED[1:], *OPTIONAL) if name in typed]].to_numpy()
    is_equal = ((values[valid] == values[kept]) | (np.isnan(values[valid]) & np.isnan(values[kept]))).all(axis=1)
    reason[valid[~is_last & is_equal]] = DUPLICATE
    reason[valid[~is_last & ~is_equal]] = SUPERSEDED
