"""Labels that have ended are integers; where a judged agent has no forecasts, nothing of them is a number."""

import numpy as np
import pandas as pd

from tradewind.evaluation.known_labels import known_labels

ROWS = pd.DataFrame(
    {
        "symbol": "A",
        "timestamp": pd.date_range("2024-01-01", periods=4, freq="h", tz="UTC"),
        "label": pd.Series([1, 0, -1, None], dtype="Int8"),
        "forward_return": [0.1, 0.0, -0.1, np.nan],
    }
)


def test_rows_without_a_label_are_left_out_and_the_rest_are_integers() -> None:
    found = known_labels({"v/A/1h": lambda: ROWS}, ["forward_return"])
    assert list(found["label"]) == [1, 0, -1] and found["label"].dtype == np.int8


def test_no_rows_have_no_most_frequent_class_and_no_error() -> None:
    none = known_labels({"v/A/1h": lambda: ROWS}, ["forward_return"]).iloc[:0]
    assert np.isnan(float(none["label"].value_counts(normalize=True).max()))
