"""The nodes that join forecasts and score regimes; the work is in `learning.ensemble` and `evaluation`."""

import pandas as pd

from tradewind.evaluation import positions, scorecard_joined
from tradewind.evaluation.gathering import loaded
from tradewind.evaluation.known_labels import known_labels
from tradewind.evaluation.traded_market import Partitions, TradedMarket
from tradewind.learning.ensemble.joining import EnsembleRules, all_ensembles
from tradewind.metrics.ranking import StatisticsRules
from tradewind.metrics.scorecard import ScorecardRules


def combine_forecasts(
    forecasts: Partitions, rules: EnsembleRules, model_input: Partitions, regimes: Partitions
) -> pd.DataFrame:
    """The models of the run that know a direction as one: their equal-weight mean, and what else the rules name.

    Args:
        forecasts: by model a function that loads its forecasts out of sample.
        rules: which ensembles there are beside the mean.
        model_input: by partition a function that loads features and labels, of which weights learn.
        regimes: by partition a function that loads its regimes.

    Returns:
        One or more ensembles' forecasts; no rows where no model knows a direction.
    """
    tables = loaded(forecasts)
    directed = list(positions.traded(tables).values())
    if not directed:
        return tables[0].iloc[:0]
    outcomes = known_labels(model_input, ["exit_time", "horizon_end"]) if rules.forecasts else pd.DataFrame()
    known = {name: load() for name, load in regimes.items()} if "by_regime" in rules.forecasts else {}
    return all_ensembles(directed, outcomes, known, rules)


def score_regimes(
    criteria: pd.DataFrame, regimes: Partitions, folds: pd.DataFrame, market: TradedMarket, statistics: StatisticsRules,
    rules: ScorecardRules, seed: int,
) -> pd.DataFrame:  # fmt: skip
    """The scorecard with its line on regimes, where the regimes stage was run.

    Args:
        criteria: all other lines.
        regimes: by partition a function that loads its regimes.
        folds: the fold table.
        market: the histories of all symbols with the terms of trade.
        statistics: how intervals are made.
        rules: the limits of each criterion.
        seed: of the resampling.

    Returns:
        One row a criterion.
    """
    return scorecard_joined.with_regimes(criteria, market, regimes, folds, statistics, rules, seed)
