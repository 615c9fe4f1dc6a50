"""The first two screens of the report: what the judged strategy did, without the statistics behind it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from plotly import graph_objects as go

from tradewind.market.parts import SymbolRows
from tradewind.metrics.tails import expected_shortfall, value_at_risk
from tradewind.reports.palette import BLACK, BLUE, GREY, SHOWN_SYMBOLS, VERMILION, WHITE, style
from tradewind.reports.performance import label
from tradewind.reports.text import closing_day, day, number, percent

DEEPEST, EXTREMES, SHOWN_TRADES, CONTEXT_BARS = 5, 5, 30, 20
SHOWN_CLOSES = 700


def best_baseline(board: pd.DataFrame) -> str | None:
    """The baseline with the best walk-forward Sharpe ratio; None in a run without one."""
    rivals = board[board["family"] == "baseline"].sort_values("sharpe", ascending=False)
    return str(rivals["strategy"].iloc[0]) if len(rivals) else None


def shown_strategies(board: pd.DataFrame, chosen: str) -> list[str]:
    """The judged strategy, buying and holding, and the best baseline."""
    present = set(board["strategy"])
    wanted = dict.fromkeys([chosen, "buy_and_hold", best_baseline(board) or chosen])
    return [name for name in wanted if name in present]


def drawdowns(daily: pd.Series) -> pd.DataFrame:
    """Every time below the highest equity: from, lowest, back (NaT where it still lasts), depth; deepest first."""
    equity = np.concatenate([[1.0], (1 + daily.fillna(0.0)).cumprod().to_numpy()])
    depth = (equity / np.maximum.accumulate(equity) - 1)[1:]
    below = np.concatenate([[False], depth < 0, [False]])
    starts, ends = np.flatnonzero(~below[:-1] & below[1:]), np.flatnonzero(below[:-1] & ~below[1:])
    rows = []
    for start, end in zip(starts, ends, strict=True):
        lowest = start + int(depth[start:end].argmin())
        back = daily.index[end] if end < len(daily) else pd.NaT
        rows.append((daily.index[start], daily.index[lowest], back, float(-depth[lowest]), int(end - start)))
    drawdown_table = pd.DataFrame(rows, columns=["from", "lowest", "back", "depth", "days"])
    return drawdown_table.sort_values("depth", ascending=False, ignore_index=True)


def drawdown_rows(daily: pd.Series) -> Iterator[dict[str, str]]:
    """The deepest drawdowns as text."""
    for row in drawdowns(daily).head(DEEPEST).to_dict("records"):
        yield {
            "from": day(row["from"]),
            "lowest on": day(row["lowest"]),
            "back on": "not yet" if pd.isna(row["back"]) else day(row["back"]),
            "depth": percent(row["depth"]),
            "days": number(row["days"], 0),
        }


def distribution_figure(daily: pd.Series) -> go.Figure:
    """How often days earned and lost how much, with the value at risk."""
    values = daily.dropna().to_numpy(dtype=np.float64)
    reach = float(np.quantile(np.abs(values), 0.995)) if len(values) else 0.01
    figure = go.Figure(
        go.Histogram(
            x=np.clip(values, -reach, reach), marker_color=BLUE, opacity=0.75, nbinsx=60,
            hovertemplate="%{x}: %{y} days<extra></extra>",
        )
    )  # fmt: skip
    for at, name, side in (
        (-value_at_risk(values), "VaR 95 %", "top right"), (-expected_shortfall(values), "CVaR", "top left"),
    ):  # fmt: skip
        figure.add_vline(
            x=at, line={"color": VERMILION, "dash": "dash" if name == "CVaR" else "solid", "width": 1.5},
            annotation_text=name, annotation_position=side, annotation_yshift=18,
        )  # fmt: skip
    figure.update_layout(
        xaxis={"title": "net return of a day", "tickformat": ".1%"},
        yaxis_title="days", bargap=0.04,
    )  # fmt: skip
    return style(figure, height=290)


def risk_rows(daily: pd.DataFrame, strategies: list[str]) -> Iterator[dict[str, str]]:
    """The tails of each strategy's days, a column a strategy."""
    values = {name: daily[name].dropna().to_numpy(dtype=np.float64) for name in strategies}
    measures: dict[str, Callable[[Any], str]] = {
        "VaR 95 %, a day": lambda days: percent(value_at_risk(days), 2),
        "CVaR 95 %": lambda days: percent(expected_shortfall(days), 2),
        "VaR 99 %": lambda days: percent(value_at_risk(days, 0.99), 2),
        "worst day": lambda days: percent(float(days.min()), 2),
        "best day": lambda days: percent(float(days.max()), 2),
        "skewness": lambda days: number(float(pd.Series(days).skew())),
        "excess kurtosis": lambda days: number(float(pd.Series(days).kurt()), 1),
    }
    for name, measured in measures.items():
        yield {"daily returns": name} | {label(strategy): measured(days) for strategy, days in values.items()}


def extreme_rows(trades: pd.DataFrame, best: bool) -> Iterator[dict[str, str]]:
    """The best or the worst closed trades as text; bars of days, which open and close at midnight, by their date."""
    closed = trades[~trades["is_open"]] if "is_open" in trades else trades
    by_day = bool((closed[["entry_time", "exit_time"]].stack().dt.strftime("%H%M") == "0000").all())
    for row in closed.sort_values("net", ascending=not best).head(EXTREMES).to_dict("records"):
        yield {
            "best" if best else "worst": row["symbol"],
            "side": "long" if row["side"] > 0 else "short",
            "net": percent(row["net"], 2),
            "bars": number(row["bars"], 0),
            "entered": day(row["entry_time"]) if by_day else f"{row['entry_time']:%Y-%m-%d %H:%M}",
            "exited": closing_day(row["exit_time"]) if by_day else f"{row['exit_time']:%Y-%m-%d %H:%M}",
        }


def price_figure(closes: Mapping[str, pd.DataFrame], trades: pd.DataFrame) -> go.Figure:
    """The price of a symbol with the entries and exits of its last trades; a button for each symbol.

    Of more than `SHOWN_SYMBOLS` symbols those are shown whose trades earned or lost most.

    Args:
        closes: by symbol, timestamp and close of every bar.
        trades: the judged strategy's trades.
    """
    figure, owners, of_symbol = go.Figure(), list[str](), SymbolRows(trades)
    weight = {symbol: float(of_symbol[symbol]["net"].abs().sum()) for symbol in closes}
    weightiest = set(sorted(weight, key=lambda symbol: -weight[symbol])[:SHOWN_SYMBOLS])
    closes = {symbol: bars for symbol, bars in closes.items() if symbol in weightiest}
    for symbol, bars in closes.items():
        last = of_symbol[symbol].sort_values("entry_time").tail(SHOWN_TRADES)
        for trace in _traces(symbol, bars, last):
            figure.add_trace(trace)
            owners.append(symbol)
    shown = next(iter(closes), "")
    for trace, owner in zip(figure.data, owners, strict=True):
        trace.visible = owner == shown
    buttons = [
        {"label": symbol, "method": "update", "args": [{"visible": [owner == symbol for owner in owners]}]}
        for symbol in closes
    ]
    if len(buttons) > 1:
        menu = {"type": "buttons", "direction": "right", "x": 1, "xanchor": "right", "y": 1.16, "buttons": buttons}
        menu |= {"showactive": False, "bgcolor": WHITE, "font": {"color": BLACK}, "bordercolor": GREY}
        figure.update_layout(updatemenus=[menu])
    figure.update_layout(yaxis={"title": "price", "type": "log", "tickformat": "~s"})
    return style(figure, height=400)


def _traces(symbol: str, bars: pd.DataFrame, trades: pd.DataFrame) -> list[Any]:
    if len(trades):
        at = bars["timestamp"]
        first = int(at.searchsorted(trades["entry_time"].min())) - CONTEXT_BARS
        end = int(at.searchsorted(trades["exit_time"].max())) + CONTEXT_BARS
        bars = bars.iloc[max(first, 0) : end]
    thin = bars.iloc[:: max(len(bars) // SHOWN_CLOSES, 1)]
    line = go.Scatter(
        x=thin["timestamp"], y=thin["close"], mode="lines", name=symbol, line={"color": GREY, "width": 1.2},
        hovertemplate="%{y:.4g}<extra></extra>",
    )  # fmt: skip
    traces = [line]
    for side, name, symbol_of, colour in (
        (1, "long", "triangle-up", BLUE), (-1, "short", "triangle-down", VERMILION),
    ):  # fmt: skip
        part = trades[trades["side"] == side]
        traces.append(
            go.Scatter(
                x=part["entry_time"], y=part["entry_price"], mode="markers", name=f"entered {name}",
                marker={"symbol": symbol_of, "size": 10, "color": colour},
                hovertemplate=f"{name} at %{{y:.4g}}<extra></extra>",
            )
        )  # fmt: skip
    closed = trades[~trades["is_open"]] if "is_open" in trades else trades
    traces.append(
        go.Scatter(
            x=closed["exit_time"], y=closed["exit_price"], mode="markers", name="exited",
            marker={"symbol": "x-thin", "size": 8, "line": {"width": 2, "color": BLACK}},
            customdata=closed["net"], hovertemplate="exited at %{y:.4g}: %{customdata:.2%} net<extra></extra>",
        )
    )  # fmt: skip
    return traces
