"""What an episode remembers, how it begins, and the rules as plain numbers, as the kernels of `stepping` read them."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tradewind.adaptive.rl.rules import SEEN, EnvironmentRules, RewardRules
from tradewind.trading.engine.account import DECISION_SIZE, SYMBOL_SIZE
from tradewind.trading.engine.step import LAST_CLOSE, TradingSchedule

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

# What an episode remembers. First the engine's state of the symbol (`account.SYMBOL_SIZE`); then equity, its peak, the
# mean and mean square of returns, cost so far, the scale of its costs, the potential of the last bar, and how many bars
# later a decision is filled; then the row whose close is known, the first and the last one, the target held, the last
# reward, and whether the episode is over (`RUINED`, `OVER`) or its action was none (`REFUSED`).
EQUITY, PEAK, MEAN, SQUARE, COST, COST_SCALE, POTENTIAL, DELAY = range(SYMBOL_SIZE, SYMBOL_SIZE + 8)
ROW, BEGUN, END, TARGET, WORTH, STATE = range(SYMBOL_SIZE + 8, SYMBOL_SIZE + 14)
# What the last step told of the account, as shares of the equity before the bar; then the decisions that are not yet
# due, kept by `account.decide`.
TOLD = ("net", "gross", "cost", "funding", "equity", "position", "turnover")
TOLD_AT = SYMBOL_SIZE + 14
PENDING = TOLD_AT + len(TOLD)
# A row of the tape: the bar in the order of `engine.step.Bar`, and the features.
FEATURES = 8
RUINED, OVER, REFUSED = 1, 2, 4


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

    @classmethod
    def made(cls, rules: RewardRules, discount: float) -> "Reward":
        """From the rules; the discount is that of the shaping's potential."""
        return cls(
            is_differential=float(rules.base == "differential_sharpe"), scale=rules.scale, rate=1 / rules.memory_bars,
            downside=rules.downside_weight, turnover=rules.turnover_weight, drawdown=rules.drawdown_weight,
            shaping=rules.shaping_weight, discount=discount,
        )  # fmt: skip


# The rules by name: `numbers` of `packed` begins with them, and kernels read `numbers[:CHOICES].view(RULES)[0]`; the
# targets that there are to choose from and the measured book follow.
_NAMES = (
    *TradingSchedule._fields, *Reward._fields, "is_discrete", "max_position", "dead_band", "n_targets",
    *(f"shows_{name}" for name in SEEN),
)  # fmt: skip
RULES = np.dtype([(name, np.float64) for name in _NAMES])
CHOICES = len(_NAMES)


def packed(schedule: TradingSchedule, book: Floats, reward: Reward, rules: EnvironmentRules) -> Floats:
    """Costs, order rules, reward, actions, what of the account is shown and the measured book, in one array: each more
    that a kernel is handed costs it as much as the arithmetic of a bar."""
    actions = [float(rules.actions == "discrete"), rules.max_position, rules.dead_band, len(rules.targets)]
    shown = [float(name in rules.account) for name in SEEN]
    return np.array([*schedule, *reward, *actions, *shown, *rules.targets, *book.reshape(-1)], dtype=np.float64)


def make_memory(count: int, longest_delay: int) -> Floats:
    """`count` episodes that have not begun; a decision is due at most `longest_delay` bars later."""
    return np.zeros((count, PENDING + DECISION_SIZE * longest_delay))


@njit(cache=True, nogil=True, error_model="numpy")
def begin(memory: Floats, at: int, first: int, end: int, close: float, cost_scale: float, delay: int) -> None:
    """Episode `at` begins at the close of row `first`, flat, with an equity of 1, and is over at row `end`."""
    memory[at] = 0.0
    memory[at, LAST_CLOSE] = close  # where a resting order waits
    memory[at, EQUITY] = memory[at, PEAK] = 1.0
    memory[at, COST_SCALE], memory[at, DELAY] = cost_scale, delay
    memory[at, ROW] = memory[at, BEGUN] = first
    memory[at, END] = end


@njit(cache=True, nogil=True, error_model="numpy")
def restart(
    memory: Floats, which: Rows, draws: Floats, runs: Rows, share: Floats, tape: Floats, most_bars: int,
    costs: tuple[float, float], delays: tuple[int, int],
) -> None:  # fmt: skip
    """The chosen episodes anew, from bars that `draws` (episodes, 4; uniform) say.

    Runs are drawn by their length (`share` is its running sum), so that every bar is as likely to be seen; `costs` are
    their level and by how much of it they are spread, `delays` the shortest and how many bars more there may be.
    """
    for number in range(len(which)):
        run = min(np.searchsorted(share, draws[number, 0], side="right"), len(runs) - 1)
        first, end = runs[run]
        latest = max(end - most_bars, first)
        row = first + int(draws[number, 1] * (latest - first + 1))
        scale = costs[0] * (1.0 + costs[1] * (2.0 * draws[number, 2] - 1.0))
        delay = delays[0] + int(draws[number, 3] * (delays[1] + 1))
        begin(memory, which[number], row, min(row + most_bars, end), tape[row, 3], scale, delay)
