"""What always travels together when targets are made and traded."""

from tradewind.parameters import Parameters
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules
from tradewind.trading.strategy.signals import SignalRules
from tradewind.trading.strategy.sizing import SizingRules


class TradingSetup(Parameters):
    """How forecasts become targets and targets become fills (`params:trading`).

    Attributes:
        costs: what a fill costs, per side.
        execution: what an order may be.
        signal: when forecasts enter and leave.
        sizing: how large a position is.
    """

    costs: Costs
    execution: OrderRules
    signal: SignalRules
    sizing: SizingRules
