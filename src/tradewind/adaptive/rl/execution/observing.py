"""What an agent that executes is shown: numbers without units, the same in training and in use."""

from typing import Any, NamedTuple

import numpy as np

from tradewind.trading.execution.worlds.impact import ImpactWorld, View
from tradewind.trading.execution.worlds.tasks import ImpactTask, SwitchingTask

KEPT = 0.7  # of what earlier fills say about the impact, a step
SHOWN = 6  # numbers beside the step


class Scales(NamedTuple):
    """What observations are divided by.

    Attributes:
        steps: of the task.
        quantity: units, signed.
        displacement: price.
        signal: price.
        slope: what a fill pays at a slice of TWAP, price.
    """

    steps: int
    quantity: float
    displacement: float
    signal: float
    slope: float


class Memory(NamedTuple):
    """Recent fills as a regression of what they paid on their size, (episodes,) each: products and squares."""

    products: Any
    squares: Any


def worlds_of(task: ImpactTask | SwitchingTask) -> list[ImpactWorld]:
    """The task's worlds, one a regime."""
    return [task.world] if isinstance(task, ImpactTask) else list(task.worlds)


def scales_of(task: ImpactTask | SwitchingTask) -> Scales:
    """The scales of a task, of the mean of its worlds."""
    worlds = worlds_of(task)
    steps, size = worlds[0].steps, abs(task.quantity)
    kick = float(np.mean([each.transient for each in worlds])) * size
    signal = float(np.mean([each.signal_volatility / np.sqrt(1 - each.signal_persistence**2) for each in worlds]))
    slope = float(
        np.mean([
            (each.transient / 2 + each.temporary + each.permanent * each.own_share) * size / steps
            + each.square_root * np.sqrt(size / steps) for each in worlds
        ])
    )  # fmt: skip
    return Scales(steps, task.quantity, kick or 1.0, signal or 1.0, slope or 1.0)


def observe(lib: Any, view: View, memory: Memory, scales: Scales) -> tuple[list[Any], Memory]:
    """Six numbers beside the step, (episodes,) each, and the memory with the last fill in it.

    Args:
        lib: numpy or torch.
        view: what is known before the order.
        memory: before the last fill.
        scales: of the task.
    """
    side = 1.0 if scales.quantity > 0 else -1.0
    last = view.last / (scales.quantity / scales.steps)
    paid = side * view.paid / scales.slope
    memory = Memory(KEPT * memory.products + paid * last, KEPT * memory.squares + last * last)
    planned = 1.0 - view.step / scales.steps
    shown = [
        view.remaining / scales.quantity - planned,
        side * view.displacement / scales.displacement,
        side * view.signal / scales.signal,
        lib.tanh(memory.products / (memory.squares + 1e-3)),
        lib.tanh(memory.squares),
        lib.tanh(last / 4.0),
    ]
    return shown, memory


def order_of(action: Any, view: View, scales: Scales) -> Any:
    """Equal slices of what is left, plus the network's number of slices of the whole.

    Args:
        action: the network's output, (episodes,).
        view: what is known before the order.
        scales: of the task.
    """
    return view.remaining / (scales.steps - view.step) + action * (scales.quantity / scales.steps)
