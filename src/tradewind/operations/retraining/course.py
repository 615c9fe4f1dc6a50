"""The course of a retraining: its steps in their order, each one that exists, gone on with after whatever ended it."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import NamedTuple, Protocol

import pandas as pd

from tradewind import clock
from tradewind.data.stores.places import open_objects
from tradewind.errors import StaleInput, TradewindError
from tradewind.operations.bundle.contents import Bundle
from tradewind.operations.bundle.transfer import push_bundle
from tradewind.operations.canary.power import in_words
from tradewind.operations.canary.rules import CanaryRules
from tradewind.operations.registry.records import GateClosed, Reason, VersionDiffers
from tradewind.operations.registry.registry import Registry
from tradewind.operations.retraining.attempts import Attempt, Attempts, Begun, Ended
from tradewind.operations.retraining.beside import Beside
from tradewind.operations.retraining.judgement import Candidate, judge
from tradewind.operations.retraining.rules import Because, RetrainingRules
from tradewind.operations.retraining.triggers import held_back, trigger

WHO = "retraining"
Say = Callable[[str], None]


class Work(Protocol):
    """The steps that a project makes; each may be made again at any time, and does then what is left of it."""

    def watched(self) -> tuple[pd.DataFrame, Mapping[str, object]]:
        """Drift table and summary of the monitoring stage."""

    def fetch(self) -> str:
        """Fill the store; why it was left out, or empty."""

    def make_data(self) -> None:
        """Checked bars, their quality gate, features and labels."""

    def train(self, tune: bool) -> None:
        """Models in their walk-forward, evaluation and verdict on the data as `make_data` has made it."""

    def candidate(self) -> Candidate:
        """The model that would be deployed."""

    def beside(self, champion: Bundle) -> Beside | None:
        """The champion and that model on the bars since the champion's training; None where they cannot be compared."""

    def deploy(self) -> int:
        """Refit it and register it; its version."""


class Asked(NamedTuple):
    """What a command asks for.

    Attributes:
        because: what starts it.
        why: in words, of a person; empty: the trigger's own.
        tune: search for parameters anew; None: as the rules say.
    """

    because: Because
    why: str = ""
    tune: bool | None = None


class Course:
    """Runs retrainings, one after the other; who calls it has the lock."""

    def __init__(self, attempts: Attempts, work: Work, registry: Registry, rules: RetrainingRules, say: Say) -> None:
        """A course.

        Args:
            attempts: the journal.
            work: the project's own steps.
            registry: of versions and roles.
            rules: of retraining.
            say: shows a line.

        Raises:
            BadParameters: `push_to` names no bucket.
            MissingExtra: it is a bucket, and s3fs is not installed.
        """
        self._elsewhere = open_objects(rules.push_to, rules.push_endpoint or None) if rules.push_to else None
        self._attempts, self._work, self._registry, self._rules, self._say = attempts, work, registry, rules, say

    def go(self, asked: Asked, explain: Callable[[Exception], str]) -> Ended | None:
        """Go on with the unfinished retraining, or begin one; None where there is nothing to do.

        Args:
            asked: by the command.
            explain: an error in one line.

        Raises:
            TradewindError: a step was stopped: bad bars, too little data, a full disk; the champion stays.
        """
        attempt = self._resumed() or self._begun(asked)
        if attempt is None:
            return None
        self._rules = self._rules.model_copy(update={"environment": attempt.begun.environment})
        try:
            ended = self._steps(attempt)
        except Exception as error:
            try:
                self._attempts.stopped(attempt, explain(error), isinstance(error, StaleInput))
            except TradewindError as again:  # a full disk takes no record either: the first error says so
                error.add_note(f"and it could not be recorded: {again}")
            raise
        self._attempts.end(attempt, ended)
        self._say(f"{ended.outcome}: {ended.why}")
        return ended

    def _resumed(self) -> Attempt | None:
        attempt = self._attempts.unfinished
        if attempt is None:
            return None
        name = f"retraining {attempt.number} ({attempt.begun.because}, begun {attempt.begun_at:%Y-%m-%d %H:%M} UTC)"
        if clock.now() - attempt.last_at > timedelta(hours=self._rules.resume_hours):
            self._say(f"{name} is too old to go on with: it is given up")
            self._attempts.abandon(attempt)
            return None
        self._say(f"going on with {name}: {attempt.stopped or f'it was cut off at {attempt.step}'}")
        return attempt

    def _begun(self, asked: Asked) -> Attempt | None:
        rules, because = self._rules, asked.because
        roles = self._registry.roles(rules.environment)
        why = asked.why or ("its date has come" if because == "scheduled" else "asked for")
        if because in ("drift", "degraded"):
            drift, summary = self._work.watched()
            found = trigger(because, drift, summary, roles.champion, rules.environment)
            if not found:
                self._say(f"nothing to do: {summary['headline']}")
                return None
            why = f"{found}; {asked.why}" if asked.why else found
        held = held_back(because, self._attempts.history.attempts, roles, rules, clock.now())
        if held:
            self._attempts.hold_back(because, f"{held} ({why})")
            self._say(f"held back: {held}")
            return None
        tune = rules.tune if asked.tune is None else asked.tune
        attempt = self._attempts.begin(Begun(because, why, rules.environment, roles.champion, roles.canary, tune))
        self._say(f"retraining {attempt.number}, {because}: {why}")
        return attempt

    def _steps(self, attempt: Attempt) -> Ended:
        work, begun = self._work, attempt.begun
        if "backfill" not in attempt.done and "data" not in attempt.done:
            self._step(attempt, "backfill", "bars since the last one")
            left_out = work.fetch()
            if left_out:
                self._say(f"  left out: {left_out}")
            self._attempts.done(attempt, "backfill")
        if "data" not in attempt.done:
            self._step(attempt, "data", "checked bars, quality gate, features and labels")
            work.make_data()
            self._attempts.done(attempt, "data")
        searched = "parameters searched anew" if begun.tune else "parameters of the last search"
        self._step(attempt, "models", f"walk-forward and verdict, {searched}")
        work.train(begun.tune)
        self._step(attempt, "judge", "the verdict, and the champion's own evidence")
        candidate, champion = work.candidate(), self._champion(begun)
        now = None if champion is None else work.beside(champion)
        found = judge(candidate, champion, self._rules, now)
        self._attempts.judged(attempt, {**found.figures, "against": found.against})
        if not found.is_good:
            stays = f"version {begun.champion} stays" if begun.champion else "nothing is registered"
            return Ended("kept", f"{candidate.name} is not tried, {stays}: {'; '.join(found.against)}")
        self._step(attempt, "register", f"{candidate.name} refitted on all settled labels")
        version = work.deploy()
        self._step(attempt, "canary", f"version {version} beside the champion")
        ended = self._trial(begun, version)
        days = "" if now is None else in_words(now.half_days, now.most_days, CanaryRules().max_days)
        if ended.outcome == "canary" and days:
            ended = ended._replace(why=f"{ended.why}; {days}")
        if self._elsewhere is not None:  # after the trial began: a server that is down must not keep a model from it
            self._step(attempt, "push", f"version {version} to {self._rules.push_to}")
            identity = push_bundle(self._elsewhere, self._registry.read(version))
            self._say(f"  its files, then the manifest with their hashes: {identity}")
        return ended

    def _step(self, attempt: Attempt, step: str, why: str) -> None:
        self._attempts.step(attempt, step, why)
        self._say(f"{step}: {why}")

    def _champion(self, begun: Begun) -> Bundle | None:
        return None if begun.champion is None else self._registry.load(begun.champion)

    def _trial(self, begun: Begun, version: int) -> Ended:
        """The canary's role for a version: by compare-and-set against who had it when the retraining began."""
        where, label = begun.environment, self._registry.version(version).label
        roles = self._registry.roles(self._rules.environment)
        if version == roles.champion:
            if begun.champion is None:
                return Ended("first", f"{label} is the first champion of {where}", version)
            return Ended("unchanged", f"{label}, the champion, is what these data and settings make", version)
        if version != roles.canary:
            refused = self._taken_back(version) or self._refused(begun, version, roles.champion)
            if refused:
                return Ended("registered", f"{label} is registered, no trial begins: {refused}", version)
        return Ended("canary", f"{label} is on trial in {where} beside version {roles.champion}", version)

    def _taken_back(self, version: int) -> str:
        """Why a version that was on trial before is not tried again; empty where it never was."""
        moves = self._registry.history(self._rules.environment)
        ends = [one for one in moves if (one.role, one.action, one.before) == ("canary", "withdraw", version)]
        return f"its trial was ended on {ends[-1].at[:10]} by {ends[-1].who} ({ends[-1].why})" if ends else ""

    def _refused(self, begun: Begun, version: int, champion: int | None) -> str:
        """Why the version gets no role; empty if it has it now."""
        if champion is None:
            return (
                f"{begun.environment} has no champion (`tradewind models move {version} --environment "
                f"{begun.environment}` makes it one)"
            )
        if champion != begun.champion:
            return f"version {champion} is the champion now, and it was judged against {begun.champion}"
        ours, theirs = self._registry.load(version), self._registry.load(champion)
        if ours.trial_terms != theirs.trial_terms:
            return "it has another universe, horizon, window or features than the champion: services try no such canary"
        reason = Reason(WHO, f"{begun.because}: {begun.why}")
        try:
            self._registry.move(self._rules.environment, "canary", version, begun.canary, reason)
        except (VersionDiffers, GateClosed) as error:
            return str(error)
        return ""
