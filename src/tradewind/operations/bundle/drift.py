"""What new data is compared with: references of drift by symbol, and the walk-forward's log loss with its interval."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.errors import BadData
from tradewind.market.calendars import YEAR_DAYS
from tradewind.market.parts import SymbolRows
from tradewind.market.universe import Universe
from tradewind.metrics.drift import learn
from tradewind.metrics.resampling import draw_totals

WINDOW_DAYS = 30
# Block methods see too little of what moves slowly: with it, 4 % of 500 unchanged months were called changed.
LEVEL = 0.025
FLOOR = 0.01  # a probability below it counts as this: a single label cannot decide
PROBABILITIES = ("p_down", "p_flat", "p_up")
LABELS = ("down", "flat", "up")
BLOCK_DAYS, RESAMPLES = 10.0, 1000


def drift_document(
    rows: pd.DataFrame, forecasts: pd.DataFrame, features: tuple[str, ...], universe: Universe, seed: int
) -> dict[str, Any]:
    """References for windows of 30 days: of features, walk-forward forecasts and labels, by symbol.

    Args:
        rows: model input with settled labels, in the order of time.
        forecasts: of the walk-forward, of this procedure alone.
        features: that the model reads.
        universe: symbols and bars.
        seed: of the procedure.

    Returns:
        `window` in rows; `references` by symbol and kind (`features`, `forecasts`, `labels`), each a document of
        `DriftReference` or `{"none": reason}`; `loss`: mean log loss of the walk-forward, its 90 % interval, and rows.
    """
    window = max(round(WINDOW_DAYS * universe.bars_per_year / YEAR_DAYS), 30)
    generator = np.random.default_rng(seed)
    references: dict[str, dict[str, Any]] = {}
    own_rows, own_forecasts = SymbolRows(rows), SymbolRows(forecasts)
    for symbol in universe.symbols:
        own, forecast = own_rows[symbol], own_forecasts[symbol]
        forecast = forecast.sort_values("timestamp")
        tables = {
            "features": (features, own[list(features)].to_numpy(dtype=np.float64)),
            "forecasts": (PROBABILITIES, forecast[list(PROBABILITIES)].to_numpy(dtype=np.float64)),
            "labels": (LABELS, indicators(own["label"].to_numpy(dtype=np.float64))),
        }
        references[symbol] = {
            kind: _reference(names, values, window, generator) for kind, (names, values) in tables.items()
        }
    return {"window": window, "references": references, "loss": _walk_forward_loss(rows, forecasts, generator)}


def indicators(labels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Whether each label is down, flat, up: (rows, 3), missing where the label is.

    Args:
        labels: -1, 0, 1 or NaN.
    """
    known = np.isfinite(labels)[:, None]
    return np.where(known, labels[:, None] == np.array([-1.0, 0.0, 1.0]), np.nan)


def log_losses(probabilities: NDArray[np.float64], labels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log loss of each row, at most that of `FLOOR`.

    Args:
        probabilities: p_down, p_flat, p_up, (rows, 3).
        labels: -1, 0 or 1.
    """
    chosen = probabilities[np.arange(len(labels)), labels.astype(np.int64) + 1]
    return np.asarray(-np.log(np.maximum(chosen, FLOOR)))


def _reference(
    names: tuple[str, ...], values: NDArray[np.float64], window: int, generator: np.random.Generator
) -> dict[str, Any]:
    try:
        return learn(names, values, window, generator, LEVEL).as_document()
    except BadData as error:
        return {"none": str(error)}


def walk_forward_losses(rows: pd.DataFrame, forecasts: pd.DataFrame) -> pd.DataFrame:
    """`timestamp` and `loss` of every forecast whose label is known.

    Args:
        rows: symbol, timestamp and label; labels that are not settled are left out.
        forecasts: of the walk-forward, of one procedure.
    """
    known = rows.loc[rows["label"].notna(), ["symbol", "timestamp", "label"]]
    both = forecasts.merge(known, on=["symbol", "timestamp"], validate="many_to_one")
    losses = log_losses(both[list(PROBABILITIES)].to_numpy(np.float64), both["label"].to_numpy(dtype=np.float64))
    return pd.DataFrame({"timestamp": both["timestamp"], "loss": losses})


def _walk_forward_loss(rows: pd.DataFrame, forecasts: pd.DataFrame, generator: np.random.Generator) -> dict[str, Any]:
    table = walk_forward_losses(rows, forecasts)
    losses = table["loss"].to_numpy()
    if table.empty:
        return {"none": "no forecast of the walk-forward has a label"}
    days = pd.DataFrame({"loss": losses, "rows": 1.0}).groupby(table["timestamp"].dt.floor("D")).sum()
    totals = draw_totals(days.to_numpy(np.float64), BLOCK_DAYS, RESAMPLES, generator)
    low, high = np.quantile(totals[:, 0] / totals[:, 1], [0.05, 0.95])
    return {"mean": float(losses.mean()), "low": float(low), "high": float(high), "rows": len(losses)}
