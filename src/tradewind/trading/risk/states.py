"""Whether an account may trade: a state that outlives its process, and that only a person leads back to ACTIVE."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from tradewind.errors import BadParameters
from tradewind.trading.risk.limits import RiskLimits

ACTIVE, REDUCING, HALTED = "ACTIVE", "REDUCING", "HALTED"
DAY_MS = 86_400_000
LOSS_LIMITS = ("daily_loss", "drawdown")
ACTIONS = ("pause", "reduce", "halt", "flatten", "override", "resume")


@dataclass(frozen=True)
class RiskState:
    """What is remembered of risk between two events.

    Attributes:
        mode: ACTIVE, REDUCING (only orders that reduce) or HALTED (none at all).
        paused: no decision is acted on; what is held stays.
        flattening: all positions are being closed; HALTED when that is done.
        equity: the last reading; `day_start` that at the day's start, `peak` the highest.
        day: days since 1970 of the last reading, -1 before the first.
        breached: loss limits that the last reading broke.
        overrides: codes switched off by an operator, with the instant at which they hold again.
        stage: of a rollout, empty without one; `stage_capital` is what it may use at most, `stage_symbols` which ones
            it may trade; None: no limit of the stage's.
        reason, who, since_ms: of the last change.
    """

    mode: str = ACTIVE
    paused: bool = False
    flattening: bool = False
    equity: float = 0.0
    day_start: float = 0.0
    peak: float = 0.0
    day: int = -1
    breached: tuple[str, ...] = ()
    overrides: tuple[tuple[str, int], ...] = ()
    stage: str = ""
    stage_capital: float | None = None
    stage_symbols: tuple[str, ...] | None = None
    reason: str = "started"
    who: str = "start"
    since_ms: int = 0

    def to_body(self) -> dict[str, Any]:
        """As values of JSON."""
        return asdict(self)

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> "RiskState":
        """The state again."""
        given = dict(body)
        given["breached"] = tuple(given["breached"])
        given["overrides"] = tuple((code, until) for code, until in given["overrides"])
        if given.get("stage_symbols") is not None:
            given["stage_symbols"] = tuple(given["stage_symbols"])
        return cls(**given)

    def overridden(self, now_ms: int) -> frozenset[str]:
        """Codes that are switched off now."""
        return frozenset(code for code, until in self.overrides if now_ms < until)


def read_equity(state: RiskState, equity: float, now_ms: int, limits: RiskLimits) -> tuple[RiskState, tuple[str, ...]]:
    """The state after a reading of the marked equity, and the loss limits that it broke.

    The first reading beyond a limit leaves only orders that reduce; a second one in a row halts or flattens, so that
    one bad price does not. A reading that is no number counts as beyond both limits.

    Args:
        state: before the reading.
        equity: cash and positions at the last price, in account currency.
        now_ms: UTC milliseconds.
        limits: what may be lost.
    """
    if not math.isfinite(equity):
        broken: tuple[str, ...] = LOSS_LIMITS
    else:
        day = now_ms // DAY_MS
        start = equity if state.day < 0 else (state.equity if day > state.day else state.day_start)
        state = replace(state, equity=equity, day=day, day_start=start, peak=max(state.peak, equity))
        losses = {"daily_loss": 1.0 - equity / start, "drawdown": 1.0 - equity / state.peak} if start > 0 else {}
        allowed = {"daily_loss": limits.daily_loss, "drawdown": limits.drawdown}
        broken = tuple(name for name in LOSS_LIMITS if not losses.get(name, math.inf) < allowed[name])
    again = [name for name in broken if name in state.breached]
    state = replace(state, breached=broken)
    if broken and state.mode == ACTIVE:
        state = _moved(state, REDUCING, f"{' and '.join(broken)} reached", "limit", now_ms)
    elif again and state.mode == REDUCING and not state.flattening:
        if limits.on_trip == "flatten":
            state = replace(state, flattening=True)
            state = _moved(state, REDUCING, f"{' and '.join(again)} reached twice: closing all", "limit", now_ms)
        else:
            state = _moved(state, HALTED, f"{' and '.join(again)} reached twice", "limit", now_ms)
    return state, broken


def positions_closed(state: RiskState, now_ms: int) -> RiskState:
    """The state once flattening has nothing left to close: HALTED."""
    if not state.flattening:
        return state
    return _moved(replace(state, flattening=False), HALTED, "all positions are closed", state.who, now_ms)


def fault(state: RiskState, reason: str, now_ms: int) -> RiskState:
    """HALTED because the program met something that it must not trade through.

    Args:
        state: before.
        reason: in words.
        now_ms: UTC milliseconds.
    """
    return state if state.mode == HALTED else _moved(state, HALTED, reason, "fault", now_ms)


def enter_stage(state: RiskState, body: Mapping[str, Any], now_ms: int) -> RiskState:
    """The state in a stage of a rollout; one that was stepped back to leaves only orders that reduce.

    Args:
        state: before.
        body: `stage`, `capital`, `symbols`, and whether it was a step back (`reduces`).
        now_ms: UTC milliseconds.
    """
    symbols = None if body["symbols"] is None else tuple(body["symbols"])
    state = replace(state, stage=body["stage"], stage_capital=body["capital"], stage_symbols=symbols)
    if body["reduces"] and state.mode == ACTIVE:
        state = _moved(state, REDUCING, f"the rollout went back to {body['stage']}", "rollout", now_ms)
    return state


def operate(
    state: RiskState, action: str, who: str, reason: str, now_ms: int, detail: Mapping[str, Any] | None = None
) -> RiskState:
    """The state after what an operator ordered.

    Args:
        state: before.
        action: one of `ACTIONS`.
        who: the operator.
        reason: in words.
        now_ms: UTC milliseconds.
        detail: of `override` the `code` and `minutes`; of `resume` which limits begin anew (`reset`, a list), and in a
            stage of a rollout how many `people` must have `allowed` it, and who has.

    Raises:
        BadParameters: no reason, no such action, or one that does not fit the state.
    """
    given = detail or {}
    if not reason.strip() or not who.strip():
        raise BadParameters(f"{action} needs a reason and who ordered it")
    if action == "pause":
        return replace(state, paused=True, reason=reason, who=who, since_ms=now_ms)
    if action == "halt":
        return _moved(replace(state, flattening=False), HALTED, reason, who, now_ms)
    if action == "reduce":
        if state.mode == HALTED:
            raise BadParameters("the account is HALTED, which is stricter than REDUCING: resume first")
        return _moved(state, REDUCING, reason, who, now_ms)
    if action == "flatten":
        return _moved(replace(state, flattening=True), REDUCING, reason, who, now_ms)
    if action == "override":
        return _override(state, who, reason, now_ms, given)
    if action == "resume":
        return _resume(state, who, reason, now_ms, given)
    raise BadParameters(f"an operator may {', '.join(ACTIONS)}; not {action!r}")


def _override(state: RiskState, who: str, reason: str, now_ms: int, given: Mapping[str, Any]) -> RiskState:
    from tradewind.trading.risk.gate import MAY_BE_OVERRIDDEN

    code, minutes = str(given.get("code", "")), float(given.get("minutes", 0))
    if code not in MAY_BE_OVERRIDDEN:
        raise BadParameters(f"only {', '.join(sorted(MAY_BE_OVERRIDDEN))} may be overridden; not {code!r}")
    if not 0 < minutes <= 24 * 60:
        raise BadParameters(f"an override lasts more than 0 and at most 1440 minutes, not {minutes:g}")
    others = tuple(one for one in state.overrides if one[0] != code and one[1] > now_ms)
    overrides = (*others, (code, now_ms + int(minutes * 60_000)))
    return replace(state, overrides=overrides, reason=reason, who=who, since_ms=now_ms)


def lacks_people(state: RiskState, given: Mapping[str, Any]) -> str:
    """Why an account that is HALTED may not be resumed yet, in words; empty where enough people have allowed it.

    Args:
        state: of the account.
        given: `people`, how many are needed, and `allowed`, who has since the halt; neither outside of a rollout.
    """
    needed, allowed = int(given.get("people", 0)), sorted(set(given.get("allowed", ())))
    if state.mode != HALTED or len(allowed) >= needed:
        return ""
    return (
        f"403: to leave HALTED in the stage {state.stage} takes {needed} named people, each by `tradewind rollout "
        f"allow-resume`; since the halt {', '.join(allowed) or 'nobody'} has"
    )


def _resume(state: RiskState, who: str, reason: str, now_ms: int, given: Mapping[str, Any]) -> RiskState:
    lacking = lacks_people(state, given)
    if lacking:
        raise BadParameters(lacking)
    reset = tuple(given.get("reset", ()))
    wrong = [name for name in reset if name not in LOSS_LIMITS]
    if wrong:
        raise BadParameters(f"the limits that begin anew are {', '.join(LOSS_LIMITS)}; not {', '.join(wrong)}")
    still = [name for name in state.breached if name not in reset]
    if still:
        raise BadParameters(
            f"{' and '.join(still)} is still broken: resume with reset, so that it begins anew from here"
        )
    state = replace(
        state, paused=False, flattening=False, breached=(),
        day_start=state.equity if "daily_loss" in reset else state.day_start,
        peak=state.equity if "drawdown" in reset else state.peak,
    )  # fmt: skip
    return _moved(state, ACTIVE, reason, who, now_ms)


def _moved(state: RiskState, mode: str, reason: str, who: str, now_ms: int) -> RiskState:
    return replace(state, mode=mode, reason=reason, who=who, since_ms=now_ms)
