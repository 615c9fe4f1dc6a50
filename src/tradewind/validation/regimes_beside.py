"""Regimes and ensembles of an audited run: the library's own, regimes fitted small."""

from collections.abc import Mapping, Sequence
from functools import partial

import pandas as pd

from tradewind.evaluation.known_labels import known_labels
from tradewind.learning.ensemble import BY_REGIME
from tradewind.learning.ensemble.joining import EnsembleRules, all_ensembles, join_forecasts
from tradewind.learning.regimes.walk_forward import RegimePlan, walk

Tables = Mapping[str, pd.DataFrame]
# Few rounds: what is looked at is what the models know, not how well they know it.
PLAN = RegimePlan(
    first_fit_bars=1500,
    refit_bars=2500,
    rules={"em": {"nodes": 1, "first_rounds": 1, "rounds": 2}, "evidence": -10.0, "least_bars": 1000},
)


def find_regimes(bars: Tables, seed: int) -> Tables:
    """The regime of every bar by partition, each by a model fitted on earlier bars.

    Args:
        bars: checked bars by partition.
        seed: of the fits.
    """
    return {name: walk(table, PLAN, seed).table for name, table in bars.items()}


def join(forecasts: Sequence[pd.DataFrame], inputs: Tables, regimes: Tables) -> pd.DataFrame:
    """The forecasts joined by the regimes, with weights that follow settled labels.

    Args:
        forecasts: one table a model.
        inputs: model-input rows by partition.
        regimes: of every bar by partition.
    """
    return join_forecasts(forecasts, "by_regime", _outcomes(inputs), regimes, EnsembleRules())


def combine(forecasts: Sequence[pd.DataFrame], inputs: Tables, rules: EnsembleRules) -> pd.DataFrame:
    """The ensembles of a run, but for those that need regimes, which `join` makes.

    Args:
        forecasts: one table a model.
        inputs: model-input rows by partition.
        rules: which ensembles there are beside the mean.
    """
    made = tuple(method for method in rules.forecasts if method != BY_REGIME)
    return all_ensembles(forecasts, _outcomes(inputs), {}, rules.model_copy(update={"forecasts": made}))


def _outcomes(inputs: Tables) -> pd.DataFrame:
    loads = {name: partial(_itself, table) for name, table in inputs.items()}
    return known_labels(loads, ["exit_time", "horizon_end"])


def _itself(table: pd.DataFrame) -> pd.DataFrame:
    return table
