"""Fewer features for networks that pay for each one: those that say most about the return, none of them twice."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.learning.models.base import feature_names

ROWS = 20_000  # evenly spaced: more would not change the order
TURNS = ("direction", "direction", "size")

Floats = NDArray[np.float64]


def choose_features(rows: pd.DataFrame, most: int | None) -> list[str]:
    """At most `most` feature names in their order in the table; all of them for None.

    From training rows only. Orthogonal matching pursuit (Pati, Rezaiifar and Krishnaprasad 1993) on ranks: the feature
    that agrees most with what the chosen ones leave unexplained of the return, two times out of three, or of its size.
    So one that says what another has said is not taken.
    """
    names = feature_names(rows)
    if most is None or len(names) <= most:
        return names
    sample = rows.iloc[:: max(len(rows) // ROWS, 1)]
    ranks = _ranks(sample[names].to_numpy(dtype=np.float64))
    moved = sample["forward_return"].to_numpy(dtype=np.float64)
    unexplained = {
        "direction": _ranks(moved[:, None])[:, 0], "size": _ranks(np.abs(moved)[:, None])[:, 0],
    }  # fmt: skip
    axes = np.empty((len(sample), 0))
    chosen: list[int] = []
    for turn in range(most):
        agrees = np.abs(ranks.T @ unexplained[TURNS[turn % len(TURNS)]])
        agrees[chosen] = -1.0
        best = int(np.argmax(agrees))
        chosen.append(best)
        new = ranks[:, best] - axes @ (axes.T @ ranks[:, best])
        length = np.sqrt(new @ new)
        if length > 1e-9:
            axes = np.column_stack([axes, new / length])
            unexplained = {kind: left - axes[:, -1] * (axes[:, -1] @ left) for kind, left in unexplained.items()}
    return [names[place] for place in sorted(chosen)]


def _ranks(values: Floats) -> Floats:
    """Ranks of each column, centred, of length one; missing values in the middle, a constant column zero."""
    ranked = pd.DataFrame(values).rank().to_numpy()
    is_finite = np.isfinite(ranked)
    middle = np.where(is_finite, ranked, 0.0).sum(axis=0) / np.maximum(is_finite.sum(axis=0), 1)
    centred = np.where(is_finite, ranked - middle, 0.0)
    length = np.sqrt((centred**2).sum(axis=0))
    return np.asarray(np.divide(centred, length, out=np.zeros_like(centred), where=length > 1e-12))
