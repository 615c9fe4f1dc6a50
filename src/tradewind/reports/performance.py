"""Charts of what the strategies earned."""

from typing import Any

import numpy as np
import pandas as pd
from plotly import graph_objects as go

from tradewind.adaptive.rl.parameters import TITLES as AGENT_TITLES
from tradewind.learning.models.titles import TITLES as MODEL_TITLES
from tradewind.market.calendars import AROUND_THE_CLOCK, Calendar
from tradewind.metrics.returns import daily_returns, trading_days
from tradewind.reports.palette import BLACK, BLUE, GREY, SERIES, SKY, log_axis, style
from tradewind.trading.strategy.names import TITLES as RULE_TITLES

SHOWN_SHARPE = -6.0  # what loses faster than this leaves the chart; the tables have it
BAND_HISTORIES, BAND_BLOCK, BAND_COLOUR = 400, 10, "rgba(0, 114, 178, 0.13)"
POINTS = 700  # a chart shows no more, and a page stays small


def label(strategy: str) -> str:
    """The strategy's name as people write it: as its own room says, else its words."""
    for titles in (MODEL_TITLES, AGENT_TITLES, RULE_TITLES):
        if strategy in titles:
            return titles[strategy]
    return strategy.replace("_", " ")


def equity_curves(portfolio_returns: pd.DataFrame) -> pd.DataFrame:
    """Net equity by timestamp and strategy, from 1, at most `POINTS` rows."""
    net = portfolio_returns.pivot(index="timestamp", columns="strategy", values="net").fillna(0.0)
    equity = (1 + net).cumprod()
    step = max(len(equity) // POINTS, 1)
    return equity.iloc[::step] if len(equity) else equity


def equity_figure(portfolio_returns: pd.DataFrame, chosen: str, calendar: Calendar = AROUND_THE_CLOCK) -> go.Figure:
    """Net equity of every strategy on a logarithmic scale; the shaded end is the holdout.

    Args:
        portfolio_returns: rows of all strategies.
        chosen: the judged strategy.
        calendar: of the market: which days there are.
    """
    equity = equity_curves(portfolio_returns)
    figure = go.Figure()
    _add_band(figure, portfolio_returns[portfolio_returns["strategy"] == chosen], calendar)
    for strategy, line in _styles(list(equity.columns), chosen):
        figure.add_scatter(
            x=equity.index, y=equity[strategy].clip(lower=1e-4), mode="lines", name=label(strategy),
            line=line,
            hovertemplate=f"{label(strategy)}: %{{y:.3f}}<extra></extra>",
        )  # fmt: skip
    low, high = float(np.nanmin(equity.to_numpy())), float(np.nanmax(equity.to_numpy()))
    figure.update_layout(yaxis=log_axis("equity, net of costs", max(low, 1e-4), high))
    _shade_holdout(figure, portfolio_returns)
    return style(figure, height=460)


def _add_band(figure: go.Figure, rows: pd.DataFrame, calendar: Calendar) -> None:
    """Where 90 % of the histories lie that are made of the same days in blocks of about ten, drawn anew."""
    daily = daily_returns(rows["timestamp"], rows["net"].to_numpy(), calendar)
    if len(daily) < 2:
        return
    rng = np.random.default_rng(0)  # a picture of the spread; the intervals in the tables have the run's own seed
    starts = rng.integers(0, len(daily), (BAND_HISTORIES, -(-len(daily) // BAND_BLOCK)))
    order = (starts[:, :, None] + np.arange(BAND_BLOCK)).reshape(BAND_HISTORIES, -1)[:, : len(daily)] % len(daily)
    equity = np.exp(np.cumsum(np.log1p(np.maximum(daily[order], -0.9999)), axis=1))
    low, high = np.quantile(equity, [0.05, 0.95], axis=0)
    thin = slice(None, None, max(len(daily) // POINTS, 1))
    days = trading_days(rows["timestamp"], calendar).unique()[thin]
    for values, fill in ((high, None), (low, "tonexty")):
        figure.add_scatter(
            x=days, y=np.maximum(values[thin], 1e-4), mode="lines", line={"width": 0}, fill=fill, fillcolor=BAND_COLOUR,
            showlegend=False, hoverinfo="skip",
        )  # fmt: skip


def drawdown_figure(portfolio_returns: pd.DataFrame, chosen: str, height: int = 320) -> go.Figure:
    """Distance below the highest equity so far.

    Args:
        portfolio_returns: net returns a bar by strategy.
        chosen: the judged strategy.
        height: in pixels.
    """
    net = portfolio_returns.pivot(index="timestamp", columns="strategy", values="net").fillna(0.0)
    equity = (1 + net).cumprod()
    depth = equity / equity.cummax() - 1
    depth = depth.iloc[:: max(len(depth) // POINTS, 1)]
    figure = go.Figure()
    shown = [name for name in (chosen, "buy_and_hold") if name in depth.columns]
    for strategy, line in _styles(shown, chosen):
        figure.add_scatter(
            x=depth.index, y=depth[strategy], mode="lines", name=label(strategy), fill="tozeroy",
            line=line, hovertemplate="%{y:.1%}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(yaxis={"tickformat": ".0%", "title": "drawdown"})
    _shade_holdout(figure, portfolio_returns)
    return style(figure, height=height)


def cost_figure(cost_sensitivity: pd.DataFrame, chosen: str) -> go.Figure:
    """Sharpe ratio against the multiple of the assumed costs; where a line crosses zero, the result is gone."""
    figure = go.Figure()
    names = list(dict.fromkeys(cost_sensitivity["strategy"]))
    for strategy, line in _styles(names, chosen):
        part = cost_sensitivity[cost_sensitivity["strategy"] == strategy].sort_values("cost_multiple")
        figure.add_scatter(
            x=part["cost_multiple"], y=part["sharpe"], mode="lines+markers", name=label(strategy),
            line=line,
            hovertemplate=f"{label(strategy)} at %{{x:g}} times the costs: %{{y:.2f}}<extra></extra>",
        )  # fmt: skip
    figure.add_hline(y=0, line={"color": BLACK, "width": 1})
    lowest = max(float(cost_sensitivity["sharpe"].min()) - 0.5, SHOWN_SHARPE)
    figure.update_layout(
        xaxis_title="multiple of the assumed costs",
        yaxis={"title": "Sharpe ratio", "range": [lowest, float(cost_sensitivity["sharpe"].max()) + 0.5]},
    )
    return style(figure)


def interval_figure(board: pd.DataFrame, holdout: pd.DataFrame) -> go.Figure:
    """Sharpe ratios with their intervals, walk-forward (filled) and holdout (hollow)."""
    figure = go.Figure()
    order = list(board["strategy"].iloc[::-1])
    for table, name, symbol, shift in (
        (board, "walk-forward", "circle", 0.12),
        (holdout, "holdout", "circle-open", -0.12),
    ):
        rows = table.set_index("strategy").reindex(order)
        figure.add_scatter(
            x=rows["sharpe"], y=np.arange(len(order)) + shift, mode="markers", name=name,
            marker={"symbol": symbol, "size": 9, "color": BLUE},
            error_x={
                "type": "data", "symmetric": False, "array": rows["sharpe_high"] - rows["sharpe"],
                "arrayminus": rows["sharpe"] - rows["sharpe_low"], "color": BLUE if shift > 0 else SKY,
            },
            customdata=[label(strategy) for strategy in order],
            hovertemplate="%{customdata}: %{x:.2f}<extra></extra>",
        )  # fmt: skip
    figure.add_vline(x=0, line={"color": GREY, "dash": "dot"})
    figure.update_layout(
        xaxis={"title": "Sharpe ratio, net", "range": [_floor(board, holdout), _top(board, holdout)]},
        yaxis={"tickvals": list(range(len(order))), "ticktext": [label(name) for name in order], "automargin": True},
    )
    return style(figure, height=120 + 40 * len(order))


def _floor(board: pd.DataFrame, holdout: pd.DataFrame) -> float:
    return max(float(np.nanmin([board["sharpe_low"].min(), holdout["sharpe_low"].min(), -0.5])), SHOWN_SHARPE) - 0.5


def _top(board: pd.DataFrame, holdout: pd.DataFrame) -> float:
    return float(np.nanmax([board["sharpe_high"].max(), holdout["sharpe_high"].max(), 0.5])) + 0.5


def _styles(strategies: list[str], chosen: str) -> list[tuple[str, dict[str, Any]]]:
    """Strategy and its line: the chosen one strong and blue, the rest thin, each its own colour, dotted the second time
    round; the oracle is dashed."""
    others = [name for name in strategies if name != chosen]
    colours = [colour for colour in SERIES if colour != BLUE]
    styles = []
    for at, name in enumerate(others):
        dash = "dash" if name == "oracle" else "dot" if at >= len(colours) else "solid"
        styles.append((name, {"color": colours[at % len(colours)], "width": 1.3, "dash": dash}))
    return [*styles, (chosen, {"color": BLUE, "width": 2.6})] if chosen in strategies else styles


def _shade_holdout(figure: go.Figure, portfolio_returns: pd.DataFrame) -> None:
    holdout = portfolio_returns.loc[portfolio_returns["role"] == "holdout", "timestamp"]
    if not holdout.empty:
        figure.add_vrect(
            x0=holdout.min(), x1=holdout.max(), fillcolor=GREY, opacity=0.12, line_width=0,
            annotation_text="holdout", annotation_position="top left",
        )  # fmt: skip
