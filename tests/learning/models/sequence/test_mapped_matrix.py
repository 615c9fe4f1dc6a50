"""A table in a file gives the batches that it gives in memory, and is not read as a whole."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tradewind.errors import BadData
from tradewind.learning.models.sequence.mapped_matrix import MappedMatrix, write_matrix
from tradewind.learning.models.sequence.windows import Standardiser, make_windows


def made(count: int = 300, features: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    at = pd.date_range("2024-01-01", periods=count, freq="h", tz="UTC").as_unit("ms")
    names = [f"f{number}" for number in range(features)]
    tables = [
        pd.DataFrame(rng.standard_normal((count, features)).astype(np.float32), columns=names)
        .assign(symbol=symbol, timestamp=at)
        .drop(index=[50, 51, 200])
        for symbol in ("A", "B", "C")
    ]
    return pd.concat(tables, ignore_index=True)


def written(folder: Path, table: pd.DataFrame, standardiser: Standardiser) -> MappedMatrix:
    write_matrix(folder / "matrix.arrow", (part for _, part in table.groupby("symbol")), standardiser)
    return MappedMatrix(folder / "matrix.arrow")


def test_windows_from_the_file_are_those_from_memory(tmp_path: Path) -> None:
    table = made()
    standardiser = Standardiser.fitted(table, ["f0", "f1", "f2"])
    matrix = written(tmp_path, table, standardiser)
    expected, found = make_windows(table, standardiser, 24), matrix.windows(24)
    np.testing.assert_array_equal(found.ends, expected.ends)
    chosen = np.random.default_rng(1).permutation(len(found))
    np.testing.assert_array_equal(found.gather(chosen), expected.gather(chosen))
    assert len(matrix) == len(table) and matrix.features == ("f0", "f1", "f2")
    assert [path.name for path in tmp_path.iterdir()] == ["matrix.arrow"]


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    table = made(count=20_000, features=40)
    before = pa.total_allocated_bytes()
    windows = written(tmp_path, table, Standardiser.fitted(table, [f"f{at}" for at in range(40)])).windows(24)
    batch = windows.gather(np.arange(64))
    size = (tmp_path / "matrix.arrow").stat().st_size
    assert size > 9_000_000 and pa.total_allocated_bytes() - before < 0.2 * size
    assert batch.shape == (64, 24, 40)


def test_what_is_not_a_matrix_is_refused(tmp_path: Path) -> None:
    table = made()
    standardiser = Standardiser.fitted(table, ["f0"])
    with pytest.raises(BadData, match="one symbol's rows"):
        write_matrix(tmp_path / "m.arrow", [table], standardiser)
    whole = written(tmp_path, table, standardiser)
    content = (tmp_path / "matrix.arrow").read_bytes()
    for fault in (content[:-200], b"nothing", b""):
        (tmp_path / "torn.arrow").write_bytes(fault)
        with pytest.raises(BadData, match="not a matrix of features"):
            MappedMatrix(tmp_path / "torn.arrow")
    with pytest.raises(BadData, match="no window of 400 bars"):
        whole.windows(400)
