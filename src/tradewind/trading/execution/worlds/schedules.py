"""Orders that are fixed beforehand: all at once, equal slices, slices by volume, or any other schedule."""

import numpy as np

from tradewind.trading.execution.worlds.impact import Floats, ImpactWorld, Policy


def fixed(orders: Floats) -> Policy:
    """The policy that follows a schedule, whatever happens.

    Args:
        orders: of each step, (steps,), in units.
    """
    return lambda view: np.full(len(view.remaining), orders[view.step])


def at_once(world: ImpactWorld, quantity: float) -> Floats:
    """One market order at arrival, (steps,).

    Args:
        world: how many steps there are.
        quantity: units, signed.
    """
    orders = np.zeros(world.steps)
    orders[0] = quantity
    return orders


def equal_slices(world: ImpactWorld, quantity: float) -> Floats:
    """TWAP, (steps,).

    Args:
        world: how many steps there are.
        quantity: units, signed.
    """
    return np.full(world.steps, quantity / world.steps)


def by_volume(world: ImpactWorld, quantity: float) -> Floats:
    """VWAP: in proportion to the volume of the steps, (steps,).

    Args:
        world: whose volumes.
        quantity: units, signed.
    """
    volumes = world.volume_profile
    return np.asarray(quantity * volumes / volumes.sum())
