"""Charts of models over windows of bars: their distributions by horizon, their training, where they look."""

from typing import Any

import numpy as np
import pandas as pd
from plotly import graph_objects as go
from plotly.subplots import make_subplots

from tradewind.reports.palette import BLUE, GREEN, GREY, SERIES, style
from tradewind.reports.performance import label

LEVELS = {"below_q05": 0.05, "below_q25": 0.25, "below_q50": 0.5, "below_q75": 0.75, "below_q95": 0.95}
SHOWN_FEATURES = 16
FLOOR = "last_value"


def coverage_figure(horizon_metrics: pd.DataFrame) -> go.Figure:
    """The share of outcomes at or below each quantile against the share that was promised; on the line is honest."""
    table = horizon_metrics[horizon_metrics["role"] == "walk_forward"]
    figure = go.Figure(go.Scatter(x=[0, 1], y=[0, 1], mode="lines", line={"dash": "dot", "color": GREY}, name="honest"))
    for number, row in enumerate(table.to_dict("records")):
        figure.add_scatter(
            x=list(LEVELS.values()), y=[row[name] for name in LEVELS], mode="lines+markers",
            name=counted(row["horizon"]), line={"color": SERIES[number % len(SERIES)]},
            hovertemplate="promised %{x:.0%}, came %{y:.1%}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(
        xaxis={"title": "share promised", "tickformat": ".0%", "range": [0, 1]},
        yaxis={"title": "share that came", "tickformat": ".0%", "range": [0, 1]},
    )
    return style(figure)


def training_figure(epochs: pd.DataFrame) -> go.Figure:
    """By epoch and fold: the gradient's norm (mean solid, largest dotted) and its noise scale."""
    figure = make_subplots(rows=1, cols=2, subplot_titles=("gradient norm", "noise scale, windows"))
    for number, (fold, part) in enumerate(epochs.groupby("fold")):
        line = {"color": SERIES[number % len(SERIES)]}
        shared: dict[str, Any] = {"x": part["epoch"] + 1, "legendgroup": str(fold), "name": f"fold {fold}"}
        figure.add_scatter(y=part["gradient_norm"], line=line, row=1, col=1, **shared)
        figure.add_scatter(
            y=part["largest_gradient_norm"], line={**line, "dash": "dot"}, showlegend=False, row=1, col=1, **shared
        )
        figure.add_scatter(y=part["noise_scale"], line=line, showlegend=False, row=1, col=2, **shared)
    figure.update_xaxes(title="epoch")
    figure.update_yaxes(type="log")
    figure.update_yaxes(dtick=1, col=2)  # over many powers of ten
    return _with_titles(figure)


def landscape_figure(health: pd.DataFrame) -> go.Figure:
    """The loss along a random line through the trained weights, one colour a fold; a good end lies in a bowl."""
    figure = go.Figure()
    for number, (fold, part) in enumerate(health.groupby("fold")):
        figure.add_scatter(
            x=part["step"], y=part["loss"], mode="lines+markers", name=f"fold {fold}",
            line={"color": SERIES[number % len(SERIES)]},
        )  # fmt: skip
    figure.update_layout(xaxis_title="distance from the weights, in their lengths", yaxis_title="validation loss")
    return style(figure)


def counted(bars: int) -> str:
    """1 bar, 2 bars."""
    return f"{bars} bar{'' if bars == 1 else 's'}"


def attention_figure(attention: pd.DataFrame) -> go.Figure | None:
    """Mean share of the attention by how long ago a bar was, and of the features that are selected, over the folds.

    None where there is nothing to choose among: one bar, and no features that are selected.
    """
    means = attention.groupby(["kind", "name"], sort=False)["share"].mean()
    counts = means.index.get_level_values("kind").value_counts()
    kinds = [kind for kind in ("lag", "feature") if counts.get(kind, 0) > 1]  # the share of an only one is 1
    if not kinds:
        return None
    titles = {"lag": "attention by lag", "feature": "features selected"}
    figure = make_subplots(
        rows=1, cols=len(kinds), subplot_titles=[titles[kind] for kind in kinds], horizontal_spacing=0.25
    )
    for column, kind in enumerate(kinds, start=1):
        part = means.loc[kind]
        if kind == "lag":
            lags = part.set_axis(part.index.astype(int)).sort_index()
            figure.add_bar(x=lags.index, y=lags, marker_color=BLUE, row=1, col=column)
            figure.update_xaxes(title="bars ago", row=1, col=column)
        else:
            top = part.nlargest(SHOWN_FEATURES).iloc[::-1]
            figure.add_bar(x=top, y=top.index, orientation="h", marker_color=GREEN, row=1, col=column)
            figure.update_xaxes(tickformat=".0%", row=1, col=column)
    figure.update_layout(showlegend=False)
    return _with_titles(figure)


def nothing_to_weigh() -> go.Figure:
    """In the place of `attention_figure` where that has nothing to show: the catalog stores a figure of every model."""
    figure = go.Figure().add_annotation(text="one bar and no selected features: nothing to weigh", showarrow=False)
    figure.update_layout(xaxis={"visible": False}, yaxis={"visible": False})
    return style(figure)


def horizon_figure(horizon_metrics: pd.DataFrame) -> go.Figure:
    """Each model's distribution against that of a random walk, and the share of directions it got right."""
    table = horizon_metrics[horizon_metrics["role"] == "walk_forward"]
    floor = table[table["model"] == FLOOR].set_index("horizon")["crps_bps"]
    figure = make_subplots(
        rows=1, cols=2, horizontal_spacing=0.12,
        subplot_titles=("CRPS better than the random walk by", "directions right, 90 % interval"),
    )  # fmt: skip
    for number, (model, part) in enumerate(table[table["model"] != FLOOR].groupby("model", sort=False)):
        colour, name = SERIES[number % len(SERIES)], label(str(model))
        bars = [counted(bars) for bars in part["horizon"]]
        better = 1 - part["crps_bps"].to_numpy() / floor.reindex(part["horizon"]).to_numpy()
        above, below = part["hit_rate_high"] - part["hit_rate"], part["hit_rate"] - part["hit_rate_low"]
        figure.add_bar(x=bars, y=better, name=name, legendgroup=name, marker_color=colour, row=1, col=1)
        figure.add_scatter(
            x=bars, y=part["hit_rate"], mode="markers", name=name, legendgroup=name, showlegend=False,
            marker={"color": colour, "size": 9}, row=1, col=2,
            error_y={"array": above, "arrayminus": below},
        )  # fmt: skip
    shown = table[["hit_rate_low", "hit_rate_high"]].to_numpy()
    if np.isfinite(shown).any():
        low, high = min(np.nanmin(shown), 0.5), max(np.nanmax(shown), 0.5)
        figure.update_yaxes(range=[low - 0.02, high + 0.02], row=1, col=2)
    figure.update_yaxes(tickformat=".1%")
    figure.add_hline(y=0.5, line={"dash": "dot", "color": GREY}, row=1, col=2)
    figure.update_layout(barmode="group", scattermode="group")
    return _with_titles(figure)


def _with_titles(figure: go.Figure) -> go.Figure:
    """Styled, with the legend below, out of the way of the titles."""
    styled = style(figure, height=420)
    styled.update_layout(legend={"y": -0.2, "yanchor": "top"}, margin={"b": 90})
    styled.update_annotations(font={"size": 14})
    return styled
