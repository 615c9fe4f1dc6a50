"""Forecasts and rules to positions, positions to accounts and portfolios."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from tradewind.compute import track
from tradewind.errors import BadData
from tradewind.learning.models import catalogue
from tradewind.market.universe import Universe
from tradewind.market.volatility import realised_volatility
from tradewind.metrics.ranking import breakdown
from tradewind.metrics.returns import daily_returns
from tradewind.metrics.risk import MEASURES, measure
from tradewind.parameters import Parameters
from tradewind.trading.decision.ruling import chunks_of, rule_targets
from tradewind.trading.engine.account import ACCOUNT
from tradewind.trading.engine.backtest import History, run
from tradewind.trading.engine.histories import histories_of as engine_histories
from tradewind.trading.engine.portfolio import Market, portfolio_account
from tradewind.trading.engine.trades import trade_table
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules
from tradewind.trading.strategy import baselines
from tradewind.trading.strategy.signals import SignalRules, direction, smooth
from tradewind.trading.strategy.sizing import SizingRules, size_at_entry

Partitions = Mapping[str, Callable[[], pd.DataFrame]]
Floats = np.ndarray[Any, np.dtype[np.float64]]


class SensitivityRules(Parameters):
    """Which multiples of the costs are tried (`params:evaluation.sensitivity`)."""

    cost_multiples: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=2)] = (0, 0.5, 1, 2, 3, 5)


def make_positions(
    bars: Partitions,
    folds: pd.DataFrame,
    oracle: pd.DataFrame,
    universe: Universe,
    costs: Costs,
    signal: SignalRules,
    sizing: SizingRules,
    agent_positions: pd.DataFrame,
    seed: int,
    *forecasts: pd.DataFrame,
) -> dict[str, pd.DataFrame]:
    """Target positions by strategy: each model, each agent, each baseline, and the oracle where there is one.

    All have the same rows: every bar of the test windows. Positions carry over from fold to fold, as a live account
    would.
    """
    by_model = traded(forecasts)
    for table in by_model.values():
        _check_folds(table, folds)
    positions: dict[str, list[pd.DataFrame]] = {}
    rng = np.random.default_rng(seed)
    tables = {symbol: bars[universe.partition(symbol)]() for symbol in universe.symbols}
    chunks = chunks_of(tables, universe)
    for symbol, history in tables.items():
        close = np.ascontiguousarray(history["close"].to_numpy(dtype=np.float64))
        segment = history["segment"].to_numpy(dtype=np.int32)
        volatility = realised_volatility(close, segment, sizing.volatility_window)
        tested = is_tested(history, folds)
        per_bar = sizing.target_volatility_annual / np.sqrt(universe.bars_per_year)
        targets: dict[str, Floats] = {}
        for model, table in by_model.items():
            chosen = model_direction(history, table[table["symbol"] == symbol], volatility, costs, signal)
            targets[model] = size_at_entry(chosen, volatility, per_bar, sizing.max_position)
        first_model = next(iter(targets))
        for agent, table in agent_positions[agent_positions["symbol"] == symbol].groupby("strategy", sort=False):
            held = table.set_index("timestamp")["target"]
            targets[str(agent)] = held.reindex(history["timestamp"]).fillna(0.0).to_numpy()
        for name, rule in baselines.DIRECTIONS.items():
            targets[name] = rule_targets(rule, chunks[symbol], volatility, sizing, universe)
        known = oracle[oracle["symbol"] == symbol].set_index("timestamp")["target"]
        if len(known):
            targets[baselines.ORACLE] = known.reindex(history["timestamp"]).fillna(0.0).to_numpy()
        for name, target in targets.items():
            positions.setdefault(name, []).append(_table(name, symbol, history[tested], target[tested]))
        role = with_role(history[tested], folds)["role"]
        shuffled = _at_random_times(targets[first_model][tested], role, rng)
        positions.setdefault(baselines.RANDOM, []).append(_table(baselines.RANDOM, symbol, history[tested], shuffled))
        held = _same_exposure(targets[first_model][tested], role)
        positions.setdefault(baselines.MATCHED, []).append(_table(baselines.MATCHED, symbol, history[tested], held))
    return {name: pd.concat(tables, ignore_index=True) for name, tables in positions.items()}


def traded(forecasts: Sequence[pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The forecasts by model, but for those that have no direction to trade."""
    by_model = {str(name): part for table in forecasts for name, part in table.groupby("model", sort=False)}
    return {name: part for name, part in by_model.items() if catalogue.is_traded(name)}


def _at_random_times(target: Floats, role: pd.Series, rng: np.random.Generator) -> Floats:
    """Each role by itself: what the holdout's forecasts say must not reach the walk-forward folds."""
    shuffled = np.zeros(len(target))
    for name in ("walk_forward", "holdout"):
        of_role = (role == name).to_numpy()
        shuffled[of_role] = baselines.at_random_times(target[of_role], rng)
    return shuffled


def _same_exposure(target: Floats, role: pd.Series) -> Floats:
    """Long at all times, as large as the positions are on average; each role by itself, for the same reason."""
    return pd.Series(np.abs(target)).groupby(role.to_numpy()).transform("mean").to_numpy()


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


def model_direction(
    history: pd.DataFrame, forecasts: pd.DataFrame, volatility: Floats, costs: Costs, signal: SignalRules
) -> Floats:
    """-1, 0 or 1 on each bar of the history, from the forecasts of one symbol; flat where there is none."""
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
    execution: OrderRules,
    sizing: SizingRules,
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """The account of every strategy on every symbol, bar by bar, with costs and funding; and its trades."""
    histories = histories_of(bars, side_series, universe, sizing)
    loaded = {name: load() for name, load in positions.items()}
    accounts, trades = {}, {}
    for name in track(sorted(loaded), "backtests"):
        accounts[name], trades[name] = _accounts(name, loaded[name], histories, universe, costs, execution)
    return accounts, trades


def histories_of(
    bars: Partitions, side_series: pd.DataFrame, universe: Universe, sizing: SizingRules
) -> dict[str, tuple[pd.DataFrame, History]]:
    """Bars, and the history that an account lives through, by symbol."""
    return engine_histories(bars, side_series, universe, sizing.volatility_window)


def _tested(
    positions: pd.DataFrame, histories: Mapping[str, tuple[pd.DataFrame, History]]
) -> dict[str, tuple[pd.DataFrame, History, pd.DataFrame]]:
    """The targets of each symbol with the part of its history that they stand on, and its bars."""
    found = {}
    for symbol, targets in positions.groupby("symbol", sort=False):
        table, history = histories[str(symbol)]
        tested = table["timestamp"].isin(targets["timestamp"]).to_numpy()
        if tested.sum() != len(targets):
            raise BadData(f"{symbol}: {len(targets) - tested.sum()} positions stand on bars that do not exist")
        found[str(symbol)] = (targets.reset_index(drop=True), history.rows(tested), table[tested])
    return found


def _accounts(
    strategy: str,
    positions: pd.DataFrame,
    histories: Mapping[str, tuple[pd.DataFrame, History]],
    universe: Universe,
    costs: Costs,
    execution: OrderRules,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    accounts, trades = [], []
    for symbol, (targets, history, table) in _tested(positions, histories).items():
        result = run(history, targets["target"].to_numpy(), costs, execution, universe.bars_per_year)
        keys = targets[["strategy", "symbol", "timestamp"]]
        accounts.append(pd.concat([keys, result.account[ACCOUNT]], axis=1))
        found = trade_table(result, history)
        opened, closed = table["open_time"].reset_index(drop=True), table["timestamp"].reset_index(drop=True)
        found.insert(0, "exit_time", closed.iloc[found["exit_row"]].array)
        found.insert(0, "entry_time", opened.iloc[found["entry_row"]].array)
        found.insert(0, "symbol", symbol)
        found.insert(0, "strategy", strategy)
        trades.append(found.drop(columns=["entry_row", "exit_row"]))
    table = pd.concat(trades, ignore_index=True).astype({"strategy": "str", "symbol": "str"})
    return pd.concat(accounts, ignore_index=True), table


def market_and_targets(
    positions: pd.DataFrame, histories: Mapping[str, tuple[pd.DataFrame, History]], universe: Universe
) -> tuple[Market, dict[str, Floats]]:
    """What a portfolio of the positions is run on."""
    found = _tested(positions, histories)
    market = Market(
        {symbol: history for symbol, (_, history, _) in found.items()},
        {symbol: utc_instants(table["timestamp"]) for symbol, (_, _, table) in found.items()},
        universe.bars_per_year,
    )
    return market, {symbol: targets["target"].to_numpy() for symbol, (targets, _, _) in found.items()}


def aggregate_portfolios(
    positions: Partitions,
    backtests: Partitions,
    bars: Partitions,
    side_series: pd.DataFrame,
    folds: pd.DataFrame,
    universe: Universe,
    costs: Costs,
    execution: OrderRules,
    sizing: SizingRules,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns of every strategy with one account for all symbols, their fold and role; the breakdown of them."""
    histories = histories_of(bars, side_series, universe, sizing)
    returns = portfolio_returns(positions, histories, folds, universe, costs, execution)
    accounts = {name: with_role(load(), folds) for name, load in backtests.items()}
    return returns, breakdown(returns, accounts)


def portfolio_returns(
    positions: Partitions,
    histories: Mapping[str, tuple[pd.DataFrame, History]],
    folds: pd.DataFrame,
    universe: Universe,
    costs: Costs,
    execution: OrderRules,
) -> pd.DataFrame:
    """Returns of every strategy with one account for all symbols: strategy, timestamp, fold, role, the account."""
    portfolios = []
    for name, load in positions.items():
        market, targets = market_and_targets(load(), histories, universe)
        account = portfolio_account(market, targets, costs, execution)
        portfolios.append(with_role(account, folds).assign(strategy=name))
    returns = pd.concat(portfolios, ignore_index=True).astype({"strategy": "str"})
    first = ["strategy", "timestamp", "fold", "role"]
    return returns[first + [name for name in returns.columns if name not in first]]


def utc_instants(timestamp: pd.Series) -> np.ndarray[Any, Any]:
    """As datetime64: what numpy sorts quickly, where instants with a time zone would be Python objects."""
    return timestamp.dt.tz_localize(None).to_numpy()


def with_role(rows: pd.DataFrame, folds: pd.DataFrame) -> pd.DataFrame:
    """The rows with the fold they belong to, and its role."""
    ordered = folds.sort_values("test_start")
    place = np.searchsorted(utc_instants(ordered["test_start"]), utc_instants(rows["timestamp"]), side="right") - 1
    return rows.assign(fold=ordered["fold"].to_numpy()[place], role=ordered["role"].array[place])


def measure_cost_sensitivity(
    positions: Partitions,
    bars: Partitions,
    side_series: pd.DataFrame,
    folds: pd.DataFrame,
    universe: Universe,
    costs: Costs,
    execution: OrderRules,
    sizing: SizingRules,
    sensitivity: SensitivityRules,
) -> pd.DataFrame:
    """strategy, cost_multiple, sharpe, total_return over the walk-forward folds: the same positions at other costs."""
    histories = histories_of(bars, side_series, universe, sizing)
    rows = []
    for name, load in positions.items():
        market, targets = market_and_targets(walk_forward_only(load(), folds), histories, universe)
        for multiple in sensitivity.cost_multiples:
            account = portfolio_account(market, targets, costs.scaled(multiple), execution)
            values = measure(daily_returns(account["timestamp"], account["net"].to_numpy()))
            found = dict(zip(MEASURES, values, strict=True))
            rows.append(
                {
                    "strategy": name,
                    "cost_multiple": float(multiple),
                    "sharpe": found["sharpe"],
                    "total_return": found["total_return"],
                }
            )
    return pd.DataFrame(rows).astype({"strategy": "str"})


def walk_forward_only(positions: pd.DataFrame, folds: pd.DataFrame) -> pd.DataFrame:
    """The positions without those of the holdout: what is varied and compared must not look at it."""
    return positions[with_role(positions, folds)["role"].to_numpy() == "walk_forward"].reset_index(drop=True)
