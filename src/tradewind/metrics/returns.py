"""From accounts of single symbols to the returns of a portfolio."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FLOWS = ["gross", "cost", "funding", "net"]


def portfolio_returns(accounts: pd.DataFrame) -> pd.DataFrame:
    """Per timestamp the equal-weight mean over the symbols present: gross, cost, funding, net, exposure, turnover,
    trades.

    `accounts` has the rows of one strategy (`schema.Backtest`, all symbols). Each symbol is given the same share of the
    capital anew on every bar; what that rebalancing would cost is not charged. `exposure` is the mean absolute
    position, `turnover` the mean absolute change of it beyond what prices moved, in shares of equity.
    """
    rows = accounts.sort_values(["symbol", "timestamp"], kind="stable")
    changed = rows["cost"] > 0
    previous = rows.groupby("symbol")["position"].shift(fill_value=0.0)
    moved = (rows["position"] - previous).abs().where(changed, 0.0)
    table = rows[["timestamp", *FLOWS]].assign(exposure=rows["position"].abs(), turnover=moved)
    mean = table.groupby("timestamp", sort=True).mean()
    return mean.assign(trades=changed.groupby(rows["timestamp"]).sum().astype(np.int64)).reset_index()


def daily_returns(timestamp: pd.Series, net: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compounded net return of each UTC day; a bar belongs to the day in which it closes (midnight: the day before)."""
    day = (timestamp - pd.Timedelta(1, unit="ms")).dt.floor("D").to_numpy()
    growth = pd.Series(np.log1p(np.maximum(net, -1 + 1e-12))).groupby(day).sum()
    return np.expm1(growth.to_numpy())
