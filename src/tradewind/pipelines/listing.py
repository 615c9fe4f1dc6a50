"""Lists of the tables that a model and a stage have made, for the stages that read them."""

from typing import Any

import pandas as pd

from tradewind.learning.models import catalogue
from tradewind.pipelines.listing_nodes import REPORTED

Document = dict[str, Any]


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


def _card(stage: str, model: str, family: str, tables: list[str]) -> Document:
    return {"stage": stage, "model": model, "family": family, "tables": tables}
