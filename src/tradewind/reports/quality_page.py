"""The quality of the bars as one page: scores, gaps, runs, outliers, agreement, drift, rejected rows."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tradewind.data.quality.rules import SCORES, QualityRules
from tradewind.data.quality.scores import DISORDERED, REPEATED
from tradewind.reports import quality_charts as charts
from tradewind.reports.text import number, percent, quality_rows

_MOST_RUNS = 10
_CONTENT_LETTERS = 140
RETURN_RULES = ("return_z_score", "return_iqr", "return_robust", "bad_tick")
VOLUME_RULES = ("volume_z_score", "volume_iqr", "volume_robust")


@dataclass(frozen=True)
class QualityTables:
    """What the page is made of: the tables of `market.quality.tables`, flagged bars by partition, rejected rows."""

    quality: pd.DataFrame
    scores: pd.DataFrame
    flags: Mapping[str, pd.DataFrame]
    runs: pd.DataFrame
    calendar: pd.DataFrame
    drift: pd.DataFrame
    agreement: pd.DataFrame
    quarantine: pd.DataFrame


def render_quality_page(tables: QualityTables, rules: QualityRules) -> str:
    """A self-contained page; all text from the data is escaped."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("tradewind.reports"), autoescape=True, trim_blocks=True)
    states = tables.scores["state"].value_counts()
    return environment.get_template("data_quality.html.j2").render(
        state=next(state for state in ("stop", "warn", "pass") if states.get(state, 0)),
        n_stops=int(states.get("stop", 0)),
        n_warnings=int(states.get("warn", 0)),
        n_scores=len(tables.scores),
        scores=SCORES,
        heat=[_heat_row(symbol, part) for symbol, part in _by_symbol(tables.scores)],
        limits=[rules.threshold(score) for score in SCORES],
        share=share,
        causes=_table(_cause_rows(tables.scores)),
        counts=_table(quality_rows(tables.quality)),
        calendars=[_calendar(symbol, part) for symbol, part in _by_symbol(tables.calendar)],
        there=charts.THERE,
        missing_scale=[shade for _, shade in charts.MISSING],
        drift_scale=[shade for _, shade in charts.DRIFT],
        runs=_table(_run_rows(tables.runs)),
        outliers=_table(_outlier_rows(tables)),
        outlier_charts=[
            {"symbol": partition.split("/")[1], "svg": charts.outlier_svg(flags)}
            for partition, flags in tables.flags.items()
        ],
        agreement=_table(_agreement_rows(tables.agreement)),
        drift=charts.drift_svg(tables.drift),
        rejected=_table(_rejected_rows(tables.quarantine)),
        rules=rules,
    )


def share(value: float) -> str:
    """12.34 %, never rounded up: only what is whole reads 100 %."""
    return "100 %" if value == 1 else f"{math.floor(value * 10_000) / 100:.2f} %"


def score_rows(quality: pd.DataFrame) -> Iterator[dict[str, str]]:
    """The six scores of every symbol and their state as text, for a summary. `quality` is a `DataQuality` table."""
    for row in quality.to_dict("records"):
        yield {
            "symbol": row["symbol"],
            **{score: share(row[score]) for score in SCORES},
            "state": row["state"],
            "accepted": number(row["rows_accepted"], 0),
            "rejected": number(row["rows_rejected"], 0),
            "missing": number(row["missing_bars"], 0),
        }


def _by_symbol(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    return ((str(symbol), part) for symbol, part in table.groupby("symbol", sort=False))


def _heat_row(symbol: str, scores: pd.DataFrame) -> dict[str, Any]:
    by_score = scores.set_index("score")
    cells = [
        {
            "text": share(row["value"]), "state": "whole" if row["value"] == 1 else row["state"],
            "why": f"{row['measure']}: {row['held']:,.0f} of {row['looked_at']:,.0f}",
        }
        for row in by_score.loc[list(SCORES)].to_dict("records")
    ]  # fmt: skip
    return {"symbol": symbol, "cells": cells}


def _cause_rows(scores: pd.DataFrame) -> Iterator[dict[str, str]]:
    for row in scores[scores["causes"] != ""].to_dict("records"):
        yield {
            "symbol": row["symbol"],
            "score": row["score"],
            "value": share(row["value"]),
            "of": f"{row['held']:,.0f} of {row['looked_at']:,.0f} {row['measure']}",
            "what lowers it": row["causes"],
        }


def _calendar(symbol: str, days: pd.DataFrame) -> dict[str, Any]:
    years = list(charts.calendar_years(days))
    with_gaps = {name for name, _, _ in years}
    complete_years = [str(year) for year in days["day"].dt.year.unique() if str(year) not in with_gaps]
    drawn = [{"name": name, "missing": number(missing, 0), "svg": svg} for name, missing, svg in years]
    return {"symbol": symbol, "years": drawn, "whole": ", ".join(complete_years)}


def _run_rows(runs: pd.DataFrame) -> Iterator[dict[str, str]]:
    """The longest of each kind."""
    for kind in ("gap", "stale", "zero_volume"):
        longest = runs[runs["kind"] == kind].sort_values(["bars", "start"], ascending=[False, True], kind="stable")
        for row in longest.head(_MOST_RUNS).to_dict("records"):
            yield {
                "kind": kind.replace("_", " "),
                "symbol": row["symbol"],
                "from": f"{row['start']:%Y-%m-%d %H:%M}",
                "to": f"{row['end']:%Y-%m-%d %H:%M}",
                "bars": number(row["bars"], 0),
                "hours": number((row["end"] - row["start"]) / pd.Timedelta(hours=1), 1),
            }


def _outlier_rows(tables: QualityTables) -> Iterator[dict[str, str]]:
    bars = tables.quality.set_index("symbol")["rows_accepted"]
    for partition, flags in tables.flags.items():
        symbol = partition.split("/")[1]
        n_bars = int(bars[symbol])

        def counted(rule: str, flags: pd.DataFrame = flags, n_bars: int = n_bars) -> str:
            return f"{int(flags[rule].sum()):,} ({percent(flags[rule].sum() / n_bars, 2)})"

        yield {
            "symbol": symbol,
            "bars": number(n_bars, 0),
            **{f"return: {_rule(rule)}": counted(rule) for rule in RETURN_RULES},
            **{f"volume: {_rule(rule)}": counted(rule) for rule in VOLUME_RULES},
        }


def _rule(name: str) -> str:
    names = {"z_score": "z-score", "iqr": "IQR", "robust": "robust", "bad_tick": "undone (bad tick)"}
    return names[name.removeprefix("return_").removeprefix("volume_")]


def _agreement_rows(agreement: pd.DataFrame) -> Iterator[dict[str, str]]:
    for row in agreement.to_dict("records"):
        yield {
            "symbol": f"{row['symbol']} {row['timeframe']}",
            "compared with": row["other"],
            "bars": number(row["compared"], 0),
            "agree": share(row["agreeing"] / row["compared"]) if row["compared"] else "–",
            "within, bps": number(row["tolerance_bps"]),
            "median, bps": number(row["median_bps"]),
            "99 % within, bps": number(row["q99_bps"]),
            "worst, bps": number(row["worst_bps"]),
            "at": f"{row['worst_at']:%Y-%m-%d %H:%M}" if row["worst_bps"] > 0 else "–",
            "correlation of returns": number(row["return_correlation"], 4),
            "only here": number(row["only_here"], 0),
            "only there": number(row["only_there"], 0),
        }


def _rejected_rows(quarantine: pd.DataFrame) -> Iterator[dict[str, str]]:
    for (symbol, reason), rows in quarantine.groupby(["symbol", "reason"], sort=False):
        content = str(rows["content"].iloc[0])
        yield {
            "symbol": str(symbol),
            "reason": str(reason),
            "rows": number(len(rows), 0),
            "counts against": _dimension(str(reason)),
            "first": f"row {rows['source_row'].iloc[0]}: {content[:_CONTENT_LETTERS]}"
            + ("…" if len(content) > _CONTENT_LETTERS else ""),
        }


def _dimension(reason: str) -> str:
    return "uniqueness" if reason in REPEATED else "consistency" if reason in DISORDERED else "validity"


def _table(rows: Iterable[dict[str, str]]) -> dict[str, Any]:
    listed = list(rows)
    return {"head": list(listed[0]) if listed else [], "rows": [list(row.values()) for row in listed]}
