"""Which mark stands before the decimals: what most numbers say, never one cell that the others contradict."""

import pyarrow as pa
import pytest

from tradewind.data.file_import.number_texts import plain_numbers
from tradewind.data.files.findings import ImportNotes

POINTS = ["102.74", "4.445", "99.9", "0.1234", "1,234.5", "7"] * 5
COMMAS = ["102,74", "4,445", "99,9", "0,1234", "1.234,5", "7"] * 5


def read(*cells: str, given: str | None = None) -> list[str] | None:
    found = plain_numbers({"volume": pa.array(cells)}, given, ImportNotes("a file"))
    return None if found is None else found["volume"].to_pylist()


@pytest.mark.parametrize("damage", ["1,5", "12,34567", "1,5,7"])
def test_one_cell_with_a_comma_turns_no_table_of_points(damage: str) -> None:
    """It stays as it is, and is rejected as no number; 4.445 was read as 4445 because of it."""
    assert read(*POINTS, damage) == [*(cell.replace(",", "") for cell in POINTS), damage]


def test_one_cell_with_a_point_turns_no_table_of_commas() -> None:
    plain = [cell.replace(".", "").replace(",", ".") for cell in COMMAS]
    assert read(*COMMAS, "1,2.3") == [*plain, "1,2.3"]
    assert read(*COMMAS, "12.5") == [*plain, "12.5"]


def test_a_table_that_says_both_is_asked_about() -> None:
    assert read(*POINTS, *COMMAS) is None
    assert read("1,5", "2.5", "3.25") is None
    assert read("1,5", "2.5", "3.25", given=".") == ["1,5", "2.5", "3.25"]
