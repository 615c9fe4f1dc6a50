"""Positions to accounts: symbol by symbol, all symbols together, and at other costs."""

from typing import Annotated

import pandas as pd
from pydantic import Field

from tradewind.compute import track
from tradewind.evaluation.roles import walk_forward_only, with_role
from tradewind.evaluation.traded_market import Partitions, TradedMarket
from tradewind.metrics.returns import daily_returns
from tradewind.metrics.risk import measures_of
from tradewind.parameters import Parameters
from tradewind.trading.engine.backtest import ACCOUNT, run
from tradewind.trading.engine.portfolio import portfolio_account
from tradewind.trading.engine.trades import trade_table


class SensitivityRules(Parameters):
    """Which multiples of the costs are tried (`params:evaluation.sensitivity`)."""

    cost_multiples: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=2)] = (0, 0.5, 1, 2, 3, 5)


def backtests(positions: Partitions, market: TradedMarket) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """The account of every strategy on every symbol, bar by bar, with costs and funding; and its trades."""
    loaded = {name: load() for name, load in positions.items()}
    accounts, trades = {}, {}
    for name in track(sorted(loaded), "backtests"):
        accounts[name], trades[name] = _backtest(name, loaded[name], market)
    return accounts, trades


def _backtest(strategy: str, positions: pd.DataFrame, market: TradedMarket) -> tuple[pd.DataFrame, pd.DataFrame]:
    accounts, trades = [], []
    setup, bars_per_year = market.setup, market.universe.bars_per_year
    for symbol, (targets, history, table) in market.under(positions).items():
        result = run(history, targets["target"].to_numpy(), setup.costs, setup.execution, bars_per_year)
        keys = targets[["strategy", "symbol", "timestamp"]]
        accounts.append(pd.concat([keys, result.account[ACCOUNT]], axis=1))
        own_trades = trade_table(result, history)
        opened, closed = table["open_time"].reset_index(drop=True), table["timestamp"].reset_index(drop=True)
        own_trades.insert(0, "exit_time", closed.iloc[own_trades["exit_row"]].array)
        own_trades.insert(0, "entry_time", opened.iloc[own_trades["entry_row"]].array)
        own_trades.insert(0, "symbol", symbol)
        own_trades.insert(0, "strategy", strategy)
        trades.append(own_trades.drop(columns=["entry_row", "exit_row"]))
    all_trades = pd.concat(trades, ignore_index=True).astype({"strategy": "str", "symbol": "str"})
    return pd.concat(accounts, ignore_index=True), all_trades


def portfolio_returns(positions: Partitions, market: TradedMarket, folds: pd.DataFrame) -> pd.DataFrame:
    """Returns of every strategy with one account for all symbols.

    Args:
        positions: by strategy a function that loads its positions.
        market: what they are traded on.
        folds: the fold table.

    Returns:
        One row a strategy and bar: strategy, timestamp, fold, role, and the account's columns, as shares of equity.
    """
    portfolios = []
    for name, load in positions.items():
        account = portfolio_account(*market.portfolio(load()), market.setup.costs, market.setup.execution)
        portfolios.append(with_role(account, folds).assign(strategy=name))
    returns = pd.concat(portfolios, ignore_index=True).astype({"strategy": "str"})
    first = ["strategy", "timestamp", "fold", "role"]
    return returns[first + [name for name in returns.columns if name not in first]]


def cost_sensitivity(
    positions: Partitions, market: TradedMarket, folds: pd.DataFrame, rules: SensitivityRules
) -> pd.DataFrame:
    """The same positions at other costs, over the walk-forward folds.

    Args:
        positions: by strategy a function that loads its positions.
        market: what they are traded on, at the costs that are multiplied.
        folds: the fold table.
        rules: the multiples.

    Returns:
        One row a strategy and multiple: strategy, cost_multiple, sharpe (annual), total_return (share).
    """
    rows = []
    for name, load in positions.items():
        under, targets = market.portfolio(walk_forward_only(load(), folds))
        for multiple in rules.cost_multiples:
            account = portfolio_account(under, targets, market.setup.costs.scaled(multiple), market.setup.execution)
            measured = measures_of(daily_returns(account["timestamp"], account["net"].to_numpy()))
            rows.append(
                {
                    "strategy": name, "cost_multiple": float(multiple), "sharpe": measured["sharpe"],
                    "total_return": measured["total_return"],
                }
            )  # fmt: skip
    return pd.DataFrame(rows).astype({"strategy": "str"})
