"""Who, what and when: the head of the report, which says what was judged and whether it was a market at all."""

from typing import Any

import pandas as pd

from tradewind.market.universe import Universe
from tradewind.reports.tables import ReportTables
from tradewind.reports.text import closing_day, day

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
    # A session's bar closes at the midnight after it, which for Friday's is on Saturday.
    shown = day if Universe.model_validate(universe).trading_calendar.is_continuous else closing_day
    return f"{named}{where}, {universe['timeframe']} bars, {shown(first)} to {shown(last)}"


def facts(tables: ReportTables) -> list[tuple[str, str]]:
    """Name and value of what a reader asks first."""
    tested, run = tables.folds[tables.folds["role"] == "walk_forward"], tables.run
    holdout = tables.folds[tables.folds["role"] == "holdout"]
    pairs = [
        ("judged on", f"{_span(tested)}, {len(tested)} walk-forward folds"),
        ("confirmed on", f"{_span(holdout)}, the holdout" if len(holdout) else "no holdout"),
        ("costs a side", costs(tables.settings.get("costs", {}))),
        *_market_facts(tables),
        ("run", f"{run.get('date', '–')}, {run.get('run', '–')}"),
        ("command", run.get("command", "–")),
        ("commit", run.get("commit", "–")),
        ("data, SHA-256", data_hash(tables.settings)),
    ]
    return [(name, str(value)) for name, value in pairs]


PRICES = {
    "none": "as traded: neither splits nor dividends are taken out",
    "splits": "adjusted for splits; dividends are not in the returns",
    "splits_and_dividends": "adjusted for splits and dividends: returns hold the dividends (shorts pay them), and "
    "levels of the past were changed by later ones",
    None: "not stated whether adjusted for splits and dividends (universe.price_adjustment)",
}
CHOSEN = {
    "beforehand": "chosen beforehand",
    "afterwards": "chosen afterwards: symbols that did not survive are missing (survivorship), which flatters results",
    None: "not stated when it was chosen (universe.chosen); if afterwards, symbols that did not survive are missing "
    "(survivorship), which flatters results",
}


def _market_facts(tables: ReportTables) -> list[tuple[str, str]]:
    """When the market trades, how prices are adjusted, and how the symbols were chosen; nothing where it is simulated
    around the clock."""
    universe = Universe.model_validate(tables.settings["universe"])
    calendar = universe.trading_calendar
    found = []
    if not calendar.is_continuous:
        found.append(("calendar", f"{calendar.name}: {calendar.days_per_year:.4g} days a year"))
        found.append(("prices", PRICES[universe.price_adjustment]))
    if not is_simulated(tables) or universe.members:
        found.append(("universe", CHOSEN[universe.chosen] + _ended(universe)))
    return found


def _ended(universe: Universe) -> str:
    gone = [f"{name} on {member.until}" for name, member in universe.members.items() if member.until is not None]
    return f"; left by {', '.join(gone)}" if gone else ""


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
