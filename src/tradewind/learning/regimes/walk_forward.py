"""Regimes of a whole history as they were known: every bar by a model that was fitted on earlier bars alone."""

from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field, ValidationError, field_validator, model_validator

from tradewind.learning.regimes.base import COLUMNS, JOINED, PREFIX, REGIMES, UNKNOWN, Bars, RegimeModel
from tradewind.learning.regimes.catalogue import MODELS, model
from tradewind.parameters import Parameters, faults

REPLAYED = 1000  # bars before a fit that a new model reads to find out where the market is


class RegimePlan(Parameters):
    """Which model, and when it is fitted (`params:regimes`).

    Attributes:
        model: a name of `catalogue.MODELS`.
        first_fit_bars: the first fit has so many bars of past; before it every bar is unknown.
        refit_bars: from one fit to the next.
        rules: parameters of the model; what is left out has its default.
    """

    model: str = "markov"
    first_fit_bars: Annotated[int, Field(ge=200)] = 2160
    refit_bars: Annotated[int, Field(ge=24)] = 8000
    rules: dict[str, Any] = {}

    @field_validator("model")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in MODELS:
            raise ValueError(f"a model of regimes is one of {sorted(MODELS)}, found {name!r}")
        return name

    @model_validator(mode="after")
    def _rules_fit_the_model(self) -> "RegimePlan":
        try:
            model(self.model).rules_class.model_validate(self.rules)
        except ValidationError as error:
            raise ValueError(faults(error, "rules")) from error
        return self

    def unfitted(self, seed: int) -> RegimeModel:
        """A model of these parameters."""
        kind = model(self.model)
        return kind(kind.rules_class.model_validate(self.rules), seed)

    def fits(self, bars: int) -> list[int]:
        """How many bars of past each fit has, in a history of so many bars."""
        return list(range(self.first_fit_bars, bars, self.refit_bars))


class Walked(NamedTuple):
    """One row of `COLUMNS`, with symbol, timestamp and fit (-1 before the first), a bar; and the fitted models."""

    table: pd.DataFrame
    models: list[RegimeModel]


def walk(bars: pd.DataFrame, plan: RegimePlan, seed: int) -> Walked:
    """The regimes of one symbol's checked bars, each bar by the latest model fitted on bars before it.

    A bar depends on nothing after it: neither through its model nor through the filter.

    Args:
        bars: one symbol's checked bars, oldest first.
        plan: the model, its rules and when it is fitted anew.
        seed: of the fits.

    Returns:
        A table of one row a bar, with the number of its fit (-1 before the first), and the fitted models.
    """
    history, fits = Bars.of_table(bars), plan.fits(len(bars))
    matrix = np.zeros((len(bars), len(COLUMNS)))
    matrix[:, UNKNOWN], matrix[:, COLUMNS.index("regime")] = 1.0, UNKNOWN
    matrix[:, COLUMNS.index("run_length")] = np.arange(1, len(bars) + 1)
    number, models = np.full(len(bars), -1), []
    for place, start in enumerate(fits):
        stop = fits[place + 1] if place + 1 < len(fits) else len(bars)
        fitted = plan.unfitted(seed).fit(history.rows(0, start))
        begin = max(start - REPLAYED, 0)
        matrix[start:stop] = fitted.history(history.rows(begin, stop)).matrix()[start - begin :]
        number[start:stop] = place
        models.append(fitted)
    table = pd.DataFrame(matrix, columns=list(COLUMNS))
    regime = np.array(REGIMES)[table["regime"].to_numpy(np.int64)]
    table = table.assign(
        regime=pd.array(regime, dtype="str"),
        run_length=table["run_length"].astype(np.int64),
        transition=table["transition"].astype(np.int64),
        fit=number,
    )
    return Walked(pd.concat([bars[["symbol", "timestamp"]].reset_index(drop=True), table], axis=1), models)


def feature_columns(regimes: pd.DataFrame) -> pd.DataFrame:
    """symbol, timestamp and `regime_*`: what joins the features of the same bars."""
    named = {name: f"{PREFIX}{name}" for name in JOINED}
    joined = regimes[["symbol", "timestamp", *JOINED]].rename(columns=named)
    return joined.astype(dict.fromkeys(named.values(), np.float32))


def summarise(regimes: pd.DataFrame, bars: pd.DataFrame, horizon_bars: int) -> pd.DataFrame:
    """What each announced regime came to: share of bars, visits, their mean length, and the next bars' moves.

    Args:
        regimes: of one symbol, from `walk`.
        bars: the same bars.
        horizon_bars: over which the following return and volatility are measured.

    Returns:
        symbol, regime, share, visits, mean_bars, return_ahead, volatility_ahead (of the log return over the horizon:
        mean and root mean square), left_within (share of bars after which it was left within the horizon) and p_leave
        (what was said of that).
    """
    close = np.log(bars["close"].to_numpy(np.float64))
    ahead = np.full(len(close), np.nan)
    ahead[:-horizon_bars] = close[horizon_bars:] - close[:-horizon_bars]
    regime = regimes["regime"].to_numpy()
    changed = np.append(np.flatnonzero(regime[1:] != regime[:-1]), len(regime) - 1)
    left = changed[np.searchsorted(changed, np.arange(len(regime)))] - np.arange(len(regime)) < horizon_bars
    visit = np.cumsum(np.append(True, regime[1:] != regime[:-1]))
    has_ahead, rows = ~np.isnan(ahead), []
    for name in REGIMES:
        in_regime = regime == name
        seen = in_regime & has_ahead
        visits = len(np.unique(visit[in_regime]))
        rows.append(
            {
                "symbol": str(bars["symbol"].iloc[0]), "regime": name, "share": float(in_regime.mean()),
                "visits": visits, "mean_bars": float(in_regime.sum() / visits) if visits else np.nan,
                "return_ahead": float(ahead[seen].mean()) if seen.any() else np.nan,
                "volatility_ahead": float(np.sqrt((ahead[seen] ** 2).mean())) if seen.any() else np.nan,
                "left_within": float(left[seen].mean()) if seen.any() else np.nan,
                "p_leave": float(regimes["p_leave"].to_numpy()[seen].mean()) if seen.any() else np.nan,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)
