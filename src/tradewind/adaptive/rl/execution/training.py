"""Training by the exact gradient of the cost: the worlds' equations are differentiable, and their noise is known.

A policy gradient by likelihood ratios (REINFORCE, PPO) would estimate the same gradient from samples, with the variance
of the price in it; through the equations (pathwise, Kingma and Welling 2014; Heess et al. 2015, "Learning continuous
control policies by stochastic value gradients") it has none. The price's own noise has mean 0 whatever is ordered,
since the agent is not shown the price: training leaves it out.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tradewind.adaptive.rl.execution.observing import (
    SHOWN,
    Memory,
    Scales,
    observe,
    order_of,
    scales_of,
    worlds_of,
)
from tradewind.adaptive.rl.exporting import to_onnx
from tradewind.errors import BadModel
from tradewind.trading.execution.worlds.impact import Floats, View, advance, arrive, draw_paths, numbers
from tradewind.trading.execution.worlds.optimal import Regimes
from tradewind.trading.execution.worlds.tasks import AgentRules, ImpactTask, SwitchingTask

Network = TypeVar("Network", bound=nn.Module)
# Places in `impact.numbers` that are varied: spread, permanent, transient, temporary, square root, innovation of the
# signal, penalty, noise of the fills.
VARIED = [0, 1, 3, 5, 6, 9, 10, 11]


class Trained(NamedTuple):
    """An agent as ONNX.

    Attributes:
        network: from `observation` (episodes, steps + 6) to `action` (episodes, 1).
        scales: of its task.
        lowest: of each observation beside the step in training, (6,).
        highest: the same.
        costs: mean of each update, in units of the first.
    """

    network: bytes
    scales: Scales
    lowest: Floats
    highest: Floats
    costs: Floats


class ScheduleNetwork(nn.Module):
    """Two layers over the step (one-hot) and the observations; says 0 at first, which is TWAP."""

    units = 0

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        last = nn.Linear(hidden, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(), last)
        self.linear = nn.Linear(width, 1, bias=False)
        nn.init.zeros_(self.linear.weight)

    def forward(self, observations: Tensor) -> Tensor:
        """Actions, (rows, 1)."""
        out: Tensor = self.layers(observations) + self.linear(observations)
        return out

    def begin(self, count: int) -> tuple[Tensor, ...]:
        """Nothing is carried along by the network itself."""
        return ()


@contextmanager
def one_thread() -> Iterator[None]:
    """Networks as small as these take longer on several threads; afterwards there are as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def train(task: ImpactTask | SwitchingTask, rules: AgentRules, seed: list[int]) -> Trained:
    """An agent for one task, trained over worlds whose parameters vary from episode to episode.

    Args:
        task: the quantity and its world or worlds.
        rules: of training.
        seed: the only source of randomness.

    Raises:
        BadModel: the cost is no number any more.
    """
    generator, scales = np.random.default_rng(seed), scales_of(task)
    network = seeded(lambda: ScheduleNetwork(scales.steps + SHOWN, rules.hidden), generator)
    found = descend(
        network, lambda: _episodes(network, task, rules, scales, generator), rules.updates, rules.learning_rate,
        "lower the quantity or agents.learning_rate",
    )  # fmt: skip
    return Trained(to_onnx(network, scales.steps + SHOWN), scales, found.lowest, found.highest, found.costs)


def seeded(make: Callable[[], Network], generator: np.random.Generator) -> Network:
    """A network whose first weights follow from the generator, and from nothing else that torch has drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator.integers(2**31)))
        return make()


class Descent(NamedTuple):
    """What a training saw: the least and the most of each observation, and the mean cost of each update, in units of
    the first."""

    lowest: Floats
    highest: Floats
    costs: Floats


def descend(
    network: nn.Module, episodes: Callable[[], tuple[Tensor, Floats]], updates: int, learning_rate: float, remedy: str
) -> Descent:
    """Lower the mean cost of episodes by its gradient (Adam, the rate falling as a half cosine; Kingma and Ba 2015).

    Args:
        network: whose weights change.
        episodes: new ones at each call: their mean cost, and what the network was shown, (rows, observations).
        updates: how many.
        learning_rate: of the first.
        remedy: what to do where the cost is no number any more.

    Raises:
        BadModel: it is none.
    """
    optimiser = torch.optim.Adam(network.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, updates)
    seen, costs, unit = list[Floats](), np.zeros(updates), 1.0
    with one_thread():
        for update in range(updates):
            cost, shown = episodes()
            unit = (abs(cost.item()) or 1.0) if update == 0 else unit
            costs[update] = cost.item() / unit
            if not np.isfinite(costs[update]):
                raise BadModel(f"update {update}: the cost is no number: {remedy}")
            seen += [shown.min(axis=0), shown.max(axis=0)]
            optimiser.zero_grad()
            (cost / unit).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
    return Descent(np.min(seen, axis=0), np.max(seen, axis=0), costs)


def _episodes(
    network: ScheduleNetwork, task: ImpactTask | SwitchingTask, rules: AgentRules, scales: Scales,
    generator: np.random.Generator,
) -> tuple[Tensor, NDArray[np.float64]]:  # fmt: skip
    worlds, count, steps = worlds_of(task), rules.batch, scales.steps
    paths = draw_paths(worlds[0], count, generator)
    ruling = np.zeros((count, steps), dtype=np.int64)
    if isinstance(task, SwitchingTask):
        ruling = Regimes(worlds, np.array(task.transitions), np.array(task.first)).draw(count, generator)
    table = np.array([numbers(each) for each in worlds])
    varied = np.ones((count, table.shape[1]))
    reach = np.log1p(rules.spread)
    varied[:, VARIED] = np.exp(generator.uniform(-reach, reach, (count, len(VARIED))))
    signal, fill = torch.tensor(paths.signal), torch.tensor(paths.fill)
    state = arrive(torch, task.quantity, torch.tensor(paths.first_signal * varied[:, 9]))
    none = torch.zeros(count, dtype=torch.float64)
    memory, seen = Memory(none, none), []
    paid = last = total = none
    for step in range(steps):
        view = View(step, state.remaining, state.displacement, state.signal, paid, last)
        order = state.remaining
        if step < steps - 1:
            shown, memory = observe(torch, view, memory, scales)
            stacked = torch.stack(shown, dim=1)
            seen.append(stacked.detach().numpy())
            order = order_of(network(_with_step(stacked.float(), step, steps))[:, 0].double(), view, scales)
        world = torch.tensor((table[ruling[:, step]] * varied).T)
        noise = (none, signal[:, step], fill[:, step])
        state, parts, paid = advance(torch, state, order, world, float(worlds[0].volume_profile[step]), noise)
        total, last = total + sum(parts), order
    return total.mean(), np.concatenate(seen) if seen else np.zeros((1, SHOWN))


def _with_step(shown: Tensor, step: int, steps: int) -> Tensor:
    at = torch.zeros((len(shown), steps))
    at[:, step] = 1.0
    return torch.cat([at, shown], dim=1)
