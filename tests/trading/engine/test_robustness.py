"""What is varied does what it says, on a market whose answers are known."""

import numpy as np
import pandas as pd
import pytest

from tests.trading.engine.test_orders import random_history
from tradewind.market.calendars import Calendar
from tradewind.trading.engine import robustness
from tradewind.trading.engine.backtest import History
from tradewind.trading.engine.portfolio import Market, portfolio_account
from tradewind.trading.execution.costs import Costs

N = 24 * 200
FREE = Costs(taker_fee_bps=0, half_spread_bps=0, slippage_share_of_volatility=0)


def market(seed: int = 1, lead: int = 1) -> tuple[Market, dict[str, np.ndarray]]:
    """Two symbols whose drift was known `lead` bars before."""
    at = pd.date_range("2022-10-01 01:00", periods=N, freq="h").as_unit("ms").to_numpy()
    histories, targets = {}, {}
    for number, name in enumerate(("A", "B")):
        rng = np.random.default_rng([seed, number])
        known = np.repeat(rng.choice([-1.0, 1.0], N // 24), 24)
        change = 0.004 * rng.standard_normal(N) + 0.001 * np.roll(known, lead)
        close = 100 * np.exp(np.cumsum(change))
        histories[name] = History(
            np.r_[100.0, close[:-1]], close, np.full(N, 0.004), np.zeros(N), np.zeros(N, dtype=np.int32),
            volume=np.full(N, 1e4), usual_volume=np.full(N, 1e4),
        )  # fmt: skip
        targets[name] = known
    return Market(histories, {"A": at, "B": at}), targets


def test_the_break_even_is_where_the_profit_is_gone() -> None:
    given, targets = market()
    rows = robustness.at_costs(given, targets, FREE, (0, 5, 50))
    assert rows[0]["sharpe"] > rows[1]["sharpe"] > rows[2]["sharpe"]
    at = rows[0]["break_even_bps"]
    account = portfolio_account(given, targets, FREE.of_side(at))
    # Exact up to compounding: at that price the profit is a small part of what it was.
    assert abs((account["gross"] - account["cost"]).sum()) < 0.05 * account["gross"].sum()
    never = {name: np.zeros(N) for name in targets}
    assert robustness.at_costs(given, never, FREE, (0,))[0]["break_even_bps"] == float("inf")


def test_delay_and_cost_take_from_an_edge() -> None:
    given, targets = market()
    table = pd.DataFrame(robustness.at_delays(given, targets, Costs(), (1, 4), (0, 6))).set_index(
        ["cost_multiple", "delay_bars"]
    )["sharpe"]
    assert table[(1, 0)] > table[(1, 6)] and table[(1, 0)] > table[(4, 0)]


def test_capacity_ends_where_the_impact_eats_the_edge() -> None:
    given, targets = market()
    rows = robustness.at_capital(given, targets, FREE, (1e3, 1e6, 1e9), 1.0)
    sharpes = [row["sharpe"] for row in rows]
    assert sharpes[0] > sharpes[1] > sharpes[2] and sharpes[0] > 0 > sharpes[2]
    assert rows[0]["annual_profit"] == pytest.approx(1e3 * rows[0]["annual_return"])


def test_leaving_out_names_what_carried_the_result() -> None:
    given, targets = market()
    rng = np.random.default_rng(2)
    targets["B"] = np.repeat(rng.choice([-1.0, 1.0], N // 24), 24)  # B knows nothing
    account = portfolio_account(given, targets, FREE)
    rows = {row["group"]: row["sharpe"] for row in robustness.leave_one_out(given, targets, FREE, account)}
    assert set(rows) == {"2022", "2023", "A", "B"}
    assert rows["A"] < 3 < rows["B"]


def test_conditions_add_up_to_the_whole() -> None:
    given, targets = market()
    account = portfolio_account(given, targets, FREE)
    rows = pd.DataFrame(
        robustness.conditions(account, pd.Series(np.zeros(len(account)) + 1e-4 * np.arange(len(account)) % 7))
    )
    hours = rows[rows["by"] == "hour"]
    assert len(hours) == 24 and hours["share"].sum() == pytest.approx(1)
    assert np.prod(1 + hours["total_return"]) == pytest.approx(np.prod(1 + account["net"]))


def test_only_crashes_that_were_lived_through_are_replayed() -> None:
    given, targets = market()
    account = portfolio_account(given, targets, FREE)
    rows = robustness.stress_replays(account)
    assert [row["event"] for row in rows] == ["fall of FTX"]
    inside = account[(account["timestamp"] > rows[0]["from"]) & (account["timestamp"] <= rows[0]["to"])]
    assert rows[0]["total_return"] == pytest.approx(np.prod(1 + inside["net"]) - 1)
    assert 0 <= rows[0]["max_drawdown"] < 1
    assert robustness.stress_replays(account, Calendar.of("1h", "24/7")) == rows
    assert robustness.stress_replays(account, Calendar.of("1h", "XNYS")) == []  # what broke coins alone


def test_a_crash_of_all_markets_is_replayed_on_sessions() -> None:
    days = pd.date_range("2020-01-01", "2020-12-31", tz="UTC")
    account = pd.DataFrame({"timestamp": days, "net": 0.001, "exposure": 1.0})
    (row,) = robustness.stress_replays(account, Calendar.of("1d", "XNYS"))
    assert row["event"] == "crash of March 2020"


def test_worse_worlds_are_worse_for_who_knows() -> None:
    given, targets = market()
    rows = {row["world"]: row for row in robustness.worse_worlds(given, targets, FREE, 3)}
    whole = rows["as it was"]["sharpe"]
    assert rows["a fifth of the days without a connection"]["sharpe"] < whole
    assert rows["stale prices in 5 % of the time"]["sharpe"] < 1.02 * whole
    assert rows["moves twice as large"]["max_drawdown"] > rows["as it was"]["max_drawdown"]


def test_a_stretched_history_moves_twice_as_far() -> None:
    past = random_history(3)
    twice = robustness._scaled(past, 2.0)
    np.testing.assert_allclose(np.diff(np.log(twice.close)), 2 * np.diff(np.log(past.close)))
    assert (twice.high >= np.maximum(twice.open, twice.close) * (1 - 1e-12)).all()  # type: ignore[operator]


def test_of_many_symbols_those_are_left_out_that_weigh_most() -> None:
    given, targets = market()
    few = np.arange(N) < 10 * 24
    history, known = given.histories["A"].rows(few), targets["A"][few]
    many = {f"S{number:02}": history for number in range(robustness.MOST_LEFT_OUT + 5)}
    wide = Market(many, dict.fromkeys(many, given.timestamps["A"][few]))
    idle = {f"S{number:02}" for number in (0, 7, 8, 20, 24)}
    held = {name: np.zeros(few.sum()) if name in idle else known for name in many}
    account = portfolio_account(wide, held, FREE)
    rows = [row for row in robustness.leave_one_out(wide, held, FREE, account) if row["left_out"] == "symbol"]
    assert [row["group"] for row in rows] == [name for name in many if name not in idle]


def test_a_fortnight_has_hours_and_no_market_states() -> None:
    """Eleven days: the volatility of ten days before is known on one, which has no terciles."""
    given, targets = market()
    account = portfolio_account(given, targets, FREE).iloc[: 11 * 24]
    rows = pd.DataFrame(robustness.conditions(account, pd.Series(np.full(len(account), 1e-4))))
    assert set(rows["by"]) == {"hour"}
    longer = portfolio_account(given, targets, FREE).iloc[: 14 * 24]
    assert "regime" in set(pd.DataFrame(robustness.conditions(longer, pd.Series(np.full(len(longer), 1e-4))))["by"])
