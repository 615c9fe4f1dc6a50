"""What must hold within a bar, beyond prices in order."""

import numpy as np
import numpy.typing as npt
import pandas as pd

Bools = npt.NDArray[np.bool_]
QUOTE_TOLERANCE = 1e-3  # volumes are rounded to the lot
QUOTE = "the mean price, quote volume / volume, lies within low and high"
UNMOVED = "no price moves without volume"
TRADED = "trades and volume are there together"


def broken_relations(bars: pd.DataFrame) -> dict[str, tuple[Bools, Bools]]:
    """For each relation which bars break it and which could be looked at; only those that the columns allow."""
    volume = bars["volume"].to_numpy(dtype=np.float64)
    high, low = bars["high"].to_numpy(), bars["low"].to_numpy()
    by_name = {UNMOVED: ((volume == 0) & (high > low), np.ones(len(bars), dtype=bool))}
    if "quote_volume" in bars:
        quote = bars["quote_volume"].to_numpy(dtype=np.float64)
        is_checked = np.isfinite(quote) & (volume > 0)
        mean = np.divide(quote, volume, out=np.ones_like(quote), where=is_checked)
        is_off = (mean < low * (1 - QUOTE_TOLERANCE)) | (mean > high * (1 + QUOTE_TOLERANCE))
        by_name[QUOTE] = (is_checked & is_off, is_checked)
    if "trades" in bars:
        trades = bars["trades"].to_numpy(dtype=np.float64)
        is_checked = np.isfinite(trades)
        by_name[TRADED] = (is_checked & ((trades == 0) != (volume == 0)), is_checked)
    return by_name
