"""Past rows that a trial asks both versions about, and what is known of the refit beside its own walk-forward."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.learning.models.base import PROBABILITIES, Forecaster
from tradewind.learning.models.calibration import fit_scaling
from tradewind.learning.splits.purged import inner_split
from tradewind.metrics.agreement import FEWEST, agreement_and_ratio
from tradewind.operations.bundle.measuring import edges_of

PAST, ITSELF = "past-features.npy", "itself.json"
MOST = 256  # inputs; of a model over windows each is many rows
NEWEST = 0.25  # the share of the rows that past ones are taken from: it stops and calibrates, and trains hardly


def past_inputs(rows: pd.DataFrame, forecaster: Forecaster, reads_windows: bool) -> NDArray[np.float32]:
    """Inputs of the model, evenly over the newest rows of all symbols: (inputs, features), or windows of them.

    Args:
        rows: model input, in the order of time.
        forecaster: which of their columns are read, and how many bars.
        reads_windows: whether an input has an axis of bars.

    Returns:
        At most `MOST` inputs; none where no symbol has a whole window. Windows may bridge a missing bar.
    """
    bars, parts = forecaster.window_bars, []
    columns = list(forecaster.features)
    newest = rows["timestamp"].quantile(1.0 - NEWEST)
    for _, own in rows.groupby("symbol", sort=True):
        values = own[columns].to_numpy(dtype=np.float32)
        ends = np.flatnonzero((own["timestamp"] >= newest).to_numpy()) + 1
        parts.append([values[end - bars : end] for end in ends[ends >= bars].tolist()])
    several = [one for part in parts for one in part]
    chosen = np.linspace(0, max(len(several) - 1, 0), min(MOST, len(several))).astype(np.int64)
    inputs = np.array([several[at] for at in chosen], dtype=np.float32).reshape(-1, bars, len(columns))
    return inputs if reads_windows else inputs[:, -1]


def about_itself(
    model: Forecaster, rows: pd.DataFrame, calibration_share: float, walk_forward: NDArray[Any],
    symbols: tuple[str, ...],
) -> dict[str, Any]:  # fmt: skip
    """How the refit stands to the labels that calibrated it, and to the folds of its own procedure.

    Args:
        model: the refit.
        rows: the settled rows that it was fitted on.
        calibration_share: of their time, at the end.
        walk_forward: the procedure's edges out of sample, rows of `measuring.EDGES`.
        symbols: of the universe, by whose order those rows number them.

    Returns:
        `slope`: times which its log-probabilities would fit the labels of the rows that calibrated it best: 1 of a
        calibrated model by construction, a third of one that is three times overconfident, next to nothing of an
        inverted one. `agreement` of its signs with the newest quarter of its walk-forward, and `ratio` of its spread to
        that one's; None where fewer than 100 rows are shared or the walk-forward never moves. `rows` and `compared`: of
        how many.
    """
    _, calibrated = inner_split(rows, calibration_share)
    predicted = model.predict(rows, np.ones(len(rows), dtype=np.bool_))
    probability = predicted[PROBABILITIES].to_numpy(np.float64)
    is_present = np.isfinite(probability).all(axis=1)
    chosen = calibrated & is_present
    slope = fit_scaling(probability[chosen], rows["label"].to_numpy()[chosen].astype(np.int8)).slope
    table = rows.loc[is_present, ["symbol", "timestamp"]].assign(
        edge=(probability[:, 2] - probability[:, 0])[is_present]
    )
    own = {(one["symbol"], one["timestamp"]): one["edge"] for one in edges_of(table, symbols)}
    pairs = [(one["edge"], own[key]) for one in walk_forward if (key := (one["symbol"], one["timestamp"])) in own]
    newest = np.array(pairs[-max(int(NEWEST * len(pairs)), FEWEST) :], dtype=np.float64).reshape(-1, 2)
    agreement, ratio = agreement_and_ratio(newest[:, 0], newest[:, 1])
    return {
        "slope": slope, "rows": int(chosen.sum()), "agreement": agreement, "ratio": ratio, "compared": len(newest),
    }  # fmt: skip
