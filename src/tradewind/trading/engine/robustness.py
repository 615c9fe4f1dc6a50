"""How a strategy fares when the world is not as assumed: dearer, slower, larger, elsewhere, worse."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.market.calendars import AROUND_THE_CLOCK, Calendar
from tradewind.metrics.returns import daily_returns, trading_days
from tradewind.metrics.risk import measures_of
from tradewind.trading.engine.backtest import MARKET, History
from tradewind.trading.engine.portfolio import Market, Targets, portfolio_account
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules

Floats = NDArray[np.float64]
MOST_LEFT_OUT = 20
FEWEST_DAYS = 3
# Days on which crypto markets broke: the crash of March 2020, the ban of May 2021, the fall of FTX.
STRESS_DAYS = {
    "crash of March 2020": ("2020-03-12", 3, 10),
    "ban of May 2021": ("2021-05-19", 3, 10),
    "fall of FTX": ("2022-11-08", 3, 10),
}
OF_ALL_MARKETS = ("crash of March 2020",)


def summary(account: pd.DataFrame, calendar: Calendar) -> dict[str, float]:
    """The measures of an account's daily net returns."""
    daily = daily_returns(account["timestamp"], account["net"].to_numpy(), calendar)
    return measures_of(daily, calendar.days_per_year)


def at_costs(
    market: Market, targets: Targets, costs: Costs, bps: Sequence[float], rules: OrderRules = MARKET
) -> list[dict[str, float]]:
    """Sharpe ratio and return at all-in costs of so many bps a side, and the bps at which the profit is gone.

    `break_even_bps` is the profit before costs over the value traded: without compounding, exactly what each side may
    cost. 0 where nothing is earned before costs, infinite where nothing is traded.

    Args:
        market: histories and timestamps of all symbols.
        targets: by symbol, shape (bars,), shares of the symbol's part of the capital.
        costs: as configured; replaced by the all-in costs.
        bps: all-in costs of one side, in basis points.
        rules: what an order may be.
    """
    free = portfolio_account(market, targets, costs.of_side(0.0), rules)
    earned, traded = float((free["gross"] - free["funding"]).sum()), float(free["turnover"].sum())
    break_even = max(earned / traded, 0.0) * 1e4 if traded > 0 else float("inf")
    rows = []
    for side in bps:
        account = free if side == 0 else portfolio_account(market, targets, costs.of_side(side), rules)
        measured = summary(account, market.calendar)
        rows.append(
            {
                "bps": side,
                "sharpe": measured["sharpe"],
                "total_return": measured["total_return"],
                "break_even_bps": break_even,
            }
        )
    return rows


def at_delays(
    market: Market, targets: Targets, costs: Costs, multiples: Sequence[float], delays: Sequence[int],
    rules: OrderRules = MARKET,
) -> list[dict[str, float]]:  # fmt: skip
    """Sharpe ratio over multiples of the costs and delays of every fill in bars.

    Args:
        market: histories and timestamps of all symbols.
        targets: by symbol, shape (bars,), shares of the symbol's part of the capital.
        costs: as configured.
        multiples: of the costs.
        delays: further bars before each fill.
        rules: the order rules.
    """
    rows = []
    for multiple in multiples:
        for delay in delays:
            dearer = costs.scaled(multiple).model_copy(update={"latency_bars": costs.latency_bars + delay})
            measured = summary(portfolio_account(market, targets, dearer, rules), market.calendar)
            rows.append({"cost_multiple": multiple, "delay_bars": delay, "sharpe": measured["sharpe"]})
    return rows


def at_capital(
    market: Market, targets: Targets, costs: Costs, capitals: Sequence[float], coefficient: float,
    rules: OrderRules = MARKET,
) -> list[dict[str, float]]:  # fmt: skip
    """Sharpe ratio, return and profit a year by capital, with square-root impact on top of the costs.

    Args:
        market: histories and timestamps of all symbols.
        targets: by symbol, shape (bars,), shares of the symbol's part of the capital.
        costs: as configured.
        capitals: in quote currency.
        coefficient: of the square-root impact.
        rules: the order rules.
    """
    impact = costs.model_copy(update={"impact_coefficient": max(costs.impact_coefficient, coefficient)})
    rows = []
    for capital in capitals:
        account = portfolio_account(market, targets, impact, rules.model_copy(update={"capital": capital}))
        measured = summary(account, market.calendar)
        rows.append(
            {
                "capital": capital, "sharpe": measured["sharpe"], "annual_return": measured["annual_return"],
                "annual_profit": capital * measured["annual_return"],
            }
        )  # fmt: skip
    return rows


def leave_one_out(
    market: Market, targets: Targets, costs: Costs, account: pd.DataFrame, rules: OrderRules = MARKET
) -> list[dict[str, Any]]:
    """Sharpe ratio without each year, and without each symbol where there are two or more.

    Of more than `MOST_LEFT_OUT` symbols only so many are left out, those whose positions earned or lost most: without
    each of 500 the account would be run 500 times over 499.

    Args:
        market: histories and timestamps of all symbols.
        targets: by symbol, shape (bars,), shares of the symbol's part of the capital.
        costs: as configured.
        account: of `portfolio_account` with all symbols.
        rules: what an order may be.
    """
    year = (account["timestamp"] - pd.Timedelta(1, unit="ms")).dt.year
    rows: list[dict[str, Any]] = [
        {"left_out": "year", "group": str(one), "sharpe": summary(account[year != one], market.calendar)["sharpe"]}
        for one in sorted(year.unique())
        if year.nunique() > 1
    ]
    for symbol in _weightiest(market, targets) if len(targets) > 1 else ():
        rest = [name for name in targets if name != symbol]
        measured = summary(
            portfolio_account(market.of(rest), {name: targets[name] for name in rest}, costs, rules), market.calendar
        )
        rows.append({"left_out": "symbol", "group": symbol, "sharpe": measured["sharpe"]})
    return rows


def _weightiest(market: Market, targets: Targets) -> list[str]:
    """The symbols to be left out, in their order: by what their targets earned from close to close, before costs."""
    if len(targets) <= MOST_LEFT_OUT:
        return list(targets)
    earned = {}
    for name, target in targets.items():
        history = market.histories[name]
        moves = np.diff(history.close) / history.close[:-1] * (np.diff(history.segment) == 0)
        earned[name] = abs(float((target[:-1] * moves).sum()))
    chosen = set(sorted(earned, key=lambda name: -earned[name])[:MOST_LEFT_OUT])
    return [name for name in targets if name in chosen]


def conditions(
    account: pd.DataFrame, market_return: pd.Series, calendar: Calendar = AROUND_THE_CLOCK
) -> list[dict[str, Any]]:
    """Net return by hour of the day and by the market's state as it was known the day before.

    `market_return` is the mean return of the symbols by instant, as `account`. The state is the volatility of the last
    30 days, calm, usual or wild by its terciles, and the direction of the last 30 days. `share` is that of the bars.
    A history of fewer than `FEWEST_DAYS` days in which that is known has no states.

    Args:
        account: of `portfolio_account`.
        market_return: as above.
        calendar: of the market: which days there are.
    """
    day = pd.Series(trading_days(account["timestamp"], calendar), index=account.index)
    daily = pd.Series(market_return.to_numpy()).groupby(day.to_numpy()).sum()
    spread = daily.rolling(30, min_periods=10).std().shift()
    trend = daily.rolling(30, min_periods=10).sum().shift()
    state = pd.Series(np.nan, daily.index, dtype=object)
    if spread.notna().sum() >= FEWEST_DAYS:
        level = pd.qcut(spread.rank(method="first"), 3, labels=["calm", "usual", "wild"]).astype(object)
        state = (level + np.where(trend > 0, ", rising", ", falling")).where(spread.notna() & trend.notna())
    groups = {
        "hour": (account["timestamp"] - pd.Timedelta(1, unit="ms")).dt.hour.map("{:02d}".format),
        "regime": day.map(state),
    }
    rows = []
    for by, group in groups.items():
        for name, part in account.groupby(group.to_numpy(), sort=True):
            net = part["net"].to_numpy()
            error = net.std(ddof=1) / np.sqrt(len(net)) if len(net) > 1 else float("nan")
            rows.append(
                {
                    "by": by, "group": str(name), "share": len(part) / len(account),
                    "mean_bps": 1e4 * net.mean(), "error_bps": 1e4 * error,
                    "total_return": float(np.prod(1 + net) - 1),
                }
            )  # fmt: skip
    return rows


def stress_replays(account: pd.DataFrame, calendar: Calendar | None = None) -> list[dict[str, Any]]:
    """Return and deepest drawdown around the days of `STRESS_DAYS` that the account covers.

    Args:
        account: of one strategy, a row a bar.
        calendar: of the market; one that closes is no market of coins, and has the days of all markets alone.
    """
    rows = []
    for name, (day, before, after) in STRESS_DAYS.items():
        if calendar is not None and not calendar.is_continuous and name not in OF_ALL_MARKETS:
            continue
        start = pd.Timestamp(day, tz="UTC") - pd.Timedelta(days=before)
        end = pd.Timestamp(day, tz="UTC") + pd.Timedelta(days=after)
        part = account[(account["timestamp"] > start) & (account["timestamp"] <= end)]
        if len(part) and account["timestamp"].iloc[0] <= start and account["timestamp"].iloc[-1] >= end:
            equity = np.cumprod(1 + part["net"].to_numpy())
            peak = np.maximum.accumulate(np.r_[1.0, equity])[1:]
            rows.append(
                {
                    "event": name, "from": start, "to": end, "total_return": float(equity[-1] - 1),
                    "max_drawdown": float((1 - equity / peak).max()), "exposure": float(part["exposure"].mean()),
                }
            )  # fmt: skip
    return rows


def _scaled(history: History, factor: float) -> History:
    """The same history with every move `factor` times as large, in logs, from the first open on."""
    first = np.log(history.open[0])

    def stretch(values: Floats | None) -> Floats | None:
        return None if values is None else np.exp(first + factor * (np.log(values) - first))

    return replace(
        history, open=stretch(history.open), close=stretch(history.close), high=stretch(history.high),  # type: ignore[arg-type]
        low=stretch(history.low), volatility=history.volatility * factor,
    )  # fmt: skip


def _held(target: Floats, is_late: NDArray[np.bool_]) -> Floats:
    """The targets with those marked replaced by the last one before them."""
    source = np.maximum.accumulate(np.where(is_late, 0, np.arange(len(target))))
    return target[source]


def worse_worlds(
    market: Market, targets: Targets, costs: Costs, seed: int, rules: OrderRules = MARKET
) -> list[dict[str, Any]]:
    """The same decisions in worlds that are worse: larger moves, decisions that are missed, prices that are stale.

    - volatility x 1.5 and x 2: every move that much larger; sizes as they were decided.
    - 5 % of the decisions missing: the bar brings none, the last one stands.
    - stale prices, 5 % of the hours: in so many spells of four bars decisions come from the spell's beginning.
    - 20 % of the days without a connection: nothing is traded on them, what is held is held.

    Args:
        market: histories and timestamps of all symbols.
        targets: by symbol, shape (bars,), shares of the symbol's part of the capital.
        costs: as configured.
        seed: of what is drawn: decisions, hours, days.
        rules: the order rules.
    """
    rng = np.random.default_rng(seed)

    def on(change: Callable[[Floats], Floats]) -> dict[str, Floats]:
        return {name: change(target) for name, target in targets.items()}

    def missing(target: Floats) -> Floats:
        return _held(target, rng.random(len(target)) < 0.05)

    def spells(share: float, length: int) -> Callable[[Floats], Floats]:
        def apply(target: Floats) -> Floats:
            begun = rng.random(len(target)) < share / length
            late = np.convolve(begun, np.ones(length), "full")[: len(target)] > 0
            return _held(target, late)

        return apply

    bars_per_day = max(round(market.calendar.bars_per_day), 1)
    louder = {
        factor: replace(market, histories={name: _scaled(one, factor) for name, one in market.histories.items()})
        for factor in (1.5, 2.0)
    }
    worlds: list[tuple[str, Market, Targets]] = [
        ("as it was", market, targets),
        ("moves 1.5 times as large", louder[1.5], targets),
        ("moves twice as large", louder[2.0], targets),
        ("5 % of the decisions missing", market, on(missing)),
        ("stale prices in 5 % of the time", market, on(spells(0.05, 4))),
        ("a fifth of the days without a connection", market, on(spells(0.2, bars_per_day))),
    ]
    rows = []
    for name, world, decided in worlds:
        measured = summary(portfolio_account(world, decided, costs, rules), market.calendar)
        rows.append(
            {
                "world": name, "sharpe": measured["sharpe"], "total_return": measured["total_return"],
                "max_drawdown": measured["max_drawdown"],
            }
        )  # fmt: skip
    return rows
