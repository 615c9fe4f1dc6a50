"""Bars to regimes: which state the market was in, as it was known at each bar."""

from tradewind.pipelines.regimes.pipeline import create_pipeline

__all__ = ["create_pipeline"]
