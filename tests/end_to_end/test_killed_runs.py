"""A run that is killed leaves nothing torn, and the next one ends as if nobody had been."""

import os
import signal
import time
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest

from tests.depth import deep
from tests.end_to_end.conftest import NODE_ENDED

pytestmark = pytest.mark.slow


STAGES = ("data_engineering", "regimes", "feature_engineering", "classifier")
# What these stages make: all that models read, and the models.
MADE = ("01_raw/", "02_intermediate/", "03_primary/", "04_feature/features/", "04_feature/labels/",
        "04_feature/regimes/", "06_models/classifier.", "07_model_output/forecasts/classifier/")  # fmt: skip


def interrupt(project: Any, run: Sequence[str], nodes: int, seconds: float) -> bool:
    """Kill the run's whole process group so long after so many nodes have ended; whether it was still at work then."""
    process = project.start(*run)
    for line in process.stdout:
        nodes -= NODE_ENDED.search(line) is not None
        if nodes == 0:
            break
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode in (0, -signal.SIGKILL)
    return bool(process.returncode)


def kill_after(project: Any, run: Sequence[str], nodes: int, seconds: float) -> None:
    """A run whose whole process group dies so long after so many of its nodes have ended."""
    assert interrupt(project, run, nodes, seconds), "the run was over before it was killed"


KILLED_IN = ("data_engineering", "regimes", "feature_engineering", "classifier", "evaluation")


def kill_in(project: Any, stage: str) -> str:
    """A run that dies while a node of the stage is at work; the one that had ended just before."""
    process, begun = project.start("run", "--env", "test"), ""
    for line in process.stdout:
        if NODE_ENDED.search(line) and f" {stage}." in line:
            begun = stage
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert begun, f"no node of {stage} had begun"
    assert process.returncode == -signal.SIGKILL, "the run was over before it was killed"
    return begun


@pytest.mark.depth
def test_a_run_that_is_killed_within_a_node_of_each_stage_leaves_nothing_torn(
    new_project: Any, request: pytest.FixtureRequest
) -> None:
    killed = []
    for stage in KILLED_IN:
        killed.append(kill_in(new_project, stage))
        for path in new_project.data("test").rglob("*.parquet"):
            pd.read_parquet(path)
    assert killed == list(KILLED_IN)
    new_project.kedro("run", "--env", "test")
    ours, theirs = request.getfixturevalue("finished_digests"), new_project.digests()
    kept = {path for path in ours if "studies" not in path}
    assert {path: ours[path] for path in kept} == {path: theirs.get(path) for path in kept}


# Nodes of each run, which goes on where the one before was killed: all together fewer than a whole run has.
WHOLE_RUN_KILLS = [(1, 0.0), (2, 0.1), (5, 0.2), (9, 1.0), (12, 1.5), (16, 0.3), (20, 1.0), (24, 0.2)]


@pytest.mark.parametrize(
    ("stages", "moments"), [(STAGES, [(12, 0.3)]), deep((), WHOLE_RUN_KILLS)], ids=["to the trees", "whole"]
)
def test_killed_runs_leave_nothing_torn_and_the_next_run_ends_as_if_undisturbed(
    new_project: Any, stages: Sequence[str], moments: Sequence[tuple[int, float]], request: pytest.FixtureRequest
) -> None:
    """The next run has another hash seed and other numbers of threads, too: the same bytes all the same.

    Up to the trees it goes stage by stage, each alone from what the catalog holds.
    """
    run = ("run", "--env", "test", *(("--pipelines", ",".join(stages)) if stages else ()))
    for nodes, seconds in moments:
        kill_after(new_project, run, nodes, seconds)
        for path in new_project.data("test").rglob("*.parquet"):
            pd.read_parquet(path)
    for alone in [("run", "--env", "test", "--pipeline", stage) for stage in stages] or [run]:
        new_project.kedro(*alone, PYTHONHASHSEED="1234", OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1")
    theirs = new_project.digests()
    # A study records when each trial ran.
    ours = {path: one for path, one in request.getfixturevalue("finished_digests").items() if "studies" not in path}
    if stages:
        ours = {path: one for path, one in ours.items() if path.removeprefix("data/env/test/").startswith(MADE)}
    assert len(ours) > 30
    # A model stands under its key; one that was trained before the kill may be there that the last run did not need.
    assert ours == {path: digest for path, digest in theirs.items() if path in ours}
