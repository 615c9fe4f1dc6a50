"""What executing now is expected to cost, part by part, learnt from outcomes of recordings or of worlds, never of both.

A forecast knows one horizon and two ways: one order at market, and waiting at the best price of our side to the
deadline and crossing then. It stands on what is known at arrival alone.
"""

from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field

from tradewind.errors import BadData
from tradewind.parameters import Parameters
from tradewind.trading.execution.forecasts.parts import (
    Flags,
    Floats,
    Ints,
    PartModel,
    Predicted,
    Sample,
    fit_amount,
    fit_share,
)

ONE_ORDER, POST_THEN_CROSS = "one_order", "post_then_cross"
FILL, COST = "fill", "cost"
AMOUNTS = ("spread", "walk", "drift", "impact", COST)
FEATURES = (
    "half_spread_bps", "walk_now_bps", "log_queue", "log_taken", "imbalance", "imbalance_near", "volatility_bps",
    "momentum_bps", "log_turnover",
)  # fmt: skip
LEAST_BLOCKS = 8
LEARN, CALIBRATE, TEST = "learn", "calibrate", "test"


class Situation(NamedTuple):
    """What is known when an order arrives, (orders,) each; "our side" is the best bid of a purchase.

    Attributes:
        half_spread_bps: half the spread.
        walk_now_bps: what the whole order would pay beyond the best price now.
        quantity: of the order, units.
        own_qty: at the best price of our side.
        other_qty: at that of the other.
        own_near: near the middle on our side.
        other_near: near it on the other.
        volatility_bps: deviation of the middle over a horizon, from its past.
        momentum_bps: how far the middle moved against us lately.
        taken_qty: what others took from our side in the last horizon.
    """

    half_spread_bps: Floats
    walk_now_bps: Floats
    quantity: Floats
    own_qty: Floats
    other_qty: Floats
    own_near: Floats
    other_near: Floats
    volatility_bps: Floats
    momentum_bps: Floats
    taken_qty: Floats


def features(situation: Situation) -> Floats:
    """`FEATURES` of each order, (orders, 9).

    Raises:
        BadData: a number is missing, or a quantity is not above zero.
    """
    for name, values in situation._asdict().items():
        if not np.isfinite(values).all():
            raise BadData(f"{name} is no number in {int((~np.isfinite(values)).sum())} situations: there is no book")
    if (situation.quantity <= 0).any() or (situation.own_qty <= 0).any() or (situation.other_qty <= 0).any():
        raise BadData("quantities of the order and at both best prices must be above zero: a side of the book is empty")
    own, other, quantity = situation.own_qty, situation.other_qty, situation.quantity
    return np.column_stack([
        situation.half_spread_bps, situation.walk_now_bps, np.log1p(own / quantity), np.log1p(quantity / other),
        (own - other) / (own + other),
        (situation.own_near - situation.other_near) / (situation.own_near + situation.other_near),
        situation.volatility_bps, situation.momentum_bps, np.log1p(situation.taken_qty / (own + quantity)),
    ])  # fmt: skip


class CostForecast(Parameters):
    """A trained forecast: a document, and nothing that runs.

    Attributes:
        learnt_from: recordings or worlds.
        sources: their names.
        horizon_s: from arrival to the deadline; of a world in its own unit of time.
        latency_ms: of the executions.
        maker_bps: fee that `cost` was learnt with.
        taker_bps: the other.
        centre: of each feature.
        spread: by which each is divided.
        least: of each feature in what was learnt from; beyond, nothing is forecast.
        most: the largest.
        parts: by way and part.
    """

    learnt_from: Literal["recordings", "worlds"]
    sources: tuple[str, ...]
    horizon_s: Annotated[float, Field(gt=0)]
    latency_ms: int = 0
    maker_bps: float
    taker_bps: float
    centre: tuple[float, ...]
    spread: tuple[float, ...]
    least: tuple[float, ...]
    most: tuple[float, ...]
    parts: dict[str, dict[str, PartModel]]

    @property
    def markets(self) -> tuple[str, ...]:
        """What it was learnt from, `venue/symbol` each: of recordings, whose sources are `venue/symbol/day`."""
        return tuple(sorted({name.rpartition("/")[0] for name in self.sources}))

    def covers(self, x: Floats) -> Flags:
        """Whether every feature lies within what was learnt from, (orders,)."""
        return np.asarray(((x >= np.array(self.least)) & (x <= np.array(self.most))).all(axis=1))

    def predict(self, way: str, x: Floats) -> dict[str, Predicted]:
        """Every part of a way, of features as they are, (orders, features); the fee by the share that is met."""
        scaled = self.standardised(x)
        said = {name: model.predict(scaled) for name, model in self.parts[way].items()}
        fee = np.full(len(x), self.taker_bps)
        said["fee"] = Predicted(fee, fee, fee)
        if FILL in said:
            fees = [self.taker_bps + share * (self.maker_bps - self.taker_bps) for share in said[FILL]]
            said["fee"] = Predicted(fees[0], np.minimum(fees[1], fees[2]), np.maximum(fees[1], fees[2]))
        return said

    def standardised(self, x: Floats) -> Floats:
        """Features in the units that the models know."""
        return np.asarray((x - np.array(self.centre)) / np.array(self.spread))


class Terms(NamedTuple):
    """What outcomes were made with: recordings or worlds, horizon, latency, and the fees of `cost`."""

    learnt_from: Literal["recordings", "worlds"]
    horizon_s: float
    latency_ms: int
    maker_bps: float
    taker_bps: float


def fit_forecast(outcomes: pd.DataFrame, terms: Terms, generator: np.random.Generator) -> CostForecast:
    """Learn from the outcomes of `learn` and calibrate with those of `calibrate`; `test` is not looked at.

    Args:
        outcomes: one row an execution: source, block, split, way, `FEATURES`, and the way's parts; NaN where a way has
            no such part.
        terms: what they were made with.
        generator: draws blocks.

    Raises:
        BadData: there are too few.
    """
    used = outcomes[outcomes["split"] != TEST]
    x = used.loc[used["split"] == LEARN, list(FEATURES)].to_numpy()
    if not len(x):
        raise BadData("there is no outcome to learn from: use longer recordings")
    deviation = x.std(axis=0)
    fixed = {"centre": x.mean(axis=0), "spread": np.where(deviation > 1e-9, deviation, 1.0)}
    scale = {name: tuple(map(float, values)) for name, values in fixed.items()}
    parts: dict[str, dict[str, PartModel]] = {}
    for way, rows in used.groupby("way", sort=True):
        samples = {
            split: (
                (part[list(FEATURES)].to_numpy() - fixed["centre"]) / fixed["spread"], part, part["block"].to_numpy()
            )
            for split, part in ((each, rows[rows["split"] == each]) for each in (LEARN, CALIBRATE))
        }  # fmt: skip
        parts[str(way)] = {}
        for name in (FILL, *AMOUNTS):
            if rows[name].isna().all() or (rows[name] == 0).all():
                continue  # this way has no such part
            learn, calibrate = (Sample(z, part[name].to_numpy(), block) for z, part, block in samples.values())
            parts[str(way)][name] = (
                fit_share(learn, calibrate, generator) if name == FILL else fit_amount(learn, calibrate)
            )
    return CostForecast(
        learnt_from=terms.learnt_from, sources=tuple(sorted(used["source"].unique())), horizon_s=terms.horizon_s,
        latency_ms=terms.latency_ms, maker_bps=terms.maker_bps, taker_bps=terms.taker_bps,
        least=tuple(map(float, x.min(axis=0))), most=tuple(map(float, x.max(axis=0))), parts=parts, **scale,
    )  # fmt: skip


def calibration(
    forecast: CostForecast, outcomes: pd.DataFrame, generator: np.random.Generator, resamples: int = 1000
) -> pd.DataFrame:
    """How the forecast's intervals and means hold on the outcomes of `test`.

    Args:
        forecast: to be judged.
        outcomes: as it learnt from.
        generator: draws blocks.
        resamples: of the bootstrap.

    Returns:
        One row a way and part: outcomes and blocks, the share within the 90 % interval with its 95 % interval by a
        bootstrap of blocks (of a share: NaN, since its interval is that of a probability), the mean of outcome less
        forecast (`bias`) with its interval, the intervals' mean width, the mean absolute error beside that of the mean
        of what was learnt from (`plain_error`), the share of situations beyond what was learnt from, and what can be
        said: that it holds, only where 90 % lie (of a share: no bias lies) in the bootstrap's interval.
    """
    test = outcomes[outcomes["split"] == TEST]
    rows = []
    for way, part in test.groupby("way", sort=True):
        x = part[list(FEATURES)].to_numpy()
        said, outside = forecast.predict(str(way), x), 1.0 - float(forecast.covers(x).mean())
        for name in forecast.parts[str(way)]:
            y = part[name].to_numpy()
            told = {"learnt_from": forecast.learnt_from, "way": way, "part": name, "outside": outside,
                    "plain_error": _plain_error(outcomes, way, name, y)}  # fmt: skip
            is_share = name == FILL
            rows.append(told | coverage_of(y, said[name], part["block"].to_numpy(), generator, is_share, resamples))
    return pd.DataFrame(rows)


def coverage_of(
    y: Floats, said: Predicted, block: Ints, generator: np.random.Generator, is_share: bool = False,
    resamples: int = 1000,
) -> dict[str, Any]:  # fmt: skip
    """How one part's intervals and means hold, by a bootstrap of blocks.

    Args:
        y: outcomes.
        said: forecasts of them.
        block: of each outcome.
        generator: draws blocks.
        is_share: whether the interval is that of a probability, in which outcomes need not lie.
        resamples: of the bootstrap.
    """
    names, place = np.unique(block, return_inverse=True)
    drawn = generator.integers(0, len(names), (resamples, len(names)))
    within = ((y >= said.low - 1e-9) & (y <= said.high + 1e-9)).astype(np.float64)
    row: dict[str, Any] = {
        "outcomes": len(y), "blocks": len(names), "width": float((said.high - said.low).mean()),
        "error": float(np.abs(y - said.mean).mean()),
    }  # fmt: skip
    size = np.bincount(place, minlength=len(names)).astype(np.float64)
    for label, values in (("coverage", np.full(len(y), np.nan) if is_share else within), ("bias", y - said.mean)):
        sums = np.bincount(place, weights=values, minlength=len(names))
        ends = np.quantile(sums[drawn].sum(axis=1) / size[drawn].sum(axis=1), [0.025, 0.975])
        row |= {label: float(values.mean()), f"{label}_low": float(ends[0]), f"{label}_high": float(ends[1])}
    return row | {"says": _says(row, is_share)}


def _says(row: dict[str, Any], is_share: bool) -> str:
    if row["blocks"] < LEAST_BLOCKS:
        return f"too few data to say: {row['blocks']} blocks where {LEAST_BLOCKS} are asked for"
    if is_share:
        return "holds" if row["bias_low"] <= 0 <= row["bias_high"] else "biased"
    if row["coverage_low"] > 0.9:
        return "wider than it need be"
    return "holds" if row["coverage_high"] >= 0.9 else "too narrow"


def _plain_error(outcomes: pd.DataFrame, way: object, name: str, y: Floats) -> float:
    learnt = outcomes.loc[(outcomes["split"] == LEARN) & (outcomes["way"] == way), name]
    return float(np.abs(y - learnt.mean()).mean())
