"""Which files of a folder hold a side series, and how they are written."""

import re
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar

from pydantic import Field, field_validator, model_validator

from tradewind.errors import BadData
from tradewind.market.timeframes import bar_duration
from tradewind.market.universe import Name
from tradewind.parameters import Parameters

_QUOTES = re.compile(r"(?<=.)-?(USDT|USDC|BUSD|TUSD|USD|EUR)$")
_FIELDS = {"symbol", "base"}


class SeriesFiles(Parameters):
    """Where a side series is below the folder (an entry of `series:` of a `SideFolderDataset`).

    `files` is a path with {symbol}, or {base} for the symbol without its quote currency; a spread or a ratio names the
    files it is held `against`. `of` takes one symbol's values for the whole market. `columns` gives the file's name of
    `time`, `value`, `known_at` or `key` where it is not recognised, `time_format` the strptime format of text times
    that are not ISO 8601. `timeframe` is that of bar files, `tick` how often a calendar's hours are counted,
    `delay_hours` comes on top of the series' own publication delay.
    """

    whole: ClassVar[frozenset[str]] = frozenset({"against"})

    files: str
    against: tuple[str, ...] = ()
    of: Name | None = None
    columns: dict[str, str] = {}
    time_format: str | None = None
    timeframe: str = "1h"
    tick: str = "1h"
    delay_hours: Annotated[float, Field(ge=0, le=24 * 366)] = 0.0

    @field_validator("against", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("timeframe", "tick")
    @classmethod
    def _is_duration(cls, value: str) -> str:
        bar_duration(value)
        return value

    @field_validator("tick")
    @classmethod
    def _is_at_most_an_hour(cls, value: str) -> str:
        if bar_duration(value) > timedelta(hours=1):
            raise ValueError(f"tick must be 1h or less, found {value}")
        return value

    @model_validator(mode="after")
    def _check(self) -> "SeriesFiles":
        unknown = set(self.columns) - {"time", "value", "known_at", "key"}
        if unknown:
            raise ValueError(f"columns may name time, value, known_at and key, found {sorted(unknown)}")
        for pattern in (self.files, *self.against):
            if not pattern or PurePosixPath(pattern).is_absolute() or ".." in PurePosixPath(pattern).parts:
                raise ValueError(f"files must be named below the folder, found {pattern!r}")
            fields = set(re.findall(r"\{(.*?)\}", pattern))
            if fields - _FIELDS:
                raise ValueError(f"{pattern!r}: only {{symbol}} and {{base}} are filled in, found {sorted(fields)}")
        return self

    def paths(self, folder: Path, symbol: str) -> tuple[Path, ...]:
        """The leading file of a symbol, then those it is held against."""
        named = {"{symbol}": symbol, "{base}": _QUOTES.sub("", symbol)}
        places = []
        for pattern in (self.files, *self.against):
            for field, text in named.items():
                pattern = pattern.replace(field, text)
            places.append(folder / pattern)
        return tuple(places)


def require_files(paths: tuple[Path, ...], series: str, symbol: str) -> None:
    """Nothing, if every file is there.

    Args:
        paths: of the files.
        series: for the message.
        symbol: for the message; "" for a series of the market.

    Raises:
        BadData: one is missing; a series must cover every symbol that it is asked for.
    """
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        of_symbol = f" of {symbol}" if symbol else ""
        raise BadData(
            f"side series {series}{of_symbol}: {missing} is not there. Add the file, leave the symbol out of "
            f"universe.symbols or {series} out of universe.side_series"
            + (", or set `of` in catalog_sources.yml to use one symbol's values for all" if symbol else "")
        )
