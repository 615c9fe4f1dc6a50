"""Files of funding rates and of events, as values of side series with the moment at which they are known."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from tradewind.data.file_import.raw_table import RawTable
from tradewind.data.file_import.tables import is_text, number_cells
from tradewind.data.file_import.time_columns import read_times
from tradewind.data.files.cells import FloatArray
from tradewind.data.files.cleaning import DUPLICATE
from tradewind.data.files.dialect import ImportSettings, plain_name
from tradewind.data.files.findings import ImportNotes
from tradewind.data.files.names import require_one_spelling, usable_name

_FUNDING = frozenset({"funding_rate", "fundingrate", "last_funding_rate", "funding"})
_EVENT = frozenset({"name", "event", "title"})
_IMPACT = frozenset({"impact", "importance"})
_CURRENCY = frozenset({"currency", "ccy", "country"})
EVENT_TIMES = frozenset({"start", "event_time", "release_time"})
_LEVELS = {"low": 1.0, "medium": 2.0, "moderate": 2.0, "high": 3.0}
_LARGEST_RATE = 0.5  # of the notional at one settlement; venues cap theirs at a few per cent
_SETTLED_MS = 1  # a rate is settled at its time, so it may be used after it
_LONGEST_NAME = 80
SUPERSEDED = "superseded by a later row for the same time"


@dataclass(frozen=True)
class SideFound:
    """Values of side series (`schema.SideVintages`), and why each other row is rejected."""

    vintages: pd.DataFrame
    reason: npt.NDArray[np.object_]


@dataclass(frozen=True)
class _Rows:
    series: npt.NDArray[np.object_]
    symbol: npt.NDArray[np.object_]
    at_ms: FloatArray
    value: FloatArray


def funding_column(table: RawTable) -> str | None:
    """The column that is called a funding rate."""
    return next((name for name in table.columns if plain_name(name) in _FUNDING), None)


def is_funding_in_open(prices: dict[str, FloatArray], volume: FloatArray | None) -> bool:
    """Whether a table of bars is one of funding rates: small opens, and nothing but zeros elsewhere."""
    others = [prices[name] for name in ("high", "low", "close")] + ([volume] if volume is not None else [])
    opened = prices["open"][np.isfinite(prices["open"])]
    zeros = all(
        (values[np.isfinite(values)] == 0).mean() > 0.9 if np.isfinite(values).any() else False for values in others
    )
    return zeros and len(opened) > 0 and bool((np.abs(opened) < _LARGEST_RATE).mean() > 0.9)


def event_columns(table: RawTable) -> dict[str, str] | None:
    """The file's names of an event's name, impact and currency; None if it is no calendar."""
    column_of = {}
    for role, aliases in (("event", _EVENT), ("impact", _IMPACT), ("currency", _CURRENCY)):
        names = [name for name in table.columns if plain_name(name) in aliases and is_text(table.columns[name])]
        if len(names) != 1:
            return None
        column_of[role] = names[0]
    return column_of


def read_funding(table: RawTable, name: str, settings: ImportSettings, notes: ImportNotes) -> SideFound | None:
    """Funding rates, known a millisecond after their settlement.

    Args:
        table: the raw table of the file.
        name: of the column with the rates.
        settings: what the user has set; it goes before what the file suggests.
        notes: gets findings, assumptions and missing settings.

    Returns:
        The values, and why each other row is rejected; None where a setting is needed.

    Raises:
        BadData: the column of the rates holds no numbers, or two symbols or venues have one name.
    """
    times = read_times(table, settings, notes, frozenset({"funding_time", "fundingtime"}))
    symbols = next((column for column in table.columns if plain_name(column) in ("pair", "symbol")), None)
    if settings.symbol is None and symbols is None:
        notes.add_missing("symbol=NAME", "no column says the symbol")
    if times is None or (settings.symbol is None and symbols is None):
        return None
    rate = number_cells(table.columns[name], name, notes.where)
    notes.add_finding("value", name, "the funding rate of one settlement")
    notes.add_finding("known at", "1 ms after its time", "a rate is settled at its time, so it may be used after it")
    venues = _venues(table, settings, notes.where, len(rate))
    symbol = np.full(len(rate), settings.symbol, dtype=object)
    if settings.symbol is None and symbols is not None:
        cells = np.array([str(cell or "") for cell in table.columns[symbols].to_pylist()], dtype=object)
        symbol[:] = ""  # of rows without a rate
        for venue in np.unique(venues):
            of_venue = (venues == venue) & np.isfinite(rate)
            symbol[of_venue] = _named(cells[of_venue], usable_name, notes.where, "symbol")
    series = np.array([f"funding_{venue}" if venue else "funding" for venue in venues], dtype=object)
    faults = {
        **times.rejected,
        "the time cannot be read": ~np.isfinite(times.ms),
        "the clock shows this time twice": np.isfinite(times.again) & ~_is_on_eight_hours(times.ms, times.again),
        "the rate is missing or no number": ~np.isfinite(rate),
        f"the rate is over {_LARGEST_RATE:.0%}": np.abs(rate) > _LARGEST_RATE,
        "the symbol is missing or could name no file": symbol == "",
    }
    instants = np.where(np.isfinite(times.again) & (times.again % 28_800_000 == 0), times.again, times.ms)
    return _found(_Rows(series, symbol, instants, rate), _SETTLED_MS, faults)


def read_events(
    table: RawTable, columns: dict[str, str], settings: ImportSettings, notes: ImportNotes
) -> SideFound | None:
    """One series an event (`event_usd_nonfarm_payrolls`), valued 1 to 3 by impact.

    Args:
        table: the raw table of the file.
        columns: by role (event, currency, impact) the file's name of the column.
        settings: what the user has set; it goes before what the file suggests.
        notes: gets findings, assumptions and missing settings.

    Returns:
        The values, and why each other row is rejected; None where a setting is needed.

    Raises:
        BadData: two events or currencies have one name.
    """
    notes.add_finding("columns", ", ".join(f"{role}={name}" for role, name in columns.items()), "by name")
    times = read_times(table, settings, notes, EVENT_TIMES)
    if times is None:
        return None
    texts = {
        role: [str(cell or "").strip() for cell in table.columns[name].to_pylist()] for role, name in columns.items()
    }
    value = np.array([_LEVELS.get(impact.lower(), np.nan) for impact in texts["impact"]])
    notes.add_finding("value", f"{columns['impact']}: low 1, medium 2, high 3", "by its words")
    notes.assume("known at", "its time", "the file does not say when an event was announced")
    currencies, events = (_named(texts[role], _slug, notes.where, role) for role in ("currency", "event"))
    series = np.array([f"event_{ccy}_{event}" for ccy, event in zip(currencies, events, strict=True)], dtype=object)
    faults = {
        **times.rejected,
        "the time cannot be read": ~np.isfinite(times.ms),
        "the clock shows this time twice": np.isfinite(times.again),
        "the impact is none of low, medium, high": ~np.isfinite(value),
        "the event has no name or currency": (events == "") | (currencies == ""),
    }
    return _found(_Rows(series, np.full(len(value), "", dtype=object), times.ms, value), 0, faults)


def _found(rows: _Rows, delay_ms: int, faults: dict[str, npt.NDArray[np.bool_]]) -> SideFound:
    """The rows without a fault as vintages, known `delay_ms` after their time; of several for one time the last."""
    series, symbol, value = rows.series, rows.symbol, rows.value
    reason = np.full(len(value), "", dtype=object)
    for why, faulty in reversed(faults.items()):
        reason[faulty] = why
    accepted = np.flatnonzero(reason == "")
    instants = np.floor(rows.at_ms[accepted]).astype(np.int64)
    key = pd.DataFrame({"series": series[accepted], "symbol": symbol[accepted], "at": instants})
    repeated = key.duplicated(keep="last").to_numpy()
    if repeated.any():
        # A row that comes again corrects.
        last = (
            key.assign(value=value[accepted]).groupby(["series", "symbol", "at"])["value"].transform("last").to_numpy()
        )
        reason[accepted[repeated]] = np.where(value[accepted] == last, DUPLICATE, SUPERSEDED)[repeated]
    accepted, instants = accepted[~repeated], instants[~repeated]
    vintages = pd.DataFrame(
        {
            "series": pd.array(series[accepted], dtype="str"),
            "symbol": pd.array(symbol[accepted], dtype="str"),
            "reference_at": pd.DatetimeIndex(instants.astype("datetime64[ms]"), tz="UTC"),
            "known_at": pd.DatetimeIndex((instants + delay_ms).astype("datetime64[ms]"), tz="UTC"),
            "value": value[accepted],
        }
    )
    return SideFound(vintages, reason)


def _is_on_eight_hours(first: FloatArray, second: FloatArray) -> npt.NDArray[np.bool_]:
    """Whether just one of two instants is a settlement time."""
    return (first % 28_800_000 == 0) != (second % 28_800_000 == 0)


def _venues(table: RawTable, settings: ImportSettings, where: str, rows: int) -> npt.NDArray[np.object_]:
    """The venue of each row where the file has several."""
    name = next((column for column in table.columns if plain_name(column) in ("exchange", "venue")), None)
    if settings.venue is not None or name is None:
        return np.full(rows, "", dtype=object)
    return _named(table.columns[name].to_pylist(), _slug, where, "venue")


def _named(cells: Iterable[object], name_of: Callable[[str], str], where: str, kind: str) -> npt.NDArray[np.object_]:
    """The name of each cell, where no two spellings have one name; letters' case and spaces make no other spelling of
    what is named by a slug."""
    texts = [str(cell or "") for cell in cells]
    if name_of is _slug:
        texts = [" ".join(text.lower().split()) for text in texts]
    names = require_one_spelling(texts, name_of, where, kind)
    return np.array([names[text] for text in texts], dtype=object)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:_LONGEST_NAME]
