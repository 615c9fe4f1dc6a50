"""Regimes as one page: the price coloured by the regime as it was known, the probabilities, what each came to."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tradewind.reports.page import div, render, table
from tradewind.reports.palette import BLUE, GREEN, GREY, SHOWN_SYMBOLS, VERMILION, log_axis, style
from tradewind.reports.text import number, percent

COLOURS = {"trending": GREEN, "ranging": BLUE, "volatile": VERMILION, "unknown": GREY}
# Of all symbols together, at least the second number of each; a longer history is thinned evenly.
SHOWN_POINTS, FEWEST_POINTS = 4500, 300


def regimes_figure(bars: pd.DataFrame, regimes: pd.DataFrame, points: int = SHOWN_POINTS) -> Any:
    """Price in the colour of the announced regime above its probabilities.

    Args:
        bars: timestamp and close of one symbol.
        regimes: the same bars' `p_*` and regime.
        points: how many bars are drawn at most.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    rows = np.unique(np.linspace(0, len(bars) - 1, min(len(bars), points)).astype(int))
    at, close = bars["timestamp"].iloc[rows].to_list(), bars["close"].to_numpy()[rows]
    regime = regimes["regime"].to_numpy()[rows]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.62, 0.38], vertical_spacing=0.04)
    for name, colour in COLOURS.items():
        own_close = np.where(regime == name, close, np.nan)
        # A stretch goes on to the first bar of the next one, so that the line has no holes.
        own_close[1:] = np.where((regime[:-1] == name) & (regime[1:] != name), close[1:], own_close[1:])
        figure.add_trace(
            go.Scatter(x=at, y=own_close, name=name, mode="lines", line={"color": colour, "width": 1.4}), 1, 1
        )
        chance = regimes[f"p_{name}"].to_numpy()[rows]
        area = go.Scatter(
            x=at, y=chance, name=name, mode="lines", stackgroup="one", showlegend=False,
            line={"width": 0}, fillcolor=colour,
        )  # fmt: skip
        figure.add_trace(area, 2, 1)
    figure.update_yaxes(log_axis("price", float(close.min()), float(close.max())), row=1, col=1)
    figure.update_yaxes(range=[0, 1], title="probability", row=2, col=1)
    return style(figure, 520)


def price_figure(bars: pd.DataFrame, points: int = SHOWN_POINTS) -> Any:
    """The price alone, of a symbol whose regimes were never told apart.

    Args:
        bars: timestamp and close of one symbol.
        points: how many bars are drawn at most.
    """
    import plotly.graph_objects as go

    shown = bars.iloc[:: max(len(bars) // points, 1)]
    line = {"color": COLOURS["unknown"], "width": 1.4}
    figure = go.Figure(go.Scatter(x=shown["timestamp"].to_list(), y=shown["close"], mode="lines", line=line))
    figure.update_layout(yaxis=log_axis("price", float(shown["close"].min()), float(shown["close"].max())))
    return style(figure, 300)


def summary_rows(summary: pd.DataFrame) -> Iterator[dict[str, str]]:
    """What the regimes came to as text."""
    for row in summary.to_dict("records"):
        yield {
            "symbol": row["symbol"],
            "regime": row["regime"],
            "share of bars": percent(row["share"]),
            "visits": number(row["visits"], 0),
            "bars a visit": number(row["mean_bars"], 0),
            "return ahead": percent(row["return_ahead"], 2),
            "volatility ahead": percent(row["volatility_ahead"], 2),
            "left within the horizon": percent(row["left_within"]),
            "said": percent(row["p_leave"]),
        }


def render_regimes_page(tables: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]], summary: pd.DataFrame) -> str:
    """A self-contained page; of more than `SHOWN_SYMBOLS` symbols the first so many are drawn.

    Args:
        tables: bars and regimes by partition, those that are drawn at least.
        summary: `walk_forward.summarise` of all symbols.
    """
    shown = dict(itertools.islice(tables.items(), SHOWN_SYMBOLS))
    points = max(SHOWN_POINTS // max(len(shown), 1), FEWEST_POINTS)
    has_regimes = {partition: bool((regimes["regime"] != "unknown").any()) for partition, (_, regimes) in shown.items()}
    charts = [
        {
            "symbol": partition.split("/")[1],
            "figure": div(
                regimes_figure(bars, regimes, points) if has_regimes[partition] else price_figure(bars, points)
            ),
        }
        for partition, (bars, regimes) in shown.items()
    ]
    symbols, rows = summary["symbol"].nunique(), table(summary_rows(summary))
    return render("regimes.html.j2", charts=charts, symbols=symbols, rows=rows, any_regimes=any(has_regimes.values()))
