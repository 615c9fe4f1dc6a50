"""How good the bars of each symbol are: counts, scores, outliers, runs, agreement, drift, and the gate they pass."""

from tradewind.data.quality.counts import count_rows, describe_bars, join_rows, missing_by_month
from tradewind.data.quality.tables import DataQuality, RowCounts

__all__ = ["DataQuality", "RowCounts", "count_rows", "describe_bars", "join_rows", "missing_by_month"]
