"""How the files of a side series become rows: one function for each shape of file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from tradewind.data.files.cells import FloatArray, parse_numbers
from tradewind.data.side_data import cells, events
from tradewind.data.side_data.delivery import ReadRows, Reasons, SideDelivery, SideKey, deliver
from tradewind.data.side_data.files import SeriesFiles
from tradewind.data.side_data.spec import ReaderName, SideSpec
from tradewind.errors import BadData
from tradewind.market.timeframes import bar_duration_ms

DAY_MS = 86_400_000
HOUR_MS = 3_600_000

_TIME = (
    "timestamp",
    "open_time",
    "time",
    "date",
    "datetime",
    "unix",
    "start",
    "observation_date",
    "reference_at",
    "period",
)
_CLOSE = ("close", "close_price", "c", "price")
_KNOWN = ("assumed_available_at", "known_at", "published_at", "released_at")
# FRED's own vintages (ALFRED) carry a date: known when that day is over.
_KNOWN_DAY = ("realtime_start", "vintage_date")
_KEY = ("series", "series_id", "id")


@dataclass(frozen=True)
class Request:
    """Which series is to be read, for which symbol, of which files, and when that is."""

    spec: SideSpec
    key: SideKey
    files: SeriesFiles
    folder: Path
    paths: tuple[Path, ...]  # the leading file, then those it is held against
    now_ms: int

    def wanted(self, **names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        """Our names of columns and those that files may use; a configured one replaces them."""
        configured = {ours: (theirs,) for ours, theirs in self.files.columns.items()}
        return {ours: configured.get(ours, theirs) for ours, theirs in names.items()}

    @property
    def extra_ms(self) -> int:
        """What the configuration adds to the publication delay."""
        return int(self.files.delay_hours * HOUR_MS)


def read_values(request: Request) -> SideDelivery:
    """A file of `time` and `value`, known by the series' rule."""
    table, reference, value, reason = _timed_values(request, request.paths[0])
    known_ms = _by_rule(request, reference, reason)
    return deliver(request.key, ReadRows(reference, known_ms, value, reason, table), request.spec)


def read_published(request: Request) -> SideDelivery:
    """A file that says when each value was published, with revisions if it has them; else the series' rule holds.

    In long form (a column `key`) only the series' own rows count as received.
    """
    path = request.paths[0]
    wanted = request.wanted(
        key=_KEY, time=_TIME, value=request.spec.column, known_at=_KNOWN, known_day=_KNOWN_DAY,
    )  # fmt: skip
    table = cells.read_cells(path, wanted, frozenset({"key", "known_at", "known_day"}))
    if "key" in table:
        table = table[table["key"].astype("str").str.strip() == request.spec.key]
    reason = cells.begin_reasons(table)
    reference = _read_time(request, table, "time", reason, path)
    value = _read_value(table, reason)
    stated = next((name for name in ("known_at", "known_day") if name in table), None)
    if stated is None:
        known_ms = _by_rule(request, reference, reason)
    else:
        known_ms = _read_time(request, table, stated, reason, path) + request.extra_ms
        known_ms += DAY_MS if stated == "known_day" else 0
        cells.reject(reason, known_ms < reference, "published before the period it is of")
    return deliver(request.key, ReadRows(reference, known_ms, value, reason, table), request.spec)


def read_spread(request: Request) -> SideDelivery:
    """The leading file's value less the mean of the others', at the same time; known when the last of them is.

    Only the span that all files have counts as received.
    """
    table, reference, value, reason = _timed_values(request, request.paths[0])
    others = [_by_time(request, path, request.spec.column) for path in request.paths[1:]]
    inside = _within(reference, others)
    table, reference, value, reason = table[inside], reference[inside], value[inside], reason[inside]
    levels = [
        _at(request, path, other, reference, reason) for path, other in zip(request.paths[1:], others, strict=True)
    ]
    known_ms = _by_rule(request, reference, reason)
    return deliver(
        request.key, ReadRows(reference, known_ms, value - np.mean(levels, axis=0), reason, table), request.spec
    )


def read_close(request: Request) -> SideDelivery:
    """The close of each bar of a file; known at that moment, and of it."""
    table, opened, price, reason = _timed_values(request, request.paths[0], _CLOSE)
    closed = _closed(request, opened, reason)
    known_ms = _by_rule(request, closed, reason)
    return deliver(request.key, ReadRows(closed, known_ms, price, reason, table), request.spec)


def read_ratio(request: Request) -> SideDelivery:
    """A bar's close over another file's, less one; known at the close, and of that moment.

    Only the span that both files have counts as received.
    """
    table, opened, price, reason = _timed_values(request, request.paths[0], _CLOSE)
    other = _by_time(request, request.paths[1], _CLOSE)
    inside = _within(opened, [other])
    table, opened, price, reason = table[inside], opened[inside], price[inside], reason[inside]
    closed = _closed(request, opened, reason)
    cells.reject(reason, price <= 0, "value is not positive")
    against = _at(request, request.paths[1], other, opened, reason)
    cells.reject(reason, against <= 0, f"{_below(request, request.paths[1])} has no positive value for this time")
    usable = reason == ""
    ratio = np.full(len(price), np.nan)
    ratio[usable] = price[usable] / against[usable] - 1
    known_ms = _by_rule(request, closed, reason)
    return deliver(request.key, ReadRows(closed, known_ms, ratio, reason, table), request.spec)


def read_hours_to_next(request: Request) -> SideDelivery:
    """Hours to the next scheduled event of a calendar (`events`)."""
    return _read_calendar(request, events.hours_to_next)


def read_hours_since_last(request: Request) -> SideDelivery:
    """Hours since the last event of a calendar, scheduled or not (`events`)."""
    return _read_calendar(request, events.hours_since_last)


READERS: Mapping[ReaderName, Callable[[Request], SideDelivery]] = {
    "values": read_values,
    "published": read_published,
    "spread": read_spread,
    "close": read_close,
    "ratio": read_ratio,
    "hours_to_next": read_hours_to_next,
    "hours_since_last": read_hours_since_last,
}


def _read_calendar(request: Request, measure: events.Measure) -> SideDelivery:
    path = request.paths[0]
    table = cells.read_cells(path, request.wanted(time=_TIME, value=request.spec.column), frozenset())
    reason = cells.begin_reasons(table)
    happens = _read_time(request, table, "time", reason, path)
    names = table["value"].astype("str").str.strip()
    cells.reject(reason, cells.is_absent(table["value"]), "event is missing")
    repeated = pd.DataFrame({"at": happens, "name": names}).duplicated(keep="last").to_numpy()
    cells.reject(reason, repeated, events.DUPLICATE_EVENT)
    accepted = reason == ""
    calendar = events.Calendar(happens[accepted].astype(np.int64), names[accepted].to_numpy(dtype=object))
    return events.deliver_ticks(request.key, calendar, measure, reason, table, bar_duration_ms(request.files.tick))


def _closed(request: Request, opened: FloatArray, reason: Reasons) -> FloatArray:
    """When bars close; those that are still open are rejected."""
    closed: FloatArray = opened + bar_duration_ms(request.files.timeframe)
    cells.reject(reason, closed > request.now_ms, "the bar has not closed yet")
    return closed


def _timed_values(
    request: Request, path: Path, names: tuple[str, ...] | None = None
) -> tuple[pd.DataFrame, FloatArray, FloatArray, Reasons]:
    """The cells of a file of values, their reference times and numbers, and why rows cannot be used."""
    table = cells.read_cells(path, request.wanted(time=_TIME, value=names or request.spec.column), frozenset())
    reason = cells.begin_reasons(table)
    reference = _read_time(request, table, "time", reason, path)
    return table, reference, _read_value(table, reason), reason


def _read_time(request: Request, table: pd.DataFrame, name: str, reason: Reasons, path: Path) -> FloatArray:
    instants = cells.read_instants(table[name], request.files.time_format, str(path))
    cells.reject_instants(reason, instants, table[name], name)
    return instants


def _read_value(table: pd.DataFrame, reason: Reasons) -> FloatArray:
    values = parse_numbers(table["value"])
    cells.reject_numbers(reason, values, table["value"], "value")
    return values


def _by_rule(request: Request, reference: FloatArray, reason: Reasons) -> FloatArray:
    """When the readable rows are known; NaN for the others."""
    usable = reason == ""
    known_ms = np.full(len(reference), np.nan)
    ruled = request.spec.publication.known_ms(reference[usable].astype(np.int64))
    known_ms[usable] = ruled + request.extra_ms
    return known_ms


def _by_time(request: Request, path: Path, names: tuple[str, ...]) -> pd.Series:
    """Another file's readable values by time; of repeated rows the last counts.

    Raises:
        BadData: there is none.
    """
    _, at, value, reason = _timed_values(request, path, names)
    usable = reason == ""
    by_time = pd.Series(value[usable], index=at[usable])
    if by_time.empty:
        raise BadData(f"{request.key} is held against {path}, which has no value that can be read: fetch it again")
    return by_time[~by_time.index.duplicated(keep="last")].sort_index()


def _within(times: FloatArray, others: list[pd.Series]) -> npt.NDArray[np.bool_]:
    """Which times lie in the span of all others; what is no time stays, to be rejected."""
    first, last = max(other.index[0] for other in others), min(other.index[-1] for other in others)
    return ~((times < first) | (times > last))


def _at(request: Request, path: Path, other: pd.Series, times: FloatArray, reason: Reasons) -> FloatArray:
    """The other's value at each time; rows for which it has none are rejected."""
    values = other.reindex(times).to_numpy(dtype=np.float64)
    cells.reject(reason, np.isnan(values), f"{_below(request, path)} has no value for this time")
    return values


def _below(request: Request, path: Path) -> str:
    return path.relative_to(request.folder).as_posix()
