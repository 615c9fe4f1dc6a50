"""What happened to the rows that were forecast, as far as it is known."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd


def known_labels(model_input: Mapping[str, Callable[[], pd.DataFrame]], columns: Sequence[str]) -> pd.DataFrame:
    """Rows of all symbols whose label has ended: symbol, timestamp, label (int8) and `columns`.

    Args:
        model_input: by partition a function that loads model-input rows.
        columns: what is wanted beside the label.
    """
    wanted = ["symbol", "timestamp", "label", *columns]
    rows = pd.concat([load()[wanted].dropna() for load in model_input.values()], ignore_index=True)
    return rows.astype({"label": "int8"})
