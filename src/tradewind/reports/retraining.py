"""Every retraining there was, as Markdown."""

from collections.abc import Iterator
from typing import Any

from tradewind.operations.retraining.attempts import Attempt, HeldBack, History
from tradewind.reports.markdown import table

HEADLINE = {
    "canary": "on trial",
    "kept": "the champion stays",
    "registered": "registered, no trial",
    "first": "the first champion",
    "unchanged": "the champion's own version",
}


def render_retraining(history: History) -> str:
    """A page with a row for each retraining, the newest first, and what was held back."""
    attempts = list(reversed(history.attempts))
    held = list(reversed(history.held_back))
    parts = ["# Retrainings", table(_row(one) for one in attempts)]
    if held:
        parts += ["## Held back", table(_held(one) for one in held)]
    return "\n\n".join(parts) + "\n"


def _row(attempt: Attempt) -> dict[str, str]:
    judged = attempt.judged
    champion = judged.get("champion", {})
    took = (attempt.last_at - attempt.begun_at).total_seconds()
    return {
        "no.": str(attempt.number),
        "begun (UTC)": f"{attempt.begun_at:%Y-%m-%d %H:%M}",
        "because": attempt.begun.because,
        "why": attempt.begun.why,
        "parameters": "searched" if attempt.begun.tune else "kept",
        "model": str(judged.get("model", "")),
        "verdict": f"{judged['verdict']} ({judged['judged']})" if judged else "",
        "Sharpe": _number(judged.get("sharpe")),
        "champion's": _interval(champion, "sharpe_low", "sharpe_high"),
        "log loss": _number(judged.get("log_loss"), 4),
        "champion's at most": _number(champion.get("log_loss_high"), 4),
        "outcome": " ".join(_outcome(attempt)),
        "to its last step": f"{took / 60:.0f} min",
    }


def _outcome(attempt: Attempt) -> Iterator[str]:
    if attempt.ended is not None:
        version = "" if attempt.ended.version is None else f" (version {attempt.ended.version})"
        yield f"**{HEADLINE[attempt.ended.outcome]}**{version}: {attempt.ended.why}"
        return
    yield "given up" if attempt.abandoned else "unfinished"
    yield f"in {attempt.step or 'its beginning'}{': ' if attempt.stopped else ''}{attempt.stopped}"


def _held(one: HeldBack) -> dict[str, str]:
    return {"at (UTC)": f"{one.at:%Y-%m-%d %H:%M}", "because": one.because, "why not": one.why}


def _number(value: Any, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _interval(figures: Any, low: str, high: str) -> str:
    found = [figures.get(name) for name in (low, high)]
    return "" if None in found else f"{found[0]:.2f} to {found[1]:.2f}"
