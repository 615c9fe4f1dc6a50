"""Regimes without a model: what lately was stays, and how often each regime is."""

from typing import Annotated, Any, ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pydantic import Field

from tradewind.learning.features.packing import Arrays
from tradewind.learning.regimes.base import (
    RANGING,
    REGIMES,
    TRENDING,
    VOLATILE,
    Bars,
    Bools,
    Floats,
    RegimeModel,
    RegimeRules,
)


class ObservedRules(RegimeRules):
    """When a stretch of bars counts as volatile, trending or ranging.

    Attributes:
        window_bars: length of the stretch.
        volatile_share: this share of the past's stretches, those of the largest moves, is volatile.
        trending_t: t-value of the mean move from which another stretch is trending.
    """

    window_bars: Annotated[int, Field(ge=4, le=10_000)] = 24
    volatile_share: Annotated[float, Field(gt=0, lt=1)] = 0.25
    trending_t: Annotated[float, Field(gt=0)] = 1.0


@njit(cache=True, nogil=True)
def observe(moves: Floats, starts: Bools, window: Floats, filled: int) -> tuple[NDArray[np.float64], int]:
    """Size and t-value of the last bars of each bar, (bars, 2), NaN where the segment is too short.

    Args:
        moves: standardised returns.
        starts: True where a segment begins.
        window: the last moves, oldest first, moved on in place.
        filled: how many of them there are.

    Returns:
        Root mean square and t-value of the mean of the window; how many moves there are at the end.
    """
    out = np.full((len(moves), 2), np.nan)
    length = len(window)
    for bar in range(len(moves)):
        if starts[bar]:
            filled = 0
        if np.isnan(moves[bar]):
            continue
        window[:-1] = window[1:].copy()
        window[-1] = moves[bar]
        filled = min(filled + 1, length)
        if filled == length:
            total, squares = 0.0, 0.0
            for value in window:
                total += value
                squares += value * value
            size = np.sqrt(squares / length)
            out[bar, 0] = size
            out[bar, 1] = total / length / size * np.sqrt(length) if size > 0 else 0.0
    return out, filled


def classify(observed: Floats, wild: float, clear: float) -> NDArray[np.int64]:
    """The observed regime of each bar's stretch (-1 where there is none).

    Args:
        observed: what `observe` gave.
        wild: root mean square from which a stretch is volatile.
        clear: t-value from which it is trending.
    """
    regime = np.where(np.abs(observed[:, 1]) >= clear, TRENDING, RANGING)
    regime = np.where(observed[:, 0] >= wild, VOLATILE, regime)
    return np.asarray(np.where(np.isnan(observed[:, 0]), -1, regime), dtype=np.int64)


class PersistenceModel(RegimeModel):
    """The regime of the last stretch goes on as often as it did in the past: counted, so that it is calibrated."""

    name: ClassVar[str] = "persistence"
    rules_class: ClassVar[type[RegimeRules]] = ObservedRules
    table: Floats

    def _learn(self, moves: Floats, starts: Bools) -> None:
        window = self.rules.window_bars
        observed, _ = observe(moves, starts, np.full(window, np.nan), 0)
        self.wild = float(np.nanquantile(observed[:, 0], 1.0 - self.rules.volatile_share))
        regime = classify(observed, self.wild, self.rules.trending_t)
        segment = np.cumsum(starts)
        now, later = regime[:-window], regime[window:]
        is_known = (now >= 0) & (later >= 0) & (segment[:-window] == segment[window:])
        counts = np.ones((3, 3))
        np.add.at(counts, (now[is_known], later[is_known]), 1.0)
        seen = np.bincount(regime[regime >= 0], minlength=3) + 1.0
        self.shares = seen / seen.sum()
        self.table = self._chances(counts)

    def _chances(self, counts: Floats) -> Floats:
        return np.asarray(counts / counts.sum(axis=1, keepdims=True))

    def _begin(self) -> Arrays:
        return {"window": np.full(self.rules.window_bars, np.nan), "filled": np.zeros(1, dtype=np.int64)}

    def _advance(self, state: Arrays, moves: Floats, starts: Bools) -> tuple[Arrays, Floats, Floats]:
        observed, filled = observe(moves, starts, state["window"], int(state["filled"][0]))
        regime = classify(observed, self.wild, self.rules.trending_t)
        chances = np.vstack([self.table, self.shares])[regime]
        probabilities = np.zeros((len(moves), len(REGIMES)))
        probabilities[:, :3] = chances
        after: Arrays = {"window": state["window"], "filled": np.array([filled], dtype=np.int64)}
        return after, probabilities, probabilities

    def _learnt(self) -> dict[str, Any]:
        return {"wild": self.wild, "table": self.table.tolist(), "shares": self.shares.tolist()}

    def _restore(self, learnt: dict[str, Any]) -> None:
        self.wild = float(learnt["wild"])
        self.table, self.shares = np.array(learnt["table"]), np.array(learnt["shares"])


class ClimatologyModel(PersistenceModel):
    """Every regime as often as it was in the past, whatever the last stretch was."""

    name: ClassVar[str] = "climatology"

    def _chances(self, counts: Floats) -> Floats:
        return np.tile(self.shares, (3, 1))


def regimes_ahead(model: PersistenceModel, history: Bars) -> NDArray[np.int64]:
    """The observed regime of the stretch after each bar, by the model's thresholds; -1 where there is no whole one.

    Args:
        model: fitted.
        history: bars, of which those ahead of a bar are read: for judging alone.
    """
    window = model.rules.window_bars
    moves, starts = model.moves(history)
    observed, _ = observe(moves, starts, np.full(window, np.nan), 0)
    regime, segment = classify(observed, model.wild, model.rules.trending_t), np.cumsum(starts)
    came = np.full(len(regime), -1)
    inside = segment[window:] == segment[:-window]
    came[:-window] = np.where(inside, regime[window:], -1)
    return came
