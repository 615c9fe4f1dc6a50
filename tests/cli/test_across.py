"""Options of `kedro arbitrage` and `kedro execute`."""

import pytest

from tradewind.cli.arbitrage import arbitrage, execute, pair_of, venues_of
from tradewind.errors import BadParameters


def test_a_pair_and_two_venues_are_read() -> None:
    assert pair_of("btc/USDT") == ("BTC", "USDT") and pair_of("btc/USDT").symbol == "BTCUSDT"
    assert venues_of("") == {}
    assert venues_of("a=https://x b=http://127.0.0.1:1") == {"a": "https://x", "b": "http://127.0.0.1:1"}
    assert {one.name for one in execute.params} - {one.name for one in arbitrage.params} == {"units", "within_s"}


@pytest.mark.parametrize("text", ["BTC", "BTC/", "/USDT", "BTC/BTC", "BTC-USDT", "BTC/US DT"])
def test_what_is_no_pair_is_refused(text: str) -> None:
    with pytest.raises(BadParameters, match="--pair is a coin and what it is priced in"):
        pair_of(text)


@pytest.mark.parametrize("text", ["a=https://x", "a=https://x a=https://y", "a=ftp://x b=https://y", "a b", "x y z"])
def test_what_are_not_two_venues_is_refused(text: str) -> None:
    with pytest.raises(BadParameters, match="--venues are two"):
        venues_of(text)
