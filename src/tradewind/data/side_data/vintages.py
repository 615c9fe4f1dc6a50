"""Values as they were published, and what was known of them at each moment."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from tradewind.data.side_data.columns import empty_table, join_tables
from tradewind.data.side_data.spec import SideSpec

HOUR_MS = 3_600_000
_KNOWN = {"series": "str", "symbol": "str", "known_at": "datetime64[ms, UTC]", "value": "float64"}

Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


def as_known(vintages: pd.DataFrame, specs: Mapping[str, SideSpec] | None = None) -> pd.DataFrame:
    """The value of the latest period that was known, at each moment at which that changed (`schema.SideSeries`).

    A revision of the latest period counts; one of an older period does not, since the level has moved on. Where a
    series of `specs` says nothing for its `stale_after`, its value is missing from then on. Cutting the vintages at a
    moment changes nothing before it.

    Args:
        vintages: `schema.SideVintages`, in any order; of equal keys the last row counts.
        specs: by series; one without a spec never becomes stale.
    """
    if vintages.empty:
        return empty_table("vintages")[list(_KNOWN)]
    group = _groups(vintages)
    reference, known_ms = epoch_ms(vintages["reference_at"]), epoch_ms(vintages["known_at"])
    order = np.lexsort((reference, known_ms, group))  # stable: of equal keys the last stays last
    group, reference, known_ms = group[order], reference[order], known_ms[order]
    counts = _is_latest_period(group, reference) & _is_last_of_moment(group, known_ms)
    chosen = vintages.iloc[order[counts]][list(_KNOWN)].reset_index(drop=True)
    silence = _stale_rows(chosen, group[counts], known_ms[counts], specs or {})
    table = pd.concat([chosen, silence], ignore_index=True) if len(silence) else chosen
    table = table.sort_values(["series", "symbol", "known_at"], kind="stable", ignore_index=True)
    return table.astype(_KNOWN)


def _groups(vintages: pd.DataFrame) -> Integers:
    """A number for each series and symbol."""
    series = pd.factorize(vintages["series"])[0].astype(np.int64)
    symbol, symbols = pd.factorize(vintages["symbol"])
    return series * max(len(symbols), 1) + symbol


def _is_latest_period(group: Integers, reference: Integers) -> Bools:
    """Whether no newer period was known before (rows by group, known, reference)."""
    # Ranks instead of instants, so that a group's offset cannot overflow: later groups stand above all before them.
    rank = np.unique(reference, return_inverse=True)[1].astype(np.int64)
    place = np.unique(group, return_inverse=True)[1].astype(np.int64) * (int(rank.max()) + 1) + rank
    return np.asarray(place == np.maximum.accumulate(place))


def _is_last_of_moment(group: Integers, known_ms: Integers) -> Bools:
    is_last = np.ones(len(group), dtype=bool)
    is_last[:-1] = (group[1:] != group[:-1]) | (known_ms[1:] != known_ms[:-1])
    return is_last


def _stale_rows(
    chosen: pd.DataFrame, group: Integers, known_ms: Integers, specs: Mapping[str, SideSpec]
) -> pd.DataFrame:
    """A row without a value wherever a series has been silent for too long."""
    never = np.iinfo(np.int64).max
    allowed = chosen["series"].map({name: spec.stale_after_ms for name, spec in specs.items()})
    patience = allowed.fillna(0).to_numpy(np.int64)
    following = np.full(len(known_ms), never)
    following[:-1] = np.where(group[1:] == group[:-1], known_ms[1:], never)
    is_silent = (patience > 0) & (following - known_ms > patience)
    rows = chosen.loc[is_silent]
    stale_at = (known_ms[is_silent] + patience[is_silent]).astype("datetime64[ms]")
    return rows.assign(known_at=pd.DatetimeIndex(stale_at, tz="UTC"), value=np.nan)


def describe_coverage(vintages: pd.DataFrame, specs: Mapping[str, SideSpec]) -> pd.DataFrame:
    """`tables.SideCoverage` but for `bar_share`, which is 0: how much there is of each series and symbol, and when."""
    rows = []
    for (series, symbol), part in vintages.groupby(["series", "symbol"], sort=True):
        first = part.sort_values(["reference_at", "known_at"], kind="stable").drop_duplicates("reference_at")
        delay = epoch_ms(first["known_at"]) - epoch_ms(first["reference_at"])
        published = np.unique(epoch_ms(part["known_at"]))
        rows.append(
            {
                "series": series, "symbol": symbol, "unit": specs[series].unit if series in specs else "",
                "periods": len(first), "revisions": len(part) - len(first),
                "first_reference_at": part["reference_at"].min(), "last_reference_at": part["reference_at"].max(),
                "first_known_at": part["known_at"].min(), "last_known_at": part["known_at"].max(),
                "median_delay_hours": float(np.median(delay)) / HOUR_MS,
                "longest_silence_hours": float(np.diff(published).max(initial=0)) / HOUR_MS, "bar_share": 0.0,
            }
        )  # fmt: skip
    return join_tables("coverage", [pd.DataFrame(rows)])


def epoch_ms(instants: pd.Series) -> Integers:
    """UTC milliseconds of a column of instants."""
    return instants.dt.as_unit("ms").astype("int64").to_numpy()
