"""How often floors held, as one page."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from tradewind.reports.page import div, render, table
from tradewind.reports.palette import BLUE, GREY, ORANGE, style
from tradewind.reports.text import number, percent
from tradewind.trading.execution.floor_study import FloorStudy

SHOWN_BARS = 500
WITHIN = 0.02  # of the stated probability that the share which held may be off


def render_floors_page(floors: pd.DataFrame, scores: pd.DataFrame, study: FloorStudy, is_simulated: bool) -> str:
    """A self-contained page: a sentence, coverage by group, and the last floors of each symbol.

    Args:
        floors: `floor_study.floors_of` of all symbols.
        scores: `floor_study.score_floors`.
        study: what was promised.
        is_simulated: whether the market is.
    """
    symbols = [
        {"id": f"floors-{number}", "name": symbol, "figure": div(_last_floors(rows.tail(SHOWN_BARS)))}
        for number, (symbol, rows) in enumerate(floors.groupby("symbol", sort=True))
    ]
    return render(
        "floors.html.j2", sentence=sentence(scores, study), model=study.model, rows=table(score_rows(scores)),
        horizon=study.rules.horizon_bars, probability=percent(study.rules.probability, 0), symbols=symbols,
        block_days=number(study.block_days, 0), is_simulated=is_simulated,
    )  # fmt: skip


def sentence(scores: pd.DataFrame, study: FloorStudy) -> str:
    """What may be said of all floors: whether they hold as stated, and whether they are sharper than past lows.

    Args:
        scores: `floor_study.score_floors`.
        study: what was promised.
    """
    whole, promised = scores.iloc[0], study.rules.probability
    off = scores[(scores["floor_held"] - promised).abs() > WITHIN]
    count = number(int(whole["floors"]), 0)
    held = f"{percent(whole['floor_held'])} of {count} floors held ({percent(promised, 0)} promised)"
    apart = ", ".join(f"{row['by']} {row['group']} ({percent(row['floor_held'])})" for row in off.to_dict("records"))
    where = f"further than 2 points off: {apart}." if apart else "no group below is further than 2 points off."
    low, high = whole["saved_against_historical_low"], whole["saved_against_historical_high"]
    if pd.isna(low):
        return f"{held}; {where} There are too few days to say whether they are sharper than past lows."
    verdict = "sharper than" if low > 0 else "less sharp than" if high < 0 else "not shown to be sharper than"
    saved = f"{percent(whole['saved_against_historical'])}, {percent(low)} to {percent(high)}"
    return f"{held}; {where} They are {verdict} the quantile of past lows: their pinball loss is lower by {saved}."


def score_rows(scores: pd.DataFrame) -> Iterator[dict[str, str]]:
    """One row a group as text.

    Args:
        scores: `floor_study.score_floors`.
    """
    for row in scores.to_dict("records"):
        yield {
            "of": row["group"] if row["by"] == "all" else f"{row['by']} {row['group']}",
            "floors": number(row["floors"], 0),
            "held": _with_interval(row, "floor_held"),
            "from bars alone": _with_interval(row, "from_bars_held"),
            "past lows": _with_interval(row, "historical_held"),
            "sharper than past lows by": _with_interval(row, "saved_against_historical"),
            "than from bars alone by": _with_interval(row, "saved_against_from_bars"),
        }


def _with_interval(row: dict[Any, Any], name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    interval = "too few days" if pd.isna(low) else f"{percent(low)} to {percent(high)}"
    return f"{percent(row[name])} ({interval})"


def _last_floors(rows: pd.DataFrame) -> Any:
    import plotly.graph_objects as go

    figure = go.Figure()
    lines = (("lowest", "lowest low that came", GREY), ("floor", "floor", BLUE), ("historical", "past lows", ORANGE))
    for column, name, colour in lines:
        values = [None if pd.isna(one) else round(100 * one, 4) for one in rows[column]]
        figure.add_trace(go.Scatter(x=rows["timestamp"], y=values, name=name, mode="lines", line={"color": colour}))
    figure.update_yaxes(title="below the close, %", automargin=True)
    return style(figure, 320)
