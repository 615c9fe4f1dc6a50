"""What is traded, and on which bar."""

from datetime import date, timedelta
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from tradewind.market.calendars import DAY_MS, Calendar, calendar_name
from tradewind.market.series import QUALITY_SERIES
from tradewind.market.timeframes import bar_duration
from tradewind.parameters import Parameters

_NEVER_MS = 2**62

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]


class Membership(Parameters):
    """When a symbol belongs to the universe: from `since` (its listing, or its entry) until `until` (its delisting, or
    its exit), days of which both are in it; null where it is not bounded."""

    since: date | None = None
    until: date | None = None

    @model_validator(mode="after")
    def _check(self) -> "Membership":
        if self.since is not None and self.until is not None and self.since > self.until:
            raise ValueError(f"since {self.since} must not lie after until {self.until}")
        return self


class Universe(Parameters):
    """The symbols of one venue on one timeframe (`params:universe`).

    `reference_symbol` is the asset that cross-asset features compare against (the first symbol unless given).
    `side_series` names the side series joined to every bar; empty where a source has none. Those of
    `quality.rules.QUALITY_SERIES` are made of the bars, all others come from the source. `calendar` says when
    the market trades (`market.calendars`): 24/7, 24/5, FX or an exchange's MIC; null is the venue's, 24/7 where it is
    not known. Weekly bars open on `week_start`.

    `members` says when symbols enter and leave: bars outside are left out, and what is held when a symbol leaves is
    closed at its last close. `chosen` says whether the symbols were picked beforehand, or afterwards, knowing which
    survived; `price_adjustment` whether prices of the past were adjusted, which makes dividends part of the returns.
    The report says both.
    """

    venue: Name
    symbols: Annotated[tuple[Name, ...], Field(min_length=1)]
    timeframe: str
    reference_symbol: Name | None = None
    side_series: tuple[Name, ...] = ()
    calendar: str | None = None
    members: dict[Name, Membership] = {}
    chosen: Literal["beforehand", "afterwards"] | None = None
    price_adjustment: Literal["none", "splits", "splits_and_dividends"] | None = None
    week_start: Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"] = "mon"

    @model_validator(mode="after")
    def _check(self) -> "Universe":
        bar_duration(self.timeframe)
        calendar_name(self.venue, self.calendar)
        unknown = sorted(set(self.members) - set(self.symbols))
        if unknown:
            raise ValueError(f"universe.members names {unknown}, which are not in symbols {list(self.symbols)}")
        if len(set(self.symbols)) != len(self.symbols):
            raise ValueError(f"universe.symbols holds a symbol twice: {list(self.symbols)}")
        alike = {name.lower(): name for name in reversed(self.symbols)}
        for name in self.symbols:
            if alike[name.lower()] != name:
                raise ValueError(
                    f"universe.symbols: {alike[name.lower()]!r} and {name!r} differ in the case of letters alone, by "
                    "which some file systems tell no files apart: name one of them otherwise"
                )
        if len(set(self.side_series)) != len(self.side_series):
            raise ValueError(f"universe.side_series holds a series twice: {list(self.side_series)}")
        if self.reference_symbol is not None and self.reference_symbol not in self.symbols:
            raise ValueError(
                f"universe.reference_symbol {self.reference_symbol!r} is not in symbols {list(self.symbols)}"
            )
        return self

    @property
    def reference(self) -> str:
        """The symbol that cross-asset features compare against."""
        return self.reference_symbol or self.symbols[0]

    @property
    def received_side_series(self) -> tuple[str, ...]:
        """The side series that the source must have."""
        return tuple(name for name in self.side_series if name not in QUALITY_SERIES)

    @property
    def bar(self) -> timedelta:
        """Duration of one bar."""
        return bar_duration(self.timeframe)

    @cached_property
    def trading_calendar(self) -> Calendar:
        """When the market trades, for bars of this timeframe."""
        return Calendar.of(self.timeframe, calendar_name(self.venue, self.calendar), self.week_start)

    @property
    def ends_ms(self) -> dict[str, int]:
        """By symbol the last moment of its stated life, in milliseconds; those without an end are left out."""
        return {
            name: _midnight_ms(member.until + timedelta(days=1))
            for name, member in self.members.items()
            if member.until is not None
        }

    def lifetime_ms(self, symbol: str) -> tuple[int, int]:
        """From when on and up to when bars of the symbol may open, in milliseconds."""
        member = self.members.get(symbol, Membership())
        first = 0 if member.since is None else _midnight_ms(member.since)
        return first, self.ends_ms.get(symbol, _NEVER_MS)

    @property
    def bars_per_year(self) -> float:
        """Bars in a year of this market's trading."""
        return self.trading_calendar.bars_per_year

    @property
    def bars_per_day(self) -> float:
        """Bars in a session, below 1 where they are longer."""
        return self.trading_calendar.bars_per_day

    def partition(self, symbol: str) -> str:
        """The partition of `symbol` in every per-symbol table: `venue/symbol/timeframe`."""
        return f"{self.venue}/{symbol}/{self.timeframe}"

    @property
    def partitions(self) -> tuple[str, ...]:
        """The partitions of all symbols, in the order of `symbols`."""
        return tuple(self.partition(symbol) for symbol in self.symbols)


def _midnight_ms(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_MS
