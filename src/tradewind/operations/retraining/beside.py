"""The champion and what may follow it on the same bars: those after the champion's training, new to both of them."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.operations.bundle.contents import DRIFT, Bundle
from tradewind.operations.bundle.drift import PROBABILITIES, log_losses
from tradewind.operations.bundle.measuring import WALK_FORWARD_ROWS
from tradewind.operations.monitoring.drift import references_of
from tradewind.operations.monitoring.performance import forecast_rows, performance_of


class Beside(NamedTuple):
    """Both on the bars after the champion's training: it decides there, and the candidate's walk-forward goes there.

    Attributes:
        degraded: whether monitoring's test finds the champion worse on them than its own walk-forward was.
        rows: with a settled label that both have forecast.
        champion_loss, candidate_loss: mean log loss on them; NaN where there are none.
        edges: `p_up - p_down` of champion and candidate in the order of time, (bars, 2), settled or not.
    """

    degraded: bool
    rows: int
    champion_loss: float
    candidate_loss: float
    edges: NDArray[np.float64]


def beside(champion: Bundle, rows: pd.DataFrame, forecasts: pd.DataFrame) -> Beside | None:
    """Both on the same bars; None where the champion cannot forecast them.

    Args:
        champion: that answers now.
        rows: model input of all symbols with the champion's features and the labels that are settled.
        forecasts: of the candidate's walk-forward: symbol, timestamp, `p_*`.
    """
    if champion.agent is not None or not set(champion.spec.features) <= set(rows):
        return None
    later = rows[rows["timestamp"] > pd.Timestamp(champion.spec.trained_to)].sort_values(["timestamp", "symbol"])
    said = forecast_rows(champion, later)
    is_measured = DRIFT in champion.files and "none" not in references_of(champion)["loss"]
    degraded = is_measured and performance_of(champion, later, said).degraded
    names, keys = list(PROBABILITIES), ["symbol", "timestamp"]
    both = said[keys + names].merge(
        forecasts[keys + names], on=keys, suffixes=("", "_candidate"), validate="one_to_one"
    )
    both = both.merge(later[[*keys, "label"]], on=keys, validate="one_to_one").sort_values(["timestamp", "symbol"])
    mine, theirs = both[names].to_numpy(np.float64), both[[f"{one}_candidate" for one in names]].to_numpy(np.float64)
    label = both["label"].to_numpy(dtype=np.float64, na_value=np.nan)
    known = np.isfinite(label)
    own, other = (float(log_losses(p[known], label[known]).mean()) if known.any() else np.nan for p in (mine, theirs))
    edges = np.column_stack([p[:, 2] - p[:, 0] for p in (mine, theirs)])
    return Beside(degraded, int(known.sum()), own, other, edges[-WALK_FORWARD_ROWS:])
