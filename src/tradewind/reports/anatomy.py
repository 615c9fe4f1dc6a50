"""What the judged strategy is made of: months, trades, exposure, and what the market alone would have given."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from plotly import graph_objects as go
from plotly.subplots import make_subplots

from tradewind.market.calendars import AROUND_THE_CLOCK, YEAR_DAYS, Calendar
from tradewind.metrics.returns import daily_returns, trading_days
from tradewind.reports.palette import BLACK, BLUE, GREY, SKY, VERMILION, style
from tradewind.reports.performance import POINTS, label

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
ROLLING_DAYS = 90
SHOWN_TRADES = 1500
DIVERGING = [[0.0, VERMILION], [0.5, "#ffffff"], [1.0, BLUE]]


def daily_table(portfolio_returns: pd.DataFrame, calendar: Calendar = AROUND_THE_CLOCK) -> pd.DataFrame:
    """Net returns by day of the calendar, one column a strategy."""
    columns = {}
    for name, part in portfolio_returns.groupby("strategy", sort=False):
        days = trading_days(part["timestamp"], calendar).unique()
        columns[str(name)] = pd.Series(daily_returns(part["timestamp"], part["net"].to_numpy(), calendar), index=days)
    return pd.DataFrame(columns).sort_index()


def monthly_figure(daily: pd.Series) -> go.Figure:
    """Net return of every month, years down and months across, and of the whole year at the end."""
    monthly = (1 + daily.fillna(0.0)).groupby([daily.index.year, daily.index.month]).prod() - 1
    table = monthly.unstack().reindex(columns=range(1, 13))
    values = 100 * table.to_numpy(dtype=np.float64)
    largest = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 1.0
    yearly = (1 + daily.fillna(0.0)).groupby(daily.index.year).prod() - 1
    values = np.column_stack([values, 100 * yearly.reindex(table.index).to_numpy(dtype=np.float64)])
    texts = [["" if np.isnan(value) else f"{round(value, 1) + 0.0:.1f}" for value in row] for row in values]
    figure = go.Figure(
        go.Heatmap(
            z=values, x=[*MONTHS, "year"], y=[str(year) for year in table.index], text=texts, texttemplate="%{text}",
            colorscale=DIVERGING, zmid=0, zmin=-largest, zmax=largest, showscale=False, xgap=2, ygap=2,
            hovertemplate="%{y} %{x}: %{z:.2f} %<extra></extra>",
        )
    )  # fmt: skip
    figure.update_layout(yaxis={"autorange": "reversed", "type": "category", "showgrid": False}, xaxis_showgrid=False)
    figure = style(figure, height=70 + 36 * len(table))
    # Narrower than this its numbers cannot be read: on a phone it is moved sideways (figures.js).
    return figure.update_layout(margin={"t": 10, "b": 30}, meta={"least_width": 620})


def rolling_figure(daily: pd.DataFrame, chosen: str, days_per_year: float = YEAR_DAYS) -> go.Figure:
    """Sharpe ratio over the last 90 days.

    Args:
        daily: net returns by day, one column a strategy.
        chosen: the judged strategy.
        days_per_year: of the market's calendar.
    """
    figure = go.Figure()
    for name, colour, width in ((chosen, BLUE, 2.2), ("buy_and_hold", GREY, 1.2)):
        if name in daily:
            window = daily[name].rolling(ROLLING_DAYS)
            spread = window.std()
            ratio = (window.mean() / spread.where(spread > 1e-12)) * np.sqrt(days_per_year)
            ratio = ratio.iloc[:: max(len(ratio) // POINTS, 1)]
            figure.add_scatter(
                x=ratio.index, y=ratio, mode="lines", name=label(name), line={"color": colour, "width": width},
                hovertemplate="%{y:.2f}<extra></extra>",
            )  # fmt: skip
    figure.add_hline(y=0, line={"color": BLACK, "width": 1})
    figure.update_layout(yaxis_title=f"Sharpe ratio, {ROLLING_DAYS} days")
    return style(figure, height=300)


def exposure_figure(portfolio_returns: pd.DataFrame, chosen: str) -> go.Figure:
    """Mean exposure and turnover of each week."""
    rows = portfolio_returns[portfolio_returns["strategy"] == chosen].set_index("timestamp")
    weekly = rows[["exposure", "turnover"]].resample("W").agg({"exposure": "mean", "turnover": "sum"})
    figure = make_subplots(specs=[[{"secondary_y": True}]])
    figure.add_scatter(
        x=weekly.index, y=weekly["exposure"], mode="lines", name="exposure", fill="tozeroy",
        line={"color": SKY, "width": 1.2}, hovertemplate="%{y:.0%}<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=weekly.index, y=weekly["turnover"], mode="lines", name="turnover a week",
        line={"color": VERMILION, "width": 1.2}, secondary_y=True, hovertemplate="%{y:.2f}<extra></extra>",
    )  # fmt: skip
    figure.update_yaxes(title_text="exposure", tickformat=".0%", secondary_y=False, rangemode="tozero")
    # Not in step with the other axis, whose ticks would ask for numbers like 0.404 here.
    figure.update_yaxes(
        title_text="turnover, times equity", secondary_y=True, rangemode="tozero", showgrid=False, tickmode="auto",
        nticks=5,
    )  # fmt: skip
    return style(figure, height=280)


def hour_figure(conditions: pd.DataFrame, chosen: str) -> go.Figure:
    """Net return a bar by hour of the day, with its interval."""
    part = conditions[(conditions["strategy"] == chosen) & (conditions["by"] == "hour")]
    figure = go.Figure(
        go.Bar(
            x=part["group"], y=part["mean_bps"], marker_color=[BLUE if v >= 0 else VERMILION for v in part["mean_bps"]],
            error_y={"type": "data", "array": 1.645 * part["error_bps"], "color": GREY, "thickness": 1},
            hovertemplate="%{x}:00: %{y:.2f} bps<extra></extra>",
        )
    )  # fmt: skip
    figure.update_layout(xaxis={"title": "hour, UTC", "type": "category"}, yaxis_title="net a bar, bps")
    return style(figure, height=320)


def excursion_figure(trades: pd.DataFrame) -> go.Figure:
    """Every trade by the worst and best price it met, coloured by what it earned."""
    shown = trades.iloc[:: max(len(trades) // SHOWN_TRADES, 1)]
    figure = make_subplots(cols=2, subplot_titles=("worst price met (MAE)", "best price met (MFE)"), shared_yaxes=True)
    for column, name in enumerate(("mae", "mfe"), start=1):
        for won, text, colour in ((True, "won", BLUE), (False, "lost", VERMILION)):
            part = shown[(shown["net"] > 0) == won]
            figure.add_scatter(
                x=part[name], y=part["net"], mode="markers", name=text, showlegend=column == 1,
                marker={"color": colour, "size": 5, "opacity": 0.55, "symbol": "circle" if won else "x"},
                hovertemplate="%{x:.2%} on the way, %{y:.2%} net<extra></extra>", row=1, col=column,
            )  # fmt: skip
    figure.update_xaxes(tickformat=".1%")
    figure.update_yaxes(title_text="net, share of equity", tickformat=".1%", col=1)
    figure = style(figure, height=340)
    figure.update_layout(legend={"y": 1.12})
    return figure


def trade_rows(trades: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """What the trades came to: all, long and short."""
    for name, part in (("all", trades), ("long", trades[trades["side"] > 0]), ("short", trades[trades["side"] < 0])):
        if part.empty:
            continue
        won, lost = part[part["net"] > 0], part[part["net"] <= 0]
        gross_loss = -float(lost["net"].sum())
        captured = part["gross"].sum() / (part["mfe"] * part["size"] * part["entry_price"]).sum()
        yield {
            "trades": name,
            "count": len(part),
            "won": len(won) / len(part),
            "mean_won": float(won["net"].mean()) if len(won) else float("nan"),
            "mean_lost": float(lost["net"].mean()) if len(lost) else float("nan"),
            "profit_factor": float(won["net"].sum()) / gross_loss if gross_loss > 0 else float("nan"),
            "median_bars": float(part["bars"].median()),
            "mae": float(part["mae"].median()),
            "mfe": float(part["mfe"].median()),
            "captured": float(captured) if np.isfinite(captured) else float("nan"),
            "net": float(part["net"].sum()),
        }


def market_share(daily: pd.DataFrame, chosen: str, days_per_year: float = YEAR_DAYS) -> dict[str, float] | None:
    """Alpha, beta and R2 of the chosen strategy's daily returns on buying and holding, with the alpha's error.

    Ordinary least squares with Newey and West's error (1987) over 10 lags; alpha and its error a year. None where the
    market or the strategy does not move.

    Args:
        daily: net returns by day, one column a strategy.
        chosen: the judged strategy.
        days_per_year: of the market's calendar.
    """
    if "buy_and_hold" not in daily or len(daily) < 30:
        return None
    both = daily[[chosen, "buy_and_hold"]].dropna().to_numpy()
    y, x = both[:, 0], np.column_stack([np.ones(len(both)), both[:, 1]])
    if y.std() < 1e-12 or both[:, 1].std() < 1e-12:
        return None
    inverse = np.linalg.inv(x.T @ x)
    beta = inverse @ x.T @ y
    residual = y - x @ beta
    scores = x * residual[:, None]
    middle = scores.T @ scores
    for lag in range(1, 11):
        cross = scores[lag:].T @ scores[:-lag]
        middle += (1 - lag / 11) * (cross + cross.T)
    error = np.sqrt(np.diag(inverse @ middle @ inverse))
    return {
        "alpha": float(beta[0] * days_per_year),
        "alpha_error": float(error[0] * days_per_year),
        "beta": float(beta[1]),
        "r2": float(1 - residual.var() / y.var()),
    }
