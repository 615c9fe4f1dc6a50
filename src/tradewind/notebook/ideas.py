"""What an idea comes to, before it is written into the library: by the code that the stages run."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pandas as pd

from tradewind.compute import ComputeRules
from tradewind.evaluation import positions
from tradewind.evaluation.accounts import portfolio_returns
from tradewind.learning.features import of_universe
from tradewind.learning.features.spec import FeatureFamily
from tradewind.learning.labels.rules import LabelRules
from tradewind.learning.models import walk_forward
from tradewind.learning.models.scikit_learn import Estimator, EstimatorParameters, estimator_forecaster
from tradewind.learning.models.walk_forward import TrainingRules
from tradewind.metrics import ranking
from tradewind.metrics.ranking import StatisticsRules
from tradewind.notebook.project import NotebookProject
from tradewind.pipelines.feature_engineering.feature_nodes import study_features
from tradewind.pipelines.feature_engineering.parameters import StudyRules
from tradewind.trading.strategy.spec import Strategy
from tradewind.validation.acting import NullModelStore

Tables = dict[str, pd.DataFrame]


def feature_tables(project: NotebookProject, family: FeatureFamily) -> Tables:
    """The features of a family on every symbol, by partition."""
    bars, side_series = project.catalog.load("bars"), project.catalog.load("side_series")
    compute = ComputeRules.model_validate(project.parameters["compute"])
    return of_universe.tables_of(family.features(), bars, side_series, project.universe, compute.threads)


def information_coefficients(project: NotebookProject, family: FeatureFamily) -> pd.DataFrame:
    """Rank correlation of each feature of a family with the return ahead, by horizon, with intervals.

    On rows before the holdout: the same study as in `feature_dictionary.html`.
    """
    made = {name: _giving(table) for name, table in feature_tables(project, family).items()}
    rules = StudyRules.model_validate(project.parameters["feature_engineering"]["study"])
    return study_features(made, project.catalog.load("bars"), project.folds, project.universe, rules)[0]


def backtest_rule(project: NotebookProject, rule: Strategy) -> pd.DataFrame:
    """The positions of a rule on the bars of the test windows, which `leaderboard` trades."""
    return positions.rule_positions(rule, project.market, project.folds)


def walk_forward_model(
    project: NotebookProject, name: str, estimator: Estimator, rules: TrainingRules | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A classifier of scikit-learn through the walk-forward: its forecasts out of sample, and its positions.

    Args:
        project: whose model input and folds.
        name: as it is to stand on the leaderboard.
        estimator: how it is made, and its settings.
        rules: how each fold is trained; else those of `params:classifier.lightgbm.training`.
    """
    training = rules or TrainingRules.model_validate(project.parameters["classifier"]["lightgbm"]["training"])
    labels = LabelRules.model_validate(project.parameters["feature_engineering"]["labels"])
    rows = walk_forward.pool({key: load() for key, load in project.catalog.load("model_input").items()})
    trained = walk_forward.train_folds(
        estimator_forecaster(name, estimator), EstimatorParameters(), rows, project.folds, training, NullModelStore(),
        project.parameters["seed"],
    )  # fmt: skip
    forecasts = walk_forward.forecast_table(trained, labels.horizon_bars)
    return forecasts, positions.forecast_positions(forecasts, project.market, project.folds)


def leaderboard(project: NotebookProject, ideas: Mapping[str, pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What positions come to, net of costs, with intervals: on the walk-forward folds, and every portfolio's returns.

    The holdout is left out: an idea that is chosen by it is not confirmed by it.

    Args:
        project: whose market and costs.
        ideas: positions by the name that they are to have.
    """
    named = {name: _giving(table.assign(strategy=name).astype({"strategy": "str"})) for name, table in ideas.items()}
    returns = portfolio_returns(named, project.market, project.folds)
    tested = returns[returns["role"] == "walk_forward"]
    rules = StatisticsRules.model_validate(project.parameters["evaluation"]["statistics"])
    families = dict.fromkeys(ideas, "idea")
    calendar = project.market.universe.trading_calendar
    return ranking.leaderboard(tested, families, rules, project.parameters["seed"], calendar), tested


def _giving(table: pd.DataFrame) -> Callable[[], Any]:
    return partial(pd.DataFrame, table)
