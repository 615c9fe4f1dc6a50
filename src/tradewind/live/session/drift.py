"""Do features and forecasts still look as they did when the model was trained? What is held back where they do not.

The measure is `metrics.drift`, over the windows that monitoring uses. The window under way is looked at when a quarter,
a half and three quarters of it are counted, so that a large change is not waited for until its end (it must be larger
then); what the last whole window came to holds beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tradewind.live.session.guardrails import Action, no_more_than
from tradewind.live.settings import Drift
from tradewind.metrics.drift import BINS, COMPONENTS, Counts, DriftReference, DriftWindow
from tradewind.trading.decision.protocols import FORECAST, Observed

FEATURES, FORECASTS = "features", "forecasts"
LOOKS = 4  # in each window
# What a look before the window's end must be above its threshold: of 300 unchanged months 30 were called changed by any
# of four looks, 8 with this margin, and 8 by the look at their end alone.
EARLY = 1.25
References = Mapping[str, Mapping[str, DriftReference]]  # by symbol and kind


class Finding(NamedTuple):
    """The column that has changed most: score over the reference's threshold, kind, column and component."""

    over: float = 0.0
    kind: str = ""
    column: str = ""
    component: str = ""


@dataclass
class Watched:
    """What a session remembers of one symbol and kind.

    Attributes:
        counts: of the window under way, see `DriftWindow`.
        rows: counted in it.
        whole: finding of the last whole window.
        present: of the window under way, at its last look.
    """

    counts: Counts
    rows: int = 0
    whole: Finding = field(default_factory=Finding)
    present: Finding = field(default_factory=Finding)

    def to_body(self) -> list[Any]:
        """As values of JSON."""
        return [self.counts.tolist(), self.rows, list(self.whole), list(self.present)]

    @classmethod
    def from_body(cls, body: Sequence[Any]) -> "Watched":
        """From `to_body`."""
        counts, rows, whole, present = body
        return cls(np.array(counts, dtype=np.int64).reshape(-1, BINS + 1), rows, Finding(*whole), Finding(*present))


DriftState = dict[str, dict[str, Watched]]


def state_to_body(state: DriftState) -> dict[str, Any]:
    """As values of JSON."""
    return {symbol: {kind: one.to_body() for kind, one in kinds.items()} for symbol, kinds in state.items()}


def state_from_body(body: Mapping[str, Any]) -> DriftState:
    """From `state_to_body`."""
    return {symbol: {kind: Watched.from_body(one) for kind, one in kinds.items()} for symbol, kinds in body.items()}


def count(state: DriftState, references: References, one: Observed, row: int) -> list[Finding]:
    """Count one bar of a symbol; the findings of the looks that are due with it.

    Args:
        state: moved on in place.
        references: what is compared with.
        one: bars of the symbol, and what was forecast on each.
        row: which of them.
    """
    found = []
    for kind, reference in references.get(one.seen.symbol, {}).items():
        own = state.setdefault(one.seen.symbol, {})
        if kind not in own:
            own[kind] = Watched(np.zeros((len(reference.columns), BINS + 1), dtype=np.int64))
        look = _count(own[kind], reference, kind, _values(one, row, kind, reference))
        if look is not None:
            found.append(look)
    return found


def _values(one: Observed, row: int, kind: str, reference: DriftReference) -> NDArray[np.float64]:
    names, table = (
        (one.seen.names, one.seen.features) if kind == FEATURES else (FORECAST, one.steps.forecast)
    )  # fmt: skip
    return np.asarray(table[row, [names.index(name) for name in reference.columns]], dtype=np.float64)


def _count(watched: Watched, reference: DriftReference, kind: str, values: NDArray[np.float64]) -> Finding | None:
    window = DriftWindow(reference, watched.counts, watched.rows)
    window.add(values)
    watched.counts, watched.rows = window.counts, window.rows
    due = {max(reference.window * look // LOOKS, 1) for look in range(1, LOOKS + 1)}
    if watched.rows not in due:
        return None
    over = window.scores() / reference.threshold
    if watched.rows < reference.window:
        over = over / EARLY
    column, part = np.unravel_index(int(np.argmax(over)), over.shape)
    look = Finding(float(over[column, part]), kind, reference.columns[column], COMPONENTS[part])
    if watched.rows == reference.window:
        watched.whole, watched.present = look, Finding()
        watched.counts, watched.rows = np.zeros_like(watched.counts), 0
    else:
        watched.present = look
    return look


def hold_back(
    targets: Mapping[str, float], before: Mapping[str, float], shares: Mapping[str, float], state: DriftState,
    rules: Drift | None,
) -> tuple[dict[str, float], tuple[Action, ...]]:  # fmt: skip
    """The targets that are left where something has drifted, and what changed them.

    Args:
        targets: signed shares of the account's equity, of the symbols that are decided now.
        before: the targets that were accepted last.
        shares: positions as signed shares of equity.
        state: what was found.
        rules: of the guardrail; None: there is none.
    """
    left, actions = dict(targets), list[Action]()
    if rules is None:
        return left, ()
    for symbol, target in targets.items():
        worst = max((one for kind in state.get(symbol, {}).values() for one in (kind.whole, kind.present)),
                    default=Finding())  # fmt: skip
        if not worst.over > rules.above:
            continue
        if rules.action == "scale":
            left[symbol], effect = target * rules.scale_to, f"target times {rules.scale_to:g}"
        elif rules.action == "hold":
            left[symbol], effect = before.get(symbol, 0.0), "the target stays as it was"
        else:
            left[symbol], effect = no_more_than(target, shares.get(symbol, 0.0)), "the position may only shrink"
        if left[symbol] != target:
            cause = f"{symbol}, {worst.kind}: {worst.column} ({worst.component}) has drifted"
            actions.append(Action("drift", worst.over, rules.above, f"{cause}; {effect}"))
    return left, tuple(actions)
