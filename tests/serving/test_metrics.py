"""What Prometheus reads of the service."""

import grpc
import httpx
import pytest

from tests.serving.conftest import Service, price
from tradewind.serving.rpc import prediction_pb2 as messages

MOVE = {"expected": 1, "reason": "test"}


def figures(service: Service) -> dict[str, float]:
    text = httpx.get(f"http://127.0.0.1:{service.ports.metrics}/metrics", timeout=30).text
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[0] != "#"}


def test_models_and_requests_are_shown(service: Service) -> None:
    with service.client() as client:
        assert client.post("/v1/predict/price", json=price()).status_code == 200
    found = figures(service)
    assert found["tradewind_requests_under_way"] == 0.0
    assert found['tradewind_version{role="champion"}'] == 1.0
    assert found["tradewind_service_bar_seconds"] == 3600.0
    assert found['tradewind_served_model_trained_timestamp_seconds{role="champion"}'] > 0
    assert found["tradewind_service_heartbeat_age_seconds"] < 30
    assert found["tradewind_canary_running"] == 0.0
    assert found["tradewind_watched"] == 0.0


def test_addresses_and_symbols_that_nobody_knows_make_no_series(service: Service) -> None:
    with service.client() as client:
        client.get("/nowhere")
        before = len(figures(service))
        for number in range(300):
            client.get(f"/nowhere/{number}")
            client.post("/v1/predict/price", json=price(symbol=f"COIN{number}"))
            client.request("GET", f"/v1/models/{number}/history")
        after = len(figures(service))
    assert after - before < 60, "one more call or two with their intervals of time, whatever is asked for"


def test_who_is_not_let_in_is_counted_and_told_without_the_token(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """At both doors of the service, the registry's moves among them."""
    before, wrong = figures(service), "a-token-that-nobody-made"
    service.functions.metrics.denials._reported_at.clear()
    with service.client("") as client, caplog.at_level("WARNING"):
        assert client.post("/v1/predict/price", json=price()).status_code == 401
        headers = {"Authorization": f"Bearer {wrong}"}
        assert client.post("/v1/predict/price", json=price(), headers=headers).status_code == 401
        assert client.get("/v1/models", params={"token": wrong}).status_code == 401
        headers = {"Authorization": f"Bearer {service.tokens['reader']}"}
        assert client.post("/v1/models/any/rollback", json=MOVE, headers=headers).status_code == 403
        with pytest.raises(grpc.RpcError):
            service.stub().PredictPrice(messages.PriceRequest(symbol="SIM1"), metadata=(("authorization", "Bearer x"),))
    after = figures(service)

    def more(door: str, scope: str, why: str) -> float:
        name = f'tradewind_authentication_failures_total{{door="{door}",scope="{scope}",why="{why}"}}'
        return after[name] - before[name]

    assert more("rest", "predict", "no_token") == more("rest", "predict", "unknown") == 1
    assert more("rest", "read", "address") == more("rest", "operate", "scope") == 1
    assert more("grpc", "predict", "unknown") == 1
    assert "not let in at the rest door (predict): no token" in caplog.text
    assert wrong not in caplog.text and service.tokens["reader"] not in caplog.text


def test_decisions_of_other_symbols_are_counted_as_one(service: Service) -> None:
    metrics = service.functions.metrics
    for number in range(1000):
        metrics.decided(f"COIN{number}", True, ("SIM1", "SIM2"))
    found = figures(service)
    shown = {name for name in found if name.startswith("tradewind_service_decisions_total{")}
    assert shown <= {
        f'tradewind_service_decisions_total{{acts="{acts}",symbol="{symbol}"}}'
        for acts in ("true", "false") for symbol in ("SIM1", "SIM2", "other")
    }  # fmt: skip
    assert found['tradewind_service_decisions_total{acts="true",symbol="other"}'] == pytest.approx(1000)
