"""Charts of what the result is worth: overfitting, plateau, delay, capacity."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from plotly import graph_objects as go

from tradewind.reports.palette import BLACK, BLUE, GREY, VERMILION, style
from tradewind.reports.performance import label

SEQUENTIAL = [[0.0, "#f3f7fb"], [1.0, BLUE]]


def overfitting_figure(selection: Mapping[str, Any]) -> go.Figure:
    """Where the best of one half of the history stood in the other half, over all ways of halving it."""
    overfitting = selection.get("overfitting")
    figure = go.Figure()
    if overfitting:
        logits = np.asarray(overfitting["logits"])
        for part, name, colour in (
            (logits[logits < 0], "below the middle", VERMILION), (logits[logits >= 0], "above it", BLUE),
        ):  # fmt: skip
            figure.add_histogram(
                x=part, name=name, marker_color=colour, xbins={"start": -5, "end": 5, "size": 0.25},
                hovertemplate="%{x}: %{y} halvings<extra></extra>",
            )  # fmt: skip
        figure.add_vline(x=0, line={"color": BLACK, "width": 1})
    figure.update_layout(
        barmode="overlay", xaxis={"title": "logit of the rank in the other half", "range": [-4, 4]},
        yaxis_title="halvings",
    )  # fmt: skip
    return style(figure, height=300)


def evidence_figure(row: Mapping[str, Any], hurdle: float) -> go.Figure:
    """How the interval of the Sharpe ratio narrows with the days, if the ratio stays what it is.

    `row` is the strategy's row of the significance table; `hurdle` what the best of all trials would show by luck.
    """
    sharpe, error, days = float(row["sharpe"]), float(row["error"]), float(row["days"])
    needed = [float(row[name]) for name in ("minimum_days", "minimum_days_deflated")]
    longest = min(max([2.0 * days, *(1.2 * one for one in needed if np.isfinite(one))]), 12.0 * days)
    at = np.geomspace(max(days / 8, 20), longest, 120)
    reach = 1.645 * error * np.sqrt(days / at)
    figure = go.Figure()
    figure.add_scatter(
        x=np.r_[at, at[::-1]], y=np.r_[sharpe + reach, (sharpe - reach)[::-1]], fill="toself", mode="none",
        fillcolor="rgba(0,114,178,0.18)", name="90 % interval", hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        x=at, y=sharpe - reach, mode="lines", line={"color": BLUE, "width": 1.5}, name="its lower end",
        hovertemplate="after %{x:,.0f} days: above %{y:.2f}<extra></extra>",
    )  # fmt: skip
    lines: dict[str, tuple[float, str, dict[str, Any]]] = {"no edge": (0, "bottom right", {"color": BLACK, "width": 1})}
    lines["best of all trials by luck"] = (hurdle, "top right", {"color": VERMILION, "dash": "dash"})
    for name, (height, place, line) in lines.items():
        figure.add_hline(y=height, line=line, annotation_text=name, annotation_position=place)
    figure.add_vline(x=days, line={"color": GREY, "dash": "dot"}, annotation_text="now")
    figure.update_layout(xaxis_title="days of walk-forward history", yaxis_title="Sharpe ratio", showlegend=False)
    return style(figure, height=300)


def plateau_figure(plateau: pd.DataFrame, chosen: str) -> go.Figure:
    """Sharpe ratio over the entry threshold and the smoothing of the forecasts."""
    part = plateau[plateau["strategy"] == chosen]
    return _surface(part, "entry_threshold", "smoothing_bars", "entry threshold", "smoothing, bars")


def delay_figure(robustness: Mapping[str, pd.DataFrame], chosen: str) -> go.Figure:
    """Sharpe ratio over the delay of every fill and the multiple of the costs."""
    table = robustness["delays"]
    part = table[table["strategy"] == chosen]
    return _surface(part, "delay_bars", "cost_multiple", "delay of every fill, bars", "multiple of the costs")


def _surface(part: pd.DataFrame, x: str, y: str, x_title: str, y_title: str) -> go.Figure:
    figure = go.Figure()
    if len(part):
        table = part.pivot(index=y, columns=x, values="sharpe")
        values = table.to_numpy(dtype=np.float64)
        negative = bool(np.nanmin(values) < 0)
        largest = float(np.nanmax(np.abs(values))) or 1.0
        figure.add_heatmap(
            z=values, x=[f"{value:g}" for value in table.columns], y=[f"{value:g}" for value in table.index],
            texttemplate="%{z:.2f}", showscale=False, xgap=2, ygap=2,
            colorscale=[[0, VERMILION], [0.5, "#ffffff"], [1, BLUE]] if negative else SEQUENTIAL,
            zmin=-largest if negative else 0, zmax=largest, hovertemplate="%{z:.2f}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(xaxis={"title": x_title, "type": "category"}, yaxis={"title": y_title, "type": "category"})
    return style(figure, height=300)


def capacity_figure(robustness: Mapping[str, pd.DataFrame], chosen: str) -> go.Figure:
    """Sharpe ratio by the capital traded, with square-root impact."""
    table = robustness["capacity"]
    part = table[table["strategy"] == chosen].sort_values("capital")
    figure = go.Figure()
    figure.add_scatter(
        x=part["capital"], y=part["sharpe"], mode="lines+markers", line={"color": BLUE, "width": 2.2},
        name=label(chosen), customdata=part["annual_profit"],
        hovertemplate="%{x:,.0f}: Sharpe %{y:.2f}, %{customdata:,.0f} a year<extra></extra>",
    )  # fmt: skip
    figure.add_hline(y=0, line={"color": GREY, "dash": "dot"})
    figure.update_layout(
        xaxis={"type": "log", "title": "capital, in the prices' currency", "dtick": 1}, yaxis_title="Sharpe ratio"
    )
    return style(figure, height=300)
