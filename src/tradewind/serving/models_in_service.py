"""Which versions answer now: the registry is looked at, and a new set of versions takes over in one assignment."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tradewind.errors import TradewindError
from tradewind.learning.features.assembly import Arrivals
from tradewind.operations.canary.routing import is_canarys
from tradewind.operations.registry.records import Reason, Roles, VersionDiffers
from tradewind.operations.registry.registry import Registry
from tradewind.serving.metrics import Metrics
from tradewind.serving.refusals import Refusal
from tradewind.serving.settings import ServingSettings
from tradewind.serving.trial import Trial
from tradewind.serving.variants import Variant, catch_up

logger = logging.getLogger(__name__)
KEPT = 5000  # calls of arrivals, which a version that comes later catches up with
MACHINE = "service"


@dataclass(frozen=True)
class InService:
    """The versions of one moment; a request reads them once and keeps to them."""

    roles: Roles
    champion: Variant | None = None
    trial: Trial | None = None

    def answering(self, symbol: str, at_ms: int) -> str:
        """Who answers for this symbol now: champion or canary."""
        trial = self.trial
        if trial is None or trial.tripped:
            return "champion"
        return "canary" if is_canarys(trial.rules.seed, symbol, at_ms, trial.rules.share) else "champion"


class ModelsInService:
    """Loads what the registry names, keeps the champion whatever happens to others, and ends trials."""

    def __init__(self, settings: ServingSettings, metrics: Metrics) -> None:
        self.settings, self.metrics = settings, metrics
        self.registry = Registry(settings.registry, settings.gate)
        self.now = InService(Roles())
        self.kept: deque[Arrivals] = deque(maxlen=KEPT)
        self.refused: str = ""
        self.loading: int | None = None  # the version that is on its way in
        self.on_change: Callable[[dict[str, Any]], None] = lambda _: None
        self._loading = threading.Lock()
        self._ended: deque[Trial] = deque()
        self._taken_back: set[int] = set()  # canaries, even if the registry cannot be told at once

    def refresh(self) -> bool:
        """Look at the registry, and take over what has changed; whether anything has."""
        with self._loading:
            roles = self.registry.roles(self.settings.environment)
            if roles == self.now.roles:
                return False
            before = self.now
            champion = self._variant(roles.champion, before)
            if champion is None or champion.version != roles.champion:
                return False  # whoever answers now goes on; the role is looked at again next time
            trial = self._trial(champion, roles.canary, before)
            self.now = InService(roles, champion, trial)
            self._announce(roles)
            return True

    def _variant(self, version: int | None, before: InService) -> Variant | None:
        if version is None:
            return None
        for known in (before.champion, before.trial.canary if before.trial else None):
            if known is not None and known.version == version:
                return known
        try:
            overridden = self.registry.is_overridden(self.settings.environment, version)
            self.loading = version
            variant = Variant.of(version, self.registry.load(version), overridden)
            variant.warm()
            catch_up(variant, list(self.kept))
        except TradewindError as error:
            if self.refused != str(error):
                self.refused = str(error)
                self.metrics.refused.inc()
                logger.error("version %d is not served: %s", version, error)
            return before.champion
        finally:
            self.loading = None
        self.refused = ""
        return variant

    def absence(self, environment: str) -> tuple[str, str]:
        """Why no champion answers, and what to do: it is being loaded, was refused, or there is none."""
        if self.loading is not None:
            return f"version {self.loading} is being loaded: kernels are compiled the first time", "ask again"
        if self.refused:
            return f"the champion of {environment} is not served: {self.refused}", "deploy another, or roll back"
        return f"no model is in service in {environment}", "deploy one: kedro run --pipelines deployment"

    def _trial(self, champion: Variant | None, version: int | None, before: InService) -> Trial | None:
        if champion is None or version is None or version in (champion.version, *self._taken_back):
            return None
        old = before.trial
        if old and old.canary.version == version and old.champion.version == champion.version:
            return old
        canary = self._variant(version, before)
        if canary is None or canary.version != version or canary.bundle.trial_terms != champion.bundle.trial_terms:
            if not self.refused:
                self.refused = (
                    f"version {version} has another universe, horizon, window or features, or only one of the two is "
                    "an agent: it is not tried"
                )
                logger.error("%s", self.refused)
            return None
        return Trial(champion, canary, self.settings.canary)

    def _announce(self, roles: Roles) -> None:
        for role, version in roles._asdict().items():
            self.metrics.version.labels(role).set(version or 0)
        self.on_change({"kind": "model_moved", **roles._asdict()})

    def drop_tripped(self) -> None:
        """Let the champion answer alone from now on, if a check of the trial has tripped; the registry hears later."""
        trial = self.now.trial
        if trial is None or trial.tripped is None:
            return
        self._taken_back.add(trial.canary.version)
        self.now = InService(self.now.roles._replace(canary=None), self.now.champion)
        self._ended.append(trial)
        self.metrics.rollbacks.labels(trial.tripped.check).inc()

    def end_trial_if_due(self) -> None:
        """Tell the registry of canaries that were taken back; promote one that the slow test has found better."""
        self.drop_tripped()
        while self._ended:
            self._take_back(self._ended.popleft())
        trial, where = self.now.trial, self.settings.environment
        if trial is None or trial.slow.outcome == "undecided":
            return
        evidence = f"e-value {trial.slow.e_value:.1f} after {trial.slow.days:.1f} days"
        if trial.slow.outcome == "promote":
            reason, override = Reason(MACHINE, f"its log loss is lower: {evidence}"), bool(trial.canary.overridden)
            champion, canary = trial.champion.version, trial.canary.version
            self._move(lambda: self.registry.move(where, "champion", canary, champion, reason, override))
        else:
            self._move(
                lambda: self.registry.withdraw(where, trial.canary.version, Reason(MACHINE, f"undecided: {evidence}"))
            )
        self.refresh()

    def _take_back(self, trial: Trial) -> None:
        tripped, version = trial.tripped, trial.canary.version
        if tripped is not None:
            why = f"{tripped.check}: {tripped.why} (after {tripped.decisions} decisions)"
            logger.warning("canary %d is taken back: %s", version, why)
            self._move(lambda: self.registry.withdraw(self.settings.environment, version, Reason(MACHINE, why)))
            self.on_change({"kind": "canary_rolled_back", "version": version, "why": why})

    def _move(self, make: Callable[[], object]) -> None:
        try:
            make()
        except VersionDiffers as error:
            logger.warning("somebody else has moved it meanwhile: %s", error)
        except TradewindError as error:
            logger.error("the registry refuses: %s", error)

    def named(self, name: str, version: int | None) -> Variant:
        """The version in service of this name, the champion's if no number is given, for who sends rows of features.

        Raises:
            Refusal: 404, also of an agent.
        """
        now = self.now
        present = [one for one in (now.champion, now.trial.canary if now.trial else None) if one is not None]
        for one in present:
            if one.name == name and version in (None, one.version):
                if one.bundle.agent is not None:
                    raise Refusal(
                        404, f"{name} is an agent: a tensor of features does not hold the account that it decides by",
                        "send closed bars to /v1/bars, and ask /v1/predict/price without features", "model",
                    )  # fmt: skip
                return one
        raise Refusal(404, "no such model or version is in service", "GET /v1/models lists what there is", "model")
