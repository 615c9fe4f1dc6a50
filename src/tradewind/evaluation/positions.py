"""Forecasts to target positions, beside those of agents, baselines and the oracle."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from tradewind.errors import BadData
from tradewind.evaluation.accounts import portfolio_returns
from tradewind.evaluation.roles import is_tested, with_role
from tradewind.evaluation.traded_market import Floats, TradedMarket
from tradewind.learning.models import catalogue
from tradewind.market.parts import SymbolRows
from tradewind.metrics.returns import daily_returns
from tradewind.metrics.risk import measures_of
from tradewind.metrics.verdict import best_first
from tradewind.trading.decision.ruling import chunks_of, rule_targets
from tradewind.trading.decision.targets import targets_from_forecasts
from tradewind.trading.strategy import baselines
from tradewind.trading.strategy.spec import Strategy


class Origin(NamedTuple):
    """Whose positions they are: family, seed (-1: none, or several) and combinatorial path (-1: none)."""

    family: str
    seed: int = -1
    path: int = -1

    @classmethod
    def of(cls, table: pd.DataFrame) -> "Origin":
        """That of a table of forecasts or positions of one model."""
        first = table.iloc[0]
        return cls(str(first["family"]), int(first["seed"]), int(first["path"]))


def make_positions(
    market: TradedMarket,
    folds: pd.DataFrame,
    forecasts: Sequence[pd.DataFrame],
    agent_positions: Sequence[pd.DataFrame],
    oracle: pd.DataFrame,
    seed: int,
    judged: str | None = None,
) -> dict[str, pd.DataFrame]:
    """Target positions by strategy: each model, each agent, each baseline, and the oracle where there is one.

    All have the same rows: every bar of the test windows. Positions carry over from fold to fold, as a live account
    would. The two baselines that imitate a model imitate the judged one.

    Args:
        market: the bars, and the rules by which forecasts become targets.
        folds: the fold table.
        forecasts: forecast tables, of one or more models each.
        agent_positions: strategy, symbol, timestamp, target, of one or more agents each; flat where an agent says
            nothing.
        oracle: symbol, timestamp, target of perfect knowledge; empty where there is none.
        seed: of the random times.
        judged: the strategy that was named before the run; None: the best model is.

    Returns:
        By strategy one row a symbol and bar (`schema.Positions`): strategy, family, seed, path, symbol, timestamp,
        target in [-1, 1].

    Raises:
        BadData: a forecast lies outside the test window of its fold, or the named strategy is not there.
    """
    by_model, by_agent = traded(forecasts), by_strategy(agent_positions)
    for table in by_model.values():
        _require_own_fold(table, folds)
    without_model = _baseline_targets(market)
    origins = {name: Origin.of(table) for name, table in (by_model | by_agent).items()}
    forecasts_by = {model: SymbolRows(table) for model, table in by_model.items()}
    held_by = {name: SymbolRows(table) for name, table in (by_agent | {baselines.ORACLE: oracle}).items()}
    tables: dict[str, list[pd.DataFrame]] = {}
    for symbol, (bars, _) in market.histories.items():
        tested = is_tested(bars, folds)
        targets = {model: model_targets(market, symbol, rows[symbol]) for model, rows in forecasts_by.items()}
        held = {name: rows[symbol] for name, rows in held_by.items() if symbol in rows}
        targets |= {name: _on_bars(rows, bars) for name, rows in held.items() if name != baselines.ORACLE}
        targets |= without_model[symbol]
        if baselines.ORACLE in held:
            targets[baselines.ORACLE] = _on_bars(held[baselines.ORACLE], bars)
        for name, target in targets.items():
            origin = origins.get(name) or Origin(baselines.family(name))
            rows = bars.loc[tested, ["symbol", "timestamp"]]
            tables.setdefault(name, []).append(_table(name, origin, rows, target[tested]))
    positions = {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()}
    judged = judged_strategy(positions, market, folds, judged)
    return positions | imitations(positions[judged], folds, seed)


def traded(forecasts: Sequence[pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The forecasts by model, but for those that have no direction to trade."""
    by_model = {str(name): part for table in forecasts for name, part in table.groupby("model", sort=False)}
    return {name: part for name, part in by_model.items() if catalogue.is_traded(name)}


def by_strategy(positions: Sequence[pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The positions by strategy, of tables that hold one or more each."""
    return {str(name): part for table in positions for name, part in table.groupby("strategy", sort=False)}


def model_targets(market: TradedMarket, symbol: str, forecasts: pd.DataFrame) -> Floats:
    """The target position on each bar of a symbol's history, in [-1, 1], from the symbol's forecasts.

    Args:
        market: the bars, and the rules of signal and sizing.
        symbol: which of its symbols.
        forecasts: timestamp, p_down, p_flat, p_up, expected_return of this symbol; flat where there is none.

    Returns:
        Targets, one a bar.
    """
    bars, history = market.histories[symbol]
    return targets_from_forecasts(bars, forecasts, history.volatility, market.target_rules).target


def _baseline_targets(market: TradedMarket) -> dict[str, dict[str, Floats]]:
    """By symbol the targets of every strategy that needs no model."""
    chunks = chunks_of({symbol: bars for symbol, (bars, _) in market.histories.items()}, market.universe)
    return {
        symbol: {
            name: rule_targets(rule, chunks[symbol], history.volatility, market.setup.sizing, market.universe)
            for name, rule in baselines.DIRECTIONS.items()
        }
        for symbol, (_, history) in market.histories.items()
    }


def rule_positions(rule: Strategy, market: TradedMarket, folds: pd.DataFrame) -> pd.DataFrame:
    """The positions of one rule on the bars of the test windows: of an idea that is no strategy of the project yet.

    Args:
        rule: what decides.
        market: the bars, and how large a position is.
        folds: the fold table.
    """
    chunks = chunks_of({symbol: bars for symbol, (bars, _) in market.histories.items()}, market.universe)
    targets = {
        symbol: rule_targets(rule, chunks[symbol], history.volatility, market.setup.sizing, market.universe)
        for symbol, (_, history) in market.histories.items()
    }
    return _on_tested(rule.name, Origin(rule.family), targets, market, folds)


def forecast_positions(forecasts: pd.DataFrame, market: TradedMarket, folds: pd.DataFrame) -> pd.DataFrame:
    """The positions that one model's forecasts lead to on the bars of the test windows.

    Args:
        forecasts: of one model, out of sample (`schema.Forecasts`).
        market: the bars, and the rules of signal and sizing.
        folds: the fold table.

    Raises:
        BadData: a forecast lies outside its fold's test window.
    """
    _require_own_fold(forecasts, folds)
    of_symbol = SymbolRows(forecasts)
    targets = {symbol: model_targets(market, symbol, of_symbol[symbol]) for symbol in market.histories}
    return _on_tested(str(forecasts["model"].iloc[0]), Origin.of(forecasts), targets, market, folds)


def _on_tested(
    strategy: str, origin: Origin, targets: dict[str, Floats], market: TradedMarket, folds: pd.DataFrame
) -> pd.DataFrame:
    parts = []
    for symbol, (bars, _) in market.histories.items():
        tested = is_tested(bars, folds)
        parts.append(_table(strategy, origin, bars.loc[tested, ["symbol", "timestamp"]], targets[symbol][tested]))
    return pd.concat(parts, ignore_index=True)


def judged_strategy(
    positions: dict[str, pd.DataFrame], market: TradedMarket, folds: pd.DataFrame, named: str | None = None
) -> str:
    """The strategy that the verdict will be about: the one that was named, or the model that is best on the
    walk-forward folds, by the order of the leaderboard.

    Args:
        positions: by strategy its positions.
        market: what they are traded on.
        folds: the fold table.
        named: a strategy that was named before the run.

    Returns:
        The name of the strategy.

    Raises:
        BadData: no strategy is a model, or the named one is not there.
    """
    if named is not None:
        if named not in positions:
            raise BadData(
                f"evaluation.verdict.judged: {named} is not among the strategies: name one of {sorted(positions)}"
            )
        return named
    models = {name: table for name, table in positions.items() if baselines.family(name) == "model"}
    if not models:
        raise BadData("there are no forecasts to trade: run a stage that makes some")
    # The account runs through the holdout, too, since a position of the last fold is left only there.
    returns = portfolio_returns({name: partial(pd.DataFrame, table) for name, table in models.items()}, market, folds)
    rows = returns[returns["role"] == "walk_forward"]
    calendar = market.universe.trading_calendar
    sharpe = {
        str(name): measures_of(
            daily_returns(part["timestamp"], part["net"].to_numpy(), calendar), calendar.days_per_year
        )["sharpe"]
        for name, part in rows.groupby("strategy", sort=True)
    }
    if not sharpe:
        return next(iter(models))  # a history that ends before the first bar of a fold
    board = pd.DataFrame({"strategy": list(sharpe), "sharpe": list(sharpe.values())})
    return str(best_first(board)["strategy"].iloc[0])


def imitations(judged: pd.DataFrame, folds: pd.DataFrame, seed: int) -> dict[str, pd.DataFrame]:
    """The baselines made of the judged strategy's own positions: the same at random times, and its mean exposure held.

    Each role by itself: what the holdout's forecasts say must not reach the walk-forward folds.

    Args:
        judged: the positions of the strategy that is judged.
        folds: the fold table.
        seed: of the random times.

    Returns:
        By strategy its positions, on the same rows.
    """
    rng = np.random.default_rng(seed)
    tables: dict[str, list[pd.DataFrame]] = {baselines.RANDOM: [], baselines.MATCHED: []}
    for _, rows in judged.groupby("symbol", sort=False):
        target, role = rows["target"].to_numpy(), with_role(rows, folds)["role"].to_numpy()
        shuffled = np.zeros(len(target))
        for name in ("walk_forward", "holdout"):
            shuffled[role == name] = baselines.at_random_times(target[role == name], rng)
        held = pd.Series(np.abs(target)).groupby(role).transform("mean").to_numpy()
        for name, positions in ((baselines.RANDOM, shuffled), (baselines.MATCHED, held)):
            tables[name].append(_table(name, Origin(baselines.family(name)), rows, positions))
    return {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()}


def _on_bars(targets: pd.DataFrame, bars: pd.DataFrame) -> Floats:
    """Targets on each bar, flat where none is given."""
    return targets.set_index("timestamp")["target"].reindex(bars["timestamp"]).fillna(0.0).to_numpy()


def _require_own_fold(forecasts: pd.DataFrame, folds: pd.DataFrame) -> None:
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


def _table(strategy: str, origin: Origin, rows: pd.DataFrame, target: Floats) -> pd.DataFrame:
    of = {"strategy": strategy, **origin._asdict()}
    keys = {"symbol": rows["symbol"].array, "timestamp": rows["timestamp"].array}
    kinds = {"strategy": "str", "family": "str", "seed": "int64", "path": "int64", "symbol": "str", "target": "float64"}
    return pd.DataFrame({**of, **keys, "target": target}).astype(kinds)
