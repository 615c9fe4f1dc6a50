"""What is particular to Tardis, CoinAPI and Kaiko."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.data.sources.exchange_server import HOUR_MS, START_MS, ExchangeServer
from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import Span
from tradewind.data.sources.catalogue import open_source
from tradewind.data.sources.vendor import split_symbol
from tradewind.errors import BadData, BadParameters, TemporaryOutage
from tradewind.market.schema import SideVintages

KEY = BarKey(venue="binance", symbol="BTCUSDT", timeframe="1h")
DAY_MS = 24 * HOUR_MS
DAYS = Span(START_MS, START_MS + 5 * DAY_MS)
SECRET = "sk-0123456789abcdef"


def opened(kind: str, server: ExchangeServer, now_ms: int | None = None, **settings: Any) -> Any:
    known = {"kind": kind, "venue": "binance", "exchange": "binance", "api_key": SECRET, "base_url": server.url}
    return open_source({**known, **settings}, server.timing(now_ms))


def test_symbols_are_split_by_the_longest_quote_that_fits() -> None:
    assert split_symbol("BTCUSDT") == ("BTC", "USDT")
    assert split_symbol("ethbtc") == ("ETH", "BTC")
    assert split_symbol("BTCUSD") == ("BTC", "USD")
    with pytest.raises(BadParameters, match="say what it is called in source.symbols"):
        split_symbol("USDT")


# Kaiko


def test_kaiko_sends_its_key_and_later_a_token_alone(server: ExchangeServer) -> None:
    server.asked.clear()
    list(opened("kaiko", server, page_bars=50, aggregation="count_ohlcv_vwap").bars(KEY, DAYS))
    first, *later = server.asked
    assert first.path == "/v2/data/trades.v1/exchanges/binance/spot/btc-usdt/aggregations/count_ohlcv_vwap"
    assert first.query == {
        "interval": "1h", "start_time": "2024-01-01T00:00:00.000Z", "end_time": "2024-01-06T00:00:00.000Z",
        "page_size": "50", "sort": "asc",
    }  # fmt: skip
    assert len(later) == 2
    assert all(set(asked.query) == {"continuation_token"} for asked in later)
    assert {asked.headers["x-api-key"] for asked in server.asked} == {SECRET}


def test_kaiko_is_not_followed_to_another_host(server: ExchangeServer) -> None:
    server.asked.clear()
    server.misbehave("next_url", times=9)
    with pytest.raises(BadData, match="points to elsewhere.invalid .* not followed"):
        list(opened("kaiko", server, page_bars=50).bars(KEY, DAYS))
    assert len(server.asked) == 1


def test_kaiko_counts_trades_where_it_is_asked_to(server: ExchangeServer) -> None:
    pages = list(opened("kaiko", server, aggregation="count_ohlcv_vwap").bars(KEY, DAYS))
    assert pages[0].rows["trades"].tolist() == [4] * 113
    assert "trades" not in next(iter(opened("kaiko", server).bars(KEY, DAYS))).rows


def test_kaiko_that_names_page_after_page_ends(server: ExchangeServer) -> None:
    endless = {"data": [{"timestamp": START_MS - HOUR_MS, "open": None, "high": None, "low": None, "close": None,
                         "volume": "0"}], "continuation_token": "again"}  # fmt: skip
    server.misbehave("shape", times=99, content=endless)
    with pytest.raises(BadData, match="do not come to an end"):
        list(opened("kaiko", server).bars(KEY, DAYS))


@pytest.mark.parametrize("kind", ["kaiko", "coinapi"])
def test_an_unknown_symbol_is_told_in_the_vendors_words(kind: str, server: ExchangeServer) -> None:
    with pytest.raises(BadParameters, match="no such thing.*(not found|No data).*Correct the symbol"):
        list(opened(kind, server).bars(KEY.model_copy(update={"symbol": "NOSUCHUSDT"}), DAYS))
    with pytest.raises(BadParameters, match="no 7m bars"):
        list(opened(kind, server).bars(KEY.model_copy(update={"timeframe": "7m"}), DAYS))
    with pytest.raises(BadParameters, match="no side series"):
        opened(kind, server).side_series("funding", "BTCUSDT", DAYS)


# CoinAPI


def test_coinapi_is_asked_in_its_own_times_and_names(server: ExchangeServer) -> None:
    server.asked.clear()
    source = opened("coinapi", server, exchange="BINANCE", page_bars=100, symbols={"X": "BINANCE_PERP_BTC_USDT"})
    pages = list(source.bars(KEY, DAYS))
    first = server.asked[0]
    assert first.path == "/v1/ohlcv/BINANCE_SPOT_BTC_USDT/history"
    assert first.query == {
        "period_id": "1HRS", "time_start": "2024-01-01T00:00:00.0000000Z", "time_end": "2024-01-06T00:00:00.0000000Z",
        "limit": "100",
    }  # fmt: skip
    assert [len(page.rows) for page in pages] == [100, 13]
    next(iter(source.bars(KEY.model_copy(update={"symbol": "X"}), DAYS)))
    assert server.asked[-1].path == "/v1/ohlcv/BINANCE_PERP_BTC_USDT/history"


def test_coinapi_that_answers_with_less_than_asked_loses_nothing(server: ExchangeServer) -> None:
    server.misbehave("capped", times=99)
    pages = list(opened("coinapi", server).bars(KEY, DAYS))
    assert sum(len(page.rows) for page in pages) == 113
    assert pages[-1].covered.until_ms == DAYS.until_ms


def test_a_time_that_is_none_is_told(server: ExchangeServer) -> None:
    server.misbehave("shape", content=[{"time_period_start": "soon"}])
    with pytest.raises(BadData, match="no instant"):
        list(opened("coinapi", server).bars(KEY, DAYS))


# Tardis


def test_tardis_sends_a_bearer_key_or_none(server: ExchangeServer) -> None:
    server.asked.clear()
    list(opened("tardis", server).bars(KEY, Span(START_MS, START_MS + HOUR_MS)))
    list(opened("tardis", server, api_key=None).bars(KEY, Span(START_MS, START_MS + HOUR_MS)))
    assert [asked.path for asked in server.asked[:3]] == [
        f"/v1/binance/trades/{day}/BTCUSDT.csv.gz" for day in ("2023/12/31", "2024/01/01", "2024/01/02")
    ]
    assert [asked.headers.get("authorization") for asked in server.asked] == [f"Bearer {SECRET}"] * 3 + [None] * 3


def test_a_bar_at_midnight_waits_for_the_file_of_the_day_after(server: ExchangeServer) -> None:
    """The last trade of a day arrives 800 ms later, in the next day's file, which is there a day later."""
    now_ms = START_MS + 3 * DAY_MS + 10 * HOUR_MS
    pages = list(opened("tardis", server, now_ms).bars(KEY, DAYS))
    assert pages[-1].covered == Span(START_MS + 2 * DAY_MS, START_MS + 3 * DAY_MS - HOUR_MS)
    whole = pd.concat([page.rows for page in pages], ignore_index=True)
    assert (whole["trades"] == 4).all()
    # A file that is not there, in the middle: not covered, and the bar before it neither.
    server.absent.add("/v1/binance/trades/2024/01/02/BTCUSDT.csv.gz")
    try:
        pages = list(opened("tardis", server).bars(KEY, DAYS))
    finally:
        server.absent.clear()
    assert [page.covered for page in pages][:2] == [
        Span(START_MS, START_MS + DAY_MS - HOUR_MS),
        Span(START_MS + 2 * DAY_MS, START_MS + 3 * DAY_MS),
    ]


@pytest.mark.parametrize("series", ["funding", "open_interest", "basis", "mark_price"])
def test_tardis_tickers_make_side_series(series: str, server: ExchangeServer) -> None:
    span = Span(START_MS + 1, START_MS + 5 * DAY_MS + 1)
    pages = list(opened("tardis", server, exchange="binance-futures").side_series(series, "BTCUSDT", span))
    found = pd.concat([page.rows for page in pages], ignore_index=True)
    SideVintages.validate(found)
    closes = server.market.bars("BTCUSDT", "1h", DAYS).set_index("open_time")["close"]
    expected = {
        "funding": server.market.funding("BTCUSDT", span),
        "open_interest": server.market.open_interest("BTCUSDT", "1h", span),
        "mark_price": pd.DataFrame({"at": closes.index + HOUR_MS, "value": closes.to_numpy() * 1.001}),
        "basis": pd.DataFrame({"at": closes.index + HOUR_MS, "value": 0.001}),
    }[series]
    at = found["reference_at"].dt.as_unit("ms").astype("int64").to_numpy()
    np.testing.assert_array_equal(at, expected["at"])
    np.testing.assert_allclose(found["value"], expected["value"], rtol=1e-4)
    assert [page.covered.until_ms for page in pages[:-1]] == [page.covered.since_ms for page in pages[1:]]
    assert (found["known_at"] >= found["reference_at"]).all()


def test_a_rate_that_was_last_seen_long_before_is_not_the_settled_one(server: ExchangeServer) -> None:
    header = (
        "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,predicted_funding_rate,open_interest"
    )
    early = (START_MS + 7 * HOUR_MS) * 1000
    text = (
        f"{header},last_price,index_price,mark_price\nx,y,{early},{early},{(START_MS + 8 * HOUR_MS) * 1000},0.1,,,,,\n"
    )
    server.misbehave("file", path="2024/01/01/BTCUSDT.csv.gz", body=gzip.compress(text.encode()))
    [page] = opened("tardis", server).side_series("funding", "BTCUSDT", Span(START_MS + 1, START_MS + DAY_MS))
    assert page.rows.empty


def test_a_torn_file_is_fetched_again_and_then_an_outage(server: ExchangeServer) -> None:
    source = opened("tardis", server, retry_policy={"tries": 2})
    server.misbehave("torn_file")
    assert len(list(source.bars(KEY, Span(START_MS, START_MS + DAY_MS)))) == 1
    server.misbehave("torn_file", times=9)
    with pytest.raises(TemporaryOutage, match="is torn"):
        list(source.bars(KEY, Span(START_MS, START_MS + DAY_MS)))


def test_a_file_of_other_columns_or_too_many_rows_is_told(server: ExchangeServer) -> None:
    server.misbehave("file", times=9, path=".csv.gz", body=gzip.compress(b"exchange,symbol\nbinance,BTCUSDT\n"))
    with pytest.raises(BadData, match="timestamp"):
        list(opened("tardis", server).bars(KEY, DAYS))
    server.behave()
    bomb = b"exchange,timestamp,price,amount\n" + b"x,1,1,1\n" * 200_000
    server.misbehave("file", times=9, path=".csv.gz", body=gzip.compress(bomb))
    with pytest.raises(BadData, match="unpacks to more than 1 MB"):
        list(opened("tardis", server, unpacked_limit_mb=1).bars(KEY, DAYS))
    with pytest.raises(BadParameters, match="fill a day"):
        list(opened("tardis", server).bars(KEY.model_copy(update={"timeframe": "1w"}), DAYS))


def test_files_of_order_books_are_saved_as_they_are(server: ExchangeServer, tmp_path: Path) -> None:
    source = opened("tardis", server)
    body = gzip.compress(b"exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n")
    server.misbehave("file", times=9, path=".csv.gz", body=body)
    found = source.save("incremental_book_L2", "BTCUSDT", Span(START_MS, START_MS + 2 * DAY_MS), tmp_path)
    assert [path.name for path in found] == [
        f"binance_incremental_book_L2_2024-01-0{day}_BTCUSDT.csv.gz" for day in (1, 2)
    ]
    assert found[0].read_bytes() == body
    asked = len(server.asked)
    assert source.save("incremental_book_L2", "BTCUSDT", Span(START_MS, START_MS + 2 * DAY_MS), tmp_path) == found
    assert len(server.asked) == asked
    with pytest.raises(BadParameters, match="no files of 'mood'"):
        source.save("mood", "BTCUSDT", DAYS, tmp_path)
