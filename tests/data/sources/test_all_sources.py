"""The same market through every source: the same bars, whatever happens on the way, and never a key in sight."""

import logging
import re
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.data.sources.exchange_server import HOUR_MS, START_MS, ExchangeServer
from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.cleaning import check_bars, type_bars
from tradewind.data.files.deliveries import Span, merge_rows, receive
from tradewind.data.sources.base import Page
from tradewind.data.sources.catalogue import open_source
from tradewind.errors import BadData, BadParameters, TemporaryOutage, TradewindError

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
    return Case({"kind": "ccxt", "exchange": name, "page_bars": 100, **more}, path, extra, keyed=True)


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
        keyed=True,
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


# The others cover what they keep: whole files, or the last bars.
EXACT = {"binance", "binance swap", "okx", "bybit", "coinbase", "coinapi", "kaiko"}


def open_case(name: str, server: ExchangeServer, **settings: Any) -> Any:
    case = CASES[name]
    key = {"api_key": SECRET} if case.keyed else {}
    return open_source({**case.settings, **key, "base_url": server.url, **settings}, server.timing())


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
    assert all(d.rows_received == len(d.rows) + d.repeated + len(d.rejected) for d in deliveries)
    stored = merge_rows([delivery.rows for delivery in deliveries])
    typed, _ = type_bars(stored, KEY)
    return check_bars(typed, KEY, now)[0]


def expected_bars(server: ExchangeServer, pages: list[Page]) -> pd.DataFrame:
    """The market's bars in what the pages say they cover."""
    covered = [page.covered for page in pages if page.covered is not None]
    parts = [server.market.bars(KEY.symbol, KEY.timeframe, span) for span in covered]
    return pd.concat(parts, ignore_index=True)


def assert_in_order(pages: list[Page]) -> None:
    """Oldest first, nothing covered twice, no row outside what its page covers."""
    for page in pages:
        assert page.covered is not None
        assert page.rows["open_time"].between(page.covered.since_ms, page.covered.until_ms - 1).all()
    assert all(one.covered.until_ms <= two.covered.since_ms for one, two in pairwise(pages))


def assert_same_market(name: str, server: ExchangeServer, pages: list[Page]) -> None:
    assert_in_order(pages)
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
    if name in EXACT:
        assert (pages[0].covered.since_ms, pages[-1].covered.until_ms) == (SPAN.since_ms, SPAN.until_ms)
        assert all(one.covered.until_ms == two.covered.since_ms for one, two in pairwise(pages))


# Two pages of 100 bars, with the hole at hour 50 in them.
FEW = Span(START_MS + 40 * HOUR_MS, START_MS + 160 * HOUR_MS)
FEW_KEPT = Span(START_MS + 440 * HOUR_MS, START_MS + 560 * HOUR_MS)
PASSING = {
    "a rate limit": ("429", {"times": 2, "retry_after": 3}),
    "a ban that ends on a date": ("418", {"retry_after": "Wed, 25 Nov 2026 12:00:30 GMT"}),
    "a broken server": ("500", {"times": 3}),
    "a truncated body": ("truncated", {}),
    "gzip that ends early": ("torn_gzip", {}),
    "garbled gzip": ("torn_gzip", {"how": "garbled"}),
    "a connection that is dropped": ("dropped", {}),
    "a page of maintenance": ("not_json", {}),
    "every row twice": ("doubled", {"times": 9}),
    "a page again": ("stale", {"times": 2}),
    "newest first": ("reversed", {"times": 9}),
    "an open last bar": ("open_bar", {"times": 9}),
}
LASTING = {
    "an outage": ("500", {}, TemporaryOutage, "tried 3 times"),
    "a ban of hours": ("429", {"retry_after": 7200}, TemporaryOutage, "asks to wait for 7200 s"),
    "a refused key": ("status", {"status": 401, "text": f"key {SECRET} unknown"}, BadParameters, "credentials"),
    "a redirect": ("redirect", {}, BadParameters, "redirects are not followed"),
    "60 MB": ("huge", {}, BadData | TemporaryOutage, "more than|not JSON"),
    "bars of the future": ("future", {}, BadData, "clock or ours is wrong"),
    "another shape": ("shape", {}, BadData | TemporaryOutage, ""),
    "a list instead": ("shape", {"content": [1, 2]}, BadData | TemporaryOutage, ""),
    "nothing at all": ("shape", {"content": {}}, BadData | TemporaryOutage, ""),
}
# A source whose answers are files cannot send a page twice, or an open bar, or another order than its own.
HAS_PAGES = {name for name in CASES if name != "tardis"}
RETRY_POLICY = {"tries": 5, "body_limit_mb": 20, "file_limit_mb": 20}


def few_pages(name: str, server: ExchangeServer, **settings: Any) -> list[Page]:
    source = open_case(name, server, **settings)
    try:
        return list(source.bars(KEY, FEW_KEPT if name == "kraken" else FEW))
    finally:
        source.close()


def all_text(error: BaseException | None) -> str:
    """An error and everything that it grew from, as a traceback would show it."""
    return "".join(traceback.format_exception(error)) if error is not None else ""


@pytest.mark.parametrize("name", CASES)
def test_what_passes_changes_nothing(name: str, server: ExchangeServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for what, (kind, settings) in PASSING.items():
        if kind in ("doubled", "stale", "reversed", "open_bar") and name not in HAS_PAGES:
            continue
        server.behave()
        server.misbehave(kind, path=CASES[name].path, **settings)
        pages = few_pages(name, server, retry_policy=RETRY_POLICY)
        assert_same_market(name, server, pages)
        assert sum(len(set(page.rows["open_time"])) for page in pages) >= 112, what
    assert SECRET not in caplog.text


@pytest.mark.parametrize("name", CASES)
def test_what_stays_is_told_by_its_kind(name: str, server: ExchangeServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for what, (kind, settings, expected, words) in LASTING.items():
        if kind == "future" and name not in HAS_PAGES:
            continue
        server.behave()
        server.misbehave(kind, path=CASES[name].path, times=99, **settings)
        if what == "a refused key" and not CASES[name].keyed:
            continue
        with pytest.raises(TradewindError) as raised:
            few_pages(name, server, retry_policy={**RETRY_POLICY, "tries": 3})
        assert isinstance(raised.value, expected), (what, raised.value)
        assert re.search(words, str(raised.value)), (what, raised.value)
        assert SECRET not in all_text(raised.value), what
        assert len(str(raised.value)) < 600, what
    assert SECRET not in caplog.text


@pytest.mark.parametrize("name", ["tardis", "coinapi", "kaiko"])
def test_a_wrong_key_is_told_and_never_shown(name: str, server: ExchangeServer) -> None:
    """The vendor's own words hold the key; ours do not."""
    server.keys = {"another"}
    try:
        source = open_case(name, server)
        with pytest.raises(BadParameters, match=r"refuses the credentials.*\*\*\*") as raised:
            list(source.bars(KEY, FEW))
    finally:
        server.keys = set()
    assert SECRET not in all_text(raised.value) + repr(source) + repr(vars(source))


def test_the_law_catches_a_source_that_loses_a_bar(server: ExchangeServer) -> None:
    pages = few_pages("okx", server)
    lost = Page(pages[0].rows.drop(index=30), pages[0].covered)
    with pytest.raises(AssertionError):
        assert_same_market("okx", server, [lost, *pages[1:]])
    with pytest.raises(AssertionError):
        assert_same_market("okx", server, [pages[0], *pages])
    silent = Page(pages[0].rows.iloc[:0], pages[0].covered)
    with pytest.raises(AssertionError):
        assert_same_market("okx", server, [silent, *pages[1:]])


@pytest.mark.parametrize("name", ["binance", "coinapi"])
def test_a_server_that_answers_too_slowly_is_an_outage(name: str, server: ExchangeServer) -> None:
    server.misbehave("slow", path=CASES[name].path, times=9)
    with pytest.raises(TemporaryOutage, match="tried 2 times"):
        few_pages(name, server, retry_policy={"tries": 2, "read_timeout_s": 0.15})
