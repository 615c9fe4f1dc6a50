"""Recorded streams of depth, quotes and trades to books, bars and what orders cost."""

from tradewind.pipelines.order_book.pipeline import create_pipeline

__all__ = ["create_pipeline"]
