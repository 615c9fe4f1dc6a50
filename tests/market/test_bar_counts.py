"""Numbers of bars that are given as durations, and every timeframe planned by its name alone."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tradewind.compute import ComputeRules
from tradewind.data.files.cleaning import MarketRules
from tradewind.data.quality import checked_bars
from tradewind.data.quality.rules import QualityRules
from tradewind.errors import BadParameters
from tradewind.evaluation.robustness import RobustnessRules
from tradewind.learning.features import matrix
from tradewind.learning.features.catalogue import FeatureSelection, select
from tradewind.learning.labels.triple_barrier import TripleBarrier
from tradewind.learning.regimes.walk_forward import RegimePlan
from tradewind.learning.splits.walk_forward import FoldPlan, make_folds, needed_bars
from tradewind.market.bar_counts import bars_in, with_bar_counts
from tradewind.market.simulation.simulator import SimulationSpec, simulate_market
from tradewind.market.universe import Universe
from tradewind.settings import CONFIG_LOADER_ARGS, ProjectConfigLoader
from tradewind.trading.setup import TradingSetup

PROJECT = Path(__file__).parents[2]
TIMEFRAMES = ("1m", "5m", "15m", "1h", "4h", "1d", "1w")


# Counts of bars whose meaning does not change with the bar: how late or how often something is said, what one row is,
# how long the pieces are that a policy is cloned from.
PLAIN_COUNTS = {
    "data_engineering.quality.late_bars", "data_engineering.quality.runs.stale_bars",
    "data_engineering.quality.runs.zero_volume_bars", "deep_learning.linear_network.network.window_bars",
    *(f"reinforcement_learning.{agent}.rules.agent.clone_bars" for agent in ("ppo", "recurrent_ppo", "sac", "td3")),
}  # fmt: skip
ENVIRONMENTS = ("base", "quick", "test", "real", "stocks", "imported", "exchange", "research", "null_market")


def counts(parameters: Any, path: str = "") -> Iterator[str]:
    """Paths of plain numbers of bars above 1, which would stay as they are on every timeframe."""
    if isinstance(parameters, dict):
        for name, value in parameters.items():
            yield from counts(value, f"{path}.{name}".lstrip("."))
        return
    is_count = path.endswith(("_bars", "_window", "row_stride"))
    if is_count and isinstance(parameters, int | float) and (parameters > 1 or path in PLAIN_COUNTS):
        yield path


def loader(env: str | None, **universe: str) -> ProjectConfigLoader:
    runtime = {"universe": universe} if universe else {}
    return ProjectConfigLoader(str(PROJECT / "conf"), env, runtime_params=runtime, **CONFIG_LOADER_ARGS)


def test_a_duration_is_counted_in_bars_within_its_bounds() -> None:
    text = "4d in bars, at least 5, at most 24"
    assert [bars_in(text, timeframe) for timeframe in TIMEFRAMES] == [24, 24, 24, 24, 24, 5, 5]
    assert bars_in("1d in bars", "1h") == 24
    given = {"universe": {"timeframe": "1d"}, "a": {"b": [3, "8d in bars"]}, "text": "as it is"}
    assert with_bar_counts(given) == {**given, "a": {"b": [3, 8]}}
    unknown = {"universe": {"timeframe": None}, "a": text}
    assert with_bar_counts(unknown) == unknown


def test_what_is_no_number_of_bars_is_refused_with_its_place() -> None:
    with pytest.raises(BadParameters, match=r"a.b\[0\]: a number of bars is a whole number or such as"):
        with_bar_counts({"universe": {"timeframe": "1d"}, "a": {"b": ["4 d in bars"]}})
    with pytest.raises(BadParameters, match="cannot both be"):
        bars_in("1d in bars, at least 5, at most 4", "1h")


@pytest.mark.parametrize("month", ["1M", "1mo", "2months"])
def test_months_are_refused_as_months(month: str) -> None:
    with pytest.raises(BadParameters, match="are months, which have no one duration"):
        with_bar_counts({"universe": {"timeframe": month}})


def test_the_demo_and_the_tests_count_what_they_always_counted() -> None:
    for env in (None, "test"):
        given = loader(env)["parameters"]
        assert given["feature_engineering"]["labels"]["horizon_bars"] == 24
        assert given["feature_engineering"]["horizons"]["bars"] == [1, 4, 12, 24]
        assert given["feature_engineering"]["study"]["horizons_bars"] == [1, 4, 12, 24, 96]
        assert given["feature_engineering"]["folds"]["embargo_bars"] == 24
        assert given["data_engineering"]["market"]["max_gap_bars"] == 12
        # The tests vary less.
        smoothing = [0, 12] if env == "test" else [0, 6, 12, 24, 48]
        assert given["evaluation"]["robustness"]["smoothing_bars"] == smoothing
        assert given["trading"]["signal"]["smoothing_bars"] == 12
        assert given["regimes"]["first_fit_bars"] == 2160 and given["regimes"]["refit_bars"] == 8000


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_no_default_counts_bars_by_a_number_alone(env: str) -> None:
    files = sorted((PROJECT / "conf" / env).glob("parameters*.yml"))
    found = {path for file in files for path in counts(yaml.safe_load(file.read_text()) or {})}
    smallest = {f"deep_learning.{network}.network.window_bars" for network in ("lstm", "tft")}
    assert found == {"base": PLAIN_COUNTS, "test": smallest}.get(env, set())


def test_a_planted_number_of_bars_is_found() -> None:
    assert list(counts({"a": {"horizon_bars": 24, "row_stride": 1, "b": {"row_stride": 4}}})) == [
        "a.horizon_bars", "a.b.row_stride",
    ]  # fmt: skip


def test_training_thins_rows_and_looks_back_by_time() -> None:
    """Labels of 1d and 1w overlap over five bars: thinned to every fourth row there would be too few to learn from."""
    fast, slow = (loader(None, timeframe=name)["parameters"] for name in ("1m", "1d"))
    for given, expected in ((fast, (4, 24, 6, 24)), (slow, (1, 12, 1, 5))):
        network = given["deep_learning"]["lstm"]
        trees, looks_back = given["classifier"]["lightgbm"]["training"]["row_stride"], network["network"]["window_bars"]
        ahead = given["regimes"]["rules"]["horizon_bars"]
        assert (trees, looks_back, network["training"]["row_stride"], ahead) == expected


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_every_timeframe_is_planned_by_its_name_alone(timeframe: str, caplog: pytest.LogCaptureFixture) -> None:
    """Parameters, market, bars, features, labels and folds of `--params=universe.timeframe=...` (`--env test`)."""
    config = loader("test", timeframe=timeframe)
    given: dict[str, Any] = config["parameters"]
    universe = Universe.model_validate(given["universe"])
    engineering = given["feature_engineering"]
    labels = TripleBarrier.model_validate(engineering["labels"])
    market, trading = MarketRules.model_validate(given["data_engineering"]["market"]), given["trading"]
    QualityRules.model_validate(given["data_engineering"]["quality"])
    TradingSetup.model_validate(trading)
    RegimePlan.model_validate(given["regimes"])
    RobustnessRules.model_validate(given["evaluation"]["robustness"])
    assert max(engineering["horizons"]["bars"]) <= labels.horizon_bars

    simulated = config["catalog"]["source_bars"]["simulation"]
    assert simulated["timeframe"] == timeframe
    spec = SimulationSpec.model_validate({**simulated, "n_symbols": 1, "most_bars": 3000})
    partition = f"simulated/SIM1/{timeframe}"
    source = {partition: lambda: simulate_market(spec).bars[partition]}
    one = universe.model_copy(update={"symbols": ("SIM1",)})
    typed, untyped = checked_bars.type_bars(source, one, ComputeRules())
    checked, _, _ = checked_bars.check_bars(typed, untyped, one, market, ComputeRules())
    bars = checked[partition]()
    assert len(bars) > 980

    chosen = select(FeatureSelection(tiers=(1,), include=("*return*",)), timeframe, ())
    table = matrix.feature_table(
        "SIM1", matrix.build_chunk(bars, bars, matrix.market_table({"SIM1": bars}), {}), chosen
    )
    assert table.iloc[-1].notna().all()
    outcomes = labels.outcomes(bars)
    assert outcomes.labelled.mean() > 0.9
    folds = make_folds(
        bars["timestamp"], FoldPlan.model_validate(engineering["folds"]), universe.bar, labels.horizon_bars
    )
    assert len(folds) == engineering["folds"]["n_folds"] + 1
    # A history that is too short for these numbers: what there is, what is needed, and how to get it.
    plan = FoldPlan.model_validate(engineering["folds"])
    needed = needed_bars(plan, labels.horizon_bars)
    with pytest.raises(BadParameters, match=f"bars with features are .*: at least {needed} .*Provide earlier bars"):
        make_folds(bars["timestamp"][: needed // 2], plan, universe.bar, labels.horizon_bars)


def test_slower_timeframes_that_are_not_slower_are_left_out_with_a_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert FeatureSelection(slower_timeframes="4h 1w").slower_than("1d") == ("1w",)  # type: ignore[arg-type]
    assert "4h is not slower than the bar of 1d, left out" in caplog.text
    assert FeatureSelection().slower_than("1d") == ()
