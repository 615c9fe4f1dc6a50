"""An agent in service: it answers with its target position, and its canaries are compared by what they hold."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.depth import deep
from tests.operations.agent_bundles import agent_bundle, agent_files, market, told_otherwise
from tests.operations.bundles import NAMES, bundle_files
from tests.serving.conftest import ME, Service, price, serving
from tests.serving.test_service import message, wait_for
from tradewind.learning.features.assembly import Arrivals, Bar, SideValue
from tradewind.operations.bundle.warming import STATE, _bars
from tradewind.operations.registry.records import Roles
from tradewind.serving.functions import Functions
from tradewind.serving.messages import OutcomesRequest, PriceRequest
from tradewind.serving.refusals import Refusal

HOUR_MS = 3_600_000


def later(count: int) -> list[Arrivals]:
    """Bars after those that the bundle was made of, with a payment of funding."""
    rng, out = np.random.default_rng(5), []
    last = {name: _bars(name, table.iloc[-1:])[0] for name, table in market().bars.items()}
    moves = dict.fromkeys(last, 0.0)
    for at in range(count):
        bars = []
        for name, before in last.items():
            moves[name] = 0.8 * moves[name] + 0.004 * rng.standard_normal()
            close = before.close * np.exp(moves[name])
            high, low = max(close, before.close) * 1.001, min(close, before.close) * 0.999
            opened = before.timestamp
            last[name] = Bar(name, opened, opened + HOUR_MS, before.close, high, low, close, 50.0)
            bars.append(last[name])
        now = bars[0].timestamp
        paid = (SideValue("funding", "", now - HOUR_MS // 2, 3e-4),) if at % 8 == 0 else ()
        out.append(Arrivals(now, tuple(bars), paid))
    return out


def said(arrivals: Arrivals) -> dict[str, Any]:
    names = ("series", "symbol", "known_at_ms", "value")
    return message(arrivals) | {"side": [dict(zip(names, one, strict=True)) for one in arrivals.side]}


def test_it_answers_with_the_position_that_its_decider_gives(tmp_path: Path) -> None:
    bundle, history = agent_bundle("td3"), later(30)
    with serving(tmp_path, agent_files("td3")) as service, service.client() as client:
        first = client.post("/v1/predict/price", json=price(features=None)).json()
        for arrivals in history:
            assert client.post("/v1/bars", json=said(arrivals)).json()["decisions"] == 2
        answer = client.post("/v1/predict/price", json=price(features=None)).json()
        told = client.get("/v1/decisions").json()
        refused = client.post("/v1/predict/price", json=price()).json()
        foreign = [client.get("/v2/models/td3"), client.post("/v2/models/td3/infer", json={})]
        shown = client.get("/v1/models").json()
    decider = bundle.decider()
    state, whole = decider.from_bytes(bundle.files[STATE]), []
    for arrivals in history:
        state, decisions = decider.advance(state, arrivals)
        whole += decisions
    assert [(one["symbol"], one["timestamp"], one["target"], one["reasons"]) for one in told] == [
        (one.symbol, one.timestamp, one.target, list(one.reasons)) for one in whole
    ]
    assert len({one.target for one in whole}) > 1
    last = next(one for one in reversed(whole) if one.symbol == "SIM1")
    assert (answer["model"], answer["target"], answer["edge"]) == ("td3", last.target, None)
    assert answer["p_up"] == last.p_up and answer["reasons"] == list(last.reasons)
    assert first["as_of_ms"] == history[0].now_ms - HOUR_MS and first["target"] is not None
    assert refused["status"] == 422 and refused["field"] == "features" and "an agent" in refused["detail"]
    assert [one.status_code for one in foreign] == [404, 404] and "account" in foreign[0].json()["detail"]
    assert shown["features"] == list(NAMES) and shown["in_service"] == 1


def planted(service: Service, fault: str) -> Any:
    """A trial of another version of the agent, whose policies have the fault."""
    service.registry.move("development", "canary", 2, None, ME)
    wait_for(lambda: service.functions.models.now.trial is not None)
    trial = service.functions.models.now.trial
    assert trial is not None
    decider = trial.canary._decider
    agent: Any = decider.policy
    decider.policy = replace(agent, seeds=tuple(Faulty(one, fault) for one in agent.seeds))
    return trial


class Faulty:
    """A policy that says the contrary, or now and then no number."""

    def __init__(self, policy: Any, fault: str) -> None:
        self.about, self._policy, self._fault, self._asked = policy.about, policy, fault, 0

    def begin(self, count: int) -> Any:
        return self._policy.begin(count)

    def decide(self, observations: Any, held: Any, hidden: Any = ()) -> Any:
        self._asked += 1
        told, hidden = self._policy.decide(observations, held, hidden)
        if self._fault == "inverted":
            return -told, hidden
        return told * (np.nan if self._fault == "nan" and self._asked > 40 else 1.0), hidden


@pytest.mark.parametrize(("fault", "check"), [("inverted", "signs"), ("nan", "non-finite"), deep("none", "")])
def test_a_canary_is_compared_by_its_positions(fault: str, check: str, tmp_path: Path) -> None:
    with serving(tmp_path, agent_files("td3"), told_otherwise(agent_files("td3"), sharpe=1.0), poll_s=0.05) as service:
        trial = planted(service, fault)
        functions: Functions = service.functions
        assert trial.described()["compared"] == "positions"
        with pytest.raises(Refusal, match="cannot compare agents") as refusal:
            functions.settle(OutcomesRequest(as_of_ms=0, labels={"SIM1": 1}))
        assert refusal.value.status == 409
        for arrivals in later(60):
            functions._advance(arrivals)
            if trial.has_tripped():
                break
        answer = functions.predict_price(PriceRequest(symbol="SIM1", horizon_bars=4))
        assert answer.target is not None
        if not check:
            assert trial.tripped is None and trial.checks.decisions == 120
            return
        assert trial.tripped is not None and trial.tripped.check == check and trial.tripped.decisions <= 100
        wait_for(lambda: service.registry.roles("development") == Roles(1))
        assert service.registry.history("development")[-1].why.startswith(check)


def test_an_agent_and_a_model_are_not_tried_beside_each_other(tmp_path: Path) -> None:
    with serving(tmp_path, agent_files("td3"), bundle_files(), poll_s=0.05) as service:
        service.registry.move("development", "canary", 2, None, ME)
        wait_for(lambda: service.functions.models.refused)
        assert "only one of the two is an agent" in service.functions.models.refused
        assert service.functions.models.now.trial is None
