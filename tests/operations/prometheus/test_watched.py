"""What the monitoring pipeline found is shown, and a summary that is missing or torn stops nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tradewind.operations.prometheus.watched import SHOWN_COLUMNS, WatchedModel

SUMMARY: dict[str, Any] = {
    "trained_to": "2026-01-01T00:00:00+00:00", "watched_to": "2026-02-01T00:00:00+00:00", "log_loss": 1.05,
    "expected_loss": {"mean": 1.0, "low": 0.97, "high": 1.03}, "hit_rate": 0.52, "calibration_error": 0.02,
    "e_value": 3.0, "degraded": False, "changed": [{"column": "rsi_14"}], "largest": {"rsi_14": 1.4, "ret_1": 0.3},
}  # fmt: skip


def registry_of(path: Path) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(WatchedModel(path))
    return registry


def test_the_summary_is_shown_and_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "monitoring.json"
    registry = registry_of(path)
    assert registry.get_sample_value("tradewind_watched") == 0.0
    path.write_text(json.dumps(SUMMARY))
    assert registry.get_sample_value("tradewind_watched") == 1.0
    assert registry.get_sample_value("tradewind_model_trained_timestamp_seconds") == 1_767_225_600
    assert registry.get_sample_value("tradewind_log_loss", {"which": "high"}) == 1.03
    assert registry.get_sample_value("tradewind_drift_ratio", {"column": "rsi_14"}) == 1.4
    assert registry.get_sample_value("tradewind_drifted_columns") == 1.0
    path.write_text(json.dumps(SUMMARY | {"degraded": True, "log_loss": None}))
    assert registry.get_sample_value("tradewind_model_degraded") == 1.0
    assert registry.get_sample_value("tradewind_log_loss", {"which": "now"}) is None


def test_columns_are_shown_up_to_a_number(tmp_path: Path) -> None:
    path = tmp_path / "monitoring.json"
    path.write_text(json.dumps(SUMMARY | {"largest": {f"column_{number}": 0.5 for number in range(100_000)}}))
    assert generate_latest(registry_of(path)).count(b"tradewind_drift_ratio{") == SHOWN_COLUMNS


@pytest.mark.parametrize("content", ["", "{", "[]", '{"trained_to": 3', "[" * 100_000, "{}"])
def test_a_torn_summary_is_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "monitoring.json"
    path.write_text(content)
    assert registry_of(path).get_sample_value("tradewind_watched") == 0.0
