"""How a file of bars is written: which column is what, and in which unit its times are."""

import re
import unicodedata
from typing import Annotated, ClassVar, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, StringConstraints, field_validator

from tradewind.data.files.cleaning import OPTIONAL, REQUIRED
from tradewind.data.files.foreign_names import ENGLISH
from tradewind.data.files.names import NAME
from tradewind.errors import BadData, BadParameters
from tradewind.market.timeframes import bar_duration
from tradewind.parameters import Parameters

_UTC_NAMES = ("gmt_time", "utc_time", "time_utc", "date_utc", "datetime_utc", "timestamp_utc", "time_gmt")
TIME_NAMES = frozenset(
    {
        "timestamp", "time", "date", "datetime", "unix", "unix_timestamp", "epoch", "ts", "t", "index_level_0",
        "local_time", "date_time", *_UTC_NAMES,
    }
)  # fmt: skip

# Names under which sources are known to deliver each column, in lower case with underscores.
ALIASES = {
    "open_time": frozenset({"open_time", "opentime", "open_timestamp"}),
    "close_time": frozenset({"close_time", "closetime", "close_timestamp"}),
    "open": frozenset({"open", "o", "open_price"}),
    "high": frozenset({"high", "h", "high_price"}),
    "low": frozenset({"low", "l", "low_price"}),
    "close": frozenset({"close", "c", "close_price", "close_last"}),
    "volume": frozenset({"volume", "vol", "v", "base_volume", "volume_base", "shares_traded", "no_of_shares"}),
    "quote_volume": frozenset({"quote_volume", "quote_asset_volume", "volume_quote", "quotevolume"}),
    "trades": frozenset({"trades", "trade_count", "tradecount", "number_of_trades", "num_trades"}),
}

# Columns that say whether a bar had closed when its row was written: exchanges' candles while they form.
CLOSED_FLAGS = frozenset(
    {"confirm", "confirmed", "is_closed", "isclosed", "is_final", "isfinal", "complete", "is_complete"}
)

_LONGEST_SHOWN = 40
_MOST_SHOWN = 20

TimeUnit = Literal["auto", "s", "ms", "us", "ns", "iso"]
ImportKind = Literal["bars", "trades", "funding", "events", "stream"]
DateOrder = Literal["ymd", "dmy", "mdy"]


class BarDialect(Parameters):
    """How to read the bar files of a folder (`dialect:` of a `BarFolderDataset`); every field may be left out.

    `columns` gives the file's name of a column that is not recognised, such as `{volume: Volume BTC}`.
    `column_names` names the columns of a file without a header line. `skip_lines` are lines before the header.
    `time_unit` is the unit of numeric times (`auto`: by their size, if all rows agree); text times are ISO 8601
    unless `time_format` gives a strptime format. Times without a zone are in `timezone`. `time_is` says whether
    a bar is stamped with its open or its close.
    """

    whole: ClassVar[frozenset[str]] = frozenset({"column_names"})

    columns: dict[Literal["open_time", "open", "high", "low", "close", "volume", "quote_volume", "trades"], str] = {}
    column_names: tuple[str, ...] = ()
    skip_lines: int = Field(0, ge=0)
    delimiter: Annotated[str, StringConstraints(min_length=1, max_length=1)] | None = None
    time_unit: TimeUnit = "auto"
    time_format: str | None = None
    time_is: Literal["open", "close"] = "open"
    timezone: str | None = None

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, timezone: str | None) -> str | None:
        if timezone is not None and timezone not in available_timezones():
            raise ValueError("must be an IANA name such as UTC or Europe/London")
        return timezone

    @property
    def zone(self) -> str:
        """The time zone of times that have none, for a folder whose owner does not say otherwise."""
        return self.timezone or "UTC"


def _a_duration(timeframe: str) -> str:
    try:
        bar_duration(timeframe)
    except BadParameters as error:
        raise ValueError(str(error).partition(", found")[0]) from error  # the validator adds what was given
    return timeframe


class ImportSettings(BarDialect):
    """What may be said of a file to import, beside its dialect (`--set NAME=VALUE` of `kedro import-bars`).

    All may be left out where the file tells: `kind` of rows, their `venue`, `symbol` and `timeframe`; the `encoding` of
    text; `date_order` of dates such as 03/04/2024; `volume_unit`, what a single volume column counts (`base`, or
    `quote`: money; `none`: the file has no volume, it is 0), the mark before decimals (`decimal`). `timezone` has no
    default here; weekly bars open on `week_start`.
    """

    kind: ImportKind | None = None
    venue: Annotated[str, StringConstraints(pattern=NAME)] | None = None
    symbol: Annotated[str, StringConstraints(pattern=NAME)] | None = None
    timeframe: Annotated[str, AfterValidator(_a_duration)] | None = None
    encoding: str | None = None
    date_order: DateOrder | None = None
    volume_unit: Literal["base", "quote", "none"] | None = None
    decimal: Literal[",", "."] | None = None
    week_start: Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"] = "mon"


def recognise_columns(names: list[str], dialect: BarDialect, where: str) -> dict[str, str]:
    """The file's name of each column of bars that it has, by our name; all required ones are there.

    Args:
        names: of the file's columns.
        dialect: which column is which, where the user has set it.
        where: the file, for messages.

    Returns:
        The file's name by ours.

    Raises:
        BadData: a required column is missing, a configured one is not in the file, or two could be meant.
    """
    configured = {str(column): name for column, name in dialect.columns.items()}
    absent = [name for name in configured.values() if name not in names]
    if absent:
        raise BadData(
            f"{where}: dialect.columns names {absent}, which the file does not have; it has {listed_names(names)}"
        )
    name_of = {
        column: configured.get(column) or _recognise(column, names, dialect, where) for column in (*REQUIRED, *OPTIONAL)
    }
    missing = [column for column in REQUIRED if not name_of[column]]
    if missing:
        raise BadData(
            f"{where}: missing {listed_names(missing)}; the file has the columns {listed_names(names)}. Name them in "
            f"dialect.columns (such as {{{missing[0]}: NAME IN THE FILE}}), or use dialect.skip_lines or "
            "dialect.column_names if that is not the header line"
        )
    return {column: name for column, name in name_of.items() if name}


def _recognise(column: str, names: list[str], dialect: BarDialect, where: str) -> str | None:
    role = "close_time" if column == "open_time" and dialect.time_is == "close" else column
    matches = [name for name in names if plain_name(name) in ALIASES[role]]
    if not matches and column == "open_time":
        matches = [name for name in names if plain_name(name) in TIME_NAMES]
    if len(matches) > 1:
        raise BadData(
            f"{where}: {listed_names(matches)} could each be {column}; choose one in dialect.columns, such as "
            f"{{{column}: {matches[0]}}}"
        )
    return matches[0] if matches else None


def closed_flag(names: list[str]) -> str | None:
    """The name of the column that says whether a bar had closed when it was written; None where none does."""
    return next((name for name in names if plain_name(name) in CLOSED_FLAGS), None)


def plain_name(name: str) -> str:
    """The name in lower case, with underscores between words, without accents, in English."""
    letters = "".join(one for one in unicodedata.normalize("NFKD", name.lower()) if not unicodedata.combining(one))
    plain = re.sub(r"[\W_]+", "_", unicodedata.normalize("NFC", letters)).strip("_")
    return ENGLISH.get(plain, plain)


def listed_names(names: list[str]) -> str:
    """The names, cut short where a file's first line is no header but a line of text."""
    shown = [repr(name if len(name) <= _LONGEST_SHOWN else f"{name[:_LONGEST_SHOWN]}...") for name in names]
    return ", ".join(shown[:_MOST_SHOWN]) + (
        f" and {len(shown) - _MOST_SHOWN} more" if len(shown) > _MOST_SHOWN else ""
    )
