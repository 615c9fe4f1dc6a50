"""The reinforcement_learning stage: one modular pipeline, a namespace for each agent."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kedro.pipeline import Node, Pipeline

from tradewind.learning.models.chosen import chosen_agents
from tradewind.pipelines.deferred import NodeModule
from tradewind.pipelines.listing_nodes import gathering_nodes, listing_nodes
from tradewind.pipelines.reinforcement_learning.outputs import TrainedAgents

if TYPE_CHECKING:
    from tradewind.pipelines.reinforcement_learning import nodes
else:
    nodes = NodeModule("tradewind.pipelines.reinforcement_learning.nodes")

SHARED = ("model_input", "agent_forecasts", "bars", "side_series", "folds")
SEARCH = "params:reinforcement_learning.search"
PARAMETERS = ("params:universe", "params:trading", "params:seed")


def create_pipeline(agents: Sequence[str] | None = None) -> Pipeline:
    """Every agent (those of `params:models`, if none are given) trained and described in its own namespace,
    `reinforcement_learning.AGENT`."""
    names = tuple(chosen_agents() if agents is None else agents)
    forecasting = Node(
        nodes.forecast_for_agents,
        ["model_input", "folds"],
        ["agent_forecasts", "agent_forecasters"],
        name="forecast_for_agents",
    )
    stage = Pipeline(
        [*([forecasting] if names else []), *gathering_nodes("reinforcement_learning", names)],
        namespace="reinforcement_learning",
        prefix_datasets_with_namespace=False,
        tags="reinforcement_learning",
    )
    return sum((_agent_pipeline(agent) for agent in names), start=stage)


def create_search_pipeline(agents: Sequence[str] | None = None) -> Pipeline:
    """Every agent's settings searched in its own namespace; run by name only (`kedro run --pipelines agent_search`)."""
    return sum(
        (
            Pipeline(
                [
                    Node(
                        nodes.search,
                        [*SHARED, "study_storage", "params:name", "params:rules", SEARCH, *PARAMETERS],
                        ["best_parameters", "trials"],
                        name="search",
                    )
                ],
                namespace=f"reinforcement_learning.{agent}",
                inputs={*SHARED, "study_storage"},
                parameters={name: name for name in (SEARCH, *PARAMETERS)},
                tags=["agent_search", agent],
            )
            for agent in (chosen_agents() if agents is None else agents)
        ),
        start=Pipeline([]),
    )


def _agent_pipeline(agent: str) -> Pipeline:
    return Pipeline(
        [
            Node(
                nodes.train,
                [*SHARED, "agent_forecasters", "model_store", "params:name", "params:rules", *PARAMETERS],
                list(TrainedAgents._fields),
                name="train",
            ),
            Node(
                nodes.describe,
                ["transitions", "training_log", "responses"],
                ["behaviour", "failures", "action_map"],
                name="describe",
            ),
            Node(nodes.draw, ["training_log", "action_map"], ["training_figure", "action_figure"], name="draw"),
            *listing_nodes(
                ("positions", "seed_positions"), ["behaviour", "failures", "training_figure", "action_figure"]
            ),
        ],
        namespace=f"reinforcement_learning.{agent}",
        inputs={*SHARED, "agent_forecasters", "model_store"},
        parameters={name: name for name in PARAMETERS},
        tags=["reinforcement_learning", agent],
    )
