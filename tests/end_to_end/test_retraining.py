"""Whole retrainings that are killed again and again end as one that nobody disturbed."""

from typing import Any

import numpy as np
import pytest
import yaml

from tests.end_to_end.conftest import LEAN, copy_project, write_lean
from tests.end_to_end.test_killed_runs import interrupt
from tradewind.operations.bundle.contents import essence
from tradewind.operations.registry.registry import Registry

pytestmark = [pytest.mark.slow, pytest.mark.depth]

RETRAIN = ("retrain", "--env", "lean")
# What two months of bars can show; the rules of the verdict have tests of their own.
SHORT = {
    "models": ["linear"],
    "universe": {"symbols": ["SIM1", "SIM2"]},
    "evaluation": {**LEAN["evaluation"], "verdict": {"judged": None, "confidence": 0.55, "cost_multiple": 1.0}},
    "operations": {"retraining": {"at_least": "watch"}},
}


def short_project(project: Any) -> Any:
    write_lean(project)
    lean = project.folder / "conf/lean"
    (lean / "globals.yml").write_text("market: {timeframe: 1h, start: '2022-01-01', days: 60, planted_edge: 12.0}\n")
    (lean / "parameters.yml").write_text(yaml.safe_dump({**LEAN, **SHORT}))
    return project


def left_by(project: Any) -> dict[str, Any]:
    registry = Registry(project.data("lean") / "09_deployment/registry")
    return {
        "files": project.digests(env="lean"),
        "bundles": [essence(registry.read(one.version)) for one in registry.versions()],
        "roles": registry.roles("development"),
    }


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [22, 23, 24, 25])
def test_killed_at_random_it_ends_as_if_undisturbed(new_project: Any, tmp_path: Any, seed: int) -> None:
    """Killed at the start, within a node, between two or while it registers, until a run is done before its kill."""
    whole, killed = short_project(new_project), short_project(copy_project(tmp_path / "killed"))
    assert "is the first champion of development" in whole.kedro(*RETRAIN)
    rng, kills = np.random.default_rng(seed), 0
    # Three nodes live in memory alone and are run by each attempt: some attempts must be left to get beyond them.
    while interrupt(killed, RETRAIN, int(rng.integers(0, 8)), float(rng.uniform(0, 0.5))):
        kills += 1
        assert kills < 100, "it does not get on between two kills"
    killed.close()
    assert kills >= 12
    expected = left_by(whole)
    assert len(expected["files"]) > 30 and len(expected["bundles"]) == 1
    assert left_by(killed) == expected
