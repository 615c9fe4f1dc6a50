"""The monitoring stage: one node that watches and one that draws; what they do is in tests/operations/monitoring."""

from tradewind.pipelines.monitoring import create_pipeline


def test_it_reads_a_registry_and_model_input_alone() -> None:
    pipeline = create_pipeline()
    assert pipeline.inputs() == {"registry", "model_input", "params:monitoring"}
    assert pipeline.outputs() == {"monitoring_page"}
