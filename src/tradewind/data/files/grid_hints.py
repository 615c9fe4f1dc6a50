"""What rows that are off the grid of their bars have in common, and the setting that would put them on it."""

import numpy as np
import numpy.typing as npt

from tradewind.market.timeframes import bar_anchor_ms, bar_duration_ms

_DAY_MS, _MINUTE_MS = 86_400_000, 60_000
_DAYS = ("Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday")  # 1970-01-01 was the first


def off_grid(opened_ms: npt.NDArray[np.int64], timeframe: str) -> npt.NDArray[np.bool_]:
    """Which opening times are none of a bar of this duration."""
    bar_ms = bar_duration_ms(timeframe)
    return np.asarray((opened_ms - bar_anchor_ms(bar_ms)) % bar_ms != 0)


def explain_off_grid(opened_ms: npt.NDArray[np.int64], timeframe: str) -> str:
    """How the rows lie that are off the grid, with the remedy: `they open on Fridays; set week_start=fri`."""
    bar_ms = bar_duration_ms(timeframe)
    off = opened_ms[off_grid(opened_ms, timeframe)]
    if not len(off):
        return ""
    times = np.unique(off % _DAY_MS)
    if bar_ms % (7 * _DAY_MS) == 0 and len(times) == 1 and times[0] == 0:
        days = np.unique(off // _DAY_MS % 7)
        if len(days) == 1:
            name = _DAYS[int(days[0])]
            return f"they open on {name}s; set week_start={name[:3].lower()}"
        return f"they open on {', '.join(_DAYS[int(day)] + 's' for day in days)}: they are no weeks; correct timeframe"
    if bar_ms % _DAY_MS == 0 and bar_ms > _DAY_MS and not times.any():
        return f"bars of {timeframe} are counted from 1970-01-01, and these rows are not; correct timeframe"
    if bar_ms % _DAY_MS == 0:
        clock = ", ".join(f"{int(at) // 3_600_000:02d}:{int(at) // 60_000 % 60:02d}" for at in times[:4])
        return (
            f"they open at {clock} UTC, days at 00:00; if they are dated by sessions, name their zone: "
            "set timezone=America/New_York"
        )
    past = np.unique(off % bar_ms // _MINUTE_MS)
    if len(past) <= 2:  # two of them in a zone with summer time
        minutes = " or ".join(str(int(one)) for one in past)
        return f"they open {minutes} minutes past it; correct timezone, or time_is if they are stamped at the close"
    return "they are no regular bars; correct timeframe"


def months_between(instants_ms: npt.NDArray[np.float64]) -> int:
    """How many calendar months rows are apart where they are dated by months (3: quarters, 12: years); 0 where not.

    Rows by months have steps of 28 to 31 days that differ, or stand on the first or the last day of their months.

    Args:
        instants_ms: of one symbol's rows (UTC milliseconds), distinct and rising.
    """
    if len(instants_ms) < 2:
        return 0
    # Noon is in the same month in the zones in which such rows are written: their midnight is at most 12 hours off.
    days = (np.asarray(instants_ms, dtype=np.int64) + _DAY_MS // 2) // _DAY_MS
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]").astype(np.int64)
    apart, steps = np.diff(months), np.diff(days)
    sizes, counts = np.unique(apart, return_counts=True)
    usual = int(sizes[np.argmax(counts)])
    if usual < 1 or counts.max() * 2 <= len(apart) or steps.min() < 27:  # the last business days of two months
        return 0
    first_of_next = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    is_at_an_end = (days == months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)).all() or (
        days == first_of_next - 1
    ).all()
    differ = len(np.unique(steps[apart == usual])) > 1
    return usual if is_at_an_end or differ else 0
