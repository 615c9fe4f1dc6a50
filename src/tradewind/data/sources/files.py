"""Files of bars: which there are in a folder, and what each holds."""

import re
from pathlib import Path

import pandas as pd
import pyarrow as pa

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.columnar import read_feather, read_parquet
from tradewind.data.files.contents import read_contents, require_regular
from tradewind.data.files.csv_cells import CsvLayout, read_as_numbers, read_as_text, require_a_line_each
from tradewind.data.files.dialect import BarDialect, closed_flag, recognise_columns
from tradewind.data.files.limits import require_cells
from tradewind.data.sources.times import read_open_time
from tradewind.errors import BadData, BadParameters
from tradewind.market.timeframes import bar_duration_ms

FORMATS = ("parquet", "csv", "csv.gz", "feather")
DEFAULT_PATTERN = "{symbol}-{timeframe}.{format}"

_FIELDS = {
    "symbol": r"(?P<symbol>[A-Za-z0-9][A-Za-z0-9._-]{0,31})",
    "timeframe": r"(?P<timeframe>[1-9][0-9]{0,3}[mhdw])",
    "format": r"(?P<format>parquet|csv\.gz|csv|feather)",
}
_DELIMITERS = ",;\t|"
_SNIFFED_BYTES = 1 << 16
_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,3})?)?)?")


def discover(folder: Path, venue: str, pattern: str = DEFAULT_PATTERN, timeframe: str | None = None) -> dict[str, Path]:
    """The files of `folder` that match `pattern`, by partition `venue/symbol/timeframe`, sorted.

    Args:
        folder: searched with all below it.
        venue: of all files.
        pattern: a path below the folder with the fields {symbol}, {timeframe} and, if wished, {format}.
        timeframe: for names that do not say it.

    Returns:
        The path of each partition.

    Raises:
        BadParameters: the pattern lacks a field, or has an unknown one.
        BadData: the folder is missing or unreadable, nothing matches, or two files hold one partition.
    """
    expression = _expression(pattern, timeframe)
    path_of: dict[str, Path] = {}
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        match = expression.fullmatch(name)
        if match is None:
            continue
        partition = f"{venue}/{match['symbol']}/{timeframe or match['timeframe']}"
        if partition in path_of:
            raise BadData(f"{path_of[partition]} and {path} both hold {partition}: keep one of them")
        path_of[partition] = path
    if not path_of:
        names = sorted(path.relative_to(folder).as_posix() for path in _files(folder))
        raise BadData(
            f"{folder}: no file is named {pattern!r} (formats: {', '.join(FORMATS)}); the folder has "
            f"{names[:5] or 'no files'}{' and more' if len(names) > 5 else ''}. Rename the files or set `pattern`"
        )
    return dict(sorted(path_of.items()))


def read_bar_file(path: Path, key: BarKey, dialect: BarDialect) -> pd.DataFrame:
    """The rows of one file under our column names: `open_time` in epoch milliseconds, the rest as delivered.

    Cells that cannot be read are kept as they are; `type_bars` refuses those rows.

    Args:
        path: of the file; its ending names the format.
        key: gives the length of a bar.
        dialect: columns, times and layout of the file.

    Returns:
        One row a row of the file, in its order.

    Raises:
        BadData: the file is missing, not permitted, empty, damaged, or not in the dialect.
    """
    where = str(path)
    try:
        require_regular(path)
        read = _read_csv if _format(path).startswith("csv") else _read_columnar
        table, names = read(path, dialect)
    except FileNotFoundError as error:
        raise BadData(f"{where} does not exist: correct the folder or the pattern") from error
    except PermissionError as error:
        raise BadData(f"{where} may not be read by this user: change its permissions (chmod u+r)") from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BadData(
            f"{where} is damaged or not a {_format(path)} file ({error}): fetch it again or repair it"
        ) from error
    if table.empty:
        raise BadData(f"{where} has a header but no rows: fetch it again or remove it")
    received = table.rename(columns={name: column for column, name in names.items()})
    opened = read_open_time(table[names["open_time"]], dialect, bar_duration_ms(key.timeframe), where)
    return received.drop(columns="open_time").assign(open_time=opened)[list(names)]


def _expression(pattern: str, timeframe: str | None) -> re.Pattern[str]:
    fields = re.findall(r"\{(\w*)\}", pattern)
    needed = {"symbol"} if timeframe else {"symbol", "timeframe"}
    if len(fields) != len(set(fields)) or not needed <= set(fields) <= set(_FIELDS):
        raise BadParameters(
            f"pattern must hold {sorted(needed)} once each, and may hold {{format}}; found {pattern!r}. A time "
            "frame that the names do not say is given as `timeframe`"
        )
    parts = re.split(r"\{(\w+)\}", pattern)
    return re.compile("".join(_FIELDS[part] if index % 2 else re.escape(part) for index, part in enumerate(parts)))


def _files(folder: Path) -> list[Path]:
    try:
        if not folder.is_dir():
            raise BadData(f"{folder} is not a folder: correct the path (environment variable or catalog)")
        next(folder.iterdir(), None)
        return sorted(path for path in folder.rglob("*") if path.is_file())
    except PermissionError as error:
        raise BadData(f"{folder} may not be read by this user: change its permissions (chmod u+rx)") from error


def _format(path: Path) -> str:
    return next((name for name in FORMATS if path.name.lower().endswith(f".{name}")), "csv")


def _read_columnar(path: Path, dialect: BarDialect) -> tuple[pd.DataFrame, dict[str, str]]:
    """The recognised columns under the file's names, and those names by ours."""
    columns: dict[str, str] = {}

    def choose(names: list[str]) -> list[str]:
        columns.update(_recognised(names, dialect, path))
        return list(columns.values())

    table = (read_parquet if _format(path) == "parquet" else read_feather)(path, str(path), choose)
    table = table.select(list(columns.values()))
    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) and field.type.tz is not None:
            # The instants are the same in any zone, and the file's may be one that nobody knows.
            instants = table.column(index).cast(pa.timestamp(field.type.unit, "UTC"))
            table = table.set_column(index, field.name, instants)
        if pa.types.is_decimal(field.type):
            # By way of text: Arrow's own cast is off in the last digit.
            table = table.set_column(index, field.name, table.column(index).cast(pa.string()).cast(pa.float64()))
    return table.to_pandas(ignore_metadata=True), columns


def _read_csv(path: Path, dialect: BarDialect) -> tuple[pd.DataFrame, dict[str, str]]:
    """As `_read_columnar`. A line with too many or few cells stops, and so does a cell that swallows lines."""
    content = read_contents(path)
    header = _header(content, path, dialect)
    delimiter = dialect.delimiter or _sniff_delimiter(header, path)
    require_cells(content.count(b"\n") * (header.count(delimiter) + 1), header.count(delimiter) + 1, str(path))
    names = list(dialect.column_names) or [name.strip().strip('"').strip() for name in header.split(delimiter)]
    columns = _recognised(names, dialect, path)
    repeated = {name for name in columns.values() if names.count(name) > 1}
    if repeated:
        raise BadData(f"{path}: the columns {sorted(repeated)} stand there twice: rename one of each")
    layout = CsvLayout(delimiter, dialect.skip_lines + (0 if dialect.column_names else 1), tuple(names))
    cells = read_as_numbers(content, layout, columns, _is_epoch(content, layout, columns, dialect))
    if cells is None:
        cells = read_as_text(content, layout, columns)
    require_a_line_each(content, layout.skip_lines, cells.num_rows, str(path))
    return cells.to_pandas(), columns


def _recognised(names: list[str], dialect: BarDialect, path: Path) -> dict[str, str]:
    """The file's names by ours, and the column that says whether a bar had closed, where there is one."""
    columns, flag = recognise_columns(names, dialect, str(path)), closed_flag(names)
    return columns | {"is_closed": flag} if flag else columns


def _is_epoch(content: bytes, layout: CsvLayout, columns: dict[str, str], dialect: BarDialect) -> bool | None:
    """Whether times may be read as integers (True) or as instants without a zone (False); None: only as text."""
    if dialect.time_format is not None or dialect.time_unit == "iso":
        return None
    lines = content[:_SNIFFED_BYTES].splitlines()[layout.skip_lines :]
    cells = lines[0].decode("utf-8", errors="replace").split(layout.delimiter) if lines else []
    position = layout.names.index(columns["open_time"])
    cell = cells[position].strip() if position < len(cells) else ""
    if cell.isascii() and cell.isdigit():
        return True
    return False if dialect.time_unit == "auto" and _ISO.fullmatch(cell) else None


def _header(content: bytes, path: Path, dialect: BarDialect) -> str:
    lines = content[:_SNIFFED_BYTES].decode("utf-8-sig", errors="ignore").splitlines()
    if len(lines) <= dialect.skip_lines or not lines[dialect.skip_lines].strip():
        raise BadData(
            f"{path} has {len(lines)} lines, none after the {dialect.skip_lines} of dialect.skip_lines: "
            "fetch it again or correct dialect.skip_lines"
        )
    return lines[dialect.skip_lines]


def _sniff_delimiter(header: str, path: Path) -> str:
    counts = sorted(((header.count(mark), mark) for mark in _DELIMITERS), reverse=True)
    if counts[0][0] == 0 or counts[0][0] == counts[1][0]:
        raise BadData(
            f"{path}: the delimiter is not clear from the line {header[:80]!r}: give dialect.delimiter, and "
            "dialect.skip_lines if that is not the header"
        )
    return counts[0][1]
