"""What every model of regimes is: fitted on a past, it says after each bar which regime the market is in.

What it says of a bar follows from that bar and those before it (filtered), never from what comes later (smoothed).
"""

import hashlib
import json
from abc import ABC, abstractmethod
from typing import Annotated, Any, ClassVar, NamedTuple, Self

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray
from pydantic import Field

from tradewind.errors import BadData, BadModel
from tradewind.learning.features.bars import Chunk
from tradewind.learning.features.packing import Arrays, pack, unpack
from tradewind.learning.regimes.season import fit_season, slots_of
from tradewind.parameters import Parameters

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
REGIMES = ("trending", "ranging", "volatile", "unknown")
TRENDING, RANGING, VOLATILE, UNKNOWN = range(4)
COLUMNS = (*(f"p_{name}" for name in REGIMES), "regime", "run_length", "p_leave", "transition")
FILE = "regimes.json"
PREFIX = "regime_"
# What joins the features: the announced regime stays out, its probabilities say it.
JOINED = tuple(name for name in COLUMNS if name != "regime")
FEATURES = tuple(f"{PREFIX}{name}" for name in JOINED)


class RegimeRules(Parameters):
    """What all models of regimes share.

    Attributes:
        least_bars: a past of fewer bars is refused.
        history_bars: so many of the latest bars of the past are learnt from.
        horizon_bars: over which `p_leave` looks ahead.
        switch_probability: the regime that is announced changes when another is this likely.
    """

    least_bars: Annotated[int, Field(ge=200)] = 1000
    history_bars: Annotated[int, Field(ge=200)] = 8760
    horizon_bars: Annotated[int, Field(ge=1, le=10_000)] = 24
    switch_probability: Annotated[float, Field(ge=0.5, lt=1)] = 0.75


class Bars(NamedTuple):
    """Consecutive bars of one symbol: close and opening in UTC milliseconds, price, segment; one entry a bar."""

    timestamp: NDArray[np.int64]
    open_time: NDArray[np.int64]
    close: Floats
    segment: NDArray[np.int32]

    @classmethod
    def of_table(cls, bars: pd.DataFrame) -> "Bars":
        """Of checked bars."""
        return cls(
            bars["timestamp"].to_numpy("datetime64[ms]").astype(np.int64),
            bars["open_time"].to_numpy("datetime64[ms]").astype(np.int64),
            bars["close"].to_numpy(np.float64),
            bars["segment"].to_numpy(np.int32),
        )

    @classmethod
    def of_chunk(cls, chunk: Chunk) -> "Bars":
        """Of the bars that a decision is taken on."""
        return cls(chunk.timestamp, chunk.open_time, chunk.close, chunk.segment)

    def rows(self, start: int, stop: int) -> "Bars":
        """The bars from `start` up to `stop`."""
        places = slice(start, stop)
        return Bars(self.timestamp[places], self.open_time[places], self.close[places], self.segment[places])


class Steps(NamedTuple):
    """The output after each bar.

    Attributes:
        probabilities: of `REGIMES`, (bars, 4); they sum to 1.
        regime: the regime that is announced, a place in `REGIMES`, (bars,).
        run_length: bars since it was announced, this one included.
        p_leave: probability that the market leaves it within the horizon.
        transition: 1 where it was announced on this bar, else 0.
    """

    probabilities: Floats
    regime: NDArray[np.int64]
    run_length: NDArray[np.int64]
    p_leave: Floats
    transition: NDArray[np.int64]

    def table(self) -> pd.DataFrame:
        """One column for each of `COLUMNS`; the regime as its name."""
        table = pd.DataFrame(self.probabilities, columns=list(COLUMNS[:4]))
        return table.assign(
            regime=np.array(REGIMES)[self.regime], run_length=self.run_length, p_leave=self.p_leave,
            transition=self.transition,
        )  # fmt: skip

    def features(self) -> NDArray[np.float32]:
        """The numbers of `FEATURES`, (7, bars)."""
        columns = [*self.probabilities.T, self.run_length, self.p_leave, self.transition]
        return np.array(columns, dtype=np.float32)

    def matrix(self) -> Floats:
        """The numbers of `COLUMNS`, (bars, 8); the regime as its place in `REGIMES`."""
        return np.column_stack([self.probabilities, self.regime, self.run_length, self.p_leave, self.transition])


class RegimeModel(ABC):
    """A model of regimes: a subclass learns from standardised returns and says probabilities, all else is here."""

    name: ClassVar[str]
    rules_class: ClassVar[type[RegimeRules]] = RegimeRules

    def __init__(self, rules: Any, seed: int) -> None:
        """An unfitted model."""
        self.rules, self.seed = rules, seed
        self._season: Floats | None = None

    @abstractmethod
    def _learn(self, moves: Floats, starts: Bools) -> None:
        """Learn from standardised returns, NaN where there is none; `starts` is True where a segment begins."""

    @abstractmethod
    def _begin(self) -> Arrays:
        """The model's own state before the first bar."""

    @abstractmethod
    def _advance(self, state: Arrays, moves: Floats, starts: Bools) -> tuple[Arrays, Floats, Floats]:
        """The state after the bars; probabilities of `REGIMES`, (bars, 4); and of being in each and staying there
        for the horizon, (bars, 4)."""

    @abstractmethod
    def _learnt(self) -> dict[str, Any]:
        """What was learnt, as JSON."""

    @abstractmethod
    def _restore(self, learnt: dict[str, Any]) -> None:
        """Take up what `_learnt` gave."""

    def fit(self, past: Bars) -> Self:
        """Learnt from a past, of which the latest `history_bars` count.

        Raises:
            BadData: too few bars, closes that are missing or not positive, times out of order, or a price that
                never moves.
        """
        check(past)
        if len(past.close) < self.rules.least_bars:
            raise BadData(
                f"a model of regimes needs {self.rules.least_bars} bars to learn from (regimes.{self.name}.least_bars),"
                f" found {len(past.close)}: give a longer history"
            )
        past = past.rows(max(len(past.close) - self.rules.history_bars, 0), len(past.close))
        moves, starts, _ = _moves(past, np.full(3, np.nan), np.ones(168))
        if np.nanmean(moves == 0.0) > 0.9:
            raise BadData("the price moves on fewer than one bar in ten: no regime can be learnt from it")
        self._season = fit_season(past.timestamp, moves)
        moves, starts, _ = _moves(past, np.full(3, np.nan), self._season)
        self._learn(moves, starts)
        return self

    def begin(self) -> Arrays:
        """The state before the first bar.

        Raises:
            BadModel: the model has not been fitted.
        """
        _ = self._fitted_season
        return {
            "last": np.full(3, np.nan),
            "said": np.array([UNKNOWN, 0], dtype=np.int64),
            **{f"own|{name}": array for name, array in self._begin().items()},
        }

    def advance(self, state: Arrays, bars: Bars) -> tuple[Arrays, Steps]:
        """The state after the bars and the output after each of them; the given state is not changed.

        Raises:
            BadData: closes that are missing or not positive, times out of order, or a bar that ends before it opens.
        """
        check(bars)
        moves, starts, last = _moves(bars, state["last"], self._fitted_season)
        own = {name.removeprefix("own|"): array.copy() for name, array in state.items() if name.startswith("own|")}
        own, probabilities, staying = self._advance(own, moves, starts)
        last_announced = state["said"].copy()
        announced = _announce(probabilities, starts, last_announced, self.rules.switch_probability)
        regime, run, transition = announced
        p_leave = 1.0 - staying[np.arange(len(regime)), regime]
        after: Arrays = {"last": last, "said": last_announced} | {f"own|{name}": array for name, array in own.items()}
        return after, Steps(probabilities, regime, run, np.clip(p_leave, 0.0, 1.0), transition)

    def history(self, bars: Bars) -> Steps:
        """The output on a history from its first bar on."""
        return self.advance(self.begin(), bars)[1]

    def moves(self, bars: Bars) -> tuple[Floats, Bools]:
        """Standardised returns of a history, NaN where there is none, and where its segments begin."""
        moves, starts, _ = _moves(bars, np.full(3, np.nan), self._fitted_season)
        return moves, starts

    def to_bytes(self, state: Arrays) -> bytes:
        """The state in a form that a killed process resumes from."""
        return pack({"regimes": self.fingerprint()}, state)

    def from_bytes(self, content: bytes) -> Arrays:
        """The state again.

        Raises:
            BadData: the bytes are damaged, or belong to another model.
        """
        head, arrays = unpack(content, "regime state")
        if head.get("regimes") != self.fingerprint():
            raise BadData("the saved regime state belongs to another model: replay the history")
        return arrays

    def fingerprint(self) -> str:
        """A hash of the fitted model."""
        return hashlib.sha256(self.files()[FILE]).hexdigest()

    def files(self) -> dict[str, bytes]:
        """Everything needed to build it again."""
        content = {
            "name": self.name, "rules": self.rules.model_dump(mode="json"), "seed": self.seed,
            "season": self._fitted_season.tolist(), "learnt": self._learnt(),
        }  # fmt: skip
        return {FILE: json.dumps(content).encode()}

    @classmethod
    def from_files(cls, files: dict[str, bytes]) -> Self:
        """The model that `files` was taken from; the bytes must be trusted.

        Raises:
            BadModel: they are not a model of this kind.
        """
        try:
            content = json.loads(files[FILE])
            model = cls(cls.rules_class.model_validate(content["rules"]), content["seed"])
            if content["name"] != cls.name:
                raise ValueError(f"it is a {content['name']} model")
            model._season = np.array(content["season"], dtype=np.float64)
            model._restore(content["learnt"])
        except (KeyError, ValueError, TypeError) as error:
            raise BadModel(f"{FILE} is not a {cls.name} model ({error}): fit it again") from error
        return model

    @property
    def _fitted_season(self) -> Floats:
        if self._season is None:
            raise BadModel(f"the {self.name} model has not been fitted: call fit or from_files first")
        return self._season


def check(bars: Bars) -> None:
    """Refuse bars from which no regime can be inferred.

    Raises:
        BadData: closes that are missing or not positive, or times out of order.
    """
    bad = np.flatnonzero(~(bars.close > 0) | ~np.isfinite(bars.close))
    if len(bad):
        at = pd.Timestamp(int(bars.timestamp[bad[0]]), unit="ms", tz="UTC")
        raise BadData(f"{len(bad)} bars have no positive close, the first at {at}: check the bars")
    if np.any(np.diff(bars.timestamp) <= 0):
        raise BadData("bars must be sorted by timestamp, oldest first, without duplicates")
    timeless = np.flatnonzero(bars.timestamp <= bars.open_time)
    if len(timeless):
        at = pd.Timestamp(int(bars.timestamp[timeless[0]]), unit="ms", tz="UTC")
        raise BadData(f"{len(timeless)} bars end no later than they open, the first at {at}: timestamp is the close")


def _moves(bars: Bars, last: Floats, season: Floats) -> tuple[Floats, Bools, Floats]:
    moves, starts, after = np.empty(len(bars.close)), np.empty(len(bars.close), dtype=np.bool_), last.copy()
    _standardise(bars.timestamp, bars.open_time, bars.close, bars.segment, season[slots_of(bars.timestamp)],
                 after, moves, starts)  # fmt: skip
    return moves, starts, after


@njit(cache=True, nogil=True)
def _standardise(
    timestamp: NDArray[np.int64], open_time: NDArray[np.int64], close: Floats, segment: NDArray[np.int32],
    scale: Floats, last: Floats, moves: Floats, starts: Bools,
) -> None:  # fmt: skip
    """Log returns in units of the hour's scale; one over missing bars in units of the time that it took.

    `last` is the close, timestamp and segment of the bar before, NaN before the first; it is moved on in place.
    """
    for bar in range(len(close)):
        starts[bar] = last[2] != segment[bar]
        if starts[bar]:
            moves[bar] = np.nan
        else:
            took = (timestamp[bar] - last[1]) / (timestamp[bar] - open_time[bar])
            moves[bar] = np.log(close[bar] / last[0]) / (scale[bar] * np.sqrt(took))
        last[0], last[1], last[2] = close[bar], timestamp[bar], segment[bar]


@njit(cache=True, nogil=True)
def _announce(
    probabilities: Floats, starts: Bools, last_announced: NDArray[np.int64], enough: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The announced regime, its age and whether it is new; `last_announced` (regime, age) is moved on in place."""
    bars = len(probabilities)
    regime, run = np.empty(bars, dtype=np.int64), np.empty(bars, dtype=np.int64)
    transition = np.zeros(bars, dtype=np.int64)
    for bar in range(bars):
        if starts[bar]:
            last_announced[0], last_announced[1] = UNKNOWN, 0
        likeliest = 0
        for other in range(1, probabilities.shape[1]):
            if probabilities[bar, other] > probabilities[bar, likeliest]:
                likeliest = other
        if likeliest != last_announced[0] and probabilities[bar, likeliest] >= enough:
            last_announced[0], last_announced[1] = likeliest, 0
            transition[bar] = 1
        last_announced[1] += 1
        regime[bar], run[bar] = last_announced[0], last_announced[1]
    return regime, run, transition
