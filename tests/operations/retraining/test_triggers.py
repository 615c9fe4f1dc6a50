"""What the monitoring stage has found asks for a retraining, or does not."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.operations.bundles import NAMES, bundle_files, model_rows
from tests.operations.retraining.stages import Stages, candidate, history, retrain
from tradewind.errors import BadData
from tradewind.operations.monitoring.summary import MonitoringRules, watch
from tradewind.operations.registry.records import Reason, Roles
from tradewind.operations.registry.registry import Registry
from tradewind.operations.retraining.course import Asked
from tradewind.operations.retraining.triggers import trigger

TRAINED = 3000  # hours: fewer say too little of what is usual


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return model_rows(1, TRAINED + 900)


def watched(folder: Path, rows: pd.DataFrame) -> Stages:
    """A champion in staging that the monitoring stage has watched over these rows."""
    registry = Registry(folder / "registry")
    registry.register(bundle_files(seed=1, count=TRAINED))
    registry.move("staging", "champion", 1, None, Reason("test", "the first"))
    stages = Stages(folder, candidate())
    found = watch(registry, rows, MonitoringRules(environment="staging"))
    stages.drift, stages.summary = found.drift, found.summary
    return stages


def shifted(rows: pd.DataFrame) -> pd.DataFrame:
    other = rows.copy()
    later = other["timestamp"] > other["timestamp"].iloc[2 * TRAINED - 1]
    other.loc[later & (other["symbol"] == "SIM2"), NAMES[1]] += 3.0
    return other


def test_a_planted_shift_starts_one_and_is_named(tmp_path: Path, rows: pd.DataFrame) -> None:
    stages = watched(tmp_path, shifted(rows))
    stages.drift = stages.drift[stages.drift["kind"] == "features"]
    ended, said = retrain(stages, Asked("drift"))
    assert ended is not None and ended.outcome == "canary"
    assert "retraining 1, drift: changed since training: " in said[0] and f"{NAMES[1]} of SIM2 (" in said[0]
    assert f"{NAMES[1]} of SIM2" in stages.registry.history("staging")[-1].why


def test_a_quiet_table_starts_none(tmp_path: Path, rows: pd.DataFrame) -> None:
    stages = watched(tmp_path, rows)
    kept = stages.drift["kind"] == "features"  # the forecasts of these bundles are drawn at random
    stages.drift, stages.summary = stages.drift[kept], {**stages.summary, "degraded": False}
    assert len(stages.drift) > 0
    for because in ("drift", "degraded"):
        ended, said = retrain(stages, Asked(because))  # type: ignore[arg-type]
        assert ended is None and said == [f"nothing to do: {stages.summary['headline']}"]
    assert history(stages).attempts == () and history(stages).held_back == ()
    assert stages.registry.roles("staging") == Roles(1)


def test_a_change_of_an_earlier_window_is_over() -> None:
    table = pd.DataFrame(
        {
            "symbol": "SIM1", "kind": "features", "window_to": pd.to_datetime(["2023-03-01", "2023-04-01"], utc=True),
            "column": "a", "component": "location", "over_threshold": [9.0, 0.5], "changed": [True, False],
        }
    )  # fmt: skip
    summary = {"environment": "staging", "version": 1, "degraded": True, "headline": "DEGRADED: log loss 1.2"}
    assert trigger("drift", table, summary, 1, "staging") == ""
    assert trigger("drift", table.iloc[:1], summary, 1, "staging") == (
        "changed since training: a of SIM1 (9.0 times its limit)"
    )
    assert trigger("degraded", table, summary, 1, "staging") == "DEGRADED: log loss 1.2"


@pytest.mark.parametrize(
    ("version", "where", "champion", "why"),
    [
        (1, "staging", 2, "monitoring has watched version 1 of staging, and version 2 answers in staging: run"),
        (1, "development", 1, "has watched version 1 of development"),
        (1, "staging", None, "staging has no champion that could have drifted"),
    ],
)
def test_what_was_watched_is_the_champion_or_nothing_is_said_of_it(
    version: int, where: str, champion: Any, why: str
) -> None:
    summary = {"environment": where, "version": version, "degraded": True, "headline": ""}
    with pytest.raises(BadData, match=why):
        trigger("degraded", pd.DataFrame(), summary, champion, "staging")
