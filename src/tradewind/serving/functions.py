"""What the service does, once: REST and gRPC only carry it."""

import threading
import time
from collections import deque
from typing import Any

import numpy as np

from tradewind.clock import now
from tradewind.errors import BadData
from tradewind.learning.features.assembly import Arrivals, Bar, SideValue
from tradewind.market.timeframes import bar_duration_ms
from tradewind.operations.registry.records import Reason, Roles
from tradewind.serving.execution_plan import planned
from tradewind.serving.messages import (
    ArrivalsRequest,
    Document,
    MoveRequest,
    OutcomesRequest,
    PlanAnswer,
    PlanRequest,
    PriceAnswer,
    PriceRequest,
    RegimeAnswer,
    RegimeRequest,
    RolesAnswer,
    RollbackRequest,
)
from tradewind.serving.metrics import Metrics
from tradewind.serving.models_in_service import InService, ModelsInService
from tradewind.serving.plan_terms import read_instruments
from tradewind.serving.refusals import Refusal
from tradewind.serving.settings import ServingSettings
from tradewind.serving.telemetry import Telemetry
from tradewind.serving.variants import Floats, Variant
from tradewind.trading.decision.protocols import Decision
from tradewind.trading.execution.forecasts.plan import read_forecast

KEPT_DECISIONS = 2000


class Functions:
    """The service without its doors."""

    def __init__(self, settings: ServingSettings) -> None:
        self.settings = settings
        self.metrics, self.telemetry = Metrics(), Telemetry()
        self.cost_forecast = read_forecast(settings.cost_forecasts) if settings.cost_forecasts else None
        self.instruments = read_instruments(settings.exchange_info) if settings.exchange_info else {}
        self.models = ModelsInService(settings, self.metrics)
        self.metrics.follow(self.models, settings.registry.parent / "monitoring.json")
        self.decisions: deque[Document] = deque(maxlen=KEPT_DECISIONS)
        self._arriving = threading.Lock()

    # --- predictions

    def predict_price(self, request: PriceRequest) -> PriceAnswer:
        """The forecast of a symbol, by the champion or on its symbol-days by the canary; both are scored.

        Of an agent it is the forecast that it read, with the target position that it chose; there is no edge.

        Raises:
            Refusal: 404 symbol, 422 horizon or features, 503 no model, warming or stale.
        """
        began, serving = time.perf_counter(), self.models.now
        champion = self._champion(serving)
        spec = champion.bundle.spec
        self._check_symbol(request.symbol, champion)
        if request.horizon_bars != spec.horizon_bars:
            raise Refusal(422, f"the model looks {spec.horizon_bars} bars ahead", "ask for those", "horizon_bars")
        at_ms = _now_ms()
        decision: Decision | None = None
        as_of = request.as_of_ms
        if request.features is not None and champion.bundle.agent is not None:
            raise Refusal(
                422, f"{champion.name} is an agent: it decides by its account, too, which features do not tell",
                "send closed bars to /v1/bars, and ask without features", "features",
            )  # fmt: skip
        if request.features is None:
            role, variant, decision = self._decided(serving, request.symbol, at_ms)
            forecast, as_of, model_ms = np.array(decision[2:6]), decision.timestamp, 0.0
        else:
            role, variant, forecast, model_ms = self._scored(serving, request, at_ms)
        age = None if as_of is None else (at_ms - as_of) / 1e3
        self._check_age(age, spec.universe.timeframe)
        answer = PriceAnswer(
            symbol=request.symbol, horizon_bars=spec.horizon_bars, as_of_ms=as_of, p_down=float(forecast[0]),
            p_flat=float(forecast[1]), p_up=float(forecast[2]), expected_return=float(forecast[3]),
            edge=decision.edge if decision and decision.edge == decision.edge else None,
            target=decision.target if decision else None,
            reasons=list(decision.reasons) if decision else [], model=variant.name, version=variant.version,
            variant="canary" if role == "canary" else "champion", overridden=variant.overridden, feature_age_s=age,
            latency_ms=(time.perf_counter() - began) * 1e3,
        )  # fmt: skip
        self._publish_forecast(answer, model_ms)
        return answer

    def _champion(self, serving: InService) -> Variant:
        if serving.champion is None:
            why, remedy = self.models.absence(self.settings.environment)
            raise Refusal(503, why, remedy, retry_after_s=5)
        return serving.champion

    def _scored(
        self, serving: InService, request: PriceRequest, at_ms: int
    ) -> tuple[str, Variant, Floats, float]:  # fmt: skip
        champion, trial = self._champion(serving), serving.trial
        given: Any = request.features
        x = champion.row_of(given)
        forecast, took = champion.forecast(x)
        if not np.isfinite(forecast).all():
            raise Refusal(500, "the model says no number", "roll it back")
        role, variant = "champion", champion
        if trial is not None and not trial.has_tripped():
            other, other_took = trial.score(x, forecast, took)
            if other is not None and not trial.has_tripped() and serving.answering(request.symbol, at_ms) == "canary":
                role, variant, forecast, took = "canary", trial.canary, other, other_took
            if trial.has_tripped():
                self.models.drop_tripped()
        self.metrics.model_seconds.labels(role).observe(took / 1e3)
        return role, variant, forecast, took

    def _decided(self, serving: InService, symbol: str, at_ms: int) -> tuple[str, Variant, Decision]:
        role, variant = "champion", self._champion(serving)
        trial = serving.trial
        if trial is not None and serving.answering(symbol, at_ms) == "canary":
            role, variant = "canary", trial.canary
        decision = variant.latest.get(symbol)
        if decision is None or not np.isfinite(decision[2:6]).all():
            raise Refusal(
                503, "the model is still warming: it has too few bars of this symbol",
                "send bars to /v1/bars, or features with the request", retry_after_s=60,
            )  # fmt: skip
        return role, variant, decision

    def _check_age(self, age_s: float | None, timeframe: str) -> None:
        most = self.settings.max_age_bars
        if most is None and self.settings.environment != "development":
            most = 2.0
        if most is None or age_s is None:
            return
        bar_s = bar_duration_ms(timeframe) / 1e3
        if age_s > most * bar_s:
            raise Refusal(
                503, f"the features are stale: {age_s:.0f} s old, at most {most * bar_s:.0f} s are allowed",
                "see to the feed", "as_of_ms", retry_after_s=max(1, int(bar_s // 60)),
            )  # fmt: skip

    def _publish_forecast(self, answer: PriceAnswer, model_ms: float) -> None:
        if self.telemetry.listeners:
            self.telemetry.publish({"kind": "forecast", "model_ms": model_ms, **answer.model_dump()})

    def predict_regime(self, request: RegimeRequest) -> RegimeAnswer:
        """The regime after the last bar, by the champion's bundle; no check tries the regimes of a canary.

        Raises:
            Refusal: 404 symbol, 501 the bundle has no model of regimes, 503 no model, warming or stale.
        """
        began, champion = time.perf_counter(), self._champion(self.models.now)
        spec, regimes = champion.bundle.spec, champion.regimes
        self._check_symbol(request.symbol, champion)
        if regimes is None:
            raise Refusal(501, "no regime model is registered", "register a bundle that has one")
        latest = regimes.latest.get(request.symbol)
        if latest is None:
            raise Refusal(503, "no bar of this symbol has arrived", "send bars to /v1/bars", retry_after_s=60)
        age = (_now_ms() - latest.timestamp) / 1e3
        self._check_age(age, spec.universe.timeframe)
        return RegimeAnswer(
            symbol=request.symbol, as_of_ms=latest.timestamp, regime=latest.regime, probabilities=latest.probabilities,
            p_leave=latest.p_leave, horizon_bars=latest.horizon_bars, since_ms=latest.since, model=regimes.name,
            version=champion.version, overridden=champion.overridden, feature_age_s=age,
            latency_ms=(time.perf_counter() - began) * 1e3,
        )  # fmt: skip

    def _check_symbol(self, symbol: str, champion: Variant) -> None:
        if symbol not in champion.bundle.spec.universe.symbols:
            raise Refusal(404, "the symbol is not of this universe", "GET /v1/models lists the symbols", "symbol")

    def optimize_execution(self, request: PlanRequest) -> PlanAnswer:
        """One order or equal slices with their expected cost, by a forecast or the costs of the model's judgement.

        Raises:
            Refusal: 404 symbol, 422 an order that the venue would refuse, a book that is none, or a volume that the
                costs need is missing, 503 no model.
        """
        champion = self._champion(self.models.now)
        spec = champion.bundle.spec
        self._check_symbol(request.symbol, champion)
        return planned(request, spec, self.cost_forecast, self.settings.max_book_age_s, self.instruments)

    # --- what arrives

    def receive(self, request: ArrivalsRequest) -> Document:
        """Let champion and canary see closed bars and side values; their decisions on what became complete.

        Raises:
            Refusal: 422 a bar that cannot be, 503 no model.
        """
        _check_bars(request)
        bars = tuple(Bar(one.symbol, one.open_time_ms, one.close_time_ms, one.open, one.high, one.low, one.close,
                         one.volume) for one in request.bars)  # fmt: skip
        side = tuple(SideValue(one.series, one.symbol, one.known_at_ms, one.value) for one in request.side)
        with self._arriving:
            return self._advance(Arrivals(_now_ms(), bars, side))

    def _advance(self, arrivals: Arrivals) -> Document:
        serving = self.models.now
        champion = self._champion(serving)
        try:
            decisions = champion.advance(arrivals)
        except BadData as error:
            raise Refusal(422, str(error), "send closed bars of this universe", "bars") from error
        self.models.kept.append(arrivals)
        trial = serving.trial
        if trial is not None:
            bar_ms = bar_duration_ms(champion.bundle.spec.universe.timeframe)
            try:
                trial.decided(decisions, trial.canary.advance(arrivals), bar_ms)
            except BadData:
                trial.decided(decisions, (), bar_ms)
            self.models.drop_tripped()
        for one in decisions:
            self._keep(one, champion)
        if decisions:
            self.metrics.age.set_function(lambda: (_now_ms() - champion.done_ms) / 1e3)
        return {"decisions": len(decisions), "done_ms": champion.done_ms}

    def _keep(self, one: Decision, champion: Variant) -> None:
        body = {name: None if value != value else value for name, value in one._asdict().items()}
        document = {"kind": "decision", **body, "reasons": list(one.reasons), "model": champion.name,
                    "version": champion.version, "acts": bool(one.target)}  # fmt: skip
        self.decisions.append(document)
        self.metrics.decided(one.symbol, bool(one.target), champion.bundle.spec.universe.symbols)
        self.telemetry.publish(document)

    def settle(self, request: OutcomesRequest) -> Document:
        """Give settled labels to the trial's slow test.

        Raises:
            Refusal: 409 the trial is of agents.
        """
        trial = self.models.now.trial
        if trial is None:
            return {"paired": 0, "trial": None}
        if trial.champion.bundle.agent is not None:
            raise Refusal(
                409, "agents hold positions, and labels settle forecasts: the slow test cannot compare agents",
                "leave outcomes out; judge the canary by an evaluation, and move it by hand", "labels",
            )  # fmt: skip
        paired = trial.settle(request.as_of_ms, dict(request.labels))
        self.metrics.evidence.set(trial.slow.e_value)
        return {"paired": paired, "trial": trial.described()}

    # --- models

    def list_models(self) -> Document:
        """Versions, roles, and the trial."""
        serving = self.models.now
        roles = self.models.registry.roles(self.settings.environment)
        spec = serving.champion.bundle.spec if serving.champion else None
        return {
            "environment": self.settings.environment, "roles": roles._asdict(),
            "in_service": serving.champion.version if serving.champion else None,
            "overridden": serving.champion.overridden if serving.champion else "",
            "evidence": "the verdict is the procedure's, from its walk-forward; nothing was tested on the refit itself",
            "symbols": list(spec.universe.symbols) if spec else [], "horizon_bars": spec.horizon_bars if spec else None,
            "features": list(spec.features) if spec else [],
            "window_bars": serving.champion.bundle.forecaster.window_bars if serving.champion else None,
            "versions": [one._asdict() for one in self.models.registry.versions()],
            "trial": serving.trial.described() if serving.trial else None,
        }  # fmt: skip

    def history(self, name: str) -> Document:
        """Every move of a model's versions.

        Raises:
            Refusal: 404.
        """
        self._check_name(name)
        return {"moves": [one._asdict() for one in self.models.registry.history(name=name)]}

    def move(self, name: str, request: MoveRequest, who: str) -> RolesAnswer:
        """Give a role to a version of this model, and serve it when this returns.

        Args:
            name: of the model.
            request: role, version, expected version, reason, and whether the gate is overridden.
            who: asked for it.

        Returns:
            The roles afterwards.

        Raises:
            Refusal, TradewindError: 404, 409.
        """
        self._check_name(name)
        if self.models.registry.version(request.version).name != name:
            raise Refusal(404, "no such version of this model", "GET /v1/models lists what there is", "version")
        roles = self.models.registry.move(
            self.settings.environment, request.to, request.version, request.expected, Reason(who, request.reason),
            request.override,
        )  # fmt: skip
        self.models.refresh()
        return self._roles(roles)

    def rollback(self, name: str, request: RollbackRequest, who: str) -> RolesAnswer:
        """Give the champion's role back to the last good version, and serve it when this returns.

        Args:
            name: of the model.
            request: expected version and reason.
            who: asked for it.

        Returns:
            The roles afterwards.

        Raises:
            Refusal, TradewindError: 404, 409.
        """
        self._check_name(name)
        reason = Reason(who, request.reason)
        roles = self.models.registry.rollback(self.settings.environment, request.expected, reason)
        self.models.refresh()
        return self._roles(roles)

    def _roles(self, roles: Roles) -> RolesAnswer:
        return RolesAnswer(environment=self.settings.environment, **roles._asdict())

    def _check_name(self, name: str) -> None:
        if all(one.name != name for one in self.models.registry.versions()):
            raise Refusal(404, "no such model is registered", "GET /v1/models lists what there is", "model")

    @property
    def readiness(self) -> tuple[bool, str]:
        """Whether a champion is loaded, and in words why not, or what was refused since."""
        if self.models.now.champion is None:
            return False, self.models.absence(self.settings.environment)[0]
        return True, self.models.refused


def _check_bars(request: ArrivalsRequest) -> None:
    for at, one in enumerate(request.bars):
        if not one.low <= min(one.open, one.close) <= max(one.open, one.close) <= one.high:
            raise Refusal(422, "low, open, close and high are not in order", "mend the bar", f"bars.{at}")


def _now_ms() -> int:
    return int(now().timestamp() * 1000)
