"""Is there an edge after costs? Stated rules, plain words, never one number."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from tradewind.errors import BadData
from tradewind.metrics.significance import probability_of_luck
from tradewind.parameters import Parameters


class VerdictRules(Parameters):
    """When to say go (`params:evaluation.verdict`).

    Go asks for all of: an interval of the walk-forward Sharpe ratio above zero, luck below `luck_limit`, a better
    Sharpe ratio than every baseline, a deflated Sharpe probability of `deflated_limit`, a probability of overfitting of
    at most `overfitting_limit`, a profit at `cost_multiple` times the costs, and a holdout Sharpe ratio above zero.
    Watch asks for the first two, and for a holdout that does not refute them (an interval all below zero). Anything
    less is no-go.
    """

    luck_limit: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    cost_multiple: Annotated[float, Field(ge=1, le=10)] = 2.0
    deflated_limit: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    overfitting_limit: Annotated[float, Field(gt=0, le=0.5)] = 0.2


@dataclass(frozen=True)
class Selection:
    """What choosing did: the deflated Sharpe probability of each model, the number of trials it is deflated by, and the
    probability of overfitting (None where the history is too short to say)."""

    deflated: Mapping[str, float]
    trials: int
    overfitting: float | None


def judge(
    board: pd.DataFrame, holdout: pd.DataFrame, sensitivity: pd.DataFrame, selection: Selection, rules: VerdictRules
) -> dict[str, Any]:
    """The verdict on the best model: chosen on the walk-forward folds alone, confirmed or not by the holdout.

    `board` and `holdout` are leaderboards; `sensitivity` has strategy, cost_multiple, sharpe, total_return over the
    walk-forward folds.

    Args:
        board: the leaderboard over the walk-forward folds.
        holdout: the leaderboard over the holdout.
        sensitivity: strategy, cost_multiple, sharpe, total_return.
        selection: deflation and overfitting.
        rules: the limits of the verdict.

    Raises:
        BadData: there is no model, or the holdout does not have the best one.
    """
    models = board[board["family"] == "model"]
    if models.empty:
        raise BadData("no model has been evaluated on the walk-forward folds: there is nothing to judge")
    best = best_first(models).iloc[0]
    name = str(best["strategy"])
    luck = probability_of_luck(float(best["probabilistic_sharpe"]), len(models))
    baselines = board[board["family"] == "baseline"].sort_values("sharpe", ascending=False)
    at_multiple = _sharpe_at(sensitivity, name, rules.cost_multiple)
    if name not in set(holdout["strategy"]):
        raise BadData(f"{name} has no returns in the holdout: make feature_engineering.folds.holdout_share larger")
    last = holdout.set_index("strategy").loc[name]
    deflated, overfitting = selection.deflated[name], selection.overfitting
    checks = [
        (
            best["sharpe_low"] > 0,
            f"the interval of its Sharpe ratio net of costs, {_range(best)}, lies above zero",
            f"the interval of its Sharpe ratio net of costs, {_range(best)}, reaches zero or below",
        ),
        (
            luck < rules.luck_limit,
            f"the best of {len(models)} models without an edge would look this good in {luck:.1%} of histories",
            f"the best of {len(models)} models without an edge would look this good in {luck:.1%} of histories, "
            f"more than the {rules.luck_limit:.0%} allowed",
        ),
        _against_baselines(best, baselines),
        (
            deflated >= rules.deflated_limit,
            f"after {selection.trials} trials its deflated Sharpe probability is {deflated:.1%}",
            f"after {selection.trials} trials its deflated Sharpe probability is {deflated:.1%}, less than the "
            f"{rules.deflated_limit:.0%} asked",
        ),
        (
            overfitting is not None and overfitting <= rules.overfitting_limit,
            f"the probability that choosing the best was overfitting is {overfitting or 0.0:.1%}",
            f"the probability that choosing the best was overfitting is {overfitting:.1%}, more than "
            f"{rules.overfitting_limit:.0%}"
            if overfitting is not None
            else "the history is too short to say how likely overfitting is",
        ),
        (
            at_multiple > 0,
            f"at {rules.cost_multiple:g} times the costs its Sharpe ratio is still {at_multiple:.2f}",
            f"at {rules.cost_multiple:g} times the costs its Sharpe ratio is {at_multiple:.2f}",
        ),
        (
            last["sharpe"] > 0,
            f"the holdout, which no choice has seen, agrees: Sharpe ratio {last['sharpe']:.2f} ({_range(last)})",
            f"the holdout, which no choice has seen, disagrees: Sharpe ratio {last['sharpe']:.2f} ({_range(last)})"
            if last["exposure"] > 0
            else "the holdout, which no choice has seen, says nothing: the model held no position in it",
        ),
    ]
    passed = [bool(is_met) for is_met, _, _ in checks]
    is_refuted = last["sharpe_high"] < 0
    verdict = "go" if all(passed) else "watch" if all(passed[:2]) and not is_refuted else "no-go"
    oracle = board[board["family"] == "oracle"]
    known = not oracle.empty and float(oracle["sharpe"].iloc[0]) > 0
    return {
        "verdict": verdict,
        "edge": {"go": "edge", "watch": "not shown", "no-go": "no edge"}[verdict],
        "strategy": name,
        "reasons": [met if is_met else unmet for (is_met, met, unmet) in checks],
        "passed": passed,
        "sharpe": float(best["sharpe"]),
        "sharpe_low": float(best["sharpe_low"]),
        "sharpe_high": float(best["sharpe_high"]),
        "probability_of_luck": luck,
        "deflated_sharpe": deflated,
        "trials": selection.trials,
        "probability_of_overfitting": overfitting,
        "models_compared": len(models),
        "holdout_sharpe": float(last["sharpe"]),
        "holdout_sharpe_low": float(last["sharpe_low"]),
        "holdout_sharpe_high": float(last["sharpe_high"]),
        "break_even_cost_multiple": break_even(sensitivity, name),
        "oracle_share": float(best["sharpe"] / oracle["sharpe"].iloc[0]) if known else None,
    }


def best_first(board: pd.DataFrame) -> pd.DataFrame:
    """Strategies by their Sharpe ratio, those of one ratio by name: the first model of them is the one judged."""
    return board.sort_values(["sharpe", "strategy"], ascending=[False, True])


def _range(row: pd.Series) -> str:
    return f"{row['sharpe_low']:.2f} to {row['sharpe_high']:.2f}"


def _against_baselines(best: pd.Series, baselines: pd.DataFrame) -> tuple[bool, str, str]:
    if baselines.empty:
        return False, "", "there is no baseline to compare with"
    rival = baselines.iloc[0]
    name = str(rival["strategy"]).replace("_", " ")
    pair = f"{best['sharpe']:.2f} against {rival['sharpe']:.2f} of the best baseline, {name}"
    is_best = bool(best["sharpe"] > rival["sharpe"])
    return is_best, f"it beats every baseline: {pair}", f"it does not beat every baseline: {pair}"


def _sharpe_at(sensitivity: pd.DataFrame, strategy: str, multiple: float) -> float:
    rows = sensitivity[sensitivity["strategy"] == strategy].sort_values("cost_multiple")
    return float(np.interp(multiple, rows["cost_multiple"], rows["sharpe"]))


def break_even(sensitivity: pd.DataFrame, strategy: str) -> float | None:
    """The multiple of the assumed costs at which the total return is gone, between the multiples that were tried; 0
    if it was never there, None if it outlives all of them."""
    rows = sensitivity[sensitivity["strategy"] == strategy].sort_values("cost_multiple")
    multiple, total = rows["cost_multiple"].to_numpy(), rows["total_return"].to_numpy()
    lost = np.flatnonzero(total <= 0)
    if not len(lost):
        return None
    at = int(lost[0])
    if at == 0:
        return 0.0
    share = total[at - 1] / (total[at - 1] - total[at])
    return float(multiple[at - 1] + share * (multiple[at] - multiple[at - 1]))
