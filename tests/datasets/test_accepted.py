from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DatasetError

from tradewind.datasets import AcceptedTablesDataset, CheckedTablesDataset

TABLES = {name: pd.DataFrame({"value": [float(at)]}) for at, name in enumerate(("v/A/1h", "v/B/1h"))}


def sets(folder: Path) -> tuple[CheckedTablesDataset, AcceptedTablesDataset]:
    return CheckedTablesDataset(path=str(folder)), AcceptedTablesDataset(path=str(folder))


def test_checked_tables_cannot_be_read_as_accepted_ones(tmp_path: Path) -> None:
    checked, accepted = sets(tmp_path)
    checked.save(TABLES)
    assert not accepted.exists()
    with pytest.raises(DatasetError, match="holds checked tables that were not accepted: run data_engineering"):
        accepted.load()


def test_acceptance_copies_nothing_and_may_leave_tables_out(tmp_path: Path) -> None:
    checked, accepted = sets(tmp_path)
    checked.save(TABLES)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    accepted.save({"v/B/1h": checked.load()["v/B/1h"]})
    assert {path for path in tmp_path.rglob("*") if path.is_file()} - before == {tmp_path / "_accepted.json"}
    assert accepted.exists()
    loaded = accepted.load()
    assert list(loaded) == ["v/B/1h"]
    pd.testing.assert_frame_equal(loaded["v/B/1h"](), TABLES["v/B/1h"])


def test_new_tables_do_not_pass_under_an_old_acceptance_even_if_they_are_equal(tmp_path: Path) -> None:
    checked, accepted = sets(tmp_path)
    checked.save(TABLES)
    accepted.save(checked.load())
    checked.save(TABLES)
    assert not accepted.exists()


def test_only_checked_tables_are_accepted(tmp_path: Path) -> None:
    checked, accepted = sets(tmp_path)
    checked.save(TABLES)
    with pytest.raises(DatasetError, match=r"must be among the checked ones.*found \['v/C/1h'\]"):
        accepted.save({"v/C/1h": TABLES["v/A/1h"]})
    with pytest.raises(DatasetError, match="found none"):
        accepted.save({})
    assert not accepted.exists()


def test_a_file_changed_after_acceptance_is_refused(tmp_path: Path) -> None:
    checked, accepted = sets(tmp_path)
    checked.save(TABLES)
    accepted.save(checked.load())
    (file,) = (tmp_path / "v/A").glob("*.parquet")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DatasetError, match="should have"):
        accepted.load()
