"""Ways to execute an order, compared in simulated markets whose best way is known."""

from tradewind.pipelines.execution_study.pipeline import create_pipeline

__all__ = ["create_pipeline"]
