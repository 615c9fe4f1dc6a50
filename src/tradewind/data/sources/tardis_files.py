"""The daily files of Tardis.dev: fetched to disk, opened with care, read column by column."""

import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.csv

from tradewind.atomic import atomic_file
from tradewind.data.sources.paging import DAY_MS
from tradewind.data.sources.timing import RetryableError, retry
from tradewind.data.sources.transport import Transport
from tradewind.errors import BadData

_MB = 1 << 20
_GZIP = b"\x1f\x8b"


class TardisFiles:
    """Files of one exchange at `base_url`.

    Args:
        transport: who asks.
        base_url: where.
        exchange: Tardis' name for it.
        unpacked_limit_mb: what the wanted columns of one file may take.
    """

    def __init__(self, transport: Transport, base_url: str, exchange: str, unpacked_limit_mb: float) -> None:
        self._transport, self._base_url, self._exchange = transport, base_url, exchange
        self._limit = int(unpacked_limit_mb * _MB)

    def table(self, kind: str, symbol: str, day_ms: int, columns: Mapping[str, pa.DataType]) -> pa.Table | None:
        """The wanted columns of a day's file; None where there is no file, no rows where nothing was recorded.

        Args:
            kind: of file.
            symbol: in the vendor's spelling.
            day_ms: beginning of the day, UTC milliseconds.
            columns: wanted ones with their types.

        Raises:
            BadData: it holds another table than it should, or more than it may.
        """
        url = self._url(kind, symbol, day_ms)

        def read() -> pa.Table | None:
            with tempfile.TemporaryFile() as file:
                if not self._transport.download(url, file):
                    return None
                file.seek(0)
                return self._read(file, url, columns)

        return retry(read, self._transport.rules, self._transport.timing)

    def save(self, kind: str, symbol: str, day_ms: int, folder: Path) -> Path | None:
        """A day's file, as it is, in `folder`; None where there is none. A file that is there is not fetched again.

        Args:
            kind: of file.
            symbol: in the vendor's spelling.
            day_ms: beginning of the day, UTC milliseconds.
            folder: that it is saved in.

        Returns:
            Its path.
        """
        day = datetime.fromtimestamp(day_ms / 1000, UTC).date()
        path = folder / f"{self._exchange}_{kind}_{day}_{quote(symbol, safe='')}.csv.gz"
        if path.exists():
            return path
        with tempfile.TemporaryFile() as file:
            if not self._transport.download(self._url(kind, symbol, day_ms), file):
                return None
            file.seek(0)
            with atomic_file(path) as temporary, temporary.open("wb") as target:
                while chunk := file.read(_MB):
                    target.write(chunk)
        return path

    def _url(self, kind: str, symbol: str, day_ms: int) -> str:
        day = datetime.fromtimestamp(day_ms / 1000, UTC)
        # In the names of files a slash or a colon of a symbol is a dash.
        name = quote(symbol.upper().replace("/", "-").replace(":", "-"), safe="")
        return f"{self._base_url}/v1/{self._exchange}/{kind}/{day:%Y/%m/%d}/{name}.csv.gz"

    def _read(self, file: BinaryIO, url: str, columns: Mapping[str, pa.DataType]) -> pa.Table:
        schema = pa.schema(list(columns.items()))
        where, begins = url.removeprefix(self._base_url), file.read(8)
        file.seek(0)
        is_packed = begins.startswith(_GZIP)  # a server may have unpacked it on the way
        if begins and not is_packed and begins != b"exchange":
            raise RetryableError(f"{where} is neither packed nor a table: it begins with {begins!r}")
        batches, size = [], 0
        try:
            stream = pa.CompressedInputStream(file, "gzip") if is_packed else pa.PythonFile(file, "r")
            with pyarrow.csv.open_csv(
                stream,
                read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=4 * _MB),
                convert_options=pyarrow.csv.ConvertOptions(column_types=columns, include_columns=list(columns)),
            ) as reader:
                for batch in reader:
                    batches.append(batch)
                    size += batch.nbytes
                    if size > self._limit:
                        raise BadData(
                            f"{where} unpacks to more than {self._limit / _MB:.0f} MB: raise unpacked_limit_mb"
                        )
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                return schema.empty_table()
            raise BadData(f"{where} is no table of {list(columns)}: {str(error)[:160]}") from error
        except KeyError as error:
            raise BadData(f"{where} has no column {error}; {list(columns)} are due") from error
        except OSError as error:
            raise RetryableError(f"{where} is torn: {error}") from error
        return pa.Table.from_batches(batches, schema)


def days(since_ms: int, until_ms: int) -> range:
    """The starts of the days (epoch ms, UTC) that [`since_ms`, `until_ms`) touches."""
    return range(since_ms // DAY_MS * DAY_MS, until_ms, DAY_MS)


def numbers(table: pa.Table, name: str) -> np.ndarray:
    """A column as float64, NaN where a cell is empty."""
    return table.column(name).to_numpy().astype(np.float64)
