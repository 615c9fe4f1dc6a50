"""Is there an edge after costs? Stated rules, plain words, never one number."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field

from tradewind.errors import BadData
from tradewind.market.calendars import YEAR_DAYS
from tradewind.metrics.sharpe import expected_largest
from tradewind.parameters import Parameters


class VerdictRules(Parameters):
    """When to say go (`params:evaluation.verdict`).

    Judged is the strategy called `judged`, named before the run: one trial. Without a name it is the best model of the
    walk-forward folds, which pays for the choice: its test is deflated by the effective number of trials, and the best
    of one half of the history may lose money in the other half in `loss_limit` of the halvings at most.

    Go asks for all of: the test over folds and holdout together at `confidence`, a better Sharpe ratio than every
    baseline, a profit at `cost_multiple` times the costs, a holdout that says something (a position was held, for
    days enough for an interval) and does not refute it (an interval all below zero), and where there was a choice the
    limit of loss. Watch asks for the test over the folds alone and a holdout that does not refute it. Anything less
    is no-go, which says that nothing was shown, never that there is nothing.
    """

    renamed: ClassVar[Mapping[str, str]] = {"deflated_limit": "confidence", "overfitting_limit": "loss_limit"}

    judged: str | None = None
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    cost_multiple: Annotated[float, Field(ge=1, le=10)] = 2.0
    loss_limit: Annotated[float, Field(gt=0, le=0.5)] = 0.2


@dataclass(frozen=True)
class Selection:
    """What choosing did.

    Attributes:
        significance: the table by strategy of `evaluation.significance`.
        trials: configurations tried on this market.
        effective_trials: how many independent ones they are worth.
        loss: share of halvings of the history in which the best model of one half loses money in the other; None where
            there is one model, or the history is too short to say.
        days_per_year: of the market's calendar.
    """

    significance: pd.DataFrame
    trials: int
    effective_trials: float
    loss: float | None
    days_per_year: float = YEAR_DAYS


def judge(
    board: pd.DataFrame, holdout: pd.DataFrame, sensitivity: pd.DataFrame, selection: Selection, rules: VerdictRules
) -> dict[str, Any]:
    """The verdict on the named strategy, or on the best model of the walk-forward folds.

    Returns:
        The verdict with its reasons, and the numbers that they are made of; beside them the best single model with the
        probability that remains after its choice is paid for.

    Args:
        board: the leaderboard over the walk-forward folds.
        holdout: the leaderboard over the holdout.
        sensitivity: strategy, cost_multiple, sharpe, total_return.
        selection: deflation and overfitting.
        rules: the limits of the verdict.

    Raises:
        BadData: there is no model, or the judged one is missing from the folds or from the holdout.
    """
    models = board[board["family"] == "model"]
    if models.empty:
        raise BadData("no model has been evaluated on the walk-forward folds: there is nothing to judge")
    is_named = rules.judged is not None
    if is_named and rules.judged not in set(board["strategy"]):
        raise BadData(
            f"evaluation.verdict.judged: {rules.judged} is not on the leaderboard: name one of "
            f"{sorted(models['strategy'])}"
        )
    row = board.set_index("strategy", drop=False).loc[rules.judged] if is_named else best_first(models).iloc[0]
    name = str(row["strategy"])
    if name not in set(holdout["strategy"]):
        raise BadData(f"{name} has no returns in the holdout: make feature_engineering.folds.holdout_share larger")
    last = holdout.set_index("strategy").loc[name]
    luck = selection.significance.set_index("strategy").loc[name]
    kind = "probabilistic_sharpe" if is_named else "deflated_sharpe"
    shown, shown_on_folds = float(luck[f"{kind}_all"]), float(luck[kind])
    is_refuted = bool(last["sharpe_high"] < 0)
    choice = 0.0 if is_named else expected_largest(selection.effective_trials, 1 / max(luck["days_all"] - 1, 1))
    checks = [
        _test(shown, rules.confidence, selection, is_named),
        _against_baselines(row, board[board["family"] == "baseline"].sort_values("sharpe", ascending=False)),
        _at_costs(_sharpe_at(sensitivity, name, rules.cost_multiple), rules.cost_multiple),
        _holdout(last, is_refuted),
        *([] if is_named else [_choice(selection.loss, len(models), rules.loss_limit)]),
    ]
    passed = [bool(is_met) for is_met, _, _ in checks]
    is_watched = shown_on_folds >= rules.confidence and not is_refuted
    verdict = "go" if all(passed) else "watch" if is_watched else "no-go"
    oracle = board[board["family"] == "oracle"]
    known = not oracle.empty and float(oracle["sharpe"].iloc[0]) > 0
    return {
        "verdict": verdict,
        "edge": "shown" if verdict == "go" else "not shown",
        "strategy": name,
        "named": is_named,
        "reasons": [met if is_met else unmet for (is_met, met, unmet) in checks],
        "passed": passed,
        "sharpe": float(row["sharpe"]),
        "sharpe_low": float(row["sharpe_low"]),
        "sharpe_high": float(row["sharpe_high"]),
        "sharpe_all": float(luck["sharpe_all"]),
        "days_all": int(luck["days_all"]),
        "probability_of_edge": shown,
        "detectable_sharpe": detectable_sharpe(
            int(luck["days_all"]), choice, rules.confidence, selection.days_per_year
        ),
        "trials": 1 if is_named else selection.trials,
        "effective_trials": 1.0 if is_named else selection.effective_trials,
        "probability_of_loss": None if is_named else selection.loss,
        "models_compared": len(models),
        **_best_single(models, selection),
        "holdout_sharpe": float(last["sharpe"]),
        "holdout_sharpe_low": float(last["sharpe_low"]),
        "holdout_sharpe_high": float(last["sharpe_high"]),
        "break_even_cost_multiple": break_even(sensitivity, name),
        "oracle_share": float(row["sharpe"] / oracle["sharpe"].iloc[0]) if known else None,
    }


def _best_single(models: pd.DataFrame, selection: Selection) -> dict[str, Any]:
    best = best_first(models).iloc[0]
    luck = selection.significance.set_index("strategy").loc[best["strategy"]]
    return {
        "best_model": str(best["strategy"]),
        "best_model_sharpe": float(best["sharpe"]),
        "best_model_probability": float(luck["deflated_sharpe_all"]),
        "best_model_trials": selection.trials,
    }


Check = tuple[bool, str, str]


def _test(shown: float, confidence: float, selection: Selection, is_named: bool) -> Check:
    what = (
        "its Sharpe ratio, the one trial that was named beforehand,"
        if is_named
        else f"its Sharpe ratio, the best of {selection.trials} trials (worth {selection.effective_trials:.1f} "
        "independent ones),"
    )
    # Nothing is rounded to certainty.
    probability = f"{shown:.1%}".replace("%", " %") if shown < 0.9995 else "above 99.9 %"
    text = f"{what} lies above what luck would show with probability {probability} over folds and holdout"
    return shown >= confidence, text, f"{text}, less than the {confidence:.0%} asked"


def _at_costs(sharpe: float, multiple: float) -> Check:
    text = f"at {multiple:g} times the costs its Sharpe ratio is"
    return sharpe > 0, f"{text} still {sharpe:.2f}", f"{text} {sharpe:.2f}"


def _holdout(last: pd.Series, is_refuted: bool) -> Check:
    what, sharpe = "the holdout, which no choice has seen,", f"Sharpe ratio {last['sharpe']:.2f}"
    if not last["exposure"] > 0:
        return False, "", f"{what} says nothing: no position was held in it"
    if not np.isfinite(last["sharpe_high"]):
        return False, "", f"{what} says nothing: {sharpe}, of too few days with a position for an interval"
    found = f"{sharpe} ({_range(last)})"
    return not is_refuted, f"{what} does not refute it: {found}", f"{what} refutes it: {found}"


def _choice(loss: float | None, n_models: int, limit: float) -> Check:
    if n_models < 2:
        return True, "there was one model, so that none was chosen", ""
    if loss is None:
        return False, "", "the history is too short to say what choosing the best is worth"
    text = f"the best model of one half of the history loses money in the other in {loss:.1%} of the halvings"
    return loss <= limit, text, f"{text}, more than the {limit:.0%} allowed"


def detectable_sharpe(days: int, choice: float, confidence: float, days_per_year: float = YEAR_DAYS) -> float:
    """The true annual Sharpe ratio that a test of so many days misses in half of all cases.

    Args:
        days: of the test.
        choice: the daily Sharpe ratio that choosing the best is expected to show by luck.
        confidence: that the test asks for.
        days_per_year: of the market's calendar.
    """
    from scipy.stats import norm

    return float((choice + norm.ppf(confidence) / math.sqrt(max(days - 1, 1))) * math.sqrt(days_per_year))


def best_first(board: pd.DataFrame) -> pd.DataFrame:
    """Strategies by their Sharpe ratio, those of one ratio by name: the first model of them is the one judged."""
    return board.sort_values(["sharpe", "strategy"], ascending=[False, True])


def _range(row: pd.Series) -> str:
    return f"{row['sharpe_low']:.2f} to {row['sharpe_high']:.2f}"


def _against_baselines(best: pd.Series, baselines: pd.DataFrame) -> Check:
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
