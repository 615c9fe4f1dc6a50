import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
import yaml
from kedro.io import DataCatalog, DatasetError
from kedro.runner import SequentialRunner

from tests.depth import deep
from tradewind.compute import ComputeRules
from tradewind.data.files.cleaning import OUTSIDE, MarketRules
from tradewind.data.quality.rules import QualityRules
from tradewind.datasets import NoTableDataset
from tradewind.errors import BadData
from tradewind.market.universe import Universe
from tradewind.pipelines import data_engineering

CONF = Path(__file__).resolve().parents[2] / "conf"
HOUR = 3_600_000
START = 1_704_067_200_000  # 2024-01-01


def delivered(hours: int, seed: int) -> pd.DataFrame:
    """Clean hourly rows as a source delivers them."""
    close = 100 * np.exp(np.random.default_rng(seed).normal(0, 0.01, hours).cumsum())
    opened = np.r_[100.0, close[:-1]]
    return pd.DataFrame(
        {
            "open_time": START + np.arange(hours, dtype=np.int64) * HOUR,
            "open": opened,
            "high": np.maximum(opened, close) * 1.001,
            "low": np.minimum(opened, close) * 0.999,
            "close": close,
            "volume": 10.0,
        }
    )


def dirty() -> pd.DataFrame:
    """1000 rows of which 30 are missing and 6 are rejected, newest first."""
    table = delivered(1000, seed=1).drop(index=range(500, 530))
    table = pd.concat([table, table.iloc[[7, 7]]]).astype({"close": object})
    table.iloc[20, 4] = "abc"
    table.iloc[21, 4] = None
    table.iloc[22, 5] = -1.0
    table.iloc[23, 2] = 1.0
    return table.iloc[::-1].reset_index(drop=True)


def catalog_entries(folder: Path) -> dict[str, Any]:
    entries = yaml.safe_load((CONF / "base/catalog_data_engineering.yml").read_text())
    for entry in entries.values():
        for name in {"path", "filepath"} & set(entry):
            entry[name] = str(folder / entry[name].replace("${globals:data}", "data"))
    return entries


def run(folder: Path, source: dict[str, Callable[[], pd.DataFrame]], **settings: Any) -> DataCatalog:
    symbols = sorted({partition.split("/")[1] for partition in source})
    universe = {"venue": "v", "symbols": symbols, "timeframe": "1h"} | settings.pop("universe", {})
    catalog = DataCatalog.from_config(catalog_entries(folder))
    catalog["source_bars"] = source
    catalog["source_side_series"] = settings.pop("side_series", NoTableDataset(table="side_series").load())
    catalog["params:universe"] = Universe(**universe)
    catalog["params:compute"] = settings.pop("compute", ComputeRules())
    catalog["params:data_engineering.quality"] = settings.pop("quality", QualityRules())
    catalog["params:data_engineering.market"] = MarketRules(**settings)
    SequentialRunner().run(data_engineering.create_pipeline(), catalog)
    return catalog


def source() -> dict[str, Callable[[], pd.DataFrame]]:
    return {"v/A/1h": dirty, "v/B/1h": lambda: delivered(800, seed=2)}


def test_dirty_rows_end_in_quarantine_and_the_rest_in_segmented_bars(tmp_path: Path) -> None:
    catalog = run(tmp_path, source())
    bars = catalog["bars"].load()["v/A/1h"]()
    assert len(bars) == 966
    assert bars["timestamp"].is_monotonic_increasing
    assert bars["segment"].value_counts(sort=False).tolist() == [496, 470]
    quarantine = catalog["quarantine"].load()
    assert sorted(quarantine["reason"]) == [
        "close is missing",
        "close is not a number",
        "duplicate of another row",
        "duplicate of another row",
        "high is below low",
        "volume is negative",
    ]
    text_row = quarantine.loc[quarantine["reason"] == "close is not a number"].iloc[0]
    assert dirty()["close"][text_row["source_row"]] == "abc" == json.loads(text_row["content"])["close"]


def test_counts_add_up_and_quality_is_described(tmp_path: Path) -> None:
    catalog = run(tmp_path, source())
    counts = catalog["row_counts"].load().set_index("symbol")
    assert counts.loc["A", ["rows_received", "rows_accepted", "rows_rejected"]].tolist() == [972, 966, 6]
    assert counts.loc["B", ["rows_received", "rows_accepted", "rows_rejected"]].tolist() == [800, 800, 0]
    quality = catalog["data_quality"].load().set_index("symbol")
    assert quality.loc["A", "segments"] == 2
    assert quality.loc["A", "longest_gap_bars"] == 30
    assert quality.loc["B", "completeness"] == 1.0
    assert list(catalog["data_gaps_figure"].load().data[0].y) == ["A", "B"]


def test_a_second_run_changes_no_byte(tmp_path: Path) -> None:
    def content() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    run(tmp_path, source())
    first = content()
    run(tmp_path, source())
    assert content() == first


@pytest.mark.parametrize("executor", ["threads", "processes", deep("dask")])
def test_symbols_side_by_side_give_the_same_tables(
    tmp_path: Path, executor: Literal["threads", "processes", "dask"], request: pytest.FixtureRequest
) -> None:
    address = request.getfixturevalue("dask_address") if executor == "dask" else ""
    loaders = {}
    for seed, name in enumerate("ABC"):
        delivered(600, seed).to_parquet(tmp_path / f"{name}.parquet")
        loaders[f"v/{name}/1h"] = partial(pd.read_parquet, tmp_path / f"{name}.parquet")
    alone, together = (
        run(tmp_path / rules.executor, loaders, compute=rules)
        for rules in (ComputeRules(), ComputeRules(executor=executor, address=address))
    )
    for name, load in alone["bars"].load().items():
        pd.testing.assert_frame_equal(together["bars"].load()[name](), load())
    pd.testing.assert_frame_equal(together["row_counts"].load(), alone["row_counts"].load())


def test_one_symbol_is_in_memory_at_a_time(tmp_path: Path) -> None:
    """A symbol is received when its bars are written, not before: the next waits until then."""
    folder, seen = tmp_path / "data/02_intermediate/typed_bars", []

    def received(seed: int) -> pd.DataFrame:
        seen.append(len(list(folder.rglob("*.parquet"))))
        return delivered(50, seed)

    run(tmp_path, {f"v/{name}/1h": partial(received, seed) for seed, name in enumerate("ABCD")})
    assert seen == [0, 1, 2, 3]


def test_only_the_universe_is_taken(tmp_path: Path) -> None:
    catalog = run(tmp_path, source(), universe={"symbols": ["B"]})
    assert list(catalog["bars"].load()) == ["v/B/1h"]
    assert set(catalog["row_counts"].load()["symbol"]) == {"B"}


def test_a_symbol_the_source_lacks_stops_and_says_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"no bars for \['v/C/1h'\].*it has \['v/A/1h', 'v/B/1h'\]"):
        run(tmp_path, source(), universe={"symbols": ["A", "C"]})


@pytest.mark.parametrize("seed", [0, *(deep(number) for number in range(1, 8))])
def test_what_lies_outside_a_symbols_time_in_the_universe_is_no_fault_of_it(tmp_path: Path, seed: int) -> None:
    """A random short life in a long delivery: before, the gate stopped at the rows that nobody had asked for."""
    rng = np.random.default_rng(seed)
    first = int(rng.integers(2, 30))
    days = [str(np.datetime64("2024-01-01") + day) for day in (first, first + int(rng.integers(1, 8)))]
    rows = dirty()  # its faults lie in the first day and the last
    members = {"A": {"since": days[0], "until": days[1]}}
    given: dict[str, Callable[[], pd.DataFrame]] = {"v/A/1h": lambda: rows, "v/B/1h": lambda: delivered(800, seed=2)}
    catalog = run(tmp_path, given, universe={"members": members}, reject_share_limit=0.0)
    bars = catalog["bars"].load()["v/A/1h"]()
    opens, ends = np.array(days, "M8[ms]").astype("int64")
    expected = rows[rows["open_time"].between(opens, ends + 24 * HOUR - 1)]
    assert len(bars) == expected["open_time"].nunique() > 24
    scores = catalog["quality_scores"].load().query("symbol == 'A'").set_index("score")
    assert scores.loc["validity", ["value", "looked_at"]].tolist() == [1.0, len(bars)]
    assert scores.loc["consistency", "value"] == scores.loc["timeliness", "value"] == 1.0
    quarantine = catalog["quarantine"].load()
    assert len(bars) + len(quarantine) == len(rows) and set(quarantine["reason"]) == {OUTSIDE}


def test_a_fault_within_a_symbols_time_still_counts(tmp_path: Path) -> None:
    within = {"members": {"A": {"since": "2024-01-01", "until": "2024-01-02"}}}
    with pytest.raises(DatasetError, match=r"v/A/1h: 6 of 50 rows \(12.00%\) are rejected"):
        run(tmp_path, source(), universe=within, reject_share_limit=0.1)


def test_too_many_rejected_rows_stop_before_any_bar_is_written(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"v/A/1h: 6 of 972 rows \(0.62%\) are rejected.*reject_share_limit 0.10%"):
        run(tmp_path, source(), reject_share_limit=0.001)
    assert not (tmp_path / "data/03_primary/bars/_manifest.json").exists()


def test_a_source_without_one_good_row_stops(tmp_path: Path) -> None:
    broken = {"v/A/1h": lambda: delivered(10, seed=3).assign(close="x")}
    with pytest.raises(DatasetError, match="none of the 10 rows received is a bar"):
        run(tmp_path, broken, reject_share_limit=1.0)


def test_the_longest_bridged_hole_is_a_parameter(tmp_path: Path) -> None:
    catalog = run(tmp_path, source(), max_gap_bars=30)
    assert catalog["data_quality"].load().set_index("symbol").loc["A", "segments"] == 1


def test_side_series_of_the_universe_are_kept(tmp_path: Path) -> None:
    known_at = pd.DatetimeIndex(np.array([START, START + 1, START + 2], "datetime64[ms]"), tz="UTC")
    table = pd.DataFrame({"series": ["mood", "mood", "other"], "symbol": "", "known_at": known_at, "value": 0.1})
    table = table.astype({"series": "str", "symbol": "str"})
    catalog = run(tmp_path, source(), side_series=table, universe={"side_series": ["mood"]})
    pd.testing.assert_frame_equal(catalog["side_series"].load(), table.iloc[:2])
    vintages = catalog["side_vintages"].load()
    assert (vintages["reference_at"] == vintages["known_at"]).all()
    (coverage,) = catalog["side_coverage"].load().to_dict("records")
    # Known from the first bar's close on: the value came after its open.
    assert (coverage["series"], coverage["periods"], coverage["bar_share"]) == ("mood", 2, 1.0)


def test_rejected_side_rows_are_kept_and_counted(tmp_path: Path) -> None:
    known_at = pd.DatetimeIndex((START + np.arange(200) * HOUR).astype("datetime64[ms]"), tz="UTC")
    values = np.r_[np.full(199, 1e-4), 7.0]
    table = pd.DataFrame({"series": "funding", "symbol": "B", "known_at": known_at, "value": values})
    table = table.astype({"series": "str", "symbol": "str"})
    catalog = run(tmp_path, source(), side_series=table, universe={"side_series": ["funding"]})
    assert catalog["side_counts"].load()[["rows_received", "rows_accepted", "rows_rejected"]].to_numpy().tolist() == [
        [200, 199, 1]
    ]
    assert catalog["side_quarantine"].load()["reason"].tolist() == [
        "value lies outside -0.05 to 0.05 rate a settlement"
    ]
    # A day after the last rate, none is known any more.
    assert catalog["side_series"].load()["value"].isna().tolist() == [*[False] * 199, True]


REAL_1H = {"BTCUSDT": (58318, 27, 122, 2), "ETHUSDT": (58318, 27, 122, 2), "SOLUSDT": (35542, 10, 20, 1),
           "XRPUSDT": (55392, 25, 88, 1)}  # fmt: skip
REAL_5M = {"BTCUSDT": (219151, 2, 305, 3), "SOLUSDT": (192022, 2, 27434, 3)}


@pytest.mark.parametrize(("timeframe", "expected"), [("1h", REAL_1H), ("5m", REAL_5M)])
def test_real_candles_keep_every_row_and_every_hole(
    shared_data: Path, tmp_path: Path, timeframe: str, expected: dict[str, tuple[int, ...]]
) -> None:
    folder = shared_data / "ohlcv_spot" / "binance"
    real = yaml.safe_load((CONF / "real/catalog_sources.yml").read_text())
    real["source_bars"]["path"] = str(folder)
    bars = DataCatalog.from_config({"source_bars": real["source_bars"]}).load("source_bars")
    universe = {"venue": "binance", "symbols": list(expected), "timeframe": timeframe}
    catalog = run(tmp_path, bars, universe=universe)
    quality = catalog["data_quality"].load().set_index("symbol")
    for symbol, (rows, gaps, missing, segments) in expected.items():
        described = quality.loc[symbol, ["rows_accepted", "gaps", "missing_bars", "segments", "rows_rejected"]]
        assert described.tolist() == [rows, gaps, missing, segments, 0]
        kept = catalog["bars"].load()[f"binance/{symbol}/{timeframe}"]()
        as_received = pd.read_parquet(folder / f"{symbol}-{timeframe}.parquet")
        columns = ["open", "high", "low", "close", "volume"]
        assert np.array_equal(kept[columns].to_numpy(), as_received[columns].to_numpy())
        assert np.array_equal(kept["open_time"].to_numpy(), as_received["timestamp"].to_numpy())
    if timeframe == "5m":
        # The return across the 95-day hole (+440 % for SOL) belongs to no segment.
        assert quality.loc["SOLUSDT", "largest_abs_return"] < 0.25
