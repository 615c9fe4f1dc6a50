"""One server for the tests of a module, well-behaved at the start of each."""

from collections.abc import Iterator

import pytest

from tests.data.sources.exchange_server import ExchangeServer, serve


@pytest.fixture(scope="module")
def started_server() -> Iterator[ExchangeServer]:
    with serve() as server:
        yield server


@pytest.fixture
def server(started_server: ExchangeServer) -> Iterator[ExchangeServer]:
    started_server.behave()
    yield started_server
