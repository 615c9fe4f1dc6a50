"""What there is of each dataset is read off its files."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from kedro.pipeline import Node, Pipeline

from tradewind.cli.status import (
    SOURCE,
    DatasetStatus,
    Stored,
    in_short,
    stages_of_datasets,
    statuses,
    stored_at,
    table,
)
from tradewind.datasets import ParquetTableDataset, PartitionedTableDataset


def double(x: int) -> int:
    return 2 * x


def test_tables_tell_their_rows_without_being_read(tmp_path: Path) -> None:
    rows = pd.DataFrame({"close": [1.0, 2.0, 3.0]})
    ParquetTableDataset(filepath=str(tmp_path / "one.parquet")).save(rows)
    PartitionedTableDataset(path=str(tmp_path / "many")).save({"a": lambda: rows, "b": lambda: rows})
    one, many = stored_at(tmp_path / "one.parquet"), stored_at(tmp_path / "many")
    assert one is not None and many is not None
    assert (one.rows, many.rows) == (3, 6)
    assert one.size == (tmp_path / "one.parquet").stat().st_size
    assert abs((datetime.now(UTC) - one.at).total_seconds()) < 60


def test_what_is_not_whole_is_missing(tmp_path: Path) -> None:
    assert stored_at(tmp_path / "nothing") is None
    (tmp_path / "empty").mkdir()
    assert stored_at(tmp_path / "empty") is None
    PartitionedTableDataset(path=str(tmp_path / "many")).save({"a": lambda: pd.DataFrame({"x": [1]})})
    (tmp_path / "many/_manifest.json").unlink()  # as a run leaves it that was killed
    assert stored_at(tmp_path / "many") is None
    document = tmp_path / "folds/key"
    document.mkdir(parents=True)
    (document / "manifest.json").write_text(json.dumps({}))
    stored = stored_at(tmp_path / "folds")
    assert stored is not None and (stored.rows, stored.size) == (None, 2)


def test_a_dataset_belongs_to_the_smallest_pipeline_that_writes_it() -> None:
    first = Pipeline([Node(double, "raw", "made", name="double")])
    second = Pipeline([Node(double, "made", "more", name="again"), Node(double, "params:x", "other", name="third")])
    found = stages_of_datasets({"__default__": first + second, "second": second, "first": first})
    assert found == {"raw": SOURCE, "more": "second", "other": "second", "made": "first"}


def test_the_table_has_a_line_for_every_dataset_below_its_stage(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("four")
    places = {"note": {"filepath": "note.txt"}, "memory": {"type": "MemoryDataset"}, "gone": {"path": "gone"}}
    found = list(statuses(dict.fromkeys(places, "data"), places.__getitem__, tmp_path))
    assert [(one.name, one.stored is not None) for one in found] == [("note", True), ("gone", False)]
    lines = list(table(found))
    assert lines[0].text == "\ndata: 1 of 2 datasets are there"
    assert "4 B" in lines[1].text and lines[1].made
    assert lines[2].text.endswith("missing") and not lines[2].made


def test_sizes_and_rows_are_told_in_full(tmp_path: Path) -> None:
    at = datetime(2024, 5, 17, 9, 30, tzinfo=UTC)
    found = [DatasetStatus("data", "bars", Stored(at, 12_345_678, 1_234_567))]
    told = " ".join(list(table(found))[1].text.split())
    assert told == "bars 2024-05-17 09:30 UTC 12.3 MB 1,234,567 rows"


def test_a_fresh_clone_has_nothing(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/.gitkeep").touch()
    entries = {"models": {"path": "reports"}, "gathered": {"path": "reports", "manifest": "_gathered.json"}}
    found = list(statuses(dict.fromkeys(entries, "data"), entries.__getitem__, tmp_path))
    assert [one.stored for one in found] == [None, None]
    assert in_short(found, None).startswith("nothing has been made yet: `kedro run` begins, `kedro run --env quick`")
    assert in_short(found, "real") == "nothing has been made yet: `kedro run --env real` begins"
    (tmp_path / "reports/page.html").write_text("a page of another dataset")
    assert stored_at(tmp_path / "reports", "_gathered.json") is None
    (tmp_path / "reports/_gathered.json").write_text(json.dumps({"partitions": {"a": {"bytes": 7, "rows": 3}}}))
    gathered = stored_at(tmp_path / "reports", "_gathered.json")
    assert gathered is not None and (gathered.size, gathered.rows) == (7, 3)
    assert in_short(
        list(statuses({"gathered": "data"}, entries.__getitem__, tmp_path, lambda _: "stale: seed")), None
    ) == ("1 of 1 datasets are there, 1 of them stale; `kedro run` makes them anew")


def test_only_what_is_shown_is_asked_for_its_state(tmp_path: Path) -> None:
    """Of a project with a finished run: a state loads ledgers and sources, and with them what reads their files."""
    for name in ("received", "trained"):
        (tmp_path / name).write_text("1")
    entries, asked = {name: {"filepath": name} for name in ("received", "trained")}, list[str]()

    def state_of(name: str) -> str:
        asked.append(name)
        return "fresh"

    made_by = {"received": "data", "trained": "models"}
    found = list(statuses(made_by, entries.__getitem__, tmp_path, state_of, ("data",)))
    assert asked == ["received"]
    assert {one.name: one.state for one in found if one.stored is not None} == {"received": "fresh", "trained": ""}
    list(statuses(made_by, entries.__getitem__, tmp_path, state_of))
    assert asked == ["received", "received", "trained"]
