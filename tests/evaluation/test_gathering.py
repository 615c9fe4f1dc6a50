"""A run judges the models that it lists and that are there, and says what it does not judge."""

import logging
from typing import Any

import pandas as pd
import pytest

from tradewind.errors import BadData
from tradewind.evaluation.gathering import gather_forecasts, gather_reports, tables_of

AGENTS = ("ppo", "sac")


def card(stage: str, model: str, family: str, *tables: str) -> dict[str, Any]:
    return {"stage": stage, "model": model, "family": family, "tables": list(tables)}


CARDS = [
    card("classifier", "linear", "linear", "path_forecasts"),  # the paths' own
    card("classifier", "lightgbm", "boosting", "forecasts", "seed_forecasts"),
    card("classifier", "linear", "linear", "forecasts"),
    card("classifier", "xgboost", "boosting", "forecasts", "seed_forecasts"),
    card("deep_learning", "last_value", "baseline", "forecasts", "horizon_forecasts"),
    card("reinforcement_learning", "ppo", "agent", "positions", "seed_positions"),
]


def test_tables_come_in_the_order_of_the_list() -> None:
    found = gather_forecasts(CARDS, ["xgboost", "linear", "lightgbm", "last_value"], ("ppo",))
    assert found.forecasts == [
        "classifier/xgboost", "classifier/linear", "classifier/lightgbm", "deep_learning/last_value",
    ]  # fmt: skip
    assert found.seed_forecasts == ["classifier/xgboost", "classifier/lightgbm"]
    assert found.horizon_forecasts == ["deep_learning/last_value"] and found.path_forecasts == ["classifier/linear"]
    assert found.agent_positions == found.seed_positions == ["reinforcement_learning/ppo"]
    assert set(found.model_coverage["state"]) == {"judged"}


def test_what_is_missing_and_what_was_left_is_said_and_not_read(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = gather_forecasts(CARDS, ["xgboost", "lstm"], AGENTS)
    assert found.forecasts == found.seed_forecasts == ["classifier/xgboost"] and found.horizon_forecasts == []
    state = found.model_coverage.set_index("model")["state"]
    assert state.to_dict() == {
        "xgboost": "judged", "lstm": "missing", "ppo": "judged", "sac": "missing", "last_value": "left over",
        "lightgbm": "left over", "linear": "left over",
    }  # fmt: skip
    said = caplog.text
    assert "lstm is not judged: it is missing; kedro run --pipelines deep_learning makes it" in said
    assert "lightgbm is not judged: an earlier run left it" in said and "xgboost" not in said


def test_a_run_without_any_forecasts_is_refused_with_what_to_run() -> None:
    with pytest.raises(BadData, match="no forecasts of lstm, tft to judge: run a stage"):
        gather_forecasts(CARDS, ["lstm", "tft"], AGENTS)


def test_the_report_has_the_tables_of_the_judged_alone(caplog: pytest.LogCaptureFixture) -> None:
    reports = [
        card("classifier", "xgboost", "boosting", "fold_metrics", "trials"),
        card("classifier", "linear", "linear", "fold_metrics"),
        card("deep_learning", "last_value", "baseline", "fold_metrics", "horizon_metrics"),
    ]
    coverage = gather_forecasts(CARDS, ["xgboost", "last_value"], ("ppo",)).model_coverage
    with caplog.at_level(logging.WARNING):
        found = gather_reports(reports, coverage)
    # What knows no direction is compared by its distributions alone.
    assert found == [
        "classifier.xgboost/fold_metrics", "classifier.xgboost/trials", "deep_learning.last_value/horizon_metrics",
    ]  # fmt: skip
    assert "ppo has no tables in the report" in caplog.text


def test_tables_are_told_apart_by_their_kind() -> None:
    table = pd.DataFrame({"model": ["xgboost"]})
    there = {"classifier.xgboost/importance": lambda: table, "classifier.xgboost/unimportance": lambda: table.iloc[:0]}
    (found,) = tables_of(there, "importance")
    assert found is table and tables_of(there, "trials") == []
