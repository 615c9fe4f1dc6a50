import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from kedro.io import DatasetError
from pandas.testing import assert_frame_equal

from tradewind.datasets import ParquetTableDataset, PartitionedTableDataset
from tradewind.errors import BadData


@pytest.fixture
def every_dtype() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "symbol": pd.Series(["A", "B", ""], dtype="str"),
            "timestamp": pd.DatetimeIndex(np.array([0, 1, 2], "datetime64[ms]"), tz="UTC"),
            "purge": np.array([1, 2, 3], "timedelta64[ms]"),
            "feature": np.array([1.5, np.nan, -3.25], np.float32),
            "price": [0.1, np.inf, np.nan],
            "label": np.array([-1, 0, 1], np.int8),
            "segment": np.array([0, 0, 1], np.int32),
            "row": np.array([1, 2, 3], np.int64),
            "is_last": [False, False, True],
        }
    )


def single(folder: Path) -> ParquetTableDataset:
    return ParquetTableDataset(filepath=str(folder / "table.parquet"))


def partitioned(folder: Path) -> PartitionedTableDataset:
    return PartitionedTableDataset(path=str(folder / "tables"))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_table_comes_back_as_it_was(tmp_path: Path, every_dtype: pd.DataFrame) -> None:
    single(tmp_path).save(every_dtype)
    assert_frame_equal(single(tmp_path).load(), every_dtype)
    single(tmp_path).save(every_dtype.iloc[:0])
    assert_frame_equal(single(tmp_path).load(), every_dtype.iloc[:0])


def test_the_index_is_not_part_of_a_table(tmp_path: Path, every_dtype: pd.DataFrame) -> None:
    single(tmp_path).save(every_dtype.iloc[[2, 0]])
    assert_frame_equal(single(tmp_path).load(), every_dtype.iloc[[2, 0]].reset_index(drop=True))


def test_features_are_stored_split_by_byte_in_zstd(tmp_path: Path, every_dtype: pd.DataFrame) -> None:
    single(tmp_path).save(every_dtype)
    group = pq.ParquetFile(tmp_path / "table.parquet").metadata.row_group(0)
    feature = next(group.column(i) for i in range(group.num_columns) if group.column(i).path_in_schema == "feature")
    assert feature.compression == "ZSTD"
    assert "BYTE_STREAM_SPLIT" in feature.encodings
    assert not feature.has_dictionary_page


def test_a_truncated_table_is_refused_and_does_not_exist(tmp_path: Path, every_dtype: pd.DataFrame) -> None:
    single(tmp_path).save(every_dtype)
    assert single(tmp_path).exists()
    path = tmp_path / "table.parquet"
    path.write_bytes(path.read_bytes()[:-3])
    assert not single(tmp_path).exists()
    with pytest.raises(DatasetError, match=r"table.parquet is not a complete Parquet file.*run the stage"):
        single(tmp_path).load()


def test_a_missing_table_says_to_run_its_stage(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"table.parquet does not exist: run the stage"):
        single(tmp_path).load()
    with pytest.raises(DatasetError, match="tables holds no complete set of tables: run the stage"):
        partitioned(tmp_path).load()


@pytest.mark.parametrize("wrong", [{"a": 1}, pd.DataFrame({0: [1]}), pd.DataFrame({"mixed": [1, "a"]})])
def test_what_is_not_a_plain_table_is_not_saved(tmp_path: Path, wrong: object) -> None:
    with pytest.raises(DatasetError, match=r"table\.parquet"):
        single(tmp_path).save(wrong)
    assert not list(tmp_path.iterdir())


def test_previews_are_plain_json(tmp_path: Path, every_dtype: pd.DataFrame) -> None:
    single(tmp_path).save(every_dtype)
    preview = single(tmp_path).preview(nrows=2)
    assert preview["columns"] == list(every_dtype.columns)
    assert len(preview["data"]) == 2
    json.dumps(preview, allow_nan=False)
    partitioned(tmp_path).save({"venue/A/1h": every_dtype})
    assert partitioned(tmp_path).preview(nrows=1)["data"][0][0] == "A"


def test_a_set_of_tables_comes_back_by_partition(tmp_path: Path, every_dtype: pd.DataFrame) -> None:
    tables = partitioned(tmp_path)
    tables.save({"venue/B/1h": every_dtype, "venue/A/1h": lambda: every_dtype.iloc[:1]})
    loaded = tables.load()
    assert list(loaded) == ["venue/A/1h", "venue/B/1h"]
    assert_frame_equal(loaded["venue/B/1h"](), every_dtype)
    assert_frame_equal(loaded["venue/A/1h"](), every_dtype.iloc[:1])


def test_equal_tables_give_equal_files(tmp_path: Path, every_dtype: pd.DataFrame) -> None:
    for run in ("first", "second"):
        partitioned(tmp_path / run).save({"venue/A/1h": every_dtype, "venue/B/1h": every_dtype})
    assert files(tmp_path / "first") == files(tmp_path / "second")
    partitioned(tmp_path / "first").save({"venue/B/1h": every_dtype, "venue/A/1h": every_dtype})
    assert files(tmp_path / "first") == files(tmp_path / "second")


def test_saving_replaces_the_whole_set(tmp_path: Path, every_dtype: pd.DataFrame) -> None:
    tables = partitioned(tmp_path)
    tables.save({"venue/A/1h": every_dtype, "other/B/1h": every_dtype})
    tables.save({"venue/A/1h": every_dtype.iloc[:1]})
    assert list(tables.load()) == ["venue/A/1h"]
    assert len(files(tmp_path)) == 2
    assert not (tmp_path / "tables" / "other").exists()


def test_only_what_a_dead_writer_left_is_swept_up(tmp_path: Path, every_dtype: pd.DataFrame) -> None:
    """Another process may be writing a table at this very moment."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    folder = tmp_path / "tables" / "venue"
    folder.mkdir(parents=True)
    living, dead = (folder / f".A.parquet.{pid}-0123abcd.partial" for pid in (os.getpid(), ended.pid))
    for path in (living, dead):
        path.write_bytes(b"half")
    partitioned(tmp_path).save({"venue/A/1h": every_dtype})
    assert living.exists() and not dead.exists()


def test_a_save_that_fails_keeps_the_old_set(tmp_path: Path, every_dtype: pd.DataFrame) -> None:
    def fail() -> pd.DataFrame:
        raise BadData("a symbol is broken")

    tables = partitioned(tmp_path)
    tables.save({"venue/A/1h": every_dtype, "venue/B/1h": every_dtype})
    with pytest.raises(DatasetError, match="a symbol is broken"):
        tables.save({"venue/A/1h": every_dtype.iloc[:1], "venue/B/1h": fail})
    assert tables.exists()
    assert_frame_equal(tables.load()["venue/A/1h"](), every_dtype)


@pytest.mark.parametrize("partition", ["../A", "/A", "a//b", ".hidden", "a/../b", "", "a b"])
def test_a_partition_cannot_leave_its_folder(tmp_path: Path, partition: str, every_dtype: pd.DataFrame) -> None:
    with pytest.raises(DatasetError, match="a partition is named by"):
        partitioned(tmp_path).save({partition: every_dtype})


def test_an_empty_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="at least one partition"):
        partitioned(tmp_path).save({})


def one_file(folder: Path) -> Path:
    return next((folder / "tables").rglob("*.parquet"))


def test_a_missing_or_short_partition_makes_the_set_incomplete(tmp_path: Path, every_dtype: pd.DataFrame) -> None:
    tables = partitioned(tmp_path)
    tables.save({"venue/A/1h": every_dtype})
    path = one_file(tmp_path)
    path.write_bytes(path.read_bytes()[:-3])
    assert not tables.exists()
    with pytest.raises(DatasetError, match=r"partition venue/A/1h\) should have \d+ bytes, found \d+ bytes"):
        tables.load()
    path.unlink()
    assert not tables.exists()
    with pytest.raises(DatasetError, match="found no such file"):
        tables.load()


def test_a_partition_altered_in_place_is_refused_when_read(tmp_path: Path, every_dtype: pd.DataFrame) -> None:
    tables = partitioned(tmp_path)
    tables.save({"venue/A/1h": every_dtype})
    path = one_file(tmp_path)
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(BadData, match="is not the file that was saved"):
        tables.load()["venue/A/1h"]()


@pytest.mark.parametrize("damage", ["", "{", '{"partitions": {"venue/A/1h": {"file": "x"}}}', "[]"])
def test_a_damaged_manifest_is_refused(tmp_path: Path, damage: str, every_dtype: pd.DataFrame) -> None:
    tables = partitioned(tmp_path)
    tables.save({"venue/A/1h": every_dtype})
    (tmp_path / "tables" / "_manifest.json").write_text(damage)
    assert not tables.exists()
    with pytest.raises(DatasetError, match=r"_manifest.json is damaged"):
        tables.load()


@pytest.mark.parametrize(
    "name", ["../outside.parquet", "/outside.parquet", "A/../../outside.parquet", ".hidden.parquet"]
)
def test_a_manifest_cannot_name_a_file_outside_its_folder(tmp_path: Path, name: str, every_dtype: pd.DataFrame) -> None:
    dataset = partitioned(tmp_path)
    dataset.save({"A": every_dtype})
    manifest = tmp_path / "tables/_manifest.json"
    (own,) = (tmp_path / "tables").glob("*.parquet")
    (tmp_path / "outside.parquet").write_bytes(own.read_bytes())  # with the very content that the manifest names
    manifest.write_text(manifest.read_text().replace(own.name, name))
    with pytest.raises(DatasetError, match="_manifest.json is damaged"):
        dataset.load()
    assert not dataset.exists()
