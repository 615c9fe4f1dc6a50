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
                    {"name": number(value, 0), "table": table(part_rows(rows[rows["value"] == value]))}
                    for value in values
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
    fee, without = number(one["fee_bps"] - row["fee_bps"]), number(row["price_saved_bps"])
    return (
        f"An order of {value} quote: waiting at the best price and crossing at the deadline {shown} {saved} of what one "
        f"order costs, {number(one['cost_bps'])} bps. The fee makes {fee} bps of it; without the fee it is {without} bps "
        f"({_ends(row, 'price_saved')}). {int(row['executions'])} executions.{left_out}"
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
    """One row a way as text, all with 95 % intervals.

    Args:
        rows: of one recording and size.
    """
    for row in rows.to_dict("records"):
        yield {
            "way": row["policy"].replace("_", " "),
            "what is shown": row["says"],
            "all-in, bps": f"{number(row['cost_bps'])} ({_ends(row, 'cost')})",
            **{part: f"{number(row[f'{part}_bps'])} ({_ends(row, part)})" for part in PART_COLOURS},
            "saved": f"{percent(row['saved_share'])} ({_share(row, 'saved_share')})",
            "of that without the fee, bps": f"{number(row['price_saved_bps'])} ({_ends(row, 'price_saved')})",
            "share of hindsight's gap": f"{percent(row['share_of_gap'], 0)} ({_share(row, 'share_of_gap')})",
            "price against TWAP": f"{number(row['against_twap_bps'])} ({_ends(row, 'against_twap')})",
            "against VWAP": f"{number(row['against_vwap_bps'])} ({_ends(row, 'against_vwap')})",
            "met at rest": percent(row["maker_share"], 0),
        }


def calibration_rows(rows: pd.DataFrame) -> Iterator[dict[str, str]]:
    """One row a way and part of a forecast as text.

    Args:
        rows: of one forecast.
    """
    for row in rows.to_dict("records"):
        yield {
            "way": row["way"].replace("_", " "),
            "part": row["part"],
            "90 % interval holds": f"{percent(row['coverage'])} ({_share(row, 'coverage')})",
            "outcome less forecast": f"{number(row['bias'], 3)} ({_ends(row, 'bias', 3)})",
            "width": number(row["width"], 3),
            "absolute error": number(row["error"], 3),
            "of the plain mean": number(row["plain_error"], 3),
            "outcomes, blocks": f"{row['outcomes']}, {row['blocks']}",
            "says": row["says"],
        }


def _ends(row: Any, name: str, digits: int = 2) -> str:
    return interval(row[f"{name}_low"], row[f"{name}_high"], digits)


def _share(row: Any, name: str) -> str:
    return f"{percent(row[f'{name}_low'])} to {percent(row[f'{name}_high'])}"
