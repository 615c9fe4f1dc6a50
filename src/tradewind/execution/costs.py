"""What a trade costs, stated once: backtest, baselines and report use the same."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Costs(BaseModel):
    """Costs a side (`params:costs`), as shares of the value traded.

    A fill pays the taker fee, half the spread, and slippage of `slippage_share_of_volatility` times the per-bar
    volatility that was known at the decision. `latency_bars` delays every fill by so many bars beyond the next open.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    taker_fee_bps: Annotated[float, Field(ge=0, le=1000)] = 5.0
    half_spread_bps: Annotated[float, Field(ge=0, le=1000)] = 1.0
    slippage_share_of_volatility: Annotated[float, Field(ge=0, le=10)] = 0.02
    latency_bars: Annotated[int, Field(ge=0, le=1000)] = 0

    @property
    def fixed_share(self) -> float:
        """Fee and half-spread as a share of the value traded."""
        return (self.taker_fee_bps + self.half_spread_bps) * 1e-4

    def scaled(self, multiple: float) -> "Costs":
        """The same costs, `multiple` times as high."""
        return self.model_copy(
            update={
                "taker_fee_bps": self.taker_fee_bps * multiple,
                "half_spread_bps": self.half_spread_bps * multiple,
                "slippage_share_of_volatility": self.slippage_share_of_volatility * multiple,
            }
        )
