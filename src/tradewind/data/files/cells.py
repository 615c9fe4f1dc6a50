"""Numbers and epochs as sources deliver them, read exactly and without guessing."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

EARLIEST_MS = 631_152_000_000  # 1990-01-01: no electronic bar is older
LATEST_MS = 4_102_444_800_000  # 2100-01-01

MS_PER_UNIT = {"s": 1_000.0, "ms": 1.0, "us": 1e-3, "ns": 1e-6}

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"

_NO = ("false", "0", "no")

FloatArray = npt.NDArray[np.float64]


def parse_numbers(values: pd.Series) -> FloatArray:
    """float64 values; NaN where a cell is missing or is not a plain decimal number.

    Text is read to the nearest float64. Thousands separators, currency signs, `nan` and `inf` are not numbers.
    """
    if pd.api.types.is_bool_dtype(values.dtype) or pd.api.types.is_datetime64_any_dtype(values.dtype):
        return np.full(len(values), np.nan)
    if pd.api.types.is_numeric_dtype(values.dtype):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    if isinstance(values.dtype, pd.StringDtype):
        return parse_text(pa.array(values, from_pandas=True))
    cells = values.to_numpy(dtype=object)
    is_number = np.fromiter(
        (isinstance(cell, int | float | np.number) and not isinstance(cell, bool) for cell in cells),
        dtype=bool,
        count=len(cells),
    )
    numbers = np.full(len(cells), np.nan)
    numbers[is_number] = [_as_float(cell) for cell in cells[is_number]]
    is_text = np.fromiter((isinstance(cell, str) for cell in cells), dtype=bool, count=len(cells))
    if is_text.any():
        # A lone surrogate, as JSON may hold, is no text that Arrow knows.
        texts = [cell.encode("utf-8", "replace").decode() for cell in cells[is_text]]
        numbers[is_text] = parse_text(pa.array(texts, type=pa.string()))
    return numbers


def _as_float(number: float | np.number) -> float:
    try:
        return float(number)
    except OverflowError:  # an integer beyond float64
        return np.inf if number > 0 else -np.inf


def parse_text(cells: pa.Array | pa.ChunkedArray) -> FloatArray:
    """As `parse_numbers`, of cells that are text."""
    text = pc.utf8_trim_whitespace(cells)
    numbers = pc.match_substring_regex(text, _NUMBER)
    plain = text if pc.all(numbers, skip_nulls=True).as_py() else pc.if_else(numbers, text, None)
    return pc.cast(plain, pa.float64()).to_numpy(zero_copy_only=False)


def negative_cells(values: pd.Series) -> npt.NDArray[np.bool_] | None:
    """Which cells are false, 0 or no; None where the column holds other words than yes and no, whatever it is for."""
    words = values.astype("str").str.strip().str.lower().str.replace(r"^([01])\.0$", r"\1", regex=True)
    if not words.isin([*_NO, "true", "1", "yes", "", "nan", "none", "<na>"]).all():
        return None
    return words.isin(_NO).to_numpy(dtype=bool)


def epoch_units(values: FloatArray) -> dict[str, npt.NDArray[np.bool_]]:
    """For each unit, which values are instants between 1990 and 2100 in it; no value fits two units."""
    return {
        unit: (values >= EARLIEST_MS / factor) & (values < LATEST_MS / factor) for unit, factor in MS_PER_UNIT.items()
    }
