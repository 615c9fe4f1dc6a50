"""Exchanges through ccxt, each by its real protocol, spoken by a local server."""

from collections.abc import Iterator

import pandas as pd
import pytest

from tests.market.sources.exchange_server import HOUR_MS, START_MS, ExchangeServer, serve
from tradewind.market.bar_key import BarKey
from tradewind.market.deliveries import Span
from tradewind.market.sources.catalogue import open_source

KEY = BarKey(venue="binance", symbol="BTCUSDT", timeframe="1h")


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    with serve() as server:
        yield server


def test_the_pages_cover_the_span_exactly_up_to_what_has_settled(server: ExchangeServer) -> None:
    settings = {"kind": "ccxt", "exchange": "binance", "base_url": server.url, "page_bars": 200}
    source = open_source(settings, server.pace())
    span = Span(START_MS - 90 * 24 * HOUR_MS, server.market.now_ms + HOUR_MS)
    pages = list(source.bars(KEY, span))
    covered = [page.covered for page in pages]
    assert covered[0].since_ms == span.since_ms
    assert covered[-1].until_ms == server.market.now_ms // HOUR_MS * HOUR_MS
    assert [one.until_ms for one in covered[:-1]] == [one.since_ms for one in covered[1:]]
    received = pd.concat([page.rows for page in pages], ignore_index=True)
    expected = server.market.bars("BTCUSDT", "1h", Span(span.since_ms, covered[-1].until_ms))
    pd.testing.assert_frame_equal(received, expected, check_dtype=False)
    # The 2,160 hours before the market was listed are stepped over by one question.
    assert len(pages) == 6
