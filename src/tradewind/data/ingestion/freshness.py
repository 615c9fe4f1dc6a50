"""Whether a store holds what its configuration says it should, without asking any source."""

from datetime import datetime, timedelta

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import Span
from tradewind.data.ingestion.fetch import FetchSettings
from tradewind.data.ingestion.planning import epoch_ms
from tradewind.data.stores.base import Store
from tradewind.errors import BadData
from tradewind.market.timeframes import bar_duration_ms

# The end of all opening times that a store is asked for, epoch milliseconds: the year 9999.
_END_MS = 253_402_300_799_000


def require_up_to_date(store: Store, fetch: FetchSettings, now: datetime) -> None:
    """Nothing, if every symbol of `fetch` has bars in the store and its last ones are recent.

    Bars are recent if they reach `fetch.until` or, where that is later or None, `fetch.max_age_hours` before now. A
    span that a source has answered for counts as reached, so that a delisted symbol does not stop a run. Holes before
    the last bar are not looked for: data quality counts them.

    Args:
        store: the opened store; it is only read.
        fetch: symbols, timeframe and span that the store is to hold.
        now: the present, UTC.

    Raises:
        BadData: symbols are missing or out of date, with the command that fetches them.
    """
    bar_ms = bar_duration_ms(fetch.timeframe)
    latest_needed = now - timedelta(hours=fetch.max_age_hours)
    needed_ms = min(epoch_ms(latest_needed if fetch.until is None else min(fetch.until, latest_needed)), _END_MS)
    stored = [key for key in store.keys() if key.timeframe == fetch.timeframe]  # noqa: SIM118 - a store is no mapping
    by_symbol = {symbol: [key for key in stored if key.symbol == symbol] for symbol in fetch.symbols}
    missing = [symbol for symbol, keys in by_symbol.items() if not keys]
    stale = [
        symbol
        for symbol, keys in by_symbol.items()
        if keys and not any(_reaches(store, key, needed_ms, bar_ms) for key in keys)
    ]
    problems = [
        f"{words} {' '.join(symbols)} ({fetch.timeframe})"
        for words, symbols in (("no bars of", missing), ("old bars of", stale))
        if symbols
    ]
    if problems:
        raise BadData(f"the store has {' and '.join(problems)}: run `kedro backfill` with this run's --env")


def _reaches(store: Store, key: BarKey, needed_ms: int, bar_ms: int) -> bool:
    """Whether bars, or answers of a source, reach the bar that closes last by `needed_ms`."""
    end_ms = needed_ms - needed_ms % bar_ms
    if any(span.until_ms >= end_ms for span, _ in store.covered(key)):
        return True
    return len(store.read(key, Span(end_ms - bar_ms, _END_MS))) > 0
