"""How good the bars of each symbol are: counts, scores, outliers, runs, agreement, drift, and the gate they pass.

The contracts in `tables` are loaded by what validates a table: pandera is no part of a command's start.
"""

from tradewind.data.quality.counts import count_rows, describe_bars, join_rows, missing_by_month

__all__ = ["count_rows", "describe_bars", "join_rows", "missing_by_month"]
