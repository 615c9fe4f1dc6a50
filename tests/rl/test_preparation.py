"""Agents see what the fold's past allows: nothing that they learn from or read knows what comes."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tradewind.engine.backtest import History
from tradewind.execution.costs import Costs
from tradewind.execution.orders import OrderRules
from tradewind.models.base import Files
from tradewind.rl import walk_forward
from tradewind.rl.market import TradingTerms
from tradewind.rl.parameters import AgentParameters
from tradewind.rl.preparation import FORECASTS, prepare, with_forecasts
from tradewind.rl.rules import EnvironmentRules, RewardRules
from tradewind.rl.walk_forward import AgentTraining, Plan, mean_positions, seed_positions, train_folds
from tradewind.splits.purged import test_mask, training_mask
from tradewind.splits.walk_forward import FoldPlan, make_folds

HOUR = pd.Timedelta(1, unit="h")
RULES = EnvironmentRules(episode_bars=48, features=2)
COUNT = 1500


class Memory:
    """A store in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, Files] = {}

    def get(self, key: str) -> Files | None:
        return self.kept.get(key)

    def put(self, key: str, files: Files, about: dict[str, Any]) -> None:
        self.kept[key] = files

    def forget(self, key: str) -> None:
        self.kept.pop(key, None)


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


@pytest.fixture(scope="module")
def world() -> Any:
    return made()


def test_forecasts_of_the_past_are_out_of_fold_and_those_after_it_know_only_the_past(world: Any) -> None:
    rows, folds, _ = world
    fold = next(folds.itertuples())
    past, test = rows[training_mask(rows, fold)], rows[test_mask(rows, fold)]
    inside, after = with_forecasts(past, test)
    for table in (inside, after):
        corr = np.corrcoef(table["forecast_edge"], table["forward_return"])[0, 1]
        assert 0.2 < corr < 0.95
    # Labels of pure noise are not foretold out of fold, as they would be by a model of the same rows.
    rng = np.random.default_rng(0)
    noise = past.assign(label=rng.integers(-1, 2, len(past)).astype(np.int8))
    wide = noise.assign(**{f"n{at}": rng.standard_normal(len(past)).astype(np.float32) for at in range(60)})
    told, _ = with_forecasts(wide, wide.tail(10))
    assert abs(np.corrcoef(told["forecast_edge"], told["label"])[0, 1]) < 0.1
    assert set(FORECASTS) <= set(after)


def test_what_comes_after_the_cut_changes_nothing_before_it(world: Any) -> None:
    rows, folds, known = world
    fold = next(folds.itertuples())
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
    usual, moved_markets = prepare(rows, fold, known, RULES, 0.2), prepare(changed, fold, other, RULES, 0.2)
    assert usual.standardiser == moved_markets.standardiser
    for part in ("fit", "valid"):
        one, two = getattr(usual, part), getattr(moved_markets, part)
        np.testing.assert_array_equal(one.features, two.features)
        np.testing.assert_array_equal(one.bars, two.bars)
    for symbol, (market, timestamp) in usual.test.items():
        whole, _ = moved_markets.test[symbol]
        before = pd.DatetimeIndex(timestamp) <= cut
        np.testing.assert_array_equal(market.features[before], whole.features[before])
        assert not np.array_equal(market.features[~before], whole.features[~before])
    last = usual.valid.bars.shape[1] // 2
    assert last > 0 and rows.loc[training_mask(rows, fold), "timestamp"].max() < fold.test_start


def plan(**changed: Any) -> Plan:
    training = AgentTraining(seeds=2, executor="serial").model_copy(update=changed)
    quick = AgentParameters(steps=3000, environments=8, rollout=16, batch_size=64, epochs=2, hidden=8)
    terms = TradingTerms.made(Costs(), OrderRules(), RULES, 8766.0)
    return Plan("ppo", quick, RULES, RewardRules(), training, terms, 7)


def test_folds_are_trained_once_and_anywhere_alike(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, folds, known = world
    store = Memory()
    trained = train_folds(rows, folds, known, plan(), store)
    assert len(store.kept) == 2 * len(folds) and all(len(key) <= 24 for key in store.kept)
    elsewhere = Memory()
    beside = train_folds(rows, folds, known, plan(executor="processes"), elsewhere)
    assert elsewhere.kept == store.kept
    for one, two in zip(trained, beside, strict=True):
        pd.testing.assert_frame_equal(one.transitions, two.transitions)
        pd.testing.assert_frame_equal(one.log, two.log)
    # A second run trains nothing, and says the same.
    monkeypatch.setattr("tradewind.rl.agents.train_agent", None)
    again = train_folds(rows, folds, known, plan(), store)
    for one, two in zip(trained, again, strict=True):
        pd.testing.assert_frame_equal(one.transitions, two.transitions)
        pd.testing.assert_frame_equal(one.log, two.log)
    # One of the seeds gone, only that one is trained again.
    monkeypatch.undo()
    gone = next(iter(store.kept))
    expected = store.kept.pop(gone)
    train_folds(rows, folds, known, plan(), store)
    assert store.kept[gone] == expected


def test_positions_are_the_mean_of_the_seeds_and_lie_in_the_test_windows(world: Any) -> None:
    rows, folds, known = world
    trained = train_folds(rows, folds, known, plan(), Memory())
    transitions = pd.concat([one.transitions for one in trained], ignore_index=True)
    mean, each = mean_positions(transitions), seed_positions(transitions)
    assert set(each["strategy"]) == {"ppo seed 7", "ppo seed 8"} and set(mean["strategy"]) == {"ppo"}
    wide = each.pivot(index=["symbol", "timestamp"], columns="strategy", values="target").mean(axis=1)
    found = mean.set_index(["symbol", "timestamp"])["target"]
    pd.testing.assert_series_equal(found.sort_index(), wide.sort_index(), check_names=False)
    starts, ends = folds["test_start"].min(), folds["test_end"].max()
    assert mean["timestamp"].min() >= starts and mean["timestamp"].max() < ends
    assert list(transitions.columns[:5]) == walk_forward.KEYS
