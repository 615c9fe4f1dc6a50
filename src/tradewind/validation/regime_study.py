"""What regimes foretell on one symbol's candles, what yearly refits agree on, and what a strategy makes of them.

A model is fitted on every year's past and judged on the year after it. The regime of the next stretch is the observed
one (`baselines.classify`), by the thresholds that the past gave when the year began.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.errors import BadData
from tradewind.learning.regimes.base import REGIMES, UNKNOWN, VOLATILE, Bars
from tradewind.learning.regimes.baselines import PersistenceModel, regimes_ahead
from tradewind.learning.regimes.walk_forward import RegimePlan
from tradewind.market.volatility import realised_volatility
from tradewind.metrics.ranking import StatisticsRules
from tradewind.metrics.resampling import draw_totals
from tradewind.trading.engine.backtest import History, run
from tradewind.trading.execution.costs import Costs

FORECASTERS = ("boosting", "persistence", "climatology")
DAY_BARS, YEAR_BARS = 24, 8760
FEES_BPS = (5.0, 10.0)
VOLATILITY_BARS = 72
ASKED: dict[str, dict[str, float]] = {"asked": {}, "not asked": {"evidence": -10.0}}  # before regimes are announced
Floats = NDArray[np.float64]


class Study(NamedTuple):
    """Tables of one symbol.

    Attributes:
        skill: by half-year and in all: bars, log loss of every forecaster, the gain of boosting over persistence in
            nats with its interval, accuracy and the majority's share.
        agreement: by pair of successive refits of the Markov model, where evidence of regimes is asked and where it is
            not: bars of the later year, the share on which both announce the same, by chance, and Cohen's kappa.
        strategies: by fee and rule: annual Sharpe ratio, largest drawdown, costs a year, and the share of bars held.
    """

    skill: pd.DataFrame
    agreement: pd.DataFrame
    strategies: pd.DataFrame


def study(bars: pd.DataFrame, seed: int, statistics: StatisticsRules | None = None) -> Study:
    """The three tables of one symbol's hourly bars.

    Args:
        bars: checked hourly bars, oldest first; more than two years.
        seed: of the fits and of the resampling.
        statistics: how intervals are made.

    Raises:
        BadData: less than a year would be judged.
    """
    if len(bars) < 2 * YEAR_BARS:
        raise BadData(f"a study of regimes needs {2 * YEAR_BARS} hourly bars, found {len(bars)}: give a longer history")
    history, years = Bars.of_table(bars), range(YEAR_BARS, len(bars) - DAY_BARS, YEAR_BARS)
    rows = pd.concat([_forecast_year(bars, history, start, seed) for start in years], ignore_index=True)
    announced = {name: [_announced(history, start, seed, rules) for start in years] for name, rules in ASKED.items()}
    agreement = pd.concat(
        [_agreement(bars, one, list(years)).assign(evidence=name) for name, one in announced.items()], ignore_index=True
    )
    return Study(_skill(rows, statistics or StatisticsRules(), seed), agreement, _traded(bars, announced))


def _model(name: str, seed: int) -> PersistenceModel:
    model = RegimePlan(model=name).unfitted(seed)
    assert isinstance(model, PersistenceModel)
    return model


def _forecast_year(bars: pd.DataFrame, history: Bars, start: int, seed: int) -> pd.DataFrame:
    """Each forecaster's probabilities of the year from `start` on, and what came."""
    stop = min(start + YEAR_BARS, len(bars))
    fitted = {name: _model(name, seed).fit(history.rows(0, start)) for name in FORECASTERS}
    judge = fitted["persistence"]
    came = regimes_ahead(judge, history)[start:stop]
    known = came >= 0
    at = bars["timestamp"].iloc[start:stop][known]
    table = pd.DataFrame({"timestamp": at.to_numpy(), "came": came[known]})
    begin = max(start - YEAR_BARS, 0)
    for name, model in fitted.items():
        chances = model.history(history.rows(begin, stop)).probabilities[start - begin :][known]
        table[f"loss_{name}"] = -np.log(np.maximum(chances[np.arange(len(table)), table["came"]], 1e-12))
        table[f"right_{name}"] = chances.argmax(axis=1) == table["came"]
    return table


def _skill(rows: pd.DataFrame, statistics: StatisticsRules, seed: int) -> pd.DataFrame:
    at = pd.DatetimeIndex(rows["timestamp"])
    half = at.year.astype(str) + np.where(at.month <= 6, " first half", " second half")
    made = [_of_period(str(name), part, statistics, seed) for name, part in rows.groupby(half, sort=True)]
    return pd.DataFrame([*made, _of_period("all", rows, statistics, seed)])


def _of_period(name: str, rows: pd.DataFrame, statistics: StatisticsRules, seed: int) -> dict[str, object]:
    gain = rows["loss_persistence"] - rows["loss_boosting"]
    day = pd.DatetimeIndex(rows["timestamp"]).normalize()
    daily = gain.groupby(day).agg(["sum", "size"]).to_numpy(np.float64)
    drawn = draw_totals(daily, statistics.mean_block_days, statistics.n_resamples, np.random.default_rng(seed))
    tail = (1 - statistics.confidence) / 2
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [tail, 1 - tail])
    return {
        "period": name, "bars": len(rows), **{one: float(rows[f"loss_{one}"].mean()) for one in FORECASTERS},
        "gain": float(gain.mean()), "gain_low": float(low), "gain_high": float(high),
        "accuracy": float(rows["right_boosting"].mean()),
        "majority": float(np.bincount(rows["came"]).max() / len(rows)),
    }  # fmt: skip


def _announced(history: Bars, start: int, seed: int, rules: dict[str, float]) -> NDArray[np.int64]:
    """What the Markov model fitted before `start` announces, from a year before `start` on; unknown before."""
    model = RegimePlan(model="markov", rules=rules).unfitted(seed).fit(history.rows(0, start))
    begin = max(start - YEAR_BARS, 0)
    out = np.full(len(history.close), UNKNOWN)
    out[begin:] = model.history(history.rows(begin, len(history.close))).regime
    return out


def _agreement(bars: pd.DataFrame, announced: list[NDArray[np.int64]], years: list[int]) -> pd.DataFrame:
    rows = []
    for number in range(1, len(announced)):
        start = years[number]
        one, other = announced[number - 1][start : start + YEAR_BARS], announced[number][start : start + YEAR_BARS]
        share = [np.bincount(labels, minlength=len(REGIMES)) / len(labels) for labels in (one, other)]
        agree, chance = float((one == other).mean()), float(share[0] @ share[1])
        kappa = (agree - chance) / (1 - chance) if chance < 1 else float("nan")
        at = bars["timestamp"].iloc[start]
        rows.append({"from": at, "bars": len(one), "agree": agree, "by_chance": chance, "kappa": kappa})
    return pd.DataFrame(rows, columns=["from", "bars", "agree", "by_chance", "kappa"])


def _traded(bars: pd.DataFrame, announced: dict[str, list[NDArray[np.int64]]]) -> pd.DataFrame:
    close = np.ascontiguousarray(bars["close"].to_numpy(np.float64))
    volatility = realised_volatility(close, bars["segment"].to_numpy(np.int32), VOLATILITY_BARS)
    judged = slice(YEAR_BARS, None)
    out = {
        f"out when volatile, evidence {name}": np.where(_year_by_year(labels) == VOLATILE, 0.0, 1.0)[judged]
        for name, labels in announced.items()
    }
    history = History.from_bars(bars, volatility).rows(np.arange(len(bars)) >= YEAR_BARS)
    # So much volatility that on average as much is held as by leaving when it is volatile: the past year's level.
    usual = pd.Series(volatility).rolling(YEAR_BARS, min_periods=VOLATILITY_BARS).median().to_numpy()
    level = np.nan_to_num(np.minimum(usual / volatility, 1.0), nan=0.0)[judged]
    rules = {"holding": np.ones(len(level)), **out, "volatility targeting": level}
    rows = []
    for fee in FEES_BPS:
        costs = Costs(taker_fee_bps=fee, half_spread_bps=0.0, slippage_share_of_volatility=0.0)
        for name, target in rules.items():
            account = run(history, target, costs, bars_per_year=float(YEAR_BARS)).account
            rows.append({"fee_bps": fee, "rule": name, **_measures(account, target)})
    return pd.DataFrame(rows)


def _year_by_year(announced: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """What was announced in every year by the model fitted before it."""
    joined = np.full(len(announced[0]), UNKNOWN)
    for number, labels in enumerate(announced):
        begin = (number + 1) * YEAR_BARS
        joined[begin : begin + YEAR_BARS] = labels[begin : begin + YEAR_BARS]
    return joined


def _measures(account: pd.DataFrame, target: Floats) -> dict[str, float]:
    net, cost = (account[name].to_numpy(np.float64) for name in ("net", "cost"))
    wealth = np.cumprod(1.0 + net)
    days = np.prod(1.0 + net[: len(net) // DAY_BARS * DAY_BARS].reshape(-1, DAY_BARS), axis=1) - 1.0
    deviation = float(days.std())
    return {
        "sharpe": float(days.mean() / deviation * np.sqrt(365)) if deviation > 0 else 0.0,
        "max_drawdown": float((wealth / np.maximum.accumulate(np.maximum(wealth, 1.0)) - 1.0).min()),
        "cost": float(np.abs(cost).sum() / (len(net) / YEAR_BARS)), "held": float(target.mean()),
    }  # fmt: skip
