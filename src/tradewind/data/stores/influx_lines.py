"""Points of InfluxDB: the lines that are written, the names that are escaped, and where in time a record stands.

InfluxDB knows a point by its measurement, its tags and its nanosecond, and a second one there replaces the first. A
tag for each version of a bar would make a series of each row, which InfluxDB 1.x and 2.x cannot carry. So a record
stands within the millisecond that it is about, at the nanosecond that its content says: a million places, the same for
every writer, and no tag beyond the key. Of two records that fall on one place, the second takes the next free one.
"""

from collections.abc import Iterable, Sequence
from math import isnan
from urllib.parse import quote, unquote

import numpy as np
import numpy.typing as npt
import pandas as pd

from tradewind.data.files.deliveries import VALUES

PLACES = 1_000_000  # nanoseconds in a millisecond
# What a tag cannot hold even escaped, or what unescaping would read as something else.
_UNSAFE = "%\\\n\r\t"
_SAFE = "".join(chr(code) for code in range(32, 127) if chr(code) not in _UNSAFE)
_EMPTY = "%"  # a tag must not be empty; a percent sign of a name is always followed by digits


def encode_tag(name: str) -> str:
    """`name` as a tag holds it: anything at all, readable where it is ordinary."""
    return _percent(name) if name else _EMPTY


def decode_tag(tag: str) -> str:
    """The name that a tag holds."""
    return "" if tag == _EMPTY else unquote(tag)


def line_start(measurement: str, tags: dict[str, str]) -> str:
    """A line up to its fields; `tags` are names as they are, in the order of their own names."""
    escaped = (f"{name}={_escape_tag(encode_tag(value))}" for name, value in sorted(tags.items()))
    return ",".join((measurement, *escaped)) + " "


def text_field(text: str) -> str:
    """A string as a field holds it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def select(fields: Iterable[str], measurement: str, condition: str = "") -> str:
    """The query for these fields.

    Args:
        fields: names, or sums with their own marks.
        measurement: that they are of.
        condition: made by `where`, which escapes what is not ours.

    Returns:
        SQL of InfluxDB.
    """
    given = f" WHERE {condition}" if condition else ""
    # Quoted, since `series` is a word of the language; a sum brings its own marks.
    named = (field if "(" in field else f'"{field}"' for field in fields)
    return f"SELECT {', '.join(named)} FROM {measurement}{given}"  # noqa: S608


def where(tags: dict[str, str]) -> str:
    """The condition of a query for these tags."""
    clauses = []
    for name, value in tags.items():
        literal = encode_tag(value).replace("\\", "\\\\").replace("'", "\\'")
        clauses.append(f"\"{name}\" = '{literal}'")
    return " AND ".join(clauses)


def bar_lines(start: str, rows: pd.DataFrame, time_ns: npt.NDArray[np.int64]) -> list[str]:
    """A line for each stored row; floats by their shortest exact digits, a missing value by its absence.

    Args:
        start: measurement and tags, escaped, with the blank that follows.
        rows: stored bars.
        time_ns: of each row, nanoseconds, shape (rows,).

    Returns:
        Line protocol.
    """
    values = {name: rows[name].tolist() for name in VALUES}
    parts = [[f"{name}={cell!r}," if not isnan(cell) else "" for cell in values[name]] for name in VALUES]
    received, hashes = rows["received_at"].tolist(), rows["content_hash"].tolist()
    return [
        f"{start}{''.join(cells)}received_at={at}i,content_hash={content}i,hash_low={content & 0x7FFFFFFF}i {ns}"
        for cells, at, content, ns in zip(
            zip(*parts, strict=True), received, hashes, time_ns.tolist(), strict=True
        )
    ]  # fmt: skip


def places_of(contents: Iterable[Sequence[object]]) -> list[int]:
    """For each record the place that its content says, the same on every machine (FNV-1a, Fowler, Noll, Vo 1991)."""
    places = []
    for content in contents:
        state = 0xCBF29CE484222325
        for byte in "\x1f".join(map(str, content)).encode("utf-8", "surrogatepass"):
            state = ((state ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
        places.append((state ^ (state >> 32)) % PLACES)
    return places


def free_times(
    at_ms: npt.NDArray[np.int64], places: npt.NDArray[np.int64], taken: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """A nanosecond for each record, within its millisecond and on its place, or on the next that nobody has taken.

    Args:
        at_ms: time of each record, UTC milliseconds, shape (records,).
        places: below `PLACES`, where a record's nanosecond should lie, shape (records,).
        taken: nanoseconds that others have.

    Returns:
        Nanoseconds, no two the same, shape (records,).
    """
    time_ns = at_ms * PLACES + places
    clash = np.isin(time_ns, taken) | pd.Series(time_ns).duplicated().to_numpy()
    if clash.any():
        used = {*taken.tolist(), *time_ns[~clash].tolist()}
        for position in np.flatnonzero(clash).tolist():
            base, place = int(at_ms[position]) * PLACES, int(places[position])
            while base + place in used:
                place = (place + 1) % PLACES
            used.add(base + place)
            time_ns[position] = base + place
    return time_ns


def _percent(name: str) -> str:
    return quote(name, safe=_SAFE, errors="surrogatepass")


def _escape_tag(tag: str) -> str:
    return tag.replace(",", "\\,").replace(" ", "\\ ").replace("=", "\\=")
