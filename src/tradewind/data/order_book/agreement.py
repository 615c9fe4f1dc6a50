"""Whether a rebuilt book says what the exchange's own stream of best prices says."""

import numpy as np
import pandas as pd

from tradewind.data.order_book import events


def compare_quotes(seconds: pd.DataFrame, quotes: pd.DataFrame, skew_ms: float) -> dict[str, float]:
    """At each second of a whole book (of every book where none is whole), the best prices against the last quote.

    Changes of depth come in batches, quotes at once, so that a second in twenty may differ by what is under way.

    Args:
        seconds: a row a second of the rebuilt book: timestamp, bid, ask, is_whole.
        quotes: best prices as recorded, in order of time.
        skew_ms: how far the exchange's clock is ahead of the receiver's; used where quotes have no time of the
            exchange.

    Returns:
        seconds compared, equal_share, and largest_difference_bps between the mid-prices.
    """
    quoted_ms = events.exchange_time_ms(quotes, skew_ms)
    at = np.searchsorted(quoted_ms, seconds["timestamp"].to_numpy("datetime64[ms]").astype(np.int64), side="right") - 1
    is_whole = seconds["is_whole"].to_numpy()
    compared = (at >= 0) & (is_whole if is_whole.any() else True)
    if not compared.any():
        return {"seconds": 0.0, "equal_share": float("nan"), "largest_difference_bps": float("nan")}
    last, rows = quotes.iloc[at[compared]], seconds.loc[compared]
    bid, ask = last["bid_px"].to_numpy(), last["ask_px"].to_numpy()
    equal = (bid == rows["bid"].to_numpy()) & (ask == rows["ask"].to_numpy())
    difference = np.abs((bid + ask) / (rows["bid"] + rows["ask"]).to_numpy() - 1)
    return {
        "seconds": float(compared.sum()),
        "equal_share": float(equal.mean()),
        "largest_difference_bps": float(1e4 * difference.max()),
    }
