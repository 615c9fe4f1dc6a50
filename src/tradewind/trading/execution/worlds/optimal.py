"""Best policies by dynamic and by convex programming, where the closed forms end."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import BadParameters
from tradewind.trading.execution.worlds.closed_forms import Known
from tradewind.trading.execution.worlds.impact import Floats, ImpactWorld, Policy, View

ORDER, REMAINING, DISPLACEMENT, SIGNAL = range(4)


class Regimes(NamedTuple):
    """Worlds between which a hidden Markov chain switches.

    Attributes:
        worlds: one a regime, equal in steps and volumes.
        transitions: probability of regime j at the next step given i, (regimes, regimes).
        first: probabilities at the first step, (regimes,).
    """

    worlds: list[ImpactWorld]
    transitions: Floats
    first: Floats

    def draw(self, episodes: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Which world rules at each step, (episodes, steps).

        Args:
            episodes: how many.
            generator: the only source of randomness.
        """
        steps = self.worlds[0].steps
        uniform = generator.random((episodes, steps))
        ruling = np.zeros((episodes, steps), dtype=np.int64)
        ruling[:, 0] = np.searchsorted(np.cumsum(self.first)[:-1], uniform[:, 0], side="right")
        cumulated = np.cumsum(self.transitions, axis=1)[:, :-1]
        for step in range(1, steps):
            ruling[:, step] = (uniform[:, step, None] >= cumulated[ruling[:, step - 1]]).sum(axis=1)
        return ruling


class Plan(NamedTuple):
    """A solved world.

    Attributes:
        quadratics: of (order, remaining, displacement, signal): the cost of a step and of all that follows if that
            order is given, (steps - 1, regimes, 4, 4).
        cost: expected, in account currency, with the regime seen at each step and the signal stationary at first.
    """

    quadratics: Floats
    cost: float


def solve(regimes: Regimes, quantity: float) -> Plan:
    """Backward induction over worlds that are linear and quadratic: the regime of a step is known when it is ordered.

    The value of what is left is quadratic in (remaining, displacement, signal), in each regime (a Riccati recursion
    with jumps: Costa, Fragoso and Marques 2005, "Discrete-time Markov jump linear systems"). The half-spread is paid
    whatever the schedule as long as it does not turn round, and is added as such.

    Args:
        regimes: one or more, without square-root impact.
        quantity: units, signed.

    Raises:
        BadParameters: a world has a square-root impact, or pays for turning round without end.
    """
    worlds, steps = regimes.worlds, regimes.worlds[0].steps
    if any(world.square_root > 0 for world in worlds):
        raise BadParameters("square-root impact is not quadratic: use convex_programme")
    count = len(worlds)
    values, constants = np.zeros((count, 3, 3)), np.zeros(count)
    for index, world in enumerate(worlds):  # the last step takes what is left
        values[index, 0, 0] = world.transient / 2 + world.temporary + world.permanent * world.own_share
        values[index, 0, 1] = values[index, 1, 0] = 0.5
    quadratics = np.zeros((max(steps - 1, 0), count, 4, 4))
    for step in range(steps - 2, -1, -1):
        ahead = np.einsum("ij,jkl->ikl", regimes.transitions, values)
        following = regimes.transitions @ constants
        new_values, new_constants = np.empty_like(values), np.empty(count)
        for index, world in enumerate(worlds):
            cost = _step_cost(world) + _moves(world).T @ ahead[index] @ _moves(world)
            if cost[ORDER, ORDER] <= 0:
                raise BadParameters(f"step {step}: trading quickly costs nothing in world {index}: there is no optimum")
            quadratics[step, index] = cost
            across = cost[ORDER, 1:]
            new_values[index] = cost[1:, 1:] - np.outer(across, across) / cost[ORDER, ORDER]
            new_constants[index] = following[index] + ahead[index, 2, 2] * world.signal_volatility**2
        values, constants = new_values, new_constants
    of_signal = np.array([each.signal_volatility**2 / (1 - each.signal_persistence**2) for each in worlds])
    expected = values[:, 0, 0] * quantity**2 + values[:, 2, 2] * of_signal[0] + constants
    expected += np.array([world.half_spread for world in worlds]) * abs(quantity)
    return Plan(quadratics, float(regimes.first @ expected))


def informed(plan: Plan, ruling: NDArray[np.int64]) -> Policy:
    """The optimal policy of one who sees the regime: a bound for all who do not.

    Args:
        plan: of `solve`.
        ruling: the regime of each step, (episodes, steps).
    """
    return lambda view: _minimise(plan.quadratics[view.step][ruling[:, view.step]], view)


def single(plan: Plan) -> Policy:
    """The optimal policy of a world with one regime.

    Args:
        plan: of `solve`.
    """
    return lambda view: _minimise(plan.quadratics[view.step][np.zeros(len(view.remaining), dtype=np.int64)], view)


class Filtering:
    """A policy that does not see the regime: it weighs the costs of each by the probability that fills gave to it.

    Attributes:
        regimes: the worlds and how they switch.
        plan: of `solve`.
        probabilities: of each regime at the coming step, (episodes, regimes); None before the first.
    """

    def __init__(self, regimes: Regimes, plan: Plan) -> None:
        self.regimes, self.plan = regimes, plan
        self.probabilities: Floats | None = None

    def __call__(self, view: View) -> Floats:
        """The order of a step, (episodes,).

        Args:
            view: what is known before it.
        """
        if view.step == 0 or self.probabilities is None:
            self.probabilities = np.tile(self.regimes.first, (len(view.remaining), 1))
        else:
            self.probabilities = self._updated(self.probabilities, view) @ self.regimes.transitions
        weighed = np.einsum("er,rkl->ekl", self.probabilities, self.plan.quadratics[view.step])
        return _minimise(weighed, view)

    def _updated(self, before: Floats, view: View) -> Floats:
        slopes = np.array(
            [each.transient / 2 + each.temporary + each.permanent * each.own_share for each in self.regimes.worlds]
        )
        noise = np.array([max(each.fill_noise, 1e-12) for each in self.regimes.worlds])
        away = (view.paid[:, None] - slopes * view.last[:, None]) / noise
        likelihood = -0.5 * away**2 - np.log(noise)  # of normal noise, but for a constant
        likelihood += np.log(np.maximum(before, 1e-300))
        weights = np.exp(likelihood - likelihood.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def convex_programme(world: ImpactWorld, quantity: float) -> Known:
    """The best schedule under square-root and linear impact and a penalty, none of it turning round.

    Without a signal the price is a martingale, so that no adaptive policy is better than the best schedule.

    Args:
        world: without a signal.
        quantity: units, signed.

    Raises:
        BadParameters: the world has a signal, or the solver finds no optimum.
    """
    if world.signal_volatility > 0:
        raise BadParameters("convex_programme knows no signal: use solve")
    from scipy.optimize import minimize

    size, steps = abs(quantity), world.steps
    distance = np.abs(np.subtract.outer(np.arange(steps), np.arange(steps)))
    kernel = size**2 * (
        world.transient * world.decay**distance
        + world.permanent * (1.0 - (1.0 - 2.0 * world.own_share) * (distance == 0))
        + 2.0 * world.temporary * (distance == 0)
    )
    root = world.square_root * size**1.5 / np.sqrt(world.volume_profile)
    penalty = world.inventory_penalty * size**2

    def cost(shares: Floats) -> tuple[float, Floats]:
        shares = np.maximum(shares, 0.0)
        left = 1.0 - np.cumsum(shares)
        left[-1] = 0.0
        value = root @ shares**1.5 + 0.5 * shares @ kernel @ shares + penalty * (left @ left)
        slope = 1.5 * root * np.sqrt(shares) + kernel @ shares - 2.0 * penalty * np.cumsum(left[::-1])[::-1]
        return float(value), slope

    start = world.volume_profile / world.volume_profile.sum()
    scale = max(cost(start)[0], 1e-300)
    found = minimize(
        lambda shares: tuple(part / scale for part in cost(shares)), start, jac=True, method="SLSQP",
        bounds=[(0.0, 1.0)] * steps, constraints={"type": "eq", "fun": lambda n: n.sum() - 1.0, "jac": np.ones_like},
        options={"ftol": 1e-15, "maxiter": 1000},
    )  # fmt: skip
    if not np.isfinite(found.x).all() or abs(found.x.sum() - 1.0) > 1e-9:
        raise BadParameters(f"the convex programme has no solution: {found.message}")
    shares = np.maximum(found.x, 0.0)
    return Known(quantity * shares / shares.sum(), cost(shares)[0] + world.half_spread * size)


def _minimise(quadratics: Floats, view: View) -> Floats:
    state = np.column_stack([view.remaining, view.displacement, view.signal])
    across = np.einsum("ek,ek->e", quadratics[:, ORDER, 1:], state)
    return np.asarray(-across / quadratics[:, ORDER, ORDER])


def _step_cost(world: ImpactWorld) -> Floats:
    """Of (order, remaining, displacement, signal): own impact, what the permanent impact and the signal cost the rest,
    and its penalty."""
    order, left = np.array([1.0, 0.0, 0.0, 0.0]), np.array([-1.0, 1.0, 0.0, 0.0])
    displacement, signal = np.array([0.0, 0.0, 1.0, 0.0]), np.array([0.0, 0.0, 0.0, 1.0])
    by_itself = world.transient / 2 + world.temporary + world.permanent * world.own_share
    cost = by_itself * np.outer(order, order) + world.inventory_penalty * np.outer(left, left)
    cost += np.outer(order, displacement) + world.permanent * np.outer(order, left) + np.outer(left, signal)
    return np.asarray((cost + cost.T) / 2)


def _moves(world: ImpactWorld) -> Floats:
    """(order, remaining, displacement, signal) to the next (remaining, displacement, signal), (3, 4)."""
    return np.array(
        [
            [-1.0, 1.0, 0.0, 0.0],
            [world.decay * world.transient, 0.0, world.decay, 0.0],
            [0.0, 0.0, 0.0, world.signal_persistence],
        ]
    )
