"""Runs: gaps, bars that repeat the close before them, bars without volume."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from tradewind.data.files.bar_key import BarKey
from tradewind.data.quality.counts import is_next, is_stale, join_rows
from tradewind.data.quality.grid import Grid, epoch_ms, grid_of, key_of
from tradewind.data.quality.rules import RunRules


def find_runs(bars: pd.DataFrame, rules: RunRules, grid: Grid | None = None) -> pd.DataFrame:
    """Every gap, and the stale and volumeless runs that are long enough (`QualityRuns`), by kind and start.

    Args:
        bars: one symbol's checked bars.
        rules: how many bars make a stale or volumeless run.
        grid: the time in which bars are expected; from the first to the last bar if None.

    Returns:
        One row a run.
    """
    grid = grid or grid_of(bars)
    opened, lengths = grid.gaps()
    key = key_of(bars)
    return join_rows(
        [
            _table(key, "gap", opened, opened + lengths * grid.bar_ms, lengths),
            _runs(bars, key, "stale", is_stale(bars), rules.stale_bars),
            _runs(bars, key, "zero_volume", bars["volume"].to_numpy() == 0, rules.zero_volume_bars),
        ]
    )


def _runs(bars: pd.DataFrame, key: BarKey, kind: str, is_in: npt.NDArray[np.bool_], least: int) -> pd.DataFrame:
    """Stretches of bars that are `is_in`, one right after the other; a gap ends a run."""
    joins = np.r_[False, is_in[1:] & is_in[:-1] & is_next(bars)]
    first = np.flatnonzero(is_in & ~joins)
    last = np.flatnonzero(is_in & ~np.r_[joins[1:], False])
    lengths = last - first + 1
    is_long = lengths >= least
    return _table(
        key,
        kind,
        epoch_ms(bars["open_time"])[first[is_long]],
        epoch_ms(bars["timestamp"])[last[is_long]],
        lengths[is_long],
    )


def _table(
    key: BarKey, kind: str, start_ms: npt.NDArray[np.int64], end_ms: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
) -> pd.DataFrame:  # fmt: skip
    table = pd.DataFrame(key.columns(len(lengths)))
    table["kind"] = pd.Series([kind] * len(lengths), dtype="str")
    table["start"] = pd.DatetimeIndex(start_ms.astype("datetime64[ms]"), tz="UTC")
    table["end"] = pd.DatetimeIndex(end_ms.astype("datetime64[ms]"), tz="UTC")
    table["bars"] = lengths.astype(np.int64)
    return table
