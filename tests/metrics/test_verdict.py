"""A verdict needs evidence from the walk-forward folds, and the holdout cannot choose."""

import numpy as np
import pandas as pd
import pytest

from tradewind.errors import BadData
from tradewind.metrics.ranking import StatisticsRules, leaderboard
from tradewind.metrics.verdict import Selection, VerdictRules, break_even, judge

RULES = VerdictRules(luck_limit=0.05, cost_multiple=2.0)
STATISTICS = StatisticsRules(confidence=0.9, n_resamples=200, mean_block_days=5)
FAMILIES = {"xgboost": "model", "lightgbm": "model", "buy_and_hold": "baseline", "oracle": "oracle"}


def returns(sharpes: dict[str, float], seed: int, days: int = 400) -> pd.DataFrame:
    """Daily portfolio rows of strategies whose true Sharpe ratios are given."""
    rng = np.random.default_rng(seed)
    at = pd.date_range("2024-01-02", periods=days, freq="D", tz="UTC", unit="ms")
    tables = []
    for name, sharpe in sharpes.items():
        noise = rng.standard_normal(days)
        net = 0.01 * (noise + sharpe / np.sqrt(365.25))
        flows = {"net": net, "gross": net, "cost": 0.0, "funding": 0.0, "exposure": 1.0, "turnover": 0.1, "trades": 1}
        tables.append(pd.DataFrame({"strategy": name, "timestamp": at, **flows}))
    return pd.concat(tables, ignore_index=True)


def judged(
    walk_forward: dict[str, float], holdout: dict[str, float], seed: int = 1, at_cost: float = 1.0,
    deflated: float = 0.99, overfitting: float | None = 0.01,
) -> dict:  # fmt: skip
    boards = [
        leaderboard(returns(sharpes, seed + shift, days), FAMILIES, STATISTICS, 7)
        for shift, (sharpes, days) in enumerate([(walk_forward, 600), (holdout, 150)])
    ]
    sensitivity = pd.DataFrame(
        [(name, k, 2 - k / at_cost, 2 - k / at_cost) for name in walk_forward for k in (0.0, 1.0, 2.0, 3.0)],
        columns=["strategy", "cost_multiple", "sharpe", "total_return"],
    )
    selection = Selection(dict.fromkeys(walk_forward, deflated), 12, overfitting)
    return judge(*boards, sensitivity, selection, RULES)


GOOD = {"xgboost": 6.0, "lightgbm": 4.0, "buy_and_hold": 0.0, "oracle": 9.0}
NULL = {"xgboost": -1.0, "lightgbm": -2.0, "buy_and_hold": 0.0}


def test_a_strong_result_that_the_holdout_confirms_is_a_go() -> None:
    found = judged(GOOD, GOOD, at_cost=2.0)
    assert (found["verdict"], found["edge"], found["strategy"]) == ("go", "edge", "xgboost")
    assert 0.4 < found["oracle_share"] < 1
    assert all(found["passed"])


def test_the_holdout_does_not_choose() -> None:
    other = {"xgboost": 0.5, "lightgbm": 15.0, "buy_and_hold": 0.0, "oracle": 9.0}
    assert judged(GOOD, other)["strategy"] == "xgboost"


def test_a_holdout_that_disagrees_takes_the_go_away() -> None:
    assert judged(GOOD, {**GOOD, "xgboost": -1.0}, at_cost=2.0)["verdict"] == "watch"


def test_a_holdout_that_refutes_it_ends_it() -> None:
    found = judged(GOOD, {**GOOD, "xgboost": -9.0}, at_cost=2.0)
    assert found["holdout_sharpe_high"] < 0
    assert (found["verdict"], found["edge"]) == ("no-go", "no edge")


def test_a_good_holdout_saves_nothing() -> None:
    found = judged(NULL, {"xgboost": 9.0, "lightgbm": 9.0, "buy_and_hold": 0.0}, at_cost=2.0)
    assert (found["verdict"], found["edge"]) == ("no-go", "no edge")


@pytest.mark.parametrize("fault", ["costs", "baseline"])
def test_each_missing_piece_of_evidence_takes_the_go_away(fault: str) -> None:
    better = {**GOOD, "buy_and_hold": 12.0} if fault == "baseline" else GOOD
    assert judged(better, GOOD, at_cost=0.5 if fault == "costs" else 2.0)["verdict"] != "go"


def test_where_there_is_nothing_a_verdict_of_an_edge_is_rare() -> None:
    nothing = {"xgboost": 0.0, "lightgbm": 0.0, "buy_and_hold": 0.0}
    verdicts = [judged(nothing, nothing, seed, at_cost=2.0)["verdict"] for seed in range(0, 400, 2)]
    assert np.mean([word != "no-go" for word in verdicts]) < 0.1
    assert np.mean([word == "go" for word in verdicts]) < 0.05


def test_a_model_that_never_traded_is_no_edge() -> None:
    rows = returns(NULL, 3)
    rows.loc[rows["strategy"] != "buy_and_hold", ["net", "gross", "exposure", "turnover", "trades"]] = 0
    board = leaderboard(rows, FAMILIES, STATISTICS, 7)
    sensitivity = pd.DataFrame(
        [(name, k, 0.0, 0.0) for name in NULL for k in (0.0, 1.0, 2.0)],
        columns=["strategy", "cost_multiple", "sharpe", "total_return"],
    )
    selection = Selection(dict.fromkeys(NULL, 0.5), 2, 0.5)
    assert judge(board, board, sensitivity, selection, RULES)["verdict"] == "no-go"


def test_break_even_lies_between_the_multiples_that_were_tried() -> None:
    table = pd.DataFrame({"strategy": "m", "cost_multiple": [0.0, 1, 2, 3], "total_return": [0.3, 0.1, -0.1, -0.2]})
    assert break_even(table, "m") == pytest.approx(1.5)
    assert break_even(table.assign(total_return=1.0), "m") is None
    assert break_even(table.assign(total_return=-1.0), "m") == 0.0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"deflated": 0.94}, "after 12 trials its deflated Sharpe probability is 94.0%, less than the 95% asked"),
        ({"overfitting": 0.21}, "is 21.0%, more than 20%"),
        ({"overfitting": None}, "too short to say how likely overfitting is"),
    ],
)
def test_what_selection_may_have_made_is_never_a_go(given: dict, words: str) -> None:
    found = judged(GOOD, GOOD, at_cost=2.0, **given)
    assert found["verdict"] == "watch"
    assert any(words in reason for reason in found["reasons"])


def test_a_model_without_a_holdout_is_an_error_in_words() -> None:
    with pytest.raises(BadData, match="xgboost has no returns in the holdout"):
        judged(GOOD, {"lightgbm": 1.0, "buy_and_hold": 0.0, "oracle": 1.0})
    with pytest.raises(BadData, match="no model has been evaluated"):
        judged({"buy_and_hold": 0.0}, {"buy_and_hold": 0.0})
