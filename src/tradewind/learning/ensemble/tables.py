"""The forecasts of several models as those of one more: the equal-weight mean, which nobody had to choose."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.errors import BadData
from tradewind.learning.ensemble import EQUAL_WEIGHT, FAMILY
from tradewind.learning.ensemble.combining import equal_mean
from tradewind.learning.models.base import PROBABILITIES, QUANTILES

_ROW = ["fold", "symbol", "timestamp", "horizon"]
_VALUES = [*PROBABILITIES, "expected_return"]


def mean_forecasts(forecasts: Sequence[pd.DataFrame], name: str = EQUAL_WEIGHT) -> pd.DataFrame:
    """The mean of the probabilities and expected returns of the models that forecast a row, each alike.

    A model that is silent on a row leaves it to the others. Quantiles are missing: those of a mixture are no mean.

    Args:
        forecasts: one table a model (`schema.Forecasts`), all of the same folds and horizon.
        name: of the ensemble.

    Returns:
        One row for each that any model forecast (`schema.Forecasts`), in the order of fold, time and symbol.

    Raises:
        BadData: there are no forecasts, or the models look ahead over different horizons.
    """
    rows, values = aligned(forecasts)
    return as_forecasts(
        rows, np.concatenate([equal_mean(values[:, :, :-1]), equal_mean(values[:, :, -1:])], axis=1), name
    )


def aligned(forecasts: Sequence[pd.DataFrame]) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """The rows that any model forecast, in the order of fold, time and symbol, and the values that each gave them.

    Args:
        forecasts: one table a model (`schema.Forecasts`), all of the same folds and horizon.

    Returns:
        fold, symbol, timestamp, horizon; and (rows, models, 4): p_down, p_flat, p_up and expected return, NaN where a
        model was silent.

    Raises:
        BadData: there are no forecasts, or the models look ahead over different horizons.
    """
    if not forecasts:
        raise BadData("an ensemble needs the forecasts of a model: list one that knows a direction in params:models")
    rows = pd.concat([table[_ROW] for table in forecasts]).drop_duplicates()
    if rows["horizon"].nunique() > 1:
        found = sorted(rows["horizon"].unique().tolist())
        raise BadData(
            f"models of different horizons {found} have no mean: run their stages again on the present labels"
        )
    rows = rows.sort_values(["fold", "timestamp", "symbol"], ignore_index=True)
    index = pd.MultiIndex.from_frame(rows)
    values = np.stack(
        [table.set_index(_ROW)[_VALUES].reindex(index).to_numpy(np.float64) for table in forecasts], axis=1
    )
    return rows, values


def as_forecasts(rows: pd.DataFrame, mixed: NDArray[np.float64], name: str) -> pd.DataFrame:
    """A table of forecasts of an ensemble (`schema.Forecasts`).

    Args:
        rows: of `aligned`.
        mixed: probabilities and expected return of each, (rows, 4).
        name: of the ensemble.
    """
    of = {"model": name, "family": FAMILY, "seed": np.int64(-1), "path": np.int64(-1)}
    values = pd.DataFrame(mixed, columns=_VALUES)
    table = pd.concat([rows.assign(**of), values], axis=1).assign(**dict.fromkeys(QUANTILES, np.nan))
    order = ["model", "family", "seed", "path", "fold", "symbol", "timestamp", "horizon", *_VALUES, *QUANTILES]
    return table[order].astype({"model": "str", "family": "str", "symbol": "str"})
