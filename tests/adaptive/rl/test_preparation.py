"""Agents see what the fold's past allows: nothing that they learn from or read knows what comes."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.depth import deep
from tradewind.adaptive.rl import walk_forward
from tradewind.adaptive.rl.forecasts import fold_forecasts, join, with_forecasts
from tradewind.adaptive.rl.market import TradingTerms
from tradewind.adaptive.rl.parameters import AgentParameters
from tradewind.adaptive.rl.preparation import CarryOver, FoldMarkets
from tradewind.adaptive.rl.preparation import prepare as prepare_joined
from tradewind.adaptive.rl.rules import FORECASTS, EnvironmentRules, RewardRules
from tradewind.adaptive.rl.walk_forward import (
    AgentTraining,
    Plan,
    TrainedFold,
    mean_positions,
    seed_positions,
    train_folds,
)
from tradewind.datasets.model_store import FolderModelStore
from tradewind.errors import BadData
from tradewind.learning.models.sequence.windows import Standardiser
from tradewind.learning.splits.purged import test_mask, training_mask
from tradewind.learning.splits.walk_forward import FoldPlan, make_folds
from tradewind.market import schema
from tradewind.trading.engine.backtest import History
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules

HOUR = pd.Timedelta(1, unit="h")
RULES = EnvironmentRules(episode_bars=48, features=2)
COUNT = 1500


def made(seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, tuple[pd.DataFrame, History]]]:
    """Rows, folds, and bars with their history: the first feature says where the price goes."""
    rng = np.random.default_rng(seed)
    at = pd.Series(pd.date_range("2023-01-01", periods=COUNT, freq="h", tz="UTC")).dt.as_unit("ms")
    tables, known = [], {}
    for symbol in ("A", "B"):
        x = np.repeat(rng.standard_normal((COUNT // 5, 4)), 5, axis=0).astype(np.float32)
        change = 0.003 * np.r_[0, x[:-1, 0]] + 0.004 * rng.standard_normal(COUNT)
        close = 100 * np.exp(np.cumsum(change))
        opening = np.r_[100.0, close[:-1]]
        segment = np.zeros(COUNT, dtype=np.int32)
        known[symbol] = (
            pd.DataFrame({"timestamp": at, "segment": segment}),
            History(opening, close, np.full(COUNT, 0.005), np.zeros(COUNT), segment),
        )
        ahead = np.r_[np.log(close[4:] / close[:-4]), np.full(4, np.nan)]
        table = pd.DataFrame(x, columns=list("abcd")).assign(
            symbol=symbol, timestamp=at, forward_return=ahead, weight=1.0, horizon_end=at + 4 * HOUR,
            exit_time=at + 4 * HOUR, label=np.digitize(ahead, [-0.005, 0.005]).astype(np.int8) - np.int8(1),
        )  # fmt: skip
        tables.append(table.iloc[:-4])
    rows = pd.concat(tables).sort_values(["timestamp", "symbol"], kind="stable", ignore_index=True)
    plan = FoldPlan(n_folds=2, initial_share=0.5, holdout_share=0.15, scheme="expanding", embargo_bars=4)
    return rows, make_folds(rows["timestamp"], plan, HOUR, 4), known


def prepare(
    rows: pd.DataFrame,
    fold: Any,
    known: Any,
    rules: EnvironmentRules,
    valid_share: float,
    before: CarryOver | None = None,
) -> tuple[FoldMarkets, CarryOver]:
    predicted = fold_forecasts(rows, pd.DataFrame([fold._asdict()])).table
    return prepare_joined(join(rows, predicted, fold.fold), fold, known, rules, valid_share, before)


@pytest.fixture(scope="module")
def world() -> Any:
    return made()


def test_forecasts_of_the_past_are_out_of_fold_and_those_after_it_know_only_the_past(world: Any) -> None:
    rows, folds, _ = world
    fold = next(folds.itertuples(index=False))
    past, test = rows[training_mask(rows, fold)], rows[test_mask(rows, fold)]
    inside, after, _ = with_forecasts(past, test)
    for table in (inside, after):
        corr = np.corrcoef(table["forecast_edge"], table["forward_return"])[0, 1]
        assert 0.2 < corr < 0.95
    # Labels of pure noise are not foretold out of fold, as they would be by a model of the same rows.
    rng = np.random.default_rng(0)
    noise = past.assign(label=rng.integers(-1, 2, len(past)).astype(np.int8))
    wide = noise.assign(**{f"n{at}": rng.standard_normal(len(past)).astype(np.float32) for at in range(60)})
    predicted, *_ = with_forecasts(wide, wide.tail(10))
    assert abs(np.corrcoef(predicted["forecast_edge"], predicted["label"])[0, 1]) < 0.1
    assert set(FORECASTS) <= set(after)


def test_what_comes_after_the_cut_changes_nothing_before_it(world: Any) -> None:
    rows, folds, known = world
    fold = next(folds.itertuples(index=False))
    cut = fold.test_start + 100 * HOUR
    changed = rows.copy()
    later = changed["timestamp"] > cut
    changed.loc[later, list("abcd")] *= -3
    # Labels and returns that look beyond the cut are the future, too: none of them may be learned from.
    reaches = changed["horizon_end"] > cut
    changed.loc[reaches, ["label", "forward_return"]] = [np.int8(0), 0.0]
    changed = changed.astype(rows.dtypes.to_dict())
    other = {}
    for symbol, (bars, history) in known.items():
        after = (bars["timestamp"] > cut).to_numpy()
        moved = np.where(after, history.close * 1.5, history.close)
        other[symbol] = (bars, History(history.open, moved, history.volatility, history.funding_rate, history.segment))
    (usual, _), (moved_markets, _) = prepare(rows, fold, known, RULES, 0.2), prepare(changed, fold, other, RULES, 0.2)
    assert usual.standardiser == moved_markets.standardiser
    for part in ("fit", "valid"):
        one, two = getattr(usual, part), getattr(moved_markets, part)
        np.testing.assert_array_equal(one.features, two.features)
        np.testing.assert_array_equal(one.bars, two.bars)
    for symbol, here in usual.test.items():
        market, whole = here.market, moved_markets.test[symbol].market
        before = pd.DatetimeIndex(here.timestamp) <= cut
        np.testing.assert_array_equal(here.forecasts[before], moved_markets.test[symbol].forecasts[before])
        np.testing.assert_array_equal(market.features[before], whole.features[before])
        assert not np.array_equal(market.features[~before], whole.features[~before])
    last = usual.valid.bars.shape[1] // 2
    assert last > 0 and rows.loc[training_mask(rows, fold), "timestamp"].max() < fold.test_start


def test_forecasts_come_with_their_uncertainty(world: Any) -> None:
    """The entropy is that of the probabilities, and the spread is wide where returns are."""
    rows, folds, _ = world
    past = rows[training_mask(rows, next(folds.itertuples(index=False)))].reset_index(drop=True)
    rng = np.random.default_rng(1)
    wild = rng.random(len(past)) < 0.5
    noise = 0.01 * rng.standard_normal(len(past)) * np.where(wild, 3.0, 1.0)
    predicted, *_ = with_forecasts(past.assign(a=wild.astype(np.float32), forward_return=noise), past.tail(5))
    ratio = predicted["forecast_spread"][wild].median() / predicted["forecast_spread"][~wild].median()
    assert 2.0 < ratio < 4.5
    expected = np.quantile(noise[wild], 0.95) - np.quantile(noise[wild], 0.05)
    assert predicted["forecast_spread"][wild].median() == pytest.approx(expected, rel=0.25)
    up = (1 - predicted["forecast_flat"] + predicted["forecast_edge"]) / 2
    chances = np.column_stack([up, predicted["forecast_flat"], up - predicted["forecast_edge"]])
    np.testing.assert_allclose(
        predicted["forecast_entropy"], -(chances * np.log(chances)).sum(axis=1) / np.log(3), rtol=1e-6
    )


def test_an_agent_that_learns_on_keeps_its_eyes_and_gets_only_new_bars(world: Any) -> None:
    rows, folds, known = world
    first, second = list(folds.itertuples(index=False))[:2]
    earlier, before = prepare(rows, first, known, RULES, 0.2)
    later, _ = prepare(rows, second, known, RULES, 0.2, before)
    whole, _ = prepare(rows, second, known, RULES, 0.2)
    assert later.standardiser == earlier.standardiser != whole.standardiser
    assert later.fit.bars.shape[1] < earlier.fit.bars.shape[1] < whole.fit.bars.shape[1]
    np.testing.assert_array_equal(later.valid.bars, whole.valid.bars)
    with pytest.raises(BadData, match="no bars to learn on from"):
        prepare(rows, first, known, RULES, 0.2, before)
    with pytest.raises(BadData, match="the agent sees nothing"):
        prepare(rows, first, known, RULES.model_copy(update={"features": 0, "forecasts": ()}), 0.2)
    missing = CarryOver(Standardiser(features=("gone",), mean=(0.0,), deviation=(1.0,)), before.learned_until)
    with pytest.raises(BadData, match="features that are missing: gone"):
        prepare(rows, second, known, RULES, 0.2, missing)


def plan(**changed: Any) -> Plan:
    training = AgentTraining.model_validate({"seeds": 2, "executor": "serial", **changed})
    quick = AgentParameters(total_timesteps=512, parts=2, n_envs=8, n_steps=16, batch_size=64, n_epochs=1, hidden=8)
    terms = TradingTerms.from_rules(Costs(), OrderRules(), RULES, 8766.0)
    return Plan("ppo", quick, RULES, RewardRules(), training, terms, 7)


def equal(one: list[TrainedFold], two: list[TrainedFold]) -> None:
    for mine, theirs in zip(one, two, strict=True):
        for table in ("transitions", "log", "responses"):
            pd.testing.assert_frame_equal(getattr(mine, table), getattr(theirs, table))


@pytest.mark.parametrize("kind", ["processes", deep("dask")])
def test_folds_are_trained_once_and_anywhere_alike(
    kind: str, world: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Serially, in processes and on a Dask cluster of two workers: the same files and tables."""
    rows, folds, known = world
    seen = rows, fold_forecasts(rows, folds).table
    store = FolderModelStore(tmp_path / "serial")
    trained = train_folds(seen, folds, known, plan(), store)
    keys = [key for one in trained for key in one.keys.values()]
    assert len(set(keys)) == 2 * len(folds) == len(list((tmp_path / "serial").iterdir()))
    elsewhere = FolderModelStore(tmp_path / kind)
    equal(trained, train_folds(seen, folds, known, plan(executor=kind), elsewhere))
    assert all(elsewhere.get(key) == store.get(key) for key in keys)
    # A second run trains nothing, and says the same.
    monkeypatch.setattr("tradewind.adaptive.rl.agents.train_agent", None)
    equal(trained, train_folds(seen, folds, known, plan(), store))
    # One of the seeds gone, only that one is trained again.
    monkeypatch.undo()
    expected = store.get(keys[0])
    store.forget(keys[0])
    train_folds(seen, folds, known, plan(), store)
    assert store.get(keys[0]) == expected


def test_agents_that_learn_on_begin_where_the_fold_before_ended(world: Any, tmp_path: Path) -> None:
    rows, folds, known = world
    seen = rows, fold_forecasts(rows, folds).table
    store = FolderModelStore(tmp_path)
    trained = train_folds(seen, folds, known, plan(incremental=True, seeds=1), store)
    assert [one.fold for one in trained] == folds["fold"].tolist()
    steps = [one.log["steps"].tolist() for one in trained]
    assert steps == [[256, 512], [512, 768, 1024], [1024, 1280, 1536]]
    alone = train_folds(seen, folds, known, plan(seeds=1), store)
    pd.testing.assert_frame_equal(alone[0].transitions, trained[0].transitions)
    assert not alone[1].keys.items() & trained[1].keys.items()
    equal(trained, train_folds(seen, folds, known, plan(incremental=True, seeds=1), store))


def test_positions_are_the_mean_of_the_seeds_and_lie_in_the_test_windows(world: Any, tmp_path: Path) -> None:
    rows, folds, known = world
    seen = rows, fold_forecasts(rows, folds).table
    trained = train_folds(seen, folds, known, plan(), FolderModelStore(tmp_path))
    transitions = pd.concat([one.transitions for one in trained], ignore_index=True)
    mean, each = mean_positions(transitions), seed_positions(transitions)
    for table in (mean, each):
        schema.Positions.validate(table)
    assert set(each["strategy"]) == set(mean["strategy"]) == {"ppo"}
    assert set(each["seed"]) == {7, 8} and set(mean["seed"]) == {-1} and set(each["family"]) == {"agent"}
    wide = each.pivot(index=["symbol", "timestamp"], columns="seed", values="target").mean(axis=1)
    found = mean.set_index(["symbol", "timestamp"])["target"]
    pd.testing.assert_series_equal(found.sort_index(), wide.sort_index(), check_names=False)
    starts, ends = folds["test_start"].min(), folds["test_end"].max()
    assert mean["timestamp"].min() >= starts and mean["timestamp"].max() < ends
    assert list(transitions.columns[:5]) == walk_forward.KEYS
