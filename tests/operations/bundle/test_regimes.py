"""A bundle's models of regimes say bar by bar what they say of the whole history, and are refused when damaged."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.operations.bundles import TERMS, bundle_files, walk_bars, with_regimes
from tradewind.errors import BadModel
from tradewind.learning.features.assembly import Arrivals
from tradewind.learning.regimes.base import FEATURES, FILE, REGIMES, Bars
from tradewind.operations.bundle.contents import Bundle
from tradewind.operations.bundle.regimes import STATE
from tradewind.operations.bundle.warming import _bars

SYMBOLS = TERMS.universe.symbols


def bundle(files: dict[str, bytes] | None = None) -> Bundle:
    return Bundle.from_files(files or with_regimes(), "0" * 64)


def test_it_stands_where_the_whole_history_leaves_it() -> None:
    regimes = bundle().regimes()
    assert regimes is not None and regimes.name == "markov" and set(regimes.latest) == set(SYMBOLS)
    for number, symbol in enumerate(SYMBOLS):
        history = Bars.of_table(walk_bars(symbol, 1100, number))
        steps, said = regimes.models[symbol].history(history), regimes.latest[symbol]
        assert list(said.probabilities.values()) == steps.probabilities[-1].tolist()
        assert (said.regime, said.p_leave) == (REGIMES[int(steps.regime[-1])], float(steps.p_leave[-1]))
        assert said.since == history.timestamp[-int(steps.run_length[-1])] and said.timestamp == history.timestamp[-1]


def test_bar_by_bar_it_says_what_it_says_at_once() -> None:
    """Ten bars more, one call each, from the stored state: the same bits as a history of all of them."""
    found = bundle()
    regimes, decider = found.regimes(), found.decider()
    assert regimes is not None
    state = decider.from_bytes(found.files["decision.state"])
    longer = {symbol: walk_bars(symbol, 1110, number) for number, symbol in enumerate(SYMBOLS)}
    # A walk of other length draws the same first bars.
    assert longer["SIM1"]["close"].iloc[:1100].tolist() == walk_bars("SIM1", 1100, 0)["close"].tolist()
    for at in range(1100, 1110):
        bars = tuple(bar for symbol in SYMBOLS for bar in _bars(symbol, longer[symbol].iloc[at : at + 1]))
        state, observed = decider.observe(state, Arrivals(bars[0].timestamp, bars))
        regimes.take_in(observed)
        for symbol in SYMBOLS:
            steps = regimes.models[symbol].history(Bars.of_table(longer[symbol].iloc[: at + 1]))
            assert list(regimes.latest[symbol].probabilities.values()) == steps.probabilities[-1].tolist()
            assert (
                regimes.latest[symbol].since
                == longer[symbol]["timestamp"].iloc[at + 1 - steps.run_length[-1]].value // 10**6
            )


def test_its_decisions_do_not_depend_on_them() -> None:
    without = Bundle.from_files({k: v for k, v in with_regimes().items() if k not in (FILE, STATE)}, "0" * 64)
    assert without.regimes() is None and without.decider().fingerprint == bundle().decider().fingerprint


def test_a_model_that_reads_regimes_is_given_them() -> None:
    spec = bundle().spec
    reading = replace(bundle(), spec=spec.model_copy(update={"features": (*spec.features, FEATURES[0])}))
    assert set(reading.decider().names) >= set(FEATURES) and set(reading.decider().regimes) == set(SYMBOLS)
    bare = replace(reading, files=bundle_files())
    with pytest.raises(BadModel, match="has no model of them"):
        bare.decider()


def _with(change: Any) -> dict[str, bytes]:
    documents = json.loads(with_regimes()[FILE])
    change(documents)
    return with_regimes() | {FILE: json.dumps(documents).encode()}


DAMAGES: dict[str, Callable[[], dict[str, bytes]]] = {
    "no JSON": lambda: with_regimes() | {FILE: b"{"},
    "a state cut off": lambda: with_regimes() | {STATE: with_regimes()[STATE][:-1]},
    "no state": lambda: {name: content for name, content in with_regimes().items() if name != STATE},
    "a symbol without a model": lambda: _with(lambda one: one.pop("SIM1")),
    "a model of no kind": lambda: _with(lambda one: one["SIM1"].update(name="other")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_ones_are_refused_when_the_bundle_is_opened(damage: str) -> None:
    with pytest.raises(BadModel, match="(is damaged|has models of).*deploy the model again"):
        bundle(DAMAGES[damage]())
