"""Months of opening times, UTC: the parts that bars are compared and kept in."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from tradewind.data.files.deliveries import Span


def months_between(first_ms: int, last_ms: int) -> dict[str, Span]:
    """Each month from that of the first instant to that of the last, by its name (`2024-01`)."""
    first, last = (np.datetime64(instant, "ms").astype("datetime64[M]") for instant in (first_ms, last_ms))
    begins = np.arange(first, last + 2)
    bounds = begins.astype("datetime64[ms]").astype(np.int64).tolist()
    return {str(begins[i]): Span(bounds[i], bounds[i + 1]) for i in range(len(begins) - 1)}


def rows_by_month(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The stored rows of each month, by its name; `rows` are in `deliveries.reading_order`."""
    opened: npt.NDArray[np.int64] = rows["open_time"].to_numpy()
    if not len(opened):
        return {}
    parts = {}
    for month, span in months_between(int(opened[0]), int(opened[-1])).items():
        begin, end = np.searchsorted(opened, [span.since_ms, span.until_ms])
        if begin < end:
            parts[month] = rows.iloc[begin:end]
    return parts
