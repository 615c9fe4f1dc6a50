"""Side series lie beside bars in a store, with their revisions, and come back as they were."""

from pathlib import Path

import pandas as pd

from tradewind.data.side_data.catalogue import SERIES
from tradewind.data.side_data.collection import collect_side_series, read_series
from tradewind.data.side_data.files import SeriesFiles
from tradewind.data.side_data.vintages import as_known
from tradewind.data.stores.catalogue import open_store

CALENDAR = (
    "date,realtime_start,value\n2024-01-01,2024-02-02,3.7\n2024-02-01,2024-03-08,3.9\n2024-01-01,2024-03-08,3.8\n"
)


def read(folder: Path, text: str) -> pd.DataFrame:
    (folder / "unemployment.csv").write_text(text)
    files = SeriesFiles(files="unemployment.csv")
    source = {"unemployment": lambda symbols: read_series("unemployment", files, folder, 0, symbols)}
    return collect_side_series(source, ("unemployment",), (), 0.0)[0]


def test_vintages_are_stored_once_and_revisions_join_them(tmp_path: Path) -> None:
    store = open_store({"kind": "sqlite", "path": tmp_path / "market.sqlite"})
    first = read(tmp_path, CALENDAR)
    assert store.append_side(first) == 3
    assert store.append_side(first) == 0
    revised = read(tmp_path, CALENDAR + "2024-02-01,2024-04-05,4.0\n")
    assert store.append_side(revised) == 1
    stored = store.read_side(["unemployment"])
    store.close()
    pd.testing.assert_frame_equal(stored, revised)
    again, rejected, _ = collect_side_series(stored, ("unemployment",), (), 0.0)
    assert rejected.empty
    pd.testing.assert_frame_equal(as_known(again, SERIES), as_known(revised, SERIES))
    # The old period's revision of March changed nothing, the latest one's of April did.
    assert as_known(stored, SERIES)["value"].dropna().tolist() == [3.7, 3.9, 4.0]
