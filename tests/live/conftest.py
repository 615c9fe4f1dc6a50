"""Sessions over simulated and real bars."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest

from tradewind.data.feeds.book import LocalBook
from tradewind.data.feeds.items import Feed
from tradewind.learning.features import catalogue
from tradewind.learning.features.assembly import Bar, SideValue
from tradewind.learning.features.catalogue import FeatureSelection
from tradewind.learning.features.matrix import epoch_ms
from tradewind.live.orders.executors import Quote
from tradewind.live.process import PacedClock, Process
from tradewind.live.runtime import Runtime, Start
from tradewind.live.session.events import market_event, report_event
from tradewind.live.session.session import Session
from tradewind.live.settings import ExecutorRules, LiveRules
from tradewind.live.venue.paper import PaperVenue
from tradewind.market.simulation.simulator import SimulationSpec, simulate_market
from tradewind.market.universe import Universe
from tradewind.trading.decision.decider import Decider, assembly_of
from tradewind.trading.decision.protocols import Policy
from tradewind.trading.decision.ruling import RulePolicy
from tradewind.trading.decision.targets import TargetRules
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules
from tradewind.trading.risk.limits import Instrument, RiskLimits
from tradewind.trading.setup import TradingSetup
from tradewind.trading.strategy.baselines import DIRECTIONS
from tradewind.trading.strategy.signals import SignalRules
from tradewind.trading.strategy.sizing import SizingRules

HOUR_MS = 3_600_000
CALM = RiskLimits(
    max_position=0.9, max_gross=1.5, max_leverage=1.5, max_order_value=1e6, daily_loss=0.5, drawdown=0.9,
    orders_a_minute=100, max_data_age_s=3700,
)  # fmt: skip


def bars_of(symbol: str, table: pd.DataFrame) -> list[Bar]:
    """A table's rows as bars; timestamps in milliseconds or instants."""
    numbers = table[["open", "high", "low", "close", "volume"]].to_numpy(dtype=np.float64).tolist()
    opened = table["open_time"]
    opened = opened.to_numpy(dtype=np.int64) if opened.dtype.kind == "i" else epoch_ms(opened)
    return [Bar(symbol, int(at), int(at) + HOUR_MS, *row) for at, row in zip(opened, numbers, strict=True)]


def simulated(days: int, seed: int = 5, outages: int = 2, edge: float = 2.0) -> tuple[list[Bar], list[SideValue]]:
    """Bars and side values of three symbols, with outages."""
    market = simulate_market(SimulationSpec(days=days, seed=seed, edge=edge, outages=outages, start="2024-01-01"))
    bars = [one for name, table in market.bars.items() for one in bars_of(name.split("/")[1], table)]
    rows = market.side_series
    side = [
        SideValue(name, symbol, int(known), float(value))
        for name, symbol, known, value in zip(
            rows["series"], rows["symbol"], epoch_ms(rows["known_at"]), rows["value"], strict=True
        )
    ]
    return sorted(bars, key=lambda one: (one.timestamp, one.symbol)), sorted(side, key=lambda one: one.known_at)


def session_of(
    symbols: Sequence[str], rule: str = "last_bar_reversal", side: tuple[str, ...] = (), limits: RiskLimits = CALM,
    executor: ExecutorRules | None = None, features: tuple[str, ...] = ("rsi_14",), costs: Costs | None = None,
    wrapped: Callable[[Callable[[str], RulePolicy], TargetRules], Policy] | None = None, capital: float = 100_000.0,
    settlements: tuple[str, ...] = (),
) -> Session:  # fmt: skip
    """A session of a rule; `wrapped` makes another policy of rules by name and the rules of targets."""
    universe = Universe(venue="test", symbols=tuple(symbols), timeframe="1h", side_series=side)
    setup = TradingSetup(
        costs=costs or Costs(),
        execution=OrderRules(capital=capital),
        signal=SignalRules(),
        sizing=SizingRules(volatility_window=24),
    )  # fmt: skip
    chosen = catalogue.select(FeatureSelection(include=features), "1h", side)

    def ruled(name: str) -> RulePolicy:
        return RulePolicy(DIRECTIONS[name], setup.sizing, universe.bars_per_year, universe.bars_per_day)

    targets = TargetRules(setup.signal, setup.sizing, setup.costs, universe.bars_per_year)
    policy: Policy = wrapped(ruled, targets) if wrapped else ruled(rule)
    decider = Decider(assembly_of(universe, 3, grace_ms=5000, settlements=settlements), chosen, policy, setup.sizing)
    instruments = {
        name: Instrument(symbol=name, tick_size=0.01, lot_size=0.001, min_notional=5.0) for name in universe.symbols
    }
    rules = LiveRules(limits=limits, executor=executor or ExecutorRules())
    return Session("run", decider, setup, rules, instruments, universe.bars_per_year)


def run_bars(
    runtime: Runtime, bars: Sequence[Bar], side: Sequence[SideValue] = (), delay_ms: int = 0,
    late_ms: Mapping[int, int] | None = None,
) -> None:  # fmt: skip
    """Live through bars by themselves: those of one timestamp together; the venue fills at their prices.

    Values of side series come when they are known, or so much later as `late_ms` says of that time.
    """
    venue, before = runtime.broker, -1
    assert isinstance(venue, PaperVenue)
    for timestamp in sorted({one.timestamp for one in bars}):
        now = [one for one in bars if one.timestamp == timestamp]
        for bar in now:
            venue.on_bar(bar, timestamp)
        for report in venue.poll():
            runtime.handle(report_event(report))
        late = late_ms or {}
        news = [one for one in side if before < one.known_at + late.get(one.known_at, 0) <= timestamp]
        half = 1e-4
        quotes = {
            one.symbol: Quote(one.close * (1 - half), one.close * (1 + half), one.close, timestamp) for one in now
        }
        runtime.handle(market_event(timestamp + 6000 + delay_ms, now, news, quotes))
        before = timestamp


def whole_book(price: float, size: float = 1e6) -> LocalBook:
    """A book of two levels a side around a price."""
    book = LocalBook()
    book.replace(
        [(round(price - 0.01, 2), size), (round(price - 0.02, 2), size)],
        [(round(price + 0.01, 2), size), (round(price + 0.02, 2), size)], 0,
    )  # fmt: skip
    return book


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where the system has one: what is tested with it needs no disk."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path
        return
    with TemporaryDirectory(prefix="tradewind-test-", dir=memory) as name:
        yield Path(name)


@pytest.fixture
def make_runtime(folder: Path) -> Callable[..., Runtime]:
    """Open (or open again) a run over bars, with a paper venue whose ledger lies beside it."""

    def make(
        session: Session, past: Sequence[Bar] = (), side: Sequence[SideValue] = (), name: str = "run",
        is_updated: bool = False,
    ) -> Runtime:  # fmt: skip
        place = folder / name
        venue = PaperVenue(place / "venue.jsonl", session.rules.fills, session.setup.costs, session.instruments)
        now = max((one.timestamp for one in past), default=0)
        try:
            return Runtime(place, session, venue, Start({"model": "rule"}, past, side, now, is_updated))
        except BaseException:
            venue.close()
            raise

    return make


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What got no answer from the venue is asked for again sooner."""
    monkeypatch.setattr("tradewind.live.venue.sent_orders.FIRST_WAIT_S", 0.1)


@pytest.fixture
def lived_process(make_runtime: Callable[..., Runtime]) -> Process:
    """A paper account that has lived through ninety bars of three symbols, thirty timestamps."""
    bars, _ = simulated(days=6, outages=0)
    first = sorted({one.timestamp for one in bars})[60]
    runtime = make_runtime(session_of(("SIM1", "SIM2", "SIM3")), [one for one in bars if one.timestamp <= first])
    run_bars(runtime, [one for one in bars if one.timestamp > first][:90])
    feed: Feed = None  # type: ignore[assignment]
    return Process(runtime, runtime.broker, feed, PacedClock(3_600_000))  # type: ignore[arg-type]
