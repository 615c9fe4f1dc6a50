"""What is compared: quantities and the worlds in which they are executed, and agents that are trained for them."""

from collections.abc import Callable
from typing import Annotated, Any, Protocol

from pydantic import Field, model_validator

from tradewind.parameters import Parameters
from tradewind.trading.execution.worlds.impact import ImpactWorld, NotNegative
from tradewind.trading.execution.worlds.order_book import executing
from tradewind.trading.execution.worlds.order_book.touch import TouchWorld
from tradewind.trading.execution.worlds.venues import Positive, VenueWorld


class Task(Parameters):
    """What is to be executed.

    Attributes:
        quantity: units, negative for a sale.
        price: at arrival, by which costs are stated in basis points.
    """

    quantity: Annotated[float, Field(allow_inf_nan=False)]
    price: Positive = 100.0


class ImpactTask(Task):
    """A task in one world."""

    world: ImpactWorld


class SwitchingTask(Task):
    """A task in worlds between which a hidden Markov chain switches.

    Attributes:
        worlds: one a regime.
        transitions: rows of probabilities, one a regime.
        first: probabilities of the regimes at the first step.
    """

    worlds: Annotated[tuple[ImpactWorld, ...], Field(min_length=2)]
    transitions: tuple[tuple[NotNegative, ...], ...]
    first: tuple[NotNegative, ...]

    @model_validator(mode="after")
    def _probabilities(self) -> "SwitchingTask":
        count = len(self.worlds)
        rows = (*self.transitions, self.first)
        if len(self.transitions) != count or any(len(row) != count or abs(sum(row) - 1.0) > 1e-9 for row in rows):
            raise ValueError(f"transitions must hold {count} rows, and they and first {count} numbers that sum to 1")
        return self


class VenueTask(Task):
    """A purchase over several venues."""

    world: VenueWorld


class LotsTask(Task):
    """A purchase of whole lots, each a unit."""

    quantity: Annotated[float, Field(ge=1, le=1000, multiple_of=1)]

    @property
    def lots(self) -> int:
        """The quantity as a whole number."""
        return int(self.quantity)


class TouchTask(LotsTask):
    """A purchase at the best prices of a book."""

    world: TouchWorld


class OrderBookTask(LotsTask):
    """A purchase inside the flow of a book; its optimum is not known."""

    world: executing.OrderBookWorld


class VenueAgentRules(Parameters):
    """How agents that split over venues are trained, by the exact gradient.

    Attributes:
        updates: of the weights, each with new episodes.
        batch: episodes an update.
        spread: each venue's depth and refusals are multiplied by a number between 1 / (1 + spread) and 1 + spread.
        hidden: units of each of the two layers.
        learning_rate: at first; it falls to 0 along a cosine.
    """

    updates: Annotated[int, Field(ge=1)] = 500
    batch: Annotated[int, Field(ge=2)] = 256
    spread: NotNegative = 0.2
    hidden: Annotated[int, Field(ge=1, le=1024)] = 64
    learning_rate: Positive = 0.01


class QueueAgentRules(Parameters):
    """How agents that wait in queues are trained, by proximal policy optimisation.

    Attributes:
        updates: rounds of episodes, each from arrival to the deadline.
        episodes: of a round.
        batch: steps a gradient.
        epochs: passes over a round.
        spread: each rate of a round is multiplied by a number between 1 / (1 + spread) and 1 + spread.
        hidden: units of each of the two layers.
        learning_rate: at first; it falls to 0 in a line.
        gae_lambda: of the advantages.
        entropy: what it weighs.
    """

    updates: Annotated[int, Field(ge=1)] = 40
    episodes: Annotated[int, Field(ge=2)] = 256
    batch: Annotated[int, Field(ge=2)] = 1024
    epochs: Annotated[int, Field(ge=1)] = 4
    spread: NotNegative = 0.1
    hidden: Annotated[int, Field(ge=1, le=1024)] = 64
    learning_rate: Positive = 0.003
    gae_lambda: Annotated[float, Field(ge=0, le=1)] = 0.95
    entropy: NotNegative = 0.003


class AgentRules(Parameters):
    """How agents that execute are trained.

    Attributes:
        seeds: agents a world; 0 trains none.
        updates: of the weights, each with new episodes.
        batch: episodes an update.
        spread: every impact, penalty, noise and signal of a training episode is multiplied by a number between
            1 / (1 + spread) and 1 + spread.
        hidden: units of each of the two layers.
        learning_rate: at first; it falls to 0 along a cosine.
        venues: of agents that split over venues.
        queues: of agents that wait in queues.
    """

    seeds: Annotated[int, Field(ge=0, le=100)] = 0
    updates: Annotated[int, Field(ge=1)] = 400
    batch: Annotated[int, Field(ge=2)] = 256
    spread: NotNegative = 0.2
    hidden: Annotated[int, Field(ge=1, le=1024)] = 32
    learning_rate: Positive = 0.01
    venues: VenueAgentRules = VenueAgentRules()
    queues: QueueAgentRules = QueueAgentRules()


class Agent(Protocol):
    """A policy that was trained, with the share of its orders that another policy decided."""

    @property
    def fallback_share(self) -> float: ...

    def __call__(self, view: Any) -> Any:
        """What the policies of its task's world return: an order, a split over venues, a decision in a queue."""
        ...


Trainer = Callable[[Task], dict[str, Agent]]


def train_none(task: Task) -> dict[str, Agent]:
    """No agents."""
    return {}
