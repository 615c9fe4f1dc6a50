"""What an account that trades price differences between two venues may do."""

from typing import Annotated

from pydantic import Field

from tradewind.parameters import Parameters
from tradewind.trading.execution.arbitrage.legging import LegRules
from tradewind.trading.execution.arbitrage.markets import ScanRules
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.worlds.dislocations import DislocationWorld
from tradewind.trading.risk.limits import RiskLimits

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class RoutedRules(Parameters):
    """How an order over several venues is worked (`params:arbitrage`, `routed`).

    Attributes:
        answer_s: within which an order is answered; one that is not raises an alarm.
        rest_s: after which an order that is not filled is taken back.
        refused_s: for which a venue that refused is left out.
        max_age_s: an older book is not traded on.
    """

    answer_s: Positive = 2.0
    rest_s: Positive = 0.5
    refused_s: Positive = 1.0
    max_age_s: Positive = 2.0


class ArbitrageRules(Parameters):
    """Settings of the account (`params:arbitrage`).

    Attributes:
        folder: of the run.
        capital: of the account over both venues, in the quote coin; the coins that are sold lie at both.
        scan: what a gain must cover besides fees and the walk of the books.
        legs: how far an intent may stand on one leg.
        limits: what the risk gate allows, each order and in sum; a market at a venue is a symbol of its own.
        costs: of which the taker fee is paid at both venues.
        latency_ms: of simulated fills.
        rest_share: of `legs.answer_s` after which an order that is not filled is taken back.
        every_s: between two looks at the books.
        most_seen: levels of each side.
        market: how the simulated venues' prices differ.
        world_seed: of them.
        routed: how `kedro execute` works an order over the same venues.
    """

    folder: str = "data/09_paper/arbitrage"
    capital: Positive = 100_000.0
    scan: ScanRules = ScanRules()
    legs: LegRules = LegRules()
    limits: RiskLimits = RiskLimits(max_data_age_s=2.0, orders_a_minute=60)
    costs: Costs = Costs()
    latency_ms: Annotated[int, Field(ge=0, le=60_000)] = 120
    rest_share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    every_s: Positive = 0.2
    most_seen: Annotated[int, Field(ge=1, le=1000)] = 20
    market: DislocationWorld = DislocationWorld(
        steps=100_000, persistence=0.98, volatility_bps=0.5, jump_rate=0.01, jump_bps=40.0
    )
    world_seed: Annotated[int, Field(ge=0)] = 1009
    routed: RoutedRules = RoutedRules()
