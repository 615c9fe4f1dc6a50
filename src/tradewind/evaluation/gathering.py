"""Which models' tables a run judges: those that it lists and that are there."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pandas as pd

from tradewind.errors import BadData
from tradewind.learning.models import catalogue

logger = logging.getLogger(__name__)

Card = Mapping[str, Any]
Partitions = Mapping[str, Callable[[], pd.DataFrame]]
AGENTS_STAGE = "reinforcement_learning"
JUDGED, MISSING, LEFT_OVER = "judged", "missing", "left over"
# Of a model that knows no direction only its distributions are shown: it is scored and never traded.
WITHOUT_DIRECTION = ("horizon_metrics",)


class Gathered(NamedTuple):
    """The tables of a run by what they hold, each as `STAGE/MODEL`, and what is said of every model."""

    forecasts: list[str]
    seed_forecasts: list[str]
    horizon_forecasts: list[str]
    path_forecasts: list[str]
    agent_positions: list[str]
    seed_positions: list[str]
    model_coverage: pd.DataFrame


def gather_forecasts(cards: Sequence[Card], models: Sequence[str], agents: Sequence[str]) -> Gathered:
    """The forecasts and positions of the models and agents that a run lists, as far as they are there.

    What is listed and not there is missing; what is there and not listed was left by an earlier run, and is not read.
    Both are said in the log and in the table.

    Args:
        cards: what the stages have written: stage, model, family, tables.
        models: the models of the run by their names in the catalogue.
        agents: its agents.

    Returns:
        The tables in the order of the lists, and model_coverage: model, stage, family, state (judged, missing, left
        over).

    Raises:
        BadData: none of the models is there.
    """
    listed = {name: catalogue.stage_of(name) for name in models} | dict.fromkeys(agents, AGENTS_STAGE)
    of_model = {str(card["model"]): card for card in cards if {"forecasts", "positions"} & set(card["tables"])}
    listed_cards = [of_model[name] for name in listed if name in of_model]
    if not any("forecasts" in card["tables"] for card in listed_cards):
        raise BadData(
            f"there are no forecasts of {', '.join(models)} to judge: run a stage that makes some, such as classifier"
        )

    def holding(table: str, among: Iterable[Card] = listed_cards) -> list[str]:
        return [f"{card['stage']}/{card['model']}" for card in among if table in card["tables"]]

    return Gathered(
        holding("forecasts"), holding("seed_forecasts"), holding("horizon_forecasts"), holding("path_forecasts", cards),
        holding("positions"), holding("seed_positions"), _coverage(listed, of_model),
    )  # fmt: skip


def _coverage(listed: Mapping[str, str], of_model: Mapping[str, Card]) -> pd.DataFrame:
    rows = []
    for name, stage in listed.items():
        family = str(of_model[name]["family"]) if name in of_model else ""
        rows.append((name, stage, family, JUDGED if name in of_model else MISSING))
        if name not in of_model:
            logger.warning("%s is not judged: it is missing; kedro run --pipelines %s makes it", name, stage)
    for name, card in sorted(of_model.items()):
        if name not in listed:
            rows.append((name, str(card["stage"]), str(card["family"]), LEFT_OVER))
            logger.warning("%s is not judged: an earlier run left it, and this one does not list it", name)
    return pd.DataFrame(rows, columns=["model", "stage", "family", "state"]).astype("str")


def gather_reports(reports: Sequence[Card], coverage: pd.DataFrame) -> list[str]:
    """The tables of the judged models and agents in the report, as `STAGE.MODEL/TABLE`.

    Args:
        reports: what each model has made for it: stage, model, family, tables.
        coverage: which models are judged, in their order.

    Returns:
        The tables by model; of one that knows no direction its distributions alone, and its trials if it has any.
    """
    of_model = {str(report["model"]): report for report in reports}
    judged = coverage.loc[coverage["state"] == JUDGED, "model"]
    for name in judged[~judged.isin(of_model)]:
        logger.warning("%s has no tables in the report: its stage was not run to its end", name)
    return [
        f"{report['stage']}.{report['model']}/{table}"
        for report in (of_model[name] for name in judged if name in of_model)
        for table in report["tables"]
        if catalogue.is_traded(str(report["model"])) or table in WITHOUT_DIRECTION
    ]


def tables_of(tables: Partitions, kind: str) -> list[pd.DataFrame]:
    """Those of one kind among the tables in the report, model by model."""
    return [load() for name, load in tables.items() if PurePosixPath(name).name == kind]


def loaded(tables: Partitions) -> list[pd.DataFrame]:
    """All of them, in their order."""
    return [load() for load in tables.values()]
