"""The stage is one pipeline, a namespace for each agent, and loads torch only when one is trained."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from tradewind.adaptive.rl.parameters import AGENTS, AgentParameters
from tradewind.pipelines.reinforcement_learning import create_pipeline
from tradewind.pipelines.reinforcement_learning.nodes import AgentRules, TrainedAgents


def test_every_agent_has_the_same_nodes_and_its_own_datasets() -> None:
    pipeline = create_pipeline()
    for agent in AGENTS:
        names = {node.name for node in pipeline.nodes if agent in node.tags}
        steps = ("train", "describe", "draw", "write_agent_card", "list_report")
        assert names == {f"reinforcement_learning.{agent}.{step}" for step in steps}
        assert {f"reinforcement_learning.{agent}.{table}" for table in TrainedAgents._fields} <= pipeline.datasets()
    assert {"model_input", "bars", "side_series", "folds", "params:trading"} <= pipeline.inputs()
    assert {"reinforcement_learning.cards", "reinforcement_learning.report_tables"} == pipeline.outputs()


def test_a_run_without_agents_trains_and_gathers_nothing() -> None:
    assert create_pipeline(agents=()).nodes == []
    assert {node.name for node in create_pipeline(agents=["sac"]).nodes} > {"reinforcement_learning.sac.train"}


@pytest.mark.parametrize("fault", [{"total_timesteps": 0}, {"gamma": 1.0}, {"algorithm": "dqn"}, {"layers": 3}])
def test_parameters_that_cannot_be_are_refused(fault: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AgentParameters.model_validate(fault)
    with pytest.raises(ValidationError):
        AgentRules.model_validate({"agent": {}, "environment": {}, "reward": {}, "training": {"seeds": 0}})


def test_looking_at_the_stage_does_not_load_torch() -> None:
    code = (
        "import sys; from tradewind.pipelines import reinforcement_learning; reinforcement_learning.create_pipeline(); "
        "raise SystemExit(bool({'torch', 'gymnasium', 'stable_baselines3'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_old_name_is_refused_with_the_new_one() -> None:
    with pytest.raises(ValidationError, match="discount is called gamma now"):
        AgentParameters.model_validate({"discount": 0.9})
