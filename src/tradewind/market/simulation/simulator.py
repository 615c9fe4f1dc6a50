"""A simulated market with known answers: realistic bars, side series, and an edge of stated strength."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
from numba import njit
from pydantic import Field, field_validator

from tradewind.market.simulation.regimes import RegimePath, RegimeSpec, draw_innovations, draw_path
from tradewind.market.timeframes import bar_anchor_ms, bar_duration_ms
from tradewind.parameters import Parameters

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
YEAR_MS = 365.25 * DAY_MS
ANNUAL_VOLATILITY = 0.6
CORRELATION = 0.6  # of the symbols' innovations, through one common factor
DEGREES_OF_FREEDOM = 5.0  # hourly crypto returns have tails of about this weight
LARGEST_INNOVATION = 12.0
JUMPS_PER_YEAR = 12.0
JUMP_DAILY_SIGMAS = 1.0
HALF_SPREAD_BPS = 1.0
# Half-lives of the three carriers of the edge: slow enough that costs do not eat it.
TREND_HALF_LIFE_H, FUNDING_HALF_LIFE_H, SENTIMENT_HALF_LIFE_H = 48.0, 64.0, 96.0
CARRIER_WEIGHTS = (0.40, 0.65, 0.65)  # trend, funding, sentiment; squares sum to about 1: unit variance
FUNDING_MEAN, FUNDING_DEVIATION = 1e-4, 1e-4  # per 8 hours
ORACLE_COST_BPS = 10.0
ORACLE_BAND = 0.6  # the oracle trades when its target has moved this far: costs outweigh smaller corrections


class SimulationSpec(Parameters):
    """What market to simulate. `edge` is the annualised gross Sharpe ratio of a position proportional to the score.

    `regimes` (a block, or the name of a preset of `regimes.PRESETS`) replaces stochastic volatility by states. Where
    `days` hold fewer bars than `least_bars` the market begins earlier, where more than `most_bars` it ends earlier.
    """

    renamed: ClassVar[Mapping[str, str]] = {"dirty_rows": "inject_errors"}

    venue: str = "simulated"
    n_symbols: Annotated[int, Field(ge=1, le=1000)] = 3
    days: Annotated[int, Field(ge=2, le=20_000)] = 730
    timeframe: str = "1h"
    start: str = "2022-01-01"
    edge: Annotated[float, Field(ge=0, le=20)] = 0.0
    seed: Annotated[int, Field(ge=0)] = 7
    outages: Annotated[int, Field(ge=0, le=1000)] = 0
    inject_errors: Annotated[int, Field(ge=0, le=100_000)] = 0
    regimes: RegimeSpec | None = None
    least_bars: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    most_bars: Annotated[int, Field(ge=1)] | None = None

    @field_validator("timeframe")
    @classmethod
    def _fits_a_funding_interval(cls, timeframe: str) -> str:
        bar_ms = bar_duration_ms(timeframe)
        if (8 * HOUR_MS) % bar_ms and bar_ms % DAY_MS:
            raise ValueError(
                f"timeframe must divide 8 hours, the funding interval, or be whole days; found {timeframe}"
            )
        return timeframe

    @field_validator("start")
    @classmethod
    def _is_a_day(cls, start: str) -> str:
        try:
            date.fromisoformat(start)
        except ValueError:
            raise ValueError(f"start must be a day such as 2022-01-01; found {start!r}") from None
        return start

    @property
    def open_ms(self) -> np.ndarray:
        """When each bar opens, in milliseconds."""
        bar_ms = bar_duration_ms(self.timeframe)
        start = int(pd.Timestamp(self.start, tz="UTC").timestamp() * 1000)
        wanted = self.days * DAY_MS // bar_ms
        n_bars = min(max(wanted, self.least_bars), self.most_bars or wanted + self.least_bars)
        start -= max(n_bars - wanted, 0) * bar_ms
        start += (bar_anchor_ms(bar_ms) - start) % bar_ms if bar_ms > DAY_MS else 0
        return start + bar_ms * np.arange(n_bars, dtype=np.int64)

    @property
    def n_outages(self) -> int:
        """How many outages there are: in a market that ends earlier, as many in the same time."""
        wanted = self.days * DAY_MS // bar_duration_ms(self.timeframe)
        return round(self.outages * min(1.0, len(self.open_ms) / wanted))

    @property
    def n_errors(self) -> int:
        """How many bad rows each symbol has; where bars were added, no more than a source may have."""
        return min(self.inject_errors, len(self.open_ms) // 144) if self.least_bars else self.inject_errors

    @property
    def symbols(self) -> tuple[str, ...]:
        """SIM1, SIM2, ..."""
        return tuple(f"SIM{number}" for number in range(1, self.n_symbols + 1))


@dataclass(frozen=True)
class SimulatedMarket:
    """Raw bars by partition (as an exchange would deliver them), side series, the oracle's positions, a summary.

    `regimes` has symbol, timestamp and state: the true state during each bar; no rows where there are none.
    """

    spec: SimulationSpec
    bars: dict[str, pd.DataFrame]
    side_series: pd.DataFrame
    oracle: pd.DataFrame
    regimes: pd.DataFrame
    summary: dict[str, float]


@dataclass(frozen=True)
class _Paths:
    """Per-bar arrays: (bars,) or (bars, symbols)."""

    close_ms: np.ndarray
    volatility: np.ndarray
    log_return: np.ndarray
    score: np.ndarray
    funding_rate: np.ndarray
    sentiment: np.ndarray
    regimes: RegimePath


def simulate_market(spec: SimulationSpec) -> SimulatedMarket:
    """A market of `spec`; the same spec gives the same numbers.

    Log returns are r[t+1] = k v[t+1] s[t] + v[t+1] e[t+1] + jump - v[t+1]^2 / 2, with stochastic volatility v
    (Taylor 1986: two log-normal factors, times the hour and the weekday), Student-t innovations e with one common
    factor, and a score s[t] of unit variance made of what is known at t: past returns, the published funding rate
    and the published sentiment. A position proportional to s earns an annualised Sharpe ratio of k sqrt(bars per year),
    which is `edge`. The last term makes the price a martingale when `edge` is 0: nothing that is known predicts it.
    With `regimes` the volatility is the state's, and a bar adds the state's drift and its share of the last return.
    """
    rng = np.random.default_rng(spec.seed)
    bar_ms = bar_duration_ms(spec.timeframe)
    open_ms = spec.open_ms
    n_bars = len(open_ms)
    paths = _simulate_paths(spec, open_ms, bar_ms, rng)
    wanted, has_edge = _wanted(spec, paths)
    oracle_target = _hysteresis(np.clip(wanted, -1.0, 1.0), ORACLE_BAND if has_edge else np.inf)
    bars_rng, outage_rng, dirt_rng = rng.spawn(3)
    is_open = _trading_hours(n_bars, spec.n_outages, HOUR_MS / bar_ms, outage_rng)
    bars = {}
    for column, symbol in enumerate(spec.symbols):
        clean = _make_bars(open_ms, bar_ms, paths.volatility[:, column], paths.log_return[:, column], bars_rng)
        bars[f"{spec.venue}/{symbol}/{spec.timeframe}"] = _inject_errors(clean[is_open], spec.n_errors, dirt_rng)
    instants = pd.to_datetime(paths.close_ms, unit="ms", utc=True).as_unit("ms")
    expected = paths.regimes.strength * paths.volatility * paths.score + paths.regimes.foresight
    oracle = pd.concat(
        pd.DataFrame(
            {
                "symbol": symbol,
                "timestamp": instants,
                "expected_return": expected[:, column],
                "target": oracle_target[:, column],
            }
        )[is_open]
        for column, symbol in enumerate(spec.symbols)
    )
    states = _true_states(spec, paths, instants)[np.tile(is_open, spec.n_symbols if spec.regimes else 0)]
    summary = _summarise(spec, paths, oracle_target, bar_ms)
    return SimulatedMarket(
        spec, bars, _side_series(spec, paths, bar_ms), oracle.reset_index(drop=True),
        states.reset_index(drop=True), summary,
    )  # fmt: skip


def _simulate_paths(spec: SimulationSpec, open_ms: np.ndarray, bar_ms: int, rng: np.random.Generator) -> _Paths:
    shape = (len(open_ms), spec.n_symbols)
    bars_per_hour = HOUR_MS / bar_ms
    strength = spec.edge / np.sqrt(YEAR_MS / bar_ms)
    volatility = _volatility(open_ms, shape, bar_ms, rng)
    regimes, regimes_rng = _regime_path(spec, open_ms, volatility, strength, bar_ms)
    volatility = regimes.volatility
    common = rng.standard_normal((shape[0], 1))
    normal = np.sqrt(CORRELATION) * common + np.sqrt(1 - CORRELATION) * rng.standard_normal(shape)
    chi2 = rng.chisquare(DEGREES_OF_FREEDOM, shape)
    innovation = normal * np.sqrt((DEGREES_OF_FREEDOM - 2) / chi2)
    if spec.regimes is not None:
        innovation = draw_innovations(spec.regimes, normal, DEGREES_OF_FREEDOM, regimes_rng)
    shock = volatility * np.clip(innovation, -LARGEST_INNOVATION, LARGEST_INNOVATION)
    jumps = rng.random(shape) < JUMPS_PER_YEAR * bar_ms / YEAR_MS
    daily = ANNUAL_VOLATILITY / np.sqrt(365.25)
    shock += jumps * rng.normal(0.0, JUMP_DAILY_SIGMAS * daily, shape)
    # Funding is set every 8 hours and sentiment once a day; both are standardised autoregressions.
    steps, days = len(open_ms) * bar_ms // (8 * HOUR_MS) + 1, len(open_ms) * bar_ms // DAY_MS + 1
    funding = _autoregression(rng.standard_normal((steps, spec.n_symbols)), 8 / FUNDING_HALF_LIFE_H)
    sentiment = _autoregression(rng.standard_normal((days, 1)), 24 / SENTIMENT_HALF_LIFE_H)
    elapsed = open_ms - open_ms[0] + bar_ms
    # Strictly before the close: what is published at the close itself is known one bar later.
    funding_known = funding[(elapsed - 1) // (8 * HOUR_MS)]
    sentiment_known = sentiment[(elapsed - 1) // DAY_MS]
    trend_decay = 0.5 ** (1 / (TREND_HALF_LIFE_H * bars_per_hour))
    log_return, score = _compound(
        shock, regimes, funding_known, sentiment_known[:, 0], trend_decay, np.array(CARRIER_WEIGHTS)
    )
    return _Paths(open_ms + bar_ms, volatility, log_return, score, funding, sentiment[:, 0], regimes)


def _volatility(open_ms: np.ndarray, shape: tuple[int, int], bar_ms: int, rng: np.random.Generator) -> np.ndarray:
    """Volatility per bar: a slow common and a faster own log-normal factor, busy afternoons, quiet weekends."""
    hours = bar_ms / HOUR_MS
    slow = 0.35 * _autoregression(rng.standard_normal((shape[0], 1)), hours / (15 * 24))
    fast = 0.30 * _autoregression(rng.standard_normal(shape), hours / 12)
    return _season(open_ms, bar_ms)[:, None] * np.exp(slow + fast - 0.35**2 - 0.30**2)


def _season(open_ms: np.ndarray, bar_ms: int) -> np.ndarray:
    """Volatility of each bar by its hour and weekday alone."""
    hour = open_ms / HOUR_MS % 24
    weekday = (open_ms // DAY_MS + 3) % 7  # 1970-01-01 was a Thursday
    season = (1 + 0.3 * np.cos(2 * np.pi * (hour - 15) / 24)) * np.where(weekday >= 5, 0.8, 1.0)
    season /= np.sqrt(np.mean(season**2))
    return np.asarray(ANNUAL_VOLATILITY * np.sqrt(bar_ms / YEAR_MS) * season)


def _regime_path(
    spec: SimulationSpec, open_ms: np.ndarray, volatility: np.ndarray, strength: float, bar_ms: int
) -> tuple[RegimePath, np.random.Generator]:
    """What the states do to each bar, and the generator that they are drawn from; without states only the given
    volatility and strength. The states draw from their own numbers, so that they change nothing else."""
    rng = np.random.default_rng([spec.seed, 1])
    if spec.regimes is None:
        none = np.zeros_like(volatility)
        state = none.astype(np.int64)
        return RegimePath(state, volatility, none, none, np.full_like(volatility, strength), none), rng
    own = np.array([spec.edge if state.edge is None else state.edge for state in spec.regimes.states])
    season = np.repeat(_season(open_ms, bar_ms)[:, None], spec.n_symbols, axis=1)
    return draw_path(spec.regimes, season, bar_ms / HOUR_MS, own / np.sqrt(YEAR_MS / bar_ms), rng), rng


def _wanted(spec: SimulationSpec, paths: _Paths) -> tuple[np.ndarray, bool]:
    """What the oracle would hold without costs, and whether there is anything to know."""
    if spec.regimes is None:
        return paths.score, spec.edge > 0
    known = paths.regimes.strength * paths.score + paths.regimes.foresight / paths.volatility
    typical = float(np.sqrt(np.mean(known**2)))
    return known / max(typical, 1e-12), typical > 0


def _true_states(spec: SimulationSpec, paths: _Paths, instants: pd.DatetimeIndex) -> pd.DataFrame:
    names = np.array([state.name for state in spec.regimes.states]) if spec.regimes else np.array([], dtype=str)
    parts = [
        pd.DataFrame({"symbol": symbol, "timestamp": instants, "state": names[paths.regimes.state[:, column]]})
        for column, symbol in enumerate(spec.symbols if spec.regimes else ())
    ]
    return pd.concat(parts) if parts else pd.DataFrame({"symbol": [], "timestamp": instants[:0], "state": []})


@njit(cache=True, nogil=True)
def _autoregression(noise: np.ndarray, steps_per_half_life: float) -> np.ndarray:
    """AR(1) columns of unit variance; the second argument is the step as a share of the half-life."""
    decay = 0.5**steps_per_half_life
    scale = np.sqrt(1 - decay * decay)
    path = noise.copy()
    for row in range(1, len(path)):
        for column in range(path.shape[1]):
            path[row, column] = decay * path[row - 1, column] + scale * noise[row, column]
    return path


@njit(cache=True, nogil=True)
def _compound(
    shock: np.ndarray,
    regimes: RegimePath,
    funding: np.ndarray,
    sentiment: np.ndarray,
    trend_decay: float,
    weights: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Log returns, and the score after each bar that drifts the next one."""
    n_bars, n_symbols = shock.shape
    volatility, strength, drift, carry = regimes.volatility, regimes.strength, regimes.drift, regimes.carry
    log_return = np.empty((n_bars, n_symbols))
    score = np.empty((n_bars, n_symbols))
    scale = np.sqrt(1 - trend_decay * trend_decay)
    for symbol in range(n_symbols):
        trend, previous, variance = 0.0, 0.0, volatility[0, symbol] ** 2
        for bar in range(n_bars):
            sigma = volatility[bar, symbol]
            own = drift[bar, symbol] + (carry[bar, symbol] * log_return[bar - 1, symbol] if bar else 0.0)
            planted = strength[bar, symbol] * sigma * previous
            log_return[bar, symbol] = planted + shock[bar, symbol] - 0.5 * sigma * sigma + own
            # Normalised by what an observer sees: an exponential average of past squared returns.
            surprise = log_return[bar, symbol] / np.sqrt(variance)
            trend = trend_decay * trend + scale * min(max(surprise, -4.0), 4.0)
            variance = 0.99 * variance + 0.01 * log_return[bar, symbol] ** 2
            previous = weights[0] * trend - weights[1] * funding[bar, symbol] - weights[2] * sentiment[bar]
            score[bar, symbol] = previous
    return log_return, score


@njit(cache=True, nogil=True)
def _hysteresis(desired: np.ndarray, band: float) -> np.ndarray:
    """`desired` followed only when it has moved by more than `band` from what is held; from flat at the start."""
    held = np.zeros_like(desired)
    for column in range(desired.shape[1]):
        current = 0.0
        for row in range(len(desired)):
            if abs(desired[row, column] - current) > band:
                current = desired[row, column]
            held[row, column] = current
    return held


def _make_bars(
    open_ms: np.ndarray, bar_ms: int, volatility: np.ndarray, log_return: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    """Bars around the path; extremes are those of a Brownian bridge between open and close, plus half the spread."""
    close = 100.0 * np.exp(np.cumsum(log_return))
    opening = np.concatenate([[100.0], close[:-1]])
    move = np.log(close / opening)
    up, down = -2 * volatility**2 * np.log(1 - rng.random((2, len(close))))
    spread = HALF_SPREAD_BPS * 1e-4
    high = opening * np.exp((move + np.sqrt(move**2 + up)) / 2 + spread)
    low = opening * np.exp((move - np.sqrt(move**2 + down)) / 2 - spread)
    activity = np.log1p(np.abs(move) / volatility)  # volume follows moves, at a falling rate
    volume = 1000 * (volatility / volatility.mean()) * np.exp(0.7 * activity + 0.4 * rng.standard_normal(len(close)))
    return pd.DataFrame(
        {
            "open_time": open_ms,
            "open": opening,
            "high": high,
            "low": low,
            "close": close,
            "volume": volume,
            "quote_volume": volume * (high + low + close) / 3,
            "trades": rng.poisson(volume / 2).astype(np.float64),
        }
    )


def _trading_hours(n_bars: int, outages: int, bars_per_hour: float, rng: np.random.Generator) -> np.ndarray:
    """False where the exchange is down: outages of 2 to 48 hours at random times."""
    is_open = np.ones(n_bars, dtype=bool)
    starts = rng.integers(n_bars // 20, n_bars, outages)
    lengths = np.maximum(1, bars_per_hour * np.exp(rng.uniform(np.log(2), np.log(48), outages))).astype(np.int64)
    for start, length in zip(starts, lengths, strict=True):
        is_open[start : start + length] = False
    return is_open


def _inject_errors(bars: pd.DataFrame, inject_errors: int, rng: np.random.Generator) -> pd.DataFrame:
    """The bars with `inject_errors` deliberately bad rows, each after a good one."""
    if inject_errors == 0 or bars.empty:
        return bars.reset_index(drop=True)
    rows = np.sort(rng.integers(0, len(bars), inject_errors))
    bad = bars.iloc[rows].astype(object).reset_index(drop=True)
    for number in range(inject_errors):
        match number % 5:
            case 0:
                pass  # delivered twice
            case 1:
                bad.loc[number, ["high", "low"]] = bad.loc[number, ["low", "high"]].to_numpy()
            case 2:
                bad.loc[number, "volume"] = -1.0
            case 3:
                bad.loc[number, "close"] = "n/a"
            case 4:
                bad.loc[number, "open"] = None
    order = np.argsort(np.concatenate([np.arange(len(bars)), rows]), kind="stable")
    return pd.concat([bars.astype(object), bad]).iloc[order].reset_index(drop=True)


def _side_series(spec: SimulationSpec, paths: _Paths, bar_ms: int) -> pd.DataFrame:
    """Funding by symbol and market-wide sentiment, each value with the moment it is published."""
    start = int(paths.close_ms[0]) - bar_ms
    end = int(paths.close_ms[-1])

    def series(name: str, symbol: str, values: np.ndarray, every_ms: int) -> pd.DataFrame:
        known = start + every_ms * np.arange(len(values), dtype=np.int64) + 1
        instants = pd.to_datetime(known, unit="ms", utc=True).as_unit("ms")
        return pd.DataFrame({"series": name, "symbol": symbol, "known_at": instants, "value": values})[known <= end]

    funding = FUNDING_MEAN + FUNDING_DEVIATION * paths.funding_rate
    parts = [series("funding", symbol, funding[:, column], 8 * HOUR_MS) for column, symbol in enumerate(spec.symbols)]
    return pd.concat([*parts, series("sentiment", "", np.tanh(paths.sentiment / 2), DAY_MS)]).reset_index(drop=True)


def _summarise(spec: SimulationSpec, paths: _Paths, target: np.ndarray, bar_ms: int) -> dict[str, float]:
    """What the market turned out to be. The oracle's Sharpe ratios are of the equal-weight portfolio, close to close,
    at `ORACLE_COST_BPS` a side."""
    earned = target[:-1] * np.expm1(paths.log_return[1:])
    cost = np.abs(np.diff(target, axis=0, prepend=0.0))[:-1] * ORACLE_COST_BPS * 1e-4
    scored = paths.score[:-1] * paths.log_return[1:] / paths.volatility[1:]
    annual = np.sqrt(YEAR_MS / bar_ms)

    def sharpe(returns: np.ndarray) -> float:
        deviation = float(returns.std())
        return float(returns.mean() / deviation * annual) if deviation > 0 else 0.0

    standardised = paths.log_return / paths.volatility
    summary: dict[str, Any] = {
        "edge": spec.edge,
        "score_sharpe_per_symbol": float(np.mean([sharpe(column) for column in scored.T])),
        "oracle_gross_sharpe": sharpe(earned.mean(axis=1)),
        "oracle_net_sharpe": sharpe((earned - cost).mean(axis=1)),
        "oracle_cost_bps_a_side": ORACLE_COST_BPS,
        "oracle_turnover_per_year": float(np.abs(np.diff(target, axis=0)).mean() * YEAR_MS / bar_ms),
        "annual_volatility": float(paths.log_return.std() * annual),
        "excess_kurtosis": float(((standardised - standardised.mean()) ** 4).mean() / standardised.var() ** 2 - 3),
    }
    if spec.n_symbols > 1:
        summary["correlation"] = float(np.corrcoef(paths.log_return.T)[0, 1])
    return summary
