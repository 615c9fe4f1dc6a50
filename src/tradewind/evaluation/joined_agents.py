"""The positions of several agents as one strategy's: the side that most hold, or by what each has earned so far."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.errors import BadData
from tradewind.evaluation.traded_market import TradedMarket
from tradewind.learning.ensemble import FAMILY
from tradewind.learning.ensemble.online import AdaHedge, settled_weights

Floats = NDArray[np.float64]


def vote(targets: Floats) -> Floats:
    """The mean target of those on the side that most agents hold; flat where no side has more than any other.

    Args:
        targets: in [-1, 1], (bars, agents); NaN where an agent says nothing.

    Returns:
        (bars,), 0 where none says anything.
    """
    side = np.sign(np.nan_to_num(targets))
    counts = np.stack([((side == one) & ~np.isnan(targets)).sum(axis=1) for one in (-1, 0, 1)], axis=1)
    most = counts.max(axis=1)
    has_won = (counts == most[:, None]).sum(axis=1) == 1
    winner = np.where(has_won, counts.argmax(axis=1) - 1, 0)
    of_winner = (side == winner[:, None]) & ~np.isnan(targets)
    total = np.where(of_winner, np.nan_to_num(targets), 0.0).sum(axis=1)
    return np.asarray(total / np.maximum(of_winner.sum(axis=1), 1) * (winner != 0))


def join_agents(
    positions: Sequence[pd.DataFrame], method: Literal["agents_vote", "agents_weighted"], market: TradedMarket
) -> pd.DataFrame:
    """The agents' positions as one strategy's, bar by bar.

    `agents_weighted` is the mean by weights that follow, with AdaHedge, what each agent's target of a bar earned over
    the next bar, before costs, symbols together; a bar's outcome counts after its close. An agent that says nothing on
    a bar leaves it to the others; where none says anything the position is flat.

    Args:
        positions: one or more agents a table (`schema.Positions`).
        method: how they are joined, which is the new strategy's name.
        market: whose closes tell what was earned.

    Returns:
        `schema.Positions` on every bar that any agent has.

    Raises:
        BadData: there are no agents.
    """
    if not positions:
        raise BadData(
            f"evaluation.ensembles.agents: {method} needs agents: list some in params:models, or leave it out"
        )
    table = pd.concat(positions, ignore_index=True)
    wide = table.pivot_table(index=["timestamp", "symbol"], columns="strategy", values="target", sort=True)
    targets = wide.to_numpy(np.float64)
    keys = wide.index.to_frame(index=False)
    joined = vote(targets) if method == "agents_vote" else _weighted(targets, keys, market)
    of = {"strategy": method, "family": FAMILY, "seed": np.int64(-1), "path": np.int64(-1)}
    made = keys.assign(**of, target=np.clip(joined, -1.0, 1.0))
    made = made[["strategy", "family", "seed", "path", "symbol", "timestamp", "target"]]
    return made.astype({"strategy": "str", "family": "str", "symbol": "str"})


def _weighted(targets: Floats, keys: pd.DataFrame, market: TradedMarket) -> Floats:
    earned, settled = np.full(len(keys), np.nan), np.full(len(keys), np.iinfo(np.int64).max)
    at = _ms(keys["timestamp"])
    for symbol, (bars, _) in market.histories.items():
        rows = np.flatnonzero((keys["symbol"] == symbol).to_numpy())
        close, closed = bars["close"].to_numpy(np.float64), _ms(bars["timestamp"])
        place = np.searchsorted(closed, at[rows])
        has_next = place < len(closed) - 1
        rows, place = rows[has_next], place[has_next]
        earned[rows], settled[rows] = close[place + 1] / close[place] - 1.0, closed[place + 1]
    weights = settled_weights(AdaHedge(0.01), -targets * earned[:, None], at, settled)
    speaks = ~np.isnan(targets)
    weights = weights * speaks
    total = weights.sum(axis=1)
    return np.asarray((weights * np.nan_to_num(targets)).sum(axis=1) / np.where(total > 0, total, 1.0))


def _ms(instants: pd.Series) -> NDArray[np.int64]:
    return instants.dt.tz_localize(None).to_numpy("datetime64[ms]").astype(np.int64)
