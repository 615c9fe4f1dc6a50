"""What to fetch, as configuration and commands say it."""

from datetime import UTC, date, datetime, time
from typing import Any

from pydantic import Field, field_validator

from tradewind.data.files.bar_key import BarKey
from tradewind.data.ingestion.backfill import SideKey, Wanted
from tradewind.data.ingestion.rules import IngestionRules
from tradewind.market.timeframes import bar_duration
from tradewind.parameters import Parameters


class FetchSettings(Parameters):
    """What is fetched (`fetch:` of a stored dataset, options of `kedro backfill`): from `since` to `until` or now, UTC.

    `symbols` may be words in one string; each counts once. `series` are the side series to fetch for each of them.
    `max_age_hours`: a run refuses stored bars whose last one is older than that, and says to backfill.
    """

    symbols: tuple[str, ...] = Field(min_length=1)
    since: datetime
    until: datetime | None = None
    timeframe: str = "1h"
    series: tuple[str, ...] = ()
    max_age_hours: float = Field(default=48.0, gt=0, le=24 * 366)
    rules: IngestionRules = IngestionRules()

    @field_validator("symbols", "series", mode="before")
    @classmethod
    def _split_words(cls, value: Any) -> Any:
        words = value.split() if isinstance(value, str) else value
        return tuple(dict.fromkeys(words)) if isinstance(words, list | tuple) else words

    @field_validator("since", "until", mode="before")
    @classmethod
    def _date_as_midnight(cls, value: Any) -> Any:
        is_day = isinstance(value, date) and not isinstance(value, datetime)
        return datetime.combine(value, time()) if is_day else value

    @field_validator("since", "until")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    @field_validator("timeframe")
    @classmethod
    def _is_a_bar(cls, value: str) -> str:
        bar_duration(value)
        return value

    def bars(self, venue: str) -> Wanted:
        """The bars of every symbol."""
        keys = tuple(BarKey(venue=venue, symbol=symbol, timeframe=self.timeframe) for symbol in self.symbols)
        return Wanted(keys, self.since, self.until)

    def side(self) -> Wanted:
        """The side series of every symbol."""
        keys = tuple(SideKey(series, symbol) for series in self.series for symbol in self.symbols)
        return Wanted((), self.since, self.until, keys)
