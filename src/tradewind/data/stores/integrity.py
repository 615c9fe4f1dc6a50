"""Whether rows that come back from a store are those that went in."""

import numpy as np
import pandas as pd

from tradewind.data.files.deliveries import VALUES, content_hash
from tradewind.errors import BadData


def intact_rows(rows: pd.DataFrame, where: str) -> pd.DataFrame:
    """The stored rows, if the content of each is the one that its hash was made of.

    Raises:
        BadData: it is not; how many, and when the first of them opens.
    """
    altered = np.flatnonzero(content_hash({name: rows[name].to_numpy() for name in VALUES}) != rows["content_hash"])
    if len(altered):
        first = np.datetime64(int(rows["open_time"].iloc[altered[0]]), "ms")
        raise BadData(
            f"{where} is damaged: {len(altered)} rows are not as they were stored, the first opens at {first}: "
            "restore them from a copy"
        )
    return rows
