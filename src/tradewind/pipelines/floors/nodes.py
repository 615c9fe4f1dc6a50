"""Nodes of the floors stage; the work is in `tradewind.trading.execution.floor_study`."""

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from tradewind.errors import BadData
from tradewind.market.universe import Universe
from tradewind.reports.floors import render_floors_page
from tradewind.trading.execution import floor_study
from tradewind.trading.execution.floor_study import FloorStudy

Partitions = Mapping[str, Callable[[], pd.DataFrame]]


def say_floors(bars: Partitions, horizon_forecasts: Partitions, universe: Universe, study: FloorStudy) -> pd.DataFrame:
    """The floor at every close of every symbol where enough has settled.

    Args:
        bars: by partition a function that loads checked bars.
        horizon_forecasts: by `STAGE/MODEL` a function that loads quantiles at several horizons.
        universe: symbols and where their bars lie.
        study: whose paths are read, and how floors are learnt.

    Returns:
        `floor_study.COLUMNS`.

    Raises:
        BadData: the model has no paths, a symbol has no bars, or there are too few of either.
    """
    models = {PurePosixPath(name).name: load for name, load in horizon_forecasts.items()}
    if study.model not in models:
        raise BadData(
            f"floors.model is {study.model}, and there are paths of {', '.join(models) or 'no model'}: "
            "choose one of them, or run deep_learning and evaluation with it"
        )
    widths = floor_study.widths_of(models[study.model](), study.rules.horizon_bars)
    tables = []
    for symbol in universe.symbols:
        if (partition := universe.partition(symbol)) not in bars:
            raise BadData(f"universe.symbols has {symbol}, but there are no bars of {partition}: provide them")
        tables.append(floor_study.floors_of(bars[partition](), widths, study.rules))
    return pd.concat(tables, ignore_index=True)


def score_floors(floors: pd.DataFrame, study: FloorStudy, seed: int) -> pd.DataFrame:
    """How often floors held, and how much sharper they were than past lows alone.

    Args:
        floors: of `say_floors`.
        study: probability, blocks and resamples.
        seed: of the bootstrap.
    """
    return floor_study.score_floors(floors, study, np.random.default_rng([seed, 5]))


def draw_floors(floors: pd.DataFrame, scores: pd.DataFrame, study: FloorStudy, universe: Universe) -> str:
    """The page of floors.

    Args:
        floors: of `say_floors`.
        scores: of `score_floors`.
        study: what was promised.
        universe: whose venue says whether the market is simulated.
    """
    return render_floors_page(floors, scores, study, universe.venue == "simulated")
