"""Whether what a run has found is good enough for its model to be registered and tried beside the champion."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from tradewind.adaptive.rl.parameters import AGENTS
from tradewind.errors import BadParameters
from tradewind.operations.bundle.contents import DRIFT, Bundle
from tradewind.operations.retraining.beside import Beside
from tradewind.operations.retraining.rules import RetrainingRules

RANK = {"no-go": 0, "watch": 1, "go": 2}
SHOWN = 20.0  # evidence, as a trial asks: reached by chance in 5 % of candidates that are no better


class Candidate(NamedTuple):
    """What the walk-forward says of the model that would be deployed.

    Attributes:
        name: of the catalogue.
        verdict: of the run: `verdict`, `strategy`, `reasons`, `passed`.
        sharpe, sharpe_low, sharpe_high: of the model's own strategy, net, annualised, with the 90 % interval.
        log_loss: mean over its walk-forward forecasts.
    """

    name: str
    verdict: Mapping[str, Any]
    sharpe: float
    sharpe_low: float
    sharpe_high: float
    log_loss: float


class Judgement(NamedTuple):
    """What speaks against the candidate, a sentence each (nothing: it is tried), and the figures of both as JSON."""

    against: tuple[str, ...]
    figures: dict[str, Any]

    @property
    def is_good(self) -> bool:
        """Whether the candidate may be registered."""
        return not self.against


def require_log_loss(name: str) -> None:
    """Nothing, where what would be deployed forecasts.

    Raises:
        BadParameters: it is an agent.
    """
    if name in AGENTS:
        raise BadParameters(
            f"{name} is an agent, which has no log loss to judge a successor by: `kedro run`, then `kedro run "
            "--pipelines deployment` registers a new one; or retrain a model that deployment.model names"
        )


def judge(
    candidate: Candidate, champion: Bundle | None, rules: RetrainingRules, now: Beside | None = None
) -> Judgement:  # fmt: skip
    """The verdict of the run first, then the candidate beside the champion's own evidence.

    Worse is a Sharpe ratio below the champion's interval, or a log loss above it: both intervals are those of the
    champion's own walk-forward, so that what a week of new bars moves by chance is not called worse. Those
    intervals are of the market as it was: a candidate whose log loss is shown to be lower on the bars since the
    champion's training is better now, whatever the champion did before, and the verdict alone asks for its edge.

    Args:
        candidate: of the finished run.
        champion: that answers now; None where nobody does.
        rules: which verdict is asked, and where the champion answers.
        now: both on the bars since the champion's training; None where that is not known.
    """
    said, strategy = str(candidate.verdict["verdict"]), str(candidate.verdict["strategy"])
    against = []
    if RANK[said] < RANK[rules.at_least]:
        reasons = zip(candidate.verdict["reasons"], candidate.verdict["passed"], strict=True)
        unmet = "; ".join(reason for reason, met in reasons if not met)
        against.append(f"the verdict is {said}, {rules.at_least} is asked: {unmet or 'no reason was given'}")
    elif rules.environment == "production" and (said, strategy) != ("go", candidate.name):
        against.append(
            f"production asks for the verdict go about {candidate.name}: the run's is {said} about {strategy} "
            f"(`--params=evaluation.verdict.judged={candidate.name}` judges the model itself)"
        )
    figures: dict[str, Any] = {
        "model": candidate.name, "verdict": said, "judged": strategy, "sharpe": candidate.sharpe,
        "sharpe_low": candidate.sharpe_low, "sharpe_high": candidate.sharpe_high, "log_loss": candidate.log_loss,
    }  # fmt: skip
    if champion is None:
        return Judgement(tuple(against), figures)
    evidence = champion.spec.evidence
    loss = champion.document(DRIFT)["loss"] if DRIFT in champion.files else {}
    figures["champion"] = {
        "model": champion.spec.name, "sharpe": evidence.sharpe, "sharpe_low": evidence.sharpe_low,
        "sharpe_high": evidence.sharpe_high, "log_loss": loss.get("mean"), "log_loss_high": loss.get("high"),
    }  # fmt: skip
    if now is not None:
        figures["since"] = {
            "evidence": now.e_value, "rows": now.rows, "champion": _number(now.champion_loss),
            "candidate": _number(now.candidate_loss), "half_days": _number(now.half_days),
            "most_days": _number(now.most_days),
        }  # fmt: skip
    if now is not None and now.e_value >= SHOWN:
        return Judgement(tuple(against), figures)
    if not candidate.sharpe >= evidence.sharpe_low:
        against.append(
            f"its Sharpe ratio {candidate.sharpe:.2f} is below the champion's interval "
            f"({evidence.sharpe_low:.2f} to {evidence.sharpe_high:.2f})"
        )
    if "high" in loss and not candidate.log_loss <= loss["high"]:
        against.append(
            f"its log loss {candidate.log_loss:.4f} is above the champion's interval "
            f"({loss['low']:.4f} to {loss['high']:.4f})"
        )
    return Judgement(tuple(against), figures)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
