"""Whether what is said to happen with probability p happens in a share p of the cases."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.metrics.classification import CLASS_NAMES, CLASSES


def reliability_table(label: NDArray[np.int8], probability: NDArray[np.float64], bins: int = 10) -> pd.DataFrame:
    """class, bin, mean_predicted, observed, count: equal-width bins of the predicted probability, empty ones left
    out.

    Args:
        label: shape (rows,), the class that came true: -1, 0 or 1.
        probability: shape (rows, 3), of down, flat and up.
        bins: equal parts of [0, 1].
    """
    rows = []
    for column, kind in enumerate(CLASSES):
        predicted = probability[:, column]
        place = np.minimum((predicted * bins).astype(np.int64), bins - 1)
        for number in np.unique(place):
            inside = place == number
            observed = float(np.mean(label[inside] == kind))
            rows.append((CLASS_NAMES[kind], int(number), float(predicted[inside].mean()), observed, int(inside.sum())))
    return pd.DataFrame(rows, columns=["class", "bin", "mean_predicted", "observed", "count"])


def expected_calibration_error(label: NDArray[np.int8], probability: NDArray[np.float64], bins: int = 10) -> float:
    """Mean distance between predicted and observed over the bins, by count, averaged over the classes (Naeini 2015).

    Args:
        label: shape (rows,), the class that came true: -1, 0 or 1.
        probability: shape (rows, 3), of down, flat and up.
        bins: equal parts of [0, 1].
    """
    table = reliability_table(label, probability, bins)
    distance = (table["mean_predicted"] - table["observed"]).abs() * table["count"]
    return float(distance.sum() / table["count"].sum())
