"""What a terminal shows when a run has ended: the verdict, on what, the best strategies, and where to read on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tradewind.reports import text
from tradewind.reports.performance import label

BEST = 5


def market_name(universe: Mapping[str, Any]) -> str:
    """Venue, symbols and bar in a few words: what a run is called by."""
    given = universe["symbols"]
    symbols = given.split() if isinstance(given, str) else list(given)
    named = " ".join(symbols[:3]) + (f" +{len(symbols) - 3}" if len(symbols) > 3 else "")
    return f"{universe['venue']} {named} {universe['timeframe']}"


def closing_words(
    verdict: Mapping[str, Any],
    boards: tuple[pd.DataFrame, pd.DataFrame],
    folds: pd.DataFrame,
    market: str,
    pages: Sequence[Path],
) -> str:
    """The lines that end a run.

    Args:
        verdict: the verdict on the judged strategy.
        boards: the leaderboards of the walk-forward folds and of the holdout.
        folds: the fold table.
        market: what was judged (`market_name`).
        pages: files to open.

    Returns:
        Text of several lines, at most about 100 characters wide.
    """
    tested = folds[folds["role"] == "walk_forward"]
    dates = f"{text.day(tested['test_start'].min())} to {text.day(tested['test_end'].max())}"
    # What is judged is shown wherever it stands: the line above the table speaks of it.
    is_shown = (np.arange(len(boards[0])) < BEST) | (boards[0]["strategy"] == verdict["strategy"])
    board, holdout = boards[0][is_shown], boards[1].set_index("strategy")
    rows = [("", "Sharpe", "90 % interval", "a year", "drawdown", "holdout", "90 % interval")]
    for row in board.to_dict("records"):
        later = holdout.loc[row["strategy"]] if row["strategy"] in holdout.index else None
        rows.append((
            label(row["strategy"]) + (" *" if row["strategy"] == verdict["strategy"] else ""),
            text.number(row["sharpe"]),
            text.interval(row["sharpe_low"], row["sharpe_high"]),
            text.percent(row["annual_return"], 0),
            text.percent(row["max_drawdown"], 0),
            "–" if later is None else text.number(later["sharpe"]),
            "–" if later is None else text.interval(later["sharpe_low"], later["sharpe_high"]),
        ))  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    lines = [
        f"{verdict['verdict'].upper()}: {text.HEADLINE[verdict['verdict']]}",
        f"{market}, walk-forward {dates}, net of costs; judged: {label(verdict['strategy'])} (*)",
        "",
        *table,
        "",
        *(str(page) for page in pages),
    ]
    return "\n".join(lines)
