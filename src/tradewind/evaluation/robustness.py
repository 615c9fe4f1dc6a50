"""The strategies in worlds that are not as assumed. Walk-forward folds only, and nothing is chosen by it."""

import itertools
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from tradewind.compute import track
from tradewind.evaluation.forecast_accounts import forecast_account
from tradewind.evaluation.positions import traded
from tradewind.evaluation.roles import is_walk_forward, utc_instants, walk_forward_only
from tradewind.evaluation.traded_market import Floats, Partitions, TradedMarket
from tradewind.parameters import Parameters
from tradewind.trading.engine import robustness
from tradewind.trading.engine.portfolio import Market, portfolio_account
from tradewind.trading.strategy import baselines
from tradewind.trading.strategy.signals import SignalRules

Numbers = Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)]


class RobustnessRules(Parameters):
    """What is varied (`params:evaluation.robustness`).

    `side_bps` are all-in costs a side; `delays_bars` delay every fill; `capitals` are tried with square-root impact of
    `impact_coefficient`; `entry_thresholds` and `smoothing_bars` are the plateau's two sides.
    """

    side_bps: Numbers = (0, 2, 5, 10)
    cost_multiples: Numbers = (0.5, 1, 2, 4)
    delays_bars: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (0, 1, 2, 4)
    capitals: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (1e4, 1e5, 1e6, 1e7, 1e8, 1e9)
    impact_coefficient: Annotated[float, Field(ge=0, le=100)] = 1.0
    entry_thresholds: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)] = (
        0.05,
        0.1,
        0.15,
        0.2,
        0.3,
    )
    smoothing_bars: Numbers = (0, 6, 12, 24, 48)


_COLUMNS = {
    "costs": ["bps", "sharpe", "total_return", "break_even_bps"],
    "delays": ["cost_multiple", "delay_bars", "sharpe"],
    "capacity": ["capital", "sharpe", "annual_return", "annual_profit"],
    "leave_one_out": ["left_out", "group", "sharpe"],
    "conditions": ["by", "group", "share", "mean_bps", "error_bps", "total_return"],
    "stress": ["event", "from", "to", "total_return", "max_drawdown", "exposure"],
    "worlds": ["world", "sharpe", "total_return", "max_drawdown"],
}


def stress(
    positions: Partitions, market: TradedMarket, folds: pd.DataFrame, rules: RobustnessRules, seed: int
) -> dict[str, pd.DataFrame]:
    """Every strategy at other costs, every model in worse worlds.

    Args:
        positions: by strategy a function that loads its positions.
        market: what they are traded on.
        folds: the fold table.
        rules: what is varied.
        seed: of the worlds that are drawn.

    Returns:
        Tables by what is varied: costs (every strategy), delays, capacity, leave_one_out, conditions, stress, worlds.
    """
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in _COLUMNS}
    for name in track(sorted(positions), "robustness"):
        under, targets = market.portfolio(walk_forward_only(positions[name](), folds))
        costs, execution = market.setup.costs, market.setup.execution
        by_table = {"costs": robustness.at_costs(under, targets, costs, rules.side_bps, execution)}
        if baselines.family(name) in ("model", "ensemble"):
            by_table |= _stress_model(market, under, targets, rules, seed)
        for table, values in by_table.items():
            rows[table] += [{"strategy": name, **row} for row in values]
    return {
        table: pd.DataFrame(rows[table], columns=["strategy", *columns]).astype({"strategy": "str"})
        for table, columns in _COLUMNS.items()
    }


def _stress_model(
    market: TradedMarket, under: Market, targets: dict[str, Floats], rules: RobustnessRules, seed: int
) -> dict[str, list[dict[str, Any]]]:
    costs, execution = market.setup.costs, market.setup.execution
    account = portfolio_account(under, targets, costs, execution)
    closes = pd.DataFrame({s: pd.Series(h.close, under.timestamps[s]) for s, h in under.histories.items()}).reindex(
        utc_instants(account["timestamp"])
    )
    market_return = np.log(closes).diff().mean(axis=1).fillna(0.0)
    return {
        "delays": robustness.at_delays(under, targets, costs, rules.cost_multiples, rules.delays_bars, execution),
        "capacity": robustness.at_capital(under, targets, costs, rules.capitals, rules.impact_coefficient, execution),
        "leave_one_out": robustness.leave_one_out(under, targets, costs, account, execution),
        "conditions": robustness.conditions(account, market_return, under.calendar),
        # The dates mean nothing on a simulated market.
        "stress": [] if market.universe.venue == "simulated" else robustness.stress_replays(account, under.calendar),
        "worlds": robustness.worse_worlds(under, targets, costs, seed, execution),
    }


def plateau(
    market: TradedMarket, folds: pd.DataFrame, rules: RobustnessRules, forecasts: Sequence[pd.DataFrame]
) -> pd.DataFrame:
    """Sharpe ratio of each model over entry thresholds and smoothing, over the walk-forward folds.

    A peak among low values is luck, a plateau is not. The exit threshold keeps its share of the entry threshold.

    Args:
        market: what is traded, by the signal that is varied.
        folds: the fold table.
        rules: the entry thresholds and smoothing.
        forecasts: forecast tables, of one or more models each.

    Returns:
        One row a model and setting: strategy, entry_threshold, smoothing_bars, sharpe (annual).
    """
    tested = {symbol: is_walk_forward(table, folds) for symbol, (table, _) in market.histories.items()}
    signal = market.setup.signal
    share = signal.exit_threshold / signal.entry_threshold
    by_model = traded(forecasts)
    rows = []
    for model, entry, smoothing in track(
        list(itertools.product(by_model, rules.entry_thresholds, rules.smoothing_bars)), "plateau"
    ):
        varied = SignalRules(
            smoothing_bars=smoothing, entry_threshold=entry, exit_threshold=entry * share,
            cost_multiple=signal.cost_multiple,
        )  # fmt: skip
        account = forecast_account(by_model[model], market.with_signal(varied), tested)
        measured = robustness.summary(account, market.universe.trading_calendar)
        rows.append(
            {"strategy": model, "entry_threshold": entry, "smoothing_bars": smoothing, "sharpe": measured["sharpe"]}
        )
    return pd.DataFrame(rows).astype({"strategy": "str"})
