"""What can be gained by going round: coins through two venues or three markets, and perpetuals against spot.

A coin is what its market calls it: USD, USDT and USDC are three coins, and no route leads from one to another but
through a market that trades them.
"""

import itertools
from typing import NamedTuple

import numpy as np

from tradewind.errors import BadParameters
from tradewind.trading.execution.arbitrage.markets import Market, Opportunity, ScanRules
from tradewind.trading.execution.arbitrage.walks import walk_pair, walk_triangle
from tradewind.trading.execution.routing import VenueBook, why_unusable


class Scan(NamedTuple):
    """Opportunities, the largest gain first, and why markets and routes were left out."""

    found: tuple[Opportunity, ...]
    reasons: tuple[str, ...]


def scan(markets: list[Market], rules: ScanRules) -> Scan:
    """All routes that gain: two venues with one pair, perpetual against spot, and triangles within a venue.

    Levels are taken while the next unit still gains after fees and allowances, so that the size is the executable one.
    Quantities are rounded to lots towards zero, and what rounding leaves over counts as lost. Of a perpetual against
    spot the gain is the basis and the funding of `settlements`, less the fees of opening and closing both and the
    spreads at which they close; selling spot needs coins that are already there.

    Args:
        markets: with their books.
        rules: what a gain must cover.

    Raises:
        BadParameters: two markets of one venue have the same pair and kind.
    """
    names = [market.name for market in markets]
    if len(set(names)) < len(names):
        raise BadParameters(f"every market is given once: found {', '.join(sorted(names))}")
    reasons: list[str] = []
    usable: list[Market] = []
    for market in markets:
        reason = why_unusable(market.asks, True, rules.max_age_s) or why_unusable(market.bids, False, rules.max_age_s)
        if reason:
            reasons.append(f"{market.base}/{market.quote} at {reason}")
        else:
            usable.append(market)
    found: list[Opportunity | str | None] = []
    for bought, sold in itertools.permutations(usable, 2):
        if (bought.base, bought.quote) != (sold.base, sold.quote) or (bought.is_perpetual and sold.is_perpetual):
            continue
        found.append(walk_pair(bought, sold, _pair_allowance(bought, sold, rules), rules.max_value))
    for near, cross, far in _triangles(usable):
        for forwards in (True, False):
            found.append(walk_triangle((near, cross, far), forwards, _latency_share(rules), rules.max_value))
    gaining = [each for each in found if isinstance(each, Opportunity)]
    reasons += [each for each in found if isinstance(each, str)]
    return Scan(tuple(sorted(gaining, key=lambda each: -each.gain)), tuple(reasons))


def _triangles(markets: list[Market]) -> list[tuple[Market, Market, Market]]:
    """Within a venue: B/C, A/B and A/C."""
    spot = [market for market in markets if not market.is_perpetual]
    return [
        (near, cross, far)
        for near, cross, far in itertools.permutations(spot, 3)
        if near.asks.venue == cross.asks.venue == far.asks.venue
        and (cross.quote, cross.base, near.quote) == (near.base, far.base, far.quote)
    ]


def _latency_share(rules: ScanRules) -> float:
    return rules.latency_deviations * rules.volatility_bps * float(np.sqrt(rules.latency_s)) * 1e-4


def _pair_allowance(bought: Market, sold: Market, rules: ScanRules) -> float:
    """What the gain of a pair must cover besides fees and books, as a share of the value; funding may pay more."""
    share = _latency_share(rules)
    if not (bought.is_perpetual or sold.is_perpetual):
        return share + rules.transfer_bps * 1e-4
    sign, perpetual = (1.0, bought) if bought.is_perpetual else (-1.0, sold)
    closing = sum(book.taker_fee_bps + _spread_bps(book) for book in (bought.asks, sold.bids))
    return share + 1e-4 * (closing + sign * (rules.settlements * perpetual.funding_bps - rules.basis_bps))


def _spread_bps(book: VenueBook) -> float:
    best = float(book.prices[0])
    return 2e4 * abs(best - book.opposite) / (best + book.opposite)
