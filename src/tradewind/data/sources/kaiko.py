"""Kaiko: bars of any exchange that it records.

Protocol: docs.kaiko.com, REST API, Level 1 aggregations: `GET /v2/data/trades.v1/exchanges/{exchange}/{class}/
{instrument}/aggregations/ohlcv` (or `count_ohlcv_vwap`), header `X-Api-Key`; `start_time` counts, `end_time` does not;
later pages are asked for by `continuation_token` alone. Its `next_url` is never followed: the key would go along.
"""

from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import parse_qs, quote, urlsplit

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

_PRICES = ["open", "high", "low", "close"]
_PERIODS = {name: name for name in ("1m", "2m", "3m", "5m", "10m", "15m", "30m", "1h", "2h", "3h", "4h", "1d")}


class Rules(VendorRules):
    """Kaiko (`source.kind: kaiko`): `exchange` is its code (such as bnce), `instrument_class` spot or perpetual-future.

    `count_ohlcv_vwap` also has the number of trades.
    """

    exchange: str
    api_key: SecretStr
    instrument_class: str = "spot"
    aggregation: Literal["ohlcv", "count_ohlcv_vwap"] = "ohlcv"
    page_bars: int = Field(default=10_000, ge=1, le=100_000)
    base_url: Address = "https://us.market-api.kaiko.io"


class KaikoSource(BarsOnly):
    """Bars from Kaiko; see `sources.base.Source`."""

    rules: Rules

    def __init__(self, rules: Rules, timing: Timing) -> None:
        self.rules, self.timing = rules, timing
        self.name, self.venue = f"kaiko.{rules.exchange}", rules.venue
        self._transport = rules.transport(timing, {"X-Api-Key": rules.api_key, "Accept": "application/json"})

    def bars(self, key: BarKey, span: Span) -> Iterator[Page]:
        """The bars that open within the span; see `Source.bars`."""
        settled = settled_bars(span, key.timeframe, self.timing.now_ms, self.rules.settle_s)
        if settled is None:
            return
        called = period(key, _PERIODS, self.name)
        url = "/".join(
            (self.rules.base_url, "v2/data/trades.v1/exchanges", quote(self.rules.exchange, safe=""),
             quote(self.rules.instrument_class, safe=""), quote(self._instrument(key.symbol), safe=""), "aggregations",
             self.rules.aggregation)
        )  # fmt: skip

        def ask(rest: Span, token: str | None) -> Part:
            first: dict[str, str | int] = {
                "interval": called,
                "start_time": written(rest.since_ms),
                "end_time": written(rest.until_ms),
                "page_size": self.rules.page_bars,
                "sort": "asc",
            }
            answer = self._transport.get_json(url, {"continuation_token": token} if token else first)
            return self._read(answer, rest, bar_duration_ms(key.timeframe))

        yield from pages_oldest_first(ask, key, settled, self._transport)

    def _instrument(self, symbol: str) -> str:
        return self.rules.symbols.get(symbol) or "-".join(split_symbol(symbol)).lower()

    def _read(self, answer: Any, rest: Span, bar_ms: int) -> Part:
        bars = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(bars, list) or not all(isinstance(bar, dict) and "timestamp" in bar for bar in bars):
            excerpt = self._transport.words(str(answer))
            raise BadData(f"{self.name} must answer with data of bars that have a timestamp, found {excerpt!r}")
        columns = ["timestamp", *_PRICES, "volume"]
        if self.rules.aggregation == "count_ohlcv_vwap":
            columns.append("count")
        rows = pd.DataFrame(bars, columns=columns).rename(columns={"timestamp": "open_time", "count": "trades"})
        try:
            rows["open_time"] = rows["open_time"].astype("int64")
        except (TypeError, ValueError) as error:
            raise BadData(f"{self.name} answers with a timestamp that is no whole number: {error}") from None
        # An interval in which nobody traded has no prices: it is no bar.
        traded = rows.loc[~rows[_PRICES].isna().all(axis=1)].reset_index(drop=True)
        token = self._token(answer)
        if token is None:
            return Part(traded, None)
        reached = within(rows, rest)["open_time"]
        return Part(traded, int(reached.iloc[-1]) + bar_ms if len(reached) else 0, token)

    def _token(self, answer: dict[str, Any]) -> str | None:
        if answer.get("continuation_token"):
            return str(answer["continuation_token"])
        following = urlsplit(str(answer.get("next_url") or ""))
        if not following.netloc:
            return None
        if following.netloc != urlsplit(self.rules.base_url).netloc:
            where = f"{self.name} points to {following.netloc} for its next page"
            raise BadData(f"{where}: it is not followed, since the key would go along")
        return parse_qs(following.query).get("continuation_token", [""])[0] or None
