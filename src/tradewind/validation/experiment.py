"""One market whose answer is known through the whole pipeline, in memory: what is said of it, and what is true."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from tradewind.errors import BadData
from tradewind.evaluation import accounts, judging, positions, significance
from tradewind.evaluation.traded_market import TradedMarket
from tradewind.market.simulation.null_worlds import block_shuffled, sign_flipped
from tradewind.market.simulation.simulator import SimulationSpec, simulate_market
from tradewind.market.universe import Universe
from tradewind.trading.strategy import baselines
from tradewind.validation import measures
from tradewind.validation.cases import Case
from tradewind.validation.research_run import Products, RunSettings, Sources, Steps, lazily, make_bars, run_research

PERFECT = "perfect_knowledge"
SIDE_SERIES = ("funding", "sentiment")  # of simulated markets
LAST_DAY = date(2025, 12, 31)  # by which every simulated market has ended


class CaseRunner:
    """Judges cases by the project's own parameters; holds real candles where null worlds are made of them."""

    def __init__(self, parameters: Mapping[str, Any], real: Sources | None = None, steps: Steps | None = None) -> None:
        """`parameters` are what Kedro loads; `real` is only needed for null worlds, `steps` to plant a fault."""
        self.parameters, self.real, self.steps = parameters, real, steps

    def __call__(self, case: Case) -> dict[str, Any]:
        """The verdict on one market, by the same nodes as `kedro run`, and what was true there.

        To be small, LightGBM is trained with default parameters on every fourth bar, without a search, beside the
        linear model; features on slower timeframes are left out.
        """
        settings = RunSettings.from_parameters(self.parameters, seed=case.seed)
        settings = settings.changed(features=settings.features.model_copy(update={"slower_timeframes": ()}))
        sources = simulated(case) if case.world == "simulated" else self._null_world(case, settings)
        if case.edge == 0 and len(sources.oracle) and (sources.oracle["expected_return"] != 0.0).any():
            raise BadData(f"{case.key}: a market that is said to have no edge has returns that can be expected")
        return judge_run(case, sources, run_research(sources, settings, self.steps), settings)

    def _null_world(self, case: Case, settings: RunSettings) -> Sources:
        if self.real is None:
            raise BadData(f"{case.key}: a null world needs real candles to be made of")
        bars = {name: _latest(table, case.days) for name, table in self.real.bars.items()}
        null_of = {"sign_flipped": sign_flipped, "block_shuffled": block_shuffled}[case.world]
        return replace(
            self.real, bars=null_of(bars, np.random.default_rng(case.seed)), oracle=self.real.oracle.iloc[:0]
        )


def simulated(case: Case) -> Sources:
    """The simulated market of a case. It begins on the day of every simulated market, and earlier where it would not
    have ended by `LAST_DAY`: bars that have not closed yet are no history."""
    start = min(date.fromisoformat(SimulationSpec().start), LAST_DAY - timedelta(days=case.days))
    market = simulate_market(
        SimulationSpec(
            n_symbols=case.n_symbols, days=case.days, edge=case.edge, seed=case.seed, start=start.isoformat()
        )
    )
    universe = Universe(
        venue="simulated", symbols=market.spec.symbols, timeframe=market.spec.timeframe,
        reference_symbol=market.spec.symbols[0], side_series=SIDE_SERIES,
    )  # fmt: skip
    return Sources(universe, market.bars, market.side_series, market.oracle)


def checked_sources(sources: Sources, settings: RunSettings) -> Sources:
    """The same with bars that have been checked: what null worlds are made of."""
    return replace(sources, bars=make_bars(sources, settings, Steps())[0])


def _latest(table: pd.DataFrame, days: int) -> pd.DataFrame:
    return table[table["timestamp"] > table["timestamp"].iloc[-1] - pd.Timedelta(days, unit="D")]


def judge_run(case: Case, sources: Sources, run: Products, settings: RunSettings) -> dict[str, Any]:
    """The verdict on a run's positions, and the verdict on perfect knowledge.

    Args:
        case: the market's kind and seed.
        sources: the received rows.
        run: the products of the run.
        settings: parameters of the run.
    """
    verdict, board, holdout, returns = _judge(sources, run, run.positions, settings)
    strategies = board.set_index("strategy")
    models = strategies[strategies["family"].isin(["model", "ensemble"])]["sharpe"]
    fields = (
        "verdict", "strategy", "sharpe", "sharpe_low", "sharpe_high", "holdout_sharpe", "probability_of_edge",
        "probability_of_loss", "passed",
    )  # fmt: skip
    out = {
        "key": case.key, **case.model_dump(), **{name: verdict[name] for name in fields},
        "e_value": verdict["e_value"],
        "oracle_sharpe": 0.0, "perfect_verdict": None, "perfect_shown": None,
        **{f"sharpe_{name}": float(value) for name, value in models.items()},
        "best_lost_money": _best_lost(board, holdout),
    }  # fmt: skip
    calendar, confidence = sources.universe.trading_calendar, settings.verdict.confidence
    out["found_error_passes"] = measures.found_error_passes(returns, verdict["strategy"], confidence, calendar)
    if case.edge == 0:
        return out | {
            "gross": measures.gross_intervals(returns, settings.statistics, case.seed, calendar),
            "tossed": measures.tossed_passes(returns, verdict["strategy"], confidence, case.seed, calendar),
        }
    oracle = run.positions[baselines.ORACLE].assign(strategy=PERFECT)
    rivals = {name: one for name, one in run.positions.items() if baselines.family(name) == "baseline"}
    rivals |= positions.imitations(oracle, run.folds, settings.seed)  # those of what is judged here
    alone = settings.changed(verdict=settings.verdict.model_copy(update={"judged": PERFECT}))
    verdict_on_oracle, perfect, _, _ = _judge(sources, run, {PERFECT: oracle, **rivals}, alone)
    row = perfect.set_index("strategy").loc[PERFECT]
    return out | {
        "oracle_sharpe": float(row["sharpe"]), "oracle_low": float(row["sharpe_low"]),
        "oracle_high": float(row["sharpe_high"]), "perfect_verdict": verdict_on_oracle["verdict"],
        "perfect_shown": verdict_on_oracle["passed"][0],
        "models": sorted(models.index[strategies.loc[models.index, "family"] == "model"]),
        **measures.against_the_planted(
            returns, run.positions, sources.oracle, settings.statistics, case.seed, calendar
        ),
    }  # fmt: skip


def _judge(
    sources: Sources, run: Products, traded: Mapping[str, pd.DataFrame], settings: RunSettings
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The verdict, the leaderboards of the folds and of the holdout, and the portfolios' returns."""
    targets = lazily(traded)
    market = TradedMarket.load(lazily(run.bars), run.side_series, sources.universe, settings.trading)
    returns = accounts.portfolio_returns(targets, market, run.folds)
    calendar = sources.universe.trading_calendar
    sensitivity = accounts.cost_sensitivity(targets, market, run.folds, accounts.SensitivityRules())
    board, holdout = judging.rank_strategies(returns, settings.statistics, settings.seed, calendar)
    tried = {str(name): str(name) for name in returns["strategy"].unique()}
    sharpe_table, chosen, _, _ = significance.measure_significance(
        returns, [], (), tried, settings.statistics, settings.seed, calendar
    )
    verdict = judging.judge_strategies(board, holdout, sensitivity, sharpe_table, chosen, settings.verdict)
    wealth = sharpe_table.set_index("strategy")["e_value_all"]
    verdict["e_value"] = float(wealth[verdict["strategy"]])
    return verdict, board, holdout, returns


def _best_lost(board: pd.DataFrame, holdout: pd.DataFrame) -> float:
    """1 if the model that was best on the folds loses money in the holdout, 0 if it earns some, 0.5 if it did nothing:
    what the probability of loss foretells."""
    best = board.loc[board["family"] == "model", "strategy"].iloc[0]
    sharpe = float(holdout.set_index("strategy")["sharpe"][best])
    return float(np.select([sharpe < 0, sharpe > 0], [1.0, 0.0], 0.5))
