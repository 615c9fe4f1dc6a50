"""Many episodes stepped in one call: the account of each by `engine.step.trade`, its reward beside it.

Kernels are handed plain arrays alone: a tuple of numbers costs the call more than the bar does. `numbers` are those of
`packed`, `tape` is `TradingMarket.tape`, and a row of `memory` is all that an episode remembers.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tests.oracles.old_loops.episodes import (
    BEGUN,
    BORROW,
    CHOICES,
    COST,
    COST_SCALE,
    DEAD_BAND,
    DELAY,
    END,
    EQUITY,
    FEATURES,
    HOW_MANY,
    IS_DISCRETE,
    LAST,
    MAX_POSITION,
    MEAN,
    OVER,
    PEAK,
    PENDING,
    POTENTIAL,
    REFUSED,
    REWARD,
    ROW,
    RUINED,
    SHOWN,
    SQUARE,
    STATE,
    TARGET,
    TOLD_AT,
    WORTH,
    Floats,
    Reward,
    Rows,
    unowned,
)
from tests.oracles.old_loops.step import (
    ACCEPTED,
    ENTRY,
    FILL_SIZE,
    HELD,
    LAST_CLOSE,
    UNITS,
    WORKING,
    Bar,
    Terms,
    rests,
    trade,
)


@njit(cache=True, nogil=True, error_model="numpy")
def wished(action: float, held: float, numbers: Floats) -> float:
    """The target position that an action asks for; not a number where there is no such action."""
    if numbers[IS_DISCRETE] > 0.0:
        if not 0.0 <= action < numbers[HOW_MANY]:
            return np.nan
        return float(numbers[CHOICES + int(action)])
    if not np.isfinite(action):
        return np.nan
    wanted = min(max(action, -1.0), 1.0) * numbers[MAX_POSITION]
    return held if abs(wanted - held) < numbers[DEAD_BAND] * numbers[MAX_POSITION] else wanted


@njit(cache=True, nogil=True, error_model="numpy")
def step_one(memory: Floats, action: float, tape: Floats, numbers: Floats, seen: NDArray[np.float32]) -> float:
    """The first episode decides, lives through its next bar and looks: its reward; not a number where it is over or
    its action was refused, as `STATE` says (then the reward is `WORTH`)."""
    mine = unowned(memory)
    _step(mine, 0, action, unowned(tape), unowned(numbers), unowned(seen))
    return mine[0, WORTH] if mine[0, STATE] == 0.0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def step_all(memory: Floats, actions: Floats, tape: Floats, numbers: Floats, seen: NDArray[np.float32]) -> int:
    """Every episode that is not over does so; rewards and states are in `memory`.

    The number of episodes that are over or ruined now; -1 where an action was refused.
    """
    done = 0
    mine, rows, rules, looks = unowned(memory), unowned(tape), unowned(numbers), unowned(seen)
    for at in range(len(memory)):
        if memory[at, ROW] >= memory[at, END] or memory[at, EQUITY] <= 0.0:
            mine[at, WORTH] = 0.0
            continue
        _step(mine, at, actions[at], rows, rules, looks)
        if mine[at, STATE] == REFUSED:
            return -1
        done += mine[at, STATE] != 0.0
    return done


@njit(cache=True, nogil=True, error_model="numpy")
def _step(
    memory: Floats, at: int, action: float, tape: Floats, numbers: Floats, seen: NDArray[np.float32]
) -> None:  # fmt: skip
    target = wished(action, memory[at, TARGET], numbers)
    if not np.isfinite(target):
        memory[at, WORTH], memory[at, STATE] = 0.0, REFUSED
        return
    memory[at, WORTH] = advance(memory, at, target, tape, numbers)
    observe(memory, at, tape, numbers, seen)
    state = RUINED if memory[at, EQUITY] <= 0.0 else 0
    memory[at, STATE] = state | (OVER if memory[at, ROW] >= memory[at, END] else 0)


@njit(cache=True, nogil=True, error_model="numpy")
def look_all(memory: Floats, which: Rows, tape: Floats, numbers: Floats, seen: NDArray[np.float32]) -> None:
    """Writes what the chosen episodes see."""
    for at in which:
        observe(memory, at, tape, numbers, seen)


@njit(cache=True, nogil=True, error_model="numpy")
def _terms(n: Floats) -> Terms:
    return Terms(
        n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11], n[12], n[13], n[14], n[15], n[16],
        n[17], n[18],
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def advance(memory: Floats, at: int, target: float, tape: Floats, numbers: Floats) -> float:
    """The episode lives through its next bar with the target it has decided on: the reward.

    The same positions give the same equity as `engine.backtest.run` (tested to 1e-12).
    """
    row, delay = int(memory[at, ROW]) + 1, int(memory[at, DELAY])
    for lag in range(delay - 1, 0, -1):
        memory[at, PENDING + lag] = memory[at, PENDING + lag - 1]
    memory[at, PENDING] = memory[at, TARGET] = target
    decided = row - delay
    known = decided >= memory[at, BEGUN]
    wanted = memory[at, PENDING + delay - 1] if known else 0.0
    before = memory[at, EQUITY]
    gross = cost = funding = net = turned = 0.0
    opening, close = tape[row, 0], tape[row, 3]
    if before > 0.0:
        units = memory[at, UNITS]
        moved = units * (opening - memory[at, LAST_CLOSE]) if units != 0.0 else 0.0
        if tape[row, LAST] == 0.0 and rests(memory, at, wanted, before + moved, opening, tape[row, 1], _terms(numbers)):
            if units != 0.0:
                gross = units * (close - opening)
                funding = units * opening * tape[row, 7] + max(-units, 0.0) * opening * numbers[BORROW]
                memory[at, HELD] += 1.0
            memory[at, LAST_CLOSE] = close
        else:
            gross, cost, funding, turned = _trade(
                memory, at, wanted, before + moved, row, decided if known else -1, tape, numbers
            )
        share = 1.0 / before
        gross, cost, funding = (gross + moved) * share, cost * share, funding * share
        cost = cost * memory[at, COST_SCALE]  # drawn for the episode; 1 where nothing is randomised
        net = gross - cost - funding
        turned *= share
        if not net > -1.0 + 1e-12:
            gross, cost, funding, net = -1.0, 0.0, 0.0, -1.0
            memory[at, UNITS] = memory[at, ACCEPTED] = memory[at, WORKING] = memory[at, EQUITY] = 0.0
        else:
            memory[at, EQUITY] = before * (1.0 + net)
    worth = _reward(memory, at, net, turned, close, numbers)
    memory[at, COST] += cost
    memory[at, ROW] = row
    equity = memory[at, EQUITY]
    memory[at, TOLD_AT], memory[at, TOLD_AT + 1], memory[at, TOLD_AT + 2] = net, gross, cost
    memory[at, TOLD_AT + 3], memory[at, TOLD_AT + 4], memory[at, TOLD_AT + 6] = funding, equity, turned
    memory[at, TOLD_AT + 5] = memory[at, UNITS] * memory[at, LAST_CLOSE] / equity if equity > 0.0 else 0.0
    return worth


@njit(cache=True, nogil=True, error_model="numpy")
def _trade(
    memory: Floats, at: int, wanted: float, equity: float, row: int, decided: int, tape: Floats, numbers: Floats
) -> tuple[float, float, float, float]:  # fmt: skip
    """Profit from the open on, cost, funding and the value traded, in money; a function of its own, since its many
    variables would cost every bar that only holds."""
    fills, turned = np.empty((4, FILL_SIZE)), 0.0
    points = numbers[CHOICES + int(numbers[HOW_MANY]) :]
    book = points.reshape((2, len(points) // 2))
    bar = Bar(
        tape[row, 0], tape[row, 1], tape[row, 2], tape[row, 3], tape[row, 4], tape[decided, 5] if decided >= 0 else 0.0,
        tape[decided, 6] if decided >= 0 else 0.0, tape[row, 7],
    )  # fmt: skip
    gross, cost, funding, count = trade(
        memory, at, wanted, equity, bar, _terms(numbers), book, tape[row, LAST] > 0.0, fills, 0
    )
    for number in range(count):
        turned += abs(fills[number, 2]) * fills[number, 3]
    return gross, cost, funding, turned


@njit(cache=True, nogil=True, error_model="numpy")
def _reward(memory: Floats, at: int, net: float, turned: float, close: float, numbers: Floats) -> float:
    n, of = numbers, REWARD
    reward = Reward(
        n[of], n[of + 1], n[of + 2], n[of + 3], n[of + 4], n[of + 5], n[of + 6], n[of + 7]
    )  # fmt: skip
    earned = np.log(max(1.0 + net, 1e-6))
    if reward.is_differential > 0.0:
        mean, square = memory[at, MEAN], memory[at, SQUARE]
        variance = square - mean * mean
        step, step_square = net - mean, net * net - square
        worth = (square * step - 0.5 * mean * step_square) / variance**1.5 if variance > 1e-12 else 0.0
        # The first bars have no variance to speak of: bounded, else one of them would rule the rest.
        worth = min(max(worth, -10.0), 10.0)
        memory[at, MEAN] += reward.rate * step
        memory[at, SQUARE] += reward.rate * step_square
    else:
        worth = earned / reward.scale
    peak, equity = memory[at, PEAK], memory[at, EQUITY]
    fell = max(1.0 - equity / peak, 0.0) - max(1.0 - (equity / (1.0 + net) if net > -1.0 else peak) / peak, 0.0)
    memory[at, PEAK] = max(peak, equity)
    worth -= reward.downside * max(-earned, 0.0) / reward.scale
    worth -= reward.turnover * turned
    worth -= reward.drawdown * max(fell, 0.0) / reward.scale
    if reward.shaping > 0.0:
        potential = reward.shaping * unrealised(memory, at, close) / reward.scale
        worth += reward.discount * potential - memory[at, POTENTIAL]
        memory[at, POTENTIAL] = potential
    return worth


@njit(cache=True, nogil=True, error_model="numpy")
def unrealised(memory: Floats, at: int, close: float) -> float:
    """Profit of the open position since its entry, as a share of equity."""
    if memory[at, UNITS] == 0.0 or memory[at, EQUITY] <= 0.0:
        return 0.0
    return float(memory[at, UNITS] * (close - memory[at, ENTRY]) / memory[at, EQUITY])


@njit(cache=True, nogil=True, error_model="numpy")
def observe(memory: Floats, at: int, tape: Floats, numbers: Floats, seen: NDArray[np.float32]) -> None:
    """Writes what the episode sees: the features of its row, then `ACCOUNT_FEATURES` (`rules` has the units)."""
    row, width = int(memory[at, ROW]), tape.shape[1] - FEATURES
    equity, close, held = memory[at, EQUITY], tape[row, 3], memory[at, UNITS]
    shown = numbers  # from SHOWN on: 1 for what of the account is seen
    profit = 100.0 * unrealised(memory, at, close)
    seen[at, width] = shown[SHOWN] * held * close / equity if equity > 0.0 else 0.0
    seen[at, width + 1] = shown[SHOWN + 1] * np.sign(profit) * np.log1p(abs(profit))
    seen[at, width + 2] = shown[SHOWN + 2] * np.log1p(memory[at, HELD]) / 5.0 if held != 0.0 else 0.0
    seen[at, width + 3] = shown[SHOWN + 3] * 10.0 * max(1.0 - equity / memory[at, PEAK], 0.0)
    seen[at, width + 4] = shown[SHOWN + 4] * np.log1p(100.0 * memory[at, COST])
    # Last: after a loop in wide registers the logarithms above would take several times as long.
    for place in range(width):
        seen[at, place] = tape[row, FEATURES + place]
