"""A verdict needs evidence from the walk-forward folds, and the holdout cannot choose."""

import numpy as np
import pandas as pd
import pytest

from tradewind.errors import BadData
from tradewind.metrics.ranking import StatisticsRules, leaderboard
from tradewind.metrics.sharpe import daily_sharpe, expected_largest
from tradewind.metrics.significance import probabilistic_sharpe
from tradewind.metrics.verdict import Selection, VerdictRules, break_even, detectable_sharpe, judge

RULES = VerdictRules(cost_multiple=2.0)
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


def significance(rows: pd.DataFrame, trials: float) -> pd.DataFrame:
    """What `evaluation.significance` says of the rows of folds and holdout together, and of the folds (600 days)."""
    found = []
    for name, part in rows.groupby("strategy"):
        row: dict[str, object] = {"strategy": name, "days_all": len(part)}
        for end, net in (("", part["net"].to_numpy()[:600]), ("_all", part["net"].to_numpy())):
            luck = expected_largest(trials, 1 / (len(net) - 1))
            row |= {f"probabilistic_sharpe{end}": probabilistic_sharpe(net)}
            row |= {f"deflated_sharpe{end}": probabilistic_sharpe(net, luck), f"sharpe{end}": sharpe_ratio(net)}
        found.append(row)
    return pd.DataFrame(found)


def sharpe_ratio(net: np.ndarray) -> float:
    return daily_sharpe(net) * np.sqrt(365.25)


def judged(
    walk_forward: dict[str, float], holdout: dict[str, float], seed: int = 1, at_cost: float = 1.0,
    loss: float | None = 0.01, rules: VerdictRules = RULES, trials: float = 1.8, held_days: int = 150,
) -> dict:  # fmt: skip
    """The verdict; of the holdout's 150 days positions are held in the first `held_days`."""
    parts = [
        returns(sharpes, seed + shift, days)
        for shift, (sharpes, days) in enumerate([(walk_forward, 600), (holdout, 150)])
    ]
    at = parts[1].groupby("strategy").cumcount()
    parts[1].loc[at >= held_days, ["net", "gross", "exposure", "turnover", "trades"]] = 0.0
    boards = [leaderboard(part, FAMILIES, STATISTICS, 7) for part in parts]
    sensitivity = pd.DataFrame(
        [(name, k, 2 - k / at_cost, 2 - k / at_cost) for name in walk_forward for k in (0.0, 1.0, 2.0, 3.0)],
        columns=["strategy", "cost_multiple", "sharpe", "total_return"],
    )
    selection = Selection(significance(pd.concat(parts), trials), 12, trials, loss)
    return judge(*boards, sensitivity, selection, rules)


GOOD = {"xgboost": 6.0, "lightgbm": 4.0, "buy_and_hold": 0.0, "oracle": 9.0}
NULL = {"xgboost": -1.0, "lightgbm": -2.0, "buy_and_hold": 0.0}


def test_a_strong_result_that_the_holdout_confirms_is_a_go() -> None:
    found = judged(GOOD, GOOD, at_cost=2.0)
    assert (found["verdict"], found["edge"], found["strategy"]) == ("go", "shown", "xgboost")
    assert 0.4 < found["oracle_share"] < 1
    assert all(found["passed"])


def test_the_holdout_does_not_choose() -> None:
    other = {"xgboost": 0.5, "lightgbm": 15.0, "buy_and_hold": 0.0, "oracle": 9.0}
    assert judged(GOOD, other)["strategy"] == "xgboost"


def test_a_holdout_that_disagrees_takes_the_go_away() -> None:
    some = {**GOOD, "xgboost": 2.0, "lightgbm": 0.5}
    found = judged(some, {**some, "xgboost": -2.2}, seed=8, at_cost=2.0)
    assert found["verdict"] == "watch" and found["holdout_sharpe"] < 0 < found["holdout_sharpe_high"]


def test_a_holdout_that_refutes_it_ends_it() -> None:
    found = judged(GOOD, {**GOOD, "xgboost": -9.0}, at_cost=2.0)
    assert found["holdout_sharpe_high"] < 0
    assert (found["verdict"], found["edge"]) == ("no-go", "not shown")


@pytest.mark.parametrize(("held_days", "said"), [(0, "no position was held in it"), (4, "of too few days")])
def test_a_holdout_that_says_nothing_is_no_evidence_for_a_go(held_days: int, said: str) -> None:
    found = judged(GOOD, GOOD, at_cost=2.0, held_days=held_days)
    assert found["verdict"] == "watch" and found["passed"].count(False) == 1
    assert any("says nothing" in reason and said in reason for reason in found["reasons"])
    assert judged(GOOD, GOOD, at_cost=2.0, held_days=100)["verdict"] == "go"


def test_a_good_holdout_saves_nothing() -> None:
    found = judged(NULL, {"xgboost": 9.0, "lightgbm": 9.0, "buy_and_hold": 0.0}, at_cost=2.0)
    assert (found["verdict"], found["edge"]) == ("no-go", "not shown")


@pytest.mark.parametrize("fault", ["costs", "baseline"])
def test_each_missing_piece_of_evidence_takes_the_go_away(fault: str) -> None:
    better = {**GOOD, "buy_and_hold": 12.0} if fault == "baseline" else GOOD
    assert judged(better, GOOD, at_cost=0.5 if fault == "costs" else 2.0)["verdict"] != "go"


def test_where_there_is_nothing_a_verdict_of_an_edge_is_rare() -> None:
    nothing = {"xgboost": 0.0, "lightgbm": 0.0, "buy_and_hold": 0.0}
    verdicts = [judged(nothing, nothing, seed, at_cost=2.0)["verdict"] for seed in range(0, 400, 2)]
    assert np.mean([word != "no-go" for word in verdicts]) < 0.1
    assert np.mean([word == "go" for word in verdicts]) < 0.05


def test_a_model_that_never_traded_shows_nothing() -> None:
    rows = returns(NULL, 3, 600)
    rows.loc[rows["strategy"] != "buy_and_hold", ["net", "gross", "exposure", "turnover", "trades"]] = 0
    board = leaderboard(rows, FAMILIES, STATISTICS, 7)
    sensitivity = pd.DataFrame(
        [(name, k, 0.0, 0.0) for name in NULL for k in (0.0, 1.0, 2.0)],
        columns=["strategy", "cost_multiple", "sharpe", "total_return"],
    )
    found = judge(board, board, sensitivity, Selection(significance(rows, 2.0), 2, 2.0, 0.5), RULES)
    assert found["verdict"] == "no-go" and found["probability_of_edge"] <= 0.5


def test_a_strategy_named_beforehand_pays_for_no_choice() -> None:
    some = {"xgboost": 1.9, "lightgbm": 2.2, "buy_and_hold": 0.0}
    named = RULES.model_copy(update={"judged": "xgboost"})
    free, chosen = (
        [judged(some, some, seed, 2.0, rules=rules, trials=9.0) for seed in range(0, 40, 2)] for rules in (named, RULES)
    )
    assert {one["strategy"] for one in free} == {"xgboost"} and all(one["trials"] == 1 for one in free)
    go = [np.mean([one["verdict"] == "go" for one in found]) for found in (free, chosen)]
    assert go[0] > go[1]
    assert free[0]["detectable_sharpe"] < chosen[0]["detectable_sharpe"]
    nothing = {"xgboost": 0.0, "lightgbm": 0.0, "buy_and_hold": -9.0}
    verdicts = [judged(nothing, nothing, seed, 2.0, rules=named)["verdict"] for seed in range(0, 400, 2)]
    assert np.mean([word == "go" for word in verdicts]) < 0.09  # 5 %, of 200


def test_the_sharpe_ratio_that_could_be_seen_is_seen_half_the_time() -> None:
    days = 750
    true = detectable_sharpe(days, 0.0, 0.95)
    assert true == pytest.approx(1.645 / np.sqrt(days - 1) * np.sqrt(365.25), rel=1e-3)
    rng = np.random.default_rng(1)
    seen = [
        probabilistic_sharpe(0.01 * (rng.standard_normal(days) + true / np.sqrt(365.25))) >= 0.95 for _ in range(1_000)
    ]
    assert np.mean(seen) == pytest.approx(0.5, abs=0.05)


def test_an_unknown_name_is_an_error_in_words() -> None:
    with pytest.raises(BadData, match=r"evaluation.verdict.judged: nobody is not on the leaderboard: name one of"):
        judged(GOOD, GOOD, rules=RULES.model_copy(update={"judged": "nobody"}))


def test_break_even_lies_between_the_multiples_that_were_tried() -> None:
    table = pd.DataFrame({"strategy": "m", "cost_multiple": [0.0, 1, 2, 3], "total_return": [0.3, 0.1, -0.1, -0.2]})
    assert break_even(table, "m") == pytest.approx(1.5)
    assert break_even(table.assign(total_return=1.0), "m") is None
    assert break_even(table.assign(total_return=-1.0), "m") == 0.0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"trials": 1e60}, "less than the 95% asked"),
        ({"loss": 0.21}, "loses money in the other in 21.0% of the halvings, more than the 20% allowed"),
        ({"loss": None}, "too short to say what choosing the best is worth"),
    ],
)
def test_what_selection_may_have_made_is_never_a_go(given: dict, words: str) -> None:
    found = judged({**GOOD, "xgboost": 4.5}, GOOD, at_cost=2.0, **given)
    assert found["verdict"] != "go"
    assert any(words in reason for reason in found["reasons"])


def test_one_model_was_not_chosen() -> None:
    alone = {"xgboost": 6.0, "buy_and_hold": 0.0}
    assert judged(alone, alone, at_cost=2.0, loss=None)["verdict"] == "go"


@pytest.mark.parametrize(("old", "new"), [("deflated_limit", "confidence"), ("overfitting_limit", "loss_limit")])
def test_an_old_key_is_refused_with_the_new_name(old: str, new: str) -> None:
    with pytest.raises(ValueError, match=f"{old} is called {new} now"):
        VerdictRules.model_validate({old: 0.9})


def test_a_model_without_a_holdout_is_an_error_in_words() -> None:
    with pytest.raises(BadData, match="xgboost has no returns in the holdout"):
        judged(GOOD, {"lightgbm": 1.0, "buy_and_hold": 0.0, "oracle": 1.0})
    with pytest.raises(BadData, match="no model has been evaluated"):
        judged({"buy_and_hold": 0.0}, {"buy_and_hold": 0.0})
