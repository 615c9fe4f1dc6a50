"""The equal-weight mean of forecast tables is what its rows say, and leaves out who is silent."""

import numpy as np
import pandas as pd
import pytest

from tradewind.errors import BadData
from tradewind.learning.ensemble.tables import mean_forecasts
from tradewind.learning.models.base import QUANTILES
from tradewind.market import schema


def forecasts(model: str, up: float, rows: int = 3, expected: float = 0.01, horizon: int = 24) -> pd.DataFrame:
    at = pd.date_range("2024-01-01", periods=rows, freq="h", tz="UTC", unit="ms")
    table = pd.DataFrame({"symbol": "A", "timestamp": at, "p_up": up, "p_down": 0.8 - up, "p_flat": 0.2})
    of = {"model": model, "family": "linear", "seed": 7, "path": -1, "fold": 0, "horizon": horizon}
    values = {"expected_return": expected, **dict.fromkeys(QUANTILES, np.nan)}
    return table.assign(**of, **values).astype({"model": "str", "family": "str", "symbol": "str"})


def test_the_mean_of_those_that_speak() -> None:
    found = mean_forecasts([forecasts("a", 0.2), forecasts("b", 0.6, rows=2, expected=np.nan)])
    schema.Forecasts.validate(found)
    assert found["p_up"].tolist() == pytest.approx([0.4, 0.4, 0.2])  # the last row is a's alone
    assert found["expected_return"].tolist() == pytest.approx([0.01] * 3)  # b tells none
    assert (found["model"] == "equal_weight").all() and (found["family"] == "ensemble").all()


def test_no_model_and_models_of_other_horizons_are_refused() -> None:
    with pytest.raises(BadData, match="an ensemble needs the forecasts of a model"):
        mean_forecasts([])
    with pytest.raises(BadData, match=r"models of different horizons \[12, 24\] have no mean"):
        mean_forecasts([forecasts("a", 0.2), forecasts("b", 0.2, horizon=12)])
