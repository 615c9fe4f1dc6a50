"""Forecasts and rules to positions, positions to accounts and portfolios."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from tradewind.compute import track
from tradewind.engine.backtest import ACCOUNT, History, backtest
from tradewind.errors import BadData
from tradewind.execution.costs import Costs
from tradewind.market.universe import Universe
from tradewind.market.volatility import realised_volatility
from tradewind.metrics.ranking import breakdown
from tradewind.metrics.returns import daily_returns, portfolio_returns
from tradewind.metrics.risk import MEASURES, measure
from tradewind.strategy import baselines
from tradewind.strategy.signals import SignalRules, direction, smooth
from tradewind.strategy.sizing import SizingRules, size_at_entry

Partitions = Mapping[str, Callable[[], pd.DataFrame]]
Floats = np.ndarray[Any, np.dtype[np.float64]]


class SensitivityRules(BaseModel):
    """Which multiples of the costs are tried (`params:evaluation.sensitivity`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cost_multiples: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=2)] = (0, 0.5, 1, 2, 3, 5)


def make_positions(
    bars: Partitions,
    folds: pd.DataFrame,
    oracle: pd.DataFrame,
    universe: Universe,
    costs: Costs,
    signal: SignalRules,
    sizing: SizingRules,
    seed: int,
    *forecasts: pd.DataFrame,
) -> dict[str, pd.DataFrame]:
    """Target positions by strategy: each model, each baseline, and the oracle where there is one.

    All have the same rows: every bar of the test windows. Positions carry over from fold to fold, as a live account
    would.
    """
    for table in forecasts:
        _check_folds(table, folds)
    positions: dict[str, list[pd.DataFrame]] = {}
    rng = np.random.default_rng(seed)
    for symbol in universe.symbols:
        history = bars[universe.partition(symbol)]()
        close = np.ascontiguousarray(history["close"].to_numpy(dtype=np.float64))
        segment = history["segment"].to_numpy(dtype=np.int32)
        volatility = realised_volatility(close, segment, sizing.volatility_window)
        tested = is_tested(history, folds)
        per_bar = sizing.target_volatility_annual / np.sqrt(universe.bars_per_year)
        targets: dict[str, Floats] = {}
        for table in forecasts:
            chosen = _model_direction(history, table[table["symbol"] == symbol], volatility, costs, signal)
            targets[str(table["model"].iloc[0])] = size_at_entry(chosen, volatility, per_bar, sizing.max_position)
        first_model = next(iter(targets))
        for name, rule in baselines.DIRECTIONS.items():
            chosen = rule(close, segment, universe.bars_per_year / 365.25)
            is_sized = name != "buy_and_hold"
            targets[name] = size_at_entry(chosen, volatility, per_bar, sizing.max_position) if is_sized else chosen
        known = oracle[oracle["symbol"] == symbol].set_index("timestamp")["target"]
        if len(known):
            targets[baselines.ORACLE] = known.reindex(history["timestamp"]).fillna(0.0).to_numpy()
        for name, target in targets.items():
            positions.setdefault(name, []).append(_table(name, symbol, history[tested], target[tested]))
        shuffled = _at_random_times(targets[first_model][tested], with_role(history[tested], folds)["role"], rng)
        positions.setdefault(baselines.RANDOM, []).append(_table(baselines.RANDOM, symbol, history[tested], shuffled))
    return {name: pd.concat(tables, ignore_index=True) for name, tables in positions.items()}


def _at_random_times(target: Floats, role: pd.Series, rng: np.random.Generator) -> Floats:
    """Each role by itself: what the holdout's forecasts say must not reach the walk-forward folds."""
    shuffled = np.zeros(len(target))
    for name in ("walk_forward", "holdout"):
        of_role = (role == name).to_numpy()
        shuffled[of_role] = baselines.at_random_times(target[of_role], rng)
    return shuffled


def _check_folds(forecasts: pd.DataFrame, folds: pd.DataFrame) -> None:
    """A forecast may only come from the fold in whose test window it lies: any other model may have seen that time."""
    windows = folds.set_index("fold").reindex(forecasts["fold"])
    at = forecasts["timestamp"].array
    is_inside = (windows["test_start"].array <= at) & (at < windows["test_end"].array)
    if not is_inside.all():
        first = forecasts.iloc[int(np.flatnonzero(~is_inside)[0])]
        raise BadData(
            f"model {first['model']}: {int((~is_inside).sum())} forecasts lie outside their fold's test window, the "
            f"first at {first['timestamp']} (fold {first['fold']}): run this model's stage again on the present folds"
        )


def is_tested(history: pd.DataFrame, folds: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Rows inside the test windows, which follow one another without a hole."""
    start, end = folds["test_start"].min(), folds["test_end"].max()
    return ((history["timestamp"] >= start) & (history["timestamp"] < end)).to_numpy()


def _model_direction(
    history: pd.DataFrame, forecasts: pd.DataFrame, volatility: Floats, costs: Costs, signal: SignalRules
) -> Floats:
    aligned = forecasts.set_index("timestamp").reindex(history["timestamp"])
    edge = smooth((aligned["p_up"] - aligned["p_down"]).to_numpy(), signal.smoothing_bars)
    round_trip = 2 * (costs.fixed_share + costs.slippage_share_of_volatility * np.nan_to_num(volatility))
    hurdle = signal.cost_multiple * round_trip
    expected = smooth(aligned["expected_return"].to_numpy(), signal.smoothing_bars)
    return direction(edge, expected, hurdle, signal.entry_threshold, signal.exit_threshold)


def _table(strategy: str, symbol: str, rows: pd.DataFrame, target: Floats) -> pd.DataFrame:
    table = pd.DataFrame(
        {"strategy": strategy, "symbol": symbol, "timestamp": rows["timestamp"].array, "target": target}
    )
    return table.astype({"strategy": "str", "symbol": "str", "target": "float64"})


def run_backtests(
    positions: Partitions,
    bars: Partitions,
    side_series: pd.DataFrame,
    universe: Universe,
    costs: Costs,
    sizing: SizingRules,
) -> dict[str, pd.DataFrame]:
    """The account of every strategy on every symbol, bar by bar, with costs and funding."""
    histories = _histories(bars, side_series, universe, sizing)
    loaded = {name: load() for name, load in positions.items()}
    return {name: _accounts(loaded[name], histories, costs) for name in track(sorted(loaded), "backtests")}


def _histories(
    bars: Partitions, side_series: pd.DataFrame, universe: Universe, sizing: SizingRules
) -> dict[str, tuple[pd.DataFrame, Floats, pd.DataFrame]]:
    """Bars, the volatility known at each, and funding settlements, by symbol."""
    histories = {}
    for symbol in universe.symbols:
        history = bars[universe.partition(symbol)]()
        close = np.ascontiguousarray(history["close"].to_numpy(dtype=np.float64))
        volatility = realised_volatility(close, history["segment"].to_numpy(dtype=np.int32), sizing.volatility_window)
        is_funding = (side_series["series"] == "funding") & (side_series["symbol"] == symbol)
        histories[symbol] = (history, volatility, side_series[is_funding])
    return histories


def _accounts(
    positions: pd.DataFrame, histories: Mapping[str, tuple[pd.DataFrame, Floats, pd.DataFrame]], costs: Costs
) -> pd.DataFrame:
    accounts = []
    for symbol, targets in positions.groupby("symbol", sort=False):
        history, volatility, funding = histories[str(symbol)]
        tested = history["timestamp"].isin(targets["timestamp"]).to_numpy()
        if tested.sum() != len(targets):
            raise BadData(f"{symbol}: {len(targets) - tested.sum()} positions stand on bars that do not exist")
        account = backtest(
            History.from_bars(history[tested], volatility[tested], funding), targets["target"].to_numpy(), costs
        )
        keys = targets[["strategy", "symbol", "timestamp"]].reset_index(drop=True)
        accounts.append(pd.concat([keys, account[ACCOUNT]], axis=1))
    return pd.concat(accounts, ignore_index=True)


def aggregate_portfolios(backtests: Partitions, folds: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Portfolio returns of every strategy with their fold and role, and the breakdown by fold, symbol and year."""
    portfolios, accounts = [], {}
    for name, load in backtests.items():
        account = with_role(load(), folds)
        accounts[name] = account
        portfolios.append(with_role(portfolio_returns(account), folds).assign(strategy=name))
    returns = pd.concat(portfolios, ignore_index=True).astype({"strategy": "str"})
    first = ["strategy", "timestamp", "fold", "role"]
    return returns[first + [name for name in returns.columns if name not in first]], breakdown(returns, accounts)


def with_role(rows: pd.DataFrame, folds: pd.DataFrame) -> pd.DataFrame:
    """The rows with the fold they belong to, and its role."""
    ordered = folds.sort_values("test_start")
    place = np.searchsorted(ordered["test_start"].to_numpy(), rows["timestamp"].to_numpy(), side="right") - 1
    return rows.assign(fold=ordered["fold"].to_numpy()[place], role=ordered["role"].array[place])


def measure_cost_sensitivity(
    positions: Partitions,
    bars: Partitions,
    side_series: pd.DataFrame,
    folds: pd.DataFrame,
    universe: Universe,
    costs: Costs,
    sizing: SizingRules,
    sensitivity: SensitivityRules,
) -> pd.DataFrame:
    """strategy, cost_multiple, sharpe, total_return over the walk-forward folds: the same positions at other costs."""
    histories = _histories(bars, side_series, universe, sizing)
    rows = []
    for name, load in positions.items():
        table = with_role(load(), folds)
        table = table[table["role"] == "walk_forward"]
        for multiple in sensitivity.cost_multiples:
            returns = portfolio_returns(_accounts(table, histories, costs.scaled(multiple)))
            values = dict(
                zip(MEASURES, measure(daily_returns(returns["timestamp"], returns["net"].to_numpy())), strict=True)
            )
            rows.append(
                {
                    "strategy": name,
                    "cost_multiple": float(multiple),
                    "sharpe": values["sharpe"],
                    "total_return": values["total_return"],
                }
            )
    return pd.DataFrame(rows).astype({"strategy": "str"})
