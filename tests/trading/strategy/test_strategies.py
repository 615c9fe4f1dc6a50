"""A strategy of one's own is one decorated function, and every strategy is a fold."""

import itertools
import runpy
from pathlib import Path

import numpy as np
import pytest

from tradewind.errors import BadParameters
from tradewind.learning.features.bars import Chunk
from tradewind.market.universe import Universe
from tradewind.market.volatility import realised_volatility
from tradewind.trading.decision.ruling import rule_targets
from tradewind.trading.strategy import baselines, own
from tradewind.trading.strategy.sizing import SizingRules
from tradewind.trading.strategy.spec import Features, Floats, Strategy, closes_only, sign_of_change, strategy

PROJECT = Path(__file__).resolve().parents[3]
BARS_PER_DAY = 24.0


@strategy(lookback=24, features=("rsi_14",))
def fade_extremes(bars: Chunk, features: Features, bars_per_day: float) -> Floats:
    """Against the day, where the relative strength is extreme."""
    return np.where(np.abs(features["rsi_14"]) > 0.2, -sign_of_change(bars, 24), 0.0)


@strategy(lookback=2)
def understated(bars: Chunk, features: Features, bars_per_day: float) -> Floats:
    """The twin that reads further back than it says."""
    return sign_of_change(bars, 24)


def in_parts(one: Strategy, bars: Chunk, features: dict[str, Floats], cuts: list[int]) -> Floats:
    state, out, bounds = {}, [], [0, *cuts, len(bars)]
    for start, stop in itertools.pairwise(bounds):
        part = {name: values[start:stop] for name, values in features.items()}
        state, found = one.advance(state, bars.rows(start, stop), BARS_PER_DAY, part)
        out.append(found)
    return np.concatenate(out)


@pytest.mark.parametrize("one", [*baselines.DIRECTIONS.values(), fade_extremes], ids=lambda one: one.name)
def test_every_strategy_may_be_cut_anywhere(one: Strategy, chunk: Chunk) -> None:
    features = {"rsi_14": np.sin(np.arange(len(chunk)))}
    whole = one.direction(chunk, BARS_PER_DAY, features)
    assert set(np.unique(whole)) <= {-1.0, 0.0, 1.0}
    cuts = [1, 5, 6, 150, 990, 1000, 1001, 1100]
    np.testing.assert_array_equal(in_parts(one, chunk, features, cuts), whole)


def test_a_strategy_that_reads_further_back_than_it_says_is_caught(chunk: Chunk) -> None:
    whole = understated.direction(chunk, BARS_PER_DAY)
    assert not np.array_equal(in_parts(understated, chunk, {}, [500, 501, 502]), whole)


def test_closes_alone_are_enough_for_the_baselines(chunk: Chunk) -> None:
    for one in baselines.DIRECTIONS.values():
        wanted = one.direction(chunk, BARS_PER_DAY)
        np.testing.assert_array_equal(one(chunk.close, chunk.segment, BARS_PER_DAY), wanted)
    assert np.isnan(closes_only(chunk.close, chunk.segment).volume).all()


def test_one_decorated_function_is_all_a_strategy_needs(chunk: Chunk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "fade_extremes", fade_extremes, raising=False)
    found = baselines.strategies_of(own)
    monkeypatch.setitem(baselines.DIRECTIONS, "fade_extremes", found["fade_extremes"])
    assert baselines.family("fade_extremes") == "strategy"
    assert [baselines.family(name) for name in ("buy_and_hold", "oracle", "xgboost")] == ["baseline", "oracle", "model"]
    universe = Universe(venue="v", symbols="SIM2", timeframe="1h")
    volatility = realised_volatility(chunk.close, chunk.segment, 24)
    target = rule_targets(fade_extremes, chunk, volatility, SizingRules(), universe)
    assert (target > 0).any() and (target < 0).any() and np.abs(target).max() <= 1.0


def test_what_is_no_strategy_is_refused(chunk: Chunk) -> None:
    with pytest.raises(BadParameters, match="needs a docstring"):
        strategy()(lambda bars, features, bars_per_day: bars.close)
    with pytest.raises(BadParameters, match="rsi_14"):
        fade_extremes.direction(chunk, BARS_PER_DAY)


def test_the_readmes_strategy_works_as_shown(chunk: Chunk, tmp_path: Path) -> None:
    blocks = (PROJECT / "README.md").read_text().split("```python\n")[1:]
    (shown,) = (block.split("```")[0] for block in blocks if block.startswith("@strategy"))
    module = tmp_path / "shown.py"
    module.write_text((PROJECT / "src/tradewind/trading/strategy/own.py").read_text() + shown)
    found = runpy.run_path(str(module))["follow_the_day"]
    assert found.name == "follow_the_day" and set(np.unique(found.direction(chunk, BARS_PER_DAY))) <= {-1.0, 0.0, 1.0}


@pytest.mark.parametrize(("bars_per_day", "lag"), [(24.0, 24), (6.0, 6), (1.0, 2), (1 / 7, 2)])
def test_mean_reversion_is_never_the_reversal_of_one_bar(chunk: Chunk, bars_per_day: float, lag: int) -> None:
    """On daily bars the two baselines were one, and a report showed it twice."""
    reversion = baselines.DIRECTIONS["mean_reversion"]
    found = reversion.direction(chunk, bars_per_day)
    np.testing.assert_array_equal(found, -sign_of_change(chunk, lag))
    assert not np.array_equal(found, baselines.DIRECTIONS["last_bar_reversal"].direction(chunk, bars_per_day))
