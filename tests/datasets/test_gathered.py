"""Tables that several datasets write are read together, chosen and checked by their hashes."""

from pathlib import Path

import pandas as pd
import pytest
from kedro.io.core import DatasetError

from tradewind.datasets.documents import JSONDataset
from tradewind.datasets.gathered import DocumentFolderDataset, GatheredTablesDataset
from tradewind.datasets.table import ParquetTableDataset
from tradewind.errors import BadData


def write(folder: Path, name: str, value: float) -> pd.DataFrame:
    table = pd.DataFrame({"model": [name], "value": [value]}).astype({"model": "str"})
    ParquetTableDataset(filepath=str(folder / f"{name}.parquet")).save(table)
    return table


def test_the_named_tables_are_read_in_their_order_and_no_others(tmp_path: Path) -> None:
    tables = {name: write(tmp_path, name, number) for number, name in enumerate(("a/one", "a/two", "b/three"))}
    dataset = GatheredTablesDataset(path=str(tmp_path))
    dataset.save(["b/three", "a/one"])
    found = dataset.load()
    assert list(found) == ["b/three", "a/one"]
    for name, load in found.items():
        pd.testing.assert_frame_equal(load(), tables[name])
    assert sorted(file.name for file in tmp_path.rglob("*.parquet")) == ["one.parquet", "three.parquet", "two.parquet"]


def test_one_folder_may_be_gathered_for_several_readers(tmp_path: Path) -> None:
    write(tmp_path, "one", 1.0)
    first, second = (GatheredTablesDataset(path=str(tmp_path), manifest=name) for name in ("_a.json", "_b.json"))
    first.save(["one"])
    second.save([])
    assert list(first.load()) == ["one"] and second.load() == {}


def test_a_table_that_was_written_since_is_refused_until_it_is_gathered_again(tmp_path: Path) -> None:
    write(tmp_path, "one", 1.0)
    dataset = GatheredTablesDataset(path=str(tmp_path))
    dataset.save(["one"])
    table = write(tmp_path, "one", 2.0)
    with pytest.raises((DatasetError, BadData), match=r"bytes|not the file that was saved"):
        dataset.load()["one"]()
    dataset.save(["one"])
    pd.testing.assert_frame_equal(dataset.load()["one"](), table)


@pytest.mark.parametrize("fault", ["absent", "torn"])
def test_a_table_that_is_not_there_or_not_whole_cannot_be_named(tmp_path: Path, fault: str) -> None:
    write(tmp_path, "one", 1.0)
    file = tmp_path / "one.parquet"
    if fault == "torn":
        file.write_bytes(file.read_bytes()[:-10])
    else:
        file.unlink()
    with pytest.raises(DatasetError, match="does not exist" if fault == "absent" else "not a complete Parquet file"):
        GatheredTablesDataset(path=str(tmp_path)).save(["one"])


def test_documents_are_listed_as_they_lie_and_none_are_no_error(tmp_path: Path) -> None:
    folder = DocumentFolderDataset(path=str(tmp_path))
    assert folder.load() == [] and folder.exists()
    for model in ("b", "a"):
        JSONDataset(filepath=str(tmp_path / f"{model}.json")).save({"model": model})
    folder.save([{"model": "b"}])
    assert folder.load() == [{"model": "a"}, {"model": "b"}]
    with pytest.raises(DatasetError, match="lacks a document"):
        folder.save([{"model": "c"}])
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DatasetError, match="is not JSON"):
        folder.load()
