"""New bars beside what the served model was trained on: drift, settled outcomes, and a page."""

from tradewind.pipelines.monitoring.pipeline import create_pipeline

__all__ = ["create_pipeline"]
