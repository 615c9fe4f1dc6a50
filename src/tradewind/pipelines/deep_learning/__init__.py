"""Model input to networks over windows of bars, calibrated, and their forecasts out of sample."""

from tradewind.pipelines.deep_learning.pipeline import create_pipeline

__all__ = ["create_pipeline"]
