"""Nodes of the execution stage; the work is in `tradewind.trading.execution.worlds`."""

import numpy as np
import pandas as pd

from tradewind.reports.execution import render_execution_page
from tradewind.trading.execution.worlds.comparison import ExecutionStudy, compare


def compare_executions(study: ExecutionStudy, seed: int) -> pd.DataFrame:
    """What every policy costs in every world, and its share of the gap to the optimum."""
    return compare(study, np.random.default_rng(seed))


def draw_execution(costs: pd.DataFrame) -> str:
    """The page of costs."""
    return render_execution_page(costs)
