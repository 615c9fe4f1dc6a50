"""A hidden Markov model of Student-t autoregressions times a log-normal volatility factor, one bar after another.

The hidden state is a pair: a regime s, and a node k of a grid for the log of the volatility factor. A standardised
return is Student-t around `drift[s] + carry[s] * last` with scale `scale[s] * exp(nodes[k])`. Regimes and nodes change
independently of each other, so that a step costs S S K + S K K products.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Emission(NamedTuple):
    """Parameters of the model.

    Attributes:
        drift, carry, scale: of each regime, (S,).
        degrees: of freedom of the Student-t; infinite: a normal distribution.
        moves: transition probabilities of the regimes, (S, S).
        share: of each regime in the long run, (S,).
        nodes: log of the volatility factor, (K,).
        grid: transition probabilities of the nodes, (K, K).
        weight: of each node in the long run, (K,).
    """

    drift: Floats
    carry: Floats
    scale: Floats
    degrees: float
    moves: Floats
    share: Floats
    nodes: Floats
    grid: Floats
    weight: Floats


def rouwenhorst(count: int, persistence: float) -> tuple[Floats, Floats, Floats]:
    """A Markov chain with the autocorrelation of an AR(1) and unit variance (Rouwenhorst 1995).

    Args:
        count: of nodes; one stands for no movement at all.
        persistence: autocorrelation from one step to the next.

    Returns:
        Nodes (count,), transition probabilities (count, count), long-run probabilities (count,).
    """
    if count == 1:
        return np.zeros(1), np.ones((1, 1)), np.ones(1)
    stay = (1.0 + persistence) / 2.0
    grid = np.array([[stay, 1.0 - stay], [1.0 - stay, stay]])
    for size in range(3, count + 1):
        wider = np.zeros((size, size))
        wider[:-1, :-1] += stay * grid
        wider[:-1, 1:] += (1.0 - stay) * grid
        wider[1:, :-1] += (1.0 - stay) * grid
        wider[1:, 1:] += stay * grid
        wider[1:-1] /= 2.0
        grid = wider
    nodes = np.linspace(-1.0, 1.0, count) * np.sqrt(count - 1)
    weight = np.array([math.comb(count - 1, place) for place in range(count)]) / 2.0 ** (count - 1)
    return nodes, grid, weight


@njit(cache=True, nogil=True, error_model="numpy")
def _norm(degrees: float) -> float:
    """What the density of a standard Student-t variable is at 0."""
    if math.isinf(degrees):
        return 1.0 / math.sqrt(2.0 * math.pi)
    return math.exp(math.lgamma(0.5 * (degrees + 1.0)) - math.lgamma(0.5 * degrees)) / math.sqrt(degrees * math.pi)


@njit(cache=True, nogil=True, error_model="numpy")
def _density(
    move: float, last: float, model: Emission, factor: Floats, norm: float, out: Floats, tails: Floats
) -> None:
    """Density of the move in every hidden state, and log(1 + ratio^2 / degrees) of each.

    Args:
        move: the standardised return.
        last: the one before it.
        model: the parameters.
        factor: exp(nodes), (K,).
        norm: of `_norm`, which is the same for all moves.
        out: (S, K), filled with the densities.
        tails: (S, K), filled; 0 for a normal distribution.
    """
    degrees, is_normal = model.degrees, math.isinf(model.degrees)
    power = -0.5 * (degrees + 1.0)
    for s in range(len(model.drift)):
        away = move - model.drift[s] - model.carry[s] * last
        for k in range(len(factor)):
            spread = model.scale[s] * factor[k]
            ratio = away / spread
            tails[s, k] = 0.0 if is_normal else math.log(1.0 + ratio * ratio / degrees)
            tail = -0.5 * ratio * ratio if is_normal else power * tails[s, k]
            out[s, k] = norm / spread * math.exp(tail)


@njit(cache=True, nogil=True, error_model="numpy")
def _predict(belief: Floats, model: Emission, between: Floats, out: Floats) -> None:
    """`belief` one bar on: regimes first (kept in `between`), then nodes."""
    count, nodes = belief.shape
    for j in range(count):
        for k in range(nodes):
            total = 0.0
            for i in range(count):
                total += belief[i, k] * model.moves[i, j]
            between[j, k] = total
    for j in range(count):
        for k in range(nodes):
            total = 0.0
            for i in range(nodes):
                total += between[j, i] * model.grid[i, k]
            out[j, k] = total


@njit(cache=True, nogil=True, error_model="numpy")
def _update(belief: Floats, density: Floats) -> float:
    """`belief` after a move of this density, in place; the probability density of the move."""
    total = 0.0
    for s in range(belief.shape[0]):
        for k in range(belief.shape[1]):
            belief[s, k] *= density[s, k]
            total += belief[s, k]
    if not total > 1e-300:  # a move that no state explains leaves the prediction as it is
        for s in range(belief.shape[0]):
            for k in range(belief.shape[1]):
                belief[s, k] = belief[s, k] / density[s, k] if density[s, k] > 0 else 0.0
        return 1e-300
    for s in range(belief.shape[0]):
        for k in range(belief.shape[1]):
            belief[s, k] /= total
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def begin_belief(model: Emission) -> Floats:
    """The long-run probabilities of the hidden states, (S, K)."""
    out = np.empty((len(model.share), len(model.weight)))
    for s in range(out.shape[0]):
        for k in range(out.shape[1]):
            out[s, k] = model.share[s] * model.weight[k]
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def filter_moves(
    moves: Floats, starts: Bools, model: Emission, belief: Floats, last: float, out: Floats, log_density: Floats
) -> float:
    """Probabilities of the regimes after each move, from that move and those before it alone.

    Args:
        moves: standardised returns, NaN where there is none.
        starts: True where a bar begins a segment: what is believed starts anew.
        model: the parameters.
        belief: probabilities of the hidden states (S, K) before the first move, moved on in place.
        last: the move before the first, NaN if there is none.
        out: (bars, S), filled with the probabilities.
        log_density: (bars,), filled with the log density of each move given those before it, 0 where there is none.

    Returns:
        The last move.
    """
    factor, norm = np.exp(model.nodes), _norm(model.degrees)
    between, ahead = np.empty_like(belief), np.empty_like(belief)
    density, tails = np.empty_like(belief), np.empty_like(belief)
    for bar in range(len(moves)):
        if starts[bar]:
            belief[:] = begin_belief(model)
            last = np.nan
        else:
            _predict(belief, model, between, ahead)
            belief[:] = ahead
        log_density[bar] = 0.0
        if not np.isnan(moves[bar]):
            _density(moves[bar], 0.0 if np.isnan(last) else last, model, factor, norm, density, tails)
            log_density[bar] = math.log(_update(belief, density))
        last = moves[bar]
        for s in range(belief.shape[0]):
            total = 0.0
            for k in range(belief.shape[1]):
                total += belief[s, k]
            out[bar, s] = total
    return last


@njit(cache=True, nogil=True, error_model="numpy")
def expectations(moves: Floats, starts: Bools, model: Emission) -> tuple[float, Floats, Floats, Floats, Floats]:
    """What EM needs of the whole past: forwards, backwards.

    Args:
        moves: standardised returns, shape (bars,); NaN where there is none.
        starts: True where a segment begins, shape (bars,).
        model: the present parameters, of S regimes and K nodes.

    Returns:
        Log likelihood; expected moves between regimes (S, S); for each regime (S, 6) the weighted sums of 1, x, x x, y,
        x y, y y and its occupancy (S, 7), with y the move and x the one before, weighted by the Student-t and factor
        weights; (3,) the sum of log weight - weight over all, of node square and of neighbouring nodes' product (in
        units of the factor's deviation if nodes are); and (2,) how many moves and steps there were.
    """
    bars, count, nodes = len(moves), len(model.drift), len(model.nodes)
    factor, norm, heaviest = np.exp(model.nodes), _norm(model.degrees), math.log(1.0 + 1.0 / model.degrees)
    forward = np.empty((bars, count, nodes))
    densities, tails = np.ones((bars, count, nodes)), np.empty((bars, count, nodes))
    scaling = np.ones(bars)
    belief, between, ahead = begin_belief(model), np.empty((count, nodes)), np.empty((count, nodes))
    last, total = np.nan, 0.0
    for bar in range(bars):
        if starts[bar] or bar == 0:
            belief[:] = begin_belief(model)
            last = np.nan
        else:
            _predict(belief, model, between, ahead)
            belief[:] = ahead
        if not np.isnan(moves[bar]):
            _density(
                moves[bar], 0.0 if np.isnan(last) else last, model, factor, norm, densities[bar], tails[bar]
            )  # fmt: skip
            scaling[bar] = _update(belief, densities[bar])
            total += math.log(scaling[bar])
        last = moves[bar]
        forward[bar] = belief
    exchanged, sums, extra, counts = np.zeros((count, count)), np.zeros((count, 7)), np.zeros(3), np.zeros(2)
    backward, weighted, mixed = np.ones((count, nodes)), np.empty((count, nodes)), np.empty((count, nodes))
    for bar in range(bars - 1, -1, -1):
        begins = starts[bar] or bar == 0
        before = np.nan if begins else moves[bar - 1]
        if not np.isnan(moves[bar]):
            x, y = 0.0 if np.isnan(before) else before, moves[bar]
            counts[0] += 1.0
            for s in range(count):
                away = y - model.drift[s] - model.carry[s] * x
                for k in range(nodes):
                    share = forward[bar, s, k] * backward[s, k]
                    sums[s, 6] += share
                    spread = model.scale[s] * factor[k]
                    heavy = (model.degrees + 1.0) / (model.degrees + (away / spread) ** 2)
                    extra[0] += share * (heaviest - tails[bar, s, k] - heavy)  # the log of `heavy`, without a logarithm
                    use = share * heavy / (factor[k] * factor[k])
                    sums[s, 0] += use
                    sums[s, 1] += use * x
                    sums[s, 2] += use * x * x
                    sums[s, 3] += use * y
                    sums[s, 4] += use * x * y
                    sums[s, 5] += use * y * y
        for s in range(count):
            for k in range(nodes):
                extra[1] += forward[bar, s, k] * backward[s, k] * model.nodes[k] ** 2
        if begins:
            backward[:] = 1.0
            continue
        counts[1] += 1.0
        for s in range(count):
            for k in range(nodes):
                weighted[s, k] = backward[s, k] * densities[bar, s, k] / scaling[bar]
        for s in range(count):
            for k in range(nodes):
                value = 0.0
                for other in range(nodes):
                    value += model.grid[k, other] * weighted[s, other]
                mixed[s, k] = value
        earlier = forward[bar - 1]
        _predict(earlier, model, between, ahead)
        for s in range(count):
            for other in range(nodes):
                value = 0.0
                for k in range(nodes):
                    value += between[s, k] * model.nodes[k] * model.grid[k, other]
                extra[2] += value * model.nodes[other] * weighted[s, other]
        for i in range(count):
            for j in range(count):
                for k in range(nodes):
                    exchanged[i, j] += earlier[i, k] * model.moves[i, j] * mixed[j, k]
        for i in range(count):
            for k in range(nodes):
                value = 0.0
                for j in range(count):
                    value += model.moves[i, j] * mixed[j, k]
                backward[i, k] = value
    return total, exchanged, sums, extra, counts
