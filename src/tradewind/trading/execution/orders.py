"""How targets become orders: size, limits, and what closes a position before its time."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from tradewind.parameters import Parameters


def _is_share(value: float | None) -> float | None:
    if value is not None and value >= 1:
        raise ValueError(f"must be a share below 1: {value / 100:g} is {value:g} %")
    return value


Share = Annotated[float | None, Field(gt=0), AfterValidator(_is_share)]


class OrderRules(Parameters):
    """What an order may be (`params:trading`, `execution`). The defaults let a target be filled whole at the next open.

    - `order`: `market` takes the next open; `limit` rests at the last close and is filled, as maker, when a bar opens
      at or trades through that price; until then it is priced anew at every close.
    - `stop_loss`, `take_profit`: share of the entry price, 0.05 for 5 %. A stop is filled at its level or, if the bar
      opens beyond it, at the open; where a bar reaches both, the stop comes first. A profit is taken where a bar opens
      at or trades through its level. After either, and after `max_holding_bars`, the position stays closed until the
      target changes.
    - `max_leverage`: the largest sum of absolute targets; more is scaled down in proportion. A position is liquidated
      at the price where equity falls to `maintenance_margin` times its value, at `liquidation_fee_bps`.
    - `max_participation`: the largest share of a bar's volume that one order may be; the rest waits for the next bar.
    - `capital`: what the account holds at the start, in the currency of the prices; only order sizes depend on it.
    - `min_notional`, `lot_size`, `tick_size`: the smallest order in account currency, the step of quantities, and the
      step of prices; quantities are rounded towards zero, prices to the worse side.
    """

    order: Literal["market", "limit"] = "market"
    stop_loss: Share = None
    take_profit: Share = None
    max_holding_bars: Annotated[int | None, Field(ge=1)] = None
    max_leverage: Annotated[float, Field(gt=0, le=125)] = 1.0
    maintenance_margin: Annotated[float, Field(ge=0, lt=1)] = 0.0
    liquidation_fee_bps: Annotated[float, Field(ge=0, le=1000)] = 0.0
    max_participation: Annotated[float | None, Field(gt=0, le=1)] = None
    capital: Annotated[float, Field(gt=0)] = 100_000.0
    min_notional: Annotated[float, Field(ge=0)] = 0.0
    lot_size: Annotated[float, Field(ge=0)] = 0.0
    tick_size: Annotated[float, Field(ge=0)] = 0.0
