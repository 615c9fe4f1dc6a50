"""What is traded, and on which bar."""

from datetime import timedelta
from typing import Annotated

import pandas as pd
from pydantic import Field, StringConstraints, model_validator

from tradewind.market.series import QUALITY_SERIES
from tradewind.market.timeframes import bar_duration
from tradewind.parameters import Parameters

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]


class Universe(Parameters):
    """The symbols of one venue on one timeframe (`params:universe`).

    `reference_symbol` is the asset that cross-asset features compare against (the first symbol unless given).
    `side_series` names the side series joined to every bar; empty where a source has none. Those of
    `quality.rules.QUALITY_SERIES` are made of the bars, all others come from the source.
    """

    venue: Name
    symbols: Annotated[tuple[Name, ...], Field(min_length=1)]
    timeframe: str
    reference_symbol: Name | None = None
    side_series: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> "Universe":
        bar_duration(self.timeframe)
        if len(set(self.symbols)) != len(self.symbols):
            raise ValueError(f"universe.symbols holds a symbol twice: {list(self.symbols)}")
        if self.reference_symbol is not None and self.reference_symbol not in self.symbols:
            raise ValueError(
                f"universe.reference_symbol {self.reference_symbol!r} is not in symbols {list(self.symbols)}"
            )
        return self

    @property
    def reference(self) -> str:
        """The symbol that cross-asset features compare against."""
        return self.reference_symbol or self.symbols[0]

    @property
    def received_side_series(self) -> tuple[str, ...]:
        """The side series that the source must have."""
        return tuple(name for name in self.side_series if name not in QUALITY_SERIES)

    @property
    def bar(self) -> timedelta:
        """Duration of one bar."""
        return bar_duration(self.timeframe)

    @property
    def bars_per_year(self) -> float:
        """Bars in a year of round-the-clock trading (365.25 days)."""
        return pd.Timedelta(days=365.25) / pd.Timedelta(self.bar)

    def partition(self, symbol: str) -> str:
        """The partition of `symbol` in every per-symbol table: `venue/symbol/timeframe`."""
        return f"{self.venue}/{symbol}/{self.timeframe}"

    @property
    def partitions(self) -> tuple[str, ...]:
        """The partitions of all symbols, in the order of `symbols`."""
        return tuple(self.partition(symbol) for symbol in self.symbols)
