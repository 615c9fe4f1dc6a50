"""What a trade costs, stated once: backtest, baselines and report use the same."""

import itertools
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from tradewind.parameters import Parameters

Floats = NDArray[np.float64]
Bps = Annotated[float, Field(ge=0, le=1000)]


class Costs(Parameters):
    """Costs a side (`params:trading`, `costs`), as shares of the value traded.

    A fill that takes liquidity pays the taker fee, half the spread and slippage; a resting order that is met pays the
    maker fee alone, which may be a rebate (negative). Slippage is the sum of: `slippage_bps`, fixed;
    `slippage_share_of_volatility` times the per-bar volatility known at the decision; `impact_coefficient` times that
    volatility times the square root of the order's share of a bar's usual volume (Almgren, Thum, Hauptmann and Li 2005;
    Toth et al. 2011); and the cost of walking a measured order book, given as points (value in account currency, bps)
    between which it is interpolated.
    Short positions pay `borrow_rate_annual`. `latency_bars` delays every fill by so many bars beyond the next open.
    """

    taker_fee_bps: Bps = 5.0
    maker_fee_bps: Annotated[float, Field(ge=-100, le=1000)] = 2.0
    half_spread_bps: Bps = 1.0
    slippage_bps: Bps = 0.0
    slippage_share_of_volatility: Annotated[float, Field(ge=0, le=10)] = 0.02
    impact_coefficient: Annotated[float, Field(ge=0, le=100)] = 0.0
    book: tuple[tuple[float, float], ...] = ()
    borrow_rate_annual: Annotated[float, Field(ge=0, le=10)] = 0.0
    latency_bars: Annotated[int, Field(ge=0, le=1000)] = 0

    @model_validator(mode="after")
    def _book_rises(self) -> "Costs":
        values = [value for value, _ in self.book]
        if any(later <= earlier for earlier, later in itertools.pairwise(values)) or any(
            value < 0 or bps < 0 for value, bps in self.book
        ):
            raise ValueError(f"book must hold points (value, bps), not negative, values rising: found {self.book}")
        return self

    @property
    def fixed_share(self) -> float:
        """Taker fee, half-spread and fixed slippage as a share of the value traded."""
        return self.taker_fee_bps * 1e-4 + self.half_spread_bps * 1e-4 + self.slippage_bps * 1e-4

    @property
    def book_shares(self) -> Floats:
        """The measured book as two rows, values and shares; without columns where there is none."""
        points = np.array(self.book, dtype=np.float64).reshape(-1, 2).T * np.array([[1.0], [1e-4]])
        return np.ascontiguousarray(points)

    def round_trip_share(self, volatility: Floats | float, participation: float = 0.0, value: float = 0.0) -> Floats:
        """What buying and selling again at market costs, as a share of the value traded.

        Args:
            volatility: per bar, as known at the decision; 0 where it is missing (NaN).
            participation: the order's share of a bar's usual volume.
            value: the order's value in account currency, for the measured book.

        Returns:
            The share, of the volatility's shape; the tick size is not in it.
        """
        from tradewind.trading.execution.cost_share import side_shares

        per_bar = np.asarray(volatility, dtype=np.float64)
        side = side_shares(
            self.fixed_share, self.slippage_share_of_volatility, self.impact_coefficient, self.book_shares,
            per_bar.ravel(), participation, value,
        )  # fmt: skip
        return np.asarray(2.0 * side.reshape(per_bar.shape), dtype=np.float64)

    def scaled(self, multiple: float) -> "Costs":
        """The same costs, `multiple` times as high; a maker's rebate is no cost and is not raised with them."""
        scaled = {
            name: getattr(self, name) * multiple
            for name in (
                "taker_fee_bps", "maker_fee_bps", "half_spread_bps", "slippage_bps", "slippage_share_of_volatility",
                "impact_coefficient", "borrow_rate_annual",
            )
        }  # fmt: skip
        scaled["maker_fee_bps"] = max(scaled["maker_fee_bps"], min(self.maker_fee_bps, 0.0))
        return self.model_copy(update=scaled | {"book": tuple((value, bps * multiple) for value, bps in self.book)})

    def of_side(self, bps: float) -> "Costs":
        """All-in costs of `bps` a side and nothing else, with the same latency."""
        return Costs(
            taker_fee_bps=bps, maker_fee_bps=bps, half_spread_bps=0, slippage_share_of_volatility=0,
            latency_bars=self.latency_bars,
        )  # fmt: skip
