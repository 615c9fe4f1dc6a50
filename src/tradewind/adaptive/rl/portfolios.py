"""Several symbols under one account as an environment: weights with limits, one portfolio or many at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Annotated, Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from pydantic import Field

from tradewind.adaptive.rl.market import TradingTerms
from tradewind.adaptive.rl.portfolio_stepping import (
    ACCOUNT_SIZE,
    EQUITY,
    NET,
    PORTFOLIO_FEATURES,
    ROW,
    STEP_FIELDS,
    SYMBOL_FEATURES,
    TERMINATED,
    TRUNCATED,
    TURNOVER,
    begin_portfolio,
    limit_weights,
    observe_portfolios,
    step_portfolios,
)
from tradewind.adaptive.rl.vectorised import OneMarketVecEnv
from tradewind.errors import BadData, BadParameters
from tradewind.parameters import Parameters
from tradewind.trading.engine.account import DECISION_SIZE, SYMBOL_SIZE
from tradewind.trading.engine.backtest import History

Floats = NDArray[np.float64]
Observations = NDArray[np.float32]


class PortfolioRules(Parameters):
    """What a portfolio may hold and how long it lives.

    The action is a number in [-1, 1] for each symbol, times `max_weight` its share of the equity (negative: short, or
    nothing with `long_only`). Weights whose absolute sum passes `max_leverage` are scaled down together; in one bar
    they move by at most `max_turnover` in all; a change below `dead_band` is not made. The reward is the net log
    return in units of `reward_scale`, less `turnover_weight` times the value traded. Costs are drawn for each episode
    within `cost_spread` of the run's.
    """

    episode_bars: Annotated[int, Field(ge=2, le=1_000_000)] = 336
    max_weight: Annotated[float, Field(gt=0, le=125)] = 1.0
    max_leverage: Annotated[float, Field(gt=0, le=125)] = 1.0
    max_turnover: Annotated[float, Field(gt=0, le=250)] = 2.0
    dead_band: Annotated[float, Field(ge=0, lt=1)] = 0.02
    long_only: bool = False
    cost_spread: Annotated[float, Field(ge=0, le=1)] = 0.0
    reward_scale: Annotated[float, Field(gt=0, le=1)] = 0.01
    turnover_weight: Annotated[float, Field(ge=0, le=1000)] = 0.0


@dataclass(frozen=True)
class PortfolioMarket:
    """The instants at which all symbols have a bar. `bars` (instants, symbols, 8): the bar in the order of
    `engine.step.Bar`; `features` float32 (instants, symbols, features); `runs` the
    first and last instant of each stretch that can be acted on; `timestamps` as given."""

    symbols: tuple[str, ...]
    bars: Floats
    features: NDArray[np.float32]
    runs: NDArray[np.int64]
    timestamps: NDArray[Any]

    @classmethod
    def from_histories(
        cls, histories: Mapping[str, History], features: Mapping[str, NDArray[np.float32]],
        timestamps: Mapping[str, NDArray[Any]],
    ) -> "PortfolioMarket":  # fmt: skip
        """From each symbol's history, a row of features a bar, and the instants of its bars, which must rise.

        A run has no instant at which a symbol has no bar or a missing feature, and ends with any symbol's segment: an
        episode ends there with its positions open, marked at the last close, since nobody knows that a gap follows.

        Args:
            histories: each symbol's bars.
            features: by symbol, float32 of shape (bars, features), NaN where missing.
            timestamps: by symbol, shape (bars,), rising.

        Raises:
            BadData: lengths differ, a feature is infinite, or no two instants in a row can be acted on.
        """
        for symbol, history in histories.items():
            if not len(history.close) == len(features[symbol]) == len(timestamps[symbol]):
                raise BadData(
                    f"{symbol}: bars, features and instants must be as many, found {len(history.close)}, "
                    f"{len(features[symbol])}, {len(timestamps[symbol])}"
                )
            if np.isinf(features[symbol]).any():
                raise BadData(f"{symbol}: a feature is infinite: mend its formula")
        instants = reduce(np.intersect1d, timestamps.values())
        every = np.unique(np.concatenate(list(timestamps.values())))
        bars, table, begins = [], [], np.zeros(len(instants), dtype=np.bool_)
        is_whole = np.ones(len(instants), dtype=np.bool_)
        for symbol, history in histories.items():
            place = np.searchsorted(timestamps[symbol], instants)
            bars.append(history.matrix[:, place].T)
            table.append(features[symbol][place])
            is_whole &= ~np.isnan(features[symbol][place]).any(axis=1)
            begins |= np.r_[True, history.segment[place][1:] != history.segment[place][:-1]]
        # An instant at which another symbol alone has a bar lies between two that all have: the run is cut there.
        begins |= np.r_[True, np.diff(np.searchsorted(every, instants)) != 1]
        edges = np.flatnonzero(np.diff(np.r_[False, is_whole, False].astype(np.int8)))
        runs = []
        for first, after in zip(edges[::2], edges[1::2], strict=True):
            cuts = first + 1 + np.flatnonzero(begins[first + 1 : after])
            runs += [(a, b - 1) for a, b in zip([first, *cuts], [*cuts, after], strict=True) if b - 1 > a]
        if not runs:
            raise BadData("no two instants in a row have all symbols' bars and features: nothing can be acted on")
        return cls(
            tuple(histories), np.ascontiguousarray(np.stack(bars, axis=1)),
            np.ascontiguousarray(np.nan_to_num(np.stack(table, axis=1).astype(np.float32))),
            np.array(runs, dtype=np.int64), instants,
        )  # fmt: skip


class _Portfolios:
    """What both environments are made of."""

    def __init__(self, market: PortfolioMarket, trading: TradingTerms, rules: PortfolioRules, count: int) -> None:
        if rules.max_leverage > trading.terms.leverage:
            raise BadParameters(
                f"max_leverage {rules.max_leverage:g} is beyond execution.max_leverage {trading.terms.leverage:g}: "
                "lower it, or raise the leverage"
            )
        symbols = len(market.symbols)
        self.market, self.trading, self.rules = market, trading, rules
        self.accounts = np.zeros((count, ACCOUNT_SIZE))
        self.states = np.zeros((count, symbols, SYMBOL_SIZE + DECISION_SIZE * trading.delay))
        self.weights = np.zeros((count, symbols))
        self.last_step, self.done = np.zeros((count, len(STEP_FIELDS))), np.zeros(count, dtype=np.int64)
        width = symbols * (market.features.shape[2] + len(SYMBOL_FEATURES)) + len(PORTFOLIO_FEATURES)
        self.observations = np.zeros((count, width), dtype=np.float32)
        self.rng = np.random.default_rng(0)
        length = (market.runs[:, 1] - market.runs[:, 0]).astype(np.float64)
        self._share = np.cumsum(length) / length.sum()
        self.observation_space = spaces.Box(-np.inf, np.inf, (width,), np.float32)
        self.action_space = spaces.Box(0.0 if rules.long_only else -1.0, 1.0, (symbols,), np.float32)

    def restart(self, at: int, row: int | None = None, cost_scale: float | None = None) -> None:
        runs = self.market.runs
        run = min(int(np.searchsorted(self._share, self.rng.random(), side="right")), len(runs) - 1)
        drawn = 1.0 + self.rules.cost_spread * (2 * self.rng.random() - 1)
        if row is not None:
            inside = (runs[:, 0] <= row) & (row < runs[:, 1])
            if not inside.any():
                raise BadParameters(f"an episode cannot begin at row {row}: no instant that can be acted on follows it")
            run = int(np.flatnonzero(inside)[0])
        first, end = runs[run]
        latest = max(end - self.rules.episode_bars, first)
        begun = int(self.rng.integers(first, latest + 1)) if row is None else row
        begin_portfolio(
            self.accounts, self.states, at, begun, min(begun + self.rules.episode_bars, end),
            self.market.bars, drawn if cost_scale is None else cost_scale,
        )  # fmt: skip
        self.weights[at] = self.last_step[at] = 0.0

    def step(self, actions: NDArray[Any]) -> Floats:
        """The rewards; accounts, `last_step` and `done` are written."""
        rules = self.rules
        wanted = np.asarray(actions, dtype=np.float64)
        if wanted.shape != self.weights.shape or not np.isfinite(wanted).all():
            raise BadParameters(
                f"an action must have a finite number for each symbol {self.market.symbols}, found {actions}"
            )
        wanted = np.clip(wanted, self.action_space.low, 1.0) * rules.max_weight
        for at in range(len(wanted)):
            limited = limit_weights(wanted[at], self.weights[at], rules.max_leverage, rules.max_turnover)
            if np.abs(limited - self.weights[at]).max() >= rules.dead_band:
                self.weights[at] = limited
        step_portfolios(
            self.accounts, self.states, self.weights, self.market.bars, self.trading.delay, self.trading.terms,
            self.trading.book, self.last_step, self.done,
        )  # fmt: skip
        earned = np.log(np.maximum(1.0 + self.last_step[:, NET], 1e-6))
        return np.asarray(earned / rules.reward_scale - rules.turnover_weight * self.last_step[:, TURNOVER])

    def observe(self) -> Observations:
        observe_portfolios(
            self.accounts, self.states, self.market.bars, self.market.features, self.last_step, self.observations
        )
        return self.observations.copy()


class PortfolioEnv(gymnasium.Env[Observations, NDArray[np.float32]]):
    """One portfolio (Gymnasium's interface; passes its `check_env`).

    Observation, float32 of shape (symbols x (features + 3) + 3,): for each symbol its features, position, unrealised
    profit and time in trade, then drawdown, cost so far and exposure. The decision is filled at each symbol's next
    open. `weights` are those decided on, within the limits, `last_step` the account of the last bar.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(self, market: PortfolioMarket, trading: TradingTerms, rules: PortfolioRules) -> None:
        """See `PortfolioRules`.

        Raises:
            BadParameters: the leverage is beyond what orders may reach.
        """
        self._one = _Portfolios(market, trading, rules, 1)
        self.observation_space, self.action_space = self._one.observation_space, self._one.action_space

    @property
    def weights(self) -> Floats:
        """The target of each symbol, a share of equity."""
        return self._one.weights[0].copy()

    @property
    def last_step(self) -> dict[str, float]:
        """The account of the last bar, by the names of `portfolio_stepping.STEP_FIELDS`."""
        return dict(zip(STEP_FIELDS, self._one.last_step[0].tolist(), strict=True))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """The first observation; `options` may have the `row` to begin at and the `cost_scale`."""
        super().reset(seed=seed)
        self._one.rng = self.np_random
        chosen = options or {}
        self._one.restart(0, chosen.get("row"), chosen.get("cost_scale"))
        return self._one.observe()[0], {"row": int(self._one.accounts[0, ROW])}

    def step(self, action: NDArray[Any]) -> tuple[Observations, float, bool, bool, dict[str, Any]]:
        """Observation, reward, whether the account is ruined, whether the episode is over, and the equity."""
        reward = float(self._one.step(np.asarray(action)[None])[0])
        state = int(self._one.done[0])
        equity = {"equity": float(self._one.accounts[0, EQUITY])}
        return self._one.observe()[0], reward, bool(state & TERMINATED), bool(state & TRUNCATED), equity


class PortfolioVecEnv(OneMarketVecEnv):
    """Many portfolios stepped in one compiled call (stable-baselines3's interface)."""

    def __init__(
        self, market: PortfolioMarket, trading: TradingTerms, rules: PortfolioRules, count: int = 64, seed: int = 0
    ) -> None:
        """`count` portfolios at once; all randomness flows from `seed`."""
        self._many = _Portfolios(market, trading, rules, count)
        self._many.rng = np.random.default_rng(seed)
        self._actions: NDArray[Any] = np.zeros((count, len(market.symbols)))
        super().__init__(count, self._many.observation_space, self._many.action_space)

    def reset(self) -> Observations:
        """The first observations."""
        for at in range(self.num_envs):
            self._many.restart(at)
        return self._many.observe()

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[Observations, NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Observations, rewards, whether each episode is over, and the last observation of those that are."""
        rewards = self._many.step(self._actions).astype(np.float32)
        observations, done = self._many.observe(), self._many.done > 0
        infos: list[dict[str, Any]] = [{}] * self.num_envs
        for at in np.flatnonzero(done):
            infos[at] = {
                "terminal_observation": observations[at].copy(),
                "TimeLimit.truncated": bool(self._many.done[at] == TRUNCATED),
                "equity": float(self._many.accounts[at, EQUITY]),
            }  # fmt: skip
            self._many.restart(int(at))
        return (self._many.observe() if done.any() else observations), rewards, done, infos

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Draw from this seed from the next reset on."""
        self._many.rng = np.random.default_rng(seed)
        return [seed] * self.num_envs
