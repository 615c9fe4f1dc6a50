"""What a stage has made, model by model: the edge from those who write tables to those who read them all.

A model writes its tables into files of its own, and then a card that names them. The cards of a stage are gathered,
and evaluation reads the tables that they name (`evaluation.gathering`): however many models there are, it has one input
for all of their forecasts. What is made for people to look at is listed in a second document, since it lies in a later
layer.
"""

from typing import TYPE_CHECKING

from kedro.pipeline import Node

from tradewind.pipelines.deferred import NodeModule

if TYPE_CHECKING:
    from tradewind.pipelines import listing
else:
    listing = NodeModule("tradewind.pipelines.listing")

# What a model of each stage writes for the report; one that is searched has its trials, too.
REPORTED = {
    "classifier": ("fold_metrics", "confusion", "reliability", "importance"),
    "deep_learning": (
        "fold_metrics", "confusion", "reliability", "importance", "horizon_metrics", "epochs", "health", "attention",
        "alarms",
    ),
    "reinforcement_learning": ("behaviour", "responses", "failures", "action_map", "training_log"),
}  # fmt: skip


def listing_nodes(tables: tuple[str, ...], made: list[str]) -> list[Node]:
    """The last two nodes of a model, before they get its namespace.

    Args:
        tables: its datasets of forecasts or positions.
        made: what it makes for people and nobody reads, or what is written last of it.

    Returns:
        The node that writes its card, and the node that lists what the report reads.
    """
    is_agent = "positions" in tables
    read = {"model": "params:name" if is_agent else "params:model.name", "models": "models"}
    return [
        Node(
            listing.write_agent_card if is_agent else listing.write_card,
            read | {name: name for name in tables},
            "card",
            name="write_agent_card" if is_agent else "write_card",
        ),
        Node(listing.list_report, ["card", *made], "report_tables", name="list_report"),
    ]


def gathering_nodes(stage: str, models: tuple[str, ...], cards: tuple[str, ...] = ()) -> list[Node]:
    """The last two nodes of a stage.

    Args:
        stage: its name.
        models: the namespaces of its models in it.
        cards: cards of the stage that are no model's.

    Returns:
        Nodes that gather the cards, and the lists of what the report reads; none where there is nothing to gather.
    """
    every = [*(f"{stage}.{model}.card" for model in models), *cards]
    reports = [f"{stage}.{model}.report_tables" for model in models]
    return [
        *([Node(listing.gather_cards, every, f"{stage}.cards", name="gather_cards")] if every else []),
        *([Node(listing.gather_reports, reports, f"{stage}.report_tables", name="gather_reports")] if reports else []),
    ]
