"""The same market through every source: the same bars, whatever happens on the way, and never a key in sight."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.market.sources.exchange_server import HOUR_MS, START_MS, ExchangeServer
from tradewind.market.bar_key import BarKey
from tradewind.market.cleaning import check_bars, type_bars
from tradewind.market.deliveries import Span, merge_rows, receive
from tradewind.market.sources.base import Page
from tradewind.market.sources.catalogue import open_source

KEY = BarKey(venue="venue", symbol="BTCUSDT", timeframe="1h")
SECRET = "sk-3f9a1c77e5d24b6f"
# Ten days with the hole at hour 50, from before the market began.
SPAN = Span(START_MS - 30 * HOUR_MS, START_MS + 240 * HOUR_MS)
BARE = ["open", "high", "low", "close", "volume"]


@dataclass(frozen=True)
class Case:
    """A source: its settings, which columns it carries, from when on, and the part of a path that its bars come by."""

    settings: Mapping[str, Any]
    path: str
    extra: tuple[str, ...] = ()
    keyed: bool = False
    span: Span = field(default=SPAN)


def ccxt(name: str, path: str, *extra: str, **more: Any) -> Case:
    return Case({"kind": "ccxt", "exchange": name, "page_bars": 100, **more}, path, extra)


CASES = {
    "binance": ccxt("binance", "/api/v3/klines", "quote_volume", "trades"),
    "binance swap": ccxt("binance", "/fapi/v1/klines", "quote_volume", "trades", market="swap"),
    "okx": ccxt("okx", "candles", "quote_volume"),
    "bybit": ccxt("bybit", "/v5/market/kline", "quote_volume"),
    "coinbase": ccxt("coinbase", "/candles"),
    # The last 720 bars are all it keeps: 30 of 40 days.
    "kraken": Case(
        {"kind": "ccxt", "exchange": "kraken", "page_bars": 300},
        "/OHLC",
        ("trades",),
        span=Span(START_MS, START_MS + 600 * HOUR_MS),
    ),
    "archive": Case({"kind": "binance_archive"}, ".zip", ("quote_volume", "trades")),
    "archive um": Case({"kind": "binance_archive", "market": "um"}, ".zip", ("quote_volume", "trades")),
    "tardis": Case(
        {"kind": "tardis", "venue": "venue", "exchange": "binance"}, "/trades/", ("quote_volume", "trades"), keyed=True
    ),
    "coinapi": Case(
        {"kind": "coinapi", "venue": "venue", "exchange": "BINANCE", "page_bars": 100},
        "/history",
        ("trades",),
        keyed=True,
    ),
    "kaiko": Case({"kind": "kaiko", "venue": "venue", "exchange": "bnce", "page_bars": 100}, "/ohlcv", keyed=True),
}


def open_case(name: str, server: ExchangeServer, **settings: Any) -> Any:
    case = CASES[name]
    key = {"api_key": SECRET} if case.keyed else {}
    return open_source({**case.settings, **key, "base_url": server.url, **settings}, server.pace())


def pages_of(name: str, server: ExchangeServer, **settings: Any) -> list[Page]:
    source = open_case(name, server, **settings)
    try:
        return list(source.bars(KEY, CASES[name].span))
    finally:
        source.close()


def checked_bars(pages: list[Page], now_ms: int) -> pd.DataFrame:
    """As the data takes its way: page by page received, merged, typed and checked."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    deliveries = [receive(page.rows, KEY, "test", now, page.covered) for page in pages]
    assert all(d.rows_received == len(d.rows) + d.repeated + len(d.refused) for d in deliveries)
    stored = merge_rows([delivery.rows for delivery in deliveries])
    typed, _ = type_bars(stored, KEY)
    return check_bars(typed, KEY, now)[0]


def expected_bars(server: ExchangeServer, pages: list[Page]) -> pd.DataFrame:
    """The market's bars in what the pages say they cover."""
    covered = [page.covered for page in pages if page.covered is not None]
    parts = [server.market.bars(KEY.symbol, KEY.timeframe, span) for span in covered]
    return pd.concat(parts, ignore_index=True)


def assert_same_market(name: str, server: ExchangeServer, pages: list[Page]) -> None:
    found, expected = checked_bars(pages, server.market.now_ms), expected_bars(server, pages)
    opened = found["open_time"].to_numpy("datetime64[ms]").astype(np.int64)
    np.testing.assert_array_equal(opened, expected["open_time"])
    for column in (*BARE, *CASES[name].extra):
        np.testing.assert_allclose(found[column], expected[column], rtol=1e-12, err_msg=column)
    for column in {"quote_volume", "trades"} - set(CASES[name].extra):
        assert found[column].isna().all()


@pytest.mark.parametrize("name", CASES)
def test_every_source_gives_the_same_market(name: str, server: ExchangeServer) -> None:
    pages = pages_of(name, server)
    assert_same_market(name, server, pages)
    assert sum(len(page.rows) for page in pages) > 200
