"""A table of bars against another: the same market on another timeframe, or at another venue."""

from collections.abc import Collection

import numpy as np
import pandas as pd

from tradewind.data.files.bar_key import BarKey
from tradewind.data.quality.grid import epoch_ms, key_of
from tradewind.data.quality.rules import AgreementRules
from tradewind.errors import BadParameters
from tradewind.market.resample import resample_closed
from tradewind.market.timeframes import bar_duration_ms

PRICES = ["open", "high", "low", "close"]
PRICE_TOLERANCE_BPS = 0.01  # decimal prices stored as binary fractions
VOLUME_TOLERANCE = 1e-4  # the faster bars' volumes are rounded one by one


def others_of(key: BarKey, available: Collection[str], rules: AgreementRules) -> dict[str, str]:
    """The partitions to compare with among those available, and of which kind each is.

    Args:
        key: the partition that is judged.
        available: partitions that there are, as `venue/symbol/timeframe`.
        rules: timeframes, venues and pairs to compare with.

    Returns:
        By partition "timeframe" or "venue".
    """
    bar_ms = bar_duration_ms(key.timeframe)
    others = {}
    for timeframe in rules.timeframes:
        other_ms = bar_duration_ms(timeframe)
        if other_ms != bar_ms and max(other_ms, bar_ms) % min(other_ms, bar_ms) == 0:
            others[f"{key.venue}/{key.symbol}/{timeframe}"] = "timeframe"
    for venue in rules.venues:
        if venue != key.venue:
            others[f"{venue}/{key.symbol}/{key.timeframe}"] = "venue"
    others |= {other: "venue" for judged, other in rules.pairs if judged == str(key)}
    return {other: kind for other, kind in others.items() if other in available}


def compare_bars(bars: pd.DataFrame, other: pd.DataFrame, tolerance_bps: float) -> pd.DataFrame:
    """One row of `QualityAgreement` for two tables of checked bars.

    Of different timeframes, the slower table must equal the faster one's bars put together, where all of these are
    there. Of the same timeframe, closes must agree within `tolerance_bps` of the median distance: the median is what a
    quote currency or a perpetual's basis makes, and no error.

    Args:
        bars: checked bars of one symbol: the judged ones.
        other: those that they are held against.
        tolerance_bps: for closes of the same timeframe, basis points.

    Returns:
        One row.

    Raises:
        BadParameters: one timeframe is no whole multiple of the other.
    """
    own_key, there = key_of(bars), key_of(other)
    bar_ms, other_ms = bar_duration_ms(own_key.timeframe), bar_duration_ms(there.timeframe)
    if max(bar_ms, other_ms) % min(bar_ms, other_ms):
        raise BadParameters(
            f"{own_key} and {there} cannot be compared: one timeframe must be a whole multiple of the other. "
            "Correct data_engineering.quality.agreement"
        )
    kind, tolerance = ("venue", tolerance_bps) if bar_ms == other_ms else ("timeframe", PRICE_TOLERANCE_BPS)
    if other_ms < bar_ms:
        other = put_together(other, own_key.timeframe)
    elif other_ms > bar_ms:
        bars = put_together(bars, there.timeframe)
    row = pd.DataFrame(own_key.columns(1))
    row["other"], row["kind"] = pd.Series([str(there)], dtype="str"), pd.Series([kind], dtype="str")
    return row.assign(**_distances(bars, other, kind, tolerance))


def no_agreement() -> pd.DataFrame:
    """The table of a symbol that is compared with nothing."""
    kinds = {
        **dict.fromkeys(("venue", "symbol", "timeframe", "other", "kind"), "str"),
        **dict.fromkeys(("compared", "agreeing"), "int64"),
        **dict.fromkeys(("tolerance_bps", "median_bps", "q99_bps", "worst_bps"), "float64"),
        "worst_at": "datetime64[ms, UTC]",
        "return_correlation": "float64",
        **dict.fromkeys(("only_here", "only_there"), "int64"),
    }
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})


def put_together(bars: pd.DataFrame, timeframe: str) -> pd.DataFrame:
    """The slower bars of which every faster one is there."""
    opened_ms, slow_ms = epoch_ms(bars["open_time"]), bar_duration_ms(timeframe)
    slow = resample_closed(bars.assign(segment=np.int32(0)), timeframe)
    start_ms = epoch_ms(slow["open_time"])
    parts = np.searchsorted(opened_ms, start_ms + slow_ms) - np.searchsorted(opened_ms, start_ms)
    return slow.loc[parts == slow_ms // bar_duration_ms(str(bars["timeframe"].iloc[0]))].reset_index(drop=True)


def _distances(bars: pd.DataFrame, other: pd.DataFrame, kind: str, tolerance_bps: float) -> dict[str, object]:
    opened, others = epoch_ms(bars["open_time"]), epoch_ms(other["open_time"])
    common, own_rows, there = np.intersect1d(opened, others, assume_unique=True, return_indices=True)
    bars, other = bars.iloc[own_rows], other.iloc[there]
    distance = 10_000 * np.log(bars["close"].to_numpy() / other["close"].to_numpy())
    median = float(np.median(distance)) if len(common) else np.nan
    if kind == "venue":
        apart = np.abs(distance - median)
        agrees = apart <= tolerance_bps
    else:
        apart = np.abs(10_000 * np.log(bars[PRICES].to_numpy() / other[PRICES].to_numpy())).max(axis=1, initial=0)
        volume, volume_there = bars["volume"].to_numpy(), other["volume"].to_numpy()
        agrees = (apart <= tolerance_bps) & (np.abs(volume - volume_there) <= VOLUME_TOLERANCE * volume)
    worst = int(apart.argmax()) if len(common) else 0
    return {
        "compared": np.int64(len(common)),
        "agreeing": np.int64(agrees.sum()),
        "tolerance_bps": float(tolerance_bps),
        "median_bps": median,
        "q99_bps": float(np.quantile(apart, 0.99)) if len(common) else np.nan,
        "worst_bps": float(apart[worst]) if len(common) else np.nan,
        "worst_at": bars["timestamp"].iloc[worst : worst + 1].reset_index(drop=True),
        "return_correlation": _correlation(bars, other),
        **_unshared(opened, others, len(common)),
    }


def _correlation(bars: pd.DataFrame, other: pd.DataFrame) -> float:
    """Of the returns from one common bar to the next; missing where there are fewer than three or none moves."""
    if len(bars) < 4:
        return float("nan")
    ours, theirs = (np.diff(np.log(table["close"].to_numpy())) for table in (bars, other))
    return float(np.corrcoef(ours, theirs)[0, 1]) if ours.std() > 0 and theirs.std() > 0 else float("nan")


def _unshared(opened: np.ndarray, others: np.ndarray, common: int) -> dict[str, np.int64]:
    """Bars of the common span that one of the two lacks."""
    if not len(opened) or not len(others):
        return {"only_here": np.int64(0), "only_there": np.int64(0)}
    first, last = max(opened[0], others[0]), min(opened[-1], others[-1])
    inside = [int(((times >= first) & (times <= last)).sum()) for times in (opened, others)]
    return {"only_here": np.int64(inside[0] - common), "only_there": np.int64(inside[1] - common)}
