"""What a model that filters a rule does to its net Sharpe ratio, paired over simulated markets."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import t as student
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tests.live.conftest import session_of, simulated
from tradewind.learning.features import catalogue
from tradewind.learning.features.assembly import Arrivals
from tradewind.learning.features.catalogue import FeatureSelection
from tradewind.live.accounts.later import Lived, backtest_again
from tradewind.trading.decision.filtering import FilteredPolicy
from tradewind.trading.decision.forecasting import ForecastPolicy
from tradewind.trading.execution.costs import Costs

SYMBOLS, SIDE, AHEAD = ("SIM1", "SIM2", "SIM3"), ("funding", "sentiment"), 24
HOURS_A_YEAR = 24 * 365.25
RULE = "time_series_momentum"


class Logistic(NamedTuple):
    """Up or down over the next day, from features of the bar."""

    features: tuple[str, ...]
    scale: StandardScaler
    model: LogisticRegression
    window_bars: int = 1

    def predict_row(self, x: Any) -> Any:
        row = (np.nan_to_num(np.asarray(x, dtype=np.float64)) - self.scale.mean_) / self.scale.scale_
        up = float(expit(row @ self.model.coef_[0] + self.model.intercept_[0]))
        return np.array([1 - up, 0.0, up, 0.02 * (up - 0.5)])


def names_of_features() -> tuple[str, ...]:
    """Trends and what the side series say."""
    every = [one.name for one in catalogue.select(FeatureSelection(), "1h", SIDE)]
    trends = [f"log_return_{bars}" for bars in (24, 48, 96)]
    return tuple(trends + [name for name in every if name.startswith(SIDE)][:12])


def fitted(names: tuple[str, ...], bars: list[Any], side: list[Any]) -> Logistic:
    """A model of the past alone."""
    session = session_of(SYMBOLS, side=SIDE, features=names)
    arrivals = Arrivals(bars[-1].timestamp + 10_000, tuple(bars), tuple(side))
    _, observed = session.decider.observe(session.decider.begin(), arrivals)
    rows, up = [], []
    for one in observed:
        logs = np.log(one.seen.chunk.close)
        places = [one.seen.names.index(name) for name in names]
        rows.append(np.nan_to_num(one.seen.features[200:-AHEAD, places].astype(np.float64)))
        up.append(logs[200 + AHEAD :] > logs[200:-AHEAD])
    table = np.concatenate(rows)
    scale = StandardScaler().fit(table)
    model = LogisticRegression(C=0.1).fit(scale.transform(table), np.concatenate(up))
    return Logistic(names, scale, model)


def sharpe(equity: dict[int, float]) -> float:
    """Annualised, of hourly returns; 0 of an account that did nothing."""
    worth = np.array([equity[at] for at in sorted(equity)])
    returns = np.diff(worth) / worth[:-1]
    return float(returns.mean() / returns.std() * np.sqrt(HOURS_A_YEAR)) if returns.std() > 0 else 0.0


def learnt(seed: int, edge: float, days: int) -> tuple[Logistic, Lived]:
    """A model of the first half of a market, and the market, to be lived through from there on."""
    bars, side = simulated(days, seed, edge=edge)
    times = sorted({one.timestamp for one in bars})
    half = times[len(times) // 2]
    past = [one for one in bars if one.timestamp <= half], [one for one in side if one.known_at <= half]
    return fitted(names_of_features(), *past), Lived(bars, side, half, {}, {})


def outcome(lived: Lived, model: Logistic | None, costs: Costs | None = None) -> float:
    """Sharpe ratio of the rule in the second half, alone or where the model agrees."""

    def wrapped(ruled: Any, rules: Any) -> FilteredPolicy:
        assert model is not None
        return FilteredPolicy(ruled(RULE), ForecastPolicy(model, rules, 0.9))

    session = session_of(
        SYMBOLS, RULE, side=SIDE, features=names_of_features(), wrapped=wrapped if model else None, costs=costs
    )
    return sharpe(backtest_again(session, lived))


def gain(seed: int, edge: float, days: int) -> tuple[float, float]:
    """Net Sharpe ratio of the rule, and of the rule with the filter, in the second half of a market."""
    model, lived = learnt(seed, edge, days)
    return outcome(lived, None), outcome(lived, model)


def interval(differences: list[float]) -> tuple[float, float, float]:
    """Mean and its 95 % interval, by Student's t."""
    values = np.array(differences)
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


MARKETS = 30


@pytest.mark.depth
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("edge", [6.0, 3.0])
def test_a_filter_helps_where_there_is_an_edge(edge: float) -> None:
    """A year to learn from, a year to trade, markets paired. With a quarter to learn from no gain could be seen."""
    pairs = [gain(100 + seed, edge, 730) for seed in range(MARKETS)]
    mean, low, high = interval([both - rule for rule, both in pairs])
    alone, filtered = np.mean(pairs, axis=0)
    print(f"edge {edge:g}: rule {alone:+.2f}, filtered {filtered:+.2f}, gain {mean:+.2f} [{low:+.2f}, {high:+.2f}]")  # noqa: T201
    assert low > 0.0


@pytest.mark.depth
@pytest.mark.timeout(3600)
def test_a_filter_knows_nothing_where_there_is_nothing_to_know() -> None:
    """Any filter trades less, and pays less: so the model is held against one that learnt on another market, and
    against the rule where trading costs nothing."""
    free = Costs(taker_fee_bps=0, maker_fee_bps=0, half_spread_bps=0, slippage_share_of_volatility=0)
    found: dict[str, list[float]] = {"net": [], "of another market": [], "without costs": []}
    for seed in range(100, 100 + MARKETS):
        model, lived = learnt(seed, 0.0, 730)
        other, _ = learnt(seed + 1000, 0.0, 730)
        both = outcome(lived, model)
        found["net"].append(both - outcome(lived, None))
        found["of another market"].append(both - outcome(lived, other))
        found["without costs"].append(outcome(lived, model, free) - outcome(lived, None, free))
    intervals = {name: interval(gains) for name, gains in found.items()}
    print(f"no edge, gain over the rule (net, and without costs) and over a filter of another market: {intervals}")  # noqa: T201
    for name in ("of another market", "without costs"):
        assert intervals[name][1] < 0.0 < intervals[name][2], name


def test_a_filter_that_agrees_with_the_opposite_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the model says down for up."""
    right = [gain(100 + seed, 8.0, 365) for seed in range(1)]
    said = Logistic.predict_row
    monkeypatch.setattr(Logistic, "predict_row", lambda model, x: said(model, x)[[2, 1, 0, 3]] * [1, 1, 1, -1])
    wrong = [gain(100 + seed, 8.0, 365) for seed in range(1)]
    assert all(both > rule for rule, both in right) and all(both < rule for rule, both in wrong)
