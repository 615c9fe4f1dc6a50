"""What changes targets before they become orders: exposure, turnover, expected shortfall. Each says why.

Drift, which looks at one symbol at a time and comes before them, is in `drift`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tradewind.live.settings import Guardrails
from tradewind.trading.risk.limits import Instrument

DAY_MS = 86_400_000
WORST_SHARE = 0.025


class Action(NamedTuple):
    """What a guardrail did: its name, what it measured, what it allows, and what became of the targets."""

    guardrail: str
    value: float
    allowed: float
    effect: str


class Account(NamedTuple):
    """What guardrails look at.

    Attributes:
        shares: positions as signed shares of equity.
        traded: (instant, value as a share of equity) of the fills of the last day.
        returns: of the account, one a bar, oldest first.
        now_ms: UTC milliseconds.
    """

    shares: Mapping[str, float]
    traded: Sequence[tuple[int, float]]
    returns: Sequence[float]
    now_ms: int


def expected_shortfall(returns: Sequence[float]) -> float:
    """Mean loss of the worst 2.5 % of returns (at least one), positive for a loss; 0 with fewer than 40."""
    if len(returns) < 40:
        return 0.0
    worst = sorted(returns)[: max(int(len(returns) * WORST_SHARE), 1)]
    return max(-sum(worst) / len(worst), 0.0)


def lent(
    targets: Mapping[str, float], instruments: Mapping[str, Instrument]
) -> tuple[dict[str, float], tuple[Action, ...]]:
    """The targets that the venue lets one hold, and what changed them: on a spot market none below zero.

    An order that would sell more than is held is refused there whole, so that the position would not even be closed.
    """
    left = {name: max(one, 0.0) if not instruments[name].can_be_short else one for name, one in targets.items()}
    cut = sorted(name for name in left if left[name] != targets[name])
    effect = f"{', '.join(cut)}: the venue lends nothing to be sold short, the target is zero"
    return left, (Action("no_short", min(targets[name] for name in cut), 0.0, effect),) if cut else ()


def guard(
    targets: Mapping[str, float], account: Account, rules: Guardrails
) -> tuple[dict[str, float], tuple[Action, ...]]:
    """The targets that are left, and what changed them.

    Args:
        targets: signed shares of the account's equity by symbol.
        account: as it stands.
        rules: which guardrails there are.
    """
    left, actions = dict(targets), []
    exposure = sum(abs(one) for one in left.values())
    if rules.exposure is not None and exposure > rules.exposure.above:
        scale = min(rules.exposure.scale_to / exposure, 1.0)
        left = {name: one * scale for name, one in left.items()}
        actions.append(Action("exposure", exposure, rules.exposure.above, f"targets times {scale:.3f}"))
    if rules.expected_shortfall is not None:
        shortfall = expected_shortfall(account.returns[-rules.expected_shortfall.bars :])
        if shortfall > rules.expected_shortfall.above:
            scale = rules.expected_shortfall.above / shortfall
            left = {name: one * scale for name, one in left.items()}
            allowed = rules.expected_shortfall.above
            actions.append(Action("expected_shortfall", shortfall, allowed, f"targets times {scale:.3f}"))
    if rules.turnover_a_day is not None:
        turnover = sum(value for at, value in account.traded if at > account.now_ms - DAY_MS)
        if turnover > rules.turnover_a_day.above:
            left = {name: no_more_than(one, account.shares.get(name, 0.0)) for name, one in left.items()}
            actions.append(Action("turnover_a_day", turnover, rules.turnover_a_day.above, "positions may only shrink"))
    return left, tuple(actions)


def no_more_than(target: float, held: float) -> float:
    """The target where it is smaller than what is held, on the same side; else what is held."""
    if target * held < 0.0:
        return 0.0
    return target if abs(target) < abs(held) else held
