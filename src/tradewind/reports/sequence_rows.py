"""Tables of models over windows of bars, as text."""

from collections.abc import Iterator

import pandas as pd

from tradewind.reports.performance import label
from tradewind.reports.text import interval, number, percent


def horizon_rows(horizon_metrics: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Each model's distribution at each horizon, over the walk-forward folds."""
    table = horizon_metrics[horizon_metrics["role"] == "walk_forward"]
    for row in table.sort_values(["horizon", "crps_bps"]).to_dict("records"):
        yield {
            "horizon, bars": number(row["horizon"], 0),
            "model": label(row["model"]),
            "CRPS, bps": number(row["crps_bps"], 1),
            "pinball, bps": number(row["pinball_bps"], 1),
            "in 50 % interval": percent(row["coverage_50"]),
            "in 90 % interval": percent(row["coverage_90"]),
            "width of 90 %, bps": number(row["width_90_bps"], 0),
            "directions right": percent(row["hit_rate"]),
            "90 % interval": _shares(row["hit_rate_low"], row["hit_rate_high"]),
        }


def horizon_trading_rows(horizon_trading: pd.DataFrame) -> Iterator[dict[str, str]]:
    """What each model comes to if one horizon alone is traded."""
    for row in horizon_trading.to_dict("records"):
        yield {
            "model": label(row["model"]),
            "horizon, bars": number(row["horizon"], 0),
            "Sharpe ratio": number(row["sharpe"]),
            "total return": percent(row["total_return"]),
            "largest drawdown": percent(row["max_drawdown"]),
        }


def training_rows(epochs: pd.DataFrame, health: pd.DataFrame) -> Iterator[dict[str, str]]:
    """How each model's training went, the mean over its folds."""
    states = health[health["step"] == 0].set_index(["model", "fold"])
    for model, part in epochs.groupby("model", sort=False):
        best = part[part["is_best"].astype(bool)]
        state = states.loc[[model]] if model in states.index else states.iloc[:0]
        yield {
            "model": label(str(model)),
            "folds": number(best["fold"].nunique(), 0),
            "epochs, mean": number(part.groupby("fold").size().mean(), 1),
            "best epoch": number((best["epoch"] + 1).mean(), 1),
            "training loss": number(best["train_loss"].mean(), 3),
            "validation loss": number(best["valid_loss"].mean(), 3),
            "noise scale, windows": number(best["noise_scale"].median(), 0),
            "dead units": percent(state["dead_units"].mean()),
            "entropy of attention": percent(state["attention_entropy"].mean(), 0),
        }


def alarm_rows(alarms: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Every alarm, the model's and the fold's."""
    for row in alarms.sort_values(["model", "kind", "fold"]).to_dict("records"):
        yield {
            "model": label(row["model"]),
            "fold": number(row["fold"], 0),
            "alarm": row["kind"].replace("_", " "),
            "value": number(row["value"], 3),
            "limit": number(row["limit"], 3),
            "what it is": row["meaning"],
        }


def _shares(low: float, high: float) -> str:
    return interval(100 * low, 100 * high, 1) + " %" if pd.notna(low) else "–"
