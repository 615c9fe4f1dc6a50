"""Agents trade on paper: alone and beside a rule and a model, with books of their own and one net order a symbol."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.depth import deep
from tests.live.conftest import simulated
from tests.live.strategies import Make, Reverting, opened, side_by_side, step_netted, wrap_twin
from tests.live.test_session import killed_and_back, records, step_bars
from tests.live.test_twin import check, live_through
from tests.operations.agent_bundles import agent_bundle, agent_files, told_otherwise
from tests.operations.bundles import NAMES, bundle_files
from tradewind.adaptive.rl import deciding
from tradewind.cli.paper import decider_of
from tradewind.errors import BadModel, BadParameters
from tradewind.live.accounts.later import backtest_again, differences, lived_through
from tradewind.live.checked_model import CheckedModel, CheckedPolicy, checked
from tradewind.live.dashboard.pages import models, why
from tradewind.live.process import Process
from tradewind.live.runtime import JOURNAL, Runtime
from tradewind.live.settings import LiveRules, PaperRules, StrategyChoice
from tradewind.market.universe import Universe
from tradewind.operations.journal.journal import read
from tradewind.operations.registry.registry import Registry
from tradewind.trading.decision.forecasting import ForecastPolicy
from tradewind.trading.decision.together import TogetherPolicy
from tradewind.trading.setup import TradingSetup

AS_TRADED: dict[str, Any] = {"features": (*NAMES, *Reverting.features), "settlements": ("funding",)}


def alone(ruled: Any, rules: Any) -> Any:
    return checked(agent_bundle("td3").agent)  # type: ignore[arg-type]


def beside(ruled: Any, rules: Any) -> TogetherPolicy:
    return side_by_side("agent", alone(ruled, rules), ruled, rules)


@pytest.mark.parametrize("wrapped", [beside, deep(alone)])
def test_the_twin_of_an_agent_is_its_later_backtest(
    make_runtime: Make, wrapped: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bar by bar gives the bits of the whole history at once, with gaps and funding."""
    bars, side = simulated(days=9, outages=3)
    wrap_twin(monkeypatch, wrapped, **AS_TRADED)
    runtime = live_through(make_runtime, bars, side, 40)
    check(runtime)
    # A planted fault: an account that trades half of what is decided shows the agent something else.
    lived = lived_through(read(runtime.folder / JOURNAL))
    monkeypatch.setattr(deciding, "LARGEST", 256.0)
    assert differences(lived.twin, backtest_again(runtime.session, lived))


def test_beside_a_rule_and_a_model_each_has_its_book_and_a_symbol_one_net_order(make_runtime: Make) -> None:
    runtime, times = opened(make_runtime, beside, 5, 40, **AS_TRADED)
    state = runtime.state
    step_netted(runtime, times[:40], lambda: None)
    worth = sum(book.equity(state.paper.marks) for book in state.books.of.values())
    assert set(state.books.of) == {"agent", "reversal", "model"} and worth == pytest.approx(state.paper.equity)
    decisions = records(runtime, "decision")
    assert len({round(one["parts"]["agent"], 6) for one in decisions}) > 10
    again = killed_and_back(make_runtime, runtime)
    assert again.state.books == state.books


class Failing:
    """A policy that now and then says no number, fails, or says too much."""

    def __init__(self, policy: Any) -> None:
        self.about, self._policy, self.asked = policy.about, policy, 0

    def begin(self, count: int) -> Any:
        return self._policy.begin(count)

    def decide(self, observations: Any, held: Any, hidden: Any = ()) -> Any:
        self.asked += 1
        said, hidden = self._policy.decide(observations, held, hidden)
        match self.asked % 12:
            case 0:
                return said * np.nan, hidden
            case 4:
                raise ZeroDivisionError
            case 8:
                return np.zeros(3), hidden
        return said, hidden


def test_a_policy_that_says_no_number_holds_nothing_and_the_account_lives_on(make_runtime: Make) -> None:
    sound = agent_bundle("td3").agent
    assert sound is not None
    failing = CheckedPolicy(Failing(sound.seeds[0]))
    agent = replace(sound, seeds=(failing,), forecaster=CheckedModel(sound.forecaster, 5))
    runtime, times = opened(make_runtime, lambda ruled, rules: agent, 5, 40, **AS_TRADED)
    for now in times[:40]:
        step_bars(runtime, now)
    decisions = records(runtime, "decision")
    silent = [one for one in decisions if "no_action" in one["reasons"]]
    assert len(decisions) == 120 and len(silent) >= 120 // 4 - 1
    assert all(one["target"] == 0 for one in silent)
    assert set(failing.refused) == {"not finite", "ZeroDivisionError"}
    assert runtime.state.counts["fills"] > 5
    check_pages(runtime)


def check_pages(runtime: Runtime) -> None:
    """The page Why has a reason for every bar, and none of an edge that an agent does not act by."""
    process = Process(runtime, runtime.broker, None, None)  # type: ignore[arg-type]
    page = why(process, {}, "")
    assert "a policy of the agent says no number" in page and "the edge is too small" not in page
    assert all(one["edge"] is None and one["lacking"] is None for one in records(runtime, "decision"))
    assert all(one["why"] for one in records(runtime, "decision") if one["target"] == 0)
    assert "100%" in models(process, {}, "")  # with a forecast


class Wrong:
    """A forecaster that is out of its mind on every third row."""

    def __init__(self, forecaster: Any) -> None:
        self.features, self.window_bars, self._forecaster, self.asked = forecaster.features, 1, forecaster, 0

    def predict_row(self, x: Any) -> Any:
        self.asked += 1
        said = self._forecaster.predict_row(x)
        return said * (np.nan if self.asked % 3 == 0 else 1.0)


def test_a_forecaster_that_says_nothing_leaves_the_agent_flat(make_runtime: Make) -> None:
    sound = agent_bundle("td3").agent
    assert sound is not None
    agent = checked(replace(sound, forecaster=Wrong(sound.forecaster)))
    runtime, times = opened(make_runtime, lambda ruled, rules: agent, 5, 40, **AS_TRADED)
    for now in times[:12]:
        step_bars(runtime, now)
    silent = [one for one in records(runtime, "decision") if "no_forecast" in one["reasons"]]
    assert len(silent) >= 10 and all(one["target"] == 0 and one["p_up"] is None for one in silent)
    assert isinstance(agent.forecaster, CheckedModel) and agent.forecaster.refused["not finite"] >= 10


def chosen(folder: Path, paper: PaperRules, **changes: Any) -> Any:
    spec = agent_bundle("td3").spec
    params = {
        "live": LiveRules(), "models": ("linear", "td3"),
        "feature_engineering": {"features": spec.selection, "model_input": {"max_missing_share": 0.4}},
    }  # fmt: skip
    universe: Universe = changes.get("universe", spec.universe)
    setup: TradingSetup = changes.get("setup", spec.trading)
    return decider_of(params, folder, universe, setup, paper, changes.get("max_gap_bars", spec.max_gap_bars))


def test_the_newest_bundle_of_the_agent_is_traded_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(BadParameters, match="no bundle of td3"):
        chosen(tmp_path, PaperRules(model="td3"))
    registry = Registry(tmp_path / "09_deployment/registry")
    files = agent_files("td3")
    for one in (told_otherwise(files, sharpe=1.0), files):
        registry.register(one)
    decider, name, keys = chosen(tmp_path, PaperRules(model="td3"))
    identity = registry.version(2).identity
    assert (name, keys) == ("td3", {"td3": identity}) and decider.assembly.settlements == ("funding",)
    assert isinstance(decider.policy.forecaster, CheckedModel) and len(decider.policy.seeds) == 2
    several = (
        StrategyChoice(name="agent", share=0.5, model="td3"),
        StrategyChoice(name="trend", share=0.5, rule="time_series_momentum"),
    )
    decider, name, keys = chosen(tmp_path, PaperRules(strategies=several))
    assert name == "0.5 agent + 0.5 trend" and keys == {"td3": identity}
    assert decider.assembly.settlements == ("funding",)
    # Without a name the newest bundle of all decides.
    assert chosen(tmp_path, PaperRules())[1:] == ("td3", {"td3": identity})
    registry.register(bundle_files("linear"))
    decider, name, keys = chosen(tmp_path, PaperRules())
    assert (name, keys) == ("linear", {"linear": registry.version(3).identity})
    assert isinstance(decider.policy, ForecastPolicy)
    with pytest.raises(BadParameters, match="no bundle of equal_weight"):
        chosen(tmp_path, PaperRules(model="equal_weight"))
    rule, _, _ = chosen(tmp_path, PaperRules(model="none"))
    assert rule.assembly.settlements == ()
    with pytest.raises(BadParameters, match="has no edge to filter"):
        chosen(tmp_path, PaperRules(filter="td3"))


def test_an_agent_is_not_traded_on_other_terms_than_it_was_trained_with(tmp_path: Path) -> None:
    Registry(tmp_path / "09_deployment/registry").register(agent_files("td3"))
    spec, paper = agent_bundle("td3").spec, PaperRules(model="td3")
    slower = spec.universe.model_copy(update={"timeframe": "4h"})
    window = spec.trading.model_copy(
        update={"sizing": spec.trading.sizing.model_copy(update={"volatility_window": 48})}
    )
    for changes, what in (
        ({"universe": slower}, "the timeframe"), ({"setup": window}, "trading.sizing.volatility_window"),
        ({"max_gap_bars": 9}, "data_engineering.market.max_gap_bars"),
    ):  # fmt: skip
        with pytest.raises(BadModel, match=f"was trained with .*{what}"):
            chosen(tmp_path, paper, **changes)
