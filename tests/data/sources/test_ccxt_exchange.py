"""Exchanges through ccxt, each by its real protocol, spoken by a local server."""

import threading
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.data.sources.exchange_server import HOUR_MS, START_MS, ExchangeServer, Market, serve
from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import Span
from tradewind.data.sources.base import Page, SidePage
from tradewind.data.sources.catalogue import open_source
from tradewind.errors import BadData, BadParameters, TemporaryOutage
from tradewind.market.schema import SideVintages

KEY = BarKey(venue="binance", symbol="BTCUSDT", timeframe="1h")
DAYS = Span(START_MS, START_MS + 240 * HOUR_MS)


def opened(server: ExchangeServer, exchange: str = "binance", **settings: Any) -> Any:
    return open_source({"kind": "ccxt", "exchange": exchange, "base_url": server.url, **settings}, server.timing())


def joined(pages: list[Page] | list[SidePage]) -> pd.DataFrame:
    return pd.concat([page.rows for page in pages], ignore_index=True)


def asked_for(server: ExchangeServer, begun: int, path: str) -> int:
    return sum(path in asked.path for asked in server.asked[begun:])


def test_the_pages_cover_the_span_exactly_up_to_what_has_settled(server: ExchangeServer) -> None:
    source = opened(server, page_bars=200)
    span = Span(START_MS - 90 * 24 * HOUR_MS, server.market.now_ms + HOUR_MS)
    pages = list(source.bars(KEY, span))
    covered = [page.covered for page in pages]
    assert covered[0].since_ms == span.since_ms
    assert covered[-1].until_ms == server.market.now_ms // HOUR_MS * HOUR_MS
    assert [one.until_ms for one in covered[:-1]] == [one.since_ms for one in covered[1:]]
    expected = server.market.bars("BTCUSDT", "1h", Span(span.since_ms, covered[-1].until_ms))
    pd.testing.assert_frame_equal(joined(pages), expected, check_dtype=False)
    # The 2,160 hours before the market was listed are stepped over by one question.
    assert len(pages) == 6


def test_coin_margined_swaps_are_asked_window_by_window_in_the_base_asset(server: ExchangeServer) -> None:
    """ccxt ends every question about them after one answer, so that silence there says nothing about later."""
    source, begun = opened(server, market="swap", page_bars=100), len(server.asked)
    key = KEY.model_copy(update={"symbol": "BTCUSD"})
    found = joined(list(source.bars(key, Span(START_MS - 300 * HOUR_MS, START_MS + 100 * HOUR_MS))))
    expected = server.market.bars("BTCUSDT", "1h", Span(START_MS, START_MS + 100 * HOUR_MS))
    np.testing.assert_array_equal(found["open_time"], expected["open_time"])
    np.testing.assert_array_equal(found["volume"], expected["quote_volume"])
    assert found["quote_volume"].isna().all()
    assert asked_for(server, begun, "/dapi/v1/klines") == 4


def test_silence_after_the_last_bar_is_looked_into_window_by_window(server: ExchangeServer) -> None:
    later = server.market.now_ms + 500 * HOUR_MS
    source = open_source(
        {"kind": "ccxt", "exchange": "binance", "base_url": server.url, "page_bars": 100}, server.timing(later)
    )
    begun = len(server.asked)
    pages = list(source.bars(KEY, Span(server.market.now_ms + HOUR_MS, later)))
    assert [len(page.rows) for page in pages] == [0] * 5
    assert asked_for(server, begun, "klines") == 5 + 1


def test_a_bar_that_closed_a_moment_ago_is_not_asked_for_yet(server: ExchangeServer) -> None:
    just_closed = server.market.now_ms // HOUR_MS * HOUR_MS + 10_000
    settings = {"kind": "ccxt", "exchange": "binance", "base_url": server.url}
    source = open_source(settings, server.timing(just_closed))
    pages = list(source.bars(KEY, Span(just_closed - 10 * HOUR_MS, just_closed + 10 * HOUR_MS)))
    assert pages[-1].covered.until_ms == just_closed // HOUR_MS * HOUR_MS - HOUR_MS
    assert list(source.bars(KEY, Span(just_closed, just_closed + HOUR_MS))) == []


@pytest.mark.parametrize("exchange", ["binance", "okx", "bybit", "coinbase"])
def test_an_exchange_that_gives_fewer_bars_than_it_says_loses_none(exchange: str, server: ExchangeServer) -> None:
    server.misbehave("capped", times=999, path="")
    pages = list(opened(server, exchange).bars(KEY, DAYS))
    found, expected = joined(pages), server.market.bars("BTCUSDT", "1h", DAYS)
    np.testing.assert_array_equal(found["open_time"], expected["open_time"])


def test_a_holey_page_is_asked_for_once(server: ExchangeServer) -> None:
    source, begun = opened(server), len(server.asked)
    list(source.bars(KEY, DAYS))
    assert asked_for(server, begun, "klines") == 1


def test_an_exchange_that_nobody_tried_is_not_trusted_with_silence(server: ExchangeServer) -> None:
    """binanceus speaks Binance's protocol, but nobody has tried it: it covers only what lies between its bars."""
    source = opened(server, "binanceus", page_bars=100)
    pages = list(source.bars(KEY, Span(START_MS - 100 * HOUR_MS, START_MS + 100 * HOUR_MS)))
    assert [page.covered for page in pages] == [None, Span(START_MS, START_MS + 100 * HOUR_MS)]


def test_kraken_covers_only_what_it_keeps(server: ExchangeServer) -> None:
    source = opened(server, "kraken")
    pages = list(source.bars(KEY, Span(START_MS, server.market.now_ms)))
    kept_from = server.market.now_ms // HOUR_MS * HOUR_MS - 719 * HOUR_MS
    assert pages[0].covered.since_ms == kept_from
    assert joined(pages)["open_time"].min() == kept_from
    assert list(source.bars(KEY, DAYS))[-1:] == []


def test_threads_load_markets_once_and_share_the_rate(server: ExchangeServer) -> None:
    source, begun, found = opened(server), len(server.asked), {}
    keys = [KEY.model_copy(update={"symbol": symbol}) for symbol in ("BTCUSDT", "ETHUSDT", "BTCUSDT", "ETHUSDT")]

    def fetch(number: int, key: BarKey) -> None:
        found[number] = joined(list(source.bars(key, DAYS)))

    threads = [threading.Thread(target=fetch, args=item) for item in enumerate(keys)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked_for(server, begun, "exchangeInfo") == 1
    pd.testing.assert_frame_equal(found[0], found[2])
    pd.testing.assert_frame_equal(found[1], found[3])
    assert not found[0].equals(found[1])
    # By ccxt's own costs, at 50 ms a unit: exchangeInfo 4, each of four answers of klines 0.4, the last not waited for.
    assert 0.259 < server.time.elapsed() < 1


def test_a_symbol_is_found_by_its_assets_or_the_exchanges_name(server: ExchangeServer) -> None:
    assert opened(server).market("BTCUSDT") == "BTC/USDT"
    swaps = opened(server, market="swap", symbols={"BTC-PERP": "BTC/USDT:USDT", "GONE": "GONE/USDT:USDT"})
    assert swaps.market("BTCUSDT") == "BTC/USDT:USDT" == swaps.market("BTC-PERP")
    with pytest.raises(BadParameters, match=r"no swap market 'GONE/USDT:USDT'"):
        swaps.market("GONE")
    assert opened(server, "okx", market="swap").market("BTC-USDT-SWAP") == "BTC/USDT:USDT"
    with pytest.raises(BadParameters, match=r"no spot market 'BTCUSTD'; near it: \['BTCUSDT'.*of 4 names"):
        list(opened(server).bars(KEY.model_copy(update={"symbol": "BTCUSTD"}), DAYS))


def test_a_timeframe_that_an_exchange_lacks_is_told(server: ExchangeServer) -> None:
    with pytest.raises(BadParameters, match=r"has no 7m bars; it has \[.*'1m', '3m'"):
        list(opened(server).bars(KEY.model_copy(update={"timeframe": "7m"}), DAYS))


def test_an_outage_while_markets_load_leaves_nothing_half_done(server: ExchangeServer) -> None:
    source = opened(server, retry_policy={"tries": 1})
    server.misbehave("500")
    with pytest.raises(TemporaryOutage):
        list(source.bars(KEY, DAYS))
    assert len(joined(list(source.bars(KEY, DAYS)))) == 233


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"code": "50111", "msg": "Invalid OK-ACCESS-KEY", "data": []}, BadParameters("refuses the credentials")),
        ({"code": "51001", "msg": "Instrument ID does not exist", "data": []}, BadParameters("refuses the request")),
        (
            {"code": "50011", "msg": "Too Many Requests", "data": []},
            TemporaryOutage("RateLimitExceeded.*tried 3 times"),
        ),
        ({"code": "50001", "msg": "Service unavailable", "data": []}, TemporaryOutage("tried 3 times")),
        ({"code": "0", "msg": "", "data": [["soon", "1", "1", "1", "1", "1", "1", "1", "1"]]}, BadData("opening time")),
        ({"code": "0", "msg": "", "data": [{"ts": 1}]}, BadData("another shape|opening time")),
    ],
    ids=lambda value: str(value.get("code")) if isinstance(value, dict) else type(value).__name__,
)
def test_what_an_exchange_says_in_an_answer_is_told_as_ours(
    content: dict[str, Any], expected: Exception, server: ExchangeServer
) -> None:
    source = opened(server, "okx", retry_policy={"tries": 3})
    server.misbehave("shape", times=99, path="candles", content=content)
    with pytest.raises(type(expected), match=str(expected)):
        list(source.bars(KEY, DAYS))


SERIES = {
    "funding": lambda market, span: market.funding("BTCUSDT", span),
    "open_interest": lambda market, span: market.open_interest("BTCUSDT", "1h", span),
}


@pytest.mark.parametrize(
    ("exchange", "series"),
    [("binance", "funding"), ("binance", "open_interest"), ("okx", "funding"), ("bybit", "funding")],
)
def test_funding_and_open_interest_are_the_markets(exchange: str, series: str, server: ExchangeServer) -> None:
    source = opened(server, exchange, market="swap")
    span = Span(server.market.now_ms - 700 * HOUR_MS, server.market.now_ms + HOUR_MS)
    pages = list(source.side_series(series, "BTCUSDT", span))
    found = joined(pages)
    SideVintages.validate(found)
    covered = [page.covered for page in pages]
    assert covered[0].since_ms == span.since_ms
    assert [one.until_ms for one in covered[:-1]] == [one.since_ms for one in covered[1:]]
    expected = SERIES[series](server.market, Span(span.since_ms, covered[-1].until_ms))
    at = found["reference_at"].dt.as_unit("ms").astype("int64")
    np.testing.assert_array_equal(at, expected["at"])
    np.testing.assert_allclose(found["value"], expected["value"], rtol=1e-12)
    delay = found["known_at"] - found["reference_at"]
    assert (delay == pd.Timedelta(1, "ms") if series == "funding" else delay == pd.Timedelta(5, "min")).all()


def test_settlements_that_fill_an_answer_are_asked_for_in_halves() -> None:
    with serve(Market(funding_hours=1)) as server:
        source = opened(server, "bybit", market="swap", settle_s=0)
        span = Span(START_MS, START_MS + 150 * HOUR_MS)
        found = joined(list(source.side_series("funding", "BTCUSDT", span)))
        assert len(found) == 150
        assert asked_for(server, 0, "funding/history") == 1 + 2 + 1


@pytest.mark.parametrize("series", ["basis", "mark_price"])
@pytest.mark.parametrize("exchange", ["binance", "bybit", "okx"])
def test_marks_and_basis_are_known_at_the_close(exchange: str, series: str, server: ExchangeServer) -> None:
    source = opened(server, exchange, market="swap")
    closes = server.market.bars("BTCUSDT", "1h", DAYS).set_index("open_time")["close"]
    marks = (closes * 1.001).round(4)
    expected = marks if series == "mark_price" else marks / closes - 1
    found = joined(list(source.side_series(series, "BTCUSDT", Span(DAYS.since_ms + HOUR_MS, DAYS.until_ms))))
    SideVintages.validate(found)
    assert (found["known_at"] == found["reference_at"]).all()
    np.testing.assert_array_equal(found["known_at"].dt.as_unit("ms").astype("int64"), expected.index[:-1] + HOUR_MS)
    np.testing.assert_allclose(found["value"], expected.iloc[:-1], rtol=1e-9)


def test_a_series_that_is_not_there_is_told(server: ExchangeServer) -> None:
    with pytest.raises(BadParameters, match="no side series 'mood'; it has .*'funding'"):
        opened(server, market="swap").side_series("mood", "BTCUSDT", DAYS)
    with pytest.raises(BadParameters, match="set source.market: swap"):
        opened(server).side_series("funding", "BTCUSDT", DAYS)
    for exchange, series in (("kraken", "funding"), ("okx", "premium"), ("coinbase", "mark_price")):
        with pytest.raises(BadParameters, match=f"cannot fetch the history of {series}"):
            opened(server, exchange, market="swap").side_series(series, "BTCUSDT", DAYS)
