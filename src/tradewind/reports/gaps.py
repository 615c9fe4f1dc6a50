"""Where bars are missing, at a glance."""

import pandas as pd
from plotly import graph_objects as go

# From "nothing missing" to "nothing there", told apart by lightness alone, so that it survives grey-scale and
# colour blindness; the first step is wide, so that a single missing hour in a month is already visible.
_SCALE = [[0.0, "#f7f7f7"], [0.0005, "#fde0b4"], [0.01, "#fdb863"], [0.1, "#e66101"], [1.0, "#3b1a00"]]


def gap_heatmap(gaps: pd.DataFrame) -> go.Figure:
    """The share of bars missing by symbol and month; blank where a symbol has no history.

    Args:
        gaps: columns symbol, month (`2024-01`), expected_bars, missing_bars, missing_share in [0, 1].
    """
    symbols = list(dict.fromkeys(gaps["symbol"]))
    months = _all_months(gaps["month"])
    table = gaps.set_index(["symbol", "month"])

    def grid(column: str) -> pd.DataFrame:
        return table[column].unstack("month").reindex(index=symbols, columns=months)

    figure = go.Figure(
        go.Heatmap(
            z=grid("missing_share").to_numpy(),
            x=months,
            y=symbols,
            customdata=grid("missing_bars").to_numpy(),
            zmin=0,
            zmax=1,
            xgap=1,
            ygap=1,
            colorscale=_SCALE,
            colorbar={"title": "missing", "tickformat": ".0%"},
            hovertemplate="%{y}, %{x}: %{customdata:.0f} bars missing (%{z:.2%})<extra></extra>",
        )
    )
    figure.update_layout(
        title="Missing bars by symbol and month",
        template="plotly_white",
        height=160 + 40 * len(symbols),
        xaxis={"title": "month (UTC)", "type": "category", "showgrid": False, "nticks": 12},
        yaxis={"autorange": "reversed", "type": "category", "showgrid": False},
    )
    return figure


def _all_months(months: pd.Series) -> list[str]:
    """Every month from the first to the last, also those in which no symbol has history."""
    if months.empty:
        return []
    return [str(month) for month in pd.period_range(months.min(), months.max(), freq="M")]
