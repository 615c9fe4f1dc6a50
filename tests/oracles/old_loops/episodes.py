"""What an episode remembers, how it begins, and the rules as plain numbers, as the kernels of `stepping` read them."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from tests.oracles.old_loops.step import LAST_CLOSE, Terms
from tradewind.adaptive.rl.rules import ACCOUNT_FEATURES, EnvironmentRules, RewardRules

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

# What an episode remembers. First the engine's state of the symbol (six numbers); then equity, its peak, the mean and
# mean square of returns, cost so far, the scale of its costs, the potential of the last bar, and how many bars later a
# decision is filled; then the row whose close is known, the first and the last one, the target held, the
# last reward, and whether the episode is over (`RUINED`, `OVER`) or its action was none (`REFUSED`).
EQUITY, PEAK, MEAN, SQUARE, COST, COST_SCALE, POTENTIAL, DELAY = range(6, 14)
ROW, BEGUN, END, TARGET, WORTH, STATE = range(14, 20)
# What the last step told of the account, as shares of the equity before the bar; then the decided targets that are not
# yet due, the newest first.
TOLD = ("net", "gross", "cost", "funding", "equity", "position", "turnover")
TOLD_AT = 20
PENDING = TOLD_AT + len(TOLD)
# A row of the tape: the bar in the order of `engine.step.Bar`, whether a segment ends with it, and the features.
LAST, FEATURES = 8, 9
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


BORROW, REWARD = Terms._fields.index("borrow"), len(Terms._fields)
IS_DISCRETE = REWARD + len(Reward._fields)
MAX_POSITION, DEAD_BAND, HOW_MANY, SHOWN = range(IS_DISCRETE + 1, IS_DISCRETE + 5)
CHOICES = SHOWN + len(ACCOUNT_FEATURES)


def packed(terms: Terms, book: Floats, reward: Reward, rules: EnvironmentRules) -> Floats:
    """Costs, order rules, reward, actions, what of the account is shown and the measured book, in one array: each more
    that a kernel is handed costs it as much as the arithmetic of a bar."""
    actions = [float(rules.actions == "discrete"), rules.max_position, rules.dead_band, len(rules.targets)]
    shown = [float(name in rules.account) for name in ACCOUNT_FEATURES]
    return np.array([*terms, *reward, *actions, *shown, *rules.targets, *book.reshape(-1)], dtype=np.float64)


def make_memory(count: int, longest_delay: int) -> Floats:
    """`count` episodes that have not begun; a decision is due at most `longest_delay` bars later."""
    return np.zeros((count, PENDING + longest_delay))


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


@intrinsic
def unowned(typingctx: Any, array: Any) -> Any:
    """The array without a count of its owners, for a call that does not outlive it: counting up and down at each inner
    call takes longer than a bar."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = context.make_array(signature.return_type)(context, builder, arguments[0])
        view.meminfo = cgutils.get_null_value(view.meminfo.type)
        view.parent = cgutils.get_null_value(view.parent.type)
        return view._getvalue()

    return array(array), generate
