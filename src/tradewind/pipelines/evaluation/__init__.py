"""Forecasts to positions, backtests, leaderboard, verdict and report."""

from tradewind.pipelines.evaluation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
