"""Bars that are not good enough stop the run with a report; what passes can be judged by features, too."""

import logging
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog, DatasetError

from tests.pipelines.test_data_engineering import delivered, run
from tradewind.compute import ComputeRules
from tradewind.data.quality.rules import AgreementRules, QualityRules, Threshold
from tradewind.errors import BadData
from tradewind.learning.features.catalogue import FeatureSelection
from tradewind.market.resample import resample_closed
from tradewind.market.series import QUALITY_SERIES
from tradewind.market.universe import Universe
from tradewind.pipelines.feature_engineering import feature_nodes

HOURS = 24 * 20
LOADERS = {f"v/{name}/1h": partial(delivered, HOURS, seed) for seed, name in enumerate("AB")}
GAPPY = {**LOADERS, "v/B/1h": lambda: delivered(HOURS, 1).drop(index=range(100, 200))}
STRICT = QualityRules(thresholds={"completeness": Threshold(stop=0.9, warn=0.99)})


def test_below_the_limit_the_run_stops_after_its_report_and_no_stage_reads_the_bars(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"v/B/1h: completeness 0.7917 is below stop 0.9000.*380 of 480"):
        run(tmp_path, GAPPY, quality=STRICT)
    reporting = tmp_path / "data/08_reporting"
    page = (reporting / "data_quality.html").read_text()
    assert "1 of 12 scores is below the limit: the run stops." in page
    scores = pd.read_parquet(tmp_path / "data/03_primary/quality_scores.parquet").set_index(["symbol", "score"])
    assert scores.loc[("B", "completeness"), "state"] == "stop"
    assert (scores["state"] == "stop").sum() == 1
    assert pd.read_parquet(reporting / "data_quality.parquet").set_index("symbol")["state"].to_dict() == {
        "A": "pass", "B": "stop",
    }  # fmt: skip
    catalog = stored(tmp_path)
    assert set(catalog["checked_bars"].load()) == {"v/A/1h", "v/B/1h"}
    with pytest.raises(DatasetError, match="were not accepted: run data_engineering"):
        catalog["bars"].load()


def test_bars_that_once_passed_do_not_outlive_a_run_that_stops(tmp_path: Path) -> None:
    run(tmp_path, GAPPY)
    assert stored(tmp_path)["bars"].exists()
    with pytest.raises(BadData, match="completeness"):
        run(tmp_path, GAPPY, quality=STRICT)
    assert not stored(tmp_path)["bars"].exists()


def stored(folder: Path) -> DataCatalog:
    """The catalog of an earlier run."""
    from tests.pipelines.test_data_engineering import catalog_entries

    return DataCatalog.from_config(catalog_entries(folder))


def test_below_the_warning_the_run_goes_on_and_the_report_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lenient = QualityRules(thresholds={"completeness": Threshold(stop=0.5, warn=0.99)})
    with caplog.at_level(logging.WARNING, logger="tradewind"):
        catalog = run(tmp_path, GAPPY, quality=lenient)
    assert [record.getMessage()[:35] for record in caplog.records] == ["v/B/1h: completeness 0.7917 is belo"]
    assert "The bars pass, with 1 warning." in catalog["data_quality_page"].load()
    assert len(catalog["bars"].load()["v/B/1h"]()) == HOURS - 100


def test_what_is_flagged_stays_in_the_bars(tmp_path: Path) -> None:
    wild = delivered(HOURS, 0)
    wild.loc[300, ["close", "high"]] = 1e5
    catalog = run(tmp_path, {"v/A/1h": lambda: wild})
    flags = catalog["bar_flags"].load()["v/A/1h"]()
    assert flags["return_robust"].sum() >= 1
    assert catalog["bars"].load()["v/A/1h"]()["close"][300] == 1e5


def test_what_else_the_source_has_is_compared(tmp_path: Path) -> None:
    catalog = run(tmp_path / "first", LOADERS)
    slow = resample_closed(catalog["bars"].load()["v/A/1h"](), "4h")
    four_hours = slow.assign(open_time=slow["open_time"].astype("int64"), close=slow["close"] * 1.0001)
    source = {**LOADERS, "v/A/4h": lambda: four_hours[["open_time", "open", "high", "low", "close", "volume"]].assign(
        high=lambda rows: rows[["high", "close"]].max(axis=1), low=lambda rows: rows[["low", "close"]].min(axis=1)
    ), "w/A/1h": partial(delivered, HOURS, 7)}  # fmt: skip
    agreement = AgreementRules(timeframes=("4h",), venues=("w",), pairs=(("v/B/1h", "perp/B/1h"),))
    universe = {"symbols": ["A", "B"]}
    catalog = run(tmp_path / "second", source, quality=QualityRules(agreement=agreement), universe=universe)
    found = catalog["quality_agreement"].load().set_index("other")
    assert found["symbol"].to_dict() == {"v/A/4h": "A", "w/A/1h": "A"}
    assert found.loc["v/A/4h", ["compared", "agreeing"]].tolist() == [HOURS // 4, 0]
    scores = catalog["quality_scores"].load().set_index(["symbol", "score"])
    assert scores.loc[("A", "consistency"), "value"] == 0
    assert scores.loc[("A", "accuracy"), "value"] < 0.5
    assert scores.loc["B", "value"].eq(1).all()


def test_scores_that_the_universe_names_become_features_known_at_the_days_end(tmp_path: Path) -> None:
    names = ("quality_completeness", "quality_outliers")
    catalog = run(tmp_path, GAPPY, universe={"side_series": list(names)})
    side = catalog["side_series"].load()
    assert set(side["series"]) == set(names)
    assert set(catalog["quality_series"].load()["series"]) == set(QUALITY_SERIES)
    universe = Universe(venue="v", symbols=("A", "B"), timeframe="1h", side_series=names)
    selection = FeatureSelection(tiers=(5,), slower_timeframes=(), include=("quality_*",))
    tables = feature_nodes.compute_features(catalog["bars"].load(), side, universe, selection, ComputeRules(threads=1))
    table = {name: load() for name, load in tables.items()}["v/B/1h"]
    assert list(table.columns) == ["symbol", "timestamp", "quality_completeness_level", "quality_outliers_level"]
    level = table.set_index("timestamp")["quality_completeness_level"]
    # The hole begins on the fifth day at 04:00; nothing says so before that day is over.
    assert level[:"2024-01-01 23:00"].isna().all()
    assert (level["2024-01-02 00:00":"2024-01-05 04:00"] == 1).all()
    after = level["2024-01-09 09:00":]
    assert after.iloc[0] == np.float32(100 / 192)
    assert (after["2024-01-10 00:00":"2024-01-10 23:00"] == np.float32(116 / 216)).all()


def test_a_universe_without_quality_names_has_none_among_its_side_series(tmp_path: Path) -> None:
    catalog = run(tmp_path, LOADERS)
    assert catalog["side_series"].load().empty
    assert len(catalog["quality_series"].load()) == 2 * len(QUALITY_SERIES) * HOURS // 24
