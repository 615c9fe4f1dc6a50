"""The best schedules that are known by formula, and what they cost: what simulations and solvers are held against."""

from typing import NamedTuple

import numpy as np

from tradewind.errors import BadParameters
from tradewind.trading.execution.worlds.impact import Floats, ImpactWorld


class Known(NamedTuple):
    """A known optimum: orders of each step, (steps,), and the expected cost in account currency, penalty included."""

    orders: Floats
    cost: float


def almgren_chriss(world: ImpactWorld, quantity: float) -> Known:
    """The optimum under permanent and temporary linear impact and risk aversion (Almgren and Chriss 2001, eq. 17-20).

    A step lasts 1, and `inventory_penalty` is risk aversion times the variance of a step.

    Args:
        world: without transient impact, signal and square-root impact.
        quantity: units, signed.

    Raises:
        BadParameters: the world has what the formula does not know, or no cost of trading quickly.
    """
    _only(world, "almgren_chriss", transient=0.0, square_root=0.0, signal_volatility=0.0)
    eta = world.convexity
    if eta <= 0:
        raise BadParameters("almgren_chriss needs a temporary impact above half of the permanent one")
    count, size = world.steps, abs(quantity)
    fixed = 0.5 * world.permanent * size**2 + world.half_spread * size
    kappa = np.arccosh(1.0 + world.inventory_penalty / (2.0 * eta))
    if kappa < 1e-12:
        return Known(np.full(count, quantity / count), fixed + eta * size**2 / count)
    ends = np.arange(count + 1)
    left = quantity * np.sinh(kappa * (count - ends)) / np.sinh(kappa * count)
    trading = eta * size**2 * np.tanh(kappa / 2) * (np.sinh(2 * kappa * count) + 2 * count * np.sinh(kappa)) / (
        2 * np.sinh(kappa * count) ** 2
    )  # fmt: skip
    variance = 0.5 * size**2 * (
        np.sinh(kappa * count) * np.cosh(kappa * (count - 1)) - count * np.sinh(kappa)
    ) / (np.sinh(kappa * count) ** 2 * np.sinh(kappa))  # fmt: skip
    # Equation 20 measures the risk of what is left after each of the steps but the last, which leaves nothing.
    risk = world.inventory_penalty * variance
    return Known(-np.diff(left), float(fixed + trading + risk))


def obizhaeva_wang(world: ImpactWorld, quantity: float) -> Known:
    """The optimum under transient impact that decays exponentially: a block at both ends, equal orders between them.

    Obizhaeva and Wang (2013), in the discrete form of Alfonsi, Fruth and Schied (2010, "Optimal execution strategies in
    limit order books with general shape functions").

    Args:
        world: with transient impact, without temporary and square-root impact, signal and penalty; `own_share` 1/2.
        quantity: units, signed.

    Raises:
        BadParameters: the world has what the formula does not know.
    """
    _only(
        world, "obizhaeva_wang", temporary=0.0, square_root=0.0, signal_volatility=0.0, inventory_penalty=0.0,
        own_share=0.5,
    )  # fmt: skip
    size, count, kept = abs(quantity), world.steps, world.decay
    fixed = 0.5 * world.permanent * size**2 + world.half_spread * size
    if count == 1:
        return Known(np.array([quantity]), fixed + 0.5 * world.transient * size**2)
    spread_out = 2.0 + (count - 2) * (1.0 - kept)
    orders = np.full(count, quantity * (1.0 - kept) / spread_out)
    orders[[0, -1]] = quantity / spread_out
    return Known(orders, float(fixed + 0.5 * world.transient * size**2 * (1.0 + kept) / spread_out))


def _only(world: ImpactWorld, formula: str, **fixed: float) -> None:
    wrong = [f"{name}={getattr(world, name)}" for name, value in fixed.items() if getattr(world, name) != value]
    if wrong:
        expected = ", ".join(f"{name}={value}" for name, value in fixed.items())
        raise BadParameters(f"{formula} knows only worlds with {expected}: found {', '.join(wrong)}")
