"""What the scanner finds, how much of it pays, and what it leaves alone."""

import numpy as np
import pytest
from scipy.optimize import linprog

from tradewind.errors import BadParameters
from tradewind.trading.execution.arbitrage.markets import Market, ScanRules
from tradewind.trading.execution.arbitrage.scanner import scan
from tradewind.trading.execution.routing import VenueBook

FREE = ScanRules(latency_s=0, transfer_bps=0, max_value=1e9)


def _market(venue: str, pair: str, bid: float, ask: float, sizes: tuple[float, ...] = (1.0, 2.0, 3.0), fee: float = 5.0,
            step: float = 1e-4, **more: float) -> Market:  # fmt: skip
    base, quote = pair.split("/")
    kind = {name: more.pop(name) for name in ("is_perpetual", "funding_bps") if name in more}
    levels = step * np.arange(len(sizes))
    amounts = np.array(sizes)
    asks = VenueBook(venue, ask * (1 + levels), amounts, bid, taker_fee_bps=fee, **more)
    bids = VenueBook(venue, bid * (1 - levels), amounts, ask, taker_fee_bps=fee, **more)
    return Market(base, quote, asks, bids, **kind)  # type: ignore[arg-type]


def test_the_executable_size_is_what_a_linear_programme_finds() -> None:
    cheap, dear = _market("a", "BTC/USDT", 99.9, 100.0), _market("b", "BTC/USDT", 100.12, 100.2)
    found = scan([cheap, dear], FREE).found
    assert len(found) == 1 and found[0].kind == "spot"
    cost, income = cheap.asks.prices * 1.0005, dear.bids.prices * 0.9995
    equal = np.concatenate([np.ones(3), -np.ones(3)])[None]
    best = linprog(np.concatenate([cost, -income]), A_eq=equal, b_eq=[0], bounds=[(0, each) for each in (1, 2, 3)] * 2)
    assert found[0].gain == pytest.approx(-best.fun) and best.fun < 0
    assert found[0].legs[0].quantity == pytest.approx(best.x[:3].sum()) == pytest.approx(found[0].legs[1].quantity)


@pytest.mark.parametrize(("what", "change"), [
    ("fees", {"fee": 8.0}), ("age", {"age_s": 9.0}), ("coins", {"pair": "BTC/USD"}), ("coins", {"pair": "BTC/USDC"}),
])  # fmt: skip
def test_what_is_no_opportunity_is_not_found(what: str, change: dict[str, float | str]) -> None:
    cheap = _market("a", "BTC/USDT", 99.9, 100.0)
    given = {"venue": "b", "pair": "BTC/USDT", "bid": 100.12, "ask": 100.2} | change
    assert not scan([cheap, _market(**given)], FREE).found  # type: ignore[arg-type]


def test_latency_and_transfer_take_from_what_can_be_gained() -> None:
    markets = [_market("a", "BTC/USDT", 99.9, 100.0), _market("b", "BTC/USDT", 100.12, 100.2)]
    gains = [
        sum(each.gain for each in scan(markets, ScanRules(latency_s=late, transfer_bps=way, max_value=1e9)).found)
        for late, way in ((0, 0), (0.04, 0), (0, 0.5), (1.0, 2.0))
    ]
    assert gains[0] > max(gains[1:3]) > 0 == gains[3]


def test_lots_are_rounded_towards_zero_and_a_share_below_the_minimum_is_told() -> None:
    sizes = (4.0, 5.0, 6.0)
    cheap = _market("a", "X/USD", 99.9, 100.0, sizes, lot_size=0.4)
    dear = _market("b", "X/USD", 100.12, 100.2, sizes, lot_size=0.3)
    legs = scan([cheap, dear], FREE).found[0].legs
    assert legs[0].quantity == legs[1].quantity == pytest.approx(3.6)
    small = scan([cheap, _market("b", "X/USD", 100.12, 100.2, min_quantity=50)], FREE)
    assert not small.found and any("smallest order at b is 50" in reason for reason in small.reasons)


def test_a_triangle_is_found_in_the_direction_that_gains_and_gives_what_its_fills_give() -> None:
    near, far = _market("a", "ETH/USDT", 2999, 3000, fee=1), _market("a", "BTC/USDT", 60_100, 60_110, fee=1)
    cross = _market("a", "BTC/ETH", 19.99, 20.0, fee=1)
    found = scan([near, far, cross], FREE).found
    assert [each.kind for each in found] == ["triangle"]
    assert [leg.buys for leg in found[0].legs] == [True, True, False]
    coins = 0.0
    for leg, book in zip(found[0].legs, (near.asks, cross.asks, far.bids), strict=True):
        before = np.concatenate([[0.0], np.cumsum(book.sizes)[:-1]])
        taken = np.clip(leg.quantity - before, 0, book.sizes)
        value = float(taken @ book.prices)
        assert coins == 0.0 or value <= coins * (1 + 1e-9) or not leg.buys
        coins = leg.quantity * (1 - 1e-4) if leg.buys else value * (1 - 1e-4)
    assert coins - found[0].value == pytest.approx(found[0].gain)
    assert not scan([near, far, _market("b", "BTC/ETH", 19.99, 20.0, fee=1)], FREE).found


@pytest.mark.parametrize(("settlements", "kinds"), [(10, []), (60, ["perpetual"])])
def test_funding_pays_for_both_ways_once_it_is_held_long_enough(settlements: int, kinds: list[str]) -> None:
    spot = _market("a", "BTC/USDT", 99.99, 100.0)
    perpetual = _market("b", "BTC/USDT", 100.0, 100.01, is_perpetual=True, funding_bps=0.5)
    found = scan([spot, perpetual], ScanRules(settlements=settlements, latency_s=0, max_value=1e9)).found
    assert [each.kind for each in found] == kinds
    if found:
        assert found[0].legs[0].market == "a BTC/USDT"  # the perpetual is sold: its buyers pay


def test_a_market_that_is_given_twice_is_refused() -> None:
    with pytest.raises(BadParameters, match="given once"):
        scan([_market("a", "X/USD", 9, 10)] * 2, FREE)
