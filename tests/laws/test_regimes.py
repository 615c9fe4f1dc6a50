"""What every model of regimes keeps: nothing from later, batch = stream to the bit, cut anywhere, bad input refused."""

import itertools
import time
from typing import Any

import numpy as np
import pytest

from tests.learning.regimes.markets import market_of
from tradewind.errors import BadData, BadModel, BadParameters
from tradewind.learning.regimes.base import REGIMES, Bars, RegimeModel, Steps
from tradewind.learning.regimes.catalogue import MODELS, model
from tradewind.learning.regimes.expectation_maximisation import FitRules
from tradewind.learning.regimes.markov import MarkovModel, MarkovRules
from tradewind.learning.regimes.markov_kernels import begin_belief, filter_moves

PAST, BARS = 3000, 3600
QUICK = {"markov": {"em": FitRules(first_rounds=3, rounds=6), "evidence": -10.0}, "jump": {"starts": 2}}
NAMES = sorted(MODELS)


def holed(bars: Bars) -> Bars:
    """The bars with one missing, and a new segment later on."""
    kept = np.flatnonzero(np.arange(len(bars.close)) != 3100)
    segment = (np.arange(len(kept)) > 3300).astype(np.int32)
    return Bars(bars.timestamp[kept], bars.open_time[kept], bars.close[kept], segment)


@pytest.fixture(scope="module")
def bars() -> Bars:
    return holed(market_of("clear", 1, days=150)[0])


@pytest.fixture(scope="module")
def fitted(bars: Bars) -> dict[str, RegimeModel]:
    found = {}
    for name in NAMES:
        kind = MODELS[name]
        rules = kind.rules_class.model_validate(QUICK.get(name, {}))
        found[name] = kind(rules, seed=3).fit(bars.rows(0, PAST))
    return found


def same(one: Steps, other: Steps, stop: int | None = None) -> bool:
    return all(np.array_equal(a[:stop], b[:stop]) for a, b in zip(one, other, strict=True))


def joined(parts: list[Steps]) -> Steps:
    return Steps(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


@pytest.mark.parametrize("name", NAMES)
def test_a_history_cut_anywhere_and_carried_in_bytes_says_the_same_to_the_bit(
    name: str, bars: Bars, fitted: dict[str, RegimeModel]
) -> None:
    one = fitted[name]
    whole = one.history(bars)
    cuts = [0, 1, 2, 700, 3100, 3101, 3301, 3302, *range(3500, 3520), len(bars.close)]
    state, parts = one.begin(), []
    for start, stop in itertools.pairwise(cuts):
        state, steps = one.advance(one.from_bytes(one.to_bytes(state)), bars.rows(start, stop))
        parts.append(steps)
    assert same(joined(parts), whole)
    np.testing.assert_allclose(whole.probabilities.sum(axis=1), 1.0, atol=1e-9)
    assert (whole.probabilities >= 0).all()
    assert ((whole.p_leave >= 0) & (whole.p_leave <= 1)).all()


def test_a_model_that_begins_anew_at_each_cut_is_seen(bars: Bars, fitted: dict[str, RegimeModel]) -> None:
    one = fitted["markov"]
    parts = [one.advance(one.begin(), bars.rows(start, start + 100))[1] for start in range(0, 3500, 100)]
    assert not same(joined(parts), one.history(bars.rows(0, 3500)))


def changed(bars: Bars, place: int) -> Bars:
    close = bars.close.copy()
    close[place:] *= np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.02, len(close) - place)))
    return bars._replace(close=close)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", [1, 1500, 3250, 3590])
def test_what_comes_later_changes_nothing_before(
    name: str, place: int, bars: Bars, fitted: dict[str, RegimeModel]
) -> None:
    one = fitted[name]
    assert same(one.history(bars), one.history(changed(bars, place)), place)


def test_a_smoothed_twin_is_caught(bars: Bars, fitted: dict[str, RegimeModel]) -> None:
    """The same states, each bar seen by what comes after as well."""
    one = fitted["markov"]
    assert isinstance(one, MarkovModel)

    def smoothed(these: Bars) -> np.ndarray:
        moves = np.diff(np.log(these.close), prepend=np.nan) / np.median(np.abs(np.diff(np.log(these.close))))
        starts = np.arange(len(moves)) == 0
        forward, _ = one.states(moves, starts)
        out = np.empty_like(forward)
        backward = np.full((forward.shape[1], len(one.model.nodes)), 1.0)
        reversed_model = one.model._replace(drift=-one.model.drift)
        filter_moves(-moves[::-1], starts, reversed_model, backward * begin_belief(one.model), np.nan, out,
                     np.empty(len(moves)))  # fmt: skip
        product = forward * out[::-1]
        return np.asarray(product / product.sum(axis=1, keepdims=True))

    assert not np.array_equal(smoothed(bars)[:1500], smoothed(changed(bars, 1500))[:1500])


def test_a_model_fitted_on_what_comes_later_is_caught(bars: Bars) -> None:
    """The audit changes what comes after the past and fits again: an honest fit is the same to the byte."""

    def fit(these: Bars, stop: int) -> RegimeModel:
        return MarkovModel(MarkovRules.model_validate(QUICK["markov"]), 3).fit(these.rows(0, stop))

    after = changed(bars, PAST)
    assert fit(bars, PAST).files() == fit(after, PAST).files()
    assert fit(bars, BARS - 10).files() != fit(after, BARS - 10).files()


@pytest.mark.parametrize("name", NAMES)
def test_files_make_the_same_model_again(name: str, bars: Bars, fitted: dict[str, RegimeModel]) -> None:
    one = fitted[name]
    again = model(name).from_files(one.files())
    assert same(one.history(bars), again.history(bars))
    with pytest.raises(BadModel, match=f"is not a {name} model"):
        model(name).from_files({"regimes.json": b'{"name": "another"}'})
    with pytest.raises(BadData, match="belongs to another model"):
        others = fitted[next(other for other in NAMES if other != name)]
        others.from_bytes(one.to_bytes(one.begin()))


@pytest.mark.benchmark  # beside other work a core is slower than the limit allows
@pytest.mark.parametrize("name", NAMES)
def test_a_bar_takes_no_more_than_50_microseconds(name: str, bars: Bars, fitted: dict[str, RegimeModel]) -> None:
    one, times = fitted[name], []
    for _ in range(3):
        began = time.process_time()
        one.history(bars)
        times.append((time.process_time() - began) / len(bars.close))
    assert min(times) < 50e-6


@pytest.mark.parametrize("name", NAMES)
def test_a_new_segment_begins_without_a_regime(name: str, bars: Bars, fitted: dict[str, RegimeModel]) -> None:
    steps = fitted[name].history(bars)
    first = int(np.flatnonzero(np.diff(bars.segment))[0]) + 1
    alone = fitted[name].history(bars.rows(first, len(bars.close)))
    assert all(np.array_equal(a[first:], b) for a, b in zip(steps, alone, strict=True))


def with_close(place: int, value: float) -> Any:
    def change(bars: Bars) -> Bars:
        close = bars.close.copy()
        close[place] = value
        return bars._replace(close=close)

    return change


BAD = {
    "few bars": (lambda bars: bars.rows(0, 900), "needs 1000 bars"),
    "none": (lambda bars: bars.rows(0, 0), "needs 1000 bars"),
    "constant prices": (lambda bars: bars._replace(close=np.full(len(bars.close), 7.0)), "price moves on fewer"),
    "a missing close": (with_close(50, np.nan), "no positive close"),
    "a close of zero": (with_close(50, 0.0), "no positive close"),
    "an endless close": (with_close(50, np.inf), "no positive close"),
    "times out of order": (lambda bars: bars._replace(timestamp=bars.timestamp[::-1].copy()), "must be sorted"),
    "bars that end as they open": (lambda bars: bars._replace(open_time=bars.timestamp), "end no later than they open"),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", BAD)
def test_a_past_that_nothing_can_be_learnt_from_is_refused(name: str, fault: str, bars: Bars) -> None:
    change, message = BAD[fault]
    kind = MODELS[name]
    with pytest.raises(BadData, match=message):
        kind(kind.rules_class(), 0).fit(change(bars.rows(0, 1500)))


@pytest.mark.parametrize("name", NAMES)
def test_bars_that_cannot_be_are_refused_and_leave_the_state_as_it_was(
    name: str, bars: Bars, fitted: dict[str, RegimeModel]
) -> None:
    one = fitted[name]
    state, _ = one.advance(one.begin(), bars.rows(0, 100))
    before = one.to_bytes(state)
    with pytest.raises(BadData, match="no positive close"):
        one.advance(state, with_close(5, np.nan)(bars.rows(100, 110)))
    assert one.to_bytes(state) == before


def test_unknown_models_and_parameters_are_refused() -> None:
    with pytest.raises(BadParameters, match="a model of regimes is one of"):
        model("crystal_ball")
    with pytest.raises(ValueError, match="Extra inputs"):
        MarkovRules.model_validate({"states": ["calm"]})
    with pytest.raises(BadModel, match="has not been fitted"):
        MarkovModel(MarkovRules(), 0).begin()


def test_the_announced_regime_changes_only_when_another_is_likely_enough(
    bars: Bars, fitted: dict[str, RegimeModel]
) -> None:
    steps = fitted["markov"].history(bars)
    changes = np.flatnonzero(steps.transition)
    enough = steps.probabilities[changes, steps.regime[changes]]
    assert len(changes) > 3
    assert (enough >= fitted["markov"].rules.switch_probability).all()
    assert (steps.run_length[changes] == 1).all()
    table = steps.table()
    assert set(table["regime"]) <= set(REGIMES)
    assert list(table.columns) == [*(f"p_{name}" for name in REGIMES), "regime", "run_length", "p_leave", "transition"]
