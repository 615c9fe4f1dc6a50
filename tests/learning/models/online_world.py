"""A market whose only signal turns round on one day, and the ways to follow it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.learning.labels.settling import is_settled
from tradewind.learning.models import catalogue
from tradewind.learning.models.base import PROBABILITIES
from tradewind.learning.models.online import OnlineLearning, lessons_of, updated
from tradewind.learning.models.walk_forward import TrainingRules, split_training

FEATURES = ("log_return_1", "rsi_14", "realised_volatility_24")
SYMBOLS = ("SIM1", "SIM2")
HORIZON, START = 6, pd.Timestamp("2023-01-01", tz="UTC")
DAY, WEEK = pd.Timedelta(days=1), 7
EDGE = 0.2  # of a feature on a bar's return, in its deviations
RULES = TrainingRules(max_rounds=60)


def market(seed: int, days: int, flips_on: float | None) -> pd.DataFrame:
    """Model input of two symbols, hourly; the first two features tell the next bars' returns, from the flip on with the
    other sign."""
    rng = np.random.default_rng(seed)
    count = days * 24
    at = pd.date_range(START, periods=count, freq="h").as_unit("ms")
    sign = np.ones(count)
    if flips_on is not None:
        sign[round(flips_on * 24) :] = -1.0
    parts = []
    for symbol in SYMBOLS:
        x = np.empty((count, len(FEATURES)))
        x[0] = rng.standard_normal(len(FEATURES))
        for row in range(1, count):
            x[row] = 0.9 * x[row - 1] + np.sqrt(1 - 0.81) * rng.standard_normal(len(FEATURES))
        drift = EDGE * sign * (x[:, 0] + x[:, 1])
        bar = np.append(0.0, (drift + rng.standard_normal(count))[:-1])  # the return of the bar that ends at a row
        total = np.cumsum(bar)
        ahead = np.full(count, np.nan)
        ahead[:-HORIZON] = total[HORIZON:] - total[:-HORIZON]
        label = np.where(np.isnan(ahead), np.nan, np.sign(ahead) * (np.abs(ahead) > 0.45 * np.sqrt(HORIZON)))
        keys = pd.DataFrame({"symbol": pd.Series(symbol, index=range(count), dtype="str"), "timestamp": at})
        keys = pd.concat([keys, pd.DataFrame(x.astype(np.float32), columns=list(FEATURES))], axis=1)
        end = (at + HORIZON * pd.Timedelta(hours=1)).where(~np.isnan(ahead))
        parts.append(
            keys.assign(
                label=pd.array(label, dtype="Int8"), forward_return=0.005 * ahead, exit_time=end, horizon_end=end,
                weight=np.where(np.isnan(ahead), np.nan, 1 / HORIZON),
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True).sort_values(["timestamp", "symbol"], kind="stable", ignore_index=True)


def trained(name: str, rows: pd.DataFrame, at: pd.Timestamp, window_days: float | None = None) -> Any:
    """The model on all labels that are settled then, or on those of the last days alone."""
    known = rows[is_settled(rows, at)]
    if window_days is not None:
        known = known[known["timestamp"] > at - pd.Timedelta(days=window_days)]
    kind = catalogue.model(name)
    parameters = PARAMETERS[name](kind.parameters_class)
    return kind(parameters, 7).fit(split_training(known.reset_index(drop=True), RULES))


PARAMETERS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda kind: kind(c=0.002),
    "lightgbm": lambda kind: kind(min_child_weight=100.0, reg_lambda=100.0, colsample=0.7, n_estimators=60),
    "xgboost": lambda kind: kind(min_child_weight=100.0, reg_lambda=100.0, colsample=0.7, n_estimators=60),
}


def losses(model: Any, rows: pd.DataFrame) -> NDArray[np.float64]:
    """Log loss of each row."""
    said = model.predict(rows)[PROBABILITIES].to_numpy()
    column = rows["label"].to_numpy(dtype=np.int64) + 1
    return np.asarray(-np.log(np.maximum(said[np.arange(len(rows)), column], 0.01)))


def of_day(rows: pd.DataFrame, day: int) -> pd.DataFrame:
    """The rows of one day that get a label."""
    begins = START + day * DAY
    inside = (rows["timestamp"] > begins) & (rows["timestamp"] <= begins + DAY) & rows["label"].notna()
    return rows[inside]


def weekly(name: str, rows: pd.DataFrame, first: int, days: int, window_days: float | None = None) -> list[float]:
    """Mean log loss of each day, by a model that is trained anew every seven days."""
    out = []
    for day in range(first, first + days):
        if (day - first) % WEEK == 0:
            model = trained(name, rows, START + day * DAY, window_days)
        out.append(float(losses(model, of_day(rows, day)).mean()))
    return out


def online(name: str, rows: pd.DataFrame, first: int, days: int, rules: OnlineLearning) -> list[float]:
    """Mean log loss of each day, by a model that is trained once and updated every day; each day is forecast
    before its labels are learned."""
    began = START + first * DAY
    model, since, out = trained(name, rows, began), began - HORIZON * pd.Timedelta(hours=1), []
    for day in range(first, first + days):
        now = START + day * DAY
        if day > first:
            model = updated(model, lessons_of(rows, since, now, rules.half_life_days), rules)
            since = now - HORIZON * pd.Timedelta(hours=1)
        out.append(float(losses(model, of_day(rows, day)).mean()))
    return out


def knowing(name: str, rows: pd.DataFrame, first: int, days: int, flips_on: float | None) -> list[float]:
    """Mean log loss of each day, by the model before the flip, with its directions swapped from the flip on."""
    model, out = trained(name, rows, START + first * DAY), []
    for day in range(first, first + days):
        own = of_day(rows, day)
        has_turned = flips_on is not None and day >= flips_on
        signs = own.assign(label=-own["label"]) if has_turned else own
        out.append(float(losses(model, signs).mean()))
    return out


def half_life(excess: NDArray[np.float64], smooth: int = 3) -> float:
    """Days until the excess loss is half of what it is at first; the number of days where it never is."""
    means = np.convolve(excess, np.ones(smooth) / smooth, mode="valid")
    below = np.flatnonzero(means <= 0.5 * means[0])
    return float(below[0]) if len(below) else float(len(excess))
