"""One bar of one account: pure arithmetic, the only place where positions become money."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tradewind.trading.execution.cost_share import side_share
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules

Floats = NDArray[np.float64]

# A symbol's state: units held, the target last accepted, the units worked towards, the last close, the mean entry
# price, and the bars held.
UNITS, ACCEPTED, WORKING, LAST_CLOSE, ENTRY, HELD = range(6)
STATE_SIZE = 6
# A fill: bar, symbol, units bought (sold: negative), price, cost in money, reason, equity before the bar.
FILL_SIZE = 7
REASONS = np.array(["target", "stop", "take profit", "time", "liquidation", "gap"])
TARGET, STOP, PROFIT, TIME, LIQUIDATION, END = range(6)
MOST_FILLS = 5  # of a symbol in one bar: after a gap, by time, the order, its stop, and the ruin of the account

# Kernels of one bar count no references (`_nrt`): they make no arrays, and numba would else count every array that they
# are given up and down on each bar, which takes longer than the bar. Those that run on every bar are put in place, by
# LLVM and not by numba (`inline`), whose copies are counted; the others are calls, so that a bar that only holds does
# not pay for their many variables.
one_bar = njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
in_place = njit(cache=True, nogil=True, error_model="numpy", _nrt=False, forceinline=True)


class TradingSchedule(NamedTuple):
    """Costs and order rules as plain numbers, per bar and per unit of starting capital; 0 switches a rule off."""

    taker: float
    maker: float
    spread: float
    slip_fixed: float
    slip_volatility: float
    impact: float
    borrow: float
    resting: float
    stop: float
    profit: float
    longest: float
    leverage: float
    maintenance: float
    liquidation: float
    participation: float
    capital: float
    smallest: float
    lot: float
    tick: float


class Bar(NamedTuple):
    """What one bar offers: prices, volume in units, the volatility and the usual volume known at the decision."""

    opening: float
    high: float
    low: float
    close: float
    volume: float
    volatility: float
    usual_volume: float
    funding_rate: float


def trading_schedule(costs: Costs, rules: OrderRules, bars_per_year: float) -> TradingSchedule:
    """The numbers that `trade` reads.

    Args:
        costs: fees, spread, slippage, impact, borrowing.
        rules: the order rules.
        bars_per_year: by which the yearly borrowing rate is divided.
    """
    return TradingSchedule(
        taker=costs.taker_fee_bps * 1e-4, maker=costs.maker_fee_bps * 1e-4, spread=costs.half_spread_bps * 1e-4,
        slip_fixed=costs.slippage_bps * 1e-4, slip_volatility=costs.slippage_share_of_volatility,
        impact=costs.impact_coefficient, borrow=costs.borrow_rate_annual / bars_per_year,
        resting=float(rules.order == "limit"), stop=rules.stop_loss or 0.0, profit=rules.take_profit or 0.0,
        longest=float(rules.max_holding_bars or 0), leverage=rules.max_leverage,
        maintenance=rules.maintenance_margin, liquidation=rules.liquidation_fee_bps * 1e-4,
        participation=rules.max_participation or 0.0, capital=rules.capital,
        smallest=rules.min_notional / rules.capital, lot=rules.lot_size / rules.capital, tick=rules.tick_size,
    )  # fmt: skip


@one_bar
def taker_cost(schedule: TradingSchedule, book: Floats, bar: Bar, units: float, price: float) -> float:
    """Cost of taking `units` at `price`, in money: fee, half-spread, slippage, and the step to the next tick.

    Args:
        schedule: of `trading_schedule`.
        book: the measured order book, shape (2, points), values and shares.
        bar: the bar of the fill.
        units: bought (positive) or sold.
        price: of the fill.
    """
    value = abs(units) * price
    fixed = schedule.taker + schedule.spread + schedule.slip_fixed
    part = abs(units) * schedule.capital / bar.usual_volume if bar.usual_volume > 0.0 else 0.0
    worth = value * schedule.capital
    cost = value * side_share(fixed, schedule.slip_volatility, schedule.impact, book, bar.volatility, part, worth)
    if schedule.tick > 0.0:
        steps = price / schedule.tick
        worse = np.ceil(steps - 1e-9) if units > 0.0 else np.floor(steps + 1e-9)
        cost += abs(units) * abs(worse * schedule.tick - price)
    return float(cost)


@one_bar
def rounded(units: float, lot: float) -> float:
    """Units rounded towards zero to whole lots."""
    return float(np.trunc(units / lot + np.sign(units) * 1e-9) * lot) if lot > 0.0 else units


@one_bar
def record_fill(fills: Floats, at: int, units: float, price: float, cost: float, reason: int) -> int:
    """Record units, price, cost and reason in row `at`; the next free row. The caller keeps room, and writes bar,
    symbol and equity.

    Args:
        fills: shape (rows, FILL_SIZE), written.
        at: the row to write.
        units: bought (positive) or sold.
        price: of the fill.
        cost: of the fill, in money.
        reason: why it was filled.
    """
    fills[at, 2], fills[at, 3], fills[at, 4], fills[at, 5] = units, price, cost, reason
    return at + 1


@one_bar
def apply_fill(states: Floats, at: int, units: float, price: float) -> None:
    """Add units bought at a price to symbol `at`: what is added moves the mean entry price, what is taken off keeps it,
    a turn begins anew.

    Args:
        states: shape (symbols, state size), written.
        at: the symbol's row.
        units: bought (positive) or sold.
        price: of the fill.
    """
    before, after = states[at, UNITS], states[at, UNITS] + units
    if abs(after) <= 1e-12 * abs(before):
        after = 0.0
    if before == 0.0 or before * after < 0.0:
        states[at, ENTRY], states[at, HELD] = price, 0.0
    elif before * units > 0.0:
        states[at, ENTRY] = (states[at, ENTRY] * before + price * units) / after
    states[at, UNITS] = after


@in_place
def is_idle(
    states: Floats, at: int, target: float, equity: float, opening: float, high: float, schedule: TradingSchedule
) -> bool:
    """Whether nothing can happen to the position within the bar, so that `trade` would only hold it.

    Told from what is cheap to look at: most bars of most accounts are such.

    Args:
        states: shape (symbols, state size).
        at: the symbol's row.
        target: the position due, a share of equity.
        equity: the account's at the open.
        opening: the bar's open.
        high: the bar's high.
        schedule: of `trading_schedule`.
    """
    units = states[at, UNITS]
    if target != states[at, ACCEPTED] or states[at, WORKING] != units:
        return False
    if schedule.stop > 0.0 or schedule.profit > 0.0 or schedule.longest > 0.0 or schedule.leverage > 1.0:
        return False
    # A short is safe if at the bar's high it would keep twice its margin and a tenth of its value besides, which is
    # more than a bar's funding takes.
    return units >= 0.0 or equity + units * (high - opening) > -2.0 * (schedule.maintenance + 0.05) * units * high


@one_bar
def _is_met(bar: Bar, limit: float, side: float) -> bool:
    # A bar that opens at the price was traded there; one that only touches it later may not have come to this order.
    if side > 0.0:
        return bar.opening <= limit or bar.low < limit
    return bar.opening >= limit or bar.high > limit


@one_bar
def trade(
    states: Floats, at: int, target: float, equity: float, bar: Bar, schedule: TradingSchedule, book: Floats,
    fills: Floats, count: int,
) -> tuple[float, float, float, int]:  # fmt: skip
    """One symbol's bar after its open: profit from the open on, cost and funding in money, and the number of fills.

    `states[at]` is the symbol's state, `equity` the account's at the open, all symbols marked there. Units are held,
    not weights: the account trades only when the target differs from the last one accepted. Funding is paid at the
    open price on the units held after the trade there (positive rates: longs pay), borrowing on short units.
    At most three fills are recorded in `fills`, from row `count` on.

    Args:
        states: shape (symbols, state size), written.
        at: the symbol's row.
        target: the position due, a share of equity.
        equity: the account's at the open, all symbols marked there.
        bar: the symbol's bar.
        schedule: of `trading_schedule`.
        book: the measured order book, shape (2, points), values and shares.
        fills: shape (rows, FILL_SIZE), written from row `count` on.
        count: fills recorded so far.
    """
    price, gross, cost, met = bar.opening, 0.0, 0.0, False
    was_held = states[at, UNITS] != 0.0
    if schedule.longest > 0.0 and was_held and states[at, HELD] >= schedule.longest and target == states[at, ACCEPTED]:
        paid = taker_cost(schedule, book, bar, -states[at, UNITS], price)
        count = record_fill(fills, count, -states[at, UNITS], price, paid, TIME)
        cost += paid
        states[at, UNITS] = states[at, WORKING] = 0.0
    if target != states[at, ACCEPTED]:
        wanted = rounded(target * max(equity, 0.0) / price, schedule.lot)
        too_small = abs(wanted - states[at, UNITS]) * price < schedule.smallest and target != 0.0
        states[at, WORKING] = states[at, UNITS] if too_small else wanted
        states[at, ACCEPTED] = target
    missing = whole = states[at, WORKING] - states[at, UNITS]
    if missing != 0.0:
        if schedule.participation > 0.0:
            most = schedule.participation * bar.volume / schedule.capital
            missing = min(max(missing, -most), most)
        limit = states[at, LAST_CLOSE]
        if schedule.resting == 0.0:
            if missing != 0.0:
                paid = taker_cost(schedule, book, bar, missing, price)
                count = record_fill(fills, count, missing, price, paid, TARGET)
                cost += paid
                apply_fill(states, at, missing, price)
                if missing == whole:  # exactly: else the rounding of the sum would be traded on the next bar
                    states[at, UNITS] = states[at, WORKING]
        elif missing != 0.0 and limit > 0.0 and _is_met(bar, limit, np.sign(missing)):
            # Met at the open if that is as good or better; what was held until then earns up to the fill.
            there = min(price, limit) if missing > 0.0 else max(price, limit)
            gross += states[at, UNITS] * (there - price)
            price, met = there, True
            paid = abs(missing) * price * schedule.maker
            count = record_fill(fills, count, missing, price, paid, TARGET)
            cost += paid
            apply_fill(states, at, missing, price)
            if missing == whole:
                states[at, UNITS] = states[at, WORKING]
    units = states[at, UNITS]
    funding = units * bar.opening * bar.funding_rate + max(-units, 0.0) * bar.opening * schedule.borrow
    if units != 0.0:
        states[at, HELD] += 1.0
        side = np.sign(units)
        # The worst price that the position survives, and the best that it waits for, in the direction of the side.
        worst, reason = -np.inf, STOP
        if schedule.stop > 0.0:
            worst = side * states[at, ENTRY] * (1.0 - side * schedule.stop)
        floor = (units * price - (equity + gross - cost - funding)) / (units - schedule.maintenance * abs(units))
        if (schedule.leverage > 1.0 or side < 0.0) and side * floor > worst:
            worst, reason = side * floor, LIQUIDATION
        lowest, highest = (bar.low, bar.high) if side > 0.0 else (-bar.high, -bar.low)
        # Within the bar in which a resting order was met, the high may have come before it.
        waits = schedule.profit > 0.0 and not met
        best = side * states[at, ENTRY] * (1.0 + side * schedule.profit) if waits else np.inf
        there, left = 0.0, False
        if lowest <= worst:
            there, left = side * min(worst, side * price), True
        elif highest > best or side * price >= best:
            there, left, reason = side * max(best, side * price), True, PROFIT
        if left:
            gross += units * (there - price)
            price = there
            if reason == PROFIT:
                paid = abs(units) * price * schedule.maker
            elif reason == LIQUIDATION:
                paid = abs(units) * price * schedule.liquidation
            else:
                paid = taker_cost(schedule, book, bar, -units, price)
            count = record_fill(fills, count, -units, price, paid, reason)
            cost += paid
            states[at, UNITS] = states[at, WORKING] = 0.0
    gross += states[at, UNITS] * (bar.close - price)
    states[at, LAST_CLOSE] = bar.close
    return gross, cost, funding, count
