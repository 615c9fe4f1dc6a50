"""A strategy on several symbols with one account: what it earned, bar by bar."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.trading.engine.backtest import MARKET, History, portfolio
from tradewind.trading.engine.inputs import check_symbols, numbers
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules

Floats = NDArray[np.float64]
Targets = Mapping[str, Floats]


@dataclass(frozen=True)
class Market:
    """The histories that strategies are run on, by symbol, with the instants of their bars."""

    histories: Mapping[str, History]
    timestamps: Mapping[str, NDArray[Any]]
    bars_per_year: float

    def of(self, symbols: list[str]) -> "Market":
        """The same with these symbols only."""
        return Market(
            {name: self.histories[name] for name in symbols}, {name: self.timestamps[name] for name in symbols},
            self.bars_per_year,
        )  # fmt: skip


def portfolio_account(market: Market, targets: Targets, costs: Costs, rules: OrderRules = MARKET) -> pd.DataFrame:
    """Per instant: timestamp, gross, cost, funding, net, exposure, turnover, trades; shares of the equity before.

    `targets` are shares of a symbol's part of the capital; every symbol has the same part, taken from the one account's
    equity when a target changes. `exposure` is the sum of the absolute positions at the close, `turnover` the value
    traded, `trades` the number of fills.

    Args:
        market: histories and timestamps of all symbols.
        targets: by symbol, shape (bars,), shares of the symbol's part of the capital.
        costs: fees, spread, slippage, impact, funding, latency.
        rules: the order rules.
    """
    check_symbols(market.histories, targets=targets)
    part = 1.0 / len(targets)
    shares = {name: numbers(target, f"{name}: targets") * part for name, target in targets.items()}
    instants, result = portfolio(market.histories, shares, market.timestamps, costs, rules, market.bars_per_year)
    fills = result.fills
    rows = fills[:, 0].astype(np.int64)
    value = np.abs(fills[:, 2]) * fills[:, 3] / np.maximum(fills[:, 6], 1e-300)
    account = result.account
    return pd.DataFrame(
        {
            "timestamp": pd.to_datetime(instants, utc=True).as_unit("ms"),
            **{name: account[name].to_numpy() for name in ("gross", "cost", "funding", "net")},
            "exposure": np.abs(result.positions).sum(axis=0),
            "turnover": np.bincount(rows, weights=value, minlength=len(instants)),
            "trades": np.bincount(rows, minlength=len(instants)).astype(np.int64),
        }
    )
