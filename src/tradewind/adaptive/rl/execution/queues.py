"""Agents that wait in a queue or buy at market: proximal policy optimisation over the book at the touch itself.

The book's events are whole lots, so that there is no gradient through them; the policy gradient is estimated from
episodes (Schulman et al. 2017, "Proximal policy optimization algorithms"), with the room's own learner. The reward of a
step is what it cost, in ticks, so that an episode's sum is the cost of the purchase.
"""

from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray

from tradewind.adaptive.rl.exporting import to_onnx
from tradewind.adaptive.rl.learners import Actor, make_learner
from tradewind.adaptive.rl.parameters import AgentParameters
from tradewind.adaptive.rl.vectorised import OneMarketVecEnv
from tradewind.errors import BadModel
from tradewind.learning.models.sequence.exported import make_session
from tradewind.learning.models.sequence.windows import Standardiser
from tradewind.trading.execution.worlds.order_book.executing import Decision, Policy, View, seen
from tradewind.trading.execution.worlds.order_book.touch import TouchWorld, arrivals, begin, carry_on, paid
from tradewind.trading.execution.worlds.tasks import QueueAgentRules, TouchTask

Observations = NDArray[np.float32]

SHOWN = 10  # numbers
# By how much decisions that buy at market are less likely at first, as a log, and half of it those that join the queue:
# most of all decisions do one or the other, and whoever tries them as often as the rest has bought everything, or given
# away its choice, before it has seen what waiting is worth.
PATIENCE = 4.0


def observe(view: View, world: TouchWorld, lots: int) -> Observations:
    """What an agent is shown: numbers without units, the same in training and in use, (episodes, 10).

    Args:
        view: what is known before a step.
        world: how many orders there may be, and steps.
        lots: of the purchase.
    """
    most = world.most_orders
    spare = view.offered - view.left
    shown = (
        view.left / lots, view.posted, view.ahead / most, view.behind / most, view.offered / most,
        np.full(len(view.left), view.steps_left / world.steps), np.tanh(spare / 2.0), spare <= 0, spare == 1,
        1.0 / (1.0 + view.ahead),
    )  # fmt: skip
    return np.stack([np.asarray(each, dtype=np.float32) for each in shown], axis=1)


def decided(codes: NDArray[np.int64], view: View) -> Decision:
    """Twice the lots to buy at market, and one more where the rest joins the best bid; never more than is left."""
    return Decision(np.minimum(codes // 2, view.left), codes % 2 > 0)


class TouchEpisodes(OneMarketVecEnv):
    """Purchases at the touch side by side; one that is done waits for the others' deadline at no cost."""

    def __init__(self, task: TouchTask, count: int, spread: float, seed: list[int]) -> None:
        """Nothing has begun.

        Args:
            task: the quantity and its world.
            count: episodes side by side.
            spread: each rate of a rollout is multiplied by a number between 1 / (1 + spread) and 1 + spread.
            seed: the only source of randomness.
        """
        super().__init__(
            count, gym.spaces.Box(-1.0, 1.0, (SHOWN,), np.float32), gym.spaces.Discrete(2 * (task.lots + 1))
        )
        self.task, self.spread = task, spread
        self.generator = np.random.default_rng(seed)
        self.decision = Decision(np.zeros(0, np.int64), np.zeros(0, np.bool_))
        self._begin()

    def _begin(self) -> None:
        world, reach = self.task.world, np.log1p(self.spread)
        rates = ("limit_rate", "market_rate", "cancel_rate")
        varied = {name: getattr(world, name) * np.exp(self.generator.uniform(-reach, reach)) for name in rates}
        self.world = world.model_copy(update=varied)
        first, self.uniforms = arrivals(self.world, self.num_envs, self.generator)
        self.books, self.own = begin(self.world, self.task.lots, first)
        self.at, self.cost = 0, np.zeros(self.num_envs)

    def _view(self) -> View:
        return seen(self.books, self.own, self.at, self.world.steps)

    def reset(self) -> Observations:
        """Every episode anew."""
        self._begin()
        return observe(self._view(), self.world, self.task.lots)

    def step_async(self, actions: NDArray[Any]) -> None:
        """Take the decisions."""
        self.decision = decided(np.asarray(actions, dtype=np.int64), self._view())

    def step_wait(self) -> Any:
        """One step of every episode: observations, rewards in ticks, whether it ended, and nothing beside."""
        carry_on(self.world, self.books, self.own, self.at, self.decision, self.uniforms[:, self.at])
        now = paid(self.world, self.books, self.task.lots).cost
        rewards, self.cost, self.at = (self.cost - now).astype(np.float32), now, self.at + 1
        is_over = self.at == self.world.steps
        shown = self.reset() if is_over else observe(self._view(), self.world, self.task.lots)
        return shown, rewards, np.full(self.num_envs, is_over), [{} for _ in range(self.num_envs)]


class TrainedInQueues(NamedTuple):
    """An agent as ONNX: from `observation` (episodes, 10) to `action`, one number a code."""

    network: bytes


def train(task: TouchTask, rules: QueueAgentRules, seed: list[int]) -> TrainedInQueues:
    """An agent for one task.

    Args:
        task: the quantity and its world.
        rules: of training.
        seed: the only source of randomness.

    Raises:
        BadModel: a weight is no number any more.
    """
    world, generator = task.world, np.random.default_rng(seed)
    parameters = AgentParameters(
        n_envs=rules.episodes, n_steps=world.steps, batch_size=rules.batch, n_epochs=rules.epochs, gamma=0.9999,
        gae_lambda=rules.gae_lambda, ent_coef=rules.entropy, learning_rate=rules.learning_rate, hidden=rules.hidden,
        target_kl=None,
    )  # fmt: skip
    episodes = TouchEpisodes(task, rules.episodes, rules.spread, [*seed, 1])
    model = make_learner(parameters, episodes, int(generator.integers(2**31)))
    with torch.no_grad():
        model.policy.action_net.bias[1::2] -= PATIENCE / 2  # the place in the queue cannot be given back
        model.policy.action_net.bias[2:] -= PATIENCE
    model.lr_schedule = lambda left: rules.learning_rate * left
    model.learn(rules.updates * rules.episodes * world.steps)
    if any(not value.isfinite().all() for value in model.policy.state_dict().values()):
        raise BadModel("a weight of the agent is no number: lower agents.queues.learning_rate")
    names = tuple(str(place) for place in range(SHOWN))
    identity = Standardiser(features=names, mean=(0.0,) * SHOWN, deviation=(1.0,) * SHOWN)
    return TrainedInQueues(to_onnx(Actor(model, parameters, True, identity), SHOWN))


class QueueAgent:
    """A policy of the book at the touch that asks the network, and the router where it cannot be relied on.

    Attributes:
        orders: that were asked for.
        fallbacks: of them answered by `otherwise`: the queues are longer than any in training, or an answer is no
            number.
    """

    def __init__(self, trained: TrainedInQueues, task: TouchTask, otherwise: Policy) -> None:
        self.task, self.otherwise = task, otherwise
        self.orders = self.fallbacks = 0
        self._session = make_session(trained.network)

    @property
    def fallback_share(self) -> float:
        """The share of decisions that the network did not make; 0 before the first."""
        return self.fallbacks / self.orders if self.orders else 0.0

    def __call__(self, view: View) -> Decision:
        """The decision before a step.

        Args:
            view: what is known.
        """
        world, lots = self.task.world, self.task.lots
        logits = self._session.run(None, {"observation": observe(view, world, lots)})[0]
        longest = np.maximum(view.ahead + view.behind, view.offered)
        known = np.isfinite(logits).all(axis=1) & (longest <= world.most_orders) & (view.left <= lots)
        self.orders, self.fallbacks = self.orders + len(known), self.fallbacks + int((~known).sum())
        ours = decided(np.nan_to_num(logits).argmax(axis=1), view)
        if known.all():
            return ours
        theirs = self.otherwise(view)
        return Decision(np.where(known, ours.cross, theirs.cross), np.where(known, ours.rest, theirs.rest))
