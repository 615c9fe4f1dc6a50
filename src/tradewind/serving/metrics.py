"""What Prometheus reads, on a port of its own."""

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tradewind.clock import now
from tradewind.market.timeframes import bar_duration_ms
from tradewind.operations.prometheus.denials import Denials
from tradewind.operations.prometheus.labels import Labels
from tradewind.operations.prometheus.watched import WatchedModel

if TYPE_CHECKING:
    from tradewind.serving.models_in_service import InService, ModelsInService

BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)


class Metrics:
    """The service's figures; each service has its own, so that tests may run several."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        kept: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter("tradewind_requests", "Requests answered.", ["door", "call", "status"], **kept)
        self.seconds = Histogram("tradewind_request_seconds", "Time of an answer.", ["door", "call"],
                                 buckets=BUCKETS, **kept)  # fmt: skip
        self.model_seconds = Histogram("tradewind_model_seconds", "Time of one forecast.", ["variant"],
                                       buckets=BUCKETS, **kept)  # fmt: skip
        self.version = Gauge("tradewind_version", "Version in a role, 0 for none.", ["role"], **kept)
        self.age = Gauge("tradewind_last_bar_seconds", "Time since the last bar that was decided on.", **kept)
        self.rollbacks = Counter("tradewind_canary_rollbacks", "Canaries taken back.", ["check"], **kept)
        self.refused = Counter("tradewind_versions_refused", "Versions that could not be loaded.", **kept)
        for role in ("champion", "canary", "previous"):
            self.version.labels(role)
        self.evidence = Gauge("tradewind_canary_e_value", "Evidence that the canary is better.", **kept)

        self.under_way = Gauge("tradewind_requests_under_way", "Requests that are not answered yet.", **kept)
        self.decisions = Counter("tradewind_service_decisions", "Decisions on bars that came.", ["symbol", "acts"],
                                 **kept)  # fmt: skip
        self.denials = Denials()
        self.registry.register(self.denials.count)
        self.turned = time.monotonic()
        Gauge("tradewind_service_heartbeat_age_seconds", "Since the service last looked at its registry.",
              **kept).set_function(lambda: time.monotonic() - self.turned)  # fmt: skip
        ProcessCollector(registry=self.registry)
        self._labels: Labels | None = None

    def follow(self, models: "ModelsInService", watched: Path) -> None:
        """Show the models in service, too, and what the monitoring pipeline found of them.

        Args:
            models: champion and trial.
            watched: summary of the monitoring pipeline, which may not be there.
        """
        self.registry.register(_Models(models))
        self.registry.register(WatchedModel(watched))

    def decided(self, symbol: str, acts: bool, symbols: tuple[str, ...]) -> None:
        """Count a decision.

        Args:
            symbol: of which.
            acts: whether it asks for a position.
            symbols: of the universe; the first that are told are those that are shown.
        """
        if self._labels is None:
            self._labels = Labels(self.registry, symbol=symbols)
        self.decisions.labels(self._labels.of("symbol", symbol), "true" if acts else "false").inc()

    def serve(self, host: str, port: int) -> tuple[Any, int]:
        """Answer Prometheus; the server, to be shut down, and its port."""
        server, _ = start_http_server(port, addr=host, registry=self.registry)
        return server, server.server_port


class _Models(Collector):
    """Champion and canary, as they are when Prometheus asks."""

    def __init__(self, models: "ModelsInService") -> None:
        self._models = models

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The figures of this moment."""
        serving = self._models.now
        if serving.champion is not None:
            spec = serving.champion.bundle.spec
            yield _gauge("tradewind_service_bar_seconds", "Duration of a bar.",
                         bar_duration_ms(spec.universe.timeframe) / 1e3)  # fmt: skip
            trained = GaugeMetricFamily("tradewind_served_model_trained_timestamp_seconds",
                                        "The last bar that a version was trained on.", labels=["role"])  # fmt: skip
            trained.add_metric(["champion"], datetime.fromisoformat(spec.trained_to).timestamp())
            if serving.trial is not None:
                canary = serving.trial.canary.bundle.spec
                trained.add_metric(["canary"], datetime.fromisoformat(canary.trained_to).timestamp())
            yield trained
            yield _ages(serving)
        yield from _trial(serving)


def _ages(serving: "InService") -> GaugeMetricFamily:
    found = GaugeMetricFamily("tradewind_service_feed_age_seconds", "Since the last bar that a symbol was decided on.",
                              labels=["symbol"])  # fmt: skip
    at, champion = now().timestamp(), serving.champion
    latest = dict(champion.latest) if champion is not None else {}
    for symbol in champion.bundle.spec.universe.symbols if champion is not None else ():
        if symbol in latest:
            found.add_metric([symbol], at - latest[symbol].timestamp / 1e3)
    return found


def _trial(serving: "InService") -> Iterator[GaugeMetricFamily]:
    trial = serving.trial
    yield _gauge("tradewind_canary_running", "Whether a canary is tried.", float(trial is not None))
    described = trial.described() if trial is not None else {}
    for name, what in (("share", "Of symbol-days that it answers."), ("decisions", "That both versions made."),
                       ("days", "Of settled labels.")):  # fmt: skip
        yield _gauge(f"tradewind_canary_{name}", what, float(described.get(name, 0)))
    gain = trial.slow.mean_gain if trial is not None else 0.0
    yield _gauge("tradewind_canary_paired_loss", "Mean log loss of the canary minus the champion's.", -gain)
    worse = float(described.get("e_value_worse", 1.0))
    yield _gauge("tradewind_canary_e_value_worse", "Evidence that the canary is worse.", worse)


def _gauge(name: str, what: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, what, value=value)
