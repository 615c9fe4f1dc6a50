"""Ways to learn are compared on markets of their own, each trained once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.validation.test_experiment import cases as judged_cases
from tests.validation.test_experiment import with_few_features
from tradewind.validation import learners
from tradewind.validation.cases import Case, null_world_cases
from tradewind.validation.learners import DEVELOPMENT_SEED, FINAL_SEED, Way, cases, compare, declared_ensembles


def test_final_markets_are_neither_those_of_development_nor_of_the_experiment(parameters: dict[str, Any]) -> None:
    tried = {case.seed for case in cases(2, 730, 200)}
    final = {case.seed for case in cases(2, 730, 200, first_seed=FINAL_SEED)}
    judged = {case.seed for case in judged_cases(parameters, 400, 400) + null_world_cases(100, 4)}
    assert min(tried) == DEVELOPMENT_SEED
    assert not tried & final and not (tried | final) & judged


def test_a_learner_is_told_from_its_opposite_without_luck(
    tmp_path: Path, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [Case(edge=8, days=240, seed=DEVELOPMENT_SEED, n_symbols=2)]
    ways = {"panel_ridge": Way(("panel_ridge",)), "never": Way(("panel_ridge",), signal={"entry_threshold": 1.0})}
    few = with_few_features(parameters)
    found = compare(wanted, ways, few, tmp_path / "ways.jsonl").set_index("way")
    assert found["oracle"].nunique() == 1
    assert 0.3 * found.loc["panel_ridge", "oracle"] < found.loc["panel_ridge", "sharpe"]
    assert found.loc["panel_ridge", "sharpe"] < found.loc["panel_ridge", "oracle"]
    assert found.loc["never", "sharpe"] == 0 == found.loc["never", "sharpe_turnover"]
    monkeypatch.setattr(learners.LearnersMarket, "of", None)  # what is on the disk is not made again
    assert compare(wanted, ways, few, tmp_path / "ways.jsonl").set_index("way").equals(found)


def test_declared_ensembles_are_joined_as_they_say(parameters: dict[str, Any]) -> None:
    """With two members of known forecasts: weights, positions and learnt weights each do what their name says."""
    case = Case(edge=8, days=240, seed=DEVELOPMENT_SEED, n_symbols=1)
    market = learners.LearnersMarket.of(case, with_few_features(parameters))
    two = ("linear", "panel_ridge")
    alone = {name: market._forecast(Way((name,)), name) for name in two}
    said = {name: table["p_up"].to_numpy() for name, table in alone.items()}
    weighted = market._forecast(Way(two, weights={"linear": 1.0, "panel_ridge": 3.0}), "joined")
    assert weighted["p_up"].to_numpy() == pytest.approx(0.25 * said["linear"] + 0.75 * said["panel_ridge"])
    assert set(weighted["model"]) == {"joined"}
    equal = market._forecast(Way(two), "joined")["p_up"].to_numpy()
    assert equal == pytest.approx(0.5 * said["linear"] + 0.5 * said["panel_ridge"])
    learnt = market._forecast(Way(two, join="stacking"), "joined")
    first = (learnt["fold"] == learnt["fold"].min()).to_numpy()
    assert learnt["p_up"].to_numpy()[first] == pytest.approx(equal[first])  # nothing had settled
    assert np.abs(learnt["p_up"].to_numpy() - equal)[~first].max() > 1e-6
    held = {name: market.judge(Way((name,)))["sharpe_exposure"] for name in two}
    both = market.judge(Way(two, of_positions=True))["sharpe_exposure"]
    assert 0 < both <= 0.5 * sum(held.values()) + 1e-9
    assert set(declared_ensembles()) > {"equal", "stacking", "hard vote", "panel_ridge"}
