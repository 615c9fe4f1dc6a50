"""The files of Binance's public archive: which there are for a span, fetched, proven and opened with care."""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from tradewind.data.files.deliveries import Span
from tradewind.data.files.limits import require_bytes
from tradewind.data.sources.transport import Transport
from tradewind.errors import BadData

_MB = 1 << 20
# From here on a number is an epoch in microseconds: in milliseconds it would be the year 5138.
_LEAST_US = 100_000_000_000_000
_FETCHES = 2


@dataclass(frozen=True)
class Shelf:
    """Files of one kind: `market` (such as spot), `folder` below monthly or daily, `name` before the day or month,
    and the `columns` of their tables."""

    market: str
    folder: str
    name: str
    columns: Sequence[str]
    has_months: bool = True
    has_days: bool = True


@dataclass(frozen=True)
class ArchiveFile:
    """One file, and the span that it is about."""

    shelf: Shelf
    span: Span
    is_month: bool

    @property
    def stem(self) -> str:
        """Its name without an ending."""
        first = np.datetime64(self.span.since_ms, "ms")
        return f"{self.shelf.name}-{first.astype('datetime64[M]' if self.is_month else 'datetime64[D]')}"

    @property
    def path(self) -> str:
        """Where it is below the archive's address."""
        every = "monthly" if self.is_month else "daily"
        return f"data/{self.shelf.market}/{every}/{self.shelf.folder}/{self.stem}.zip"


class Archive:
    """Reads files of the archive at `base_url`, none of which unpacks to more than `unpacked_limit_mb`."""

    def __init__(self, transport: Transport, base_url: str, unpacked_limit_mb: float) -> None:
        self._transport, self._base_url = transport, base_url
        self._limit = int(unpacked_limit_mb * _MB)

    def tables(self, shelf: Shelf, span: Span, now_ms: int) -> Iterator[tuple[ArchiveFile, pd.DataFrame]]:
        """The tables of the span's files, oldest first: months that are over, else their days; none for absent ones.

        Args:
            shelf: what kind of files, of which symbol and timeframe.
            span: of the rows, UTC milliseconds, the end not included.
            now_ms: files of a month or day that is not over by then are not asked for, UTC milliseconds.

        Yields:
            Each file with its table.

        Raises:
            BadData: a file is not what its checksum says, or not what it ought to hold.
        """
        for month in _periods(span, "M"):
            is_over = month.until_ms <= now_ms
            of_month = self._table(ArchiveFile(shelf, month, is_month=True)) if shelf.has_months and is_over else None
            if of_month is not None:
                yield of_month
            elif shelf.has_days:
                in_month = Span(max(month.since_ms, span.since_ms), min(month.until_ms, span.until_ms))
                for day in _periods(in_month, "D"):
                    of_day = self._table(ArchiveFile(shelf, day, is_month=False)) if day.until_ms <= now_ms else None
                    if of_day is not None:
                        yield of_day

    def _table(self, file: ArchiveFile) -> tuple[ArchiveFile, pd.DataFrame] | None:
        packed = self._proven(file)
        return None if packed is None else (file, _read_table(self._unpack(file, packed), file))

    def _proven(self, file: ArchiveFile) -> bytes | None:
        """The packed file as its checksum says; fetched anew once, since both may just have been replaced."""
        url = f"{self._base_url}/{file.path}"
        digest = promised = ""
        for _ in range(_FETCHES):
            packed = self._transport.get(url)
            if packed is None:
                return None
            checksum = self._transport.get(f"{url}.CHECKSUM")
            promised = (checksum or b"").decode("ascii", "replace").partition(" ")[0].strip().lower()
            digest = hashlib.sha256(packed).hexdigest()
            if digest == promised:
                return packed
        raise BadData(
            f"{file.path}: its checksum says {promised[:12] or 'nothing'}..., the file has {digest[:12]}...; it was "
            "not opened. Try again later, or leave out its span"
        )

    def _unpack(self, file: ArchiveFile, packed: bytes) -> bytes:
        try:
            with zipfile.ZipFile(io.BytesIO(packed)) as archive:
                entries = archive.infolist()
                if [entry.filename for entry in entries] != [f"{file.stem}.csv"]:
                    names = [entry.filename[:60] for entry in entries[:3]]
                    raise BadData(f"{file.path} must hold {file.stem}.csv alone, found {names}")
                require_bytes(entries[0].file_size, len(packed), file.path)
                with archive.open(entries[0]) as unpacked:
                    text = unpacked.read(self._limit + 1)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
            raise BadData(f"{file.path} is no ZIP that can be read: {error}") from error
        if len(text) > self._limit:
            raise BadData(
                f"{file.path} unpacks to more than {self._limit / _MB:.0f} MB: no table of bars is so large. Raise "
                "unpacked_limit_mb if it is right"
            )
        return text


def as_ms(times: pd.Series) -> pd.Series:
    """Epoch milliseconds of times in milliseconds or, as spot has them since 2025, microseconds."""
    epochs = times.to_numpy(dtype=np.int64)
    return pd.Series(np.where(epochs >= _LEAST_US, epochs // 1000, epochs), name=times.name)


def _read_table(text: bytes, file: ArchiveFile) -> pd.DataFrame:
    """The table of a file; all but times as text where a cell is no number, for that row to be rejected by itself."""
    names = list(file.shelf.columns)
    numbers = {name: pa.float64() for name in names[1:] if name != "symbol"}
    try:
        try:
            return _parse(text, names, numbers)
        except pa.ArrowInvalid:
            return _parse(text, names, {name: pa.string() for name in names[1:]})
    except pa.ArrowInvalid as error:
        raise BadData(f"{file.path} holds a table that cannot be read: {str(error)[:160]}") from error


def _parse(text: bytes, names: list[str], types: dict[str, pa.DataType]) -> pd.DataFrame:
    has_header = not text[:1].isdigit()
    table = pyarrow.csv.read_csv(
        pa.BufferReader(text),
        read_options=pyarrow.csv.ReadOptions(column_names=names, skip_rows=int(has_header), use_threads=False),
        # An empty cell is missing; `n/a` is what somebody wrote, and is rejected as that.
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={names[0]: _time_type(names[0]), **types}, null_values=[""]
        ),
    )
    return table.to_pandas()


def _time_type(name: str) -> pa.DataType:
    return pa.string() if name == "create_time" else pa.int64()


def _periods(span: Span, unit: str) -> Iterator[Span]:
    """The calendar months (`M`) or days (`D`), UTC, that `span` touches."""
    first = np.datetime64(span.since_ms, "ms").astype(f"datetime64[{unit}]")
    last = np.datetime64(span.until_ms - 1, "ms").astype(f"datetime64[{unit}]")
    edges = np.arange(first, last + 2).astype("datetime64[ms]").astype(np.int64)
    for since_ms, until_ms in pairwise(edges):
        yield Span(int(since_ms), int(until_ms))
