"""A rule whose positions a model must agree with."""

from dataclasses import dataclass

import numpy as np
from numba import njit

from tradewind.learning.features.packing import Arrays
from tradewind.trading.decision.forecasting import ForecastPolicy
from tradewind.trading.decision.protocols import Account, Floats, Seen, Steps
from tradewind.trading.decision.reasons import FILTERED, INFINITE, NO_FORECAST, explain_position
from tradewind.trading.decision.ruling import RulePolicy

RULE, MODEL, PASSED = "filtered|", "filter|", "passed"


@njit(cache=True, nogil=True)
def fold_filter(
    before: float, passes: float, direction: Floats, edge: Floats, entry: float, leave: float
) -> tuple[float, float, Floats]:
    """Whether the model lets the rule's position be, on each bar.

    Args:
        before: the rule's direction on the bar before the first.
        passes: 1.0 where it was let be there.
        direction: of the rule, -1, 0 or 1 a bar.
        edge: of the model, p_up - p_down, smoothed; NaN without a forecast.
        entry: the edge in the rule's direction from which a position is opened.
        leave: the edge against it beyond which it is closed.

    Returns:
        The direction and whether it passes on the last bar, and 1.0 or 0.0 on each bar.
    """
    out = np.zeros(len(direction))
    for row in range(len(direction)):
        now = direction[row]
        agreement = now * edge[row]
        if now == 0.0 or np.isnan(edge[row]):
            passes = 0.0
        elif now != before or passes == 0.0:
            passes = 1.0 if agreement >= entry else 0.0
        else:
            passes = 1.0 if agreement > -leave else 0.0
        out[row], before = passes, now
    return before, passes, out


@dataclass(frozen=True)
class FilteredPolicy:
    """Trades a rule where a model agrees: it enters where the model's edge in the rule's direction reaches the entry
    threshold, and leaves with the rule, or where the edge is beyond the exit threshold against it.

    Attributes:
        rule: gives direction and size.
        model: gives the edge; its own targets are not traded.
    """

    rule: RulePolicy
    model: ForecastPolicy

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that either reads."""
        return tuple(dict.fromkeys((*self.rule.features, *self.model.features)))

    def begin(self) -> Arrays:
        """Both begin, and nothing has passed."""
        parts = {f"{RULE}{name}": array for name, array in self.rule.begin().items()}
        return parts | {f"{MODEL}{name}": array for name, array in self.model.begin().items()} | {PASSED: np.zeros(3)}

    def advance(self, state: Arrays, seen: Seen, account: Account) -> tuple[Arrays, Steps]:
        """The rule's targets where they pass, the model's forecasts and edge.

        Args:
            state: of `begin`, or as the last call left it.
            seen: features and volatility of the bars that follow.
            account: not read.
        """
        rule, ruled = self.rule.advance(_under(state, RULE), seen, account)
        model, said = self.model.advance(_under(state, MODEL), seen, account)
        before, passes, last = state[PASSED].tolist()
        signals = self.model.rules.signal
        before, passes, passed = fold_filter(
            before, passes, np.sign(ruled.target), said.edge, signals.entry_threshold, signals.exit_threshold
        )
        target = np.where(passed > 0.0, ruled.target, 0.0)
        reasons = explain_position(last, np.sign(target), target)
        is_stopped = (ruled.target != 0.0) & (target == 0.0)
        reasons |= np.where(is_stopped, FILTERED | (said.reasons & NO_FORECAST), 0) | (said.reasons & INFINITE)
        moved = {f"{RULE}{name}": array for name, array in rule.items()}
        moved |= {f"{MODEL}{name}": array for name, array in model.items()}
        moved[PASSED] = np.array([before, passes, float(np.sign(target[-1]))])
        return moved, Steps(said.forecast, said.edge, target, reasons)


def _under(state: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
