"""The twin is the backtest that is made later of the same bars, bit for bit; the parts of the gap add up."""

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pytest

from tests.live.conftest import bars_of, run_bars, session_of, simulated
from tradewind.learning.features.assembly import Bar, SideValue
from tradewind.live.accounts.later import backtest_again, differences, lived_through
from tradewind.live.runtime import JOURNAL, Runtime
from tradewind.operations.journal.journal import read
from tradewind.trading.execution.costs import Costs

Make = Callable[..., Runtime]


def live_through(
    make: Make, bars: list[Bar], side: list[SideValue], past_bars: int, costs: Costs | None = None,
    late_ms: Mapping[int, int] | None = None,
) -> Runtime:  # fmt: skip
    symbols = tuple(sorted({one.symbol for one in bars}))
    session = session_of(symbols, side=("funding",) if side else (), costs=costs)
    times = sorted({one.timestamp for one in bars})
    first = times[past_bars]
    past = [one for one in bars if one.timestamp <= first]
    runtime = make(session, past, [one for one in side if one.known_at <= first])
    rest = [one for one in bars if one.timestamp > first]
    run_bars(runtime, rest, [one for one in side if one.known_at > first], late_ms=late_ms)
    return runtime


def check(runtime: Runtime) -> None:
    lived = lived_through(read(runtime.folder / JOURNAL))
    again = backtest_again(runtime.session, lived)
    assert len(again) > 100 and len(set(again.values())) > 50
    assert differences(lived.twin, again) == []
    # The parts of the gap add up to it.
    state = runtime.state
    gap = state.paper.equity - state.twin.equity * runtime.session.capital
    assert state.gap.total == pytest.approx(gap, abs=1e-6 * runtime.session.capital)
    assert state.counts["fills"] > 50 and state.gap.parts["fee"] != 0 and state.gap.parts["drift"] != 0


@pytest.mark.parametrize("costs", [Costs(), Costs(impact_coefficient=0.5, borrow_rate_annual=0.05)])
def test_the_twin_is_the_later_backtest(make_runtime: Make, costs: Costs) -> None:
    bars, side = simulated(days=22, outages=4)
    check(live_through(make_runtime, bars, side, 60, costs))


def test_published_values_that_come_late_or_twice_count_once_and_from_when_they_came(make_runtime: Make) -> None:
    bars, side = simulated(days=22, outages=4)
    known = sorted({one.known_at for one in side})
    late = {at: hours * 3_600_000 for at, hours in zip(known, itertools.cycle([0, 3, 1, 0, 0, 9]), strict=False)}
    doubled = [one for value in side for one in (value, value)]
    runtime = live_through(make_runtime, bars, doubled, 60, late_ms=late)
    check(runtime)
    assert runtime.state.counts["late_side"] > 30
    aside = [one for one in read(runtime.folder / JOURNAL) if one.kind == "quarantined"]
    assert {one.body["what"] for one in aside} == {"it or a newer one was published"}
    assert {("funding", name) for name in runtime.session.symbols} < set(runtime.state.published())
    # The check can fail: a value that is taken as of its own time leads to another account.
    lived = lived_through(read(runtime.folder / JOURNAL))
    told = {(one.symbol, one.value): one.known_at for one in side}
    early = [one._replace(known_at=told[one.symbol, one.value]) for one in lived.side]
    assert differences(lived.twin, backtest_again(runtime.session, lived._replace(side=early)))


@pytest.mark.depth
def test_the_twin_is_the_later_backtest_of_two_years(make_runtime: Make) -> None:
    bars, side = simulated(days=730, outages=12)
    check(live_through(make_runtime, bars, side, 100))


def real_bars(folder: Path, start: str, days: int) -> list[Bar]:
    bars = []
    for name in ("BTCUSDT", "ETHUSDT", "LTCUSDT"):
        found = folder / f"ohlcv_spot/binance/{name}-1h.parquet"
        if not found.is_file():
            pytest.skip(f"no hourly bars of {name} in {folder}")
        table = pd.read_parquet(found)
        opened = table["timestamp"].dt.as_unit("ms")
        first = pd.Timestamp(start, tz="UTC")
        chosen = (opened >= first) & (opened < first + pd.Timedelta(days=days))
        bars += bars_of(name, table.assign(open_time=opened)[chosen])
    return sorted(bars, key=lambda one: (one.timestamp, one.symbol))


def test_the_twin_is_the_later_backtest_on_real_candles_with_gaps(make_runtime: Make, shared_data: Path) -> None:
    # Binance was down from 8 to 9 February 2018.
    bars = real_bars(shared_data, "2018-01-28", 20)
    times = sorted({one.timestamp for one in bars})
    assert max(later - earlier for earlier, later in itertools.pairwise(times)) > 4 * 3_600_000
    check(live_through(make_runtime, bars, [], 60))


@pytest.mark.depth
def test_the_twin_is_the_later_backtest_on_two_years_of_real_candles(make_runtime: Make, shared_data: Path) -> None:
    check(live_through(make_runtime, real_bars(shared_data, "2018-01-28", 730), [], 100))


def test_a_planted_difference_is_caught(make_runtime: Make) -> None:
    bars, side = simulated(days=12)
    runtime = live_through(make_runtime, bars, side, 60)
    lived = lived_through(read(runtime.folder / JOURNAL))
    at = len(lived.bars) // 2
    other = lived.bars[at]._replace(close=lived.bars[at].close * (1 + 1e-12))
    changed = lived._replace(bars=[*lived.bars[:at], other, *lived.bars[at + 1 :]])
    found = differences(lived.twin, backtest_again(runtime.session, changed))
    assert found and found[0] >= other.timestamp
