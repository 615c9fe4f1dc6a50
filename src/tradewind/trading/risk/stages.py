"""What a stage of a rollout allows: the one place where it becomes limits of the gate and of the targets."""

import math
from collections.abc import Mapping

from tradewind.trading.risk.limits import RiskLimits
from tradewind.trading.risk.states import RiskState

NOTHING = 1e-12  # of the equity: no order is so small


def narrowed(limits: RiskLimits, risk: RiskState, equity: float, symbol: str = "") -> RiskLimits:
    """The limits that hold in the account's stage. They are only ever narrower.

    What the stage's capital allows stands in `max_leverage`, too, which no operator can override.

    Args:
        limits: without a stage.
        risk: whose stage it is.
        equity: of the account, in its currency.
        symbol: of the order; empty: any that the stage has.
    """
    if risk.stage_capital is None and risk.stage_symbols is None:
        return limits
    ratio = math.inf
    if risk.stage_capital is not None and equity > 0.0:
        ratio = risk.stage_capital / equity
    if symbol and risk.stage_symbols is not None and symbol not in risk.stage_symbols:
        ratio = NOTHING
    share = min(ratio, 1.0)
    most = limits.max_order_value if risk.stage_capital is None else risk.stage_capital
    return limits.model_copy(update={
        "max_position": limits.max_position * share, "max_gross": limits.max_gross * share,
        "max_leverage": min(limits.max_leverage, ratio), "max_order_value": min(limits.max_order_value, most),
    })  # fmt: skip


def within_stage(targets: Mapping[str, float], risk: RiskState, equity: float) -> dict[str, float]:
    """Targets as the stage allows them: symbols that it has, of no more than its capital.

    Args:
        targets: signed shares of the account's equity by symbol.
        risk: whose stage it is.
        equity: of the account, in its currency.
    """
    share = 1.0
    if risk.stage_capital is not None and equity > risk.stage_capital:
        share = risk.stage_capital / equity
    allowed = risk.stage_symbols
    return {name: one * share if allowed is None or name in allowed else 0.0 for name, one in targets.items()}
