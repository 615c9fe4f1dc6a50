"""Tables of all symbols, taken apart once: a search for each symbol's rows would be quadratic in symbols."""

import pandas as pd


class SymbolRows(dict[str, pd.DataFrame]):
    """The rows of each symbol in their order, from a table with a column `symbol`; none for one it does not have."""

    def __init__(self, table: pd.DataFrame) -> None:
        """Take the table apart."""
        super().__init__({str(name): part for name, part in table.groupby("symbol", sort=False)})
        self._none = table.iloc[:0]

    def __missing__(self, symbol: str) -> pd.DataFrame:
        return self._none


class SeriesRows:
    """The rows of side series (`schema.SideSeries`: series, symbol ("" for all symbols), known_at, value)."""

    def __init__(self, side_series: pd.DataFrame) -> None:
        """Take the table apart."""
        self._parts = {
            (str(series), str(symbol)): part
            for (series, symbol), part in side_series.groupby(["series", "symbol"], sort=False)
        }
        self._none = side_series.iloc[:0]

    def own(self, series: str, symbol: str) -> pd.DataFrame:
        """Those of a series that name exactly this symbol ("": those for all symbols), in their order."""
        return self._parts.get((series, symbol), self._none)

    def known(self, series: str, symbol: str) -> pd.DataFrame:
        """Those of a series that concern the symbol, its own and those for all symbols, in their order."""
        own, everywhere = self.own(series, symbol), self.own(series, "")
        if own.empty or everywhere.empty:
            return everywhere if own.empty else own
        return pd.concat([own, everywhere]).sort_index(kind="stable")
