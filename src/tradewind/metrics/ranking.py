"""Strategies side by side: the leaderboard and its breakdowns."""

from collections.abc import Iterator, Mapping
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from tradewind.market.calendars import AROUND_THE_CLOCK, Calendar
from tradewind.metrics.returns import daily_returns
from tradewind.metrics.risk import measures_of
from tradewind.metrics.significance import bootstrap_intervals, probabilistic_sharpe
from tradewind.parameters import Parameters


class StatisticsRules(Parameters):
    """How intervals are made (`params:evaluation.statistics`): `block_days` are those of Sharpe ratios and means, which
    are studentised, `mean_block_days` those of all other measures and of the tests against chance."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.9
    n_resamples: Annotated[int, Field(ge=100, le=100_000)] = 1000
    mean_block_days: Annotated[float, Field(ge=1)] = 10.0
    block_days: Annotated[int, Field(ge=1, le=1000)] = 5


def leaderboard(
    returns: pd.DataFrame, families: Mapping[str, str], rules: StatisticsRules, seed: int,
    calendar: Calendar = AROUND_THE_CLOCK,
) -> pd.DataFrame:  # fmt: skip
    """One row a strategy, best Sharpe ratio first: the measures of daily net returns, each with its interval.

    `returns` has the portfolio rows of all strategies. The same resampled days serve every strategy, so that they can
    be compared.

    Args:
        returns: the portfolio rows of all strategies: strategy, timestamp, net.
        families: the family of each strategy.
        rules: of the resampling.
        seed: of the resampling.
        calendar: of the market: which days there are, and how many make a year.
    """
    rows = []
    for strategy, part in returns.groupby("strategy", sort=True):
        daily = daily_returns(part["timestamp"], part["net"].to_numpy(), calendar)
        years = max(len(daily) / calendar.days_per_year, 1e-9)
        values = measures_of(daily, calendar.days_per_year)
        intervals = bootstrap_intervals(
            daily, np.random.default_rng(seed), rules.confidence, rules.n_resamples, rules.mean_block_days,
            calendar.days_per_year, rules.block_days,
        )  # fmt: skip
        rows.append(
            {
                "strategy": strategy,
                "family": families[str(strategy)],
                **values,
                "turnover_per_year": part["turnover"].sum() / years,
                "cost_per_year": part["cost"].sum() / years,
                "funding_per_year": part["funding"].sum() / years,
                "exposure": part["exposure"].mean(),
                "probabilistic_sharpe": probabilistic_sharpe(daily),
                "trades": int(part["trades"].sum()),
                "bars": len(part),
                "days": len(daily),
                **{f"{name}_low": low for name, (low, _) in intervals.items()},
                **{f"{name}_high": high for name, (_, high) in intervals.items()},
            }
        )
    return pd.DataFrame(rows).sort_values(["sharpe", "strategy"], ascending=[False, True], ignore_index=True)


def breakdown(
    returns: pd.DataFrame, accounts: Mapping[str, pd.DataFrame], regimes: pd.DataFrame | None = None,
    calendar: Calendar = AROUND_THE_CLOCK,
) -> pd.DataFrame:  # fmt: skip
    """strategy, by (fold, symbol, year, regime), group, role, sharpe, total_return, max_drawdown, bars; net of costs.

    Args:
        returns: the portfolio rows with fold and role.
        accounts: the rows of single symbols with role, by strategy.
        regimes: symbol, timestamp and regime; a bar belongs to the regime announced at the close before it, and bars of
            several symbols in one regime are held in equal parts.
        calendar: of the market: which days there are, and how many make a year.
    """
    rows = []
    for strategy, part in returns.groupby("strategy", sort=True):
        year = (part["timestamp"] - pd.Timedelta(1, unit="ms")).dt.year
        account = accounts[str(strategy)]
        groups = [
            *(("fold", key, group) for key, group in part.groupby(["role", "fold"], sort=True)),
            *(("year", key, group) for key, group in part.groupby(["role", year], sort=True)),
            *(("symbol", key, group) for key, group in account.groupby(["role", "symbol"], sort=True)),
            *(("regime", key, group) for key, group in _by_regime(account, regimes)),
        ]
        for by, (role, name), group in groups:
            values = measures_of(
                daily_returns(group["timestamp"], group["net"].to_numpy(), calendar), calendar.days_per_year
            )
            rows.append(
                {
                    "strategy": strategy,
                    "by": by,
                    "group": str(name),
                    "role": role,
                    "sharpe": values["sharpe"],
                    "total_return": values["total_return"],
                    "max_drawdown": values["max_drawdown"],
                    "bars": len(group),
                }
            )
    return pd.DataFrame(rows)


def _by_regime(account: pd.DataFrame, regimes: pd.DataFrame | None) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """The mean over the symbols of the bars that a regime was announced for at the close before, by role."""
    if regimes is None or regimes.empty:
        return
    known = regimes.sort_values(["symbol", "timestamp"])
    known = known.assign(regime=known.groupby("symbol")["regime"].shift())[["symbol", "timestamp", "regime"]]
    rows = account.merge(known, on=["symbol", "timestamp"], how="left").fillna({"regime": "unknown"})
    for key, part in rows.groupby(["role", "regime"], sort=True):
        yield key, part.groupby("timestamp", sort=True, as_index=False)["net"].mean()
