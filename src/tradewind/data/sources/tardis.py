"""Tardis.dev: bars made of the trades it recorded, side series made of its derivative tickers.

Protocol: docs.tardis.dev, Downloadable CSV files, API Reference and Data Types: `GET /v1/{exchange}/{type}/YYYY/MM/DD/
{SYMBOL}.csv.gz` with a `Bearer` key (the first day of each month needs none), times in microseconds, files split by
the time of arrival, a file empty where nothing was recorded, a day there about six hours after it is over.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field, SecretStr

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import Span
from tradewind.data.sources.base import Page, SidePage
from tradewind.data.sources.paging import (
    DAY_MS,
    OPEN_INTEREST_DELAY_MS,
    overlap,
    settled_bars,
    settled_instants,
    vintages,
    within,
)
from tradewind.data.sources.tardis_files import TardisFiles, days, numbers
from tradewind.data.sources.timing import Timing
from tradewind.data.sources.transport import Address
from tradewind.data.sources.vendor import VendorRules
from tradewind.errors import BadParameters
from tradewind.market.timeframes import bar_duration_ms
from tradewind.market.trade_bars import bars_from_trades

_HOUR_MS = 3_600_000
# So far the clocks of an exchange and of the recorder may differ, and a message may be under way.
_GUARD_MS = 300_000
# A rate that was last seen longer before its settlement is not the settled one.
_FRESH_US = 600_000_000
_TRADES = {"timestamp": pa.int64(), "price": pa.float64(), "amount": pa.float64()}
_TICKERS = {
    "local_timestamp": pa.int64(), "funding_timestamp": pa.int64(), "funding_rate": pa.float64(),
    "open_interest": pa.float64(), "index_price": pa.float64(), "mark_price": pa.float64(),
}  # fmt: skip
_DELAYS_MS = {"funding": 1, "open_interest": OPEN_INTEREST_DELAY_MS}
SERIES = ("basis", "funding", "index_price", "mark_price", "open_interest")
KINDS = (
    "book_snapshot_25",
    "book_snapshot_5",
    "book_ticker",
    "incremental_book_L2",
    "liquidations",
    "quotes",
    "trades",
)


class Rules(VendorRules):
    """Tardis.dev (`source.kind: tardis`): `exchange` is its name for it, such as binance or binance-futures.

    `side_timeframe` is the step of open interest, marks and basis; a day's file is asked for `available_after_h` after
    the day has begun. `unpacked_limit_mb` bounds what the wanted columns of a day may take.
    """

    exchange: str
    api_key: SecretStr | None = None
    side_timeframe: str = "1h"
    available_after_h: float = Field(default=31.0, ge=24)
    unpacked_limit_mb: float = Field(default=4096.0, gt=0)
    base_url: Address = "https://datasets.tardis.dev"


class TardisSource:
    """Bars and side series from Tardis.dev; see `sources.base.Source`."""

    def __init__(self, rules: Rules, timing: Timing) -> None:
        self.rules, self.timing = rules, timing
        self.name, self.venue = f"tardis.{rules.exchange}", rules.venue
        key = rules.api_key
        headers = {} if key is None else {"Authorization": SecretStr(f"Bearer {key.get_secret_value()}")}
        self._transport = rules.transport(timing, headers)
        self._files = TardisFiles(self._transport, rules.base_url, rules.exchange, rules.unpacked_limit_mb)

    def __repr__(self) -> str:
        return f"TardisSource({self.rules!r})"

    def bars(self, key: BarKey, span: Span) -> Iterator[Page]:
        """The bars that open within the span, a page for each day; see `Source.bars`.

        A bar near midnight may have trades in two files: it is covered once both were read.
        """
        bar_ms = bar_duration_ms(key.timeframe)
        if DAY_MS % bar_ms:
            raise BadParameters(f"{self.name} makes bars that fill a day (such as 1m, 1h, 1d), not {key.timeframe}")
        settled = settled_bars(span, key.timeframe, self.timing.now_ms, self.rules.settle_s)
        read: dict[int, pa.Table | None] = {}
        for day_ms in days(settled.since_ms, settled.until_ms) if settled is not None else ():
            for near_ms in (day_ms - DAY_MS, day_ms, day_ms + DAY_MS):
                if near_ms not in read:
                    read[near_ms] = self._table("trades", key.symbol, near_ms, _TRADES)
            read.pop(day_ms - 2 * DAY_MS, None)
            covered = _covered(day_ms, bar_ms, has_next=read[day_ms + DAY_MS] is not None)
            if read[day_ms] is None or settled is None or covered is None or not _meet(covered, settled):
                continue
            part = overlap(covered, settled)
            yield Page(within(self._bars_of(list(read.values()), part, key.timeframe), part), part)

    def side_series(self, series: str, symbol: str, span: Span) -> Iterator[SidePage]:
        """basis, funding, index_price, mark_price or open_interest of a derivative; see `Source.side_series`.

        Args:
            series: name of the series.
            symbol: in the project's spelling; "" for a series of the market.
            span: of reference times, UTC milliseconds, the end not included.

        Returns:
            Pages, a day each, oldest first.

        Raises:
            BadParameters: it has no such series.
        """
        if series not in SERIES:
            raise BadParameters(f"{self.name} has no side series {series!r}; it has {list(SERIES)}")
        return self._side_series(series, symbol, span)

    def save(self, kind: str, symbol: str, span: Span, folder: Path) -> list[Path]:
        """The files of the span's days, as they are, in `folder`: order books, quotes and trades to be read later.

        Args:
            kind: of `KINDS`.
            symbol: in the project's spelling.
            span: whose days are fetched, UTC milliseconds, the end not included.
            folder: that they are saved in.

        Returns:
            Paths of the days for which there is a file.

        Raises:
            BadParameters: no such kind of file.
        """
        if kind not in KINDS:
            raise BadParameters(f"{self.name} has no files of {kind!r}; it has {list(KINDS)}")
        name = self._called(symbol)
        saved = (self._files.save(kind, name, day_ms, folder) for day_ms in days(span.since_ms, span.until_ms))
        return [path for path in saved if path is not None]

    def close(self) -> None:
        """Give back connections."""
        self._transport.close()

    def _called(self, symbol: str) -> str:
        return self.rules.symbols.get(symbol, symbol)

    def _table(self, kind: str, symbol: str, day_ms: int, columns: dict[str, pa.DataType]) -> pa.Table | None:
        if day_ms + self.rules.available_after_h * _HOUR_MS > self.timing.now_ms:
            return None
        return self._files.table(kind, self._called(symbol), day_ms, columns)

    def _bars_of(self, tables: list[pa.Table | None], part: Span, timeframe: str) -> pd.DataFrame:
        trades = pa.concat_tables([table for table in tables if table is not None])
        at_us = trades.column("timestamp").to_numpy()
        bar_ms = bar_duration_ms(timeframe)
        is_inside = (at_us >= part.since_ms * 1000) & (at_us < (part.until_ms + bar_ms) * 1000)
        price, amount = numbers(trades, "price"), numbers(trades, "amount")
        return bars_from_trades(at_us[is_inside], price[is_inside], amount[is_inside], timeframe)

    def _side_series(self, series: str, symbol: str, span: Span) -> Iterator[SidePage]:
        settled = settled_instants(span, self.timing.now_ms, self.rules.settle_s)
        # A value of midnight is the last one of the day before.
        for day_ms in days(settled.since_ms - 1, settled.until_ms - 1) if settled is not None else ():
            table = self._table("derivative_ticker", symbol, day_ms, _TICKERS)
            if table is None or settled is None:
                continue
            part = overlap(Span(day_ms + 1, day_ms + DAY_MS + 1), settled)
            steps = _settlements(table) if series == "funding" else self._steps(table, series)
            in_part = within(steps, part, "at")
            delay_ms = _DELAYS_MS.get(series, 0)
            yield SidePage(vintages(series, symbol, in_part["at"], in_part["at"] + delay_ms, in_part["value"]), part)

    def _steps(self, table: pa.Table, series: str) -> pd.DataFrame:
        """The last value of each step, at (epoch ms) its end."""
        if series == "basis":
            marks, indices = self._steps(table, "mark_price"), self._steps(table, "index_price")
            both = marks.merge(indices, on="at", suffixes=("_mark", "_index"))
            return pd.DataFrame({"at": both["at"], "value": both["value_mark"] / both["value_index"] - 1})
        step_ms = bar_duration_ms(self.rules.side_timeframe)
        seen_us, value = table.column("local_timestamp").to_numpy(), numbers(table, series)
        ends = pd.DataFrame({"at": (seen_us // 1000 // step_ms + 1) * step_ms, "value": value})
        return ends.loc[np.isfinite(value)].groupby("at", as_index=False)["value"].last()


def _covered(day_ms: int, bar_ms: int, *, has_next: bool) -> Span | None:
    """The opening times of a day that its files are whole for: all, or up to the last bar near midnight."""
    if has_next:
        return Span(day_ms, day_ms + DAY_MS)
    until_ms = day_ms + (DAY_MS - _GUARD_MS) // bar_ms * bar_ms
    return Span(day_ms, until_ms) if until_ms > day_ms else None


def _meet(one: Span, other: Span) -> bool:
    return one.since_ms < other.until_ms and other.since_ms < one.until_ms


def _settlements(table: pa.Table) -> pd.DataFrame:
    """For each settlement the last rate that was announced for it, at (epoch ms) the settlement."""
    rows = pd.DataFrame(
        {
            "seen_us": table.column("local_timestamp").to_numpy(),
            "at_us": numbers(table, "funding_timestamp"),
            "value": numbers(table, "funding_rate"),
        }
    ).dropna()
    ahead = rows.loc[(rows["seen_us"] < rows["at_us"]) & (rows["at_us"] - rows["seen_us"] <= _FRESH_US)]
    last = ahead.groupby("at_us", as_index=False)["value"].last()
    return pd.DataFrame({"at": (last["at_us"] // 1000).astype("int64"), "value": last["value"]})
