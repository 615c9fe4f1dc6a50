"""The store that is a folder of Parquet files, on a disk or in a bucket."""

import secrets
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, unquote

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field, model_validator

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import Delivery, Receipt, Span, stored_columns
from tradewind.data.stores.base import Fingerprint
from tradewind.data.stores.months import months_between, rows_by_month
from tradewind.data.stores.object_kinds import (
    BARS,
    RECORDS,
    VINTAGES,
    BarStem,
    Records,
    bars_table,
    changes,
    fingerprint_of,
    merge_bars,
    merge_records,
)
from tradewind.data.stores.object_sets import ObjectSets, in_threads
from tradewind.data.stores.objects import LocalObjects, Objects
from tradewind.data.stores.s3_objects import S3Access, S3Objects
from tradewind.data.stores.tables import (
    LEDGER,
    REJECTED,
    check_vintages,
    covered_spans,
    ledger_line,
    ledger_rows,
    merge_vintages,
    rejected_rows,
)
from tradewind.errors import BadData

_S3 = "s3://"
_MONTHS = 8  # written at a time: each waits for its disk or server


class Rules(S3Access):
    """`path` is a folder, or `s3://bucket/prefix`, which alone takes the settings of `S3Access`.

    `compact_files`: a month of bars, or of records, that is kept in more files is merged into one.
    """

    path: str = Field(min_length=1)
    compact_files: int = Field(32, ge=2, le=1000)

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if "://" in self.path and not (self.path.startswith(_S3) and self.path[len(_S3) :].strip("/")):
            raise ValueError("path must be a folder or s3://bucket/prefix")
        if (self.key is None) != (self.secret is None):
            raise ValueError("key and secret are given together")
        given = {name for name in S3Access.model_fields if getattr(self, name) is not None} & self.model_fields_set
        if given and not self.path.startswith(_S3):
            raise ValueError(f"{sorted(given)} are for s3:// paths")
        return self

    def place(self) -> Objects:
        """Where the objects are."""
        if not self.path.startswith(_S3):
            return LocalObjects(Path(self.path))
        bucket, _, prefix = self.path[len(_S3) :].strip("/").partition("/")
        return S3Objects(bucket, prefix, S3Access(**{name: getattr(self, name) for name in S3Access.model_fields}))


class ParquetStore:
    """Bars by key and month in files that are only ever added or merged, never changed (see `object_sets`).

    Killed at any moment, a delivery has added some months or all; its record, with the rejected rows, the covered span
    and the line of the ledger, comes last. Two writers who deliver the same new row at one moment both call it new.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._objects = rules.place()
        self._bars = ObjectSets(self._objects, BARS)
        self._records = ObjectSets(self._objects, RECORDS)
        self._vintages = ObjectSets(self._objects, VINTAGES)

    def append(self, delivery: Delivery) -> Receipt:
        """Add the delivery's rows, month by month, then its record."""
        key, rejected = delivery.key, len(delivery.rejected)
        months = rows_by_month(delivery.rows).items()
        new = sum(in_threads(lambda one: self._add_month(_month(_bars(key), one[0]), one[1]), months, _MONTHS))
        receipt = Receipt(delivery.rows_received, new, delivery.rows_received - new - rejected, rejected)
        folder = _month(_deliveries(key), next(iter(months_between(*[delivery.received_at_ms] * 2))))
        self._records.add(folder, [_record(delivery, receipt)])
        self._records.compact(folder, self._rules.compact_files)
        return receipt

    def keys(self) -> list[BarKey]:
        """Which bars there are, sorted."""
        found = {_key_of(self._objects, name) for name in self._bars.settled_names("bars")}
        return sorted(found, key=lambda key: (key.venue, key.symbol, key.timeframe))

    def read(self, key: BarKey, span: Span | None = None) -> pd.DataFrame:
        """The stored rows in `deliveries.reading_order`."""
        found = self._bars.read(_bars(key), lambda name: span is None or BarStem.of(name).overlaps(span))
        months: dict[str, list[pa.Table]] = {}
        for name in sorted(found, key=lambda name: BarStem.of(name).first_ms):
            months.setdefault(name.rsplit("/", 1)[0], []).append(found[name])
        if not months:
            return stored_columns()
        rows: pd.DataFrame = pa.concat_tables([merge_bars(tables) for tables in months.values()]).to_pandas()
        if span is not None:
            begin, end = np.searchsorted(rows["open_time"], [span.since_ms, span.until_ms])
            rows = rows.iloc[begin:end].reset_index(drop=True)
        return rows

    def fingerprints(self, key: BarKey) -> dict[str, Fingerprint]:
        """What each month adds up to; read from the names alone where no two files of a month overlap."""
        months: dict[str, list[BarStem]] = {}
        for name in self._bars.settled_names(_bars(key)):
            months.setdefault(name.rsplit("/", 1)[0], []).append(BarStem.of(name))
        return {folder.rsplit("=", 1)[1]: self._fingerprint(folder, months[folder]) for folder in sorted(months)}

    def covered(self, key: BarKey) -> list[tuple[Span, int]]:
        """The spans that a source has answered for, each with when it was asked."""
        records = self._read_records(_deliveries(key))
        return covered_spans((*one["covered"], one["received_at"]) for one in records if one["covered"])

    def rejected(self) -> pd.DataFrame:
        """Every rejected row (`schema.Quarantine`), each content once."""
        records = self._read_records("deliveries")
        rows = [[one["venue"], one["symbol"], one["timeframe"], *row] for one in records for row in one["refused"]]
        return rejected_rows(rows)

    def ledger(self) -> pd.DataFrame:
        """Every delivery, in the order of `received_at`."""
        return ledger_rows([[one[name] for name in LEDGER] for one in self._read_records("deliveries")])

    def append_side(self, vintages: pd.DataFrame) -> int:
        """Add values of side series; how many are new.

        Raises:
            BadData: a value differs from the one that is stored for the same moment; nothing is added then.
        """
        checked = check_vintages(vintages)
        stored = self.read_side(checked["series"].unique().tolist())
        fresh = merge_vintages([stored, checked], self._objects.where("side"))
        fresh = fresh.merge(stored, how="left_anti")
        for series, rows in fresh.groupby("series", sort=True):
            self._vintages.add(_side(str(series)), rows.reset_index(drop=True))
            self._vintages.compact(_side(str(series)), self._rules.compact_files)
        return len(fresh)

    def read_side(self, series: Sequence[str] | None = None) -> pd.DataFrame:
        """The stored vintages of the named series (default: all)."""
        folders = ["side"] if series is None else [_side(name) for name in series]
        found = [table for folder in folders for table in self._vintages.read(folder).values()]
        return merge_vintages(found, self._objects.where("side"))

    def compact(self, key: BarKey) -> None:
        """Merge each month's files of these bars into one, and of the records of their deliveries.

        New files first, old ones removed after: readers and writers may go on, and a kill harms nothing.
        """
        for sets, folder in ((self._bars, _bars(key)), (self._records, _deliveries(key))):
            for month in sorted({name.rsplit("/", 1)[0] for name in sets.names(folder)}):
                sets.compact(month, 1)

    def close(self) -> None:
        """Give back connections."""
        self._objects.close()

    def _add_month(self, folder: str, rows: pd.DataFrame) -> int:
        """Add what is new in the rows, or was received earlier than it is stored; how many are new."""
        span = Span(int(rows["open_time"].iloc[0]), int(rows["open_time"].iloc[-1]) + 1)
        known = list(self._bars.read(folder, lambda name: BarStem.of(name).overlaps(span)).values())
        is_new, is_fresher = changes(rows, merge_bars(known).to_pandas() if known else stored_columns())
        if (is_new | is_fresher).any():
            self._bars.add(folder, bars_table(rows[is_new | is_fresher]))
            self._bars.compact(folder, self._rules.compact_files)
        return int(is_new.sum())

    def _fingerprint(self, folder: str, stems: list[BarStem]) -> Fingerprint:
        stems = sorted(stems, key=lambda stem: stem.first_ms)
        if any(later.first_ms <= earlier.last_ms for earlier, later in pairwise(stems)):
            return fingerprint_of(merge_bars(list(self._bars.read(folder).values())))
        sums = [stem.fingerprint for stem in stems]
        return Fingerprint(*(sum(getattr(one, name) for one in sums) for name in Fingerprint.__dataclass_fields__))

    def _read_records(self, folder: str) -> Records:
        return merge_records(list(self._records.read(folder).values()))


def _record(delivery: Delivery, receipt: Receipt) -> dict[str, Any]:
    """What is kept of a delivery beside its rows."""
    span = delivery.covered
    return {
        **dict(zip(LEDGER, ledger_line(delivery, receipt), strict=True)),
        "id": secrets.token_hex(12),
        "covered": None if span is None else [span.since_ms, span.until_ms],
        "refused": delivery.rejected[list(REJECTED)[3:]].to_numpy(dtype=object).tolist(),
    }


def _bars(key: BarKey) -> str:
    return f"bars/{_folder(key)}"


def _deliveries(key: BarKey) -> str:
    return f"deliveries/{_folder(key)}"


def _folder(key: BarKey) -> str:
    """The key in the way that every reader of partitioned Parquet understands."""
    return "/".join(f"{name}={quote(value, safe='')}" for name, value in key.model_dump().items())


def _month(folder: str, month: str) -> str:
    return f"{folder}/month={month}"


def _side(series: str) -> str:
    return f"side/series={quote(series, safe='')}"


def _key_of(objects: Objects, name: str) -> BarKey:
    parts = dict(part.split("=", 1) for part in name.split("/") if "=" in part)
    try:
        return BarKey(**{field: unquote(parts[field]) for field in BarKey.model_fields})
    except KeyError as error:
        raise BadData(f"{objects.where(name)} is not a file of this store: move it elsewhere") from error
