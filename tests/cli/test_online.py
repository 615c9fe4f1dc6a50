"""`kedro retrain --online` on a few days of simulated bars: from the bars to a canary, and what is refused."""

from pathlib import Path

import pytest
import yaml

from tests.cli.test_retraining import DATA, errors, kedro_retrain, project
from tests.operations.bundles import NAMES
from tradewind.operations.bundle.contents import PROBE_TOLERANCE
from tradewind.operations.bundle.warming import STATE
from tradewind.operations.online.rules import OnlineRules
from tradewind.operations.online.updating import LINEAGE
from tradewind.operations.registry.records import Roles
from tradewind.operations.registry.registry import Registry

__all__ = ["project"]  # a fixture


@pytest.fixture
def online_project(project: Path) -> Path:
    """Days after the champion's last label, with the features that it reads."""
    (project / "conf/tiny/globals.yml").write_text(
        "market: {days: 6, timeframe: 1h, start: '2023-03-01', planted_edge: 3.0}\n"
    )
    (project / "conf/tiny/parameters.yml").write_text(
        "models: [linear]\nuniverse: {symbols: [SIM1, SIM2], side_series: []}\n"
        f"feature_engineering:\n  features: {{include: [{', '.join(NAMES)}], slower_timeframes: []}}\n"
        "  labels: {horizon_bars: 4}\n  horizons: {bars: [1, 4]}\n"
        "operations: {online: {enabled: true, most_change: 1.0, most_divergence: 9.0, most_from_training: 1.0}}\n"
    )
    return project


@pytest.mark.depth
def test_the_champion_is_updated_and_its_update_is_a_canary(online_project: Path) -> None:
    result = kedro_retrain(online_project, "--env", "tiny", "--online", "--no-backfill")
    assert result.exit_code == 0, result.output
    assert "canary: linear@2 is on trial in development beside version 1" in result.output
    registry = Registry(online_project / DATA / "09_deployment/registry")
    assert registry.roles("development") == Roles(1, 2)
    made = registry.load(2)
    assert made.document(LINEAGE)["rows"] >= 24 and STATE in made.files and made.probe_error() <= PROBE_TOLERANCE
    told = kedro_retrain(online_project, "--env", "tiny", "--online", "--history")
    assert "canary  linear@2 is on trial" in told.output


def test_off_by_default_and_not_mixed_with_a_retraining(project: Path) -> None:
    off = kedro_retrain(project, "--env", "tiny", "--online")
    assert errors(off) == [
        "Error: operations.online.enabled is false: set it to true to let the champion go on learning"
    ]
    assert "takes no --because" in errors(kedro_retrain(project, "--env", "tiny", "--online", "--tune"))[0]
    wrong = kedro_retrain(project, "--env", "tiny", "--online", "--params", "operations.online.half_life=3")
    assert "operations.online" in errors(wrong)[0]


def test_the_configuration_states_the_defaults() -> None:
    stated = yaml.safe_load(Path(__file__).parents[2].joinpath("conf/base/parameters_operations.yml").read_text())
    assert OnlineRules.model_validate(stated["operations"]["online"]) == OnlineRules()
