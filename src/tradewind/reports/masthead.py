"""Who, what and when: the head of the report, which says what was judged and whether it was a market at all."""

from typing import Any

import pandas as pd

from tradewind.reports.tables import ReportTables
from tradewind.reports.text import day

SIMULATED = "simulated"


def is_simulated(tables: ReportTables) -> bool:
    """Whether the bars are of the project's own simulator."""
    return bool(tables.settings["universe"]["venue"] == SIMULATED)


def title(tables: ReportTables) -> str:
    """Symbols, venue, bar, and the first and the last day of the data."""
    universe = tables.settings["universe"]
    symbols = list(universe["symbols"])
    named = ", ".join(symbols[:6]) + (f" and {len(symbols) - 6} more" if len(symbols) > 6 else "")
    first = min((bars["timestamp"].iloc[0] for bars in tables.closes.values() if len(bars)), default=pd.NaT)
    last = max((bars["timestamp"].iloc[-1] for bars in tables.closes.values() if len(bars)), default=pd.NaT)
    where = "" if universe["venue"] == SIMULATED else f" on {universe['venue']}"
    return f"{named}{where}, {universe['timeframe']} bars, {day(first)} to {day(last)}"


def facts(tables: ReportTables) -> list[tuple[str, str]]:
    """Name and value of what a reader asks first."""
    tested, run = tables.folds[tables.folds["role"] == "walk_forward"], tables.run
    holdout = tables.folds[tables.folds["role"] == "holdout"]
    pairs = [
        ("judged on", f"{_span(tested)}, {len(tested)} walk-forward folds"),
        ("confirmed on", f"{_span(holdout)}, the holdout" if len(holdout) else "no holdout"),
        ("costs a side", costs(tables.settings.get("costs", {}))),
        ("run", f"{run.get('date', '–')}, {run.get('run', '–')}"),
        ("command", run.get("command", "–")),
        ("commit", run.get("commit", "–")),
        ("data, SHA-256", data_hash(tables.settings)),
    ]
    return [(name, str(value)) for name, value in pairs]


def costs(settings: dict[str, Any]) -> str:
    """What a fill is assumed to cost, in words."""
    words = [f"fee {settings['taker_fee_bps']:g} bps"] if "taker_fee_bps" in settings else []
    words += [f"half spread {settings['half_spread_bps']:g} bps"] if settings.get("half_spread_bps") else []
    share = settings.get("slippage_share_of_volatility")
    words += [f"slippage {share:g} of a bar's volatility"] if share else []
    return ", ".join(words) or "–"


def data_hash(settings: dict[str, Any]) -> str:
    """The start of each partition's hash; the whole ones stand among the settings."""
    hashes = settings.get("data_sha256", {})
    shown = [f"{name.split('/')[1] if '/' in name else name} {value[:8]}" for name, value in list(hashes.items())[:4]]
    return ", ".join(shown) + (f" and {len(hashes) - 4} more" if len(hashes) > 4 else "") or "–"


def _span(folds: pd.DataFrame) -> str:
    return f"{day(folds['test_start'].min())} to {day(folds['test_end'].max())}" if len(folds) else "–"
