import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.data.files.cells import epoch_units, parse_numbers


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
def test_text_is_read_to_the_very_same_number(numbers: list[float]) -> None:
    text = pd.Series([repr(number) for number in numbers], dtype="str")
    assert parse_numbers(text).tolist() == numbers


@pytest.mark.parametrize("text", ["", " ", "n/a", "nan", "inf", "1,234.5", "1_000", "$5", "0x10", "1.2.3", "--1", "1e"])
def test_what_is_no_plain_number_is_not_read(text: str) -> None:
    assert np.isnan(parse_numbers(pd.Series([text, "7"], dtype=object))).tolist() == [True, False]


def test_cells_of_mixed_kinds_are_read_one_by_one() -> None:
    mixed = pd.Series([1, 2.5, "3", " 4 ", None, True, pd.NaT, "x"], dtype=object)
    np.testing.assert_equal(parse_numbers(mixed), [1, 2.5, 3, 4, np.nan, np.nan, np.nan, np.nan])


@pytest.mark.parametrize("values", [pd.Series([True, False]), pd.Series(pd.to_datetime(["2024-01-01", "2024-01-02"]))])
def test_truth_values_and_instants_are_no_numbers(values: pd.Series) -> None:
    assert np.isnan(parse_numbers(values)).all()


@settings(max_examples=200, deadline=None)
@given(st.floats(min_value=0, max_value=1e20))
def test_no_epoch_fits_two_units(value: float) -> None:
    assert sum(bool(fits[0]) for fits in epoch_units(np.array([value])).values()) <= 1


def test_numbers_beyond_a_float_are_infinite_and_broken_text_is_no_number() -> None:
    cells = pd.Series([10**400, -(10**400), "9" * 400, "\ud800", "5"], dtype=object)
    np.testing.assert_equal(parse_numbers(cells), [np.inf, -np.inf, np.inf, np.nan, 5])
