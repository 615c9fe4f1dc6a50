"""What is traded, and on which bar."""

from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from tradewind.market.calendars import Calendar, calendar_name
from tradewind.market.series import QUALITY_SERIES
from tradewind.market.timeframes import bar_duration
from tradewind.parameters import Parameters

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]


class Universe(Parameters):
    """The symbols of one venue on one timeframe (`params:universe`).

    `reference_symbol` is the asset that cross-asset features compare against (the first symbol unless given).
    Lists may be written as words in one string, since Kedro splits `--params` at commas. `side_series` names the
    side series joined to every bar; empty where a source has none. Those of `quality.rules.QUALITY_SERIES` are made of
    the bars, all others come from the source. `calendar` says when the market trades (`market.calendars`): 24/7, 24/5,
    FX or an exchange's MIC; null is the venue's, 24/7 where it is not known. Weekly bars open on `week_start`.
    """

    venue: Name
    symbols: Annotated[tuple[Name, ...], Field(min_length=1)]
    timeframe: str
    reference_symbol: Name | None = None
    side_series: tuple[Name, ...] = ()
    calendar: str | None = None
    week_start: Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"] = "mon"

    @field_validator("symbols", "side_series", mode="before")
    @classmethod
    def _split_words(cls, value: Any) -> Any:
        return tuple(value.split()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check(self) -> "Universe":
        bar_duration(self.timeframe)
        calendar_name(self.venue, self.calendar)
        if len(set(self.symbols)) != len(self.symbols):
            raise ValueError(f"universe.symbols holds a symbol twice: {list(self.symbols)}")
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
