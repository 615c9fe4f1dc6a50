"""Prices that the next bars do not undercut with a stated probability, from forecast paths."""

from tradewind.pipelines.floors.pipeline import create_pipeline

__all__ = ["create_pipeline"]
