"""One market whose answer is known through the whole pipeline, in memory: what is said of it, and what is true."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from tradewind.errors import BadData
from tradewind.evaluation import accounts, judging, positions, significance
from tradewind.evaluation.traded_market import TradedMarket
from tradewind.market.calendars import Calendar
from tradewind.market.simulation.null_worlds import block_shuffled, sign_flipped
from tradewind.market.simulation.simulator import SimulationSpec, simulate_market
from tradewind.market.universe import Universe
from tradewind.metrics.ranking import StatisticsRules
from tradewind.metrics.returns import daily_returns
from tradewind.metrics.studentised import sharpe_interval
from tradewind.trading.strategy import baselines
from tradewind.validation.noise_free import noise_free_sharpe
from tradewind.validation.research_run import Products, RunSettings, Sources, Steps, lazily, make_bars, run_research

FIRST_SEED = 10_000  # far from the seeds that the demo and the tests look at
STRENGTHS = (1.0, 2.0, 3.0, 4.0, 6.0)
LENGTHS = (365, 730, 1095, 1825)
RULES_VERSION = 2  # higher where the verdict's test or what an outcome tells changed: older outcomes do not count
PERFECT = "perfect_knowledge"
World = Literal["simulated", "sign_flipped", "block_shuffled"]


class Case(BaseModel):
    """A market to judge; `edge` 0 is a null market. `world` says what it is made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    edge: float = Field(ge=0)
    days: int = Field(ge=180)
    seed: int = Field(ge=0)
    n_symbols: int = Field(default=3, ge=1)
    world: World = "simulated"

    @property
    def key(self) -> str:
        """What tells the case from all others."""
        return f"{self.world}, edge {self.edge:g}, {self.days} days, {self.n_symbols} symbols, seed {self.seed}"


def cases(n_null: int, n_planted: int) -> list[Case]:
    """Null markets of two years, and planted ones of every strength and length in turn."""
    null = [Case(edge=0, days=730, seed=FIRST_SEED + number) for number in range(n_null)]
    grid = [(edge, days) for days in LENGTHS for edge in STRENGTHS]
    planted = [
        Case(edge=grid[number % len(grid)][0], days=grid[number % len(grid)][1], seed=FIRST_SEED + 100_000 + number)
        for number in range(n_planted)
    ]
    return null + planted


def null_world_cases(n_each: int, n_symbols: int, days: int = 730) -> list[Case]:
    """Null markets made of real candles, so many of each kind.

    Args:
        n_each: markets of each kind.
        n_symbols: in each market.
        days: the length of a market's history.
    """
    worlds: tuple[World, ...] = ("sign_flipped", "block_shuffled")
    return [
        Case(edge=0, days=days, seed=FIRST_SEED + 200_000 + number, n_symbols=n_symbols, world=world)
        for number in range(n_each)
        for world in worlds
    ]


def identity(parameters: Mapping[str, Any]) -> str:
    """What tells these parameters from others: outcomes under different ones must not be mixed."""
    judged_by = {name: parameters[name] for name in sorted(parameters) if name in _JUDGED_BY}
    judged_by["rules"] = RULES_VERSION
    return hashlib.sha256(json.dumps(judged_by, sort_keys=True, default=str).encode()).hexdigest()[:12]


_JUDGED_BY = ("data_engineering", "feature_engineering", "classifier", "evaluation", "trading")


class CaseRunner:
    """Judges cases by the project's own parameters; holds real candles where null worlds are made of them."""

    def __init__(self, parameters: Mapping[str, Any], real: Sources | None = None) -> None:
        """`parameters` are what Kedro loads; `real` is only needed for null worlds."""
        self.parameters, self.real = parameters, real

    def __call__(self, case: Case) -> dict[str, Any]:
        """The verdict on one market, by the same nodes as `kedro run`, and what was true there.

        To be small, LightGBM is trained with default parameters on every fourth bar, without a search, beside the
        linear model; features on slower timeframes are left out.
        """
        settings = RunSettings.from_parameters(self.parameters, seed=case.seed)
        settings = settings.changed(features=settings.features.model_copy(update={"slower_timeframes": ()}))
        sources = simulated(case) if case.world == "simulated" else self._null_world(case, settings)
        return judge_run(case, sources, run_research(sources, settings), settings)

    def _null_world(self, case: Case, settings: RunSettings) -> Sources:
        if self.real is None:
            raise BadData(f"{case.key}: a null world needs real candles to be made of")
        bars = {name: _latest(table, case.days) for name, table in self.real.bars.items()}
        null_of = {"sign_flipped": sign_flipped, "block_shuffled": block_shuffled}[case.world]
        return replace(
            self.real, bars=null_of(bars, np.random.default_rng(case.seed)), oracle=self.real.oracle.iloc[:0]
        )


def simulated(case: Case) -> Sources:
    """The simulated market of a case."""
    market = simulate_market(SimulationSpec(n_symbols=case.n_symbols, days=case.days, edge=case.edge, seed=case.seed))
    universe = Universe(
        venue="simulated", symbols=market.spec.symbols, timeframe=market.spec.timeframe,
        reference_symbol=market.spec.symbols[0], side_series=("funding", "sentiment"),
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
    if case.edge == 0:
        return out | {
            "gross": _gross_intervals(returns, settings.statistics, case.seed, sources.universe.trading_calendar)
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
        "net": _net_intervals(returns, run.positions, sources, settings, case.seed),
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


def _gross_intervals(
    returns: pd.DataFrame, rules: StatisticsRules, seed: int, calendar: Calendar
) -> dict[str, tuple[float, float]]:
    """Intervals of the Sharpe ratios before costs and funding, which on a null market are truly zero, whatever the
    rule; over the folds and the holdout together. Strategies that never traded, or too seldom for an interval, are left
    out."""
    by_strategy = {}
    for name, part in _with_known_truth(returns):
        interval = _interval(part, "gross", rules, seed, calendar)
        if interval is not None:
            by_strategy[name] = interval
    return by_strategy


def _net_intervals(
    returns: pd.DataFrame, traded: Mapping[str, pd.DataFrame], sources: Sources, settings: RunSettings, seed: int
) -> dict[str, tuple[float, float, float]]:
    """Intervals of the net Sharpe ratios on a planted market, each with the truth: what its positions earned by the
    planted drift, without luck (`noise_free`); over the folds and the holdout together."""
    by_strategy = {}
    for name, part in _with_known_truth(returns, *((baselines.ORACLE,) if len(sources.oracle) else ())):
        interval = _interval(part, "net", settings.statistics, seed, sources.universe.trading_calendar)
        if interval is not None:
            by_strategy[name] = (*interval, noise_free_sharpe(traded[name], part, sources.oracle))
    return by_strategy


def _with_known_truth(returns: pd.DataFrame, *also: str) -> Iterator[tuple[str, pd.DataFrame]]:
    # The turned and the matched positions are made of the model's own later ones: what they earn is not known.
    unknown = {baselines.ORACLE, baselines.RANDOM, baselines.MATCHED} - set(also)
    for name, part in returns.groupby("strategy", sort=True):
        if name not in unknown:
            yield str(name), part


def _interval(
    part: pd.DataFrame, column: str, rules: StatisticsRules, seed: int, calendar: Calendar
) -> tuple[float, float] | None:
    daily = daily_returns(part["timestamp"], part[column].to_numpy(), calendar)
    if not daily.std() > 0:
        return None
    rng, year = np.random.default_rng(seed), float(np.sqrt(calendar.days_per_year))
    low, high = sharpe_interval(daily, rng, rules.confidence, rules.n_resamples, rules.block_days)
    return (year * low, year * high) if np.isfinite(low) else None
