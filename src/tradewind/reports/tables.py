"""What a report is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class ReportTables:
    """The result tables of one run, as the stages wrote them; `verdict` and `settings` are plain dictionaries.

    `run` says who ran, when and how; `closes` are timestamp and close of every bar by symbol.
    """

    data_quality: pd.DataFrame
    gaps_figure: Any
    feature_dictionary: pd.DataFrame
    feature_distribution: pd.DataFrame
    label_quality: pd.DataFrame
    label_stability: pd.DataFrame
    folds: pd.DataFrame
    fold_metrics: pd.DataFrame
    confusion: pd.DataFrame
    reliability: pd.DataFrame
    importance: pd.DataFrame
    portfolio_returns: pd.DataFrame
    leaderboard: pd.DataFrame
    holdout_leaderboard: pd.DataFrame
    breakdown: pd.DataFrame
    cost_sensitivity: pd.DataFrame
    trades: Mapping[str, pd.DataFrame]
    significance: pd.DataFrame
    selection: dict[str, Any]
    forecast_comparison: pd.DataFrame
    robustness: Mapping[str, pd.DataFrame]
    parameter_plateau: pd.DataFrame
    combinatorial_paths: pd.DataFrame
    seed_spread: pd.DataFrame
    scorecard: pd.DataFrame
    horizon_trading: pd.DataFrame
    horizon_metrics: pd.DataFrame
    epochs: pd.DataFrame
    health: pd.DataFrame
    attention: pd.DataFrame
    alarms: pd.DataFrame
    agent_scores: pd.DataFrame
    agent_profile: pd.DataFrame
    behaviour: pd.DataFrame
    responses: pd.DataFrame
    failures: pd.DataFrame
    action_map: pd.DataFrame
    training_log: pd.DataFrame
    verdict: dict[str, Any]
    settings: dict[str, Any]
    run: dict[str, str]
    closes: Mapping[str, pd.DataFrame]
