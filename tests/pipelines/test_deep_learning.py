"""The stage is one pipeline, a namespace for each network, and torch is loaded only when one is trained."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from tradewind.learning.models import catalogue
from tradewind.learning.models.chosen import chosen
from tradewind.learning.models.sequence.parameters import SequenceParameters
from tradewind.pipelines.deep_learning import create_pipeline
from tradewind.pipelines.deep_learning.nodes import NetworkChoice, Trained


def test_every_network_has_the_same_nodes_and_its_own_datasets() -> None:
    pipeline = create_pipeline()
    for network in catalogue.windows_of(chosen()):
        names = {node.name for node in pipeline.nodes if network in node.tags}
        steps = ("train", "score", "draw", "score_horizons", "draw_training", "write_card", "list_report")
        assert names == {f"deep_learning.{network}.{step}" for step in steps}
        assert {f"deep_learning.{network}.{table}" for table in Trained._fields} <= pipeline.datasets()
    shared = {"model_input", "horizon_returns", "folds", "params:seed", "params:feature_engineering.labels"}
    assert shared <= pipeline.inputs()


@pytest.mark.parametrize(
    "fault", [{"window_bars": 0}, {"hidden": 0}, {"learning_rate": 0}, {"gradient_clip": 0}, {"layers": 3}]
)
def test_parameters_that_cannot_be_are_refused(fault: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SequenceParameters(**fault)
    with pytest.raises(ValidationError):
        NetworkChoice()


def test_looking_at_the_pipelines_does_not_load_torch() -> None:
    code = (
        "import sys; from tradewind.pipeline_registry import register_pipelines; register_pipelines(); "
        "raise SystemExit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
