"""A paper account that trades the difference between two venues: books, fills, trader, and what came of it."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, NamedTuple

from tradewind import clock
from tradewind.data.feeds.binance import BinanceRest
from tradewind.data.feeds.book import LocalBook
from tradewind.live.arbitrage.books import SIMULATED, TICK, Look, Pair, market_of, polled, simulated
from tradewind.live.arbitrage.rules import ArbitrageRules
from tradewind.live.arbitrage.trader import PairTrader, Place
from tradewind.live.settings import PaperFills
from tradewind.live.venue.paper import PaperVenue
from tradewind.operations.journal.halt_file import is_halted
from tradewind.trading.execution.arbitrage.markets import Market
from tradewind.trading.risk.limits import Instrument

JOURNAL = "journal.jsonl"


class Desk(NamedTuple):
    """What is run.

    Attributes:
        rules: of the account.
        folder: of the run.
        pair: what is traded.
        venues: addresses by name; none: two simulated ones.
        seconds: of the whole, simulated ones where the venues are; None: until it is ended.
        resume: why an account that was halted may trade again; empty: it stays as it is.
        who: says so.
    """

    rules: ArbitrageRules
    folder: Path
    pair: Pair
    venues: Mapping[str, str]
    seconds: float | None = None
    resume: str = ""
    who: str = ""


def now_ms() -> int:
    """This machine's time, UTC milliseconds."""
    return int(clock.now().timestamp() * 1000)


async def run_arbitrage(desk: Desk, say: Callable[[str], None]) -> dict[str, Any]:
    """Trade until the time is over; fills are simulated, nothing is sent to a venue.

    Args:
        desk: what is run.
        say: takes lines for people.

    Returns:
        `PairTrader.summary`.

    Raises:
        BadData: a venue does not trade the pair, or the journal is not what was written.
        BadParameters: the run in the folder is another one, or in use.
        TemporaryOutage: a venue does not answer at the start.
    """
    rests = {name: BinanceRest(address) for name, address in desk.venues.items()}
    try:
        steps = [await rest.instruments([desk.pair.symbol]) for rest in rests.values()]
        of = {name: one[desk.pair.symbol] for name, one in zip(rests, steps, strict=True)}
        looks = polled(rests, desk.pair, desk.rules, now_ms) if rests else simulated(desk.rules, now_ms())
        for name in () if rests else SIMULATED:
            of[name] = {"tick_size": TICK, "lot_size": 0.001, "min_quantity": 0.001, "min_notional": 5.0}
        return await _trade(desk, of, looks, say)
    finally:
        for rest in rests.values():
            await rest.close()


async def _trade(
    desk: Desk, steps: Mapping[str, Mapping[str, float]], looks: AsyncGenerator[Look, None], say: Callable[[str], None]
) -> dict[str, Any]:
    rules, fills = desk.rules, PaperFills(latency_ms=desk.rules.latency_ms)
    venues, places, books = dict[str, PaperVenue](), dict[str, Place](), {name: LocalBook() for name in steps}
    trader = None
    try:
        for name, given in steps.items():
            instrument = Instrument(symbol=desk.pair.symbol, **given)
            venues[name] = PaperVenue(desk.folder / f"{name}.jsonl", fills, rules.costs, {desk.pair.symbol: instrument})
            market = market_of(name, desk.pair, books[name], (0.0, 0.0, 0.0), 0.0).name
            places[market] = Place(venues[name], desk.pair.symbol, instrument.model_copy(update={"symbol": market}))
        trader = PairTrader(desk.folder / JOURNAL, places, rules, now_ms(), lambda: is_halted(desk.folder))
        say(f"PAPER account over {' and '.join(steps)} (no real money): {desk.pair.symbol}, {desk.folder}")
        if desk.resume:
            trader.resume(desk.who, desk.resume)
        first_ms = None
        async with aclosing(looks) as each:
            async for look in each:
                first_ms = look.now_ms if first_ms is None else first_ms
                if desk.seconds is not None and look.now_ms - first_ms > 1000 * desk.seconds:
                    break
                _show(desk, look, venues, books, steps)
                trader.see(_markets(desk, look, books, steps), look.now_ms)
                trader.step(look.now_ms)
        found = trader.summary()
        say(summary_line(found))
        return found
    finally:
        if trader is not None:
            trader.close()
        for venue in venues.values():
            venue.close()


def _show(desk: Desk, look: Look, venues: Mapping[str, PaperVenue], books: Mapping[str, LocalBook],
          steps: Mapping[str, Any]) -> None:  # fmt: skip
    for name in steps:
        if name in look.books:
            books[name].replace(*look.books[name], look.now_ms)
            venues[name].on_book(desk.pair.symbol, books[name], look.now_ms)


def _markets(desk: Desk, look: Look, books: Mapping[str, LocalBook],
             steps: Mapping[str, Mapping[str, float]]) -> list[Market]:  # fmt: skip
    fee = desk.rules.costs.taker_fee_bps
    return [
        market_of(
            name, desk.pair, books[name], (fee, given["lot_size"], given.get("min_quantity", 0.0)),
            (look.now_ms - books[name].at_ms) / 1000,
        )
        for name, given in steps.items()
    ]  # fmt: skip


def summary_line(found: Mapping[str, Any]) -> str:
    """What came of it in a sentence.

    Args:
        found: of `PairTrader.summary`.
    """
    if not found["intents"]:
        why = f" ({'; '.join(found['reasons'])})" if found["reasons"] else ""
        return f"nothing to do: {found['scans']} looks at both books, and no difference was worth its costs{why}"
    return (
        f"{found['intents']} intents of {found['scans']} looks, gained {found['gained']:.2f} after "
        f"{found['fees']:.2f} of fees; {found['used_of_budget']:.0%} of the unhedged budget used at most, "
        f"{found['alarms']} alarms, {found['rejected']} orders refused by the risk gate; "
        f"{found['mode']}; held {found['units'] or 'nothing'}"
    )
