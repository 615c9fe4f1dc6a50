from pathlib import Path

import pytest
from kedro.io import DatasetError

from tradewind.datasets import BarFolderDataset
from tradewind.errors import BadData, BadParameters

ROWS = "time,open,high,low,close,volume\n2024-01-01,1,2,0.5,1.5,10\n2024-01-02,1,2,0.5,1.5,10\n"


def test_each_file_is_read_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / "A-1d.csv").write_text(ROWS)
    (tmp_path / "B-1d.csv").write_text("")
    loaded = BarFolderDataset(path=str(tmp_path), venue="v").load()
    assert list(loaded) == ["v/A/1d", "v/B/1d"]
    assert len(loaded["v/A/1d"]()) == 2
    with pytest.raises(BadData, match=r"B-1d.csv is empty"):
        loaded["v/B/1d"]()


def test_pattern_timeframe_and_dialect_are_configured(tmp_path: Path) -> None:
    (tmp_path / "A.csv").write_text(ROWS.replace("time,", "day,").replace(",", ";"))
    dataset = BarFolderDataset(
        path=str(tmp_path),
        venue="v",
        pattern="{symbol}.csv",
        timeframe="1d",
        dialect={"columns": {"open_time": "day"}, "delimiter": ";"},
    )
    assert len(dataset.load()["v/A/1d"]()) == 2


def test_the_folder_is_only_read(tmp_path: Path) -> None:
    dataset = BarFolderDataset(path=str(tmp_path), venue="v")
    assert dataset.exists()
    with pytest.raises(DatasetError, match="only read"):
        dataset.save({})
    with pytest.raises(DatasetError, match="no file is named"):
        dataset.load()


def test_an_unknown_dialect_setting_stops() -> None:
    with pytest.raises(BadParameters, match=r"(?s)dialect of the bar files in here is wrong.*time_zone"):
        BarFolderDataset(path="here", venue="v", dialect={"time_zone": "UTC"})
