"""Every operator against pandas and scipy, which compute each window by itself; on hard numbers too."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tradewind.learning.features import machine
from tradewind.learning.features import operators as op
from tradewind.learning.features.expression import Expression, column
from tradewind.learning.features.program import compile_program

X, Y = column("close"), column("reference_close")
Series = pd.Series


def compute_one(expression: Expression, **columns: np.ndarray) -> np.ndarray:
    """The expression's value on each row of the columns, as one segment."""
    program = compile_program((expression,), tuple(columns))
    table = np.stack(list(columns.values()))
    out = np.empty((1, table.shape[1]))
    slots = np.empty((program.n_slots, machine.BLOCK))
    state = np.zeros(program.n_state)
    machine.run(program.table, program.numbers, state, slots, table, out, (0, table.shape[1], 0))
    return out[0]


def _rolling(function: Callable[[np.ndarray], float]) -> Callable[[Series, Series, int], Series]:
    return lambda x, y, w: x.rolling(w).apply(function, raw=True)


def _mid_rank(values: np.ndarray) -> float:
    below, equal = np.sum(values < values[-1]), np.sum(values == values[-1]) - 1
    return float((below + equal / 2) / (len(values) - 1))


def _line(values: np.ndarray) -> np.ndarray:
    return np.polyfit(np.arange(len(values)), values - values[0], 1)


def _fit(values: np.ndarray) -> float:
    return stats.linregress(np.arange(len(values)), values).rvalue ** 2


def _t_statistic(values: np.ndarray) -> float:
    result = stats.linregress(np.arange(len(values)), values)
    return result.slope / result.stderr


ORACLES: dict[str, tuple[Callable[[int], Expression], Callable[[Series, Series, int], Series]]] = {
    "lag": (lambda w: op.lag(X, w), lambda x, y, w: x.shift(w)),
    "sum": (lambda w: op.total(X, w), lambda x, y, w: x.rolling(w).sum()),
    "mean": (lambda w: op.mean(X, w), _rolling(np.mean)),
    "variance": (lambda w: op.variance(X, w), _rolling(np.var)),
    "deviation": (lambda w: op.deviation(X, w), _rolling(np.std)),
    "root mean square": (lambda w: op.root_mean_square(X, w), _rolling(lambda v: float(np.sqrt(np.mean(v**2))))),
    "z-score": (lambda w: op.z_score(X, w), _rolling(lambda v: (v[-1] - v.mean()) / v.std())),
    "skewness": (lambda w: op.skewness(X, w), _rolling(stats.skew)),
    "kurtosis": (lambda w: op.kurtosis(X, w), _rolling(stats.kurtosis)),
    "highest": (lambda w: op.highest(X, w), lambda x, y, w: x.rolling(w).max()),
    "lowest": (lambda w: op.lowest(X, w), lambda x, y, w: x.rolling(w).min()),
    "since highest": (lambda w: op.bars_since_highest(X, w), _rolling(lambda v: float(np.argmax(v[::-1])))),
    "since lowest": (lambda w: op.bars_since_lowest(X, w), _rolling(lambda v: float(np.argmin(v[::-1])))),
    "covariance": (lambda w: op.covariance(X, Y, w), lambda x, y, w: x.rolling(w).cov(y, ddof=0)),
    "correlation": (lambda w: op.correlation(X, Y, w), lambda x, y, w: x.rolling(w).corr(y)),
    "beta": (lambda w: op.beta(X, Y, w), lambda x, y, w: x.rolling(w).cov(y, ddof=0) / y.rolling(w).var(ddof=0)),
    "slope": (lambda w: op.slope(X, w), _rolling(lambda v: float(_line(v)[0]))),
    "trend residual": (
        lambda w: op.trend_residual(X, w), _rolling(lambda v: v[-1] - v[0] - float(np.polyval(_line(v), len(v) - 1))),
    ),
    "trend fit": (lambda w: op.trend_fit(X, w), _rolling(_fit)),
    "trend t-statistic": (lambda w: op.trend_t_statistic(X, w), _rolling(_t_statistic)),
    "rank": (
        lambda w: op.rank(X, w), _rolling(_mid_rank),
    ),
    "quantile": (lambda w: op.quantile(X, w, 0.3), lambda x, y, w: x.rolling(w).quantile(0.3)),
    "mean absolute deviation": (
        lambda w: op.mean_absolute_deviation(X, w), _rolling(lambda v: float(np.abs(v - v.mean()).mean())),
    ),
    "linear mean": (
        lambda w: op.linear_mean(X, w), _rolling(lambda v: float(np.average(v, weights=np.arange(1, len(v) + 1)))),
    ),
    "exponential mean": (lambda w: op.ema(X, w), lambda x, y, w: x.ewm(span=w, adjust=False).mean()),
}  # fmt: skip


def _series(kind: str, n_bars: int = 800) -> tuple[Series, Series]:
    rng = np.random.default_rng(12)
    noise = rng.normal(0, 1, (2, n_bars))
    if kind == "returns":
        return Series(1e-3 * noise[0]), Series(1e-3 * (0.5 * noise[0] + noise[1]))
    if kind == "large prices":
        walk = np.cumsum(noise, axis=1)
        return Series(1e12 + walk[0]), Series(1e12 + walk[1])
    if kind == "ties":
        return Series(np.round(noise[0])), Series(np.round(noise[1]))
    outlier = np.where(np.arange(n_bars) == 150, 1e9, 1.0)
    return Series(noise[0] * outlier), Series(noise[1] * outlier)


@pytest.mark.parametrize("kind", ["returns", "large prices", "ties", "an outlier"])
@pytest.mark.parametrize("window", [3, 24, 61])
@pytest.mark.parametrize("name", ORACLES)
def test_an_operator_is_what_it_says(name: str, window: int, kind: str) -> None:
    x, y = _series(kind)
    ours, oracle = ORACLES[name]
    values = compute_one(ours(window), close=x.to_numpy(), reference_close=y.to_numpy())
    with np.errstate(all="ignore"):
        wanted = oracle(x, y, window).to_numpy(dtype=np.float64)
    reach = ours(window).lookback
    # pandas' own running sums do not recover from the outlier; scipy divides by an error of 0 on ties.
    rows = np.arange(len(x)) >= reach
    if kind == "an outlier" and name in {"sum", "covariance", "correlation", "beta"}:
        rows &= np.arange(len(x)) < 150
    if kind == "large prices" and name in {"trend fit", "trend t-statistic", "correlation", "beta", "covariance"}:
        return  # the oracle itself loses its digits there: see test_large_prices_cost_no_digits
    rows &= np.isfinite(wanted)
    assert rows.sum() > 80
    scale = np.nanmax(np.abs(wanted[rows])) if kind != "an outlier" else None
    tolerance = 1e-9 * scale if scale is not None else 1e-9
    # Prices of 1e12 are multiples of 1.2e-4: neither side can know a deviation of 1 to more than three digits.
    close = (2e-3, 2e-2) if kind == "large prices" else (1e-6, tolerance)
    np.testing.assert_allclose(values[rows], wanted[rows], rtol=close[0], atol=close[1])
    if name != "exponential mean":
        assert np.isnan(values[:reach]).all()


@pytest.mark.parametrize("name", ["variance", "covariance", "correlation", "slope", "trend fit", "skewness", "z-score"])
def test_large_prices_cost_no_digits(name: str) -> None:
    """The same walk around 0 and around 2^40, where it is exact: location must not matter."""
    rng = np.random.default_rng(3)
    steps = np.cumsum(rng.integers(-8, 9, (2, 600)), axis=1).astype(float)
    ours = ORACLES[name][0](48)
    low = compute_one(ours, close=steps[0], reference_close=steps[1])
    high = compute_one(ours, close=steps[0] + 2.0**40, reference_close=steps[1] + 2.0**40)
    np.testing.assert_allclose(high, low, rtol=1e-4, atol=2e-2 if name == "covariance" else 2e-3)


def test_a_missing_value_spoils_its_windows_and_no_other() -> None:
    rng = np.random.default_rng(5)
    whole = rng.normal(0, 1, (2, 300))
    holed = whole.copy()
    holed[0, [100, 103, 180]] = np.nan
    for name, (ours, _) in ORACLES.items():
        if name == "exponential mean":
            continue
        expression = ours(12)
        values = compute_one(expression, close=holed[0], reference_close=holed[1])
        usual = compute_one(expression, close=whole[0], reference_close=whole[1])
        touched = np.zeros(300, dtype=bool)
        for at in (100, 103, 180):
            reached = [at + 12] if name == "lag" else range(at, at + expression.lookback + 1)
            touched[reached] = True
        assert np.isnan(values[touched]).all(), name
        np.testing.assert_allclose(values[~touched], usual[~touched], rtol=1e-9, atol=1e-12, err_msg=name)


def test_a_running_sum_would_be_caught() -> None:
    """What our windows are spared: after one large value, adding and subtracting loses all digits."""
    x, _ = _series("an outlier")
    running = x.cumsum() - x.cumsum().shift(24)
    wanted = np.array([x[at - 23 : at + 1].sum() for at in range(200, 400)])
    assert not np.allclose(running[200:400], wanted, rtol=1e-9)
    np.testing.assert_allclose(compute_one(op.total(X, 24), close=x.to_numpy())[200:400], wanted, rtol=1e-9, atol=1e-12)
