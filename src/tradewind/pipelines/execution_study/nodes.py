"""Nodes of the execution stage; the work is in `tradewind.trading.execution.worlds`."""

import numpy as np
import pandas as pd

from tradewind.reports.execution import render_execution_page
from tradewind.trading.execution.worlds import arbitrage
from tradewind.trading.execution.worlds.comparison import ExecutionStudy, compare


def compare_executions(study: ExecutionStudy, seed: int) -> pd.DataFrame:
    """What every policy costs in every world, and its share of the gap to the optimum."""
    return compare(study, np.random.default_rng(seed))


def compare_arbitrage(study: ExecutionStudy, seed: int) -> pd.DataFrame:
    """What every rule makes of price differences between venues, beside who knows the future."""
    return arbitrage.compare(study.arbitrage, study.episodes // 10, np.random.default_rng([seed, 1]))


def draw_execution(costs: pd.DataFrame, arbitrage_results: pd.DataFrame) -> str:
    """The page of costs, and of what arbitrage gains."""
    return render_execution_page(costs, arbitrage_results)
