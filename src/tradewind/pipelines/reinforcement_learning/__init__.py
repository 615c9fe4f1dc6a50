"""Model input and bars to agents that hold positions, and their transitions out of sample."""

from tradewind.pipelines.reinforcement_learning.pipeline import create_pipeline, create_search_pipeline

__all__ = ["create_pipeline", "create_search_pipeline"]
