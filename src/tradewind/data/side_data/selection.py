"""Side series as published become what was known of them at each moment."""

import pandas as pd

from tradewind.data.side_data.catalogue import SERIES
from tradewind.data.side_data.vintages import as_known
from tradewind.market.universe import Universe


def select_side_series(vintages: pd.DataFrame, universe: Universe) -> pd.DataFrame:
    """The series that the universe names, for its symbols or market-wide, as they were known (`schema.SideSeries`).

    A table without `reference_at` holds values that are of the moment they were known at. A value is missing from
    where its series is stale on (`SideSpec.stale_after`).
    """
    is_wanted = vintages["series"].isin(universe.side_series) & vintages["symbol"].isin(["", *universe.symbols])
    wanted = vintages.loc[is_wanted]
    if "reference_at" not in wanted:
        wanted = wanted.assign(reference_at=wanted["known_at"])
    return as_known(wanted, SERIES)
