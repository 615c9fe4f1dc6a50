"""From bars as received to checked primary bars, with the quality of each symbol."""

from tradewind.pipelines.data_engineering.pipeline import create_pipeline

__all__ = ["create_pipeline"]
