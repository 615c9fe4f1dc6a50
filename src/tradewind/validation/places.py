"""Cuts of bars, features and labels at thousands of places, many in one run.

Short histories that end at a cut are laid one after the other, each in its own weeks, so that a gap lies between them
and the hours of the day stay what they were. A second run has the same histories with the bars that followed. What was
known at a cut must be the same in both. Half of the places are random, the others lie on what is rare: the bars before
and after gaps, the thinnest bars, the largest moves, closes that repeat.

What looks back over gaps and over more bars than a place has sees the history before its own: scores of quality (30
days, and outliers among the bars of as many). The whole runs compare them, places do not.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from tradewind.market.series import QUALITY_SERIES
from tradewind.market.timeframes import bar_duration_ms
from tradewind.validation.comparing import Leak, Row, moved
from tradewind.validation.purity import cheap_products
from tradewind.validation.research_run import Products, RunSettings, Sources, Steps, Tables

WEEK_MS = 7 * 24 * 3_600_000
BEFORE, AFTER = 400, 60  # bars of history that each cut has, and bars that follow it
COMPARED = 150  # bars before a cut: those further back may be warming up
TOGETHER = 150  # cuts in one run
RANDOM = "random places"
SHORTENED = "shortened"
EPOCH_MS = 22 * 365 * 24 * 3_600_000  # where the first of them lies


def compare(
    whole: Products, sources: Sources, settings: RunSettings, steps: Steps, n_places: int, counted: dict[str, int]
) -> list[Row]:
    """What moved at the places.

    Args:
        whole: the products of the run on the unchanged history.
        sources: the received rows.
        settings: parameters of the run.
        steps: the steps of the run.
        n_places: random places; as many again lie on rare events, as far as there are so many.
        counted: gets the number of places by kind.
    """
    if n_places < 1:
        return []
    chosen = choose(whole.bars, sources, n_places, settings.seed)
    for kind, cuts in chosen.items():
        counted[kind] = len(cuts)
    cuts = np.unique(np.concatenate(list(chosen.values())))
    rows: list[Row] = []
    bar_ms = bar_duration_ms(sources.universe.timeframe)
    # Bars must have closed by now, and a bar may be long.
    together = max(min(TOGETHER, (int(cuts.max()) - EPOCH_MS) // _width(bar_ms)), 1) if len(cuts) else 1
    for first in range(0, len(cuts), together):
        rows += _compare_together(cuts[first : first + together], sources, settings, steps)
    return rows


def _width(bar_ms: int) -> int:
    """Milliseconds that one short history has, whole weeks and one to spare."""
    return (-(-(BEFORE + AFTER + 100) * bar_ms // WEEK_MS) + 1) * WEEK_MS


def choose(bars: Tables, sources: Sources, n_places: int, seed: int) -> dict[str, np.ndarray]:
    """Closes (UTC milliseconds) by the kind of place; those of a kind that the history has not are none.

    Args:
        bars: checked bars by partition.
        sources: the received rows.
        n_places: random places, and at most as many of all other kinds together.
        seed: of the random places.
    """
    rng = np.random.default_rng(seed)
    bar_ms = bar_duration_ms(sources.universe.timeframe)
    begin = max(_ms(table["timestamp"])[0] for table in bars.values()) + BEFORE * bar_ms
    end = min(_ms(table["timestamp"])[-1] for table in bars.values()) - AFTER * bar_ms
    if end <= begin:
        return {RANDOM: np.empty(0, dtype=np.int64)}
    each = max(n_places // (4 * len(bars)), 1)
    found: dict[str, list[np.ndarray]] = {}
    for table in bars.values():
        for kind, rows in _rare(table, bar_ms, each).items():
            found.setdefault(kind, []).append(_ms(table["timestamp"])[rows])
    every = next(iter(bars.values()))
    inside = _ms(every["timestamp"])
    inside = inside[(inside >= begin) & (inside <= end)]
    picked = {RANDOM: rng.choice(inside, min(n_places, len(inside)), replace=False)}
    for kind, parts in found.items():
        at = np.unique(np.concatenate(parts))
        at = np.unique(np.concatenate([at, at - bar_ms]))
        picked[kind] = at[(at >= begin) & (at <= end)]
    return picked


def _rare(table: pd.DataFrame, bar_ms: int, each: int) -> dict[str, np.ndarray]:
    close = table["close"].to_numpy(np.float64)
    move = np.abs(np.diff(np.log(close), prepend=np.log(close[0])))
    gaps = np.flatnonzero(np.diff(_ms(table["timestamp"])) > bar_ms)
    repeated = np.flatnonzero(np.diff(close) == 0) + 1
    return {
        "bars beside gaps": np.unique(np.concatenate([gaps, gaps + 1]))[: 2 * each],
        "thinnest bars": np.argsort(table["volume"].to_numpy(np.float64), kind="stable")[:each],
        "largest moves": np.argsort(-move, kind="stable")[:each],
        "repeated closes": repeated[:: max(len(repeated) // each, 1)][:each],
    }


@dataclass(frozen=True)
class _Slots:
    """Where in time each short history lies: by its cut, so many milliseconds later than it was."""

    cuts: np.ndarray
    shift: np.ndarray
    bar_ms: int

    @classmethod
    def of(cls, cuts: np.ndarray, bar_ms: int) -> "_Slots":
        """Of so many cuts, one after the other from `EPOCH_MS` on."""
        start = EPOCH_MS + _width(bar_ms) * np.arange(len(cuts))
        first = cuts - BEFORE * bar_ms
        # Whole weeks, so that hour and weekday stay.
        return cls(cuts, (start - first) // WEEK_MS * WEEK_MS, bar_ms)

    def place(self, table: pd.DataFrame, column: str, before: int, after: int) -> pd.DataFrame:
        """The rows of every slot, from `before` bars before the cut to `after` bars after it, at their new times."""
        at = _ms(table[column])
        parts = []
        for cut, shift in zip(self.cuts, self.shift, strict=True):
            rows = slice(
                np.searchsorted(at, cut - before * self.bar_ms, side="right"),
                np.searchsorted(at, cut + after * self.bar_ms, side="right"),
            )
            parts.append(_later(table.iloc[rows], int(shift)))
        return pd.concat(parts, ignore_index=True)

    def until_cut(self, table: pd.DataFrame, ended: bool) -> pd.DataFrame:
        """The rows of a product that were known at their own cut."""
        at = _ms(table["timestamp"])
        cut = self.cuts + self.shift
        slot = np.searchsorted(cut + AFTER * self.bar_ms, at, side="left")
        own = cut[np.minimum(slot, len(cut) - 1)]
        known = (slot < len(cut)) & (at <= own) & (at > own - COMPARED * self.bar_ms)
        if ended:
            known &= table["horizon_end"].notna().to_numpy() & (_ms(table["horizon_end"].fillna(_instant(0))) <= own)
        return table[known]

    def original(self, at: pd.Timestamp) -> tuple[pd.Timestamp, pd.Timestamp]:
        """The time as it was, and the cut that it belongs to."""
        ms = int(at.timestamp() * 1000)
        slot = int(np.searchsorted(self.cuts + self.shift + AFTER * self.bar_ms, ms, side="left"))
        slot = min(slot, len(self.cuts) - 1)
        return _instant(ms - int(self.shift[slot])), _instant(int(self.cuts[slot]))


def _compare_together(cuts: np.ndarray, sources: Sources, settings: RunSettings, steps: Steps) -> Iterator[Row]:
    bar_ms = bar_duration_ms(sources.universe.timeframe)
    slots = _Slots.of(cuts, bar_ms)
    short, longer = (cheap_products(_laid_out(sources, slots, after), settings, steps) for after in (0, AFTER))
    end = _instant(int((slots.cuts + slots.shift).max()) + AFTER * bar_ms)
    for product, mine, theirs in zip(("bars", "features", "labels"), longer, short, strict=True):
        ended = product == "labels"
        known = {name: slots.until_cut(table, ended) for name, table in mine.items()}
        also = {name: slots.until_cut(table, ended) for name, table in theirs.items()}
        # The number of a segment counts those before it, which are other histories here.
        known, also = (
            {name: table[[column for column in table if not _looks_across(column)]] for name, table in one.items()}
            for one in (known, also)
        )
        for kind, name, compared, leak in moved(product, known, also, end, end, SHORTENED):
            yield kind, name, compared, _as_it_was(leak, slots) if leak else None


def _looks_across(column: str) -> bool:
    return column == "segment" or column.startswith(QUALITY_SERIES)


def _as_it_was(leak: Leak, slots: _Slots) -> Leak:
    first, cut = slots.original(leak.first)
    return replace(leak, first=first, cut=cut)


def _laid_out(sources: Sources, slots: _Slots, after: int) -> Sources:
    bars = {}
    for name, table in sources.bars.items():
        # Received rows know when they opened; a cut is a close.
        closed = table.assign(**{CLOSED: _ms(table["open_time"]) + slots.bar_ms})
        bars[name] = slots.place(closed, CLOSED, BEFORE, after).drop(columns=CLOSED)
    return replace(sources, bars=bars, side_series=_side(sources.side_series, slots, after))


def _side(side: pd.DataFrame, slots: _Slots, after: int) -> pd.DataFrame:
    """What each slot's bars may read, and what was already known when its first bar closed."""
    side = side.sort_values("known_at", kind="stable")
    at, parts = _ms(side["known_at"]), []
    for cut, shift in zip(slots.cuts, slots.shift, strict=True):
        first, last = (np.searchsorted(at, cut + bars * slots.bar_ms, side="right") for bars in (-BEFORE, after))
        earlier = side.iloc[:first].drop_duplicates(["series", "symbol"], keep="last")
        begun = _instant(int(cut) - BEFORE * slots.bar_ms)
        known = earlier["known_at"].where(earlier["known_at"].isna(), begun).astype(side["known_at"].dtype)
        parts.append(_later(pd.concat([earlier.assign(known_at=known), side.iloc[first:last]]), int(shift)))
    return pd.concat(parts, ignore_index=True)


CLOSED = "_closed_ms"


def _later(rows: pd.DataFrame, shift: int) -> pd.DataFrame:
    moved_columns = {}
    for name in rows.columns:
        if isinstance(rows[name].dtype, pd.DatetimeTZDtype):
            moved_columns[name] = rows[name] + pd.Timedelta(shift, unit="ms")
        elif name in ("open_time", "close_time", CLOSED):
            moved_columns[name] = pd.to_numeric(rows[name]) + shift
    return rows.assign(**moved_columns)


def _ms(column: pd.Series) -> np.ndarray:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.dt.tz_localize(None).to_numpy("datetime64[ms]").astype(np.int64)
    return pd.to_numeric(column).to_numpy(np.int64)


def _instant(ms: int) -> pd.Timestamp:
    return pd.Timestamp(ms, unit="ms", tz="UTC")
