"""CoinAPI: bars of any exchange that it records.

Protocol: docs.coinapi.io, Market Data API, REST: `GET /v1/ohlcv/{symbol_id}/history`, header `X-CoinAPI-Key`; times
have seven digits after the second, periods without trades are left out, 429 comes with `Retry-After`, 550 says that
there is nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal
from urllib.parse import quote

import pandas as pd
from pydantic import Field, SecretStr

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import Span
from tradewind.data.sources.base import Page
from tradewind.data.sources.paging import settled_bars, within
from tradewind.data.sources.timing import Timing
from tradewind.data.sources.transport import Address
from tradewind.data.sources.vendor import BarsOnly, Part, VendorRules, pages_oldest_first, period, split_symbol, written
from tradewind.errors import BadData
from tradewind.market.timeframes import bar_duration_ms

_FIELDS = {
    "price_open": "open", "price_high": "high", "price_low": "low", "price_close": "close", "volume_traded": "volume",
    "trades_count": "trades",
}  # fmt: skip
_PERIODS = {
    "1m": "1MIN", "2m": "2MIN", "3m": "3MIN", "5m": "5MIN", "10m": "10MIN", "15m": "15MIN", "20m": "20MIN",
    "30m": "30MIN", "1h": "1HRS", "2h": "2HRS", "3h": "3HRS", "4h": "4HRS", "6h": "6HRS", "8h": "8HRS", "12h": "12HRS",
    "1d": "1DAY",
}  # fmt: skip


class Rules(VendorRules):
    """CoinAPI (`source.kind: coinapi`): `exchange` and `market` as in its symbol ids, such as BINANCE and SPOT.

    100 bars of an answer count as one request of the key's quota.
    """

    exchange: str
    api_key: SecretStr
    market: Literal["SPOT", "PERP"] = "SPOT"
    page_bars: int = Field(default=10_000, ge=1, le=100_000)
    base_url: Address = "https://rest.coinapi.io"


class CoinApiSource(BarsOnly):
    """Bars from CoinAPI; see `sources.base.Source`."""

    rules: Rules

    def __init__(self, rules: Rules, timing: Timing) -> None:
        self.rules, self.timing = rules, timing
        self.name, self.venue = f"coinapi.{rules.exchange.lower()}", rules.venue
        headers: dict[str, str | SecretStr] = {"X-CoinAPI-Key": rules.api_key, "Accept": "application/json"}
        self._transport = rules.transport(timing, headers)

    def bars(self, key: BarKey, span: Span) -> Iterator[Page]:
        """The bars that open within the span; see `Source.bars`."""
        settled = settled_bars(span, key.timeframe, self.timing.now_ms, self.rules.settle_s)
        if settled is None:
            return
        called, name = period(key, _PERIODS, self.name), self._symbol_id(key.symbol)
        bar_ms = bar_duration_ms(key.timeframe)

        def ask(rest: Span, _: str | None) -> Part:
            rows = self._ask(name, called, rest)
            inside = within(rows, rest)
            # Fewer bars than asked for might be a lower limit of the server: only no bar is the end.
            return Part(rows, None if inside.empty else int(inside["open_time"].iloc[-1]) + bar_ms)

        yield from pages_oldest_first(ask, key, settled, self._transport)

    def _symbol_id(self, symbol: str) -> str:
        if symbol in self.rules.symbols:
            return self.rules.symbols[symbol]
        return "_".join((self.rules.exchange, self.rules.market, *split_symbol(symbol)))

    def _ask(self, name: str, called: str, rest: Span) -> pd.DataFrame:
        query: Mapping[str, str | int] = {
            "period_id": called,
            "time_start": written(rest.since_ms, "0000Z"),
            "time_end": written(rest.until_ms, "0000Z"),
            "limit": self.rules.page_bars,
        }
        url = f"{self.rules.base_url}/v1/ohlcv/{quote(name, safe='')}/history"
        return self._read(self._transport.get_json(url, query))

    def _read(self, answer: Any) -> pd.DataFrame:
        is_read = isinstance(answer, list) and all(
            isinstance(bar, dict) and "time_period_start" in bar for bar in answer
        )
        if not is_read:
            excerpt = self._transport.words(str(answer))
            raise BadData(
                f"{self.name} must answer with a list of bars that have a time_period_start, found {excerpt!r}"
            )
        rows = pd.DataFrame([{ours: bar.get(theirs) for theirs, ours in _FIELDS.items()} for bar in answer])
        rows = rows.reindex(columns=list(_FIELDS.values()))
        # Seven digits are tenths of microseconds: pandas reads nanoseconds.
        starts = pd.to_datetime(
            pd.Series([bar["time_period_start"] for bar in answer], dtype="str"),
            utc=True,
            errors="coerce",
            format="ISO8601",
        )
        if starts.isna().any():
            raise BadData(f"{self.name} answers with a time_period_start that is no instant")
        rows.insert(0, "open_time", starts.dt.as_unit("ms").astype("int64"))
        return rows
