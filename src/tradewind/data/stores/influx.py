"""Bars in InfluxDB, which has no transactions and keeps the last of equal points; see `influx_lines` for the points.

So that the laws hold all the same: a record's place follows from its content, so equal records meet; what is stored
is read before anything is written, so that an earlier `received_at` stays; rows are written first and the ledger last,
so that a killed delivery made again completes itself. Writers of one key on one machine wait for each other; writers
on several machines must not share a key at one moment (Tradewind gives a key to one worker at a time).
"""

import time
from collections.abc import Callable, Sequence
from secrets import randbelow

import numpy as np
import numpy.typing as npt
import pandas as pd

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import IDENTITY, VALUES, Delivery, Receipt, Span, merge_rows, stored_columns
from tradewind.data.stores.base import Fingerprint
from tradewind.data.stores.influx_http import InfluxHttp, Rules, Window
from tradewind.data.stores.influx_lines import (
    PLACES,
    bar_lines,
    decode_tag,
    free_times,
    line_start,
    places_of,
    select,
    text_field,
    where,
)
from tradewind.data.stores.integrity import intact_rows
from tradewind.data.stores.one_writer import one_writer
from tradewind.data.stores.tables import (
    LEDGER,
    check_vintages,
    covered_spans,
    ledger_line,
    ledger_rows,
    merge_vintages,
    no_vintages,
    rejected_rows,
)
from tradewind.errors import BadData
from tradewind.market.timeframes import bar_duration_ms

__all__ = ["InfluxStore", "Rules"]

_BATCH = 10_000
_ROWS = 100_000  # in an answer, so that two fit in memory
_KEY = ("venue", "symbol", "timeframe")
_ROW_FIELDS = {**dict.fromkeys(VALUES, "float64"), "received_at": "int64", "content_hash": "int64"}
_IDENTITY_FIELDS = {"received_at": "int64", "content_hash": "int64"}
_ALWAYS = ("received_at", "content_hash", *VALUES[:5])
_LOOKS = 5  # a row that is being written is whole a moment later


class InfluxStore:
    """`base.Store` over HTTP."""

    def __init__(self, rules: Rules, wait: Callable[[float], None] = time.sleep) -> None:
        """The store that `rules` name; it connects when first asked. `wait` gets the seconds between attempts."""
        self._http = InfluxHttp(rules, wait)
        self._wait = wait

    def append(self, delivery: Delivery) -> Receipt:
        """Add a delivery in an order that makes it complete when it is made again (`base.Store.append`)."""
        with one_writer(f"{self._http.where} {delivery.key}"):
            new = 0
            for start in range(0, len(delivery.rows), _BATCH):
                new += self._add_rows(delivery.key, delivery.rows.iloc[start : start + _BATCH])
            self._add_rejected(delivery)
            self._add_covered(delivery)
            known = len(delivery.rows) - new + delivery.repeated
            receipt = Receipt(delivery.rows_received, new, known, len(delivery.rejected))
            self._add_line(delivery, receipt)
        return receipt

    def keys(self) -> list[BarKey]:
        """Which bars there are, sorted."""
        found = self._http.records(f"{select(['last(content_hash)'], 'bars')} GROUP BY {', '.join(_KEY)}")
        keys = [BarKey(**{name: decode_tag(record[name]) for name in _KEY}) for record in found]
        return sorted(keys, key=lambda key: (key.venue, key.symbol, key.timeframe))

    def read(self, key: BarKey, span: Span | None = None) -> pd.DataFrame:
        """The stored rows in `deliveries.reading_order`.

        Raises:
            BadData: a row is not the one that was stored.
        """
        windows = _windows(self._ends(key), span, key)
        for _ in range(_LOOKS):
            found = [self._http.numbers(_ROW_FIELDS, "bars", where(key.model_dump()), window) for window in windows]
            pieces = [piece.to_pandas() for piece in found if piece is not None]
            if not pieces:
                return stored_columns()
            rows = pd.concat(pieces, ignore_index=True)
            if not rows[list(_ALWAYS)].isna().to_numpy().any():
                rows["open_time"] = rows.pop("time") // PLACES
                return intact_rows(merge_rows([rows[list(stored_columns())]]), f"{key} in {self._http.where}")
            self._wait(0.1)
        raise BadData(f"{key} in {self._http.where} has points without {_ALWAYS}: delete what else wrote them")

    def fingerprints(self, key: BarKey) -> dict[str, Fingerprint]:
        """What each month adds up to, summed by the server for each day."""
        ends = self._ends(key)
        if ends is None:
            return {}
        # Without an upper bound the server would stop at its own clock.
        bounds = f"{where(key.model_dump())} AND time >= {ends[0]} AND time < {ends[1]} GROUP BY time(1d) fill(none)"
        sums = ("count(content_hash)", "sum(received_at) AS received", "sum(hash_low) AS hashes")
        months: dict[str, Fingerprint] = {}
        for day in self._http.records(select(sums, "bars", bounds)):
            month = str(np.datetime64(day["time"] // PLACES, "ms").astype("datetime64[M]"))
            so_far = months.get(month, Fingerprint(0, 0, 0))
            months[month] = Fingerprint(
                so_far.rows + day["count"], so_far.received_sum + day["received"], so_far.hash_sum + day["hashes"]
            )
        return months

    def covered(self, key: BarKey) -> list[tuple[Span, int]]:
        """The spans that a source has answered for, each with when it was asked (epoch ms)."""
        found = self._http.records(select(["until_at", "asked_at"], "covered", where(key.model_dump())))
        return covered_spans((row["time"] // PLACES, row["until_at"], row["asked_at"]) for row in found)

    def rejected(self) -> pd.DataFrame:
        """Every rejected row, each content once, sorted by all columns."""
        found = self._http.records(select([*_KEY, "source_row", "reason", "content"], "refused"))
        return rejected_rows(
            [
                (*(decode_tag(row[name]) for name in _KEY), row["source_row"], row["reason"], row["content"])
                for row in found
            ]
        )

    def ledger(self) -> pd.DataFrame:
        """Every delivery, in the order of received_at."""
        found = self._http.records(select(LEDGER, "ledger"))
        return ledger_rows([[decode_tag(row[name]) if name in _KEY else row[name] for name in LEDGER] for row in found])

    def append_side(self, vintages: pd.DataFrame) -> int:
        """Add values of side series; how many are new.

        Raises:
            BadData: a value differs from the one that is stored for the same moment; nothing is added then.
        """
        checked = check_vintages(vintages)
        if checked.empty:
            return 0
        with one_writer(f"{self._http.where} side"):
            stored = self._side(checked["series"].unique().tolist())
            union = merge_vintages([stored.drop(columns="time"), checked], self._http.where)
            new = checked.merge(stored, how="left", on=list(checked), indicator=True).query("_merge == 'left_only'")
            known_ms = new["known_at"].astype("int64").to_numpy()
            at_ms = new["reference_at"].astype("int64").to_numpy()
            names = list(zip(new["series"].tolist(), new["symbol"].tolist(), strict=True))
            # Values of other series may share a nanosecond: their tags tell them apart.
            places = places_of([(*name, known) for name, known in zip(names, known_ms.tolist(), strict=True)])
            time_ns = free_times(at_ms, np.array(places, dtype=np.int64), stored["time"].to_numpy())
            self._http.write(
                [
                    f"{line_start('side', {'series': series, 'symbol': symbol})}known_at={known}i,value={value!r} {ns}"
                    for (series, symbol), known, value, ns in zip(
                        names, known_ms.tolist(), new["value"].tolist(), time_ns.tolist(), strict=True
                    )
                ]
            )
        return len(union) - len(stored)

    def read_side(self, series: Sequence[str] | None = None) -> pd.DataFrame:
        """The stored vintages of the named series (default: all)."""
        return merge_vintages([self._side(series).drop(columns="time")], self._http.where)

    def close(self) -> None:
        """Give back connections."""
        self._http.close()

    def _ends(self, key: BarKey) -> Window | None:
        """From the first time of a key's rows to past the last, in ns."""
        found = [
            next(self._http.records(select([f"{end}(content_hash)"], "bars", where(key.model_dump()))), None)
            for end in ("first", "last")
        ]
        return None if found[0] is None or found[1] is None else (found[0]["time"], found[1]["time"] + 1)

    def _add_rows(self, key: BarKey, rows: pd.DataFrame) -> int:
        """How many of the rows are new; of the others an earlier `received_at` is kept."""
        span = Span(int(rows["open_time"].min()), int(rows["open_time"].max()) + 1)
        window = (span.since_ms * PLACES, span.until_ms * PLACES)
        found = self._http.numbers(_IDENTITY_FIELDS, "bars", where(key.model_dump()), window)
        start = line_start("bars", key.model_dump())
        taken = np.empty(0, dtype=np.int64)
        new, lines = rows, []
        if found is not None:
            stored = found.to_pandas()
            taken = stored["time"].to_numpy()
            stored["open_time"] = taken // PLACES
            # Joined from within, since a join that leaves holes would make floats of the nanoseconds.
            known = rows.assign(position=np.arange(len(rows))).merge(stored, on=IDENTITY, suffixes=("", "_stored"))
            earlier = known[known["received_at"] < known["received_at_stored"]]
            lines = [
                f"{start}received_at={at}i {ns}"
                for at, ns in zip(earlier["received_at"].tolist(), earlier["time"].tolist(), strict=True)
            ]
            is_new = np.ones(len(rows), dtype=bool)
            is_new[known["position"].to_numpy()] = False
            new = rows[is_new]
        time_ns = free_times(new["open_time"].to_numpy(), new["content_hash"].to_numpy() % PLACES, taken)
        self._http.write(lines + bar_lines(start, new, time_ns))
        return len(new)

    def _add_rejected(self, delivery: Delivery) -> None:
        if delivery.rejected.empty:
            return
        condition = where(delivery.key.model_dump())
        found = self._http.records(select(["source_row", "reason", "content"], "refused", condition))
        stored = {(row["reason"], row["content"]): row for row in found}
        first = rejected_rows(delivery.rejected)
        fields = zip(first["source_row"].tolist(), first["reason"].tolist(), first["content"].tolist(), strict=True)
        start, lines, new = line_start("refused", delivery.key.model_dump()), [], []
        for row, reason, content in fields:
            known = stored.get((reason, content))
            if known is None:
                new.append((row, reason, content))
            elif row < known["source_row"]:
                lines.append(f"{start}source_row={row}i {known['time']}")
        # A place for each even where a delivery refuses more rows than a millisecond has places.
        at_ms = delivery.received_at_ms + np.arange(len(new)) // (PLACES // 2)
        taken = np.array([row["time"] for row in stored.values()], dtype=np.int64)
        places = np.array(places_of([(reason, content) for _, reason, content in new]), dtype=np.int64)
        for (row, reason, content), ns in zip(new, free_times(at_ms, places, taken).tolist(), strict=True):
            texts = f"reason={text_field(reason)},content={text_field(content)}"
            lines.append(f"{start}source_row={row}i,{texts} {ns}")
        self._http.write(lines)

    def _add_covered(self, delivery: Delivery) -> None:
        if delivery.covered is None:
            return
        since, until, asked = delivery.covered.since_ms, delivery.covered.until_ms, delivery.received_at_ms
        condition = where(delivery.key.model_dump()) + _within(Span(since, since + 1))
        found = list(self._http.records(select(["until_at", "asked_at"], "covered", condition)))
        if (until, asked) in {(row["until_at"], row["asked_at"]) for row in found}:
            return
        ns = _one_time(since, places_of([(until, asked)])[0], [row["time"] for row in found])
        start = line_start("covered", delivery.key.model_dump())
        self._http.write([f"{start}until_at={until}i,asked_at={asked}i {ns}"])

    def _add_line(self, delivery: Delivery, receipt: Receipt) -> None:
        at = delivery.received_at_ms
        condition = where(delivery.key.model_dump()) + _within(Span(at, at + 1))
        found = self._http.records(select(["rows_new"], "ledger", condition))
        # Deliveries may agree in all: what tells them apart is chance.
        ns = _one_time(at, randbelow(PLACES), [row["time"] for row in found])
        cells = dict(zip(LEDGER, ledger_line(delivery, receipt), strict=True))
        fields = ",".join(
            f"{name}={text_field(cell) if isinstance(cell, str) else f'{cell}i'}"
            for name, cell in cells.items()
            if name not in _KEY
        )
        self._http.write([f"{line_start('ledger', delivery.key.model_dump())}{fields} {ns}"])

    def _side(self, series: Sequence[str] | None) -> pd.DataFrame:
        """Stored vintages with the nanosecond of each as `time`."""
        named = [""] if series is None else [where({"series": name}) for name in series]
        found = [
            (decode_tag(row["series"]), decode_tag(row["symbol"]), row["time"] // PLACES, row["known_at"],
             float(row["value"]), row["time"])
            for condition in named
            for row in self._http.records(select(["series", "symbol", "known_at", "value"], "side", condition))
        ]  # fmt: skip
        table = pd.DataFrame(found, columns=[*no_vintages(), "time"])
        return table.astype({**no_vintages().dtypes.to_dict(), "time": "int64"})


def _within(span: Span) -> str:
    return f" AND time >= {span.since_ms * PLACES} AND time < {span.until_ms * PLACES}"


def _windows(ends: Window | None, span: Span | None, key: BarKey) -> list[Window]:
    """What is within both, in windows of about `_ROWS` rows."""
    if ends is None:
        return []
    begin, end = ends
    if span is not None:
        begin, end = max(begin, span.since_ms * PLACES), min(end, span.until_ms * PLACES)
    step = bar_duration_ms(key.timeframe) * PLACES * _ROWS
    return [(at, min(at + step, end)) for at in range(begin, end, step)]


def _one_time(at_ms: int, place: int, taken: Sequence[int]) -> int:
    at, places = np.array([at_ms], dtype=np.int64), np.array([place], dtype=np.int64)
    found: npt.NDArray[np.int64] = free_times(at, places, np.array(taken, dtype=np.int64))
    return int(found[0])
