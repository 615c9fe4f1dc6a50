"""A source that has no such table."""

from typing import Any, Literal

import pandas as pd
from kedro.io import AbstractDataset, DatasetError

from tradewind.errors import BadParameters

_INSTANT = "datetime64[ms, UTC]"
_COLUMNS = {
    "side_series": {"series": "str", "symbol": "str", "known_at": _INSTANT, "value": "float64"},
    "oracle": {"symbol": "str", "timestamp": _INSTANT, "expected_return": "float64", "target": "float64"},
}


class NoTableDataset(AbstractDataset[None, pd.DataFrame]):
    """An empty table with the right columns, for a source that has no side series or no known oracle."""

    def __init__(self, *, table: Literal["side_series", "oracle"], metadata: dict[str, Any] | None = None) -> None:
        if table not in _COLUMNS:
            raise BadParameters(f"table must be one of {sorted(_COLUMNS)}, found {table!r}")
        self._table = table
        self.metadata = metadata

    def load(self) -> pd.DataFrame:
        """The empty table."""
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in _COLUMNS[self._table].items()})

    def save(self, data: None) -> None:
        """Refused: there is nowhere to write to."""
        raise DatasetError(f"the empty table {self._table!r} is only read")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"table": self._table}
