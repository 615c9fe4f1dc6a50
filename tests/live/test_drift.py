"""The guardrail of drift: quiet where nothing changes, right about what did, the same after a kill."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.live.conftest import session_of, simulated
from tests.live.test_session import by_time, killed_and_back, records, step_bars
from tests.operations.bundles import TERMS, findings, model_rows
from tradewind.errors import BadModel, BadParameters
from tradewind.learning.features.assembly import Arrivals, Bar
from tradewind.learning.models import catalogue
from tradewind.learning.models.walk_forward import TrainingRules
from tradewind.live.references import references_for
from tradewind.live.runtime import Runtime
from tradewind.live.session.drift import Finding, References, Watched, count, hold_back
from tradewind.live.session.session import Session
from tradewind.live.settings import Drift, Guardrails
from tradewind.metrics.drift import DriftReference, learn
from tradewind.operations.bundle.contents import DRIFT
from tradewind.operations.bundle.making import Procedure, make_bundle
from tradewind.operations.registry.registry import Registry
from tradewind.trading.decision.protocols import Observed, Seen, Steps

Make = Callable[..., Runtime]
SYMBOLS, WINDOW, WARM = ("SIM1", "SIM2", "SIM3"), 48, 1800
NO_OTHERS = Guardrails(exposure=None, turnover_a_day=None, expected_shortfall=None)


@pytest.fixture(scope="module")
def bars() -> list[list[Bar]]:
    return by_time(simulated(days=80, outages=0)[0])


@pytest.fixture(scope="module")
def references(bars: list[list[Bar]]) -> References:
    """Of `rsi_14` on the bars before the session."""
    past = [one for now in bars[:WARM] for one in now]
    decider = session_of(SYMBOLS).decider
    _, observed = decider.observe(decider.begin(), Arrivals(past[-1].timestamp + 10_000, tuple(past)))
    return {
        one.seen.symbol: {
            "features": learn(("rsi_14",), one.seen.features[400:].astype(float), WINDOW, np.random.default_rng(3))
        }
        for one in observed
    }


def guarded(references: References, action: str = "scale", **rules: Any) -> Session:
    session = session_of(SYMBOLS)
    drift = Drift(version=1, action=action, **rules)  # type: ignore[arg-type]
    guardrails = NO_OTHERS.model_copy(update={"drift": drift})
    return replace(session, rules=session.rules.model_copy(update={"guardrails": guardrails}), references=references)


def rising(bars: list[list[Bar]], symbol: str) -> list[list[Bar]]:
    """The planted shift: one symbol rises in two bars of three and falls a little in the third, on and on."""
    out, last = [], next(one.open for one in bars[0] if one.symbol == symbol)
    for number, now in enumerate(bars):
        row = []
        for one in now:
            if one.symbol == symbol:
                close = round(last * (0.999 if number % 3 == 2 else 1.004), 2)
                one, last = one._replace(open=last, high=max(last, close), low=min(last, close), close=close), close
            row.append(one)
        out.append(row)
    return out


def live(make: Make, session: Session, bars: list[list[Bar]], future: list[list[Bar]], name: str = "run") -> Runtime:
    past = [one for now in bars[WARM - 400 : WARM] for one in now]
    runtime = make(session, past, name=name)
    for now in future:
        step_bars(runtime, now)
    return runtime


def drifts(runtime: Runtime) -> list[Any]:
    return [one for one in records(runtime, "guardrail") if one["guardrail"] == "drift"]


def test_where_nothing_changes_the_guardrail_does_nothing(
    make_runtime: Make, bars: list[list[Bar]], references: References
) -> None:
    future = bars[WARM : WARM + WINDOW + 12]
    runtime = live(make_runtime, guarded(references), bars, future)
    assert drifts(runtime) == [] and records(runtime, "drift") == []
    session = guarded(references)
    off = replace(session, rules=session.rules.model_copy(update={"guardrails": NO_OTHERS}))
    without = live(make_runtime, off, bars, future, "off")
    assert records(runtime, "decision") == records(without, "decision")
    watched = runtime.state.drift["SIM1"]["features"]
    assert watched.rows == 12 and watched.counts.sum() == 12 and 0.0 < watched.whole.over <= 1.0


@pytest.mark.parametrize("action", ["scale", "hold", "reduce"])
def test_a_planted_shift_is_named_and_held_back_in_its_symbol_alone(
    action: str, make_runtime: Make, bars: list[list[Bar]], references: References
) -> None:
    future = rising(bars[WARM : WARM + 40], "SIM1")
    runtime = live(make_runtime, guarded(references, action), bars, future)
    seen = records(runtime, "drift")
    assert seen and {(one["symbol"], one["kind"], one["column"]) for one in seen} == {("SIM1", "features", "rsi_14")}
    acted = drifts(runtime)
    assert acted and all("SIM1, features: rsi_14" in one["effect"] and one["value"] > 1.0 for one in acted)
    assert {one["allowed"] for one in acted} == {1.0}
    began = next(number for number, one in enumerate(records(runtime, "decision")) if "guardrail" in one["why"])
    later = [one for one in records(runtime, "decision")[began:] if one["symbol"] == "SIM1"]
    others = [one for one in records(runtime, "decision") if one["symbol"] != "SIM1"]
    assert all("guardrail" not in one["why"] and one["weight"] == pytest.approx(one["target"] / 3) for one in others)
    for one in later:
        if action == "scale":
            assert one["weight"] == pytest.approx(one["target"] / 6)
        elif action == "hold":
            assert one["weight"] == one["before"] and not one["acts"]
        else:
            assert abs(one["weight"]) <= abs(one["held"]) * one["price"] / runtime.state.paper.equity * 1.1


def test_a_higher_threshold_lets_the_same_shift_pass(
    make_runtime: Make, bars: list[list[Bar]], references: References
) -> None:
    future = rising(bars[WARM : WARM + 20], "SIM1")
    assert drifts(live(make_runtime, guarded(references, above=1000.0), bars, future)) == []


def test_a_kill_changes_nothing(make_runtime: Make, bars: list[list[Bar]], references: References) -> None:
    future = rising(bars[WARM : WARM + 40], "SIM1")
    whole = live(make_runtime, guarded(references), bars, future, "whole")
    runtime = live(make_runtime, guarded(references), bars, future[:10])
    runtime.snapshot()
    for now in future[10:26]:  # replayed from the snapshot, the look at 24 bars among them
        step_bars(runtime, now)
    before = runtime.state.to_bytes(runtime.session.decider)
    runtime = killed_and_back(make_runtime, runtime)
    assert runtime.state.to_bytes(runtime.session.decider) == before
    for now in future[26:]:
        step_bars(runtime, now)
    for kind in ("drift", "guardrail", "decision"):
        assert records(runtime, kind) == records(whole, kind) != []


def test_other_references_are_another_run(make_runtime: Make, bars: list[list[Bar]], references: References) -> None:
    runtime = live(make_runtime, guarded(references), bars, bars[WARM : WARM + 1])
    runtime.close()
    runtime.broker.close()  # type: ignore[attr-defined]
    other = dict(references) | {"SIM1": references["SIM2"]}
    with pytest.raises(BadParameters, match="--new-run"):
        make_runtime(guarded(other))


def test_without_references_it_is_refused() -> None:
    with pytest.raises(BadParameters, match="no reference of SIM1, SIM2, SIM3"):
        guarded({})


def observed(forecast: np.ndarray) -> Observed:
    rows, nothing = len(forecast), np.empty(0)
    chunk: Any = None
    seen = Seen("A", chunk, ("x",), np.zeros((rows, 1), dtype=np.float32), nothing)
    return Observed(seen, Steps(forecast, nothing, nothing, np.empty(0, dtype=np.int64)))


def test_forecasts_are_watched_and_the_last_whole_window_holds() -> None:
    generator = np.random.default_rng(1)
    said = generator.dirichlet((5, 5, 5), 3000)
    reference: DriftReference = learn(("p_down", "p_flat", "p_up"), said, WINDOW, generator)
    state: dict[str, dict[str, Watched]] = {}
    shifted = np.column_stack([generator.dirichlet((2, 5, 9), 3 * WINDOW), np.zeros(3 * WINDOW)])
    shifted[2 * WINDOW :, :3] = said[10 * WINDOW : 11 * WINDOW]
    found = [count(state, {"A": {"forecasts": reference}}, observed(shifted), row) for row in range(3 * WINDOW)]
    due = [number + 1 for number, one in enumerate(found) if one]
    assert due == [WINDOW * look // 4 for look in range(1, 13)]
    assert found[WINDOW - 1][0].over > 1.0 and found[WINDOW - 1][0].kind == "forecasts"
    # In the third window nothing is wrong; what the second came to held until it was whole.
    assert found[3 * WINDOW - 1][0].over < 1.0 and state["A"]["forecasts"].whole == found[3 * WINDOW - 1][0]
    assert found[2 * WINDOW + 11][0].over < 1.0
    drifted = {"A": {"forecasts": Watched(np.zeros((3, 33)), 0, Finding(2.0, "forecasts", "p_up", "location"))}}
    left, actions = hold_back({"A": 0.4, "B": 0.3}, {}, {}, drifted, Drift(version=1))
    assert left == {"A": 0.2, "B": 0.3} and [one.guardrail for one in actions] == ["drift"]
    assert hold_back({"A": 0.0}, {}, {}, drifted, Drift(version=1)) == ({"A": 0.0}, ())  # nothing to hold back


@pytest.mark.depth
def test_references_are_those_of_a_registered_bundle(tmp_path: Any) -> None:
    rows = model_rows(1, 3000)
    kind = catalogue.model("linear")
    procedure = Procedure("linear", kind.parameters_class(), TrainingRules(max_rounds=10), 7)
    files = make_bundle(procedure, rows, TERMS, findings("linear", "go", rows), "2026-01-01")
    bundle_decider: Any = None
    folder = tmp_path / "registry"
    with pytest.raises(BadParameters, match="is not there"):
        references_for(Drift(version=1), folder, "linear", bundle_decider, TERMS.universe)
    number = Registry(folder).register(files).version
    drift = Drift(version=number)
    decider = Registry(folder).load(number).decider()
    assert references_for(None, folder, "", decider, TERMS.universe) == {}
    found = references_for(drift, folder, "linear", decider, TERMS.universe)
    assert set(found) == set(TERMS.universe.symbols) and set(found["SIM1"]) == {"features", "forecasts"}


def test_references_are_those_of_the_deciding_model(
    references: References, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document: dict[str, Any] = {
        symbol: dict.fromkeys(("features", "forecasts"), kinds["features"].as_document())
        for symbol, kinds in references.items()
    }
    spec = SimpleNamespace(name="linear", features=("rsi_14",), universe=TERMS.universe)
    bundle = SimpleNamespace(spec=spec, files={DRIFT}, document=lambda name: {"references": document})
    monkeypatch.setattr(Registry, "load", lambda self, number: bundle)
    decider, drift = session_of(SYMBOLS).decider, Drift(version=1)
    universe = TERMS.universe.model_copy(update={"symbols": SYMBOLS})
    found = references_for(drift, tmp_path, "linear", decider, universe)
    assert found["SIM2"]["features"].as_document() == references["SIM2"]["features"].as_document()
    with pytest.raises(BadParameters, match="is of linear, and no single model decides"):
        references_for(drift, tmp_path, "", decider, universe)
    with pytest.raises(BadParameters, match="bars, traded are 4h"):
        references_for(drift, tmp_path, "linear", decider, universe.model_copy(update={"timeframe": "4h"}))
    with pytest.raises(BadModel, match="knows nothing of SIM9"):
        references_for(drift, tmp_path, "linear", decider, universe.model_copy(update={"symbols": ("SIM9",)}))
    document["SIM3"] = {"features": {"none": "too few rows"}, "forecasts": {"none": "too few rows"}}
    with pytest.raises(BadModel, match="no reference of SIM3, features: too few rows"):
        references_for(drift, tmp_path, "linear", decider, universe)
    spec.features = ("rsi_14", "other")
    with pytest.raises(BadParameters, match="not computed here: other"):
        references_for(drift, tmp_path, "linear", decider, universe)
