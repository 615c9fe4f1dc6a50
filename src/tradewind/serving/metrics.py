"""What Prometheus reads, on a port of its own."""

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

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
        self.evidence = Gauge("tradewind_canary_e_value", "Evidence that the canary is better.", **kept)

    def serve(self, host: str, port: int) -> tuple[Any, int]:
        """Answer Prometheus; the server, to be shut down, and its port."""
        server, _ = start_http_server(port, addr=host, registry=self.registry)
        return server, server.server_port
