"""The end of a symbol's data is the end of its position, and of its target."""

from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading.engine.test_orders import random_history
from tradewind.trading.engine import backtest as engine
from tradewind.trading.engine.backtest import History, portfolio
from tradewind.trading.engine.step import END, REASONS
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules

COSTS = Costs(slippage_share_of_volatility=0.1)
FREE = Costs(taker_fee_bps=0, half_spread_bps=0, slippage_share_of_volatility=0)
HOURS = pd.date_range("2024-01-01 01:00", periods=150, freq="h", tz="UTC", unit="ms").to_numpy()


def flat(n: int, price: float = 100.0) -> History:
    column = np.full(n, price)
    return History(column, column, np.full(n, 0.01), np.zeros(n), np.zeros(n, dtype=np.int32))


def cut(history: History, start: int, stop: int) -> History:
    values = {field.name: getattr(history, field.name) for field in fields(history)}
    return replace(history, **{name: value[start:stop] for name, value in values.items() if value is not None})


def test_a_position_ends_with_its_data_at_its_last_close_at_cost() -> None:
    """Kind 5: two symbols, one ends at bar 5 while it is held; nothing of it counts afterwards."""
    wanted = {"A": np.full(10, 0.5), "B": np.r_[np.full(5, 0.5), np.full(5, 1.0)]}
    wanted["A"] = wanted["A"][:5]
    times = {"A": HOURS[:5], "B": HOURS[:10]}
    costs = replace_fee(10.0)
    _, result = portfolio({"A": flat(5), "B": flat(10)}, wanted, times, costs, OrderRules(max_leverage=1.0))
    closing = result.fills[(result.fills[:, 1] == 0) & (result.fills[:, 0] == 5)]
    assert len(closing) == 1 and REASONS[int(closing[0, 5])] == REASONS[END]
    assert closing[0, 3] == 100.0 and closing[0, 2] < 0
    assert closing[0, 4] == pytest.approx(-closing[0, 2] * 100.0 * 10e-4)
    assert not result.positions[0, 5:].any()
    assert np.abs(result.positions).sum(axis=0).max() <= 1.0 + 2e-3  # fees come out of the equity
    # The other symbol gets the whole of its target: the dead one does not count in the sum of what is asked.
    assert result.positions[1, -1] == pytest.approx(1.0, abs=2e-3)


def replace_fee(bps: float) -> Costs:
    return Costs(taker_fee_bps=bps, half_spread_bps=0, slippage_share_of_volatility=0)


def test_without_the_closing_bar_it_is_held_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "add_closing_bars", lambda *_: None)
    with pytest.raises(AssertionError):
        test_a_position_ends_with_its_data_at_its_last_close_at_cost()


def test_an_end_that_is_stated_is_later_than_the_last_bar() -> None:
    wanted = {"A": np.full(5, 0.5), "B": np.zeros(10)}
    times = {"A": HOURS[:5], "B": HOURS[:10]}
    for ends, closed in ((None, 5), ({"A": HOURS[6]}, 7), ({}, None)):
        _, result = portfolio({"A": flat(5), "B": flat(10)}, wanted, times, FREE, ends=ends)
        rows = result.fills[result.fills[:, 5] == END][:, 0]
        assert rows.tolist() == ([] if closed is None else [closed])


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_random_listings_and_delistings_conserve_money(data: st.DataObject) -> None:
    """Equity is cash and what is held at its last price, fill by fill, and nothing of the dead is left."""
    count = data.draw(st.integers(2, 5))
    rng = np.random.default_rng(data.draw(st.integers(0, 100_000)))
    leverage = data.draw(st.sampled_from([1.0, 0.5]))
    histories, wanted, times, spans = {}, {}, {}, []
    for number in range(count):
        start = int(rng.integers(0, 60)) if number else 0
        stop = int(rng.integers(start + 5, 150)) if number < count - 1 else 150
        spans.append((start, stop))
        histories[f"S{number}"] = cut(random_history(number + 1), start, stop)
        wanted[f"S{number}"] = rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0], stop - start) * leverage
        times[f"S{number}"] = HOURS[start:stop]
    rules = OrderRules(max_leverage=leverage)
    instants, result = portfolio(histories, wanted, times, COSTS, rules)
    rows = {instant: row for row, instant in enumerate(instants)}
    cash, units, last = 1.0, np.zeros(count), np.zeros(count)
    paid = np.zeros(len(instants))
    equity = result.account["equity"].to_numpy()
    if equity.min() <= 0:
        return  # a lost account: the lender's part is not the account's
    before = np.r_[1.0, equity[:-1]]
    funding = result.account["funding"].to_numpy() * before
    for row in range(len(instants)):
        for fill in result.fills[result.fills[:, 0] == row]:
            cash -= fill[2] * fill[3] + fill[4]
            paid[row] += fill[4]
            units[int(fill[1])] += fill[2]
        cash -= funding[row]
        for at, (name, history) in enumerate(histories.items()):
            place = np.searchsorted(times[name], instants[row])
            if place < len(times[name]) and times[name][place] == instants[row]:
                last[at] = history.close[place]
        assert cash + units @ last == pytest.approx(equity[row], rel=1e-9, abs=1e-12)
        dead = [at for at, name in enumerate(histories) if row > rows[times[name][-1]]]
        assert not result.positions[dead, row].any()
        assert np.abs(units[dead]).sum() < 1e-12
    np.testing.assert_allclose(result.account["cost"].to_numpy() * before, paid, atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 100_000), count=st.integers(2, 6), leverage=st.sampled_from([1.0, 0.5, 2.0]))
def test_random_listings_and_delistings_never_hold_more_than_the_leverage(
    seed: int, count: int, leverage: float
) -> None:
    """Where prices stand still and trading is free, what is held is what is asked for: the living alone, scaled."""
    rng = np.random.default_rng(seed)
    starts = np.r_[0, rng.integers(0, 40, count - 1)]
    stops = np.r_[60, rng.integers(starts[1:] + 2, 60)]
    wanted = {f"S{at}": rng.choice([-1, -0.5, 0, 0.5, 1], stops[at] - starts[at]) * leverage for at in range(count)}
    histories = {name: flat(len(target)) for name, target in wanted.items()}
    times = {f"S{at}": HOURS[starts[at] : stops[at]] for at in range(count)}
    _, result = portfolio(histories, wanted, times, FREE, OrderRules(max_leverage=leverage))
    asked = np.zeros((count, 60))
    for at, target in enumerate(wanted.values()):
        asked[at, starts[at] + 1 : stops[at]] = target[:-1]
    scale = leverage / np.maximum(np.abs(asked).sum(axis=0), leverage)
    np.testing.assert_allclose(result.positions, asked * scale, atol=1e-9)


def test_what_follows_a_delisting_does_not_move_what_came_before() -> None:
    past = {name: random_history(seed) for name, seed in (("A", 1), ("B", 2))}
    wanted = {name: np.repeat([0.5, -0.5, 0.3], 50) for name in past}
    for stop in (40, 90, 149):
        whole = portfolio(
            {"A": cut(past["A"], 0, stop), "B": past["B"]}, {"A": wanted["A"][:stop], "B": wanted["B"]},
            {"A": HOURS[:stop], "B": HOURS}, COSTS,
        )[1]  # fmt: skip
        there = portfolio(past, wanted, dict.fromkeys(past, HOURS), COSTS)[1]
        pd.testing.assert_frame_equal(whole.account[:stop], there.account[:stop])
