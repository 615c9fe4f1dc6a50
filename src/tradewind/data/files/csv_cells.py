"""The cells of a CSV file: at once as numbers where every cell is one, otherwise as text."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from tradewind.errors import BadData


@dataclass(frozen=True)
class CsvLayout:
    """Where the cells are: after `skip_lines` lines, split by `delimiter`, in columns called `names`."""

    delimiter: str
    skip_lines: int
    names: tuple[str, ...]


def read_as_numbers(
    content: bytes, layout: CsvLayout, columns: dict[str, str], is_epoch: bool | None
) -> pa.Table | None:
    """The columns as float64 and times as integers or instants, read side by side; None if any cell is no such thing.

    Args:
        content: the file.
        layout: where its cells are.
        columns: the file's name of each column, by ours.
        is_epoch: whether times are integers or instants without a zone; None: text.
    """
    kinds = dict.fromkeys(columns.values(), pa.float64())
    times = columns["open_time"]
    kinds[times] = pa.string() if is_epoch is None else pa.int64() if is_epoch else pa.timestamp("ms")
    try:
        cells = _read(content, layout, kinds, use_threads=True)
    except pa.ArrowInvalid:
        return None
    for role, name in columns.items():
        column = cells.column(name)
        if column.null_count and role not in ("quote_volume", "trades"):
            return None
        # The parser also takes words such as nan and infinity, and numbers beyond float64 as infinite.
        if name != times and not pc.all(pc.is_finite(column), min_count=0).as_py():
            return None
    return cells


def read_as_text(content: bytes, layout: CsvLayout, columns: dict[str, str]) -> pa.Table:
    """The columns as text, so that nothing is guessed.

    Args:
        content: of the file, UTF-8.
        layout: delimiter, skipped lines and names.
        columns: the file's names of the wanted columns, by ours.

    Returns:
        One text column each, under the file's names.

    Raises:
        pyarrow.ArrowInvalid: a line has another number of cells; the message names the row.
    """
    return _read(content, layout, dict.fromkeys(columns.values(), pa.string()), use_threads=False)


def require_a_line_each(content: bytes, skipped_lines: int, rows: int, where: str) -> None:
    """Nothing, if every line after the skipped ones became one row.

    Args:
        content: of the file.
        skipped_lines: before the first row, the header included.
        rows: how many were read.
        where: the file, for the message.

    Raises:
        BadData: a quoted cell runs over several lines, so that rows were swallowed.
    """
    if b'"' not in content:
        return
    lines = sum(len(line) > 0 for line in content.splitlines()[skipped_lines:])
    if lines != rows:
        raise BadData(
            f"{where} has {lines} lines but {rows} rows: a quotation mark is not closed on its line. Repair the file"
        )


def _read(content: bytes, layout: CsvLayout, kinds: dict[str, pa.DataType], use_threads: bool) -> pa.Table:
    return pyarrow.csv.read_csv(
        pa.BufferReader(content),
        read_options=pyarrow.csv.ReadOptions(
            use_threads=use_threads, skip_rows=layout.skip_lines, column_names=list(layout.names)
        ),
        parse_options=pyarrow.csv.ParseOptions(delimiter=layout.delimiter),
        convert_options=pyarrow.csv.ConvertOptions(
            include_columns=list(kinds), column_types=kinds, null_values=[""], strings_can_be_null=False
        ),
    )
