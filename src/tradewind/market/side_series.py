"""Side series as a source delivers them become a checked table."""

import numpy as np
import pandas as pd

from tradewind.errors import BadData
from tradewind.market.universe import Universe

_KEY = ["series", "symbol", "known_at"]


def select_side_series(received: pd.DataFrame, universe: Universe) -> pd.DataFrame:
    """The series that the universe names, for its symbols or market-wide, sorted by series, symbol and time.

    Rows that are equal in every column count once.

    Raises:
        BadData: a column or a named series is missing, a value is not finite, or one instant has two values.
    """
    missing_columns = [name for name in (*_KEY, "value") if name not in received]
    if missing_columns:
        raise BadData(
            f"side series need the columns {[*_KEY, 'value']}; missing {missing_columns}, found "
            f"{list(received.columns)}"
        )
    symbols = ["", *universe.symbols]
    is_wanted = received["series"].isin(universe.side_series) & received["symbol"].isin(symbols)
    wanted = received.loc[is_wanted, [*_KEY, "value"]].drop_duplicates()
    _require_named(received, wanted, universe)
    _require_sound(wanted)
    return wanted.sort_values(_KEY, kind="stable").reset_index(drop=True)


def _require_named(received: pd.DataFrame, wanted: pd.DataFrame, universe: Universe) -> None:
    absent = sorted(set(universe.side_series) - set(wanted["series"]))
    if absent:
        raise BadData(
            f"universe.side_series names {absent}, which the source does not have for {list(universe.symbols)}; it "
            f"has {sorted(set(received['series']))}. Remove them from the universe or add them to the source"
        )


def _require_sound(wanted: pd.DataFrame) -> None:
    infinite = wanted.loc[~np.isfinite(wanted["value"].to_numpy(dtype=np.float64))]
    if len(infinite):
        raise BadData(
            f"side series hold {len(infinite)} values that are not finite, first {_describe(infinite)}: "
            "leave such rows out of the source"
        )
    repeated = wanted.loc[wanted.duplicated(_KEY, keep=False)]
    if len(repeated):
        raise BadData(
            f"side series hold {len(repeated)} rows that give one instant several values, first "
            f"{_describe(repeated)}: keep one of them in the source"
        )


def _describe(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    return f"{first['series']} {first['symbol'] or '(market-wide)'} at {first['known_at']}: {first['value']}"
