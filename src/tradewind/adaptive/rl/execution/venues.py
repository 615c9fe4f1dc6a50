"""Agents that split an order over venues, trained by the exact gradient of its cost.

A refusal does not depend on what was sent, and what an order takes of the levels is piecewise linear in its size, so
that the cost has a gradient through the venues' own equations (`worlds.venues.fill`), as in `training`.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from tradewind.adaptive.rl.execution.training import ScheduleNetwork, descend, seeded
from tradewind.adaptive.rl.exporting import to_onnx
from tradewind.learning.models.sequence.exported import make_session
from tradewind.trading.execution.worlds.impact import Floats
from tradewind.trading.execution.worlds.tasks import VenueAgentRules, VenueTask
from tradewind.trading.execution.worlds.venues import (
    Splitter,
    VenueView,
    VenueWorld,
    by_route,
    fill,
    ladder,
)

DEPTH = 12  # levels of each book that are shown
SLACK = 0.1  # of the range of an observation in training by which it may be exceeded


class TrainedOverVenues(NamedTuple):
    """An agent as ONNX.

    Attributes:
        network: from `observation` (episodes, rounds + shown) to `action` (episodes, venues), logits of the shares.
        lowest: of each observation beside the round in training.
        highest: the same.
        costs: mean of each update, in units of the first.
    """

    network: bytes
    lowest: Floats
    highest: Floats
    costs: Floats


def observe(lib: Any, left: Any, sizes: Any, quantity: float) -> Any:
    """What an agent is shown beside the round: what is left, and what each venue offers down to each of its near
    levels, and, less closely, in all; in units of the quantity, (episodes, shown).

    Args:
        lib: numpy or torch.
        left: units, (episodes,).
        sizes: units at each level, (episodes, venues, levels).
        quantity: of the whole purchase.
    """
    near = sizes[:, :, :DEPTH].cumsum(-1).reshape(len(sizes), -1) / quantity
    return lib.concatenate([left[:, None] / quantity, near, lib.tanh(sizes.sum(-1) / quantity)], 1)


class SplitNetwork(ScheduleNetwork):
    """Two layers and a line beside them, with a logit for each venue; equal shares at first."""

    def __init__(self, width: int, hidden: int, venues: int) -> None:
        nn.Module.__init__(self)
        last = nn.Linear(hidden, venues)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(), last)
        self.linear = nn.Linear(width, venues, bias=False)
        nn.init.zeros_(self.linear.weight)


def train(task: VenueTask, rules: VenueAgentRules, seed: list[int]) -> TrainedOverVenues:
    """An agent for one task, trained over venues whose depth and refusals vary from episode to episode.

    Args:
        task: the quantity and its world.
        rules: of training.
        seed: the only source of randomness.

    Raises:
        BadModel: the cost is no number any more.
    """
    world, generator = task.world, np.random.default_rng(seed)
    width = world.rounds + 1 + len(world.venues) * (min(DEPTH, world.levels) + 1)
    network = seeded(lambda: SplitNetwork(width, rules.hidden, len(world.venues)), generator)
    found = descend(
        network, lambda: _episodes(network, task, rules, generator), rules.updates, rules.learning_rate,
        "lower agents.venues.learning_rate",
    )  # fmt: skip
    lowest, highest = (each[world.rounds :] for each in (found.lowest, found.highest))
    return TrainedOverVenues(to_onnx(network, width), lowest, highest, found.costs)


def _episodes(
    network: SplitNetwork, task: VenueTask, rules: VenueAgentRules, generator: np.random.Generator
) -> tuple[Tensor, Floats]:
    world, count, reach = task.world, rules.batch, np.log1p(rules.spread)
    names = len(world.venues)
    varied = np.exp(generator.uniform(-reach, reach, (2, count, names)))
    depth = np.array([venue.depth for venue in world.venues]) * varied[0]
    drawn = generator.gamma(2.0, depth[:, :, None] / 2.0, (count, names, world.levels))
    chance = np.minimum(np.array([venue.refusal for venue in world.venues]) * varied[1], 0.99)
    refused = generator.random((count, world.rounds, names)) < chance[:, None]
    refused[:, -1] = False
    prices, fees = (torch.tensor(each) for each in ladder(world))
    above = prices * (1 + fees[:, None]) - world.mid  # the mid-price's own moves have mean 0 whatever is ordered
    sizes, left = torch.tensor(drawn), torch.full((count,), float(task.quantity), dtype=torch.float64)
    total, seen = torch.zeros(count, dtype=torch.float64), []
    for turn in range(world.rounds):
        shown = observe(torch, left, sizes, task.quantity)
        at = torch.zeros((count, world.rounds), dtype=torch.float64)
        at[:, turn] = 1.0
        inputs = torch.cat([at, shown], dim=1)
        seen.append(inputs.detach().numpy())
        shares = torch.softmax(network(inputs.float()).double(), dim=1)
        sent = torch.where(torch.tensor(refused[:, turn]), 0.0, shares * left[:, None])
        taken = fill(torch, sent, sizes)
        total = total + (taken * above).sum(dim=(1, 2))
        sizes, left = sizes - taken, left - taken.sum(dim=(1, 2))
    # What is left is bought behind the dearest level.
    return (total + left * above.max()).mean(), np.concatenate(seen)


class VenueAgent:
    """A policy of the venues that asks the network, and the router where it cannot be relied on.

    Attributes:
        orders: that were asked for.
        fallbacks: of them answered by the router: an observation outside of training, or an answer that is no number.
    """

    def __init__(self, trained: TrainedOverVenues, task: VenueTask) -> None:
        self.trained, self.task = trained, task
        self.orders = self.fallbacks = 0
        self._otherwise: Splitter = by_route(task.world)
        self._session = make_session(trained.network)
        slack = SLACK * (trained.highest - trained.lowest) + 1e-6
        self._lowest, self._highest = trained.lowest - slack, trained.highest + slack

    @property
    def fallback_share(self) -> float:
        """The share of splits that the network did not decide; 0 before the first."""
        return self.fallbacks / self.orders if self.orders else 0.0

    def __call__(self, view: VenueView) -> Floats:
        """Units for each venue, (episodes, venues).

        Args:
            view: what is known before a round.
        """
        world: VenueWorld = self.task.world
        shown = observe(np, view.left, view.sizes, self.task.quantity)
        at = np.zeros((len(shown), world.rounds))
        at[:, view.turn] = 1.0
        inputs = np.concatenate([at, shown], axis=1).astype(np.float32)
        logits = self._session.run(None, {"observation": inputs})[0].astype(np.float64)
        known = np.isfinite(logits).all(axis=1) & ((shown >= self._lowest) & (shown <= self._highest)).all(axis=1)
        asked = view.left > 0
        self.orders, self.fallbacks = self.orders + int(asked.sum()), self.fallbacks + int((asked & ~known).sum())
        weights = np.exp(np.nan_to_num(logits) - np.nan_to_num(logits).max(axis=1, keepdims=True))
        amounts = weights / weights.sum(axis=1, keepdims=True) * view.left[:, None]
        if known.all():
            return np.asarray(amounts)
        theirs = self._otherwise(view._replace(left=np.where(known, 0.0, view.left)))
        return np.asarray(np.where(known[:, None], amounts, theirs))
