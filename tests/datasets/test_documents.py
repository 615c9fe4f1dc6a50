import json
from pathlib import Path

import numpy as np
import pytest
from kedro.io import DatasetError
from plotly import graph_objects as go

from tradewind.datasets import FigureDataset, JSONDataset, NoTableDataset, TextDataset
from tradewind.errors import BadParameters
from tradewind.market import schema


def test_text_comes_back_byte_for_byte(tmp_path: Path) -> None:
    dataset = TextDataset(filepath=str(tmp_path / "report.md"))
    assert not dataset.exists()
    dataset.save("# Größe\r\nline\n")
    assert dataset.load() == "# Größe\r\nline\n"
    assert dataset.exists()


def test_text_that_is_no_text_is_refused(tmp_path: Path) -> None:
    dataset = TextDataset(filepath=str(tmp_path / "report.md"))
    with pytest.raises(DatasetError, match="must be a string"):
        dataset.save(b"bytes")
    (tmp_path / "report.md").write_bytes(b"\xff\xfe")
    with pytest.raises(DatasetError, match="not UTF-8"):
        dataset.load()


def test_json_keeps_order_and_turns_numpy_into_numbers(tmp_path: Path) -> None:
    dataset = JSONDataset(filepath=str(tmp_path / "verdict.json"))
    dataset.save({"verdict": "go", "sharpe": np.float64(1.5), "low": float("nan"), "folds": (np.int64(1), 2)})
    assert dataset.load() == {"verdict": "go", "sharpe": 1.5, "low": None, "folds": [1, 2]}
    assert list(dataset.load()) == ["verdict", "sharpe", "low", "folds"]
    assert json.loads(dataset.preview()) == dataset.load()


@pytest.mark.parametrize("value", [float("inf"), object()])
def test_json_refuses_what_it_cannot_hold(tmp_path: Path, value: object) -> None:
    dataset = JSONDataset(filepath=str(tmp_path / "verdict.json"))
    with pytest.raises(DatasetError, match=r"verdict.json: metrics: sharpe"):
        dataset.save({"metrics": {"sharpe": value}})
    assert not (tmp_path / "verdict.json").exists()


def test_damaged_json_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "verdict.json").write_text("{")
    with pytest.raises(DatasetError, match=r"is not JSON.*run the stage"):
        JSONDataset(filepath=str(tmp_path / "verdict.json")).load()


def test_a_figure_is_saved_whole_and_previewed_as_plotly(tmp_path: Path) -> None:
    dataset = FigureDataset(filepath=str(tmp_path / "figure.json"))
    figure = go.Figure(go.Scatter(y=[1.0, 2.0]))
    dataset.save(figure)
    first = (tmp_path / "figure.json").read_bytes()
    dataset.save(figure)
    assert (tmp_path / "figure.json").read_bytes() == first
    assert list(dataset.load().data[0].y) == [1.0, 2.0]
    assert set(dataset.preview()) == {"data", "layout"}
    # Kedro-Viz goes by the name of the return annotation.
    annotation = FigureDataset.preview.__annotations__["return"]
    assert getattr(annotation, "__name__", annotation) == "PlotlyPreview"


def test_a_source_without_a_table_loads_an_empty_one() -> None:
    side_series = NoTableDataset(table="side_series")
    schema.SideSeries.validate(side_series.load())
    assert list(NoTableDataset(table="oracle").load()) == ["symbol", "timestamp", "expected_return", "target"]
    with pytest.raises(DatasetError, match="only read"):
        side_series.save(side_series.load())
    with pytest.raises(BadParameters, match="must be one of"):
        NoTableDataset(table="prices")  # type: ignore[arg-type]
