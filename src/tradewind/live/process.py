"""The running process: feed to runtime to venue, the HALT file, what operators order, and the summary at the end."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tradewind import clock
from tradewind.data.feeds.items import BookChanged, ClosedBar, Feed, Item, Note, PublicTrade, Published
from tradewind.errors import TradewindError
from tradewind.learning.features.assembly import Bar, SideValue
from tradewind.live.accounts.later import backtest_again, differences, lived_through
from tradewind.live.metrics import AccountMetrics
from tradewind.live.orders.executors import Quote
from tradewind.live.runtime import JOURNAL, Runtime
from tradewind.live.session.events import feed_event, market_event, report_event
from tradewind.live.session.trading import used_of_limits
from tradewind.live.stages import RolloutView
from tradewind.live.venue.paper import Venue
from tradewind.operations.journal.journal import read
from tradewind.operations.prometheus.denials import Denials

WATCH_S = 0.1
BEAT_S = 2.0  # how often the process shows that it is alive; one that hangs does not


@dataclass
class PacedClock:
    """A venue whose time runs faster than ours: its messages are the time; a leap of more than half a bar is none."""

    bar_ms: int
    last_ms: int = 0

    def read(self, at_ms: int) -> tuple[int, int]:
        """(the venue's time, how far off its message is), in milliseconds."""
        if self.last_ms and at_ms - self.last_ms > self.bar_ms // 2 + 1:
            return self.last_ms, at_ms - self.last_ms
        return self.after_a_break(at_ms), 0

    def after_a_break(self, at_ms: int) -> int:
        """The venue's time once something was fetched whose time this is; any leap is real."""
        self.last_ms = max(self.last_ms, at_ms)
        return self.last_ms


@dataclass
class WallClock:
    """A venue in real time: this machine's clock against its messages."""

    def read(self, at_ms: int) -> tuple[int, int]:
        """(the venue's time, this machine's clock minus it), in milliseconds."""
        return at_ms, int(clock.now().timestamp() * 1000) - at_ms

    def after_a_break(self, at_ms: int) -> int:
        """The time of what was fetched, which is not compared with this machine's clock: it may lie hours back."""
        return at_ms


@dataclass
class Process:
    """One paper account at work.

    Attributes:
        runtime: the one writer.
        venue: the broker, which sees every book, trade and bar.
        feed: where they come from.
        venue_clock: the venue's time.
        metrics: what Prometheus reads, if it does.
        rollout: what the page Rollout shows; None where no plan is configured.
        failure: why it ended, empty while it runs or if it was asked to end.
        denials: orders at the dashboard that were not let in.
    """

    runtime: Runtime
    venue: Venue
    feed: Feed
    venue_clock: PacedClock | WallClock
    metrics: AccountMetrics | None = None
    rollout: RolloutView | None = None
    failure: str = ""
    denials: Denials = field(default_factory=Denials)
    started: float = field(default_factory=time.monotonic)
    _quotes: dict[str, Quote] = field(default_factory=dict)
    _last: dict[str, float] = field(default_factory=dict)
    _side: list[SideValue] = field(default_factory=list)
    _quoted_ms: int = 0
    _pending_ms: int = 0
    _venue_first_ms: int = 0

    async def run(self, seconds: float | None = None, until: Callable[[], bool] | None = None) -> None:
        """Work until the time is over, `until` says so, or the journal cannot be written.

        Args:
            seconds: of this machine's time; None: for ever.
            until: asked after every item.
        """
        tasks = [asyncio.create_task(self._follow(until)), asyncio.create_task(self._watch())]
        try:
            await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # When this is cancelled, too: what it leaves at work would write into a journal that is closed.
            done = [task for task in tasks if task.done()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            try:
                task.result()
            except TradewindError as error:
                # Nothing was sent that is not recorded; what is open at the venue is asked for at the next start.
                self.failure = str(error)

    async def _follow(self, until: Callable[[], bool] | None) -> None:
        # Closed here, with its connection: one that was merely left would keep whoever sends to it waiting.
        async with aclosing(self.feed.items()) as items:
            async for item in items:
                self.take(item)
                if until is not None and until():
                    return
                await asyncio.sleep(0)  # pages, the HALT file and the socket have their turn

    async def _watch(self) -> None:
        beats, beaten_s = 0, float("-inf")
        while True:
            if self.runtime.turn is not None and time.monotonic() - beaten_s >= BEAT_S:
                beats, beaten_s = beats + 1, time.monotonic()
                self.runtime.turn.beat(beats)
            self.runtime.watch_halt_file()
            self.runtime.watch_stage()
            self.runtime.watch_broker()
            if self.metrics is not None:
                self.metrics.turn(WATCH_S)
            await asyncio.sleep(WATCH_S)

    def take(self, item: Item) -> None:
        """One item of the feed."""
        now_ms, skew_ms = self._read_clock(item)
        self._venue_first_ms = self._venue_first_ms or now_ms
        message = item.message
        if isinstance(message, Note):
            self.runtime.feed(feed_event(now_ms, message.symbol, message.what, message.detail))
            return
        if self.metrics is not None:
            self.metrics.heard = time.monotonic()
        if now_ms > self._pending_ms and self._quotes:
            self._pass_quotes_on(self._pending_ms)
        if skew_ms and abs(skew_ms) > self.runtime.session.rules.limits.max_clock_skew_s * 1000:
            self.runtime.handle(market_event(now_ms, skew_ms=skew_ms))
            return
        if isinstance(message, ClosedBar):
            bar = Bar(*message)
            self.venue.on_bar(bar, now_ms)
            self._reports()
            quotes, side = self._quotes, self._side
            self._quotes, self._side = {}, []
            self.runtime.handle(market_event(max(now_ms, bar.timestamp), [bar], side, quotes, skew_ms))
        elif isinstance(message, Published):
            self._side.append(SideValue(*message))
        elif isinstance(message, PublicTrade):
            self._last[message.symbol] = message.price
            if message.price > 0:
                self.venue.on_trade(message.symbol, message.price, message.quantity, now_ms)
                self._reports()
        elif isinstance(message, BookChanged):
            self.venue.on_book(message.symbol, message.book, now_ms)
            self._reports()
            bid, ask = message.book.best
            self._quotes[message.symbol] = Quote(bid, ask, self._last.get(message.symbol, (bid + ask) / 2), now_ms)
            self._pending_ms = now_ms

    def _read_clock(self, item: Item) -> tuple[int, int]:
        """The venue's time, and by how much the clocks differ as far as this item says, milliseconds."""
        if not item.at_ms:
            return self.runtime.state.now_ms, 0
        if item.is_fetched:
            return self.venue_clock.after_a_break(item.at_ms), 0
        return self.venue_clock.read(item.at_ms)

    def _reports(self) -> None:
        for report in self.venue.poll():
            self.runtime.handle(report_event(report))

    def _pass_quotes_on(self, at_ms: int) -> None:
        """Pass prices on, not more often than asked for."""
        if at_ms - self._quoted_ms < self.runtime.session.rules.quote_every_s * 1000:
            return
        quotes, self._quotes = self._quotes, {}
        self._quoted_ms = at_ms
        self.runtime.handle(market_event(at_ms, (), (), quotes))

    def speed(self) -> float:
        """Seconds of the venue's time a second, so far."""
        return (self.runtime.state.now_ms - self._venue_first_ms) / 1000 / max(time.monotonic() - self.started, 1e-9)


def percentile(values: list[float], share: float) -> float:
    """A percentile of some values, NaN of none."""
    return float(np.percentile(values, share)) if values else float("nan")


def summary(process: Process) -> dict[str, Any]:
    """What a run came to, and whether its twin is the backtest that is made of its bars and targets now."""
    runtime, state = process.runtime, process.runtime.state
    capital = runtime.session.capital
    lived = lived_through(read(runtime.folder / JOURNAL))
    settled = {at for _, at in lived.targets}
    lived = lived._replace(
        bars=[one for one in lived.bars if one.timestamp <= lived.first_ms or one.timestamp in settled]
    )
    again = backtest_again(runtime.session, lived, decides=False) if lived.twin else {}
    wrong = differences(lived.twin, again)
    seq, digest = runtime.journal.head
    return {
        "simulated or real hours": (state.now_ms - process._venue_first_ms) / 3_600_000,
        "speed": process.speed(),
        "decisions": state.counts.get("decisions", 0),
        "orders": state.counts.get("orders", 0),
        "fills": state.counts.get("fills", 0),
        "rejected by the gate": state.counts.get("rejected", 0),
        "guardrails": state.counts.get("guardrails", 0),
        "equity": state.paper.equity,
        "twin": state.twin.equity * capital,
        "gap": state.gap.total,
        "gap parts": dict(state.gap.parts),
        "twin bars": len(lived.twin),
        "twin bars unlike a later backtest": len(wrong),
        "limits": {name: list(pair) for name, pair in used_of_limits(runtime.session, state).items()},
        "state": state.risk.mode,
        "bar to durable intent ms": [percentile(runtime.timing.durable, 50), percentile(runtime.timing.durable, 99)],
        "cpu ms": [percentile(runtime.timing.cpu, 50), percentile(runtime.timing.cpu, 99)],
        "journal": [seq, digest],
        "failure": process.failure,
    }


def summary_lines(found: Mapping[str, Any]) -> list[str]:
    """The summary as a table of two columns."""
    parts = ", ".join(f"{name} {value:+.2f}" for name, value in found["gap parts"].items())
    limits = ", ".join(f"{name} {used:.3g}/{allowed:.3g}" for name, (used, allowed) in found["limits"].items())
    wrong, bars = found["twin bars unlike a later backtest"], found["twin bars"]
    rows = [
        ("hours lived through", f"{found['simulated or real hours']:.1f} (at {found['speed']:.0f} times real time)"),
        ("decisions", f"{found['decisions']}"), ("orders", f"{found['orders']}"), ("fills", f"{found['fills']}"),
        ("rejected by the gate", f"{found['rejected by the gate']}"),
        ("equity, at the last prices", f"{found['equity']:.2f}"),
        ("twin (the backtest going on), at the last close", f"{found['twin']:.2f}"),
        ("gap to the twin", f"{found['gap']:+.2f} = {parts}"),
        ("a later backtest", f"{wrong} of {bars} bars differ" if wrong else f"is the twin, bit for bit on {bars} bars"),
        ("limits used/allowed", limits), ("state", found["state"]),
        ("bar to durable intent", "P50 {:.1f} ms, P99 {:.1f} ms".format(*found["bar to durable intent ms"])),
        ("CPU of a decision", "P50 {:.1f} ms, P99 {:.1f} ms".format(*found["cpu ms"])),
        ("journal head", f"{found['journal'][0]} {found['journal'][1]}"),
    ]  # fmt: skip
    if found["failure"]:
        rows.append(("ended because", found["failure"]))
    width = max(len(name) for name, _ in rows)
    return [f"{name:<{width}}  {value}" for name, value in rows]
