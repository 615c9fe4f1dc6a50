"""The catalogue is complete, selectable, and described."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tradewind.errors import BadData, BadParameters
from tradewind.learning.features import catalogue, dictionary, matrix
from tradewind.learning.features.bars import Chunk
from tradewind.learning.features.catalogue import FeatureSelection
from tradewind.learning.features.spec import Feature


def test_there_are_at_least_150_features_over_all_tiers(features: tuple[Feature, ...]) -> None:
    assert len(features) >= 150
    assert {feature.tier for feature in features} == {1, 2, 3, 4, 5}
    assert len({feature.name for feature in features}) == len(features)


def test_tiers_series_and_names_select() -> None:
    only = catalogue.select(FeatureSelection(tiers=(1,), exclude=("gap",)), "1h", ())
    assert {feature.tier for feature in only} == {1}
    assert "gap" not in {feature.name for feature in only}
    without = catalogue.select(FeatureSelection(), "1h", ())
    assert not [feature for feature in without if feature.side_series]


@pytest.mark.parametrize(
    ("bar", "slower"),
    [("1m", ("4h", "1d")), ("1h", ("4h", "1d")), ("4h", ("1d",)), ("6h", ("1d",)), ("5h", ()), ("1d", ()), ("1w", ())],
)
def test_slower_timeframes_go_with_the_bar_unless_they_are_listed(bar: str, slower: tuple[str, ...]) -> None:
    assert FeatureSelection().slower_than(bar) == slower
    assert FeatureSelection(slower_timeframes=("2w",)).slower_than(bar) == ("2w",)
    found = {
        feature.name.rpartition("_")[2] for feature in catalogue.select(FeatureSelection(), bar, ()) if feature.slow_ms
    }
    assert found == set(slower)


@pytest.mark.parametrize("listed", [("30m", "4h"), ("1h", "4h"), ("4h",)])
def test_timeframes_that_are_not_slower_are_left_out_with_a_line(
    listed: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    assert FeatureSelection(slower_timeframes=listed).slower_than("1h") == ("4h",)
    left = [f"{one} is not slower than the bar of 1h, left out" for one in listed if one != "4h"]
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == left


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (FeatureSelection(exclude=("no_such",)), "no feature is named no_such"),
        (FeatureSelection(include=("rsi_*", "no_such_*")), "no feature is named no_such_"),
        (FeatureSelection(variants={"no_family": ((1,),)}), "no family is named no_family"),
        (FeatureSelection(variants={"rsi": ((1, 2),)}), r"variants.rsi: \[1, 2\]"),
        (FeatureSelection(variants={"rsi": ((0,),)}), "wilder needs a span of at least one whole bar, found 0"),
        (FeatureSelection(slower_timeframes=("90m",)), "90m must be a whole multiple"),
    ],
)
def test_a_selection_that_cannot_be_is_refused(selection: FeatureSelection, message: str) -> None:
    with pytest.raises(BadParameters, match=message):
        catalogue.select(selection, "1h", ())


def test_the_table_is_float32_and_the_dictionary_has_every_feature(chunk: Chunk, features: tuple[Feature, ...]) -> None:
    table = matrix.feature_table("SIM2", chunk, features)
    assert set(table.dtypes.iloc[2:].astype(str)) == {"float32"}
    described = dictionary.dictionary_table(features)
    assert list(described["name"]) == [feature.name for feature in features]
    assert (described["formula"].str.len() > 0).all() and (described["source"].str.len() > 0).all()
    spread = dictionary.distribution_table({"SIM2": table}, features)
    assert (spread["p01"] <= spread["p99"]).all()
    text = dictionary.dictionary_text(features, spread)
    assert all(f"`{feature.name}`" in text for feature in features)


def test_a_side_value_is_seen_from_its_publication_on() -> None:
    known = pd.DataFrame({"known_at": pd.to_datetime([1000, 2000], unit="ms", utc=True), "value": [1.0, 2.0]})
    seen = matrix.as_known(np.array([999, 1000, 1999, 2000, 9000]), known)
    np.testing.assert_array_equal(seen, [np.nan, 1.0, 1.0, 2.0, 2.0])


def test_the_market_return_ignores_gaps_and_absent_symbols(market_bars: dict[str, pd.DataFrame]) -> None:
    one = market_bars["SIM1"]
    late = market_bars["SIM2"].iloc[100:]
    market = matrix.market_table({"SIM1": one, "SIM2": late})["market_return"]
    change = np.log(one["close"]).diff()
    np.testing.assert_allclose(market.iloc[1:100], change.iloc[1:100])
    assert np.isnan(market.iloc[0]) and np.isnan(market.iloc[1000])
    other = np.log(market_bars["SIM2"]["close"]).diff()
    np.testing.assert_allclose(market.iloc[200], (change.iloc[200] + other.iloc[200]) / 2)


def test_bars_out_of_order_and_infinite_features_are_refused(
    market_bars: dict[str, pd.DataFrame], chunk: Chunk, features: tuple[Feature, ...]
) -> None:
    bars = market_bars["SIM1"]
    with pytest.raises(BadData, match="sorted"):
        matrix.build_chunk(bars.iloc[::-1], bars, matrix.market_table({}), {})
    high = chunk.high[:300].copy()
    high[250] = np.inf
    broken = replace(chunk.rows(0, 300), high=high)
    with pytest.raises(BadData, match="bar_range is infinite on 1 bars"), np.errstate(all="ignore"):
        matrix.feature_matrix(broken, features)
