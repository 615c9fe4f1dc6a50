"""Files of bars, whatever their columns: prices, volumes, instants, and which symbol each row belongs to."""

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from tradewind.data.file_import.raw_table import RawTable
from tradewind.data.file_import.several_markets import require_one_market
from tradewind.data.file_import.tables import is_text, number_cells, optional_cells
from tradewind.data.file_import.time_columns import Times, read_times
from tradewind.data.file_import.volumes import ABSURD_OPEN, DISAGREE, absurd_opens, read_volumes, volume_columns
from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.cells import FloatArray, negative_cells
from tradewind.data.files.cleaning import NOT_CLOSED
from tradewind.data.files.dialect import ALIASES, ImportSettings, closed_flag, plain_name
from tradewind.data.files.findings import ImportNotes
from tradewind.data.files.grid_hints import months_between
from tradewind.data.files.names import usable_name, usable_venue
from tradewind.errors import BadData
from tradewind.market.calendars import Calendar, calendar_name
from tradewind.market.timeframes import bar_anchor_ms, bar_duration_ms

PRICES = ("open", "high", "low", "close")
TWICE = "the clock shows this time twice, and nothing tells which of the two it is"
_VENUES = frozenset({"exchange", "venue", "market"})
_PAIRS = ("pair", "symbol", "ticker", "instrument")
_CONTRACTS = frozenset({"contract", "contract_type"})
_MINUTE_MS = 60_000
_DAY_MS = 86_400_000


@dataclass
class ImportedBars:
    """The bars of one key as received (`deliveries.receive` takes `rows`), and the numbers of these rows, and of those
    that are rejected, in the table; whether the last bar may not have closed when the file was written."""

    key: BarKey
    rows: pd.DataFrame
    source_row: npt.NDArray[np.int64]
    rejected_row: npt.NDArray[np.int64]
    week_start: str = "mon"
    may_end_open: bool = True

    @property
    def calendar(self) -> Calendar:
        """On whose grid the bars open."""
        return Calendar.of(self.key.timeframe, calendar_name(self.key.venue), self.week_start)


@dataclass
class BarsFound:
    """What a file of bars holds: bars by key, and why each row of the table is rejected (empty where it is not)."""

    tables: list[ImportedBars] = field(default_factory=list)
    reason: npt.NDArray[np.object_] = field(default_factory=lambda: np.empty(0, dtype=object))


def price_columns(table: RawTable, settings: ImportSettings, notes: ImportNotes) -> dict[str, str] | None:
    """The file's names of open, high, low and close; None if it has not all four.

    Args:
        table: the raw table of the file.
        settings: what the user has set; it goes before what the file suggests.
        notes: names the file in messages.

    Raises:
        BadData: two columns could be one of them.
    """
    named = {str(role): name for role, name in settings.columns.items()}
    found = {}
    for role in PRICES:
        configured = named.get(role)
        names = [configured] if configured else [name for name in table.columns if plain_name(name) in ALIASES[role]]
        if len(names) > 1:
            raise BadData(f"{notes.where}: {names} could each be {role}: choose one with columns.{role}=NAME")
        if not names or names[0] not in table.columns:
            return None
        found[role] = names[0]
    return found


def read_bars(
    table: RawTable, columns: dict[str, str], settings: ImportSettings, notes: ImportNotes
) -> BarsFound | None:
    """The bars of a table whose price columns are known; None where a setting is needed.

    Args:
        table: the raw table of the file.
        columns: by role (open, high, low, close) the file's name of the column.
        settings: what the user has set; it goes before what the file suggests.
        notes: gets findings, assumptions and missing settings.

    Returns:
        Bars by key, and why each other row is rejected; None where a setting is needed.

    Raises:
        BadData: a column holds no numbers, or a named column is not in the file.
    """
    notes.add_finding("columns", ", ".join(f"{role}={name}" for role, name in columns.items()), "by name or content")
    prices = {role: number_cells(table.columns[name], name, notes.where) for role, name in columns.items()}
    times = read_times(table, settings, notes)
    volumes = read_volumes(table, prices, settings, notes, volume_columns(table))
    groups = _groups(table, settings, notes)
    if times is None or volumes is None or groups is None:
        return None
    timeframe = _timeframe(times, groups, settings, notes)
    if timeframe is None:
        return None
    bar_ms = bar_duration_ms(timeframe)
    reason = np.full(len(times.ms), "", dtype=object)
    opened, undecided = _resolved(times, groups, bar_ms, np.column_stack(list(prices.values())), notes)
    _reject(reason, TWICE, undecided)
    sessions = _session_dates(opened, bar_ms, settings, notes)
    if sessions is not None:
        opened = sessions
    elif settings.time_is == "close":
        # Some venues stamp the close with the last millisecond inside the bar.
        opened = np.where(opened % 1_000 == 999, opened + 1, opened) - bar_ms
        notes.add_finding("bars are stamped with", "their close", "given")
    elif not settings.columns.get("open_time") and "open_time" not in map(plain_name, table.columns):
        notes.assume(
            "bars are stamped with", "their open", "as exchanges do; the file cannot tell (time_is=close otherwise)"
        )
    values = {**prices, "volume": volumes.base}
    if volumes.quote is not None:
        values["quote_volume"] = volumes.quote
    _reject(reason, "a volume is no number", volumes.not_numeric)
    trades = [name for name in table.columns if plain_name(name) in ALIASES["trades"]]
    if len(trades) == 1:
        values["trades"], wrong = optional_cells(table.columns[trades[0]], trades[0], notes.where)
        notes.add_finding("trades", trades[0], "by name")
        _reject(reason, "trades is no number", wrong)
    flag = closed_flag(list(table.columns))
    forming = negative_cells(table.columns[flag].to_pandas()) if flag is not None else None
    if forming is not None:
        notes.add_finding("bars still open", f"{int(forming.sum()):,} rows", f"column {flag!r} says it")
        _reject(reason, NOT_CLOSED, forming)
    used = {*columns.values(), *volume_columns(table), *trades, *([flag] if flag else [])}
    require_one_market(table, groups, opened, values, used, notes)
    _reject(reason, DISAGREE, volumes.disagree)
    for rows in groups.values():
        own_prices = {name: numbers[rows] for name, numbers in prices.items()}
        _reject(reason, ABSURD_OPEN, rows[absurd_opens(opened[rows], own_prices, volumes.of_rows(rows))])
    _reject_untyped(reason, opened, {**prices, "volume": volumes.base})
    for why, rejected in times.rejected.items():
        _reject(reason, why, rejected, first=True)
    named = np.zeros(len(reason), dtype=bool)
    named[np.concatenate(list(groups.values()))] = True
    _reject(reason, "the row names no usable venue and symbol", ~named, first=True)
    tables = [_table_of(BarKey(venue=venue, symbol=symbol, timeframe=timeframe), rows, opened, values, reason)
              for (venue, symbol), rows in groups.items()]  # fmt: skip
    tables = [replace(one, week_start=settings.week_start, may_end_open=forming is None) for one in tables]
    return BarsFound(tables, reason)


def _session_dates(opened: FloatArray, bar_ms: int, settings: ImportSettings, notes: ImportNotes) -> FloatArray | None:
    """Midnight UTC of the date that days have in the stated zone of their sessions; None where that is not at issue.

    Days that open at one local time, such as midnight or 9:30 in New York, open at two different times UTC, none of
    which a day opens at.
    """
    known = np.isfinite(opened)
    if bar_ms % _DAY_MS or settings.timezone in (None, "UTC") or not known.any() or not (opened[known] % _DAY_MS).any():
        return None
    instants = pd.DatetimeIndex(opened[known].astype(np.int64).astype("datetime64[ms]"), tz="UTC")
    local = instants.tz_convert(settings.timezone).tz_localize(None).as_unit("ms").asi8
    times = np.unique(local % _DAY_MS)
    if len(times) != 1:
        return None
    dates = opened.copy()
    dates[known] = local - times[0]
    if settings.time_is == "close" and times[0] == 0:
        dates -= bar_ms
    notes.assume(
        "days are", f"the dates of sessions in {settings.timezone}",
        "each session ends before midnight UTC of its date; give UTC days of a market that never closes",
    )  # fmt: skip
    return dates


def _table_of(
    key: BarKey, rows: npt.NDArray[np.int64], opened: FloatArray, values: dict[str, FloatArray],
    reason: npt.NDArray[np.object_],
) -> ImportedBars:  # fmt: skip
    kept = rows[reason[rows] == ""]
    columns = {"open_time": opened[kept].astype(np.int64), **{name: numbers[kept] for name, numbers in values.items()}}
    return ImportedBars(key, pd.DataFrame(columns), kept, rows[reason[rows] != ""])


def _reject(
    reason: npt.NDArray[np.object_], why: str, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64], first: bool = False
) -> None:
    """Give rows a reason if they have none; `first`: whatever they have."""
    chosen = np.zeros(len(reason), dtype=bool)
    chosen[rows] = True
    reason[chosen & ((reason == "") | first)] = why


def _reject_untyped(reason: npt.NDArray[np.object_], opened: FloatArray, values: dict[str, FloatArray]) -> None:
    _reject(reason, "the time cannot be read", ~np.isfinite(opened))
    _reject(reason, "the time is not a whole millisecond", opened != np.floor(opened))
    for name, numbers in values.items():
        _reject(reason, f"{name} is missing or no number", np.isnan(numbers))
        _reject(reason, f"{name} is not finite", np.isinf(numbers))


def _groups(
    table: RawTable, settings: ImportSettings, notes: ImportNotes
) -> dict[tuple[str, str], npt.NDArray[np.int64]] | None:
    """The rows of each venue and symbol; a row whose cells name none is in no group."""
    rows = len(table.source_row)
    named = {name: plain_name(name) for name, cells in table.columns.items() if is_text(cells)}
    venue = next((name for name, plain in named.items() if plain in _VENUES), None)
    pair = next((name for wanted in _PAIRS for name, plain in named.items() if plain == wanted), None)
    contract = next((name for name, plain in named.items() if plain in _CONTRACTS), None) if venue else None
    if settings.venue is not None:
        venue, contract = None, None
    if settings.symbol is not None:
        pair = None
    for setting, column in (("venue", venue), ("symbol", pair)):
        given = getattr(settings, setting)
        if column is None and given is None:
            notes.add_missing(f"{setting}=NAME", f"no column says the {setting}")
        elif given is not None:
            notes.add_finding(setting, given, "given")
    if (venue is None and settings.venue is None) or (pair is None and settings.symbol is None):
        return None
    parts = [table.columns[name].to_pandas().astype("str") for name in (venue, pair, contract) if name]
    if not parts:
        return {(str(settings.venue), str(settings.symbol)): np.arange(rows)}
    keys = pd.concat(parts, axis=1, keys=[name for name in (venue, pair, contract) if name]).fillna("")
    groups: dict[tuple[str, str], npt.NDArray[np.int64]] = {}
    spelled: dict[tuple[str, str], str] = {}
    for cells, indices in keys.groupby(list(keys.columns), sort=True).indices.items():
        cell = dict(zip(keys.columns, cells if isinstance(cells, tuple) else (cells,), strict=True))
        suffix = "" if contract is None or cell[contract].lower() in ("spot", "") else f"_{cell[contract].lower()}"
        key = (
            settings.venue or usable_venue(cell[str(venue)].lower() + suffix),
            settings.symbol or usable_name(cell[str(pair)]),
        )
        if "" in key:
            continue  # the rows are in no group
        written = " ".join(cell.values())
        if key in groups:
            raise BadData(
                f"{notes.where}: two kinds of rows, {spelled[key]!r} and {written!r}, would both be {'/'.join(key)}: "
                "spell them in one way if they are the same, else import them one by one with --symbol"
            )
        spelled[key] = written
        groups[key] = np.asarray(indices)
    if not groups:
        raise BadData(f"{notes.where}: no row names a usable venue and symbol: give venue=NAME and symbol=NAME")
    columns = ", ".join(f"column {name!r}" for name in (venue, pair, contract) if name)
    notes.add_finding("venue and symbol", ", ".join("/".join(key) for key in list(groups)[:20]), columns)
    return groups


def _timeframe(
    times: Times, groups: dict[tuple[str, str], npt.NDArray[np.int64]], settings: ImportSettings, notes: ImportNotes
) -> str | None:
    """The time frame: the most frequent step between instants of one symbol."""
    certain = np.where(np.isfinite(times.again), np.nan, times.ms)
    instants = [np.unique(certain[rows][np.isfinite(certain[rows])]) for rows in groups.values()]
    _refuse_months(instants, notes)
    steps = np.concatenate([np.diff(one) for one in instants])
    if len(steps) == 0:
        if settings.timeframe is None:
            notes.add_missing("timeframe=DURATION", "no symbol has two bars, whose distance would say it")
        return settings.timeframe
    sizes, counts = np.unique(steps, return_counts=True)
    usual = int(sizes[np.argmax(counts)])
    direction = np.concatenate([np.sign(np.diff(certain[rows])) for rows in groups.values()])
    newest_first = (direction < 0).sum() > (direction > 0).sum()
    notes.add_finding(
        "order of rows", "newest first" if newest_first else "oldest first",
        f"{int((direction < 0).sum()):,} steps back, {int((direction > 0).sum()):,} forward",
    )  # fmt: skip
    found = _named_duration(usual)
    evidence = (
        f"{int(counts.max()):,} of {len(steps):,} steps, and {int((steps % usual == 0).sum()):,} are multiples of it"
    )
    if settings.timeframe is not None:
        if found != settings.timeframe and counts.max() * 2 > len(steps):
            raise BadData(
                f"{notes.where}: the time frame is said to be {settings.timeframe}, but bars step by "
                f"{usual / 1000:g} s in {evidence}: correct timeframe"
            )
        notes.add_finding("time frame", settings.timeframe, "given")
        return settings.timeframe
    if found is None or counts.max() * 2 < len(steps):
        notes.add_missing("timeframe=DURATION", f"the most frequent step is {usual / 1000:g} s, in {evidence}")
        return None
    notes.add_finding("time frame", found, evidence)
    return found


def _refuse_months(instants: list[FloatArray], notes: ImportNotes) -> None:
    """Nothing, where no symbol's rows are apart by calendar months, which have no one duration."""
    for one in instants:
        if (apart := months_between(one)) > 0:
            first, second = (str(np.datetime64(int(at), "ms"))[:10] for at in one[:2])
            raise BadData(
                f"{notes.where}: its {len(one):,} rows are {apart} calendar month{'s' if apart > 1 else ''} apart "
                f"({first}, {second}), and months have no one duration: import its daily or weekly bars (1d, 1w), of "
                "which months can be made"
            )


def _named_duration(milliseconds: int) -> str | None:
    for unit, size in (("w", 10_080), ("d", 1_440), ("h", 60), ("m", 1)):
        count, rest = divmod(milliseconds, size * _MINUTE_MS)
        if rest == 0 and 0 < count < 10_000:
            return f"{count}{unit}"
    return None


def _resolved(
    times: Times,
    groups: dict[tuple[str, str], npt.NDArray[np.int64]],
    bar_ms: int,
    content: FloatArray,
    notes: ImportNotes,
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """The instants, each of those that a clock shows twice decided by the grid of bars, or by its twin beside it; and
    the rows that nothing decides."""
    opened = times.ms.copy()
    doubtful = np.flatnonzero(np.isfinite(times.again))
    if len(doubtful) == 0:
        return opened, doubtful
    on_grid = [(instants[doubtful] - bar_anchor_ms(bar_ms)) % bar_ms == 0 for instants in (times.ms, times.again)]
    later = doubtful[~on_grid[0] & on_grid[1]]
    opened[later] = times.again[later]
    by_grid = int((on_grid[0] != on_grid[1]).sum())
    undecided = set(doubtful[on_grid[0] == on_grid[1]].tolist())
    by_twin = 0
    for rows in groups.values():
        here = np.array([row for row in rows if row in undecided], dtype=np.int64)
        ascending = np.nansum(np.sign(np.diff(times.ms[rows]))) >= 0
        for instant in np.unique(times.ms[here]):
            twins = here[times.ms[here] == instant]
            if len(twins) == 2 and not np.array_equal(content[twins[0]], content[twins[1]]):
                opened[twins[1 if ascending else 0]] = times.again[twins[0]]
                undecided.difference_update(twins.tolist())
                by_twin += 2
    notes.add_finding(
        "times that the clock shows twice", f"{len(doubtful)} rows",
        f"{by_grid} decided by the grid of bars, {by_twin} by their order, {len(undecided)} rejected",
    )  # fmt: skip
    return opened, np.array(sorted(undecided), dtype=np.int64)
