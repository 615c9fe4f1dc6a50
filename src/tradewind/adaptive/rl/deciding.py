"""An agent as a policy of `trading.decision`: bar by bar it lives in its own account, and its seeds' mean is held.

Each seed sees the account that its own decisions come to, by the terms that it was trained with: the steps of the
engine that its training and its walk-forward took, one bar of one symbol at a time. So a decision depends on closed
bars alone, whatever became of the orders elsewhere, and a history gives the same positions at once or bar by bar.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tradewind.adaptive.rl.episodes import END, EQUITY, ROW, TARGET, begin, make_states
from tradewind.adaptive.rl.forecasts import SMOOTHING_BARS, observed_forecasts
from tradewind.adaptive.rl.market import TradingTerms
from tradewind.adaptive.rl.policies import LARGEST, About, HiddenState, free_settings
from tradewind.adaptive.rl.rules import ACCOUNT_FEATURES, FORECASTS
from tradewind.adaptive.rl.stepping import observe_all, step_all
from tradewind.errors import BadModel
from tradewind.learning.features.market_columns import SETTLED
from tradewind.learning.features.packing import Arrays
from tradewind.market.volatility import fold_usual_volume
from tradewind.trading.decision.protocols import Account, Floats, RowForecaster, Seen, Steps
from tradewind.trading.decision.reasons import CHOSE_FLAT, INFINITE, LEFT, NO_ACTION, NO_FORECAST, explain_position
from tradewind.trading.strategy.signals import fold_smooth

FUNDING = "funding"  # the series that accounts are charged by
VOLUME_WINDOW = 72  # of the usual volume, as of `History.from_bars`
BAR = 8  # numbers of a bar in a row of the market


class Acts(Protocol):
    """A trained policy as far as a decision needs it (`policies.Policy`)."""

    @property
    def about(self) -> About:
        """What it observes and may do."""
        ...

    def begin(self, count: int) -> HiddenState:
        """The hidden state of `count` episodes at their beginning."""
        ...

    def decide(
        self, observations: NDArray[np.float32], held: Floats, hidden: HiddenState = ()
    ) -> tuple[Floats, HiddenState]:
        """Targets (rows,), NaN where there is no number, and the next hidden state.

        Args:
            observations: shape (rows, features + account), features not standardised.
            held: shape (rows,), the present targets.
            hidden: of `begin` or of the bar before.
        """
        ...


@dataclass(frozen=True)
class AgentPolicy:
    """Trades the mean position of an agent's seeds.

    An account begins, flat and with an equity of 1, at the first bar after a gap or after a bar without a forecast, as
    an episode does. A seed that says no number holds nothing until the next bar.

    Attributes:
        forecaster: what tells the agent its forecasts: `forecaster_graph.COLUMNS` of a row.
        seeds: the policies, one a seed, which all read the same features.
        trading: the terms of their accounts.
        max_missing_share: as `params:feature_engineering.model_input`.
    """

    forecaster: RowForecaster
    seeds: tuple[Acts, ...]
    trading: TradingTerms
    max_missing_share: float
    _columns: dict[tuple[str, ...], NDArray[np.int64]] = field(default_factory=dict, repr=False, compare=False)
    _settings: Floats = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse seeds that do not belong together.

        Raises:
            BadModel: there is none, or they differ in what they read and may do.
        """
        if not self.seeds:
            raise BadModel("an agent has at least one policy: deploy it again")
        first = self.seeds[0].about
        for one in self.seeds:
            same = one.about.standardiser == first.standardiser and one.about.environment == first.environment
            if not same or one.about.recurrent_units != first.recurrent_units:
                raise BadModel(f"the policies of seeds {first.seed} and {one.about.seed} are not of one training")
        object.__setattr__(self, "_settings", free_settings(first.environment, self.trading))

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that forecaster and policies read."""
        own = (one for one in self._observed if one not in FORECASTS)
        return tuple(dict.fromkeys((*self.forecaster.features, *own)))

    @property
    def _observed(self) -> tuple[str, ...]:
        return self.seeds[0].about.standardiser.features

    def begin(self) -> Arrays:
        """No bar seen, no account."""
        return {
            "accounts": make_states(len(self.seeds), self.trading.delay), "bar": np.zeros(BAR),
            "targets": np.zeros(len(self.seeds)), "usual": np.empty(0),
            "edge": np.array([np.nan]), "sign": np.zeros(1), "lives": np.array([0, -1], dtype=np.int64),
            **{name: np.stack([one.begin(1)[at][0] for one in self.seeds]) for at, name in enumerate(self._hidden)},
        }  # fmt: skip

    @property
    def _hidden(self) -> tuple[str, ...]:
        return ("state", "cell") if self.seeds[0].about.recurrent_units else ()

    def advance(self, state: Arrays, seen: Seen, account: Account) -> tuple[Arrays, Steps]:
        """The mean target of the seeds on each bar; there is no edge, since an agent does not act by one.

        Args:
            state: of `begin`, or as the last call left it.
            seen: features and volatility of the bars that follow.
            account: not read: the account that an agent sees is its own.
        """
        moved = {name: array.copy() for name, array in state.items()}
        is_infinite = np.isinf(seen.features).any(axis=1)
        missing = np.isnan(seen.features).sum(axis=1) / seen.features.shape[1]
        usable = (missing <= self.max_missing_share) & ~is_infinite
        moved["usual"], usual = fold_usual_volume(moved["usual"], seen.chunk.volume, VOLUME_WINDOW)
        bars = _bars_of(seen, usual)
        rows = np.ascontiguousarray(seen.features[:, self._places(seen.names, self.forecaster.features)])
        own = seen.features[:, self._places(seen.names, self._raw)]
        forecast, target = np.full((len(rows), 4), np.nan), np.zeros(len(rows))
        reasons = np.where(is_infinite, INFINITE, 0).astype(np.int64)
        for row in range(len(rows)):
            values = self.forecaster.predict_row(rows[row]) if usable[row] else None
            if values is None or not np.isfinite(values).all():
                moved["lives"][0], moved["targets"][:] = 0, 0.0
                reasons[row] |= NO_FORECAST
                continue
            forecast[row] = values[:4]
            observed = self._observe(moved, own[row], values)
            target[row], all_finite = self._act(moved, bars[row], observed, int(seen.chunk.segment[row]))
            reasons[row] |= 0 if all_finite else NO_ACTION
        explained = explain_position(float(moved["sign"][0]), np.sign(target), target)
        is_free = (target == 0.0) & np.isfinite(forecast[:, 0]) & (reasons & NO_ACTION == 0) & (explained & LEFT == 0)
        reasons |= explained | np.where(is_free, CHOSE_FLAT, 0)
        moved["sign"][0] = np.sign(target[-1]) if len(target) else moved["sign"][0]
        return moved, Steps(forecast, np.full(len(rows), np.nan), target, reasons)

    @property
    def _raw(self) -> tuple[str, ...]:
        return tuple(name for name in self._observed if name not in FORECASTS)

    def _places(self, names: tuple[str, ...], wanted: tuple[str, ...]) -> NDArray[np.int64]:
        key = (*names, "|", *wanted)
        if key not in self._columns:
            at = {name: place for place, name in enumerate(names)}
            self._columns[key] = np.array([at[name] for name in wanted], dtype=np.int64)
        return self._columns[key]

    def _observe(self, state: Arrays, raw: NDArray[np.float32], values: Floats) -> NDArray[np.float32]:
        """What the policies read beside their account: (features,), in the order of their standardiser."""
        last, mean = fold_smooth(float(state["edge"][0]), np.array([values[2] - values[0]]), SMOOTHING_BARS)
        state["edge"][0] = last
        observed = observed_forecasts(values[None, [0, 1, 2, 4]], mean)[0].astype(np.float32)
        known = dict(zip((*self._raw, *FORECASTS), (*raw.tolist(), *observed.tolist()), strict=True))
        row = np.array([[known[name] for name in self._observed]])
        return self.seeds[0].about.standardiser.filled(row)[0]

    def _act(self, state: Arrays, bar: Floats, observed: NDArray[np.float32], segment: int) -> tuple[float, bool]:
        """The mean target at the close of a bar, and whether every seed gave a number; `state` is moved on."""
        accounts, lives = state["accounts"], bool(state["lives"][0]) and state["lives"][1] == segment
        market = np.zeros((2, BAR + len(observed)))
        market[:, :BAR], market[:, BAR:] = (state["bar"], bar), observed
        seen = np.zeros((len(self.seeds), len(observed) + len(ACCOUNT_FEATURES)), dtype=np.float32)
        if lives:
            accounts[:, ROW], accounts[:, END] = 0.0, 1.0
            step_all(accounts, state["targets"] / LARGEST, market, self._settings, seen)
        else:
            for at in range(len(self.seeds)):
                begin(accounts, at, 1, 1, bar[3], 1.0, self.trading.delay)
            observe_all(accounts, np.arange(len(self.seeds)), market, self._settings, seen)
            for name in self._hidden:
                state[name][:] = 0.0
        chosen = self._decide(state, seen)
        is_number = np.isfinite(chosen)
        state["targets"][:] = np.where(is_number & (accounts[:, EQUITY] > 0.0), chosen, 0.0)
        state["bar"][:], state["lives"][:] = bar, (1, segment)
        return float(np.clip(state["targets"].mean(), -1.0, 1.0)), bool(is_number.all())

    def _decide(self, state: Arrays, seen: NDArray[np.float32]) -> Floats:
        """The target of each seed; NaN, and its hidden state as it was, where it says no number."""
        chosen = np.empty(len(self.seeds))
        for at, policy in enumerate(self.seeds):
            hidden = tuple(state[name][at : at + 1] for name in self._hidden)
            target, after = policy.decide(seen[at : at + 1], state["accounts"][at : at + 1, TARGET], hidden)
            chosen[at] = target[0]
            if np.isfinite(chosen[at]):
                for name, one in zip(self._hidden, after, strict=True):
                    state[name][at] = one[0]
        return chosen


def _bars_of(seen: Seen, usual: Floats) -> Floats:
    """(bars, 8) in the order of `engine.step.Bar`, as `History.matrix` has them."""
    chunk = seen.chunk
    paid = chunk.side.get(f"{SETTLED}{FUNDING}", np.zeros(len(chunk)))
    columns: Sequence[Floats] = (
        chunk.open, chunk.high, chunk.low, chunk.close, chunk.volume, np.nan_to_num(seen.volatility), usual, paid,
    )  # fmt: skip
    return np.column_stack(columns)
