"""The state of an episode, how it begins, and the rules as plain numbers, as the kernels of `stepping` read them."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tradewind.adaptive.rl.rules import ACCOUNT_FEATURES, EnvironmentRules, RewardRules
from tradewind.trading.engine.account import DECISION_SIZE, SYMBOL_SIZE
from tradewind.trading.engine.step import LAST_CLOSE, TradingSchedule

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

# The state of an episode. First the engine's state of the symbol (`account.SYMBOL_SIZE`); then equity, its peak, the
# mean and mean square of returns, cost so far, the scale of its costs, the potential of the last bar, and how many bars
# later a decision is filled; then the row whose close is known, the first and the last one, the target held, the last
# reward, and the flags of the last step (`TERMINATED`: ruined, `TRUNCATED`: the last bar, `INVALID_ACTION`).
EQUITY, PEAK, MEAN, SQUARE, COST, COST_SCALE, POTENTIAL, DELAY = range(SYMBOL_SIZE, SYMBOL_SIZE + 8)
ROW, START, END, TARGET, REWARD, DONE = range(SYMBOL_SIZE + 8, SYMBOL_SIZE + 14)
# The account over the last bar, as shares of the equity before it; then the decisions that are not yet due, kept by
# `account.decide`.
STEP_FIELDS = ("net", "gross", "cost", "funding", "equity", "position", "turnover")
STEP_AT = SYMBOL_SIZE + 14
PENDING = STEP_AT + len(STEP_FIELDS)
# A row of `market_rows`: the bar in the order of `engine.step.Bar`, and the features.
FEATURES = 8
TERMINATED, TRUNCATED, INVALID_ACTION = 1, 2, 4


class Reward(NamedTuple):
    """`rules.RewardRules` as numbers."""

    is_differential: float
    scale: float
    rate: float
    downside: float
    turnover: float
    drawdown: float
    shaping: float
    gamma: float

    @classmethod
    def from_rules(cls, rules: RewardRules, gamma: float) -> "Reward":
        """From the rules; `gamma` discounts the shaping's potential."""
        return cls(
            is_differential=float(rules.base == "differential_sharpe"), scale=rules.scale, rate=1 / rules.memory_bars,
            downside=rules.downside_weight, turnover=rules.turnover_weight, drawdown=rules.drawdown_weight,
            shaping=rules.shaping_weight, gamma=gamma,
        )  # fmt: skip


# The rules by name: `settings` of `pack_parameters` begins with them, and kernels read
# `settings[:TARGETS_AT].view(RULES_DTYPE)[0]`; the targets of discrete actions and the measured book follow.
_NAMES = (
    *TradingSchedule._fields, *Reward._fields, "is_discrete", "max_position", "dead_band", "n_targets",
    *(f"shows_{name}" for name in ACCOUNT_FEATURES),
)  # fmt: skip
RULES_DTYPE = np.dtype([(name, np.float64) for name in _NAMES])
TARGETS_AT = len(_NAMES)


def pack_parameters(schedule: TradingSchedule, book: Floats, reward: Reward, rules: EnvironmentRules) -> Floats:
    """The settings of the kernels in one array: each further argument costs a call as much as the arithmetic of a bar.

    Args:
        schedule: costs and order rules.
        book: the measured order book, shape (2, points).
        reward: the reward rules as numbers.
        rules: actions, and which account features are shown.

    Returns:
        Shape (rules + targets + 2 * points,): the rules in the order of `RULES_DTYPE`, the targets, the book.
    """
    actions = [float(rules.actions == "discrete"), rules.max_position, rules.dead_band, len(rules.targets)]
    shown = [float(name in rules.account) for name in ACCOUNT_FEATURES]
    return np.array([*schedule, *reward, *actions, *shown, *rules.targets, *book.reshape(-1)], dtype=np.float64)


def make_states(count: int, longest_delay: int) -> Floats:
    """`count` episodes that have not begun; a decision is due at most `longest_delay` bars later."""
    return np.zeros((count, PENDING + DECISION_SIZE * longest_delay))


@njit(cache=True, nogil=True, error_model="numpy")
def begin(states: Floats, at: int, first: int, end: int, close: float, cost_scale: float, delay: int) -> None:
    """Begins episode `at` at the close of row `first`, flat, with an equity of 1.

    Args:
        states: shape (episodes, state size), written.
        at: the episode's row in `states`.
        first: the market's row at whose close it begins.
        end: the market's row at which it ends.
        close: the close of row `first`.
        cost_scale: the multiple of the run's costs.
        delay: bars from a decision to its fill.
    """
    states[at] = 0.0
    states[at, LAST_CLOSE] = close  # where a resting order waits
    states[at, EQUITY] = states[at, PEAK] = 1.0
    states[at, COST_SCALE], states[at, DELAY] = cost_scale, delay
    states[at, ROW] = states[at, START] = first
    states[at, END] = end


@njit(cache=True, nogil=True, error_model="numpy")
def restart(
    states: Floats, episodes: Rows, draws: Floats, runs: Rows, share: Floats, market_rows: Floats, most_bars: int,
    costs: tuple[float, float], delays: tuple[int, int],
) -> None:  # fmt: skip
    """Begins the chosen episodes anew at random bars. Runs are drawn by their length, so that every bar is as likely.

    Args:
        states: shape (episodes, state size), written.
        episodes: rows of `states` to begin anew.
        draws: shape (len(episodes), 4), uniform in [0, 1): run, bar, costs, delay.
        runs: shape (runs, 2), first and last row of each.
        share: shape (runs,), running sum of the runs' lengths as shares of the whole.
        market_rows: shape (rows, 8 + features), `TradingMarket.market_rows`.
        most_bars: the longest an episode may last.
        costs: the multiple of the run's costs, and by how much of it they are spread.
        delays: the shortest delay in bars, and how many bars more there may be.
    """
    for number in range(len(episodes)):
        run = min(np.searchsorted(share, draws[number, 0], side="right"), len(runs) - 1)
        first, end = runs[run]
        latest = max(end - most_bars, first)
        row = first + int(draws[number, 1] * (latest - first + 1))
        scale = costs[0] * (1.0 + costs[1] * (2.0 * draws[number, 2] - 1.0))
        delay = delays[0] + int(draws[number, 3] * (delays[1] + 1))
        begin(states, episodes[number], row, min(row + most_bars, end), market_rows[row, 3], scale, delay)
