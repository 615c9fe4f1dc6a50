"""Sliding windows over model-input rows: which rows end one, and the values behind them in one index operation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from tradewind.errors import BadData
from tradewind.learning.models.base import feature_names

CLIP = 5.0  # standard deviations: what lies beyond is a tail that would rule every gradient
Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


class Standardiser(BaseModel):
    """Mean and deviation of each feature on the rows that trained; what is missing stands at the mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def fitted(cls, rows: pd.DataFrame, features: Sequence[str] | None = None) -> "Standardiser":
        """Of these features (all, if not given), from training rows only. One that never varies or is never there
        counts for nothing.

        Raises:
            BadData: a feature is infinite.
        """
        names = feature_names(rows) if features is None else list(features)
        values = rows[names].to_numpy(dtype=np.float64)
        if np.isinf(values).any():
            culprit = names[int(np.argmax(np.isinf(values).any(axis=0)))]
            raise BadData(f"feature {culprit} is infinite in the training rows: mend its formula")
        is_finite = np.isfinite(values)
        count = np.maximum(is_finite.sum(axis=0), 1)
        mean = np.where(is_finite, values, 0.0).sum(axis=0) / count
        deviation = np.sqrt((np.where(is_finite, values - mean, 0.0) ** 2).sum(axis=0) / count)
        deviation[deviation < 1e-12] = np.inf
        return cls(
            features=tuple(names), mean=tuple(mean.tolist()),
            deviation=tuple(np.where(np.isinf(deviation), 0.0, deviation).tolist()),
        )  # fmt: skip

    def apply(self, rows: pd.DataFrame) -> Floats:
        """float32 (rows, features), clipped at five deviations.

        Raises:
            BadData: a feature is missing.
        """
        missing = [name for name in self.features if name not in rows.columns]
        if missing:
            raise BadData(f"the network was trained on features that are missing: {', '.join(missing)}")
        return self.scaled(rows[list(self.features)].to_numpy())

    def scaled(self, values: NDArray[Any]) -> Floats:
        """The same of values (rows, features) in the order of `features`."""
        mean, share = self._scale
        return np.clip(np.nan_to_num((values.astype(np.float64) - mean) * share), -CLIP, CLIP).astype(np.float32)

    def filled(self, values: NDArray[Any]) -> Floats:
        """Values (rows, features) as they are, float32; what is missing stands at the mean."""
        return np.where(np.isnan(values), np.array(self.mean), values).astype(np.float32)

    @property
    def _scale(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        deviation = np.array(self.deviation)
        return np.array(self.mean), np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)


@dataclass(frozen=True)
class Windows:
    """`values` (rows, features) in the order of symbol and time, and the rows of it
    that end a whole window.

    `ends` are places in `values`; `source` the places of the same rows in the table that they came from.
    """

    values: Floats
    ends: Rows
    source: Rows
    length: int

    def __len__(self) -> int:
        return len(self.ends)

    def gather(self, chosen: Rows) -> Floats:
        """(chosen, length, features): the windows behind `ends[chosen]`, the oldest bar first."""
        lags = np.arange(1 - self.length, 1)
        return np.asarray(self.values[self.ends[chosen][:, None] + lags])


def make_windows(rows: pd.DataFrame, standardiser: Standardiser, length: int) -> Windows:
    """Every window of `length` rows that neither leaves its symbol nor crosses a gap in time (`window_ends`).

    Args:
        rows: of any number of symbols, in any order.
        standardiser: fitted; gives the features and their order.
        length: bars of a window.

    Returns:
        The windows; `source` says which of the rows ends each.

    Raises:
        BadData: no symbol has a run of rows as long as the window, or a feature is missing.
    """
    order = np.lexsort((rows["timestamp"].dt.tz_localize(None).to_numpy(), rows["symbol"].to_numpy()))
    ordered = rows.iloc[order]
    at = ordered["timestamp"].dt.tz_localize(None).to_numpy().astype("datetime64[ms]").astype(np.int64)
    ends = window_ends(ordered["symbol"].to_numpy(), at, length)
    return Windows(standardiser.apply(ordered), ends, order[ends].astype(np.int64), length)


def window_ends(symbol: NDArray[Any], at: Rows, length: int) -> Rows:
    """The rows that end a whole window, of rows in the order of symbol and time.

    A gap is any step longer than the usual one: after it, windows begin anew.

    Args:
        symbol: of each row, shape (rows,).
        at: time of each row in milliseconds, rising within a symbol.
        length: bars of a window.

    Returns:
        Rising row numbers.

    Raises:
        BadData: no symbol has a run of rows as long as the window.
    """
    step = np.diff(at)
    same = symbol[1:] == symbol[:-1]
    usual = np.median(step[same]) if same.any() else 0
    begins = np.r_[True, ~same | (step > usual)]
    place = np.arange(len(at))
    since = place - np.maximum.accumulate(np.where(begins, place, 0))
    ends = np.flatnonzero(since >= length - 1)
    if not len(ends):
        raise BadData(
            f"no window of {length} bars fits into the history: its longest run without a gap has "
            f"{int(since.max()) + 1 if len(since) else 0}; take a shorter window or more history"
        )
    return ends.astype(np.int64)
