"""From forecasts to targets: the one fold that evaluation, replay and live trading share."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.trading.decision.reasons import explain_absence, explain_position
from tradewind.trading.execution.costs import Costs
from tradewind.trading.strategy.signals import SignalRules, fold_direction, fold_smooth
from tradewind.trading.strategy.sizing import Held, SizingRules, fold_size

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TargetRules:
    """From a forecast to a target: when to enter and leave, what it must pay, and how large it is.

    Attributes:
        signal, sizing, costs: the parameter blocks.
        bars_per_year: of the universe, to size by annual volatility.
    """

    signal: SignalRules
    sizing: SizingRules
    costs: Costs
    bars_per_year: float

    @property
    def volatility_per_bar(self) -> float:
        """The wanted volatility of a position over one bar."""
        return float(self.sizing.target_volatility_annual / np.sqrt(self.bars_per_year))


class TargetState(NamedTuple):
    """What `fold_targets` carries: smoothed edge and expected return, direction held, and the last sized position."""

    edge: float = np.nan
    expected_return: float = np.nan
    direction: float = 0.0
    held: Held = Held()

    def to_array(self) -> Floats:
        """As five numbers."""
        return np.array([self.edge, self.expected_return, self.direction, *self.held])

    @classmethod
    def from_array(cls, numbers: Floats) -> "TargetState":
        """The state again."""
        edge, expected, direction, last, target = numbers.tolist()
        return cls(edge, expected, direction, Held(last, target))


class Targets(NamedTuple):
    """One entry a bar: the smoothed edge, -1, 0 or 1, the signed share of equity, and bits of `reasons.CODES`."""

    edge: Floats
    direction: Floats
    target: Floats
    reasons: NDArray[np.int64]


def fold_targets(
    state: TargetState, forecast: Floats, volatility: Floats, rules: TargetRules
) -> tuple[TargetState, Targets]:
    """Targets of the bars that follow those after which the state was `state`.

    Args:
        state: `TargetState()` before the first bar.
        forecast: (bars, 4) p_down, p_flat, p_up and expected log return; NaN without a forecast.
        volatility: of one bar's log return, as known on each bar; NaN where unknown.
        rules: how forecasts become targets.

    Returns:
        The state after the last bar, and the targets with their reasons.
    """
    signal = rules.signal
    last_edge, edge = fold_smooth(state.edge, forecast[:, 2] - forecast[:, 0], signal.smoothing_bars)
    last_expected, expected = fold_smooth(
        state.expected_return, np.ascontiguousarray(forecast[:, 3]), signal.smoothing_bars
    )
    costs = rules.costs
    round_trip = 2 * (costs.fixed_share + costs.slippage_share_of_volatility * np.nan_to_num(volatility))
    hurdle = signal.cost_multiple * round_trip
    side, chosen = fold_direction(
        state.direction, edge, expected, hurdle, signal.entry_threshold, signal.exit_threshold
    )
    held, target = fold_size(state.held, chosen, volatility, rules.volatility_per_bar, rules.sizing.max_position)
    reasons = explain_absence(chosen, edge, signal.entry_threshold) | explain_position(state.direction, chosen, target)
    return TargetState(last_edge, last_expected, side, held), Targets(edge, chosen, target, reasons)


def targets_from_forecasts(
    history: pd.DataFrame, forecasts: pd.DataFrame, volatility: Floats, rules: TargetRules
) -> Targets:
    """Targets on every bar of one symbol's history, flat where there is no forecast.

    Args:
        history: the symbol's bars, oldest first; only `timestamp` is read.
        forecasts: the symbol's rows of one model (`schema.Forecasts`), at most one a timestamp.
        volatility: of one bar's log return (`realised_volatility`), one a bar of the history.
        rules: how forecasts become targets.

    Returns:
        One entry a bar of the history; `.target` is what the backtest trades.
    """
    columns = ["p_down", "p_flat", "p_up", "expected_return"]
    aligned = forecasts.set_index("timestamp")[columns].reindex(history["timestamp"])
    return fold_targets(TargetState(), aligned.to_numpy(dtype=np.float64), volatility, rules)[1]
