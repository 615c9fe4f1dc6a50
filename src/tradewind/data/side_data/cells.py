"""The cells of a side file, under our names, and the instants and numbers in them."""

import csv
import io
import re
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from tradewind.data.files.cells import LATEST_MS, MS_PER_UNIT, FloatArray, epoch_units, parse_numbers
from tradewind.data.files.columnar import read_feather, read_parquet
from tradewind.data.files.contents import read_contents, require_regular
from tradewind.data.files.limits import require_cells, require_text
from tradewind.data.side_data.delivery import Reasons
from tradewind.errors import BadData

_DELIMITERS = ",;\t|"
_EARLIEST_MS = -2_208_988_800_000  # 1900-01-01: statistics are older than electronic bars
LINE = "(line)"  # a column of a CSV: what is wrong with the line, empty where nothing is


def read_cells(path: Path, wanted: Mapping[str, tuple[str, ...]], optional: frozenset[str]) -> pd.DataFrame:
    """The wanted columns of a Parquet, Feather or CSV file, under our names, cells as they are.

    Args:
        path: the file; its ending says how it is written (.parquet, .feather, else CSV, gzipped if .gz).
        wanted: for each of our names those that the file may use, in any case; the first that is there counts.
        optional: our names of columns that may be missing.

    Raises:
        BadData: the file is missing or unreadable, or lacks a column.
    """
    try:
        require_regular(path)  # a pipe would be waited for
        table = _read_csv(path) if _is_text(path) else _read_columnar(path)
    except FileNotFoundError as error:
        raise BadData(f"{path} does not exist: add it, or take its series out of universe.side_series") from error
    except (OSError, EOFError, zlib.error, csv.Error, UnicodeDecodeError, pa.ArrowException) as error:
        raise BadData(f"{path} cannot be read ({type(error).__name__}: {error}): fetch it again") from error
    columns = {}
    for ours, names in wanted.items():
        by_plain = {_plain(name): name for name in reversed(list(table.columns))}
        match = next((by_plain[_plain(name)] for name in names if _plain(name) in by_plain), None)
        if match is None and ours not in optional:
            raise BadData(
                f"{path} needs a column {' or '.join(names)} ({ours}); it has {list(table.columns)[:20]}. Name it in "
                f"the series' `columns`, such as {{{ours}: NAME IN THE FILE}}"
            )
        if match is not None:
            columns[ours] = table[match]
    if LINE in table:
        columns[LINE] = table[LINE]
    return pd.DataFrame(columns)


def read_instants(cells: pd.Series, time_format: str | None, where: str) -> FloatArray:
    """Epoch milliseconds; NaN where a cell is no instant. What has no zone is UTC.

    Args:
        cells: of one column: epochs, text or instants.
        time_format: of strptime; None takes epochs and ISO 8601.
        where: the file and column, for messages.

    Returns:
        Shape (rows,).

    Raises:
        BadData: most cells cannot be read, so they are written otherwise.
    """
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        instants = cells
    else:
        numbers = np.full(len(cells), np.nan) if time_format else parse_numbers(cells)
        if np.isfinite(numbers).sum() * 2 > len(cells):
            return _from_epochs(numbers, where)
        texts = cells.astype("str").str.strip()
        instants = pd.to_datetime(texts, format=time_format or "ISO8601", errors="coerce", utc=True)
    if instants.dt.tz is None:
        instants = instants.dt.tz_localize("UTC")
    naive = instants.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[ms]")
    values = np.where(np.isnat(naive), np.nan, naive.astype(np.int64).astype(np.float64))
    unread = np.isnan(values) & ~is_absent(cells)
    if unread.sum() * 2 > len(cells):
        row = int(np.flatnonzero(unread)[0])
        raise BadData(
            f"{where}: times must be epochs or {time_format or 'ISO 8601'}; row {row} holds {cells.iloc[row]!r}. Give "
            "their strptime format in the series' `time_format`, such as '%m/%d/%Y %H:%M:%S'"
        )
    return values


def _from_epochs(numbers: FloatArray, where: str) -> FloatArray:
    """Of the unit that most rows are in; the others are no instants."""
    fits = epoch_units(numbers)
    unit = max(fits, key=lambda name: int(fits[name].sum()))
    if fits[unit].sum() * 2 <= len(numbers):
        raise BadData(
            f"{where}: most times are no epoch between 1990 and 2100 in s, ms, us or ns; row 0 holds {numbers[0]:.0f}. "
            "Give another column in the series' `columns`, or `time_format`"
        )
    return np.where(fits[unit], np.rint(numbers * MS_PER_UNIT[unit]), np.nan)


def reject_instants(reason: Reasons, instants: FloatArray, cells: pd.Series, name: str) -> None:
    """Fill in the reason of rows whose instant cannot be used and that have none yet.

    Args:
        reason: why each row is rejected, "" if it is not yet; filled in place, shape (rows,).
        instants: UTC milliseconds, NaN where unreadable, shape (rows,).
        cells: what stands in the file.
        name: of the column.
    """
    reject(reason, is_absent(cells), f"{name} is missing")
    reject(reason, ~np.isfinite(instants), f"{name} is not an instant")
    reject(reason, ~((instants >= _EARLIEST_MS) & (instants < LATEST_MS)), f"{name} is not between 1900 and 2100")


def reject_numbers(reason: Reasons, values: FloatArray, cells: pd.Series, name: str) -> None:
    """Fill in the reason of rows whose number cannot be used and that have none yet. FRED writes `.` for missing.

    Args:
        reason: why each row is rejected, "" if it is not yet; filled in place, shape (rows,).
        values: NaN where unreadable, shape (rows,).
        cells: what stands in the file.
        name: of the column.
    """
    reject(reason, is_absent(cells), f"{name} is missing")
    reject(reason, np.isnan(values), f"{name} is not a number")
    reject(reason, np.isinf(values), f"{name} is not finite")


def reject(reason: Reasons, rows: np.ndarray, why: str) -> None:
    """Fill in the reason of those of the rows that have none yet.

    Args:
        reason: why each row is rejected, "" if it is not yet; filled in place, shape (rows,).
        rows: which rows, shape (rows,).
        why: the reason.
    """
    reason[rows & (reason == "")] = why


def is_absent(cells: pd.Series) -> np.ndarray:
    """Which cells hold nothing."""
    absent = cells.isna().to_numpy(dtype=bool)
    if pd.api.types.is_numeric_dtype(cells.dtype) or pd.api.types.is_datetime64_any_dtype(cells.dtype):
        return absent
    blank = (isinstance(cell, str) and cell.strip() in {"", "."} for cell in cells)
    return absent | np.fromiter(blank, dtype=bool, count=len(cells))


def begin_reasons(cells: pd.DataFrame) -> Reasons:
    """No reason for any row, but for lines that are torn."""
    if LINE in cells:
        return cells[LINE].to_numpy(dtype=object).copy()
    return np.full(len(cells), "", dtype=object)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", str(name).lower()).strip("_")


def _is_text(path: Path) -> bool:
    return not path.name.lower().endswith((".parquet", ".feather"))


def _read_columnar(path: Path) -> pd.DataFrame:
    table = (read_parquet if path.name.lower().endswith(".parquet") else read_feather)(path, str(path))
    return table.to_pandas(ignore_metadata=True)


def _read_csv(path: Path) -> pd.DataFrame:
    """Every cell as text. A line with too many or too few cells keeps its place and says so in the column `LINE`."""
    with path.open("rb") as opened:
        if path.suffix == ".gz" and opened.read(2) != b"\x1f\x8b":
            raise OSError("not a gzip file")
    content = read_contents(path)
    require_text(content, _DELIMITERS, str(path))
    file = io.StringIO(content.decode("utf-8-sig"), newline="")
    head = file.readline()
    delimiter = max(_DELIMITERS, key=head.count)
    header = [name.strip() for name in next(csv.reader([head], delimiter=delimiter), [])]
    require_cells(0, len(header), str(path))
    lines = [line for line in csv.reader(file, delimiter=delimiter) if line]
    if not header:
        raise BadData(f"{path} is empty: fetch it again")
    width = len(header)
    faults = ["" if len(line) == width else f"the line has {len(line)} cells, the header {width}" for line in lines]
    cells = [line if len(line) == width else ([*line, *[""] * width])[:width] for line in lines]
    table = pd.DataFrame(cells, columns=header, dtype="str")
    return table.assign(**{LINE: pd.Series(faults, dtype="str")})
