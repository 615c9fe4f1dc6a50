"""A finished run to a registered bundle that can decide on its own."""

from tradewind.pipelines.deployment.pipeline import create_pipeline

__all__ = ["create_pipeline"]
