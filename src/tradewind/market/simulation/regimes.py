"""Regimes of a simulated market: states that last, each with its drift, autocorrelation, scale and own edge."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pydantic import Field, model_validator

from tradewind.parameters import Parameters

Floats = NDArray[np.float64]
Name = Literal["up", "down", "ranging", "volatile"]
Innovations = Literal["student_t", "skewed", "garch"]
GAMMA_SHAPE = 4.0  # skewness -2 / sqrt(shape) = -1
GARCH_NEWS, GARCH_MEMORY = 0.08, 0.90


class RegimeState(Parameters):
    """One state of the market.

    Attributes:
        name: what the state is called among the true states.
        duration_hours: how long a visit lasts on average; visits end at random, whatever their age.
        drift: mean return of a bar in standard deviations of the state's own bars.
        autocorrelation: how much of the last bar's return, in units of the season, the next one repeats.
        scale: standard deviation of a bar, as a multiple of the market's.
        edge: the planted edge while the state lasts (as `SimulationSpec.edge`); None: the market's.
    """

    name: Name
    duration_hours: Annotated[float, Field(gt=0, le=100_000)]
    drift: Annotated[float, Field(ge=-1, le=1)] = 0.0
    autocorrelation: Annotated[float, Field(gt=-1, lt=1)] = 0.0
    scale: Annotated[float, Field(gt=0, le=20)] = 1.0
    edge: Annotated[float, Field(ge=0, le=20)] | None = None


class RegimeSpec(Parameters):
    """The states of a market, and what volatility does inside them.

    A symbol that leaves a state goes to one of the others, each as likely. Inside the states volatility keeps its
    hours and weekdays; `log_volatility` above 0 adds a log-normal factor of that deviation with a half-life.
    """

    states: Annotated[tuple[RegimeState, ...], Field(min_length=2, max_length=8)]
    log_volatility: Annotated[float, Field(ge=0, le=2)] = 0.0
    half_life_hours: Annotated[float, Field(gt=0)] = 12.0
    innovations: Innovations = "student_t"

    @model_validator(mode="before")
    @classmethod
    def _preset_by_name(cls, given: Any) -> Any:
        """A preset's name stands for its block; other keys beside `preset` replace the preset's."""
        if isinstance(given, str):
            given = {"preset": given}
        if isinstance(given, Mapping) and "preset" in given:
            if given["preset"] not in PRESETS:
                raise ValueError(f"a preset of regimes is one of {sorted(PRESETS)}, found {given['preset']!r}")
            return {**PRESETS[given["preset"]], **{key: value for key, value in given.items() if key != "preset"}}
        return given

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        names = [state.name for state in self.states]
        if len(set(names)) < len(names):
            raise ValueError(f"every state has its own name, found {names}")
        return self

    def column(self, attribute: str) -> Floats:
        """One number of every state."""
        return np.array([getattr(state, attribute) for state in self.states], dtype=np.float64)

    def transitions(self, bar_hours: float) -> Floats:
        """Probabilities from each state (row) to each (column) from one bar to the next."""
        count = len(self.states)
        leaving = np.minimum(bar_hours / self.column("duration_hours"), 1.0)
        away = np.repeat(leaving[:, None] / (count - 1), count, axis=1)
        away[np.diag_indices(count)] = 1.0 - leaving
        return away


def _preset(drift: float, reversal: float, scales: tuple[float, float, float], hours: tuple[float, float]) -> Any:
    """Trends up and down, a range and a storm; `hours` of the short visits (range, storm) and of the long (trends)."""
    typical, quiet, wild = scales
    return {
        "states": [
            {"name": "up", "duration_hours": hours[1], "drift": drift, "scale": typical},
            {"name": "down", "duration_hours": hours[1], "drift": -drift, "scale": typical},
            {"name": "ranging", "duration_hours": hours[0], "autocorrelation": reversal, "scale": quiet},
            {"name": "volatile", "duration_hours": hours[0], "scale": wild},
        ]
    }


_PLAIN = {
    "clear": _preset(0.15, -0.3, (1.0, 0.6, 2.0), (96.0, 120.0)),
    "moderate": _preset(0.10, -0.2, (1.0, 0.75, 1.75), (96.0, 120.0)),
    "faint": _preset(0.05, -0.1, (1.0, 0.9, 1.5), (48.0, 60.0)),
}
PRESETS: dict[str, dict[str, Any]] = {
    **_PLAIN,
    **{f"{name}_rough": {**block, "log_volatility": 0.3, "half_life_hours": 12.0} for name, block in _PLAIN.items()},
}


class RegimePath(NamedTuple):
    """What the states do to each bar, arrays of (bars, symbols).

    Attributes:
        state: index of the state that holds during the bar.
        volatility: standard deviation of the bar's shock.
        drift: log return that the state adds.
        carry: how much of the last bar's log return the bar repeats.
        strength: expected return of the planted score in standard deviations.
        foresight: the state's part of the next bar's expected log return, knowing the state of this bar.
    """

    state: NDArray[np.int64]
    volatility: Floats
    drift: Floats
    carry: Floats
    strength: Floats
    foresight: Floats


def draw_path(
    regimes: RegimeSpec, season: Floats, bar_hours: float, strengths: Floats, rng: np.random.Generator
) -> RegimePath:
    """The states of every symbol, each on its own, and what follows from them.

    Args:
        regimes: the states.
        season: standard deviation of a bar at scale 1, (bars, symbols).
        bar_hours: duration of a bar.
        strengths: strength of the planted edge in each state.
        rng: what chance draws from.
    """
    transitions = regimes.transitions(bar_hours)
    state = _chain(transitions.cumsum(axis=1), _long_run(transitions).cumsum(), rng.random(season.shape))
    scale = regimes.column("scale")
    drift = regimes.column("drift") * scale
    rough = np.ones_like(season)
    if regimes.log_volatility > 0:
        factor = _autoregression(rng.standard_normal(season.shape), 0.5 ** (bar_hours / regimes.half_life_hours))
        rough = np.exp(regimes.log_volatility * factor)
    ratio = np.vstack([np.zeros((1, season.shape[1])), season[1:] / season[:-1]])
    ahead = np.vstack([season[1:], season[-1:]])
    return RegimePath(
        state,
        season * scale[state] * rough,
        season * drift[state],
        regimes.column("autocorrelation")[state] * ratio,
        strengths[state],
        ahead * (transitions @ drift)[state],
    )


def draw_innovations(regimes: RegimeSpec, normal: Floats, degrees: float, rng: np.random.Generator) -> Floats:
    """Innovations of unit variance: Student-t, skewed to the left, or with volatility that clusters (GARCH).

    Args:
        regimes: the states.
        normal: standard normal numbers, correlated between the symbols, (bars, symbols).
        degrees: of freedom of the Student-t.
        rng: what chance draws from.
    """
    if regimes.innovations == "skewed":
        return np.asarray((GAMMA_SHAPE - rng.gamma(GAMMA_SHAPE, size=normal.shape)) / np.sqrt(GAMMA_SHAPE))
    tailed = normal * np.sqrt((degrees - 2) / rng.chisquare(degrees, normal.shape))
    return _garch(tailed) if regimes.innovations == "garch" else tailed


def _long_run(transitions: Floats) -> Floats:
    """The share of time in each state."""
    count = len(transitions)
    equations = np.vstack([transitions.T - np.eye(count), np.ones(count)])
    return np.asarray(np.linalg.lstsq(equations, np.append(np.zeros(count), 1.0), rcond=None)[0])


@njit(cache=True, nogil=True)
def _chain(cumulative: Floats, start: Floats, uniform: Floats) -> NDArray[np.int64]:
    state = np.empty(uniform.shape, dtype=np.int64)
    last = len(start) - 1
    for column in range(uniform.shape[1]):
        for row in range(len(uniform)):
            line = start if row == 0 else cumulative[state[row - 1, column]]
            state[row, column] = min(np.searchsorted(line, uniform[row, column], side="right"), last)
    return state


@njit(cache=True, nogil=True)
def _autoregression(noise: Floats, decay: float) -> Floats:
    path, scale = noise.copy(), np.sqrt(1 - decay * decay)
    for row in range(1, len(path)):
        for column in range(path.shape[1]):
            path[row, column] = decay * path[row - 1, column] + scale * noise[row, column]
    return path


@njit(cache=True, nogil=True)
def _garch(noise: Floats) -> Floats:
    out = np.empty_like(noise)
    for column in range(noise.shape[1]):
        variance = 1.0
        for row in range(len(noise)):
            out[row, column] = np.sqrt(variance) * noise[row, column]
            news = out[row, column] * out[row, column]
            variance = 1 - GARCH_NEWS - GARCH_MEMORY + GARCH_NEWS * news + GARCH_MEMORY * variance
    return out
