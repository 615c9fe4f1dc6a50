"""The stage joins features and labels row by row, counts what it leaves out, and names what is missing."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import pandas as pd
import pytest

from tests.depth import deep
from tradewind.compute import ComputeRules
from tradewind.errors import BadData, BadParameters
from tradewind.learning.features.catalogue import FeatureSelection
from tradewind.learning.labels.rules import LabelRules
from tradewind.learning.labels.weights import WeightRules
from tradewind.learning.models.base import feature_names, horizons_of
from tradewind.learning.models.model_input import LABEL_COLUMNS, ModelInputRules
from tradewind.learning.splits.walk_forward import FoldPlan
from tradewind.market import schema
from tradewind.market.universe import Universe
from tradewind.pipelines.feature_engineering.feature_nodes import compute_features, describe_features
from tradewind.pipelines.feature_engineering.label_nodes import (
    HorizonRules,
    assemble_model_input,
    compare_folds,
    make_folds,
    make_labels,
    measure_horizon_returns,
)

UNIVERSE = Universe(venue="simulated", symbols=("SIM1", "SIM2", "SIM3"), timeframe="1h")
METHOD = LabelRules.model_validate({"method": "triple_barrier", "horizon_bars": 12, "volatility_window": 24})
WEIGHTS = WeightRules()
SELECTION = FeatureSelection(tiers=(1, 2))


def lazily(tables: dict[str, pd.DataFrame]) -> dict[str, Callable[[], pd.DataFrame]]:
    return {name: lambda table=table: table for name, table in tables.items()}


@pytest.fixture(scope="module")
def bars(market_bars: dict[str, pd.DataFrame]) -> dict[str, Callable[[], pd.DataFrame]]:
    return lazily({UNIVERSE.partition(symbol): table for symbol, table in market_bars.items()})


def test_the_stage_gives_contract_tables_and_counts_that_add_up(bars: dict[str, Callable[[], pd.DataFrame]]) -> None:
    none = pd.DataFrame({"series": [], "symbol": [], "known_at": [], "value": []})
    lazy = compute_features(bars, none, UNIVERSE, SELECTION, ComputeRules())
    features = {name: load() for name, load in lazy.items()}
    labels, counts = make_labels(bars, UNIVERSE, METHOD, WEIGHTS, 1)
    rows, quality = assemble_model_input(lazily(features), lazily(labels), counts, UNIVERSE, ModelInputRules(), METHOD)
    for table in rows.values():
        schema.ModelInput.validate(table)
        assert list(table.columns[: len(LABEL_COLUMNS)]) == LABEL_COLUMNS
    parts = ("labelled", "unlabelled_horizon", "unlabelled_volatility", "unlabelled_side")
    assert (quality["rows"] == quality[list(parts)].sum(axis=1)).all()
    assert (quality["labelled"] == quality["model_rows"] + quality["left_out_missing_features"]).all()
    assert (quality[["share_down", "share_flat", "share_up"]].sum(axis=1) - 1).abs().max() < 1e-12
    assert (quality["forecast_only_rows"] > 0).all()
    for symbol, table in rows.items():
        newest = features[symbol]["timestamp"].iloc[-METHOD.horizon_bars :]
        last = table[table["timestamp"].isin(newest)]
        assert len(last) == METHOD.horizon_bars and last["label"].isna().all()  # a live history is forecast to its end
    folds = make_folds(lazily(rows), UNIVERSE, FoldPlan(n_folds=2), METHOD)
    assert list(folds["role"]) == ["walk_forward", "walk_forward", "holdout"]
    stability = compare_folds(lazily(labels), folds)
    assert list(stability["fold"]) == [0, 1] * 3 and (stability["rows"] > 0).all() and (stability["psi"] >= 0).all()
    dictionary, distribution, text = describe_features(lazily(features), UNIVERSE, SELECTION)
    assert list(dictionary["name"]) == list(distribution["name"]) == list(features["simulated/SIM1/1h"].columns[2:])
    assert text.startswith("# Feature dictionary")


def test_a_side_series_without_values_is_named(bars: dict[str, Callable[[], pd.DataFrame]]) -> None:
    none = pd.DataFrame({"series": [], "symbol": [], "known_at": [], "value": []})
    wanting = UNIVERSE.model_copy(update={"side_series": ("funding",)})
    with pytest.raises(BadData, match="side series 'funding' has no values for SIM1"):
        compute_features(bars, none, wanting, SELECTION, ComputeRules())


def test_a_history_shorter_than_the_horizon_is_refused(bars: dict[str, Callable[[], pd.DataFrame]]) -> None:
    short = {name: lambda load=load: load().iloc[:12] for name, load in bars.items()}
    with pytest.raises(BadData, match="none of its 12 bars has a label: "):
        make_labels(short, UNIVERSE, METHOD, WEIGHTS, 1)


def lived(
    bars: dict[str, Callable[[], pd.DataFrame]], lives: dict[str, tuple[int, int]]
) -> dict[str, Callable[[], pd.DataFrame]]:
    """The bars, those of the symbols in `lives` from one row up to another."""
    cut = {UNIVERSE.partition(symbol): slice(*life) for symbol, life in lives.items()}
    return lazily({name: load().iloc[cut.get(name, slice(None))] for name, load in bars.items()})


@pytest.mark.parametrize("seed", [1, 2, *(deep(number) for number in range(3, 20))])
def test_symbols_that_live_too_shortly_are_told_of_and_the_others_go_on(
    bars: dict[str, Callable[[], pd.DataFrame]], seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Two of three live for 1 to 200 bars at random: the labels of the third are what they are without them."""
    rng = np.random.default_rng(seed)
    kept, *short = rng.permutation(UNIVERSE.symbols).tolist()
    starts, lengths = rng.integers(0, 1000, 2), [int(rng.integers(1, most)) for most in rng.choice([2, 40, 200], 2)]
    lives = {one: (at, at + length) for one, at, length in zip(short, starts, lengths, strict=True)}
    labels, counts = make_labels(lived(bars, lives), UNIVERSE, METHOD, WEIGHTS, 1)
    name = UNIVERSE.partition(kept)
    alone, _ = make_labels({name: bars[name]}, UNIVERSE.model_copy(update={"symbols": (kept,)}), METHOD, WEIGHTS, 1)
    pd.testing.assert_frame_equal(labels[name], alone[name])
    for table in labels.values():
        schema.Labels.validate(table)
    parts = ["labelled", "unlabelled_horizon", "unlabelled_volatility", "unlabelled_side"]
    assert (counts["rows"] == counts[parts].sum(axis=1)).all()
    told = [record.getMessage().partition(" has a label")[0] for record in caplog.records]
    dead = counts[counts["labelled"] == 0].itertuples()
    assert told == [f"{UNIVERSE.partition(one.symbol)}: none of its {one.rows} bars" for one in dead]


def test_a_symbol_that_lives_shortly_is_forecast_where_it_can_be_and_teaches_nothing(
    bars: dict[str, Callable[[], pd.DataFrame]], caplog: pytest.LogCaptureFixture
) -> None:
    """One of 1 bar, one of 40 that has labels and no features yet: each is said once, and counted."""
    none = pd.DataFrame({"series": [], "symbol": [], "known_at": [], "value": []})
    few = lived(bars, {"SIM2": (500, 501), "SIM3": (700, 740)})
    features = {name: load() for name, load in compute_features(few, none, UNIVERSE, SELECTION, ComputeRules()).items()}
    labels, counts = make_labels(few, UNIVERSE, METHOD, WEIGHTS, 1)
    rules = ModelInputRules(max_missing_share=0.05)
    rows, quality = assemble_model_input(lazily(features), lazily(labels), counts, UNIVERSE, rules, METHOD)
    assert quality["model_rows"].tolist()[1:] == [0, 0] and quality["labelled"].tolist()[1:] == [0, 4]
    assert quality["left_out_missing_features"].tolist()[1:] == [0, 4]
    said = [record.getMessage() for record in caplog.records if "Nothing is learned from it" in record.getMessage()]
    assert [one[:16] for one in said] == ["simulated/SIM2/1", "simulated/SIM3/1"], said
    for table in rows.values():
        schema.ModelInput.validate(table)
    stability = compare_folds(lazily(labels), make_folds(lazily(rows), UNIVERSE, FoldPlan(n_folds=2), METHOD))
    assert stability["symbol"].tolist()[:2] == ["SIM1", "SIM1"] and "SIM2" not in set(stability["symbol"])
    short = {name: table.iloc[700:740] for name, table in features.items()}
    labels, counts = make_labels(lived(bars, dict.fromkeys(UNIVERSE.symbols, (700, 740))), UNIVERSE, METHOD, WEIGHTS, 1)
    bare = lazily({name: table.assign(**dict.fromkeys(table.columns[2:], np.nan)) for name, table in short.items()})
    with pytest.raises(BadData, match="SIM1/1h: none of its 40 bars has a label and 95% of its features"):
        assemble_model_input(bare, lazily(labels), counts, UNIVERSE, rules, METHOD)


@pytest.mark.parametrize("executor", ["threads", deep("processes"), "dask"])
def test_wherever_features_are_computed_they_have_the_same_bits(
    bars: dict[str, Callable[[], pd.DataFrame]],
    executor: Literal["threads", "processes", "dask"],
    request: pytest.FixtureRequest,
) -> None:
    address = request.getfixturevalue("dask_address") if executor == "dask" else ""
    none = pd.DataFrame({"series": [], "symbol": [], "known_at": [], "value": []})
    few = FeatureSelection(tiers=(1,))
    tables = [
        {name: load() for name, load in compute_features(bars, none, UNIVERSE, few, rules).items()}
        for rules in (ComputeRules(), ComputeRules(executor=executor, threads=1, address=address))
    ]
    for name, expected in tables[0].items():
        pd.testing.assert_frame_equal(tables[1][name], expected, check_exact=True)


def test_returns_over_every_horizon_end_with_the_labels(bars: dict[str, Callable[[], pd.DataFrame]]) -> None:
    tables = measure_horizon_returns(bars, UNIVERSE, HorizonRules(bars=(1, 4)), METHOD)
    labels, _ = make_labels(bars, UNIVERSE, METHOD, WEIGHTS, 1)
    for partition, table in tables.items():
        schema.HorizonReturns.validate(table)
        assert horizons_of(table) == (1, 4, 12) and len(table) == len(bars[partition]())
        both = labels[partition].merge(table, on=["symbol", "timestamp"])
        assert len(both) == len(labels[partition])
        pd.testing.assert_series_equal(both["forward_return"], both["forward_return_12"], check_names=False)
        history = bars[partition]()
        ahead = np.log(history["close"].shift(-4) / history["open"].shift(-1))
        whole = history["segment"].shift(-4) == history["segment"]
        np.testing.assert_allclose(table["forward_return_4"], ahead.where(whole), atol=1e-12)
        assert feature_names(both.drop(columns=["barrier"])) == []
    with pytest.raises(BadParameters, match="horizon_bars 12, found .*24"):
        measure_horizon_returns(bars, UNIVERSE, HorizonRules(bars=(1, 24)), METHOD)
