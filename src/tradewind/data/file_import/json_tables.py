"""The table inside a JSON document: a list of rows, rows by symbol, or columns side by side, however deep."""

import re
from collections.abc import Iterator
from typing import Any

from tradewind.data.files.dialect import ALIASES, plain_name
from tradewind.errors import BadData

_DEEPEST = 12
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]|$)")
_NUMBER = re.compile(r"^\d+[a-z]?\. ")


def rows_of(document: Any, where: str) -> list[Any]:
    """The list of rows (lists or objects): the document, the only list of rows in it, rows by their dates, a data frame
    as pandas writes it, or columns of one length.

    Lists of rows that stand beside each other by symbol are joined, the symbol as a column.

    Raises:
        BadData: there is none, or several that do not belong together; the message names where they stand.
    """
    is_wrapped = isinstance(document, list) and len(document) == 1 and any(True for _ in _tables(document[0]))
    if isinstance(document, list) and any(isinstance(row, list | dict) for row in document) and not is_wrapped:
        return document
    found = [(path, rows) for path, rows in _tables(document) if rows]
    if len(found) > 1:
        found = _joined(found) or found
    if len(found) == 1:
        return found[0][1]
    dated = next(_dated(document), None)
    if not found and dated:
        return dated
    framed = _framed(document)
    if not found and framed:
        return framed
    columns = _columns(document)
    if not found and columns:
        return columns
    places = ", ".join(".".join(path) or "the document" for path, _ in found[:5])
    raise BadData(
        f"{where} holds " + (f"several lists of rows ({places}): keep one" if found else "no table")
        + ": JSON must be a list of rows (lists or objects) or columns of lists"
    )  # fmt: skip


def _tables(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
    """Every list of flat rows, with the keys that lead to it."""
    if len(path) > _DEEPEST:
        return
    if isinstance(node, list):
        if node and all(_is_flat(row) for row in node):
            yield path, node
        else:
            for item in node:
                yield from _tables(item, path)
    elif isinstance(node, dict):
        for name, part in node.items():
            yield from _tables(part, (*path, str(name)))


def _dated(node: Any, depth: int = 0) -> Iterator[list[dict[str, Any]]]:
    """Every table whose rows stand under their dates, as Alpha Vantage has them; `1. open` is open there."""
    if depth > _DEEPEST or not isinstance(node, dict):
        return
    if len(node) > 1 and all(
        _DATE.match(str(name)) and isinstance(row, dict) and _is_flat(row) for name, row in node.items()
    ):
        yield [
            {"time": name, **{_NUMBER.sub("", key): cell for key, cell in row.items()}} for name, row in node.items()
        ]
        return
    for part in node.values():
        yield from _dated(part, depth + 1)


def _framed(document: Any) -> list[dict[str, Any]]:
    """The rows of a data frame, from its cells by column and row (pandas' `to_json`) or by row and column.

    The label of a row, often its time, is the column `index`.
    """
    parts = list(document.values()) if isinstance(document, dict) else []
    if len(parts) < 2 or not all(isinstance(part, dict) and part.keys() == parts[0].keys() for part in parts):
        return []
    if any(isinstance(cell, list | dict) for part in parts for cell in part.values()):
        return []
    prices = ALIASES["open"] | ALIASES["close"] | {"price"}
    is_by_column, is_by_row = (any(plain_name(str(name)) in prices for name in names) for names in (document, parts[0]))
    if is_by_column == is_by_row:
        return []
    if is_by_row:
        return [{"index": label, **row} for label, row in document.items()]
    return [{"index": label, **{name: part[label] for name, part in document.items()}} for label in parts[0]]


def _is_flat(row: Any) -> bool:
    cells = row.values() if isinstance(row, dict) else row if isinstance(row, list) else None
    return cells is not None and len(cells) > 1 and not any(isinstance(cell, list | dict) for cell in cells)


def _joined(found: list[tuple[tuple[str, ...], list[Any]]]) -> list[tuple[tuple[str, ...], list[Any]]]:
    """One list of objects, where all stand at one place under the names of their symbols."""
    parents = {path[:-1] for path, _ in found}
    shapes = {tuple(sorted(rows[0])) if isinstance(rows[0], dict) else None for _, rows in found}
    if len(parents) != 1 or len(shapes) != 1 or None in shapes:
        return []
    rows = [{**row, "symbol": path[-1]} for path, part in found for row in part if isinstance(row, dict)]
    return [(parents.pop(), rows)]


def _columns(document: Any) -> list[dict[str, Any]]:
    """Rows made of lists of one length, wherever they stand; of several lengths the one that most lists have."""
    by_length: dict[int, dict[str, list[Any]]] = {}

    def walk(node: Any, name: str, depth: int) -> None:
        if depth > _DEEPEST:
            return
        if isinstance(node, list) and len(node) > 1 and not any(isinstance(cell, list | dict) for cell in node):
            by_length.setdefault(len(node), {}).setdefault(name, node)
        elif isinstance(node, list):
            for item in node:
                walk(item, name, depth + 1)
        elif isinstance(node, dict):
            for key, part in node.items():
                walk(part, str(key), depth + 1)

    walk(document, "", 0)
    best = max(by_length.values(), key=len, default={})
    if len(best) < 2:
        return []
    return [dict(zip(best, cells, strict=True)) for cells in zip(*best.values(), strict=True)]
