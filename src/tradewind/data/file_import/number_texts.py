"""Numbers as people and spreadsheets write them: decimal commas, and thousands apart."""

import re

import pyarrow as pa
import pyarrow.compute as pc

from tradewind.data.files.findings import ImportNotes

_COMMA_DECIMAL = r"^\s*[+-]?(\d{1,3}(\.\d{3})+,\d+|\d+,(\d{1,2}|\d{4,}))\s*$"
# In India lakhs and crores are set apart, too: 1,42,000.50.
_POINT_DECIMAL = r"^\s*[+-]?(\d{1,3}(,\d{3})+\.\d+|\d{1,3}(,\d{3}){2,}|\d{1,2}(,\d{2})+,\d{3}(\.\d+)?)\s*$"
_GAPS = "['\u2019 \u00a0\u2009\u202f]"
_GROUPED_BY_GAP = rf"^\s*[+-]?\d{{1,3}}({_GAPS}\d{{3}})+([.,]\d+)?\s*$"
_UNCLEAR = r"^\s*[+-]?\d{1,3},\d{3}\s*$"
_PLAIN_POINT = r"^\s*[+-]?\d+\.(\d{1,2}|\d{4,})\s*$"
_GROUPED_BY_POINT = r"^\s*[+-]?\d{1,3}(\.\d{3})+(,\d+)?\s*$"
_MONEY = r"^\s*[+-]?[$€£]\s*\d[\d.,]*\s*$"
_SHORT = r"^\s*(?P<number>\d+(?:\.\d+)?)(?P<letter>[KMB])\s*$"
_SIZES = {"K": 1e3, "M": 1e6, "B": 1e9}
OUTNUMBERED = 9  # times as many numbers with one mark than with the other settle it
_ANY = re.compile(r"\d,\d")


def plain_numbers(columns: dict[str, pa.Array], given: str | None, notes: ImportNotes) -> dict[str, pa.Array] | None:
    """The columns with their numbers in plain form (1234.5); None where the mark of decimals must be asked for.

    Args:
        columns: text cells by name.
        given: the decimal mark that the user says, `,` or `.`.
        notes: receives what was found and is needed.
    """
    columns = _without_gaps({name: _without_signs(cells) for name, cells in columns.items()}, notes)
    marked = {name: cells for name, cells in columns.items() if _has(cells, _ANY.pattern)}
    if not marked:
        return columns
    commas = sum(_count(cells, _COMMA_DECIMAL) for cells in marked.values())
    points = sum(_count(cells, _POINT_DECIMAL) for cells in marked.values())
    unclear = sum(_count(cells, _UNCLEAR) for cells in marked.values())
    if not (commas or points or unclear):
        return columns
    plain = sum(_count(cells, _PLAIN_POINT) for cells in columns.values())
    mark, why = given, "given"
    # One cell does not turn the table: what the others contradict is damage, and is rejected as no number.
    if mark is None and not points and commas > OUTNUMBERED * plain:
        mark, why = ",", f"{commas:,} numbers have other than three digits after a comma"
    elif mark is None and points + plain > OUTNUMBERED * commas:
        mark, why = ".", f"{points + plain:,} numbers have a point before their decimals"
    if mark is None:
        first = next(cells.filter(pc.match_substring_regex(cells, r"\d,\d"))[0].as_py() for cells in marked.values())
        notes.add_missing(
            "decimal=MARK", f"{first!r} may have a decimal comma (,), or thousands set apart by one (then .)"
        )
        return None
    notes.add_finding("decimals after", "a comma" if mark == "," else "a point, thousands apart by commas", why)
    return {name: _plain(cells, mark) for name, cells in columns.items()}


def _without_signs(cells: pa.Array) -> pa.Array:
    """$1,234.50 as 1,234.50, and 12.3K as 12300.0, where most of a column is written so: a sign in one cell alone is
    damage."""
    if 2 * _count(cells, _MONEY) > len(cells):
        is_money = pc.match_substring_regex(cells, _MONEY)
        cells = pc.if_else(is_money, pc.replace_substring_regex(cells, r"[$€£]\s*", ""), cells)
    if 2 * _count(cells, _SHORT) <= len(cells):
        return cells
    short = pc.extract_regex(cells, _SHORT)
    number = pc.cast(pc.struct_field(short, "number"), pa.float64())
    letter, times = pc.struct_field(short, "letter"), pa.scalar(1.0)
    for name, size in _SIZES.items():
        times = pc.if_else(pc.equal(letter, name), size, times)
    return pc.coalesce(pc.cast(pc.multiply(number, times), pa.string()), cells)


def _without_gaps(columns: dict[str, pa.Array], notes: ImportNotes) -> dict[str, pa.Array]:
    """42'000.50 and 42 000,50 as 42000.50 and 42000,50 in all columns, where most of one are written so."""
    if not any(2 * _count(cells, _GROUPED_BY_GAP) > len(cells) for cells in columns.values()):
        return columns
    notes.add_finding("thousands apart by", "an apostrophe or a space", "most numbers of a column are written so")
    return {
        name: pc.if_else(
            pc.match_substring_regex(cells, _GROUPED_BY_GAP),
            pc.replace_substring_regex(pc.utf8_trim_whitespace(cells), _GAPS, ""),
            cells,
        )
        for name, cells in columns.items()
    }


def _plain(cells: pa.Array, mark: str) -> pa.Array:
    if mark == ".":
        is_number = pc.match_substring_regex(cells, rf"{_POINT_DECIMAL}|{_UNCLEAR}")
        return pc.if_else(is_number, pc.replace_substring(cells, ",", ""), cells)
    grouped = pc.match_substring_regex(cells, _GROUPED_BY_POINT)
    whole = pc.if_else(grouped, pc.replace_substring(cells, ".", ""), cells)
    is_number = pc.match_substring_regex(whole, r"^\s*[+-]?\d+,\d+\s*$")
    return pc.if_else(is_number, pc.replace_substring(whole, ",", "."), whole)


def _has(cells: pa.Array, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(cells, pattern)).as_py())


def _count(cells: pa.Array, pattern: str) -> int:
    return int(pc.sum(pc.match_substring_regex(cells, pattern)).as_py() or 0)
