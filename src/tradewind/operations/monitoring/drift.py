"""Features, forecasts and labels of new bars beside those that a bundle was trained on."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from tradewind.errors import BadModel
from tradewind.market.parts import SymbolRows
from tradewind.metrics.drift import COMPONENTS, DriftReference, DriftWindow
from tradewind.operations.bundle.contents import DRIFT, Bundle
from tradewind.operations.bundle.drift import PROBABILITIES, indicators

COLUMNS = ("symbol", "kind", "window_from", "window_to", "rows", "column", "component", "over_threshold", "changed")


def references_of(bundle: Bundle) -> dict[str, Any]:
    """What the bundle says of drift (`bundle.drift.drift_document`).

    Args:
        bundle: of the registry.

    Raises:
        BadModel: it was made without.
    """
    if DRIFT not in bundle.files:
        raise BadModel(f"bundle {bundle.identity[:24]} has no {DRIFT}: deploy the model again to have it watched")
    document: dict[str, Any] = bundle.document(DRIFT)
    return document


def drift_table(bundle: Bundle, rows: pd.DataFrame, forecasts: pd.DataFrame) -> pd.DataFrame:
    """The scores of every column over every whole window since the training ended.

    Args:
        bundle: what was trained.
        rows: features and labels of the bars after it, of all symbols, in the order of time.
        forecasts: of the bundle's model for the same rows: symbol, timestamp, `p_*`.

    Returns:
        A row a symbol, kind, window, column and component; `over_threshold` above 1 is a change. Empty while no
        window is whole or the bundle has no reference.
    """
    document = references_of(bundle)
    tables = []
    own_rows, own_forecasts = SymbolRows(rows), SymbolRows(forecasts)
    for symbol, kinds in document["references"].items():
        own, forecast = own_rows[symbol], own_forecasts[symbol]
        values = {
            "features": (own["timestamp"], own[list(bundle.spec.features)].to_numpy(np.float64)),
            "forecasts": (forecast["timestamp"], forecast[list(PROBABILITIES)].to_numpy(np.float64)),
            "labels": (own["timestamp"], indicators(own["label"].to_numpy(dtype=np.float64, na_value=np.nan))),
        }
        for kind, reference in kinds.items():
            if "none" in reference:
                continue
            learned = DriftReference.of_document(reference)
            at, table = values[kind]
            if kind == "labels":  # a label that nobody can know yet is not missing
                known = np.isfinite(table).all(axis=1)
                at, table = at[known], table[known]
            tables += list(_windows(symbol, kind, learned, at, table))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))


def missing_references(bundle: Bundle) -> list[str]:
    """Why some references are not there, a sentence each.

    Args:
        bundle: of the registry.
    """
    return [
        f"{symbol}, {kind}: {reference['none']}"
        for symbol, kinds in references_of(bundle)["references"].items()
        for kind, reference in kinds.items()
        if "none" in reference
    ]


def _windows(symbol: str, kind: str, learned: DriftReference, at: pd.Series, values: Any) -> Iterator[pd.DataFrame]:
    size = learned.window
    for start in range(len(values) % size, len(values), size):
        window = DriftWindow(learned)
        window.add(values[start : start + size])
        over = window.scores() / learned.threshold
        count = len(learned.columns)
        yield pd.DataFrame(
            {
                "symbol": symbol, "kind": kind, "window_from": at.iloc[start], "window_to": at.iloc[start + size - 1],
                "rows": size, "column": np.repeat(np.array(learned.columns, dtype=object), len(COMPONENTS)),
                "component": list(COMPONENTS) * count, "over_threshold": over.ravel(), "changed": over.ravel() > 1.0,
            }
        )  # fmt: skip
