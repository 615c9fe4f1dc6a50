"""One bar of one account: pure arithmetic, the only place where positions become money."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules

Floats = NDArray[np.float64]

# A symbol's state: units held, the target last accepted, the units worked towards, the last close, the mean entry
# price, and the bars held.
UNITS, ACCEPTED, WORKING, LAST_CLOSE, ENTRY, HELD = range(6)
STATE_SIZE = 6
# A fill: bar, symbol, units bought (sold: negative), price, cost in money, reason, equity before the bar.
FILL_SIZE = 7
REASONS = np.array(["target", "stop", "take profit", "time", "liquidation", "end of segment"])
TARGET, STOP, PROFIT, TIME, LIQUIDATION, END = range(6)


class Terms(NamedTuple):
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


def terms(costs: Costs, rules: OrderRules, bars_per_year: float) -> Terms:
    """The numbers that `trade` reads."""
    return Terms(
        taker=costs.taker_fee_bps * 1e-4, maker=costs.maker_fee_bps * 1e-4, spread=costs.half_spread_bps * 1e-4,
        slip_fixed=costs.slippage_bps * 1e-4, slip_volatility=costs.slippage_share_of_volatility,
        impact=costs.impact_coefficient, borrow=costs.borrow_rate_annual / bars_per_year,
        resting=float(rules.order == "limit"), stop=rules.stop_loss or 0.0, profit=rules.take_profit or 0.0,
        longest=float(rules.max_holding_bars or 0), leverage=rules.max_leverage,
        maintenance=rules.maintenance_margin, liquidation=rules.liquidation_fee_bps * 1e-4,
        participation=rules.max_participation or 0.0, capital=rules.capital,
        smallest=rules.min_notional / rules.capital, lot=rules.lot_size / rules.capital, tick=rules.tick_size,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def taking(terms: Terms, book: Floats, bar: Bar, units: float, price: float) -> float:
    """Cost of taking `units` at `price`, in money: fee, half-spread, slippage, and the step to the next tick."""
    value = abs(units) * price
    share = terms.taker + terms.spread + terms.slip_fixed + terms.slip_volatility * bar.volatility
    if terms.impact > 0.0 and bar.usual_volume > 0.0:
        share += terms.impact * bar.volatility * np.sqrt(abs(units) * terms.capital / bar.usual_volume)
    if book.shape[1] > 0:
        share += np.interp(value * terms.capital, book[0], book[1])
    cost = value * share
    if terms.tick > 0.0:
        steps = price / terms.tick
        worse = np.ceil(steps - 1e-9) if units > 0.0 else np.floor(steps + 1e-9)
        cost += abs(units) * abs(worse * terms.tick - price)
    return float(cost)


@njit(cache=True, nogil=True)
def rounded(units: float, lot: float) -> float:
    """Units rounded towards zero to whole lots."""
    return float(np.trunc(units / lot + np.sign(units) * 1e-9) * lot) if lot > 0.0 else units


@njit(cache=True, nogil=True)
def _note(fills: Floats, at: int, units: float, price: float, cost: float, reason: int) -> int:
    # The caller sees to it that there is room, and fills in bar, symbol and equity.
    fills[at, 2], fills[at, 3], fills[at, 4], fills[at, 5] = units, price, cost, reason
    return at + 1


@njit(cache=True, nogil=True)
def _buy(states: Floats, at: int, units: float, price: float) -> None:
    # Units after a trade, with the mean entry price: of what is added, kept by what is taken off, new on a turn.
    before, after = states[at, UNITS], states[at, UNITS] + units
    if abs(after) <= 1e-12 * abs(before):
        after = 0.0
    if before == 0.0 or before * after < 0.0:
        states[at, ENTRY], states[at, HELD] = price, 0.0
    elif before * units > 0.0:
        states[at, ENTRY] = (states[at, ENTRY] * before + price * units) / after
    states[at, UNITS] = after


@njit(cache=True, nogil=True)
def rests(states: Floats, at: int, target: float, equity: float, opening: float, high: float, terms: Terms) -> bool:
    """Whether nothing can happen to the position within the bar, so that `trade` would only hold it.

    Told from what is cheap to look at: most bars of most accounts are such.
    """
    units = states[at, UNITS]
    if target != states[at, ACCEPTED] or states[at, WORKING] != units:
        return False
    if terms.stop > 0.0 or terms.profit > 0.0 or terms.longest > 0.0 or terms.leverage > 1.0:
        return False
    # A short is safe if at the bar's high it would keep twice its margin and a tenth of its value besides, which is
    # more than a bar's funding takes.
    return units >= 0.0 or equity + units * (high - opening) > -2.0 * (terms.maintenance + 0.05) * units * high


@njit(cache=True, nogil=True)
def trade(
    states: Floats, at: int, target: float, equity: float, bar: Bar, terms: Terms, book: Floats, must_close: bool,
    fills: Floats, count: int,
) -> tuple[float, float, float, int]:  # fmt: skip
    """One symbol's bar after its open: profit from the open on, cost and funding in money, and the number of fills.

    `states[at]` is the symbol's state, `equity` the account's at the open, all symbols marked there. Units are held,
    not weights: the account trades only when the target differs from the last one accepted. Funding is paid at the
    open price on the units held after the trade there (positive rates: longs pay), borrowing on short units.
    `must_close` sells at the close: the last bar of a segment. At most four fills are noted in `fills`, from row
    `count` on.
    """
    price, gross, cost, met = bar.opening, 0.0, 0.0, False
    was_held = states[at, UNITS] != 0.0
    if terms.longest > 0.0 and was_held and states[at, HELD] >= terms.longest and target == states[at, ACCEPTED]:
        paid = taking(terms, book, bar, -states[at, UNITS], price)
        count = _note(fills, count, -states[at, UNITS], price, paid, TIME)
        cost += paid
        states[at, UNITS] = states[at, WORKING] = 0.0
    if target != states[at, ACCEPTED]:
        wanted = rounded(target * max(equity, 0.0) / price, terms.lot)
        too_small = abs(wanted - states[at, UNITS]) * price < terms.smallest and target != 0.0
        states[at, WORKING] = states[at, UNITS] if too_small else wanted
        states[at, ACCEPTED] = target
    missing = whole = states[at, WORKING] - states[at, UNITS]
    if missing != 0.0:
        if terms.participation > 0.0:
            most = terms.participation * bar.volume / terms.capital
            missing = min(max(missing, -most), most)
        limit = states[at, LAST_CLOSE]
        if terms.resting == 0.0:
            if missing != 0.0:
                paid = taking(terms, book, bar, missing, price)
                count = _note(fills, count, missing, price, paid, TARGET)
                cost += paid
                _buy(states, at, missing, price)
                if missing == whole:  # exactly: else the rounding of the sum would be traded on the next bar
                    states[at, UNITS] = states[at, WORKING]
        elif (
            missing != 0.0
            and limit > 0.0
            and (
                (bar.opening <= limit or bar.low < limit)
                if missing > 0.0
                else (bar.opening >= limit or bar.high > limit)
            )
        ):
            # Met at the open if that is better already; what was held until then earns up to the fill.
            there = min(price, limit) if missing > 0.0 else max(price, limit)
            gross += states[at, UNITS] * (there - price)
            price, met = there, True
            paid = abs(missing) * price * terms.maker
            count = _note(fills, count, missing, price, paid, TARGET)
            cost += paid
            _buy(states, at, missing, price)
            if missing == whole:
                states[at, UNITS] = states[at, WORKING]
    units = states[at, UNITS]
    funding = units * bar.opening * bar.funding_rate + max(-units, 0.0) * bar.opening * terms.borrow
    if units != 0.0:
        states[at, HELD] += 1.0
        side = np.sign(units)
        # The worst price that the position survives, and the best that it waits for, in the direction of the side.
        worst, reason = -np.inf, STOP
        if terms.stop > 0.0:
            worst = side * states[at, ENTRY] * (1.0 - side * terms.stop)
        floor = (units * price - (equity + gross - cost - funding)) / (units - terms.maintenance * abs(units))
        if (terms.leverage > 1.0 or side < 0.0) and side * floor > worst:
            worst, reason = side * floor, LIQUIDATION
        lowest, highest = (bar.low, bar.high) if side > 0.0 else (-bar.high, -bar.low)
        # Within the bar in which a resting order was met, the high may have come before it.
        waits = terms.profit > 0.0 and not met
        best = side * states[at, ENTRY] * (1.0 + side * terms.profit) if waits else np.inf
        there, left = 0.0, False
        if lowest <= worst:
            there, left = side * min(worst, side * price), True
        elif highest > best or side * price >= best:
            there, left, reason = side * max(best, side * price), True, PROFIT
        if left:
            gross += units * (there - price)
            price = there
            if reason == PROFIT:
                paid = abs(units) * price * terms.maker
            elif reason == LIQUIDATION:
                paid = abs(units) * price * terms.liquidation
            else:
                paid = taking(terms, book, bar, -units, price)
            count = _note(fills, count, -units, price, paid, reason)
            cost += paid
            states[at, UNITS] = states[at, WORKING] = 0.0
    if must_close:
        if states[at, UNITS] != 0.0:
            gross += states[at, UNITS] * (bar.close - price)
            price = bar.close
            paid = taking(terms, book, bar, -states[at, UNITS], price)
            count = _note(fills, count, -states[at, UNITS], price, paid, END)
            cost += paid
        states[at, UNITS] = states[at, WORKING] = states[at, ACCEPTED] = 0.0
    gross += states[at, UNITS] * (bar.close - price)
    states[at, LAST_CLOSE] = bar.close
    return gross, cost, funding, count
