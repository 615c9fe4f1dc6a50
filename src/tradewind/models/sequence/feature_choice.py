"""Fewer features for networks that pay for each one: those that say most about the return, none of them twice."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.models.base import feature_names

ALIKE = 0.9  # rank correlation from which on two features say the same
ROWS = 20_000  # evenly spaced: more would not change the order

Floats = NDArray[np.float64]


def choose_features(rows: pd.DataFrame, most: int | None) -> list[str]:
    """At most `most` feature names in their order in the table; all of them for None.

    From training rows only. Taken by turns: the feature with the largest rank correlation (Spearman) with the return,
    then the one with the size of the return. One that is nearly the same as an earlier choice is passed over.
    """
    names = feature_names(rows)
    if most is None or len(names) <= most:
        return names
    sample = rows.iloc[:: max(len(rows) // ROWS, 1)]
    moved = sample["forward_return"].to_numpy(dtype=np.float64)
    ranks = _ranks(sample[names].to_numpy(dtype=np.float64))
    says = [np.abs(ranks.T @ _ranks(target[:, None])[:, 0]) for target in (moved, np.abs(moved))]
    turns = [list(np.argsort(-one, kind="stable")) for one in says]
    chosen: list[int] = []
    while len(chosen) < most and any(turns):
        turn = turns[len(chosen) % 2] or turns[(len(chosen) + 1) % 2]
        candidate = int(turn.pop(0))
        if candidate not in chosen and all(abs(ranks[:, candidate] @ ranks[:, one]) < ALIKE for one in chosen):
            chosen.append(candidate)
    return [names[place] for place in sorted(chosen)]


def _ranks(values: Floats) -> Floats:
    """Ranks of each column, centred, of length one; missing values in the middle, a constant column zero."""
    ranked = pd.DataFrame(values).rank().to_numpy()
    centred = np.nan_to_num(ranked - np.nanmean(ranked, axis=0, keepdims=True))
    length = np.sqrt((centred**2).sum(axis=0))
    return np.asarray(np.divide(centred, length, out=np.zeros_like(centred), where=length > 0))
