"""A statistical jump model, inferred online: clusters of what lately was, with a price for every change of cluster."""

from typing import Annotated, Any, ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pydantic import Field

from tradewind.errors import BadData
from tradewind.learning.features.packing import Arrays
from tradewind.learning.regimes.base import REGIMES, Bools, Floats, RegimeModel, RegimeRules
from tradewind.learning.regimes.naming import Behaviour, name_states

DESCRIBED = 3  # how the last bars are described: drift, log deviation, reversal
CLIP = 3.0
MOST_ROUNDS = 100


class JumpRules(RegimeRules):
    """The clusters and the price of a change.

    Attributes:
        clusters: how many.
        penalty: what a change costs, in units of half the squared distance of standardised descriptions.
        half_life_bars: of the averages that describe the last bars; the deviation's is a quarter of it.
        starts: random ones, of which the best is kept.
    """

    clusters: Annotated[int, Field(ge=2, le=8)] = 4
    penalty: Annotated[float, Field(ge=0)] = 30.0
    half_life_bars: Annotated[float, Field(gt=0)] = 24.0
    starts: Annotated[int, Field(ge=1, le=100)] = 8


@njit(cache=True, nogil=True)
def describe(moves: Floats, starts: Bools, averages: Floats, decays: Floats) -> Floats:
    """Drift over deviation, log deviation and reversal of the last bars by exponential averages, (bars, 3).

    Args:
        moves: standardised returns.
        starts: True where a segment begins: the averages start anew.
        averages: weight, mean, square, product of neighbours, quick weight, quick square, last move; moved on in place.
        decays: of the slow and of the quick averages.
    """
    out = np.full((len(moves), 3), np.nan)
    for bar in range(len(moves)):
        if starts[bar]:
            averages[:] = 0.0
            averages[6] = np.nan
        move = moves[bar]
        if np.isnan(move):
            continue
        before = 0.0 if np.isnan(averages[6]) else averages[6]
        slow, quick = decays[0], decays[1]
        averages[0] = slow * averages[0] + 1.0
        averages[1] = slow * averages[1] + move
        averages[2] = slow * averages[2] + move * move
        averages[3] = slow * averages[3] + move * before
        averages[4] = quick * averages[4] + 1.0
        averages[5] = quick * averages[5] + move * move
        averages[6] = move
        square = max(averages[2] / averages[0], 1e-12)
        out[bar, 0] = averages[1] / averages[0] / np.sqrt(square)
        out[bar, 1] = 0.5 * np.log(max(averages[5] / averages[4], 1e-12))
        out[bar, 2] = averages[3] / averages[0] / square
    return out


@njit(cache=True, nogil=True)
def advance_values(described: Floats, starts: Bools, centres: Floats, penalty: float, values: Floats) -> Floats:
    """The least cost of a path that ends in each cluster, after each bar; `values` is moved on in place.

    `values` is NaN before the first description of a segment. Only differences matter: the smallest is kept at 0.

    Args:
        described: descriptions of the bars, shape (bars, 3); NaN where there is none.
        starts: True where a segment begins, shape (bars,).
        centres: of the clusters, shape (clusters, 3).
        penalty: of a change, in units of half a squared distance.
        values: shape (clusters,); NaN before the first description of a segment.

    Returns:
        Shape (bars, clusters); only differences within a bar mean anything.
    """
    out = np.empty((len(described), len(centres)))
    for bar in range(len(described)):
        if starts[bar]:
            values[:] = np.nan
        if not np.isnan(described[bar, 0]):
            least = 0.0 if np.isnan(values[0]) else values.min()
            for k in range(len(centres)):
                loss = 0.0
                for j in range(described.shape[1]):
                    loss += 0.5 * (described[bar, j] - centres[k, j]) ** 2
                staying = 0.0 if np.isnan(values[k]) else values[k]
                values[k] = loss + min(staying, least + penalty)
            values -= values.min()
        out[bar] = values
    return out


@njit(cache=True, nogil=True)
def best_path(described: Floats, centres: Floats, penalty: float) -> tuple[NDArray[np.int64], float]:
    """The cheapest path of clusters through a past, and its cost (dynamic programming).

    Args:
        described: descriptions without NaN, shape (bars, 3).
        centres: of the clusters, shape (clusters, 3).
        penalty: of a change, in units of half a squared distance.

    Returns:
        One cluster a bar, and the sum of half squared distances and penalties.
    """
    bars, count = len(described), len(centres)
    values, path = np.zeros((bars, count)), np.empty(bars, dtype=np.int64)
    for bar in range(bars):
        least = values[bar - 1].min() if bar else 0.0
        for k in range(count):
            loss = 0.0
            for j in range(described.shape[1]):
                loss += 0.5 * (described[bar, j] - centres[k, j]) ** 2
            values[bar, k] = loss + (min(values[bar - 1, k], least + penalty) if bar else 0.0)
    path[-1] = values[-1].argmin()
    for bar in range(bars - 1, 0, -1):
        there = path[bar]
        chosen, cost = 0, np.inf
        for k in range(count):
            cost_from_k = values[bar - 1, k] + (0.0 if k == there else penalty)
            if cost_from_k < cost:
                chosen, cost = k, cost_from_k
        path[bar - 1] = chosen
    return path, values[-1].min()


class JumpModel(RegimeModel):
    """Clusters of the last bars' drift, deviation and reversal (Nystrup, Lindstrom and Madsen 2020)."""

    name: ClassVar[str] = "jump"
    rules_class: ClassVar[type[RegimeRules]] = JumpRules
    centres: Floats

    def _learn(self, moves: Floats, starts: Bools) -> None:
        described = describe(moves, starts, self._averages(), self._decays)
        rows = described[~np.isnan(described[:, 0])]
        self.mean, self.spread = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-9)
        rows = self._scaled(rows)
        rng = np.random.default_rng(self.seed)
        tried = [self._descend(rows, rows[rng.choice(len(rows), self.rules.clusters, replace=False)])
                 for _ in range(self.rules.starts)]  # fmt: skip
        self.centres, path, _ = min(tried, key=lambda one: one[2])
        is_described = ~np.isnan(described[:, 0])
        before = np.concatenate([[np.nan], moves[:-1]])[is_described]
        self.names = name_states(_behaviour(moves[is_described], before, path, self.rules.clusters))
        self._member = (self.names[:, None] == np.arange(len(REGIMES))).astype(np.float64)
        self.stay = _stays(self.names[self.labels(rows)], self.rules.horizon_bars)

    def _descend(self, rows: Floats, centres: Floats) -> tuple[Floats, NDArray[np.int64], float]:
        """Path and centres in turn, until the cost falls no more."""
        before = np.inf
        path, cost = best_path(rows, centres, self.rules.penalty)
        for _ in range(MOST_ROUNDS):
            if before - cost < 1e-8:
                break
            before = cost
            centres = np.array(
                [rows[path == k].mean(axis=0) if (path == k).any() else centres[k] for k in range(len(centres))]
            )
            path, cost = best_path(rows, centres, self.rules.penalty)
        return centres, path, float(cost)

    @property
    def _decays(self) -> Floats:
        slow = 0.5 ** (1.0 / self.rules.half_life_bars)
        return np.array([slow, slow**4])

    def _averages(self) -> Floats:
        return np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, np.nan])

    def _scaled(self, described: Floats) -> Floats:
        return np.asarray(np.clip((described - self.mean) / self.spread, -CLIP, CLIP))

    def _begin(self) -> Arrays:
        return {"averages": self._averages(), "values": np.full(self.rules.clusters, np.nan)}

    def _advance(self, state: Arrays, moves: Floats, starts: Bools) -> tuple[Arrays, Floats, Floats]:
        averages, values = state["averages"], state["values"]
        described = self._scaled(describe(moves, starts, averages, self._decays))
        costs = advance_values(described, starts, self.centres, self.rules.penalty, values)
        probabilities = np.zeros((len(moves), len(REGIMES)))
        _shares(costs, self._member, probabilities)
        return {"averages": averages, "values": values}, probabilities, probabilities * self.stay

    def labels(self, described: Floats) -> NDArray[np.int64]:
        """The cluster after each description, from it and those before it alone."""
        values, starts = np.full(self.rules.clusters, np.nan), np.arange(len(described)) == 0
        costs = advance_values(described, starts, self.centres, self.rules.penalty, values)
        return np.asarray(costs.argmin(axis=1))

    def _learnt(self) -> dict[str, Any]:
        names = ("centres", "mean", "spread", "stay", "names")
        return {name: getattr(self, name).tolist() for name in names}

    def _restore(self, learnt: dict[str, Any]) -> None:
        self.centres, self.mean, self.spread, self.stay = (
            np.array(learnt[name], dtype=np.float64) for name in ("centres", "mean", "spread", "stay")
        )
        self.names = np.array(learnt["names"], dtype=np.int64)
        self._member = (self.names[:, None] == np.arange(len(REGIMES))).astype(np.float64)


@njit(cache=True, nogil=True)
def _shares(costs: Floats, member: Floats, out: Floats) -> None:
    """exp(-cost), shared among the clusters and added up by regime; unknown before the first description."""
    for bar in range(len(costs)):
        if np.isnan(costs[bar, 0]):
            out[bar, -1] = 1.0
            continue
        least, total = costs[bar].min(), 0.0
        for k in range(costs.shape[1]):
            total += np.exp(least - costs[bar, k])
        for k in range(costs.shape[1]):
            for regime in range(out.shape[1]):
                out[bar, regime] += np.exp(least - costs[bar, k]) / total * member[k, regime]


def _behaviour(moves: Floats, before: Floats, path: NDArray[np.int64], clusters: int) -> Behaviour:
    drift, reversal, scale, bars = np.zeros(clusters), np.zeros(clusters), np.ones(clusters), np.zeros(clusters)
    for k in range(clusters):
        inside = (path == k) & ~np.isnan(before)
        bars[k] = inside.sum()
        if bars[k] < 3:
            continue
        inside_moves, last = moves[inside], before[inside]
        scale[k] = max(float(inside_moves.std()), 1e-9)
        drift[k] = inside_moves.mean() / scale[k]
        reversal[k] = np.corrcoef(inside_moves, last)[0, 1] if last.std() > 0 else 0.0
    if not bars.sum():
        raise BadData("no bar of the past follows another: no regime can be learnt from it")
    return Behaviour(drift, reversal, scale, bars)


def _stays(regime: NDArray[np.int64], horizon: int) -> Floats:
    """How often each regime outlasted the horizon, counted on the past (one of two where it was never seen)."""
    ends = np.append(np.flatnonzero(np.diff(regime)), len(regime) - 1)
    left = ends[np.searchsorted(ends, np.arange(len(regime)))] - np.arange(len(regime))
    settled = slice(0, max(len(regime) - horizon, 0))
    out = np.empty(len(REGIMES))
    for place in range(len(REGIMES)):
        in_regime = regime[settled] == place
        out[place] = (float((left[settled][in_regime] >= horizon).sum()) + 1.0) / (float(in_regime.sum()) + 2.0)
    return out
