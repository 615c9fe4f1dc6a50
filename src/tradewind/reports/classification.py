"""Charts of how good the probabilities are."""

import numpy as np
import pandas as pd
from plotly import graph_objects as go

from tradewind.reports.palette import BLUE, GREEN, GREY, SERIES, VERMILION, style

CLASSES = ["down", "flat", "up"]
CLASS_COLOUR = {"down": VERMILION, "flat": GREY, "up": BLUE}
SHOWN_FEATURES = 20


def confusion_matrix_figure(confusion: pd.DataFrame) -> go.Figure:
    """The classes predicted for each class that happened, over the walk-forward folds; rows sum to 1."""
    table = confusion[confusion["role"] == "walk_forward"].set_index(["actual", "predicted"])
    share = table["share"].unstack("predicted").reindex(index=CLASSES, columns=CLASSES)
    count = table["count"].unstack("predicted").reindex(index=CLASSES, columns=CLASSES)
    text = [
        [f"{share.loc[a, p]:.0%}<br>{count.loc[a, p]:,.0f}" if pd.notna(share.loc[a, p]) else "" for p in CLASSES]
        for a in CLASSES
    ]
    figure = go.Figure(
        go.Heatmap(
            z=share.to_numpy(), x=CLASSES, y=CLASSES, text=text, texttemplate="%{text}", zmin=0, zmax=1,
            colorscale="Blues", colorbar={"title": "share", "tickformat": ".0%"},
            hovertemplate="was %{y}, said %{x}: %{z:.1%}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_layout(xaxis_title="said", yaxis_title="was", yaxis_autorange="reversed")
    return style(figure)


def reliability_figure(reliability: pd.DataFrame) -> go.Figure:
    """How often each class came true against the probability given to it; on the line is honest."""
    table = reliability[reliability["role"] == "walk_forward"]
    figure = go.Figure(go.Scatter(x=[0, 1], y=[0, 1], mode="lines", line={"dash": "dot", "color": GREY}, name="honest"))
    for name in CLASSES:
        part = table[table["class"] == name].sort_values("mean_predicted")
        if part.empty:
            continue
        figure.add_scatter(
            x=part["mean_predicted"],
            y=part["observed"],
            mode="lines+markers",
            name=name,
            line={"color": CLASS_COLOUR[name]},
            marker={"size": 5 + 12 * np.sqrt(part["count"] / part["count"].max())},
            customdata=part["count"],
            hovertemplate=f"{name}: said %{{x:.1%}}, came true %{{y:.1%}} of %{{customdata:,}}<extra></extra>",
        )
    figure.update_layout(
        xaxis={"title": "probability given", "tickformat": ".0%", "range": [0, 1]},
        yaxis={"title": "share that came true", "tickformat": ".0%", "range": [0, 1]},
    )
    return style(figure)


def importance_figure(importance: pd.DataFrame) -> go.Figure:
    """The features that move the probabilities most: mean absolute SHAP value, and their share of the gain."""
    top = importance.nlargest(SHOWN_FEATURES, "mean_abs_shap").iloc[::-1]
    figure = go.Figure(
        go.Bar(
            x=top["mean_abs_shap"],
            y=top["feature"],
            orientation="h",
            marker_color=GREEN,
            customdata=top["gain_share"],
            hovertemplate="%{y}: mean |SHAP| %{x:.4f}, share of gain %{customdata:.1%}<extra></extra>",
        )
    )
    figure.update_layout(xaxis={"title": "mean |SHAP|, log-odds", "exponentformat": "e"}, yaxis={"automargin": True})
    return style(figure, height=520)


def learning_curve_figure(curves: pd.DataFrame) -> go.Figure:
    """Log loss by round, training (dotted) and validation (solid), one colour a fold."""
    figure = go.Figure()
    for number, (fold, curve) in enumerate(curves.groupby("fold")):
        colour = SERIES[number % len(SERIES)]
        for column, dash in (("train_loss", "dot"), ("valid_loss", "solid")):
            figure.add_scatter(
                x=curve["iteration"], y=curve[column], mode="lines", line={"color": colour, "dash": dash},
                name=f"fold {fold}", legendgroup=str(fold), showlegend=column == "valid_loss",
            )  # fmt: skip
    figure.update_layout(xaxis_title="round", yaxis_title="log loss")
    return style(figure)
