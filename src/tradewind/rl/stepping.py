"""Many episodes stepped in one call: the account of each by `engine.step.trade`, its reward beside it."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tradewind.engine.step import ENTRY, FILL_SIZE, HELD, LAST_CLOSE, STATE_SIZE, UNITS, Bar, Terms, trade

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

# What an episode remembers: equity, its peak, the mean and mean square of returns, cost so far, the scale of its
# costs, and the potential of the last bar.
EQUITY, PEAK, MEAN, SQUARE, COST, COST_SCALE, POTENTIAL = range(7)
ACCOUNT_SIZE = 7
# What a step tells of the account, as shares of the equity before the bar.
TOLD = ("net", "gross", "cost", "funding", "equity", "position", "turnover")
SEEN = ("position", "unrealised_profit", "time_in_trade", "drawdown", "cost_so_far")


class Reward(NamedTuple):
    """`rules.RewardRules` as numbers."""

    is_differential: float
    scale: float
    rate: float
    downside: float
    turnover: float
    drawdown: float
    shaping: float
    discount: float


class Episodes(NamedTuple):
    """The state of every episode: `rows` the bar whose close is known, `begun` its first, `states` the engine's,
    `accounts` the episode's own, `pending` the decided targets that are not yet due, the newest first."""

    rows: Rows
    begun: Rows
    states: Floats
    accounts: Floats
    pending: Floats


def make_episodes(count: int, delay: int) -> Episodes:
    """`count` episodes that have not begun; a decision is due `delay` bars later."""
    return Episodes(
        np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64), np.zeros((count, STATE_SIZE)),
        np.zeros((count, ACCOUNT_SIZE)), np.zeros((count, delay)),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def begin(episodes: Episodes, at: int, row: int, close: float, cost_scale: float) -> None:
    """Episode `at` begins at the close of `row`, flat, with an equity of 1."""
    episodes.rows[at] = episodes.begun[at] = row
    episodes.states[at] = 0.0
    episodes.states[at, LAST_CLOSE] = close  # where a resting order waits
    episodes.accounts[at] = 0.0
    episodes.accounts[at, EQUITY] = episodes.accounts[at, PEAK] = 1.0
    episodes.accounts[at, COST_SCALE] = cost_scale
    episodes.pending[at] = 0.0


@njit(cache=True, nogil=True)
def advance(
    episodes: Episodes, targets: Floats, bars: Floats, last: NDArray[np.bool_], terms: Terms, book: Floats,
    reward: Reward, rewards: Floats, told: Floats,
) -> None:  # fmt: skip
    """Every episode lives through its next bar with the target it has decided on.

    `bars` has the shape (8, rows), in the order of `step.Bar`; `last` is True on the last bar of a segment, where the
    position is closed. Writes a reward an episode, and a row of `TOLD`. The same positions give the same equity as
    `engine.backtest.run` (tested to 1e-12).
    """
    fills = np.empty((4, FILL_SIZE))
    delay = episodes.pending.shape[1]
    for at in range(len(targets)):
        row = episodes.rows[at] + 1
        for lag in range(delay - 1, 0, -1):
            episodes.pending[at, lag] = episodes.pending[at, lag - 1]
        episodes.pending[at, 0] = targets[at]
        decided = row - delay
        known = decided >= episodes.begun[at]
        wanted = episodes.pending[at, delay - 1] if known else 0.0
        account, states = episodes.accounts[at], episodes.states[at : at + 1]
        before = account[EQUITY]
        gross = cost = funding = net = turned = 0.0
        if before > 0.0:
            moved = states[0, UNITS] * (bars[0, row] - states[0, LAST_CLOSE]) if states[0, UNITS] != 0.0 else 0.0
            bar = Bar(
                bars[0, row], bars[1, row], bars[2, row], bars[3, row], bars[4, row],
                bars[5, decided] if known else 0.0, bars[6, decided] if known else 0.0, bars[7, row],
            )  # fmt: skip
            one_gross, one_cost, one_funding, count = trade(
                states, 0, wanted, before + moved, bar, terms, book, last[row], fills, 0
            )
            for number in range(count):
                turned += abs(fills[number, 2]) * fills[number, 3]
            share = 1.0 / before
            gross, cost, funding = (one_gross + moved) * share, one_cost * share, one_funding * share
            cost = cost * account[COST_SCALE]  # drawn for the episode; 1 where nothing is randomised
            net = gross - cost - funding
            turned *= share
            if not net > -1.0 + 1e-12:
                gross, cost, funding, net = -1.0, 0.0, 0.0, -1.0
                states[0, :3] = 0.0
                account[EQUITY] = 0.0
            else:
                account[EQUITY] = before * (1.0 + net)
        rewards[at] = _reward(account, states, net, turned, bars[3, row], reward)
        account[COST] += cost
        episodes.rows[at] = row
        equity = account[EQUITY]
        told[at, 0], told[at, 1], told[at, 2], told[at, 3], told[at, 4] = net, gross, cost, funding, equity
        told[at, 5] = states[0, UNITS] * states[0, LAST_CLOSE] / equity if equity > 0.0 else 0.0
        told[at, 6] = turned


@njit(cache=True, nogil=True)
def _reward(account: Floats, states: Floats, net: float, turned: float, close: float, reward: Reward) -> float:
    earned = np.log(max(1.0 + net, 1e-6))
    if reward.is_differential > 0.0:
        mean, square = account[MEAN], account[SQUARE]
        variance = square - mean * mean
        step, step_square = net - mean, net * net - square
        worth = (square * step - 0.5 * mean * step_square) / variance**1.5 if variance > 1e-12 else 0.0
        # The first bars have no variance to speak of: bounded, else one of them would rule the rest.
        worth = min(max(worth, -10.0), 10.0)
        account[MEAN] += reward.rate * step
        account[SQUARE] += reward.rate * step_square
    else:
        worth = earned / reward.scale
    peak, equity = account[PEAK], account[EQUITY]
    fell = max(1.0 - equity / peak, 0.0) - max(1.0 - (equity / (1.0 + net) if net > -1.0 else peak) / peak, 0.0)
    account[PEAK] = max(peak, equity)
    worth -= reward.downside * max(-earned, 0.0) / reward.scale
    worth -= reward.turnover * turned
    worth -= reward.drawdown * max(fell, 0.0) / reward.scale
    if reward.shaping > 0.0:
        potential = reward.shaping * unrealised(states, close, equity) / reward.scale
        worth += reward.discount * potential - account[POTENTIAL]
        account[POTENTIAL] = potential
    return worth


@njit(cache=True, nogil=True)
def unrealised(states: Floats, close: float, equity: float) -> float:
    """Profit of the open position since its entry, as a share of equity."""
    if states[0, UNITS] == 0.0 or equity <= 0.0:
        return 0.0
    return float(states[0, UNITS] * (close - states[0, ENTRY]) / equity)


@njit(cache=True, nogil=True)
def observe(episodes: Episodes, bars: Floats, features: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Writes what each episode sees: the features of its row, and then `SEEN` of its account.

    position: of the equity; unrealised_profit: log(1 + per cent of the equity), with its sign; time_in_trade: log(1 +
    bars held) / 5; drawdown: from the episode's peak, times ten; cost_so_far: log(1 + per cent of equity).
    """
    width = features.shape[1]
    for at in range(len(episodes.rows)):
        row = episodes.rows[at]
        account, states = episodes.accounts[at], episodes.states[at : at + 1]
        out[at, :width] = features[row]
        equity, close = account[EQUITY], bars[3, row]
        held = states[0, UNITS]
        out[at, width] = held * close / equity if equity > 0.0 else 0.0
        profit = 100.0 * unrealised(states, close, equity)
        out[at, width + 1] = np.sign(profit) * np.log1p(abs(profit))
        out[at, width + 2] = np.log1p(states[0, HELD]) / 5.0 if held != 0.0 else 0.0
        out[at, width + 3] = 10.0 * max(1.0 - equity / account[PEAK], 0.0)
        out[at, width + 4] = np.log1p(100.0 * account[COST])
