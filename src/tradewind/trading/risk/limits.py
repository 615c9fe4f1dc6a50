"""What an order may be and what an account may lose."""

import math
from typing import Annotated, Literal

from pydantic import Field

from tradewind.parameters import Parameters

Share = Annotated[float, Field(gt=0, le=1)]


class RiskLimits(Parameters):
    """Limits of a live account (`params:live`, `limits`). Shares are of the account's equity.

    Attributes:
        max_position: largest position in one symbol with what is on order.
        max_gross: largest sum of all positions with what is on order.
        max_leverage: what the venue lends against: orders beyond it would be refused there.
        max_order_value: largest order, in account currency.
        price_collar_bps: how far an order's price may be from the last traded price.
        max_data_age_s: a symbol that has not been heard of for longer gets no new risk.
        max_clock_skew_s: how far this clock may be from the venue's.
        orders_a_minute: most orders in any 60 seconds.
        daily_loss: loss since midnight UTC that reduces at once, and halts on a second reading.
        drawdown: the same, from the highest equity.
        on_trip: whether the second reading halts, or closes all positions and then halts.
    """

    max_position: Annotated[float, Field(gt=0, le=10)] = 0.5
    max_gross: Annotated[float, Field(gt=0, le=10)] = 1.0
    max_leverage: Annotated[float, Field(gt=0, le=10)] = 1.0
    max_order_value: Annotated[float, Field(gt=0)] = 50_000.0
    price_collar_bps: Annotated[float, Field(gt=0, le=5000)] = 200.0
    max_data_age_s: Annotated[float, Field(gt=0)] = 90.0
    max_clock_skew_s: Annotated[float, Field(gt=0)] = 30.0
    orders_a_minute: Annotated[int, Field(ge=1)] = 20
    daily_loss: Share = 0.03
    drawdown: Share = 0.10
    on_trip: Literal["halt", "flatten"] = "halt"


class Instrument(Parameters):
    """What the venue says of a symbol: steps of price and quantity, the smallest and largest order.

    Where it lends nothing (a spot market), no position `can_be_short`.
    """

    symbol: str
    tick_size: Annotated[float, Field(gt=0)]
    lot_size: Annotated[float, Field(gt=0)]
    min_quantity: Annotated[float, Field(ge=0)] = 0.0
    max_quantity: Annotated[float, Field(gt=0)] = 1e12
    min_notional: Annotated[float, Field(ge=0)] = 0.0
    can_be_short: bool = True

    def smallest(self, price: float) -> float:
        """Units of the smallest order that the venue takes at a price, whole lots.

        Args:
            price: of a unit, positive.
        """
        least = max(self.min_quantity, self.min_notional / price, self.lot_size)
        lots = math.ceil(least / self.lot_size - 1e-9)
        is_below = lots * self.lot_size * price < self.min_notional
        return round((lots + is_below) * self.lot_size, 10)
