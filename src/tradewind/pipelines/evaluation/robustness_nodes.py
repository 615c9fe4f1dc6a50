"""The strategies in worlds that are not as assumed. Walk-forward folds only, and nothing is chosen by it."""

import itertools
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from tradewind.compute import track
from tradewind.learning.models import catalogue
from tradewind.learning.models.base import QUANTILES
from tradewind.market.universe import Universe
from tradewind.metrics.distribution import probability_below
from tradewind.parameters import Parameters
from tradewind.pipelines.evaluation.trading_nodes import (
    histories_of,
    is_tested,
    market_and_targets,
    model_direction,
    traded,
    utc_instants,
    walk_forward_only,
    with_role,
)
from tradewind.trading.engine import robustness
from tradewind.trading.engine.backtest import History
from tradewind.trading.engine.portfolio import portfolio_account
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules
from tradewind.trading.strategy import baselines
from tradewind.trading.strategy.signals import SignalRules
from tradewind.trading.strategy.sizing import SizingRules, size_at_entry

Partitions = Mapping[str, Callable[[], pd.DataFrame]]
Numbers = Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)]


class RobustnessRules(Parameters):
    """What is varied (`params:evaluation.robustness`).

    `side_bps` are all-in costs a side; `delays_bars` delay every fill; `capitals` are tried with square-root impact of
    `impact_coefficient`; `entry_thresholds` and `smoothing_bars` are the plateau's two sides.
    """

    side_bps: Numbers = (0, 2, 5, 10)
    cost_multiples: Numbers = (0.5, 1, 2, 4)
    delays_bars: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (0, 1, 2, 4)
    capitals: Numbers = (1e4, 1e5, 1e6, 1e7, 1e8, 1e9)
    impact_coefficient: Annotated[float, Field(ge=0, le=100)] = 1.0
    entry_thresholds: Numbers = (0.05, 0.1, 0.15, 0.2, 0.3)
    smoothing_bars: Numbers = (0, 6, 12, 24, 48)


def stress_strategies(
    positions: Partitions,
    bars: Partitions,
    side_series: pd.DataFrame,
    folds: pd.DataFrame,
    universe: Universe,
    costs: Costs,
    execution: OrderRules,
    sizing: SizingRules,
    rules: RobustnessRules,
    seed: int,
) -> dict[str, pd.DataFrame]:
    """Tables by what is varied: costs (every strategy), delays, capacity, leave_one_out, conditions, stress, worlds."""
    histories = histories_of(bars, side_series, universe, sizing)
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in _COLUMNS}
    for name in track(sorted(positions), "robustness"):
        market, targets = market_and_targets(walk_forward_only(positions[name](), folds), histories, universe)
        found: dict[str, list[dict[str, Any]]] = {"costs": robustness.at_costs(market, targets, costs, rules.side_bps)}
        if baselines.family(name) == "model":
            account = portfolio_account(market, targets, costs, execution)
            closes = pd.DataFrame(
                {s: pd.Series(h.close, market.timestamps[s]) for s, h in market.histories.items()}
            ).reindex(utc_instants(account["timestamp"]))
            market_return = np.log(closes).diff().mean(axis=1).fillna(0.0)
            found |= {
                "delays": robustness.at_delays(
                    market, targets, costs, rules.cost_multiples, rules.delays_bars, execution
                ),
                "capacity": robustness.at_capital(
                    market, targets, costs, rules.capitals, rules.impact_coefficient, execution
                ),
                "leave_one_out": robustness.leave_one_out(market, targets, costs, account),
                "conditions": robustness.conditions(account, market_return),
                # The dates mean nothing on a simulated market.
                "stress": [] if universe.venue == "simulated" else robustness.stress_replays(account),
                "worlds": robustness.worse_worlds(market, targets, costs, seed, execution),
            }
        for table, values in found.items():
            rows[table] += [{"strategy": name, **row} for row in values]
    return {
        table: pd.DataFrame(rows[table], columns=["strategy", *columns]).astype({"strategy": "str"})
        for table, columns in _COLUMNS.items()
    }


_COLUMNS = {
    "costs": ["bps", "sharpe", "total_return", "break_even_bps"],
    "delays": ["cost_multiple", "delay_bars", "sharpe"],
    "capacity": ["capital", "sharpe", "annual_return", "annual_profit"],
    "leave_one_out": ["left_out", "group", "sharpe"],
    "conditions": ["by", "group", "share", "mean_bps", "error_bps", "total_return"],
    "stress": ["event", "from", "to", "total_return", "max_drawdown", "exposure"],
    "worlds": ["world", "sharpe", "total_return", "max_drawdown"],
}


def vary_parameters(
    bars: Partitions,
    side_series: pd.DataFrame,
    folds: pd.DataFrame,
    universe: Universe,
    costs: Costs,
    execution: OrderRules,
    signal: SignalRules,
    sizing: SizingRules,
    rules: RobustnessRules,
    *forecasts: pd.DataFrame,
) -> pd.DataFrame:
    """Sharpe ratio of each model over entry thresholds and smoothing.

    Columns: strategy, entry_threshold, smoothing_bars, sharpe.
    A peak among low values is luck, a plateau is not. The exit threshold keeps its share of the entry threshold.
    """
    histories = histories_of(bars, side_series, universe, sizing)
    tested = {symbol: _is_walk_forward(table, folds) for symbol, (table, _) in histories.items()}
    share = signal.exit_threshold / signal.entry_threshold
    by_model = traded(forecasts)
    grid = list(itertools.product(by_model, rules.entry_thresholds, rules.smoothing_bars))
    rows = []
    for model, entry, smoothing in track(grid, "plateau"):
        varied = SignalRules(
            smoothing_bars=smoothing, entry_threshold=entry, exit_threshold=entry * share,
            cost_multiple=signal.cost_multiple,
        )  # fmt: skip
        account = _account(by_model[model], histories, tested, universe, costs, execution, varied, sizing)
        found = robustness.summary(account)
        rows.append(
            {"strategy": model, "entry_threshold": entry, "smoothing_bars": smoothing, "sharpe": found["sharpe"]}
        )
    return pd.DataFrame(rows).astype({"strategy": "str"})


def run_paths(
    path_forecasts: pd.DataFrame,
    bars: Partitions,
    side_series: pd.DataFrame,
    universe: Universe,
    costs: Costs,
    execution: OrderRules,
    signal: SignalRules,
    sizing: SizingRules,
) -> pd.DataFrame:
    """What the linear model's combinatorial paths come to: path, and the measures of its account."""
    histories = histories_of(bars, side_series, universe, sizing)
    rows = []
    for path, forecasts in path_forecasts.groupby("fold", sort=True):
        start, end = forecasts["timestamp"].min(), forecasts["timestamp"].max()
        inside = {
            symbol: ((table["timestamp"] >= start) & (table["timestamp"] <= end)).to_numpy()
            for symbol, (table, _) in histories.items()
        }
        account = _account(forecasts, histories, inside, universe, costs, execution, signal, sizing)
        rows.append({"path": path, **robustness.summary(account)})
    return pd.DataFrame(rows).astype({"path": "int64"})


def run_seeds(
    bars: Partitions,
    side_series: pd.DataFrame,
    folds: pd.DataFrame,
    universe: Universe,
    costs: Costs,
    execution: OrderRules,
    signal: SignalRules,
    sizing: SizingRules,
    *forecasts: pd.DataFrame,
) -> pd.DataFrame:
    """What each model comes to from each seed, over the walk-forward folds: model, seed, and the account's measures.

    `forecasts` are those of the run's own seed and of the others.
    """
    histories = histories_of(bars, side_series, universe, sizing)
    tested = {symbol: _is_walk_forward(table, folds) for symbol, (table, _) in histories.items()}
    rows = []
    for table in forecasts:
        for (model, seed), part in table.groupby(["model", "seed"], sort=False):
            account = _account(part, histories, tested, universe, costs, execution, signal, sizing)
            rows.append({"model": model, "seed": seed, **robustness.summary(account)})
    return pd.DataFrame(rows).astype({"model": "str", "seed": "int64"})


def trade_horizons(
    bars: Partitions,
    side_series: pd.DataFrame,
    folds: pd.DataFrame,
    universe: Universe,
    costs: Costs,
    execution: OrderRules,
    signal: SignalRules,
    sizing: SizingRules,
    *horizon_forecasts: pd.DataFrame,
) -> pd.DataFrame:
    """What each model comes to if it is traded on one horizon alone: model, horizon, and the account's measures.

    Up and down are what the quantiles say of the return beyond the cost of a round trip. The smoothing is shortened in
    proportion, to half a horizon at most. Walk-forward folds; the same thresholds everywhere, nothing is chosen.
    """
    histories = histories_of(bars, side_series, universe, sizing)
    tested = {symbol: _is_walk_forward(table, folds) for symbol, (table, _) in histories.items()}
    round_trip = 2 * costs.fixed_share
    rows = []
    for table in horizon_forecasts:
        for (model, bars_ahead), part in table.groupby(["model", "horizon"], sort=False):
            if not catalogue.is_traded(model):
                continue
            quantiles = part[QUANTILES].to_numpy(dtype=np.float64)
            sided = part[["symbol", "timestamp"]].assign(
                p_up=1 - probability_below(quantiles, round_trip), p_down=probability_below(quantiles, -round_trip),
                expected_return=part["q50"],
            )  # fmt: skip
            shorter = signal.model_copy(update={"smoothing_bars": min(signal.smoothing_bars, bars_ahead / 2)})
            account = _account(sided, histories, tested, universe, costs, execution, shorter, sizing)
            rows.append({"model": model, "horizon": bars_ahead, **robustness.summary(account)})
    return pd.DataFrame(rows).astype({"model": "str", "horizon": "int64"})


def _is_walk_forward(table: pd.DataFrame, folds: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return is_tested(table, folds) & (with_role(table, folds)["role"] == "walk_forward").to_numpy()


def _account(
    forecasts: pd.DataFrame,
    histories: Mapping[str, tuple[pd.DataFrame, History]],
    chosen_bars: Mapping[str, np.ndarray[Any, np.dtype[np.bool_]]],
    universe: Universe,
    costs: Costs,
    execution: OrderRules,
    signal: SignalRules,
    sizing: SizingRules,
) -> pd.DataFrame:
    """The portfolio account of one model's forecasts over the chosen bars of each symbol."""
    per_bar = sizing.target_volatility_annual / np.sqrt(universe.bars_per_year)
    tables = []
    for symbol, (table, history) in histories.items():
        part, chosen = forecasts[forecasts["symbol"] == symbol], chosen_bars[symbol]
        sides = model_direction(table, part, history.volatility, costs, signal)
        target = size_at_entry(sides, history.volatility, per_bar, sizing.max_position)[chosen]
        tables.append(pd.DataFrame({"symbol": symbol, "timestamp": table["timestamp"][chosen].array, "target": target}))
    market, targets = market_and_targets(pd.concat(tables, ignore_index=True), histories, universe)
    return portfolio_account(market, targets, costs, execution)
