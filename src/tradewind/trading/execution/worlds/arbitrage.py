"""Rules of arbitrage side by side: what they gain of what there is, how often they lose, and where there is nothing."""

from typing import Annotated

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from tradewind.parameters import Parameters
from tradewind.trading.execution.arbitrage.timing import Calibration, PairCosts, best_rule, calibrate, threshold_rule
from tradewind.trading.execution.worlds.dislocations import (
    DislocationWorld,
    Paths,
    Traded,
    clairvoyant_profit,
    draw,
    trade,
)

Floats = NDArray[np.float64]

COLUMNS = (
    "world", "policy", "profit_bps", "profit_bps_error", "won", "won_error", "lost", "lost_error",
    "share_of_clairvoyant", "share_error",
)  # fmt: skip
WIDEST_MARGIN = 400  # bps


class ArbitrageTask(Parameters):
    """A price difference to be traded.

    Attributes:
        world: how it moves.
        costs: of trading it.
        training: episodes of their own, from which rules learn how it moves.
    """

    world: DislocationWorld
    costs: PairCosts = PairCosts()
    training: Annotated[int, Field(ge=1, le=1000)] = 10


def compare(tasks: dict[str, ArbitrageTask], episodes: int, generator: np.random.Generator) -> pd.DataFrame:
    """Every rule in every world, and in the same world with its dislocations taken out.

    Args:
        tasks: by name.
        episodes: of each world, the same for all rules.
        generator: the only source of randomness.

    Returns:
        One row a world and rule: what an episode gains in basis points of a unit's value, executions that gained and
        that lost, and the share of what a clairvoyant gains, each with its standard error; NaN where there is nothing.
    """
    rows: list[dict[str, object]] = []
    for name, task in tasks.items():
        past = calibrate(draw(task.world, task.costs, task.training, generator).quoted.ravel())
        for world, market in ((name, task.world), (f"{name}_taken_out", task.world.without_dislocations())):
            rows += _rows(world, draw(market, task.costs, episodes, generator), past, task.costs)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(world: str, paths: Paths, past: Calibration, costs: PairCosts) -> list[dict[str, object]]:
    engine = trade(paths, best_rule(past, costs), costs)
    runs = {
        "engine": engine,
        "threshold": trade(paths, threshold_rule(past, costs), costs),
        "matched_threshold": _matched(paths, past, costs, int(engine.lost.sum())),
    }
    best = clairvoyant_profit(paths, past.mean, costs)
    rows = [_row(world, policy, run.profit, run, best) for policy, run in runs.items()]
    return [*rows, _row(world, "clairvoyant", best, None, best)]


def _matched(paths: Paths, past: Calibration, costs: PairCosts, most_lost: int) -> Traded:
    """The threshold rule with the smallest margin, whole bps, at which it loses no more often on the same episodes."""
    low, high = 0, WIDEST_MARGIN
    while low < high:
        middle = (low + high) // 2
        if trade(paths, threshold_rule(past, costs, middle), costs).lost.sum() <= most_lost:
            high = middle
        else:
            low = middle + 1
    return trade(paths, threshold_rule(past, costs, high), costs)


def _row(world: str, policy: str, profit: Floats, run: Traded | None, best: Floats) -> dict[str, object]:
    row: dict[str, object] = {"world": world, "policy": policy, "profit_bps": float(profit.mean()),
                              "profit_bps_error": _error(profit)}  # fmt: skip
    for name in ("won", "lost"):
        counts = np.full(len(profit), np.nan) if run is None else getattr(run, name).astype(np.float64)
        row |= {name: float(counts.mean()), f"{name}_error": _error(counts)}
    share = float(profit.mean() / best.mean()) if best.mean() > 0 else float("nan")
    error = _error(profit - share * best) / best.mean() if best.mean() > 0 else float("nan")
    return row | {"share_of_clairvoyant": share, "share_error": float(error)}


def _error(values: Floats) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))
