"""What execution would have cost inside recorded books, and how forecasts of it hold, as sections of the page."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from tradewind.reports.page import div, table
from tradewind.reports.palette import BLUE, GREEN, GREY, ORANGE, SKY, style
from tradewind.reports.text import interval, number, percent

PART_COLOURS = {"fee": GREY, "spread": SKY, "walk": BLUE, "drift": ORANGE, "opportunity": GREEN}
MAIN_WAY = "post_then_cross_at_end"


def recording_sections(recordings: pd.DataFrame) -> list[dict[str, Any]]:
    """A section a recording: what can be said, a figure of the middle size, and a table a size.

    Args:
        recordings: `recordings.study.compare_recording` of all of them.
    """
    sections = []
    for name, rows in recordings.groupby("recording", sort=False):
        values = sorted(rows["value"].unique())
        middle = rows[rows["value"] == values[len(values) // 2]]
        sections.append(
            {
                "id": str(name).replace("/", "-").lower(), "name": str(name).replace("/", " "),
                "sentence": sentence(middle), "figure": div(part_figure(middle)),
                "sizes": [
                    {"name": number(value, 0), "parts": table(part_rows(part)), "against": table(against_rows(part))}
                    for value, part in rows.groupby("value", sort=True)
                ],
            }
        )  # fmt: skip
    return sections


def sentence(rows: pd.DataFrame) -> str:
    """What one size of one recording shows of waiting and crossing at the deadline, and of what it is made.

    Args:
        rows: of one recording and size.
    """
    of = rows.set_index("policy")
    if MAIN_WAY not in of.index:
        return ""
    row, one = of.loc[MAIN_WAY], of.loc["one_order"]
    value, void = number(row["value"], 0), int(row["void"])
    left_out = f" {void} executions are left out: {row['reasons']}." if void else ""
    if str(row["says"]).startswith("too few"):
        return f"An order of {value}: {row['says']}.{left_out}"
    shown = {"saves": "saves", "costs more": "costs more, by"}.get(str(row["says"]), "shows no saving:")
    saved = f"{percent(row['saved_share'], 0)} ({_share(row, 'saved_share')})"
    low, high = sorted((abs(row["price_saved_low"]), abs(row["price_saved_high"])))
    is_clear = row["price_saved_low"] * row["price_saved_high"] > 0
    word = (
        ("worse" if row["price_saved_bps"] < 0 else "better") if is_clear else "neither better nor worse for certain,"
    )
    reach = interval(low, high) if is_clear else _ends(row, "price_saved")
    fee = number(one["fee_bps"] - row["fee_bps"])
    return (
        f"An order of {value} quote: waiting at the best price and crossing at the deadline {shown} {saved} of the "
        f"{number(one['cost_bps'])} bps that one order costs. The fee falls by {fee} bps; the price "
        f"alone is {word} by {number(abs(row['price_saved_bps']))} bps ({reach}). "
        f"{int(row['executions'])} executions.{left_out}"
    )


def part_figure(rows: pd.DataFrame) -> Any:
    """Each way's cost, split into its parts, with the interval of the whole.

    Args:
        rows: of one recording and size.
    """
    import plotly.graph_objects as go

    names = [policy.replace("_", " ") for policy in rows["policy"]]
    figure = go.Figure()
    for part, colour in PART_COLOURS.items():
        values = rows[f"{part}_bps"]
        if (values.abs() > 1e-6).any():
            figure.add_trace(go.Bar(y=names, x=values.tolist(), name=part, orientation="h", marker={"color": colour}))
    cost, low, high = (rows[f"cost_{end}"] for end in ("bps", "low", "high"))
    figure.add_trace(
        go.Scatter(
            y=names, x=cost.tolist(), mode="markers", name="all-in, 95 %", marker={"color": "black", "size": 6},
            error_x={"type": "data", "symmetric": False, "array": (high - cost).tolist(),
                     "arrayminus": (cost - low).tolist(), "color": "black"},
        )
    )  # fmt: skip
    figure.update_layout(barmode="relative")
    figure.update_xaxes(title="basis points of the value at arrival")
    figure.update_yaxes(autorange="reversed", automargin=True)
    return style(figure, 150 + 40 * len(rows))


def part_rows(rows: pd.DataFrame) -> Iterator[dict[str, str]]:
    """What each way costs and of what that is made, as text with 95 % intervals.

    Args:
        rows: of one recording and size.
    """
    for row in rows.to_dict("records"):
        yield {
            "way": row["policy"].replace("_", " "),
            "all-in, bps": f"{number(row['cost_bps'])} ({_ends(row, 'cost')})",
            **{part: f"{number(row[f'{part}_bps'])} ({_ends(row, part)})" for part in PART_COLOURS},
        }


def against_rows(rows: pd.DataFrame) -> Iterator[dict[str, str]]:
    """How each way stands to one order, to hindsight and to the market's mean prices, as text with 95 % intervals.

    Args:
        rows: of one recording and size.
    """
    for row in rows.to_dict("records"):
        compared = row["policy"] not in ("one_order", "hindsight") and not row["undone_share"] > 1e-3
        yield {
            "way": row["policy"].replace("_", " "),
            "verdict": row["says"],
            "saved": f"{percent(row['saved_share'])} ({_share(row, 'saved_share')})" if compared else "–",
            "saved without the fee, bps": f"{number(row['price_saved_bps'])} ({_ends(row, 'price_saved')})"
            if compared
            else "–",
            "of hindsight's gap": f"{percent(row['share_of_gap'], 0)} ({_share(row, 'share_of_gap', 0)})"
            if compared
            else "–",
            "price against TWAP, bps": _known(row, "against_twap"),
            "against VWAP, bps": _known(row, "against_vwap"),
            "met at rest": percent(row["maker_share"], 0),
        }


def calibration_rows(rows: pd.DataFrame) -> Iterator[dict[str, str]]:
    """One row a way and part of a forecast as text.

    Args:
        rows: of one forecast.
    """
    for row in rows.to_dict("records"):
        is_share = pd.isna(row["coverage"])
        yield {
            "way": row["way"].replace("_", " "),
            "part": row["part"],
            "verdict": row["says"],
            "within": "–" if is_share else f"{percent(row['coverage'])} ({_share(row, 'coverage')})",
            "outcome less forecast": f"{number(row['bias'], 3)} ({_ends(row, 'bias', 3)})",
            "width": number(row["width"], 3),
            "absolute error": number(row["error"], 3),
            "that of the mean": number(row["plain_error"], 3),
            "outcomes": number(row["outcomes"], 0),
            "blocks": number(row["blocks"], 0),
        }


def _known(row: Any, name: str) -> str:
    return "–" if pd.isna(row[f"{name}_bps"]) else f"{number(row[f'{name}_bps'])} ({_ends(row, name)})"


def _ends(row: Any, name: str, digits: int = 2) -> str:
    return interval(row[f"{name}_low"], row[f"{name}_high"], digits)


def _share(row: Any, name: str, digits: int = 1) -> str:
    return f"{percent(row[f'{name}_low'], digits)} to {percent(row[f'{name}_high'], digits)}"
