"""What a stage has made, model by model: the edge from those who write tables to those who read them all.

A model writes its tables into files of its own, and then a card that names them. The cards of a stage are gathered,
and evaluation reads the tables that they name (`evaluation.gathering`): however many models there are, it has one input
for all of their forecasts. What is made for people to look at is listed in a second document, since it lies in a later
layer.
"""

from typing import Any

import pandas as pd
from kedro.pipeline import Node

from tradewind.learning.models import catalogue

Document = dict[str, Any]
# What a model of each stage writes for the report; one that is searched has its trials, too.
REPORTED = {
    "classifier": ("fold_metrics", "confusion", "reliability", "importance"),
    "deep_learning": (
        "fold_metrics", "confusion", "reliability", "importance", "horizon_metrics", "epochs", "health", "attention",
        "alarms",
    ),
    "reinforcement_learning": ("behaviour", "responses", "failures", "action_map", "training_log"),
}  # fmt: skip


def write_card(model: str, models: Document, forecasts: pd.DataFrame, **tables: pd.DataFrame) -> Document:
    """Which forecasts a model has written.

    Args:
        model: its name in the catalogue.
        models: the store's keys of its folds, which are written before it is said that it is there.
        forecasts: those of the run's own seed.
        tables: its other tables of forecasts, by the names of their datasets.

    Returns:
        stage, model, family, tables.
    """
    (family,) = forecasts["family"].unique()
    return _card(catalogue.stage_of(model), model, str(family), ["forecasts", *tables])


def write_agent_card(model: str, models: Document, **tables: pd.DataFrame) -> Document:
    """Which positions an agent has written: stage, model, family, tables.

    Args:
        model: name of the agent.
        models: keys of its policies; waited for, so that the card is written last.
        **tables: those that it has written, by the name that evaluation knows them by; only the names are used.

    Returns:
        The card.
    """
    return _card("reinforcement_learning", model, "agent", list(tables))


def list_report(card: Document, *made: Any) -> Document:
    """Which tables of a model the report reads, once all that is made for people has been made."""
    tables = list(REPORTED[card["stage"]]) + (["trials"] if "seed_forecasts" in card["tables"] else [])
    return {**card, "tables": tables}


def gather_cards(*cards: Document) -> list[Document]:
    """The cards of a stage."""
    return sorted(cards, key=lambda card: str(card["model"]))


def gather_reports(*reports: Document) -> list[Document]:
    """The lists of a stage of what the report reads."""
    return sorted(reports, key=lambda report: str(report["model"]))


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
            write_agent_card if is_agent else write_card,
            read | {name: name for name in tables},
            "card",
            name="write_agent_card" if is_agent else "write_card",
        ),
        Node(list_report, ["card", *made], "report_tables", name="list_report"),
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
        *([Node(gather_cards, every, f"{stage}.cards", name="gather_cards")] if every else []),
        *([Node(gather_reports, reports, f"{stage}.report_tables", name="gather_reports")] if reports else []),
    ]


def _card(stage: str, model: str, family: str, tables: list[str]) -> Document:
    return {"stage": stage, "model": model, "family": family, "tables": tables}
