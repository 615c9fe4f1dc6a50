"""What a report is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

# The tables that models and agents write, one each, with the columns that they have where a run has none of them.
BY_MODEL = {
    "fold_metrics": (
        "model", "fold", "role", "metric", "value", "majority_baseline", "previous_sign_baseline", "rows",
    ),
    "confusion": ("model", "role", "actual", "predicted", "count", "share"),
    "reliability": ("model", "role", "class", "bin", "mean_predicted", "observed", "count"),
    "importance": ("model", "feature", "gain_share", "mean_abs_shap"),
    "horizon_metrics": (
        "model", "role", "horizon", "hit_rate", "hit_rate_low", "hit_rate_high", "pinball_bps", "crps_bps",
        "coverage_50", "coverage_90", "width_90_bps",
    ),
    "epochs": ("model", "fold", "epoch", "train_loss", "valid_loss", "gradient_norm", "noise_scale", "is_best"),
    "health": ("model", "fold", "dead_units", "attention_entropy", "step", "loss"),
    "attention": ("model", "fold", "kind", "name", "share"),
    "alarms": ("model", "fold", "kind", "value", "limit", "meaning"),
    "behaviour": (
        "strategy", "seed", "fold", "long", "short", "flat", "mean_size", "holding_bars", "turnover", "gross", "cost",
    ),
    "responses": (
        "strategy", "seed", "fold", "kind", "level", "bars", "exposure", "side", "turnover", "gross", "cost", "net",
    ),
    "failures": ("strategy", "fold", "seed", "failure", "value"),
    "action_map": ("strategy", "edge", "flat", "forecast_edge_mean", "forecast_flat", "target", "count"),
    "training_log": ("strategy", "seed", "fold", "epoch", "steps", "valid_growth", "valid_turnover"),
}  # fmt: skip
_TEXT = frozenset(
    {
        "model", "strategy", "role", "metric", "actual", "predicted", "class", "feature", "kind", "name", "meaning",
        "level", "failure",
    }
)  # fmt: skip


def joined(tables: Sequence[pd.DataFrame], kind: str) -> pd.DataFrame:
    """The tables of one kind in one; no rows in a run without such models.

    Args:
        tables: one a model.
        kind: one of `BY_MODEL`.

    Returns:
        Their rows, model by model.
    """
    if tables:
        return pd.concat(tables, ignore_index=True)
    return pd.DataFrame({name: pd.Series(dtype="str" if name in _TEXT else "float64") for name in BY_MODEL[kind]})


@dataclass(frozen=True)
class ReportTables:
    """The result tables of one run, as the stages wrote them; `verdict` and `settings` are plain dictionaries.

    `run` says who ran, when and how; `closes` are timestamp and close of every bar by symbol.
    """

    model_coverage: pd.DataFrame
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
