"""The watched model as one page: what has changed, and how it does beside what was expected."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from tradewind.reports.page import div, render, table
from tradewind.reports.palette import BLUE, GREY, VERMILION, style
from tradewind.reports.text import number, percent

SHOWN_COLUMNS = 40


def render_monitoring_page(drift: pd.DataFrame, performance: pd.DataFrame, summary: dict[str, Any]) -> str:
    """A self-contained page.

    Args:
        drift: `operations.monitoring.drift.drift_table`.
        performance: the table of `performance_of`.
        summary: `operations.monitoring.summary.watch`.
    """
    return render(
        "monitoring.html.j2",
        summary=summary,
        facts=list(_facts(summary)),
        changed=table(_changed_rows(summary["changed"])),
        largest=div(largest_figure(drift)) if len(drift) else None,
        loss=div(loss_figure(performance, summary["expected_loss"])) if len(performance) else None,
    )


def largest_figure(drift: pd.DataFrame) -> Any:
    """The largest score of each column in its newest window over the threshold, the columns that moved most.

    Args:
        drift: not empty.
    """
    import plotly.graph_objects as go

    newest = drift[drift["window_to"] == drift.groupby(["symbol", "kind"])["window_to"].transform("max")]
    names = newest["column"] + " (" + newest["symbol"] + ")"
    largest = newest.assign(name=names).groupby("name")["over_threshold"].max().nlargest(SHOWN_COLUMNS)[::-1]
    colours = [VERMILION if value > 1 else BLUE for value in largest]
    figure = go.Figure(go.Bar(y=list(largest.index), x=largest.tolist(), orientation="h", marker={"color": colours}))
    figure.add_vline(x=1.0, line={"color": GREY, "dash": "dash"})
    figure.update_xaxes(title="score over the threshold: beyond 1 a column has changed")
    figure.update_yaxes(automargin=True)
    return style(figure, 120 + 18 * len(largest))


def loss_figure(performance: pd.DataFrame, expected: dict[str, Any]) -> Any:
    """Mean log loss by day beside the walk-forward's interval.

    Args:
        performance: not empty.
        expected: mean, low and high.
    """
    import plotly.graph_objects as go

    daily = performance.groupby(performance["timestamp"].dt.floor("D"))["log_loss"].mean()
    figure = go.Figure(
        go.Scatter(
            x=daily.index.to_list(), y=daily.tolist(), mode="lines+markers", line={"color": BLUE}, name="log loss"
        )
    )
    figure.add_hrect(y0=expected["low"], y1=expected["high"], fillcolor=GREY, opacity=0.25, line_width=0)
    figure.update_yaxes(title="log loss, mean of a day")
    return style(figure)


def _facts(summary: dict[str, Any]) -> Iterator[tuple[str, str]]:
    expected = summary["expected_loss"]
    yield "model", summary["model"]
    yield "environment", summary["environment"]
    yield "trained to", summary["trained_to"]
    yield "watched to", summary["watched_to"]
    yield "rows since, all symbols", number(summary["rows"], 0)
    yield (
        "log loss of settled labels",
        "none settled" if summary["log_loss"] is None else number(summary["log_loss"], 4),
    )
    yield "expected", f"{number(expected['mean'], 4)} ({number(expected['low'], 4)} to {number(expected['high'], 4)})"
    yield "directions right", "none settled" if summary["hit_rate"] is None else percent(summary["hit_rate"], 1)


def _changed_rows(changed: list[dict[str, Any]]) -> Iterator[dict[str, str]]:
    for row in changed:
        yield {
            "column": row["column"],
            "symbol": row["symbol"],
            "of": row["kind"],
            "what": row["component"],
            "over the threshold": number(row["over_threshold"]),
        }
