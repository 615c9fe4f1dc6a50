"""Forecasts of what execution costs, one from recordings and one from worlds, and how they hold."""

from typing import Annotated, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field

from tradewind.parameters import Parameters
from tradewind.trading.execution.forecasts.costs import (
    CALIBRATE,
    LEARN,
    TEST,
    CostForecast,
    Terms,
    calibration,
    coverage_of,
    fit_forecast,
)
from tradewind.trading.execution.forecasts.of_worlds import fit_impact, impact_sample, outcomes_of_books
from tradewind.trading.execution.forecasts.parts import LEAST_ROWS
from tradewind.trading.execution.worlds.impact import ImpactWorld
from tradewind.trading.execution.worlds.order_book.executing import OrderBookWorld


class ForecastStudy(Parameters):
    """What the worlds' forecast learns from (`params:execution_study.forecasts`).

    Attributes:
        lots: of purchases in the order book worlds.
        quantities: shares of the impact worlds' quantities.
        fill_noise_bps: deviation of a fill's price in the impact worlds.
    """

    lots: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (3, 10, 20)
    quantities: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (0.25, 0.5, 1.0, 2.0)
    fill_noise_bps: Annotated[float, Field(ge=0)] = 1.0


class Trained(NamedTuple):
    """Forecasts by name as documents, and how each holds on outcomes that it has not seen."""

    documents: dict[str, CostForecast]
    calibration: pd.DataFrame


def of_recordings(outcomes: pd.DataFrame, terms: Terms, generator: np.random.Generator) -> Trained:
    """The forecast of recordings; none where there are too few outcomes to learn from, calibrate with and test on.

    Args:
        outcomes: of `recordings.outcomes.outcomes_in`.
        terms: what they were made with.
        generator: draws blocks.
    """
    if outcomes.empty or _fewest(outcomes) < LEAST_ROWS:
        return Trained({}, pd.DataFrame())
    forecast = fit_forecast(outcomes, terms, generator)
    return Trained({"recordings": forecast}, calibration(forecast, outcomes, generator).assign(world="recordings"))


def _fewest(outcomes: pd.DataFrame) -> int:
    """Of any way and part of the time."""
    counts = outcomes.groupby(["way", "split"]).size().unstack(fill_value=0)
    return int(counts.reindex(columns=[LEARN, CALIBRATE, TEST], fill_value=0).to_numpy().min())


def of_book_world(
    name: str, world: OrderBookWorld, study: ForecastStudy, episodes: int, generator: np.random.Generator
) -> Trained:
    """The forecast of one world of order books.

    Args:
        name: of the world.
        world: the flow.
        study: sizes.
        episodes: of each size and way.
        generator: the only source of randomness.
    """
    outcomes = outcomes_of_books(world, study.lots, name, episodes, int(generator.integers(2**31)))
    middle = world.flow.ticks / 2  # fees of a world are in ticks
    terms = Terms("worlds", world.steps, 0, 1e4 * world.maker_fee / middle, 1e4 * world.taker_fee / middle)
    forecast = fit_forecast(outcomes, terms, generator)
    return Trained({name: forecast}, calibration(forecast, outcomes, generator).assign(world=name))


def of_impact_world(
    name: str, world: ImpactWorld, quantity: float, price: float, study: ForecastStudy, episodes: int,
    generator: np.random.Generator,
) -> pd.DataFrame:  # fmt: skip
    """How well the impact of equal slices is forecast in one world.

    Args:
        name: of the world.
        world: the market.
        quantity: units, signed; the study's shares are of it.
        price: at arrival.
        study: shares and noise.
        episodes: of each quantity and number of slices, and of each of learning, calibration and test.
        generator: the only source of randomness.

    Returns:
        One row, as `costs.calibration` has them.
    """
    noisy = world.model_copy(update={"fill_noise": study.fill_noise_bps * 1e-4 * price})
    quantities = tuple(share * quantity for share in study.quantities)
    learn, calibrate, test = (impact_sample(noisy, quantities, price, episodes, generator) for _ in range(3))
    centre, spread = learn.x.mean(axis=0), np.maximum(learn.x.std(axis=0), 1e-12)
    scaled = [sample._replace(x=(sample.x - centre) / spread) for sample in (learn, calibrate, test)]
    said = fit_impact(scaled[0], scaled[1]).predict(scaled[2].x)
    row = coverage_of(test.y, said, np.arange(len(test.y)), generator)
    plain = float(np.abs(test.y - learn.y.mean()).mean())
    told = {"learnt_from": "worlds", "way": "slices", "part": "impact", "outside": 0.0, "plain_error": plain}
    return pd.DataFrame([told | row | {"world": name}])
