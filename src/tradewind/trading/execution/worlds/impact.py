"""A market in which our own orders move the price: thousands of executions at once, on the same noise for every policy.

One set of equations holds the worlds of the literature as special cases. An order of `n` units (positive: bought) at
step `k` is filled at

    arrival + drift_k + permanent * (bought before + own_share * n) + D_k + transient * n / 2
            + temporary * n + square_root * sign(n) * sqrt(|n| / volume_k) + half_spread * sign(n)

and afterwards D decays: D <- exp(-resilience) * (D + transient * n), while the drift moves on by the signal and by
noise, and the signal F by F <- signal_persistence * F + noise.

- Almgren and Chriss (2001), "Optimal execution of portfolio transactions": `permanent`, `temporary`, `own_share` 0 and
  an `inventory_penalty` of risk aversion times variance.
- Obizhaeva and Wang (2013), "Optimal trading strategy and supply/demand dynamics": `permanent`, `transient`,
  `resilience`.
- Garleanu and Pedersen (2013), "Dynamic trading with predictable returns and transaction costs": a signal, `temporary`
  and an `inventory_penalty`.
- The square-root law (Toth et al. 2011) with a volume profile: `square_root`, `volumes`.
"""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from tradewind.errors import BadParameters
from tradewind.parameters import Parameters

Floats = NDArray[np.float64]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]

PARTS = ("spread", "impact", "drift", "risk")


class ImpactWorld(Parameters):
    """How orders move the price; prices in account currency, quantities in units, time in steps.

    Attributes:
        steps: in which the quantity must be done, the last one takes what is left.
        half_spread: price.
        permanent: price a unit, for good.
        own_share: the share of its own permanent impact that an order pays itself.
        transient: price a unit, which decays.
        resilience: rate of that decay a step.
        temporary: price a unit, for the order alone.
        square_root: price at an order of the whole volume of a step.
        volumes: of each step; empty where every step has the volume 1.
        volatility: of the price a step.
        signal_persistence: of the expected move of the next step.
        signal_volatility: of its innovations.
        inventory_penalty: cost of a unit squared that is left after a step.
        fill_noise: deviation of a fill's price from these equations, price.
    """

    steps: Annotated[int, Field(ge=1, le=10_000)] = 20
    half_spread: NotNegative = 0.0
    permanent: NotNegative = 0.0
    own_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    transient: NotNegative = 0.0
    resilience: NotNegative = 0.0
    temporary: NotNegative = 0.0
    square_root: NotNegative = 0.0
    volumes: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = ()
    volatility: NotNegative = 0.0
    signal_persistence: Annotated[float, Field(ge=0, lt=1)] = 0.0
    signal_volatility: NotNegative = 0.0
    inventory_penalty: NotNegative = 0.0
    fill_noise: NotNegative = 0.0

    @model_validator(mode="after")
    def _one_volume_a_step(self) -> "ImpactWorld":
        if self.volumes and len(self.volumes) != self.steps:
            raise ValueError(f"volumes must hold one number a step: {self.steps} steps, {len(self.volumes)} volumes")
        return self

    @property
    def decay(self) -> float:
        """The share of the transient displacement that is left after a step."""
        return float(np.exp(-self.resilience))

    @property
    def volume_profile(self) -> Floats:
        """Volume of each step, (steps,)."""
        return np.array(self.volumes) if self.volumes else np.ones(self.steps)

    @property
    def convexity(self) -> float:
        """What an order's square costs by itself, given that all must be done (Almgren and Chriss' eta tilde, and half
        of the transient impact): price a unit."""
        return self.temporary + self.transient / 2 + self.permanent * (self.own_share - 0.5)


class Paths(NamedTuple):
    """The noise of many executions, drawn once and given to every policy.

    Attributes:
        price: standard normal, (episodes, steps).
        signal: standard normal, (episodes, steps).
        fill: standard normal, (episodes, steps).
        first_signal: the expected first move in price, (episodes,).
    """

    price: Floats
    signal: Floats
    fill: Floats
    first_signal: Floats


class View(NamedTuple):
    """What a policy knows before it orders at a step; nothing of it is later than that.

    Attributes:
        step: counted from 0.
        remaining: units still to be done, signed, (episodes,).
        displacement: what is left of the transient impact, price, (episodes,).
        signal: the expected next move, price, (episodes,).
        paid: price above arrival at which the last order was filled beyond the displacement and the drift, (episodes,);
            0 at the first step.
        last: the last order, (episodes,).
    """

    step: int
    remaining: Floats
    displacement: Floats
    signal: Floats
    paid: Floats
    last: Floats


Policy = Callable[[View], Floats]


class Executed(NamedTuple):
    """What executions cost against the price at arrival.

    Attributes:
        costs: by part (`PARTS`): half-spread, own impact, what the price did meanwhile, penalty of what was left;
            (episodes, 4), in account currency.
        orders: filled at each step, (episodes, steps).
    """

    costs: Floats
    orders: Floats

    @property
    def total(self) -> Floats:
        """The sum of the parts, (episodes,)."""
        return np.asarray(self.costs.sum(axis=1))


def draw_paths(world: ImpactWorld, episodes: int, generator: np.random.Generator) -> Paths:
    """Noise for `episodes` executions; the signal begins in its stationary distribution.

    Args:
        world: whose steps and signal are drawn.
        episodes: how many.
        generator: the only source of randomness.
    """
    shape = (episodes, world.steps)
    price, signal, fill = (generator.standard_normal(shape) for _ in range(3))
    deviation = world.signal_volatility / np.sqrt(1.0 - world.signal_persistence**2)
    return Paths(price, signal, fill, deviation * generator.standard_normal(episodes))


def execute(world: ImpactWorld | list[ImpactWorld], quantity: float, policy: Policy, paths: Paths,
            regimes: NDArray[np.int64] | None = None) -> Executed:  # fmt: skip
    """Carry out `quantity` by a policy, in every episode.

    Args:
        world: the market; or one a regime, equal in their steps and volumes.
        quantity: units, positive where bought, negative where sold.
        policy: says the order of a step, (episodes,); the last step takes what is left.
        paths: the noise.
        regimes: which world rules at each step, (episodes, steps); only where there are several.

    Raises:
        BadParameters: the quantity is 0 or no number, an order is no number, or worlds and regimes do not fit.
    """
    if not np.isfinite(quantity) or quantity == 0:
        raise BadParameters(f"quantity must be a finite number other than 0: found {quantity}")
    worlds = world if isinstance(world, list) else [world]
    steps, volumes = worlds[0].steps, worlds[0].volume_profile
    episodes = len(paths.first_signal)
    if any(each.steps != steps or each.volumes != worlds[0].volumes for each in worlds):
        raise BadParameters("regimes must agree in their steps and volumes")
    if regimes is None:
        if len(worlds) > 1:
            raise BadParameters("several worlds need regimes: which of them rules at each step")
        regimes = np.zeros((episodes, steps), dtype=np.int64)
    table = np.array([numbers(each) for each in worlds])
    state = arrive(np, float(quantity), paths.first_signal.copy())
    paid, last = np.zeros(episodes), np.zeros(episodes)
    costs, orders = np.zeros((episodes, len(PARTS))), np.zeros((episodes, steps))
    for step in range(steps):
        view = View(step, state.remaining, state.displacement, state.signal, paid, last)
        order = state.remaining if step == steps - 1 else np.broadcast_to(policy(view), (episodes,))
        if not np.isfinite(order).all():
            raise BadParameters(f"step {step}: the policy's order is no finite number")
        noise = (paths.price[:, step], paths.signal[:, step], paths.fill[:, step])
        state, parts, paid = advance(np, state, order, table[regimes[:, step]].T, float(volumes[step]), noise)
        for index, part in enumerate(parts):
            costs[:, index] += part
        orders[:, step], last = order, order
    return Executed(costs, orders)


class State(NamedTuple):
    """Executions under way, (episodes,) each: units left, expected next move, and what the price has moved by."""

    remaining: Any
    signal: Any
    drift: Any
    displacement: Any
    permanent: Any


def arrive(lib: Any, quantity: float, first_signal: Any) -> State:
    """The state before the first order.

    Args:
        lib: numpy, or torch where a gradient through the world is wanted.
        quantity: units, signed.
        first_signal: the expected first move in price, (episodes,).
    """
    still = 0.0 * first_signal
    return State(lib.full_like(first_signal, quantity), first_signal, still, still, still)


def advance(
    lib: Any, state: State, order: Any, world: Any, volume: float, noise: tuple[Any, Any, Any]
) -> tuple[State, tuple[Any, Any, Any, Any], Any]:
    """One step of the market: the module's equations, in numpy or, for their gradient, in torch.

    Args:
        lib: the module whose `sign`, `sqrt` and `abs` are used.
        state: before the order.
        order: units, signed, (episodes,).
        world: `numbers` of the world that rules in each episode, (12, episodes).
        volume: of the step.
        noise: standard normal, of price, signal and fill, (episodes,) each.

    Returns:
        The state afterwards, the costs of the step by part (`PARTS`), and the price above arrival that the fill paid
        beyond displacement and drift.
    """
    spread, lasting, own, kick, decay, temporary, root, volatility, persistence, innovation, penalty, spoilt = world
    size = lib.abs(order)
    by_itself = kick / 2 * order + temporary * order + root * lib.sign(order) * lib.sqrt(
        size / volume
    ) + lasting * own * order + spoilt * noise[2]  # fmt: skip
    remaining = state.remaining - order
    parts = (
        spread * size, order * (state.permanent + state.displacement + by_itself), order * state.drift,
        penalty * remaining**2,
    )  # fmt: skip
    after = State(
        remaining, persistence * state.signal + innovation * noise[1],
        state.drift + state.signal + volatility * noise[0], decay * (state.displacement + kick * order),
        state.permanent + lasting * order,
    )  # fmt: skip
    return after, parts, by_itself


def numbers(world: ImpactWorld) -> tuple[float, ...]:
    """The world as the twelve numbers that `advance` reads."""
    return (
        world.half_spread, world.permanent, world.own_share, world.transient, world.decay, world.temporary,
        world.square_root, world.volatility, world.signal_persistence, world.signal_volatility, world.inventory_penalty,
        world.fill_noise,
    )  # fmt: skip
