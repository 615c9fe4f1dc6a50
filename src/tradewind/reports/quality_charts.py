"""Quality drawn small: missing bars by day, outliers in time, drift by month; as SVG for the page, as figures for the
catalog."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from plotly import graph_objects as go

from tradewind.data.quality.rules import SCORES
from tradewind.reports.palette import BLUE, GREY, VERMILION, style

# From one missing bar to a missing day, told apart by lightness alone: lower limits of the missing share.
MISSING = ((0.0, "#fdd9a0"), (0.1, "#fdb863"), (0.5, "#e66101"), (1.0, "#3b1a00"))
THERE = "#e4ebf1"
# Population stability index: no shift, a shift, a large one, another market.
DRIFT = ((0.0, "#e4ebf1"), (0.1, "#fde0b4"), (0.25, "#fdb863"), (0.5, "#e66101"), (1.0, "#8f3b00"))
QUANTITIES = ("return", "volume", "range")
CELL, STEP = 7, 8
_MOST_DOTS = 400


def colour(value: float, scale: tuple[tuple[float, str], ...]) -> str:
    """The colour of the highest limit that the value reaches."""
    return [shade for limit, shade in scale if value >= limit][-1]


def calendar_years(days: pd.DataFrame) -> Iterator[tuple[str, int, str]]:
    """For each year with missing bars: its name, how many, and its days as an SVG, a week a column.

    `days` are one symbol's rows of `QualityCalendar`.
    """
    for year, part in days.groupby(days["day"].dt.year):
        missing = int(part["missing_bars"].sum())
        if missing:
            yield str(year), missing, _year_svg(int(str(year)), part)


def _year_svg(year: int, days: pd.DataFrame) -> str:
    first = pd.Timestamp(year=year, month=1, day=1).dayofweek
    place = days["day"].dt.dayofyear.to_numpy() - 1 + first
    across, down = place // 7 * STEP, place % 7 * STEP + 12
    expected, missing = days["expected_bars"].to_numpy(), days["missing_bars"].to_numpy()
    names = days["day"].dt.strftime("%Y-%m-%d").tolist()
    # Days without a gap are one path, so that a page of many years stays small.
    complete_days = "".join(f"M{across[at]} {down[at]}h{CELL}v{CELL}h-{CELL}z" for at in np.flatnonzero(missing == 0))
    holes = "".join(
        f'<rect x="{across[at]}" y="{down[at]}" width="{CELL}" height="{CELL}" '
        f'fill="{colour(missing[at] / expected[at], MISSING)}">'
        f"<title>{names[at]}: {missing[at]} of {expected[at]} bars missing</title></rect>"
        for at in np.flatnonzero(missing > 0)
    )
    months = "".join(
        f'<text x="{(pd.Timestamp(year=year, month=month, day=1).dayofyear - 1 + first) // 7 * STEP}" y="8">'
        f"{'JFMAMJJASOND'[month - 1]}</text>"
        for month in range(1, 13)
    )
    width, height = 54 * STEP, 7 * STEP + 12
    label = f"missing bars in {year}, a square a day"
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{label}">'
        f'<path d="{complete_days}" fill="{THERE}"/>{holes}<g font-size="8" fill="{GREY}">{months}</g></svg>'
    )


def outlier_svg(flags: pd.DataFrame) -> str:
    """The returns that the robust rule flags, in time; bad ticks ringed. `flags` are rows of `BarFlags`."""
    shown = flags[flags["return_robust"]]
    shown = shown.loc[shown["deviations"].abs().sort_values(ascending=False).index[:_MOST_DOTS]].sort_index()
    if shown.empty:
        return ""
    width, height, left = 520, 150, 58
    when = shown["timestamp"].dt.as_unit("ms").astype("int64").to_numpy()
    start, end = int(when.min()), int(when.max())
    percent = 100 * np.expm1(shown["log_return"].to_numpy())
    reach = float(np.abs(percent).max())
    across = left + (when - start) / max(end - start, 1) * (width - left - 8)
    down = height / 2 - percent / reach * (height / 2 - 12)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{5 if bad else 3}" '
        f"{f'fill=none stroke={VERMILION} stroke-width=2' if bad else f'fill={BLUE} fill-opacity=.7'}>"
        f"<title>{instant:%Y-%m-%d %H:%M}: {move:+.2f} %, {strength:+.0f} deviations{', undone' if bad else ''}</title>"
        "</circle>"
        for x, y, instant, move, strength, bad in zip(
            across, down, shown["timestamp"], percent, shown["deviations"], shown["bad_tick"], strict=True
        )
    )
    axis = f'<line x1="{left}" x2="{width}" y1="{height / 2}" y2="{height / 2}" stroke="#c3cad3"/>'
    marks = "".join(
        f'<text x="{left - 5}" y="{y}" text-anchor="end">{value:+.1f} %</text>'
        for y, value in ((15, reach), (height / 2 + 4, 0.0), (height - 8, -reach))
    )
    years = f'<text x="{left}" y="{height}">{pd.Timestamp(start, unit="ms"):%Y-%m}</text>'
    years += f'<text x="{width}" y="{height}" text-anchor="end">{pd.Timestamp(end, unit="ms"):%Y-%m}</text>'
    return (
        f'<svg viewBox="0 0 {width} {height + 4}" width="{width}" height="{height + 4}" role="img" '
        f'aria-label="outlying returns in time">{axis}{dots}<g font-size="11" fill="#5b6673">{marks}{years}</g></svg>'
    )


def drift_svg(drift: pd.DataFrame) -> str:
    """PSI of every month against the one before, a row a symbol and quantity. `drift` are rows of `QualityDrift`."""
    if drift.empty:
        return ""
    months = [str(month) for month in pd.period_range(drift["month"].min(), drift["month"].max(), freq="M")]
    place = {month: at for at, month in enumerate(months)}
    symbols = list(dict.fromkeys(drift["symbol"]))
    left, step, row = 120, 11, 13
    rows = {(symbol, quantity): at for at, (symbol, quantity) in enumerate((s, q) for s in symbols for q in QUANTITIES)}
    cells = "".join(
        f'<rect x="{left + place[one["month"]] * step}" y="{16 + rows[one["symbol"], one["quantity"]] * row}" '
        f'width="{step - 1}" height="{row - 1}" fill="{colour(one["psi"], DRIFT)}"><title>{one["month"]}: PSI '
        f"{one['psi']:.2f}, KS {one['ks']:.2f}, {one['rows']:,} rows against {one['rows_before']:,} of {one['before']}"
        "</title></rect>"
        for one in drift.to_dict("records")
    )
    from html import escape

    names = "".join(
        f'<text x="{left - 6}" y="{26 + at * row}" text-anchor="end">{escape(symbol)} {quantity}</text>'
        for (symbol, quantity), at in rows.items()
    )
    years = "".join(
        f'<text x="{left + at * step}" y="10">{month[:4] if month.endswith("-01") or at == 0 else ""}</text>'
        for at, month in enumerate(months)
    )
    width, height = left + len(months) * step, 18 + len(rows) * row
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="drift between months">{cells}<g font-size="10" fill="#5b6673">{names}{years}</g></svg>'
    )


def score_figure(scores: pd.DataFrame) -> Any:
    """The six scores of every symbol, with what they rest on. `scores` are rows of `QualityScores`."""
    symbols = list(dict.fromkeys(scores["symbol"]))
    table = scores.set_index(["symbol", "score"])

    def grid(column: str) -> Any:
        return table[column].unstack("score").reindex(index=symbols, columns=list(SCORES)).to_numpy()

    state = np.vectorize({"stop": 0.0, "warn": 1.0, "pass": 2.0}.get)(grid("state"))
    figure = go.Figure(
        go.Heatmap(
            z=state, x=list(SCORES), y=symbols, text=np.vectorize("{:.4f}".format)(grid("value")),
            customdata=grid("causes"), texttemplate="%{text}", zmin=0, zmax=2, showscale=False, xgap=2, ygap=2,
            colorscale=[[0.0, VERMILION], [0.5, "#fdd9a0"], [1.0, "#d5ece4"]],
            hovertemplate="%{y}, %{x}: %{text} %{customdata}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(side="top")
    return style(figure, height=120 + 34 * len(symbols)).update_layout(title=None)


def drift_figure(drift: pd.DataFrame) -> Any:
    """PSI of every month against the one before, a row a symbol and quantity."""
    rows = drift["symbol"] + " " + drift["quantity"]
    table = drift.assign(row=rows).pivot(index="row", columns="month", values="psi")
    table = table.reindex(list(dict.fromkeys(rows)))
    figure = go.Figure(
        go.Heatmap(
            z=table.to_numpy(), x=list(table.columns), y=list(table.index), zmin=0, zmax=1, xgap=1, ygap=1,
            colorscale=[[limit, shade] for limit, shade in DRIFT], colorbar={"title": "PSI"},
            hovertemplate="%{y}, %{x}: PSI %{z:.2f}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(type="category", nticks=12)
    return style(figure, height=140 + 20 * len(table))
