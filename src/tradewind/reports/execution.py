"""What execution costs in worlds whose optimum is known, as one page."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from tradewind.reports.execution_recordings import calibration_rows, recording_sections
from tradewind.reports.page import div, render, table
from tradewind.reports.palette import BLUE, GREEN, GREY, ORANGE, style
from tradewind.reports.text import number, percent

PART_COLOURS = {"spread": GREY, "impact": BLUE, "drift": ORANGE, "risk": GREEN}


def render_execution_page(
    costs: pd.DataFrame, arbitrage: pd.DataFrame, recordings: pd.DataFrame, calibration: pd.DataFrame
) -> str:
    """A self-contained page, a section a world and a recording.

    Args:
        costs: `worlds.comparison.compare`.
        arbitrage: `worlds.arbitrage.compare`.
        recordings: `recordings.study.compare_recording` of all; empty without any.
        calibration: `forecasts.study` of all; empty without any.
    """
    worlds = [
        {
            "id": str(world).replace("_", "-"),
            "name": str(world).replace("_", " "),
            "figure": div(cost_figure(rows)),
            "table": table(cost_rows(rows)),
        }
        for world, rows in costs.groupby("world", sort=False)
    ]
    differences = [
        {"id": str(world).replace("_", "-"), "name": str(world).replace("_", " "), "table": table(gain_rows(rows))}
        for world, rows in (arbitrage.groupby("world", sort=False) if len(arbitrage) else ())
    ]
    recorded = recording_sections(recordings) if len(recordings) else []
    forecasts = [
        {"name": str(world).replace("_", " "), "table": table(calibration_rows(rows))}
        for world, rows in (calibration.groupby("world", sort=False) if len(calibration) else ())
    ]
    return render(
        "execution.html.j2", worlds=worlds, differences=differences, recordings=recorded, forecasts=forecasts
    )  # fmt: skip


def cost_figure(rows: pd.DataFrame) -> Any:
    """Each policy's cost, split into its parts where they are known; one order at once would dwarf the others.

    Args:
        rows: of one world.
    """
    import plotly.graph_objects as go

    rows = rows[~rows["policy"].isin(["one_order", "one_venue"])]
    names = [policy.replace("_", " ") for policy in rows["policy"]]
    figure = go.Figure()
    split = rows[[f"{part}_bps" for part in PART_COLOURS]].notna().all(axis=None)
    for part, colour in PART_COLOURS.items() if split else [("cost", BLUE)]:
        values = rows[f"{part}_bps"]
        if (values.abs() > 1e-9).any():
            figure.add_trace(go.Bar(y=names, x=values.tolist(), name=part, orientation="h", marker={"color": colour}))
    figure.update_layout(barmode="relative", showlegend=bool(split))
    figure.update_xaxes(title="basis points of the value at arrival")
    figure.update_yaxes(autorange="reversed", automargin=True)
    return style(figure, 110 + 46 * len(rows))


def cost_rows(rows: pd.DataFrame) -> Iterator[dict[str, str]]:
    """One row a policy as text.

    Args:
        rows: of one world.
    """
    is_known = (rows["policy"] == "optimum").any()
    has_agents = bool(rows["fallback_share"].notna().any()) if "fallback_share" in rows else False
    slices = rows.loc[rows["policy"] == "twap", "cost_bps"]
    for row in rows.to_dict("records"):
        share, error = row["share_of_gap"], row["share_of_gap_error"]
        yield {
            "policy": row["policy"].replace("_", " "),
            "cost, bps": f"{number(row['cost_bps'])} ± {number(2 * row['standard_error_bps'])}",
            **{part: number(row[f"{part}_bps"]) for part in PART_COLOURS},
            "saved against one order": percent(row["saved_against_one_order"], 1),
            "against equal slices": percent(1 - row["cost_bps"] / slices.iloc[0], 1) if len(slices) else "–",
            "share of the gap": _share(share, error) if is_known else "optimum not known",
            **({"decided by the fallback": _decided(row["fallback_share"])} if has_agents else {}),
        }


def _decided(share: float) -> str:
    return "–" if share != share else percent(share, 2)


def gain_rows(rows: pd.DataFrame) -> Iterator[dict[str, str]]:
    """One row a rule of arbitrage as text, an episode each, with twice the standard error.

    Args:
        rows: of one world.
    """
    for row in rows.to_dict("records"):
        share = row["share_of_clairvoyant"]
        yield {
            "rule": row["policy"].replace("_", " "),
            "gain, bps": f"{number(row['profit_bps'], 1)} ± {number(2 * row['profit_bps_error'], 1)}",
            "executions that gained": f"{number(row['won'])} ± {number(2 * row['won_error'])}",
            "that lost": f"{number(row['lost'])} ± {number(2 * row['lost_error'])}",
            "share of the clairvoyant's gain": "nothing to gain"
            if pd.isna(share)
            else f"{percent(share, 1)} ± {percent(2 * row['share_error'], 1)}",
        }


def _share(share: float, error: float) -> str:
    if pd.isna(share):
        return "no gap"
    return "worse than even" if share < -1 else f"{percent(share, 1)} ± {percent(2 * error, 1)}"
