"""The scorecard of the judged model: what plans ask, what was measured, and what it takes without skill."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tradewind.evaluation.known_labels import known_labels
from tradewind.evaluation.roles import is_tested, utc_instants
from tradewind.evaluation.scorecard_joined import ensemble_criteria
from tradewind.evaluation.traded_market import Partitions, TradedMarket
from tradewind.learning.models import catalogue
from tradewind.learning.models.base import PROBABILITIES
from tradewind.market.universe import Universe
from tradewind.metrics import scorecard
from tradewind.metrics.ranking import StatisticsRules
from tradewind.metrics.returns import daily_returns
from tradewind.metrics.scorecard import Measured, ScorecardRules
from tradewind.trading.engine.backtest import History, run
from tradewind.trading.engine.trades import trade_table
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules
from tradewind.trading.strategy import baselines

LURE = OrderRules(stop_loss=0.05, take_profit=0.005)  # wins nine times of ten, whatever the market


@dataclass(frozen=True)
class Scored:
    """The tables that a scorecard is made of.

    Attributes:
        verdict: what was judged.
        board: the leaderboard of the walk-forward folds.
        returns: the portfolio returns.
        trades: by strategy a function that loads its trades.
        model_input: by partition a function that loads features and labels.
        folds: the fold table.
        seed_spread: the measures of each model by seed.
        selection: what selection did.
    """

    verdict: Mapping[str, Any]
    board: pd.DataFrame
    returns: pd.DataFrame
    trades: Partitions
    model_input: Partitions
    folds: pd.DataFrame
    seed_spread: pd.DataFrame
    selection: dict[str, Any]


def score_criteria(
    tables: Scored,
    market: TradedMarket,
    forecasts: Sequence[pd.DataFrame],
    statistics: StatisticsRules,
    rules: ScorecardRules,
    seed: int,
) -> pd.DataFrame:
    """Every criterion for the judged model. Walk-forward folds only; the holdout has no part in it.

    Args:
        tables: what was measured.
        market: what was traded.
        forecasts: forecast tables, of one or more models each.
        statistics: how intervals are made.
        rules: the targets.
        seed: of the resampling.

    Returns:
        One row a criterion: target, value with its interval, met or not met or not shown, a trivial rule's score on
        it, and what chance shows: for trading the judged model's own positions at random times.
    """
    chosen, folds = tables.verdict["strategy"], tables.folds
    tested = folds[folds["role"] == "walk_forward"]
    forecast = pd.concat(forecasts, ignore_index=True)
    forecast = forecast[(forecast["model"] == chosen) & forecast["fold"].isin(tested["fold"])]
    labelled = known_labels(tables.model_input, ["forward_return"])
    rows = forecast.merge(labelled, on=["symbol", "timestamp"])
    histories = {symbol: history.rows(is_tested(bars, tested)) for symbol, (bars, history) in market.histories.items()}
    costs, universe = market.setup.costs, market.universe
    criteria = [
        *_forecast_criteria(rows, histories, statistics, rules, seed),
        *_trading_criteria(chosen, tables.board, tables.returns, tables.selection, statistics, rules, seed, universe),
        _win_rate(chosen, tables.trades, tested, histories, costs, universe, statistics, rules, seed),
        seed_criterion(chosen, tables.seed_spread, rules),
        *ensemble_criteria(chosen, tables.board, _daily(tables.returns, universe), statistics, rules, seed),
    ]
    return pd.DataFrame(criteria).astype(dict.fromkeys(("criterion", "unit", "state", "trivial_rule"), "str"))


def _forecast_criteria(
    rows: pd.DataFrame, histories: Mapping[str, History], statistics: StatisticsRules, rules: ScorecardRules, seed: int
) -> Iterator[dict[str, Any]]:
    day = _day(rows["timestamp"])
    called = rows[PROBABILITIES].to_numpy().argmax(axis=1) - 1
    label = rows["label"].to_numpy()
    majority = rows["label"].value_counts(normalize=True)
    chance = rows[PROBABILITIES].to_numpy().mean(axis=0) @ majority.reindex([-1, 0, 1]).fillna(0.0).to_numpy()
    yield scorecard.row(
        "three-class accuracy", "share", rules.accuracy, scorecard.share_by_day(called == label, day, statistics, seed),
        ("always the most frequent class", float(majority.max())), float(chance),
    )  # fmt: skip
    moved = rows["forward_return"].to_numpy()
    up = (rows["p_up"] > rows["p_down"]).to_numpy()
    is_move = moved != 0
    yield scorecard.row(
        "directional accuracy", "share", rules.directional_accuracy,
        scorecard.share_by_day((up == (moved > 0))[is_move], day[is_move], statistics, seed),
        ("opposite of the last bar, next bar", _reversal_hits(histories)), 0.5,
    )  # fmt: skip


def _reversal_hits(histories: Mapping[str, History]) -> float:
    """How often the next bar goes against the last one."""
    right = total = 0
    for history in histories.values():
        moves = np.sign(np.diff(np.log(history.close)))
        pairs = moves[1:] * moves[:-1]
        right, total = right + int((pairs < 0).sum()), total + int((pairs != 0).sum())
    return right / max(total, 1)


def _trading_criteria(
    chosen: str, board: pd.DataFrame, returns: pd.DataFrame, selection: dict[str, Any], statistics: StatisticsRules,
    rules: ScorecardRules, seed: int, universe: Universe,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    rivals = board[board["family"] == "baseline"].sort_values("sharpe", ascending=False).iloc[0]
    by_name = board.set_index("strategy")
    yield scorecard.row(
        "Sharpe ratio, net", "ratio", rules.sharpe, scorecard.of_board(board, chosen, "sharpe"),
        (str(rivals["strategy"]), float(rivals["sharpe"])), float(selection["expected_largest_sharpe"]),
    )  # fmt: skip
    yield scorecard.row(
        "maximum drawdown", "share", rules.max_drawdown, _depth(scorecard.of_board(board, chosen, "max_drawdown")),
        ("holding cash", 0.0), abs(float(by_name.loc[baselines.RANDOM, "max_drawdown"])), at_most=True,
    )  # fmt: skip
    daily = _daily(returns, universe)
    held = daily["buy_and_hold"]
    yield scorecard.row(
        "wealth over buying and holding", "ratio", rules.wealth_over_holding,
        scorecard.wealth_ratio(daily[chosen], held, statistics, seed),
        ("holding cash", float(1 / np.prod(1 + held))),
        float(np.prod(1 + daily[baselines.RANDOM]) / np.prod(1 + held)),
    )  # fmt: skip


def _daily(returns: pd.DataFrame, universe: Universe) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Net returns a day of every strategy over the walk-forward folds."""
    rows = returns[returns["role"] == "walk_forward"]
    return {
        str(name): daily_returns(part["timestamp"], part["net"].to_numpy(), universe.trading_calendar)
        for name, part in rows.groupby("strategy")
    }


def _depth(drawdown: Measured) -> Measured:
    """A drawdown as a positive share."""
    low, high = sorted((abs(drawdown.low), abs(drawdown.high)))
    return Measured(abs(drawdown.value), low, high)


def _win_rate(
    chosen: str, trades: Partitions, tested: pd.DataFrame, histories: Mapping[str, History], costs: Costs,
    universe: Universe, statistics: StatisticsRules, rules: ScorecardRules, seed: int,
) -> dict[str, Any]:  # fmt: skip
    won, opened = _closed(trades[chosen](), tested)
    by_chance, _ = _closed(trades[baselines.RANDOM](), tested)
    lure, earned = [], 0.0
    for history in histories.values():
        # A target that changes by next to nothing enters again after every stop and every profit taken.
        target = np.where(np.arange(len(history.close)) % 2 == 0, 1.0, 1.0 - 1e-9).astype(np.float64)
        result = run(history, target, costs, LURE, universe.bars_per_year)
        lure_trades = trade_table(result, history)
        lure.append(lure_trades.loc[~lure_trades["is_open"], "gross"].to_numpy() > 0)
        earned += float(np.prod(1.0 + result.account["net"]) - 1.0) / len(histories)
    name = f"target 0.5 %, stop 5 %: returns {earned:+.0%} in all"
    return scorecard.row(
        "trades won", "share", rules.win_rate, scorecard.share_by_day(won, opened, statistics, seed),
        (name, float(np.concatenate(lure).mean())), float(by_chance.mean()) if len(by_chance) else float("nan"),
    )  # fmt: skip


def _closed(trades: pd.DataFrame, tested: pd.DataFrame) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Whether each closed trade of the folds made money after costs, and the day that it was opened on."""
    inside = ~trades["is_open"] & (trades["entry_time"] < tested["test_end"].max())
    part = trades[inside]
    return (part["net"] > 0).to_numpy(), _day(part["entry_time"])


def _day(instants: pd.Series) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Days since 1970."""
    return utc_instants(instants).astype("datetime64[D]").astype(np.int64)


def seed_criterion(chosen: str, spread: pd.DataFrame, rules: ScorecardRules) -> dict[str, Any]:
    """The deviation over seeds of the judged model; shown only where it was trained from several.

    Args:
        chosen: the judged strategy.
        spread: model, seed, sharpe: one row a training.
        rules: the target and how many seeds it needs.
    """
    sharpe = spread.loc[spread["model"] == chosen, "sharpe"].to_numpy(dtype=np.float64)
    if not catalogue.draws_at_random(chosen):
        deviation, seeds = Measured(0.0, 0.0, 0.0), "over seeds (it draws nothing at random)"
    else:
        # One training says nothing of others; `spread_over_seeds` then has no value, and the criterion is not shown.
        deviation = scorecard.spread_over_seeds(sharpe, rules.seeds)
        seeds = f"over {len(sharpe)} seeds" if len(sharpe) > 1 else "over seeds (trained from one)"
    return scorecard.row(
        f"Sharpe's deviation {seeds}", "ratio", rules.seed_deviation, deviation,
        ("a rule without a seed", 0.0), float("nan"), at_most=True,
    )  # fmt: skip
