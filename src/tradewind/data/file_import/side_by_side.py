"""CSV files in which several tickers stand side by side under two lines of names, as yfinance writes them."""

import csv
import io

import numpy as np
import pyarrow as pa

from tradewind.data.file_import.raw_table import RawTable
from tradewind.data.files.findings import ImportNotes

_HEADER = b"Price,"


def is_side_by_side(content: bytes) -> bool:
    """Whether the first line names prices and the second tickers."""
    first, _, rest = content[: 1 << 16].partition(b"\n")
    return first.startswith(_HEADER) and rest.startswith(b"Ticker,")


def read_side_by_side(content: bytes, notes: ImportNotes) -> RawTable:
    """A row for each line and ticker, with the ticker as `symbol`; where a ticker has no cell in a line, none.

    Rows are numbered line by line, ticker by ticker.
    """
    lines = [line for line in csv.reader(io.StringIO(content.decode(), newline="")) if line]
    fields, tickers = lines[0][1:], lines[1][1:]
    has_index_name = lines[2][0] != "" and not any(lines[2][1:])
    names = list(dict.fromkeys(tickers))
    kinds = list(dict.fromkeys(fields))
    width, rows = len(lines[0]), lines[3 if has_index_name else 2 :]
    columns: dict[str, list[str]] = {name: [] for name in ("Date", *kinds, "symbol")}
    numbers, ragged = [], []
    places = {pair: at for at, pair in enumerate(zip(fields, tickers, strict=True), start=1)}
    for number, line in enumerate(rows):
        if len(line) != width:
            ragged.append((number * len(names), ",".join(line)))
            continue
        for at, ticker in enumerate(names):
            cells = [line[places[kind, ticker]] if (kind, ticker) in places else "" for kind in kinds]
            if not any(cell.strip() for cell in cells):
                continue
            numbers.append(number * len(names) + at)
            for name, cell in zip(columns, [line[0], *cells, ticker], strict=True):
                columns[name].append(cell)
    notes.add_finding("layout", f"{len(names)} tickers side by side", f"{', '.join(names[:10])} in the second line")
    arrays = {name: pa.array(cells, type=pa.string()) for name, cells in columns.items()}
    return RawTable(arrays, np.array(numbers, dtype=np.int64), tuple(ragged))
