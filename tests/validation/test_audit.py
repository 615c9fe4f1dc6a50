"""Every planted leak is caught by name, the project itself raises no alarm, and warm-up is seen."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.depth import deep
from tests.validation.once import SharedSteps
from tradewind.validation import audit_report
from tradewind.validation.audit import audit_run
from tradewind.validation.comparing import KEYS, Findings
from tradewind.validation.histories import OUTAGE_BARS, changed, mirrored, outage, truncated
from tradewind.validation.planted_elsewhere import ACTING
from tradewind.validation.planted_leaks import planted_leaks, planted_run
from tradewind.validation.purity import PRODUCT, outside, watched
from tradewind.validation.research_run import RunSettings, Sources, Steps, run_research
from tradewind.validation.warm_up import warm_up

LEAKS = planted_leaks()
SHARED = SharedSteps()


@pytest.fixture(scope="module")
def practice(parameters: dict[str, Any]) -> tuple[Sources, RunSettings]:
    return planted_run(parameters)


@pytest.fixture(scope="module", params=[1, deep(8)])
def clean(practice: tuple[Sources, RunSettings], request: pytest.FixtureRequest) -> Findings:
    """What is found at the cuts that show most, and in depth at all."""
    found = audit_run(*practice, n_cuts=request.param, n_places=60 if request.param < 8 else 1000)
    assert len(found.cuts) == request.param
    return found


def test_the_project_raises_no_alarm(clean: Findings) -> None:
    assert clean.leaks == []
    assert {product for product, _ in clean.compared} == {*KEYS, PRODUCT}
    assert all(count > 0 for (_, name), count in clean.compared.items() if name != "rows")
    strategies = {name for product, name in clean.compared if product == "positions"}
    assert {
        "lightgbm",
        "linear",
        "lstm",
        "ppo",
        "equal_weight",
        "by_regime",
        "time_series_momentum",
        "buy_and_hold",
    } <= strategies
    assert set(clean.places) == {
        "random places", "bars beside gaps", "thinnest bars", "largest moves", "repeated closes",
    } and all(count > 0 for count in clean.places.values())  # fmt: skip
    # Every candidate's positions can be made the best but where they are flat; no choice follows.
    tested = [one for one in clean.choices if one.could_flip]
    assert {one.step for one in tested} == {"make_positions", "train"}
    assert not any(one.flipped for one in clean.choices)


def test_at_least_twenty_kinds_are_planted() -> None:
    assert len({leak.name for leak in LEAKS}) == len(LEAKS) >= 20
    kinds = {leak.kind for leak in LEAKS}
    assert {"rare event", "gap", "choice", "ensemble", "account", "decision", "outside", "memory"} <= kinds
    assert {"network", "agent", "rows", "columns", "regimes"} <= kinds
    assert {"feature", "label", "scaling", "fold", "tuning", "resampling", "join", "early stopping"} <= kinds


# What is planted before any model is trained shows before any is.
BEFORE_TRAINING = {
    "data", "resampling", "join", "feature", "scaling", "label", "rare event", "gap", "rows", "columns", "outside",
    "memory", "regimes",
}  # fmt: skip


def no_forecasts(*_: Any) -> pd.DataFrame:
    columns = {"model": "str", "fold": "int64", "symbol": "str", "timestamp": "datetime64[ms, UTC]"}
    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in columns.items()})


def no_positions(*_: Any) -> dict[str, pd.DataFrame]:
    return {}


# Of a kind that is planted in several ways, those that take long; another of the kind is tried in `make test`.
LONG = {
    "gaps_filled_backwards", "training_not_purged", "features_chosen_on_everything", "champion_of_the_test",
    "thin_bar_from_the_next", "large_move_smoothed", "every_97th_close",
}  # fmt: skip


def params() -> list[Any]:
    return [deep(leak) if leak.name in LONG else leak for leak in LEAKS]


def test_of_each_kind_one_is_tried_without_depth() -> None:
    tried = {leak.kind for leak in LEAKS if leak.name not in LONG}
    assert tried == {leak.kind for leak in LEAKS} and {leak.name for leak in LEAKS} >= LONG


@pytest.mark.parametrize("leak", params(), ids=lambda leak: leak.name)
def test_a_planted_leak_is_caught(leak: Any, practice: tuple[Sources, RunSettings]) -> None:
    steps = leak.steps
    if leak.kind in BEFORE_TRAINING:
        steps = replace(steps, train=no_forecasts, train_linear=no_forecasts, make_positions=no_positions)
    found = audit_run(*practice, SHARED.of(steps), stop_at_first=True, n_places=60, acts=leak.kind in ACTING)
    assert found.leaks
    first = found.leaks[0]
    # What is read from outside has no time; orders of the first bar after the cut are known at its open.
    assert first.product in (PRODUCT, "fills") or first.first <= first.cut
    assert "caught" in audit_report.planted_line(leak, first)


def test_steps_that_are_shared_give_what_the_steps_give(practice: tuple[Sources, RunSettings]) -> None:
    own, shared = run_research(*practice), [run_research(*practice, SHARED.of(Steps())) for _ in range(2)]
    for product in ("bars", "features", "labels", "model_input", "positions"):
        for one in shared:
            assert getattr(one, product).keys() == getattr(own, product).keys()
            for name, table in getattr(own, product).items():
                pd.testing.assert_frame_equal(getattr(one, product)[name], table)
    for one in shared:
        pd.testing.assert_frame_equal(one.forecasts, own.forecasts)
    train = SHARED.once["train"]
    assert train.asked > len(train.known)


def test_the_other_histories_are_the_same_until_the_cut_and_not_after(practice: tuple[Sources, RunSettings]) -> None:
    sources, _ = practice
    cut = pd.Timestamp("2022-06-01 12:00", tz="UTC")
    for make in (changed, mirrored, truncated):
        other = make(sources, cut)
        for name, table in sources.bars.items():
            closed = pd.to_datetime(table["open_time"] + 3_600_000, unit="ms", utc=True)
            known = table[closed <= cut]
            pd.testing.assert_frame_equal(other.bars[name][: len(known)], known, check_dtype=False)
            after = other.bars[name][len(known) :]
            if make is truncated:
                assert after.empty
                continue
            assert len(after) == len(table) - len(known)
            if make is changed:  # the price of what was decided at the cut
                assert after["open"].iloc[0] == table["open"].iloc[len(known)]
            assert not np.isclose(after["close"].to_numpy(float), table["close"][len(known) :].to_numpy(float)).any()
            assert (after["high"] >= after[["open", "close"]].max(axis=1) - 1e-9).all()


def test_a_feature_that_speaks_too_early_is_named(practice: tuple[Sources, RunSettings], clean: Findings) -> None:
    sources, settings = practice
    warm_up_rows = warm_up(sources, settings, lengths=(50, 399), n_places=2)
    assert set(warm_up_rows["bars"]) == {50, 399}
    silent = warm_up_rows[(warm_up_rows["bars"] == 50) & (warm_up_rows["missing"] > 0)]["feature"]
    assert "log_return_168" in set(silent)
    settled = warm_up_rows[(warm_up_rows["bars"] == 399) & (warm_up_rows["missing"] == 0)]
    assert (settled["worst"] < 0.01).mean() > 0.9
    early = pd.concat([warm_up_rows, pd.DataFrame([{"feature": "hasty", "bars": 50, "missing": 0.0, "worst": 3.0}])])
    text = audit_report.render(clean, early, "SIM1, SIM2")
    assert "Nothing at or before any cut moved" in text and "| hasty | 3.000 |" in text


def test_an_outage_begins_at_the_cut_and_ends(practice: tuple[Sources, RunSettings]) -> None:
    sources, _ = practice
    cut = pd.Timestamp("2022-06-01 12:00", tz="UTC")
    end = cut + pd.Timedelta(hours=OUTAGE_BARS)
    for name, table in outage(sources, cut).bars.items():
        closed = pd.to_datetime(table["open_time"] + 3_600_000, unit="ms", utc=True)
        assert not ((closed > cut) & (closed <= end)).any() and (closed > end).any(), name


def test_what_code_reads_beside_its_inputs_is_named(tmp_path: Path) -> None:
    kept, path = pd.Series([1.0]), tmp_path / "kept.csv"

    def over_a_table(bars: Any) -> Any:
        return kept.iloc[-1] * bars

    def from_disk(bars: Any) -> Any:
        return pd.read_csv(path)

    def from_a_clock(bars: Any) -> Any:
        return pd.Timestamp.now() - bars

    def of_its_inputs(bars: Any) -> Any:
        return np.log(bars.open) + len([bars])

    assert outside(over_a_table) == ["a table in its closure"]
    assert outside(from_disk) == ["read_csv()"]
    assert outside(from_a_clock) == ["now()"]
    assert outside(of_its_inputs) == []
    path.write_text("a\n1\n")
    with watched() as reads:
        path.read_text()
    assert reads == [str(path)]
    with watched() as reads:
        of_its_inputs(pd.DataFrame({"open": [1.0]}))
    assert reads == []
