"""Markets with known regimes, and the best that any filter could do on them."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.learning.regimes.base import RANGING, TRENDING, VOLATILE, Bars
from tradewind.learning.regimes.expectation_maximisation import long_run
from tradewind.learning.regimes.markov_kernels import Emission, begin_belief, filter_moves, rouwenhorst
from tradewind.market.simulation.regimes import RegimeSpec
from tradewind.market.simulation.simulator import SimulationSpec, simulate_market

HOUR = 3_600_000
TRUE = {"up": TRENDING, "down": TRENDING, "ranging": RANGING, "volatile": VOLATILE}
YEAR = 8760


@cache
def market_of(preset: str | None, seed: int, days: int = 365, innovations: str = "student_t") -> tuple[Bars, Any]:
    """Bars of one symbol, and the true regime of each (None where the market has none)."""
    regimes = {"preset": preset, "innovations": innovations} if preset else None
    spec = SimulationSpec.model_validate({"n_symbols": 1, "days": days, "seed": seed, "regimes": regimes})
    market = simulate_market(spec)
    table = next(iter(market.bars.values()))
    opened = table["open_time"].to_numpy(np.int64)
    bars = Bars(opened + HOUR, opened, table["close"].to_numpy(), np.zeros(len(table), dtype=np.int32))
    return bars, market.regimes["state"].map(TRUE).to_numpy() if preset else None


def limit(preset: str, bars: Bars) -> NDArray[np.float64]:
    """Probabilities of trending, ranging, volatile of the filter that knows the true parameters and seasons."""
    spec = RegimeSpec.model_validate(preset)
    chain, scale = spec.transitions(1.0), spec.column("scale")
    nodes, grid, weight = rouwenhorst(15 if spec.log_volatility else 1, 0.5 ** (1 / spec.half_life_hours))
    model = Emission(
        spec.column("drift") * scale, spec.column("autocorrelation"), scale * np.sqrt(3 / 5), 5.0, chain,
        long_run(chain), spec.log_volatility * nodes, grid, weight,
    )  # fmt: skip
    hour, day = bars.open_time / HOUR % 24, (bars.open_time // (24 * HOUR) + 3) % 7
    season = (1 + 0.3 * np.cos(2 * np.pi * (hour - 15) / 24)) * np.where(day >= 5, 0.8, 1.0)
    season *= 0.6 / np.sqrt(8766) / np.sqrt(np.mean(season**2))
    moves = np.diff(np.log(bars.close), prepend=np.nan) / season
    starts = np.zeros(len(moves), dtype=bool)
    starts[0] = True
    out = np.empty((len(moves), 4))
    filter_moves(moves, starts, model, begin_belief(model), np.nan, out, np.empty(len(moves)))
    return np.column_stack([out[:, 0] + out[:, 1], out[:, 2], out[:, 3]])


def accuracies(said: NDArray[np.int64], true: NDArray[np.int64]) -> tuple[float, float]:
    """Accuracy, and the mean over the regimes of the share recognised."""
    shares = [float((said[true == regime] == regime).mean()) for regime in np.unique(true)]
    return float((said == true).mean()), float(np.mean(shares))
