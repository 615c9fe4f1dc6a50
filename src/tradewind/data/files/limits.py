"""How large a file may be once it is unpacked: one limit for every format and every door, held before unpacking."""

import os

from tradewind.errors import BadData, BadParameters

SETTING = "TRADEWIND_MAX_FILE_MB"
MOST_COLUMNS = 4096
# Market data shrinks to between a half and a thirtieth; only a bomb shrinks to less than a hundredth.
LARGEST_EXPANSION = 100
FREE_BYTES = 64 << 20
_DEFAULT_MB = 2048
_BYTES_A_CELL, _BYTES_A_JSON_VALUE = 16, 512  # what a cell takes while it is read, as a number and as a Python object


def largest_bytes() -> int:
    """The most bytes that a file may hold unpacked.

    Raises:
        BadParameters: the environment variable is no number of megabytes.
    """
    text = os.environ.get(SETTING, str(_DEFAULT_MB))
    if not text.isdigit() or int(text) == 0:
        raise BadParameters(f"{SETTING} must be a whole number of megabytes above 0, found {text!r}")
    return int(text) << 20


def require_bytes(unpacked: int, packed: int, where: str) -> None:
    """Nothing, if a file of `packed` bytes may hold so many once it is unpacked.

    Args:
        unpacked: as the file's own metadata say it, or as counted so far.
        packed: the bytes on the disk.
        where: the file, for the message.

    Raises:
        BadData: it is too large, or grows as no market data does.
    """
    most = largest_bytes()
    if unpacked > most:
        raise BadData(
            f"{where} holds {unpacked:,} bytes unpacked, more than {most:,}: split it, or raise {SETTING} "
            f"(now {most >> 20})"
        )
    if unpacked > FREE_BYTES and unpacked > LARGEST_EXPANSION * max(packed, 1):
        raise BadData(
            f"{where} grows from {packed:,} to {unpacked:,} bytes, over {LARGEST_EXPANSION} times, as no market data "
            "does: it is damaged or made to fill the memory. Fetch it again"
        )


def require_cells(cells: int, columns: int, where: str, packed: int | None = None) -> None:
    """Nothing, if a table may have so many cells and columns.

    Args:
        cells: rows times columns, nested values counted.
        columns: how many.
        where: the file, for the message.
        packed: the bytes on the disk, if they say little about the cells.

    Raises:
        BadData: it has more.
    """
    if columns > MOST_COLUMNS:
        raise BadData(f"{where} has {columns:,} columns, more than {MOST_COLUMNS:,}: choose those that are needed")
    most = largest_bytes() // _BYTES_A_CELL
    if cells > most:
        raise BadData(f"{where} has {cells:,} cells, more than {most:,}: split it, or raise {SETTING}")
    if packed is not None:
        require_bytes(cells * 8, packed, where)


def require_json(content: bytes, where: str) -> None:
    """Nothing, if a JSON document may have as many values as it has commas and brackets.

    Raises:
        BadData: it has more.
    """
    _require_values(sum(content.count(mark) for mark in (b",", b"[", b"{")), "JSON", where)


def require_text(content: bytes, delimiters: str, where: str) -> None:
    """Nothing, if a text that is read cell by cell may have as many cells as it has delimiters and lines.

    Args:
        content: the bytes of the file.
        delimiters: one of which splits its lines: the most frequent.
        where: the file, for the message.

    Raises:
        BadData: it has more.
    """
    cells = max(content.count(mark.encode()) for mark in delimiters)
    _require_values(cells + content.count(b"\n"), "text", where)


def _require_values(values: int, kind: str, where: str) -> None:
    most = largest_bytes() // _BYTES_A_JSON_VALUE
    if values > most:
        raise BadData(
            f"{where} holds about {values:,} values of {kind}, more than {most:,}: convert it to Parquet, or raise "
            f"{SETTING}"
        )
