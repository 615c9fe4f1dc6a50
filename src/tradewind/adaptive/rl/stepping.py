"""Many episodes stepped in one call: the account of each by `engine.step.trade`, its reward beside it.

Kernels take plain arrays: passing a tuple of numbers costs the call more than the bar does. `settings` are those of
`pack_parameters`, and a row of `states` is the whole state of an episode.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tradewind.adaptive.rl.episodes import (
    COST,
    COST_SCALE,
    DELAY,
    DONE,
    END,
    EQUITY,
    FEATURES,
    INVALID_ACTION,
    MEAN,
    PEAK,
    POTENTIAL,
    REWARD,
    ROW,
    RULES_DTYPE,
    SQUARE,
    STEP_AT,
    TARGET,
    TARGETS_AT,
    TERMINATED,
    TRUNCATED,
    Floats,
    Rows,
)
from tradewind.trading.engine.account import CLOSE, USUAL_VOLUME, VOLATILITY, decide, share_of, step_bar
from tradewind.trading.engine.step import ENTRY, FILL_SIZE, HELD, MOST_FILLS, UNITS, in_place, one_bar

# An episode stays within one segment: no bar of it comes after a gap.
ONE_SEGMENT = np.zeros((1, 1), dtype=np.int32)


@in_place
def action_to_target(action: float, held: float, settings: Floats) -> float:
    """The target position of an action; NaN where the action is invalid.

    Args:
        action: an index of the targets, or a position in [-1, 1].
        held: the present target, a share of equity.
        settings: of `pack_parameters`.
    """
    rules = settings[:TARGETS_AT].view(RULES_DTYPE)[0]
    if rules.is_discrete > 0.0:
        if not 0.0 <= action < rules.n_targets:
            return np.nan
        return float(settings[TARGETS_AT + int(action)])
    if not np.isfinite(action):
        return np.nan
    wanted = min(max(action, -1.0), 1.0) * rules.max_position
    return held if abs(wanted - held) < rules.dead_band * rules.max_position else wanted


@njit(cache=True, nogil=True, error_model="numpy")
def step_one(
    states: Floats, action: float, market: Floats, settings: Floats, observations: NDArray[np.float32]
) -> float:
    """Steps the first episode by one bar: its reward, or NaN where the episode has ended or the action is invalid.

    Args:
        states: shape (episodes, state size), written: `DONE` has the flags, `REWARD` the reward.
        action: an index of the targets, or a position in [-1, 1].
        market: shape (rows, 8 + features), `TradingMarket.market_rows`.
        settings: of `pack_parameters`.
        observations: shape (episodes, features + account), written.
    """
    fills = np.empty((MOST_FILLS, FILL_SIZE))
    _step(states, 0, action, market, settings, observations, fills)
    return float(states[0, REWARD]) if states[0, DONE] == 0.0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def step_all(
    states: Floats, actions: Floats, market: Floats, settings: Floats, observations: NDArray[np.float32]
) -> int:
    """Steps every episode that has not ended; the number that ended in this bar, -1 where an action is invalid.

    Args:
        states: shape (episodes, state size), written: `DONE` has the flags, `REWARD` the rewards.
        actions: shape (episodes,), indices of the targets or positions in [-1, 1].
        market: shape (rows, 8 + features), `TradingMarket.market_rows`.
        settings: of `pack_parameters`.
        observations: shape (episodes, features + account), written.
    """
    done, fills = 0, np.empty((MOST_FILLS, FILL_SIZE))
    for at in range(len(states)):
        if states[at, ROW] >= states[at, END] or states[at, EQUITY] <= 0.0:
            states[at, REWARD] = 0.0
            continue
        _step(states, at, actions[at], market, settings, observations, fills)
        if states[at, DONE] == INVALID_ACTION:
            return -1
        done += states[at, DONE] != 0.0
    return done


@one_bar
def _step(
    states: Floats, at: int, action: float, market: Floats, settings: Floats, observations: NDArray[np.float32],
    fills: Floats,
) -> None:  # fmt: skip
    target = action_to_target(action, states[at, TARGET], settings)
    if not np.isfinite(target):
        states[at, REWARD], states[at, DONE] = 0.0, INVALID_ACTION
        return
    states[at, REWARD] = advance(states, at, target, market, settings, fills)
    observe(states, at, market, settings, observations)
    flags = TERMINATED if states[at, EQUITY] <= 0.0 else 0
    states[at, DONE] = flags | (TRUNCATED if states[at, ROW] >= states[at, END] else 0)


@njit(cache=True, nogil=True, error_model="numpy")
def observe_all(
    states: Floats, episodes: Rows, market: Floats, settings: Floats, observations: NDArray[np.float32]
) -> None:
    """Writes the observations of the chosen episodes.

    Args:
        states: shape (episodes, state size).
        episodes: their rows in `states`.
        market: shape (rows, 8 + features), `TradingMarket.market_rows`.
        settings: of `pack_parameters`.
        observations: shape (episodes, features + account), written.
    """
    for at in episodes:
        observe(states, at, market, settings, observations)


@in_place
def advance(states: Floats, at: int, target: float, market: Floats, settings: Floats, fills: Floats) -> float:
    """Steps the account of one episode over its next bar with the target decided: the reward.

    The same positions give the same equity as `engine.backtest.run` (tested to 1e-12).

    Args:
        states: shape (episodes, state size), written.
        at: the episode's row in `states`.
        target: the position decided on at the present bar's close, a share of equity.
        market: shape (rows, 8 + features), `TradingMarket.market_rows`.
        settings: of `pack_parameters`.
        fills: shape (MOST_FILLS, FILL_SIZE), room for the bar's fills.
    """
    row, delay, before = int(states[at, ROW]), int(states[at, DELAY]), states[at, EQUITY]
    points = settings[TARGETS_AT + int(settings[:TARGETS_AT].view(RULES_DTYPE)[0].n_targets) :]
    states[at, TARGET] = target
    decide(states, at, target, market[row, VOLATILITY], market[row, USUAL_VOLUME], delay)
    row += 1
    bar = step_bar(
        states[at : at + 1], market.reshape((len(market), 1, market.shape[1])), ONE_SEGMENT, delay, before,
        states[at, COST_SCALE], settings[:TARGETS_AT].view(RULES_DTYPE)[0],
        points.reshape((2, len(points) // 2)), fills, 0, row, 0, row,
    )  # fmt: skip
    states[at, EQUITY] = bar.equity
    reward = _reward(states, at, bar.net, bar.traded, market[row, CLOSE], settings)
    states[at, COST] += bar.cost
    states[at, ROW] = row
    states[at, STEP_AT], states[at, STEP_AT + 1], states[at, STEP_AT + 2] = bar.net, bar.gross, bar.cost
    states[at, STEP_AT + 3], states[at, STEP_AT + 4], states[at, STEP_AT + 6] = bar.funding, bar.equity, bar.traded
    states[at, STEP_AT + 5] = share_of(states, at, bar.equity)
    return reward


@in_place
def _reward(states: Floats, at: int, net: float, turned: float, close: float, settings: Floats) -> float:
    rules = settings[:TARGETS_AT].view(RULES_DTYPE)[0]
    earned = np.log(max(1.0 + net, 1e-6))
    if rules.is_differential > 0.0:
        mean, square = states[at, MEAN], states[at, SQUARE]
        variance = square - mean * mean
        step, step_square = net - mean, net * net - square
        reward = (square * step - 0.5 * mean * step_square) / variance**1.5 if variance > 1e-12 else 0.0
        # The first bars have no variance to speak of: bounded, else one of them would rule the rest.
        reward = min(max(reward, -10.0), 10.0)
        states[at, MEAN] += rules.rate * step
        states[at, SQUARE] += rules.rate * step_square
    else:
        reward = earned / rules.scale
    peak, equity = states[at, PEAK], states[at, EQUITY]
    fell = max(1.0 - equity / peak, 0.0) - max(1.0 - (equity / (1.0 + net) if net > -1.0 else peak) / peak, 0.0)
    states[at, PEAK] = max(peak, equity)
    reward -= rules.downside * max(-earned, 0.0) / rules.scale
    reward -= rules.turnover * turned
    reward -= rules.drawdown * max(fell, 0.0) / rules.scale
    if rules.shaping > 0.0:
        potential = rules.shaping * unrealised(states, at, close) / rules.scale
        reward += rules.gamma * potential - states[at, POTENTIAL]
        states[at, POTENTIAL] = potential
    return reward


@in_place
def unrealised(states: Floats, at: int, close: float) -> float:
    """Profit of the open position since its entry, as a share of equity.

    Args:
        states: shape (episodes, state size).
        at: the episode's row in `states`.
        close: the bar's close.
    """
    if states[at, UNITS] == 0.0 or states[at, EQUITY] <= 0.0:
        return 0.0
    return float(states[at, UNITS] * (close - states[at, ENTRY]) / states[at, EQUITY])


@in_place
def observe(states: Floats, at: int, market: Floats, settings: Floats, observations: NDArray[np.float32]) -> None:
    """Writes one episode's observation: the features of its row, then `ACCOUNT_FEATURES` (`rules` has the units).

    Args:
        states: shape (episodes, state size).
        at: the episode's row in `states`.
        market: shape (rows, 8 + features), `TradingMarket.market_rows`.
        settings: of `pack_parameters`.
        observations: shape (episodes, features + account), written at row `at`.
    """
    row, width = int(states[at, ROW]), market.shape[1] - FEATURES
    equity, close, held = states[at, EQUITY], market[row, 3], states[at, UNITS]
    rules = settings[:TARGETS_AT].view(RULES_DTYPE)[0]
    profit = 100.0 * unrealised(states, at, close)
    observations[at, width] = rules.shows_position * held * close / equity if equity > 0.0 else 0.0
    observations[at, width + 1] = rules.shows_unrealised_profit * np.sign(profit) * np.log1p(abs(profit))
    observations[at, width + 2] = rules.shows_time_in_trade * np.log1p(states[at, HELD]) / 5.0 if held != 0.0 else 0.0
    observations[at, width + 3] = rules.shows_drawdown * 10.0 * max(1.0 - equity / states[at, PEAK], 0.0)
    observations[at, width + 4] = rules.shows_cost_so_far * np.log1p(100.0 * states[at, COST])
    # Last: after a loop in wide registers the logarithms above would take several times as long.
    for place in range(width):
        observations[at, place] = market[row, FEATURES + place]
