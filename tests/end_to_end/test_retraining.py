"""Whole retrainings that are killed again and again end as one that nobody disturbed."""

from typing import Any

import numpy as np
import pytest
import yaml

from tests.end_to_end.conftest import LEAN, copy_project, write_lean
from tests.end_to_end.test_killed_runs import kill_after
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


def test_killed_at_random_it_ends_as_if_undisturbed(new_project: Any, tmp_path: Any) -> None:
    whole, killed = short_project(new_project), short_project(copy_project(tmp_path / "killed"))
    assert "is the first champion of development" in whole.kedro(*RETRAIN)
    rng = np.random.default_rng(22)
    for nodes, seconds in zip(rng.integers(2, 14, 6).tolist(), rng.uniform(0, 1, 6).tolist(), strict=True):
        kill_after(killed, RETRAIN, nodes, seconds)
    again = killed.kedro(*RETRAIN)
    killed.close()
    assert "going on with retraining 1 (manual" in again
    expected = left_by(whole)
    assert len(expected["files"]) > 30 and len(expected["bundles"]) == 1
    assert left_by(killed) == expected
