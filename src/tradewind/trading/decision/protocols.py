"""What a decision is made of: the forecaster it asks, the account it may see, and the policy that takes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tradewind.learning.features.bars import Chunk
from tradewind.learning.features.packing import Arrays

Floats = NDArray[np.float64]
FORECAST = ("p_down", "p_flat", "p_up", "expected_return")


class RowForecaster(Protocol):
    """A fitted model as far as a decision needs it."""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that it reads, in the order of the columns of `x`."""
        ...

    @property
    def window_bars(self) -> int:
        """Bars that one forecast reads; 1 for a model of single rows."""
        ...

    def predict_row(self, x: NDArray[np.float32]) -> Floats:
        """[p_down, p_flat, p_up, expected_return] of the newest bar.

        Args:
            x: (window_bars, n_features), oldest first; (n_features,) where `window_bars` is 1.
        """
        ...


@dataclass(frozen=True)
class Account:
    """The account as it stands before the decision: equity, and positions by symbol as signed shares of it."""

    equity: float = 1.0
    positions: Mapping[str, float] = field(default_factory=dict)


class Seen(NamedTuple):
    """Consecutive bars of one symbol with what is known at each close.

    Attributes:
        symbol: whose bars.
        chunk: the bars with the market's and side columns.
        names: of the features.
        features: (bars, features) float32.
        volatility: of one bar's log return, NaN where unknown, one a bar.
    """

    symbol: str
    chunk: Chunk
    names: tuple[str, ...]
    features: NDArray[np.float32]
    volatility: Floats


class Steps(NamedTuple):
    """What a policy says on each bar.

    Attributes:
        forecast: (bars, 4) columns of `FORECAST`, NaN without one.
        edge: smoothed p_up - p_down, NaN without one.
        target: signed share of equity in [-1, 1].
        reasons: bits of `reasons.CODES`.
        parts: of several policies side by side what each adds to the target, by name.
    """

    forecast: Floats
    edge: Floats
    target: Floats
    reasons: NDArray[np.int64]
    parts: Mapping[str, Floats] = {}


class Observed(NamedTuple):
    """Completed bars of one symbol with all that was known on them, and what was decided on each."""

    seen: Seen
    steps: Steps


class Policy(Protocol):
    """Takes decisions for one symbol, bar by bar: a model with rules, a rule without a model, or an agent.

    It holds no state of its own: `begin` makes one (named arrays), `advance` gives the next. One call may bring many
    bars, to a policy that reads the account as well: the account is then the same for all of them.
    """

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that it reads."""
        ...

    def begin(self) -> Arrays:
        """The state of one symbol before its first bar."""
        ...

    def advance(self, state: Arrays, seen: Seen, account: Account) -> tuple[Arrays, Steps]:
        """The state after these bars, and what is decided on each.

        Args:
            state: of `begin`, or as the last call left it.
            seen: features and volatility of the bars that follow, known at each close.
            account: as it stands before these bars.
        """
        ...


class Decision(NamedTuple):
    """A target position and why.

    Attributes:
        timestamp: close of the bar it is made on, UTC milliseconds.
        symbol: whose position.
        p_down, p_flat, p_up, expected_return: the forecast, NaN without one; the return is a log return.
        edge: smoothed p_up - p_down, NaN without one.
        target: signed share of equity, to be filled no earlier than the next open.
        reasons: codes of `reasons.CODES`.
    """

    timestamp: int
    symbol: str
    p_down: float
    p_flat: float
    p_up: float
    expected_return: float
    edge: float
    target: float
    reasons: tuple[str, ...]
