"""Agents in use: the exported network, and the closed form or TWAP where it was not trained."""

import numpy as np

from tradewind.adaptive.rl.execution import queues, venues
from tradewind.adaptive.rl.execution.observing import SHOWN, Memory, observe, order_of
from tradewind.adaptive.rl.execution.training import Trained, train
from tradewind.errors import BadParameters
from tradewind.learning.models.sequence.exported import make_session
from tradewind.trading.execution.worlds import optimal
from tradewind.trading.execution.worlds.impact import Floats, Policy, View
from tradewind.trading.execution.worlds.order_book import strategies
from tradewind.trading.execution.worlds.tasks import (
    Agent,
    AgentRules,
    ImpactTask,
    SwitchingTask,
    Task,
    TouchTask,
    Trainer,
    VenueTask,
)

SLACK = 0.1  # of the range of an observation in training by which it may be exceeded


class ExecutingAgent:
    """A policy of the worlds that asks the network, and another policy where the network cannot be relied on.

    Attributes:
        orders: that were asked for.
        fallbacks: of them answered by `otherwise`: an observation outside of training, or an answer that is no number.
    """

    def __init__(self, trained: Trained, otherwise: Policy) -> None:
        self.trained, self.otherwise = trained, otherwise
        self.orders = self.fallbacks = 0
        self._session = make_session(trained.network)
        self._memory = Memory(np.zeros(0), np.zeros(0))
        slack = SLACK * (trained.highest - trained.lowest) + 1e-6
        self._lowest, self._highest = trained.lowest - slack, trained.highest + slack

    @property
    def fallback_share(self) -> float:
        """The share of orders that the network did not decide; 0 before the first."""
        return self.fallbacks / self.orders if self.orders else 0.0

    def __call__(self, view: View) -> Floats:
        """The order of a step, (episodes,).

        Args:
            view: what is known before it.
        """
        count, scales = len(view.remaining), self.trained.scales
        if view.step == 0:
            self._memory = Memory(np.zeros(count), np.zeros(count))
        shown, self._memory = observe(np, view, self._memory, scales)
        stacked = np.stack(np.broadcast_arrays(*shown), axis=1)
        inputs = np.zeros((count, scales.steps + SHOWN), dtype=np.float32)
        inputs[:, view.step], inputs[:, scales.steps :] = 1.0, stacked
        action = self._session.run(None, {"observation": inputs})[0][:, 0].astype(np.float64)
        known = np.isfinite(action) & ((stacked >= self._lowest) & (stacked <= self._highest)).all(axis=1)
        self.orders, self.fallbacks = self.orders + count, self.fallbacks + int((~known).sum())
        ours = order_of(action, view, scales)
        return ours if known.all() else np.asarray(np.where(known, ours, self.otherwise(view)))


def closed_form(task: ImpactTask | SwitchingTask) -> Policy:
    """What takes over: the optimum of a world whose value is quadratic, else equal slices of what is left."""
    if isinstance(task, ImpactTask) and task.world.square_root == 0:
        alone = optimal.Regimes([task.world], np.ones((1, 1)), np.ones(1))
        return optimal.single(optimal.solve(alone, task.quantity))
    steps = task.world.steps if isinstance(task, ImpactTask) else task.worlds[0].steps
    return lambda view: view.remaining / (steps - view.step)


def trainer(rules: AgentRules, seed: int) -> Trainer:
    """Agents of as many seeds as the rules name, for each task.

    Args:
        rules: of training.
        seed: of all of them.
    """

    def one_of(task: Task, seeds: list[int]) -> Agent:
        if isinstance(task, VenueTask):
            return venues.VenueAgent(venues.train(task, rules.venues, seeds), task)
        if isinstance(task, TouchTask):
            otherwise = strategies.router_at_touch(task.world)
            return queues.QueueAgent(queues.train(task, rules.queues, seeds), task, otherwise)
        if isinstance(task, ImpactTask | SwitchingTask):
            return ExecutingAgent(train(task, rules, seeds), closed_form(task))
        raise BadParameters(f"no agent learns {type(task).__name__}: its optimum is not known")

    return lambda task: {f"agent_{one}": one_of(task, [seed, 4, one]) for one in range(rules.seeds)}
