"""Order books over time, at a glance."""

from collections.abc import Mapping

import pandas as pd
from plotly import graph_objects as go
from plotly.subplots import make_subplots

from tradewind.reports.palette import SERIES


def book_figure(books: Mapping[str, pd.DataFrame]) -> go.Figure:
    """Spread (bps), depth within the middle distance (millions, bids up, asks down) and imbalance, a line a stream."""
    figure = make_subplots(
        rows=3, cols=1, shared_xaxes=False, vertical_spacing=0.09,
        subplot_titles=("Spread, bps (mean over the second)", "Depth, millions: bids above, asks below", "Imbalance"),
    )  # fmt: skip
    for number, (name, table) in enumerate(books.items()):
        reaches = [column.removeprefix("bid_depth_") for column in table if column.startswith("bid_depth_")]
        reach = reaches[len(reaches) // 2]
        elapsed = (table["timestamp"] - table["timestamp"].iloc[0]).dt.total_seconds()
        style = {"color": SERIES[number % len(SERIES)], "width": 1}
        lines = (
            (1, table["mean_spread_bps"], True),
            (2, table[f"bid_depth_{reach}"] / 1e6, False),
            (2, -table[f"ask_depth_{reach}"] / 1e6, False),
            (3, table[f"imbalance_{reach}"], False),
        )
        for row, values, shown in lines:
            trace = go.Scatter(
                x=elapsed, y=values, name=name, legendgroup=name, showlegend=shown, mode="lines", line=style,
                hovertemplate=f"{name}, %{{x:.0f}} s: %{{y:.4g}}<extra>within {reach} bps</extra>",
            )  # fmt: skip
            figure.add_trace(trace, row=row, col=1)
    figure.update_xaxes(title="seconds since the first", row=3, col=1)
    figure.update_layout(
        title="Order books, second by second", template="plotly_white", height=900,
        legend={"orientation": "h", "yanchor": "top", "y": -0.1},
    )  # fmt: skip
    return figure
