"""Many episodes stepped in one call: the account of each by `engine.step.trade`, its reward beside it.

Kernels are handed plain arrays alone: a tuple of numbers costs the call more than the bar does. `numbers` are those of
`packed`, `tape` is `TradingMarket.tape`, and a row of `memory` is all that an episode remembers.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tradewind.adaptive.rl.episodes import (
    CHOICES,
    COST,
    COST_SCALE,
    DELAY,
    END,
    EQUITY,
    FEATURES,
    MEAN,
    OVER,
    PEAK,
    POTENTIAL,
    REFUSED,
    ROW,
    RUINED,
    RULES,
    SQUARE,
    STATE,
    TARGET,
    TOLD_AT,
    WORTH,
    Floats,
    Rows,
)
from tradewind.trading.engine.account import CLOSE, USUAL_VOLUME, VOLATILITY, decide, live_bar, share_of
from tradewind.trading.engine.step import ENTRY, FILL_SIZE, HELD, MOST_FILLS, UNITS

# An episode stays within one segment: no bar of it comes after a gap.
ONE_SEGMENT = np.zeros((1, 1), dtype=np.int32)


@njit(cache=True, nogil=True, error_model="numpy")
def wished(action: float, held: float, numbers: Floats) -> float:
    """The target position that an action asks for; not a number where there is no such action."""
    rules = numbers[:CHOICES].view(RULES)[0]
    if rules.is_discrete > 0.0:
        if not 0.0 <= action < rules.n_targets:
            return np.nan
        return float(numbers[CHOICES + int(action)])
    if not np.isfinite(action):
        return np.nan
    wanted = min(max(action, -1.0), 1.0) * rules.max_position
    return held if abs(wanted - held) < rules.dead_band * rules.max_position else wanted


@njit(cache=True, nogil=True, error_model="numpy")
def step_one(memory: Floats, action: float, tape: Floats, numbers: Floats, seen: NDArray[np.float32]) -> float:
    """The first episode decides, lives through its next bar and looks: its reward; not a number where it is over or
    its action was refused, as `STATE` says (then the reward is `WORTH`)."""
    fills = np.empty((MOST_FILLS, FILL_SIZE))
    _step(memory, 0, action, tape, numbers, seen, fills)
    return float(memory[0, WORTH]) if memory[0, STATE] == 0.0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def step_all(memory: Floats, actions: Floats, tape: Floats, numbers: Floats, seen: NDArray[np.float32]) -> int:
    """Every episode that is not over does so; rewards and states are in `memory`.

    The number of episodes that are over or ruined now; -1 where an action was refused.
    """
    done, fills = 0, np.empty((MOST_FILLS, FILL_SIZE))
    for at in range(len(memory)):
        if memory[at, ROW] >= memory[at, END] or memory[at, EQUITY] <= 0.0:
            memory[at, WORTH] = 0.0
            continue
        _step(memory, at, actions[at], tape, numbers, seen, fills)
        if memory[at, STATE] == REFUSED:
            return -1
        done += memory[at, STATE] != 0.0
    return done


@njit(cache=True, nogil=True, error_model="numpy")
def _step(
    memory: Floats, at: int, action: float, tape: Floats, numbers: Floats, seen: NDArray[np.float32], fills: Floats
) -> None:  # fmt: skip
    target = wished(action, memory[at, TARGET], numbers)
    if not np.isfinite(target):
        memory[at, WORTH], memory[at, STATE] = 0.0, REFUSED
        return
    memory[at, WORTH] = advance(memory, at, target, tape, numbers, fills)
    observe(memory, at, tape, numbers, seen)
    state = RUINED if memory[at, EQUITY] <= 0.0 else 0
    memory[at, STATE] = state | (OVER if memory[at, ROW] >= memory[at, END] else 0)


@njit(cache=True, nogil=True, error_model="numpy")
def look_all(memory: Floats, which: Rows, tape: Floats, numbers: Floats, seen: NDArray[np.float32]) -> None:
    """Writes what the chosen episodes see."""
    for at in which:
        observe(memory, at, tape, numbers, seen)


@njit(cache=True, nogil=True, error_model="numpy")
def advance(memory: Floats, at: int, target: float, tape: Floats, numbers: Floats, fills: Floats) -> float:
    """The episode lives through its next bar with the target it has decided on: the reward.

    The same positions give the same equity as `engine.backtest.run` (tested to 1e-12).
    """
    row, delay, before = int(memory[at, ROW]), int(memory[at, DELAY]), memory[at, EQUITY]
    points = numbers[CHOICES + int(numbers[:CHOICES].view(RULES)[0].n_targets) :]
    memory[at, TARGET] = target
    decide(memory, at, target, tape[row, VOLATILITY], tape[row, USUAL_VOLUME], delay)
    row += 1
    bar = live_bar(
        memory[at : at + 1], tape.reshape((len(tape), 1, tape.shape[1])), ONE_SEGMENT, delay, before,
        memory[at, COST_SCALE], numbers[:CHOICES].view(RULES)[0],
        points.reshape((2, len(points) // 2)), fills, 0, row, 0, row,
    )  # fmt: skip
    memory[at, EQUITY] = bar.equity
    worth = _reward(memory, at, bar.net, bar.traded, tape[row, CLOSE], numbers)
    memory[at, COST] += bar.cost
    memory[at, ROW] = row
    memory[at, TOLD_AT], memory[at, TOLD_AT + 1], memory[at, TOLD_AT + 2] = bar.net, bar.gross, bar.cost
    memory[at, TOLD_AT + 3], memory[at, TOLD_AT + 4], memory[at, TOLD_AT + 6] = bar.funding, bar.equity, bar.traded
    memory[at, TOLD_AT + 5] = share_of(memory, at, bar.equity)
    return worth


@njit(cache=True, nogil=True, error_model="numpy")
def _reward(memory: Floats, at: int, net: float, turned: float, close: float, numbers: Floats) -> float:
    reward = numbers[:CHOICES].view(RULES)[0]
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
    """Writes what the episode sees: the features of its row, and then `SEEN` of its account (`rules` has the units)."""
    row, width = int(memory[at, ROW]), tape.shape[1] - FEATURES
    equity, close, held = memory[at, EQUITY], tape[row, 3], memory[at, UNITS]
    rules = numbers[:CHOICES].view(RULES)[0]
    profit = 100.0 * unrealised(memory, at, close)
    seen[at, width] = rules.shows_position * held * close / equity if equity > 0.0 else 0.0
    seen[at, width + 1] = rules.shows_unrealised_profit * np.sign(profit) * np.log1p(abs(profit))
    seen[at, width + 2] = rules.shows_time_in_trade * np.log1p(memory[at, HELD]) / 5.0 if held != 0.0 else 0.0
    seen[at, width + 3] = rules.shows_drawdown * 10.0 * max(1.0 - equity / memory[at, PEAK], 0.0)
    seen[at, width + 4] = rules.shows_cost_so_far * np.log1p(100.0 * memory[at, COST])
    # Last: after a loop in wide registers the logarithms above would take several times as long.
    for place in range(width):
        seen[at, place] = tape[row, FEATURES + place]
