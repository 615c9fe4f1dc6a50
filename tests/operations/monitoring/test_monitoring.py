"""A served model, watched: quiet while nothing changes, right about what did, and never by labels that nobody knows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.operations.bundles import NAMES, TERMS, findings, model_rows
from tradewind.errors import BadModel
from tradewind.learning.models import catalogue
from tradewind.learning.models.walk_forward import TrainingRules, split_training
from tradewind.operations.bundle.contents import DRIFT
from tradewind.operations.bundle.making import Procedure, make_bundle
from tradewind.operations.bundle.sealing import Files
from tradewind.operations.monitoring.summary import MonitoringRules, Watched, watch
from tradewind.operations.registry.records import Reason
from tradewind.operations.registry.registry import Registry
from tradewind.reports.monitoring import render_monitoring_page

TRAINED, LATER = 3000, 1500
RULES = MonitoringRules(environment="development")


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return model_rows(1, TRAINED + LATER)


@pytest.fixture(scope="module")
def files(rows: pd.DataFrame) -> Files:
    past = rows.iloc[: 2 * TRAINED]
    kind = catalogue.model("linear")
    procedure = Procedure("linear", kind.parameters_class(), TrainingRules(max_rounds=10), 7)
    # What the walk-forward said: the model's own forecasts, as good as those that will be watched.
    model = kind(procedure.parameters, 7)

    said = model.fit(split_training(past, procedure.training)).predict(past)[["p_down", "p_flat", "p_up"]]
    found = findings("linear", "go", past)
    forecasts = pd.concat([past[["symbol", "timestamp"]], said.set_axis(past.index)], axis=1)
    return make_bundle(
        procedure, past, TERMS, type(found)(found.verdict, found.leaderboard, forecasts, {"seed": 7}), "2026-01-01"
    )


def watched(folder: Path, files: Files, rows: pd.DataFrame) -> Watched:
    registry = Registry(folder)
    version = registry.register(files)
    registry.move("development", "champion", version.version, None, Reason("test", "to be watched"))
    return watch(registry, rows, RULES)


def later(rows: pd.DataFrame) -> pd.Series:
    return rows["timestamp"] > rows["timestamp"].iloc[2 * TRAINED - 1]


def test_where_nothing_changes_nothing_is_said(tmp_path: Path, files: Files, rows: pd.DataFrame) -> None:
    found = watched(tmp_path, files, rows)
    assert found.summary["changed"] == [] and not found.summary["degraded"]
    assert found.summary["windows"] == 2 and found.summary["settled"] > 2000
    assert "nothing has changed in 2 windows" in found.summary["headline"]
    assert set(found.drift["kind"]) == {"features", "forecasts", "labels"}
    assert 0.0 < found.summary["calibration_error"] < 0.15
    ratios = list(found.summary["largest"].values())
    assert ratios == sorted(ratios, reverse=True) and 0.0 < ratios[0] <= 1.0


def test_a_broken_feature_is_named_with_its_symbol_alone(tmp_path: Path, files: Files, rows: pd.DataFrame) -> None:
    other = rows.copy()
    other.loc[later(other) & (other["symbol"] == "SIM2"), NAMES[1]] = 0.25
    changed = [one for one in watched(tmp_path, files, other).summary["changed"] if one["kind"] == "features"]
    assert {(one["symbol"], one["column"]) for one in changed} == {("SIM2", NAMES[1])}
    assert watched(tmp_path / "again", files, other).summary["largest"][NAMES[1]] > 1.0


def test_labels_that_turn_round_are_called_degraded(tmp_path: Path, files: Files, rows: pd.DataFrame) -> None:
    other = rows.copy()
    other.loc[later(other), "label"] = -other.loc[later(other), "label"]
    found = watched(tmp_path, files, other)
    assert found.summary["degraded"] and found.summary["headline"].count("DEGRADED") == 1
    assert found.summary["hit_rate"] < 0.4
    assert found.summary["calibration_error"] > 0.15


def test_evidence_at_a_bar_knows_no_later_label(tmp_path: Path, files: Files, rows: pd.DataFrame) -> None:
    whole = watched(tmp_path / "a", files, rows).performance
    cut = whole["timestamp"].iloc[700]
    other = rows.copy()
    after = other["timestamp"] > cut
    other.loc[after, "label"] = 1
    again = watched(tmp_path / "b", files, other).performance
    pd.testing.assert_frame_equal(whole[whole["timestamp"] <= cut], again[again["timestamp"] <= cut])
    assert not whole["e_value"].equals(again["e_value"])


def test_before_there_are_later_bars_it_says_so(tmp_path: Path, files: Files, rows: pd.DataFrame) -> None:
    found = watched(tmp_path, files, rows.iloc[: 2 * TRAINED - 8])  # up to the last settled label
    assert "no bars since its training ended" in found.summary["headline"]
    assert "No window is whole yet" in render_monitoring_page(found.drift, found.performance, found.summary)


def test_the_page_names_what_has_changed(tmp_path: Path, files: Files, rows: pd.DataFrame) -> None:
    other = rows.copy()
    other.loc[later(other), NAMES[0]] = np.nan
    found = watched(tmp_path, files, other)
    page = render_monitoring_page(found.drift, found.performance, found.summary)
    assert NAMES[0] in page and "missing" in page and "SIM1" in page


def test_a_bundle_without_references_and_an_empty_registry_are_refused(
    tmp_path: Path, files: Files, rows: pd.DataFrame
) -> None:
    with pytest.raises(BadModel, match=r"has no drift\.json: deploy the model again"):
        watched(tmp_path / "a", {name: content for name, content in files.items() if name != DRIFT}, rows)
    with pytest.raises(BadModel, match="development has no champion"):
        watch(Registry(tmp_path / "b"), rows, RULES)
    with pytest.raises(BadModel, match=f"model_input lacks {NAMES[0]}"):
        watched(tmp_path / "c", files, rows.drop(columns=NAMES[0]))
