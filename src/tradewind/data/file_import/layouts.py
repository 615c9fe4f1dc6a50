"""How a text table is laid out: delimiter, lines before the header, names."""

import csv
import re
from collections import Counter
from dataclasses import dataclass

from tradewind.data.files.dialect import ALIASES, TIME_NAMES, BarDialect, plain_name
from tradewind.data.files.findings import ImportNotes
from tradewind.errors import BadData

DELIMITERS = ",;\t|"
_SNIFFED_BYTES = 1 << 16
_SNIFFED_LINES = 200
_HEADER_WITHIN = 20
_DATA_CELL = re.compile(
    r"\s*(?:[+-]?(?:\d+(?:[.,]\d+)*\.?|\.\d+)(?:[eE][+-]?\d+)?"
    "|[+-]?\\d{1,3}(?:['\u2019 \u00a0\u2009\u202f]\\d{3})+(?:[.,]\\d+)?"
    r"|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\b.*)\s*"
)
_STATED_ZONE = re.compile(r"\b(UTC|GMT)\b")


@dataclass(frozen=True)
class Layout:
    """Where the cells are: after `skip_lines` lines, split by `delimiter`, in columns called `names`."""

    delimiter: str
    skip_lines: int
    names: tuple[str, ...]
    has_header: bool
    preamble: tuple[str, ...]


def sniff_layout(content: bytes, dialect: BarDialect, notes: ImportNotes) -> Layout:
    """The layout of a text table; columns of a file without a header are called `column 1` and so on.

    Args:
        content: of the file, UTF-8.
        dialect: delimiter, skipped lines and column names, where the user has set them.
        notes: gets findings, assumptions and missing settings.

    Returns:
        Delimiter, first row, names, whether there is a header, and the lines before it.

    Raises:
        BadData: no lines, no clear delimiter, two columns of one name.
    """
    raw = content[:_SNIFFED_BYTES].splitlines()  # of bytes: text has more kinds of line ends than a table
    if len(content) > _SNIFFED_BYTES:
        raw = raw[:-1]
    lines = [line.decode("utf-8", errors="replace") for line in raw[:_SNIFFED_LINES]]
    if not raw:
        raise BadData(f"{notes.where} has a first line of over {_SNIFFED_BYTES:,} bytes: it is no table of market data")
    if not any(line.strip() for line in lines):
        raise BadData(f"{notes.where} has no lines with text: fetch it again or remove it")
    delimiter = dialect.delimiter or _sniff_delimiter(lines, notes)
    rows = [_split(line, delimiter) for line in lines]
    width = _usual_width(rows)
    rows = _ended(rows, width)
    header, first = _header_line(rows, width, dialect)
    names = tuple(dialect.column_names)
    if not names:
        given = rows[header] if header is not None else [""] * width
        names = tuple(name.strip() or f"column {number}" for number, name in enumerate(given, start=1))
        names = apart(names)
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise BadData(f"{notes.where}: the columns {repeated[:5]} stand there twice: rename one of each")
    before = tuple(line for index, line in enumerate(lines[:first]) if index != header and line.strip())
    layout = Layout(delimiter, first, names, header is not None or bool(dialect.column_names), before)
    _note(layout, header, notes)
    return layout


def apart(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, numbered where they repeat, unless they are names of what is read: those must not be guessed."""
    found, counts = [], Counter[str]()
    known = TIME_NAMES.union(*ALIASES.values())
    for name in names:
        counts[name] += 1
        is_free = counts[name] > 1 and plain_name(name) not in known
        found.append(f"{name} ({counts[name]})" if is_free else name)
    return tuple(found)


def stated_zone(layout: Layout) -> tuple[str, str] | None:
    """The time zone that a line before the header states, and that line."""
    for line in layout.preamble:
        stated = _STATED_ZONE.search(line)
        if stated:
            return "UTC", line.strip()[:80]
    return None


def _note(layout: Layout, header: int | None, notes: ImportNotes) -> None:
    shown = {"\t": "tab"}.get(layout.delimiter, layout.delimiter)
    notes.add_finding("delimiter", shown, f"splits the lines into {len(layout.names)} cells")
    skipped = "; ".join(f"skipped {line.strip()[:60]!r}" for line in layout.preamble)
    if header is None:
        notes.add_finding("header", "none", skipped or "the first line holds numbers, as the others do")
    else:
        notes.add_finding("header", f"line {header + 1}", skipped or "the first line has no numbers")


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:  # a field beyond the module's limit
        return line.split(delimiter)


def _usual_width(rows: list[list[str]]) -> int:
    widths = Counter(len(row) for row in rows if row)
    return max(widths, key=lambda width: (widths[width], width))


def _ended(rows: list[list[str]], width: int) -> list[list[str]]:
    """The rows, the one above them with one empty cell more where each of them, but not it, ends in a delimiter."""
    above = next((index for index, row in enumerate(rows[:_HEADER_WITHIN]) if len(row) == width), 0) - 1
    if above < 0 or len(rows[above]) != width - 1 or any(row and row[-1].strip() for row in rows[above + 1 :]):
        return rows
    return [*rows[:above], [*rows[above], ""], *rows[above + 1 :]]


def _sniff_delimiter(lines: list[str], notes: ImportNotes) -> str:
    """The mark that splits nearly all lines into equally many cells, most of them numbers or times."""
    fitting: dict[str, float] = {}
    filled = [line for line in lines if line.strip()]
    for mark in DELIMITERS:
        rows = [_split(line, mark) for line in filled]
        width = _usual_width(rows)
        usual = [row for row in rows if len(row) == width]
        if width < 2 or len(usual) * 10 < (len(rows) - min(len(rows) // 2, 3)) * 8:
            continue
        cells = [cell for row in usual[-50:] for cell in row if cell.strip()]
        readable = sum(_DATA_CELL.fullmatch(cell) is not None for cell in cells)
        fitting[mark] = readable / max(len(cells), 1)
    best = max(fitting.values(), default=0.0)
    chosen = [mark for mark, readable in fitting.items() if readable > best - 0.05]
    if len(chosen) != 1:
        raise BadData(
            f"{notes.where}: the delimiter is not clear from the line {filled[0][:80]!r}: give delimiter, and "
            "skip_lines if that is not the header"
        )
    return chosen[0]


def _header_line(rows: list[list[str]], width: int, dialect: BarDialect) -> tuple[int | None, int]:
    """Which line is the header, if any, and which is the first of the table.

    Only what stands above a header is skipped: any other line is a row, good or bad.
    """
    if dialect.column_names:
        return None, dialect.skip_lines
    if dialect.skip_lines:
        return min(dialect.skip_lines, len(rows) - 1), dialect.skip_lines + 1
    for index, row in enumerate(rows[:_HEADER_WITHIN]):
        if len(row) == width:
            if not _is_table_row(row):
                return index, index + 1
            break
    return None, 0


def _is_table_row(row: list[str]) -> bool:
    filled = [cell for cell in row if cell.strip()]
    return any(_DATA_CELL.fullmatch(cell) for cell in filled)
