"""Nodes of the regimes stage; the work is in `tradewind.learning.regimes`."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from tradewind.compute import executor
from tradewind.errors import BadData
from tradewind.learning.regimes.base import FILE
from tradewind.learning.regimes.walk_forward import RegimePlan, summarise, walk
from tradewind.market.universe import Universe
from tradewind.reports.palette import SHOWN_SYMBOLS
from tradewind.reports.regimes import render_regimes_page

SYMBOLS_SIDE_BY_SIDE = 2  # the kernels release the interpreter's lock
Partitions = Mapping[str, Callable[[], pd.DataFrame]]


def find_regimes(
    bars: Partitions, universe: Universe, plan: RegimePlan, seed: int
) -> tuple[dict[str, pd.DataFrame], dict[str, Any], pd.DataFrame]:
    """The regime of every bar by partition, the fitted models of each, and what the regimes came to.

    Args:
        bars: by partition a function that loads checked bars.
        universe: symbols, venue, timeframe and side series.
        plan: the model, its rules and when it is fitted anew.
        seed: of the fits.

    Returns:
        Tables by partition, fitted models as JSON by partition, and one row a symbol and regime.

    Raises:
        BadData: a symbol of the universe has no bars.
    """
    horizon = plan.unfitted(seed).rules.horizon_bars
    partitions = [universe.partition(symbol) for symbol in universe.symbols]
    for symbol, partition in zip(universe.symbols, partitions, strict=True):
        if partition not in bars:
            raise BadData(f"universe.symbols has {symbol}, but there are no bars of {partition}: provide them")

    def one(history: pd.DataFrame) -> tuple[pd.DataFrame, list[str], pd.DataFrame]:
        walked = walk(history, plan, seed)
        models = [model.files()[FILE].decode() for model in walked.models]
        return walked.table, models, summarise(walked.table, history, horizon)

    with executor("threads", SYMBOLS_SIDE_BY_SIDE) as on:
        found = dict(zip(partitions, on.map(one, [bars[name]() for name in partitions]), strict=True))
    tables = {partition: table for partition, (table, _, _) in found.items()}
    models = {partition: models for partition, (_, models, _) in found.items()}
    return tables, models, pd.concat([summary for _, _, summary in found.values()], ignore_index=True)


def draw_regimes(bars: Partitions, regimes: Partitions, summary: pd.DataFrame) -> str:
    """The page: for each symbol its price coloured by regime, the probabilities, and what the regimes came to.

    Args:
        bars: by partition a function that loads checked bars.
        regimes: by partition a function that loads its regimes.
        summary: one row a symbol and regime.

    Returns:
        HTML.
    """
    shown = sorted(regimes)[:SHOWN_SYMBOLS]
    loaded = {name: (bars[name](), regimes[name]()) for name in shown}
    return render_regimes_page(loaded, summary)
