"""What is measured on one judged market whose answer is known, beside the verdict."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.market.calendars import Calendar
from tradewind.metrics.ranking import StatisticsRules
from tradewind.metrics.returns import daily_returns
from tradewind.metrics.sharpe import daily_sharpe
from tradewind.metrics.significance import probabilistic_sharpe, sharpe_standard_error
from tradewind.metrics.studentised import sharpe_interval
from tradewind.trading.strategy import baselines
from tradewind.validation.noise_free import expected_net, noise_free_sharpe

Floats = NDArray[np.float64]
TOSSES, TOSSED_DAYS = 300, 10


def gross_intervals(
    returns: pd.DataFrame, rules: StatisticsRules, seed: int, calendar: Calendar
) -> dict[str, tuple[float, float]]:
    """Intervals of the Sharpe ratios before costs and funding, which on a null market are truly zero, whatever the
    rule; over the folds and the holdout together. Strategies that never traded, or too seldom for an interval, are left
    out.

    Args:
        returns: rows of all strategies with timestamp and gross.
        rules: how intervals are made.
        seed: of the resampling.
        calendar: of the market.
    """
    found = {}
    for name, part in _with_known_truth(returns):
        interval = _interval(part["timestamp"], part["gross"].to_numpy(), rules, seed, calendar)
        if interval is not None:
            found[name] = interval
    return found


def against_the_planted(
    returns: pd.DataFrame, traded: Mapping[str, pd.DataFrame], oracle: pd.DataFrame, rules: StatisticsRules, seed: int,
    calendar: Calendar,
) -> dict[str, Any]:  # fmt: skip
    """What every strategy's positions are truly worth on a planted market, and its intervals beside it.

    `noise_free` has the Sharpe ratio without luck by strategy, `net` the interval of the net ratio with that truth,
    `luck` the interval of the ratio of what was earned less what was expected bar by bar: truly zero whatever the
    strategy, since nothing foretells it. All over the folds and the holdout together.

    Args:
        returns: rows of all strategies with timestamp, net, cost and funding.
        traded: positions by strategy.
        oracle: the simulator's expected returns.
        rules: how intervals are made.
        seed: of the resampling.
        calendar: of the market.
    """
    noise_free: dict[str, float] = {}
    net: dict[str, tuple[float, float, float]] = {}
    luck: dict[str, tuple[float, float]] = {}
    for name, part in _with_known_truth(returns, baselines.ORACLE):
        noise_free[name] = noise_free_sharpe(traded[name], part, oracle)
        earned = part["net"].to_numpy()
        interval = _interval(part["timestamp"], earned, rules, seed, calendar)
        if interval is not None:
            net[name] = (*interval, noise_free[name])
            unforeseen = earned - expected_net(traded[name], part, oracle)
            of_luck = _interval(part["timestamp"], unforeseen, rules, seed, calendar)
            luck |= {name: of_luck} if of_luck is not None else {}
    return {"noise_free": noise_free, "net": net, "luck": luck}


def found_error_passes(returns: pd.DataFrame, judged: str, confidence: float, calendar: Calendar) -> bool:
    """Whether the judged strategy passes a test by the error at the found ratio alone (Mertens 2002), for comparison
    with the verdict's.

    Args:
        returns: rows of all strategies with timestamp and net.
        judged: the strategy.
        confidence: that is asked for.
        calendar: of the market.
    """
    from scipy.stats import norm

    part = returns[returns["strategy"] == judged]
    daily = daily_returns(part["timestamp"], part["net"].to_numpy(), calendar)
    error = sharpe_standard_error(daily)
    return bool(error > 0 and daily_sharpe(daily) / error >= norm.ppf(confidence))


def tossed_passes(
    returns: pd.DataFrame, judged: str, confidence: float, seed: int, calendar: Calendar
) -> dict[str, float] | None:
    """The share of histories that pass the verdict's test among those in which the sign of the judged days before costs
    is tossed anew, day by day and for ten days together: the size of the test on days as they are. None where the
    strategy never traded.

    Args:
        returns: rows of all strategies with timestamp and gross.
        judged: the strategy.
        confidence: that is asked for.
        seed: of the coin.
        calendar: of the market.
    """
    part = returns[returns["strategy"] == judged]
    daily = daily_returns(part["timestamp"], part["gross"].to_numpy(), calendar)
    if not daily.std() > 0:
        return None
    rng = np.random.default_rng(seed)
    found = {}
    for name, length in (("day", 1), ("ten_days", TOSSED_DAYS)):
        signs = rng.choice([-1.0, 1.0], (TOSSES, -(-len(daily) // length)))
        worlds = daily * np.repeat(signs, length, axis=1)[:, : len(daily)]
        found[name] = float(np.mean([probabilistic_sharpe(one) >= confidence for one in worlds]))
    return found


def _with_known_truth(returns: pd.DataFrame, *also: str) -> Iterator[tuple[str, pd.DataFrame]]:
    # The turned and the matched positions are made of the model's own later ones: what they earn is not known.
    unknown = {baselines.ORACLE, baselines.RANDOM, baselines.MATCHED} - set(also)
    for name, part in returns.groupby("strategy", sort=True):
        if name not in unknown:
            yield str(name), part


def _interval(
    timestamp: pd.Series, earned: Floats, rules: StatisticsRules, seed: int, calendar: Calendar
) -> tuple[float, float] | None:
    daily = daily_returns(timestamp, earned, calendar)
    if not daily.std() > 0:
        return None
    rng, year = np.random.default_rng(seed), float(np.sqrt(calendar.days_per_year))
    low, high = sharpe_interval(daily, rng, rules.confidence, rules.n_resamples, rules.block_days)
    return (year * low, year * high) if np.isfinite(low) else None
