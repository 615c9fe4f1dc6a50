"""A paper account over two venues: books, fills, what trades their difference or one order, and what came of it."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tradewind import clock
from tradewind.data.feeds.binance import BinanceRest
from tradewind.data.feeds.book import LocalBook
from tradewind.live.across.arbitrage import PairTrader
from tradewind.live.across.books import SIMULATED, TICK, Look, Pair, market_of, polled, simulated
from tradewind.live.across.orders import GatedOrders, Place
from tradewind.live.across.routed import RoutedOrder
from tradewind.live.across.rules import ArbitrageRules
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
        units: of one order over both venues (sold: negative), instead of trading their difference; None: no order.
        within_s: time that it has.
        resume: why an account that was halted may trade again; empty: it stays as it is.
        who: says so.
    """

    rules: ArbitrageRules
    folder: Path
    pair: Pair
    venues: Mapping[str, str]
    seconds: float | None = None
    units: float | None = None
    within_s: float = 60.0
    resume: str = ""
    who: str = ""


def now_ms() -> int:
    """This machine's time, UTC milliseconds."""
    return int(clock.now().timestamp() * 1000)


async def run_across(desk: Desk, say: Callable[[str], None]) -> dict[str, Any]:
    """Trade until the time is over; fills are simulated, nothing is sent to a venue.

    Args:
        desk: what is run.
        say: takes lines for people.

    Returns:
        `PairTrader.summary`, or of one order `RoutedOrder.summary`.

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
    orders = None
    try:
        for name, given in steps.items():
            instrument = Instrument.model_validate({"symbol": desk.pair.symbol, **given})
            venues[name] = PaperVenue(
                desk.folder / f"{name}.jsonl", fills, rules.costs, {desk.pair.symbol: instrument}
            )  # fmt: skip
            market = market_of(name, desk.pair, books[name], (0.0, 0.0, 0.0), 0.0).name
            places[market] = Place(venues[name], desk.pair.symbol, instrument.model_copy(update={"symbol": market}))
        halted = partial(is_halted, desk.folder)
        orders = GatedOrders(desk.folder / JOURNAL, places, rules.limits, rules.capital, now_ms(), halted)
        if desk.resume:
            orders.resume(desk.who, desk.resume)
        say(f"PAPER account over {' and '.join(steps)} (no real money): {desk.pair.symbol}, {desk.folder}")
        worker: PairTrader | RoutedOrder | None = None
        first_ms = None
        async with aclosing(looks) as each:
            async for look in each:
                first_ms = look.now_ms if first_ms is None else first_ms
                if desk.seconds is not None and look.now_ms - first_ms > 1000 * desk.seconds:
                    break
                _show(desk, look, venues, books, steps)
                orders.see(_markets(desk, look, books, steps), look.now_ms)
                worker = worker or _worker(desk, orders, look.now_ms)
                worker.step(look.now_ms)
                if isinstance(worker, RoutedOrder) and worker.is_over:
                    break
        found = worker.summary() if worker is not None else {}
        say(summary_line(found) if "intents" in found else order_line(found))
        return found
    finally:
        if orders is not None:
            orders.close()
        for venue in venues.values():
            venue.close()


def _worker(desk: Desk, orders: GatedOrders, at_ms: int) -> PairTrader | RoutedOrder:
    orders.now_ms = at_ms
    if desk.units is None:
        return PairTrader(orders, desk.rules)
    return RoutedOrder(orders, desk.units, at_ms + int(1000 * desk.within_s), desk.rules.routed)


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


def order_line(found: Mapping[str, Any]) -> str:
    """What became of one order in a sentence.

    Args:
        found: of `RoutedOrder.summary`; empty where no book was seen.
    """
    if not found:
        return "nothing was done: no book was seen"
    left = ""
    if abs(found["left"]) > 1e-9:
        away = found["left_would_cost_bps"]
        where = f"the best level for it is {away:.1f} bps away" if away == away else "nobody offers it"
        left = f"; {found['left']:g} left, {where}"
    why = f" ({'; '.join(found['reasons'])})" if left and found["reasons"] else ""
    cost = f" at {found['cost_bps']:.2f} bps against the middle at arrival, fees counted" if found["done"] else ""
    return (
        f"{found['done']:g} of {found['units']:g} units{cost}, by {found['orders']} orders{left}{why}; "
        f"{found['alarms']} alarms, {found['rejected']} orders refused by the risk gate; {found['mode']}"
    )
