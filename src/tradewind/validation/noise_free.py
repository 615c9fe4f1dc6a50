"""What positions earn on a simulated market when its luck is taken out: they are paid by the drift that was planted.

A realised Sharpe ratio of two years has a standard error of 0.7, and the better of two models is chosen by it. The
simulator knows the expected return of every bar: positions times it, less what was paid, over the risk that was borne.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.errors import BadData
from tradewind.market.calendars import AROUND_THE_CLOCK, YEAR_DAYS
from tradewind.metrics.returns import daily_returns


def noise_free_sharpe(positions: pd.DataFrame, account: pd.DataFrame, oracle: pd.DataFrame) -> float:
    """The annual Sharpe ratio of positions in expectation, given the market's paths of prediction and volatility.

    A target that is decided at a close is held over the next bar, so that orders must be filled at the next open. The
    mean is that of what was expected, less costs and funding as they were paid; the deviation that of the daily net
    returns as they came.

    Args:
        positions: one strategy's symbol, timestamp, target.
        account: its portfolio account: timestamp, cost, funding, net, shares of equity.
        oracle: symbol, timestamp, expected_return of the next bar (`SimulatedMarket.oracle`).

    Raises:
        BadData: a position stands on a bar of which nothing is known.
    """
    expected = expected_net(positions, account, oracle)
    daily = daily_returns(account["timestamp"], account["net"].to_numpy(), AROUND_THE_CLOCK)
    deviation = float(daily.std(ddof=1)) if len(daily) > 2 else 0.0
    if deviation <= 1e-12:
        return 0.0
    return float(expected.mean()) * len(account) / len(daily) / deviation * float(np.sqrt(YEAR_DAYS))


def expected_net(positions: pd.DataFrame, account: pd.DataFrame, oracle: pd.DataFrame) -> NDArray[np.float64]:
    """What each bar of an account was expected to earn, net of what was paid on it, shares of equity, shape (bars,).

    Args:
        positions: one strategy's symbol, timestamp, target.
        account: its portfolio account: timestamp, cost, funding.
        oracle: symbol, timestamp, expected_return of the next bar.

    Raises:
        BadData: a position stands on a bar of which nothing is known.
    """
    known = positions.merge(oracle[["symbol", "timestamp", "expected_return"]], on=["symbol", "timestamp"], how="left")
    if known["expected_return"].isna().any():
        raise BadData("there are positions on bars of which the simulator does not tell the expected return")
    share = 1.0 / positions["symbol"].nunique()
    # The bar of the account is the one over which the target before it is held.
    held = known.groupby("symbol")["target"].shift(1) * known.groupby("symbol")["expected_return"].shift(1) * share
    earned = held.fillna(0.0).groupby(known["timestamp"]).sum().reindex(account["timestamp"]).to_numpy()
    return np.asarray(earned - account["cost"].to_numpy() - account["funding"].to_numpy())
