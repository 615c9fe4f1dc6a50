"""A file as a table of cells, before its layout is detected: text from text, the file's own types otherwise."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from tradewind.data.file_import.json_tables import rows_of
from tradewind.data.file_import.layouts import sniff_layout, stated_zone
from tradewind.data.file_import.number_texts import plain_numbers
from tradewind.data.file_import.raw_table import RawTable
from tradewind.data.file_import.side_by_side import is_side_by_side, read_side_by_side
from tradewind.data.files.cells import FloatArray, parse_text
from tradewind.data.files.columnar import read_feather, read_parquet
from tradewind.data.files.contents import as_utf8, kind_of_contents
from tradewind.data.files.csv_cells import require_a_line_each
from tradewind.data.files.dialect import BarDialect
from tradewind.data.files.findings import ImportNotes
from tradewind.data.files.limits import require_cells, require_json, require_text
from tradewind.errors import BadData

_MISSING = r"^\s*(?i:null|none|nan|na|n/a|-)?\s*$"


def read_table(path: Path, content: bytes, settings: BarDialect, encoding: str | None, notes: ImportNotes) -> RawTable:
    """The table that the bytes of a file hold.

    Args:
        path: named in messages; nothing is read from it.
        content: of the file.
        settings: delimiter, skipped lines and column names of text tables.
        encoding: of text; None expects UTF-8 or a byte order mark.
        notes: gets the format and how it was recognised.

    Returns:
        Columns by name, and the file's row number of each row.

    Raises:
        BadData: damaged, not one table, without rows, or in no known format.
    """
    form = kind_of_contents(content)
    notes.add_finding("format", form, f"first bytes {content[:6]!r}")
    try:
        if form in ("parquet", "feather"):
            table = _typed_table(_read_arrow(content, form, notes))
        elif form == "json":
            table = _read_json(as_utf8(content, encoding, notes), notes)
        else:
            table = _read_text(as_utf8(content, encoding, notes), settings, notes)
    except (pa.ArrowException, OSError, UnicodeError, MemoryError, OverflowError) as error:
        raise BadData(
            f"{path} is damaged or not a {form} file ({str(error)[:200]}): fetch it again or repair it"
        ) from error
    if len(table.source_row) == 0:
        raise BadData(f"{path} has a header but no rows: fetch it again or remove it")
    return table


def number_cells(cells: pa.Array, name: str, where: str) -> FloatArray:
    """float64 values; NaN where a cell is missing or no number.

    Args:
        cells: of one column, text or numbers.
        name: of the column, for messages.
        where: the file, for messages.

    Returns:
        Shape (rows,).

    Raises:
        BadData: the column's type holds no numbers.
    """
    kind = cells.type
    if pa.types.is_string(kind):
        return parse_text(cells)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    if pa.types.is_null(kind) or pa.types.is_boolean(kind):
        return np.full(len(cells), np.nan)
    raise BadData(f"{where}: the column {name!r} holds {kind}: numbers are needed. Convert it or choose another column")


def optional_cells(cells: pa.Array, name: str, where: str) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """As `number_cells`, and which cells hold something that is no finite number; a blank or `NULL` only is missing.

    Args:
        cells: of one column, text or numbers.
        name: of the column, for messages.
        where: the file, for messages.

    Returns:
        Values with NaN where there is none, and the wrong cells, shape (rows,) each.

    Raises:
        BadData: the column's type holds no numbers.
    """
    numbers = number_cells(cells, name, where)
    wrong = np.isinf(numbers)
    if is_text(cells) and np.isnan(numbers).any():
        blank = pc.match_substring_regex(cells, _MISSING).fill_null(True).to_numpy(zero_copy_only=False)
        wrong |= np.isnan(numbers) & ~blank
    return np.where(wrong, np.nan, numbers), wrong


def is_text(cells: pa.Array) -> bool:
    """Whether the cells are text."""
    return pa.types.is_string(cells.type)


def rows_as_text(table: RawTable, rows: npt.NDArray[np.int64]) -> list[str]:
    """Rows as JSON, for quarantine."""
    columns = [_plain_cells(cells.take(pa.array(rows))) for cells in table.columns.values()]
    names = list(table.columns)
    return [
        json.dumps(dict(zip(names, cells, strict=True)), ensure_ascii=False) for cells in zip(*columns, strict=True)
    ]


def _plain_cells(cells: pa.Array) -> list[Any]:
    try:
        return [_plain(cell) for cell in cells.to_pylist()]
    except (ValueError, OverflowError):  # instants beyond the years that Python knows
        integers = cells.view(pa.int32() if cells.type.bit_width == 32 else pa.int64())
        return [None if cell is None else f"{cell} {cells.type}" for cell in integers.to_pylist()]


def _plain(cell: Any) -> Any:
    if isinstance(cell, float) and not np.isfinite(cell):
        return str(cell)
    return cell if cell is None or isinstance(cell, bool | int | float | str) else str(cell)


def _read_arrow(content: bytes, form: str, notes: ImportNotes) -> pa.Table:
    return (read_feather if form == "feather" else read_parquet)(content, notes.where)


def _typed_table(table: pa.Table) -> RawTable:
    repeated = sorted(name for name, count in Counter(table.column_names).items() if count > 1)
    if repeated:
        raise BadData(f"the columns {repeated[:5]} stand there twice: rename one of each")
    columns = {name: _simplified(table.column(name)) for name in table.column_names}
    return RawTable(columns, np.arange(table.num_rows))


def _simplified(column: pa.ChunkedArray) -> pa.Array:
    """One array, dictionaries decoded, decimals as float64, all text of one type."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.string())  # Arrow's own cast to float64 is off in the last digit
    if pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
        column = column.cast(pa.string())
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        # The instants are the same in any zone, and the file's may be one that nobody knows.
        column = column.cast(pa.timestamp(column.type.unit, "UTC"))
    combined = column.combine_chunks()
    combined.validate(full=True)
    return combined


def _read_text(content: bytes, settings: BarDialect, notes: ImportNotes) -> RawTable:
    if is_side_by_side(content) and not settings.column_names:
        require_text(content, ",", notes.where)
        return read_side_by_side(content, notes)
    layout = sniff_layout(content, settings, notes)
    require_cells(content.count(b"\n") * len(layout.names), len(layout.names), notes.where)
    ragged: list[tuple[int, str]] = []

    def keep(row: pa.csv.InvalidRow) -> str:
        ragged.append((row.number - layout.skip_lines - 1, row.text))
        return "skip"

    table = pyarrow.csv.read_csv(
        pa.BufferReader(content),
        read_options=pyarrow.csv.ReadOptions(
            use_threads=False,  # only then are rows numbered
            skip_rows=layout.skip_lines,
            column_names=list(layout.names),
        ),
        parse_options=pyarrow.csv.ParseOptions(delimiter=layout.delimiter, invalid_row_handler=keep),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(layout.names, pa.string()), strings_can_be_null=False
        ),
    )
    require_a_line_each(content, layout.skip_lines, table.num_rows + len(ragged), notes.where)
    numbers = np.delete(np.arange(table.num_rows + len(ragged)), [number for number, _ in ragged])
    columns = {name: table.column(name).combine_chunks() for name in table.column_names}
    plain = plain_numbers(columns, getattr(settings, "decimal", None), notes)
    return RawTable(plain or columns, numbers, tuple(ragged), layout.has_header, stated_zone(layout))


def _read_json(content: bytes, notes: ImportNotes) -> RawTable:
    require_json(content, notes.where)
    try:
        document = json.loads(content, parse_constant=str)
    except RecursionError as error:
        raise BadData(f"{notes.where} is nested too deeply for a table: repair the file") from error
    except ValueError as error:
        document = _json_lines(content, error, notes)
    rows = rows_of(document, notes.where)
    kinds = Counter(type(row) for row in rows)
    if kinds.most_common(1)[0][0] is dict:
        names = list(dict.fromkeys(name for row in rows if isinstance(row, dict) for name in row))
        usual = [index for index, row in enumerate(rows) if isinstance(row, dict)]
        columns = {name: _json_column([rows[index].get(name) for index in usual]) for name in names}
    else:
        width = Counter(len(row) for row in rows if isinstance(row, list)).most_common(1)[0][0]
        usual = [index for index, row in enumerate(rows) if isinstance(row, list) and len(row) == width]
        columns = {f"column {n + 1}": _json_column([rows[index][n] for index in usual]) for n in range(width)}
    regular = set(usual)
    ragged = [(index, json.dumps(row)) for index, row in enumerate(rows) if index not in regular]
    notes.add_finding(
        "layout", "list of objects" if kinds.most_common(1)[0][0] is dict else "list of lists", f"{len(rows)} rows"
    )
    return RawTable(columns, np.array(usual, dtype=np.int64), tuple(ragged), kinds.most_common(1)[0][0] is dict)


def _json_lines(content: bytes, first_error: ValueError, notes: ImportNotes) -> list[Any]:
    """One JSON value a line, as some interfaces write them."""
    lines = [line for line in content.splitlines() if line.strip()]
    try:
        if len(lines) > 1:
            return [json.loads(line, parse_constant=str) for line in lines]
    except (ValueError, RecursionError):
        pass
    raise BadData(f"{notes.where} is damaged or not JSON ({str(first_error)[:200]}): fetch it again") from first_error


def _json_column(cells: list[Any]) -> pa.Array:
    """Numbers, text or nested values where all cells are, otherwise each cell as text."""
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds and (kinds <= {int, float} or kinds in ({str}, {bool}, {list}, {dict})):
        try:
            return pa.array(cells)
        except (pa.ArrowException, ValueError, OverflowError):
            pass
    return pa.array([_as_text(cell) for cell in cells], type=pa.string())


def _as_text(cell: Any) -> str | None:
    if cell is None:
        return None
    text = cell if isinstance(cell, str) else json.dumps(cell)
    return text.encode("utf-8", "replace").decode()
