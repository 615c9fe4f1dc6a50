"""When a label is settled: its outcome was known by then and can no longer change.

A barrier that is touched decides the label at `exit_time`, and yet the row is settled at `horizon_end` alone. Until
then nobody knows whether it will have a label at all (a gap before the end of the horizon takes it away, so that
learning at `exit_time` would choose rows by what comes later), and its `forward_return` looks as far.
"""

from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.errors import BadData

NEEDED = ["label", "forward_return", "weight"]


def is_settled(rows: pd.DataFrame, as_of: datetime) -> NDArray[np.bool_]:
    """Which rows may be learned from at this instant, (rows,).

    Args:
        rows: model input: label, forward_return and weight, and horizon_end.
        as_of: aware; a label that ends at this very instant is known.
    """
    known = rows[NEEDED].notna().all(axis=1)
    return (known & (rows["horizon_end"] <= as_of)).to_numpy()


def require_settled(rows: pd.DataFrame, as_of: datetime) -> None:
    """Nothing, where every row is settled at this instant.

    Raises:
        BadData: a row is not, with how many are not and the first of them.
    """
    early = ~is_settled(rows, as_of)
    if early.any():
        first = rows.loc[early].iloc[0]
        raise BadData(
            f"{int(early.sum())} of {len(rows)} labels are not settled at {as_of:%Y-%m-%d %H:%M} UTC, the first is "
            f"that of {first['symbol']} at {first['timestamp']:%Y-%m-%d %H:%M}: its horizon_end has not come"
        )
