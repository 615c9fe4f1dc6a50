"""Ways to learn are compared on markets of their own, each trained once."""

from pathlib import Path
from typing import Any

import pytest

from tests.validation.test_experiment import cases as judged_cases
from tests.validation.test_experiment import with_few_features
from tradewind.validation import learners
from tradewind.validation.cases import Case, null_world_cases
from tradewind.validation.learners import DEVELOPMENT_SEED, FINAL_SEED, Way, cases, compare


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
