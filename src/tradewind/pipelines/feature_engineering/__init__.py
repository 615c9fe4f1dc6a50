"""Bars to features, labels, model input and folds."""

from tradewind.pipelines.feature_engineering.pipeline import create_pipeline

__all__ = ["create_pipeline"]
