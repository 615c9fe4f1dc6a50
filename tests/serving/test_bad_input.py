"""What bad input gets: the table of docs/serving.md, line by line."""

import json
import socket
import time
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from tests.operations.bundles import NAMES, bundle_files
from tests.serving.conftest import Service, price, serving
from tradewind.serving.rpc import prediction_pb2 as messages

PRICE = "/v1/predict/price"


def asked(service: Service, body: Any, path: str = PRICE, who: str = "admin") -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    with service.client(who) as client:
        return client.post(path, content=content, headers={"Content-Type": "application/json"})


def problem(response: httpx.Response, status: int, field: str = "") -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status and body["detail"] and field in body["field"], body
    return body


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", '"0.5"', "true", "[1]"])
def test_a_number_that_is_none_is_refused_with_its_field(service: Service, number: str) -> None:
    body = json.dumps(price()).replace("0.5", number, 1).encode()
    said = problem(asked(service, body), 422, NAMES[0])
    assert said["remedy"]


def test_a_feature_beyond_single_precision_is_refused(service: Service) -> None:
    features = dict.fromkeys(NAMES, 0.5) | {NAMES[1]: 1e300}
    problem(asked(service, price(features=features)), 422, NAMES[1])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (price(features={NAMES[0]: 0.5}), f"features.{NAMES[1]}"),
        (price(features=dict.fromkeys(NAMES, 0.5) | {"unknown": 1.0}), "features.unknown"),
        (price(unknown=1), "unknown"),
        (price(features=[dict.fromkeys(NAMES, 0.5)] * 2), "features"),
        (price(horizon_bars=5), "horizon_bars"),
        ({"symbol": "SIM1"}, "horizon_bars"),
    ],
)
def test_a_missing_or_unknown_key_is_refused_with_its_field(service: Service, body: Any, field: str) -> None:
    said = problem(asked(service, body), 422, field)
    assert said["remedy"]


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe", b"null", b"[]"])
def test_what_is_not_json_or_too_deep_is_refused(service: Service, body: bytes) -> None:
    problem(asked(service, body), 422)
    problem(asked(service, body, "/v2/models/linear/infer"), 422)


def test_a_large_body_is_refused_at_once(service: Service) -> None:
    began = time.perf_counter()
    response = asked(service, b" " * (256 * 1024 + 1))
    assert time.perf_counter() - began < 1.0  # 0.05 s on a quiet machine
    problem(response, 413)

    def chunks() -> Any:
        for _ in range(40):
            yield b" " * 10_000

    with service.client() as client:
        problem(client.post(PRICE, content=chunks(), headers={"Content-Type": "application/json"}), 413)


def test_another_kind_of_body_is_refused(service: Service) -> None:
    with service.client() as client:
        problem(client.post(PRICE, content=b"a=1", headers={"Content-Type": "text/plain"}), 415)


@pytest.mark.parametrize("path", ["/v1/predict/price", "/v1/predict/regime"])
def test_an_unknown_symbol_is_not_found(service: Service, path: str) -> None:
    body = price(symbol="../../etc/passwd") if path.endswith("price") else {"symbol": "../../etc/passwd"}
    said = problem(asked(service, body, path), 404, "symbol")
    assert "passwd" not in json.dumps(said)


@pytest.mark.parametrize("path", [
    "/v2/models/nothing", "/v2/models/linear/versions/2", "/v2/models/linear/versions/x", "/v1/models/nothing/history",
    "/v1/models/..%2f..%2fetc/history", "/v2/models/..%2f..%2fetc", "/v1/nothing",
])  # fmt: skip
def test_an_unknown_model_version_or_address_is_not_found_and_no_path_is_told(service: Service, path: str) -> None:
    with service.client() as client:
        said = problem(client.get(path), 404)
    assert "etc" not in said["detail"] and "/" not in said["detail"]


def test_without_a_valid_token_nothing_is_answered(service: Service) -> None:
    with service.client("") as client:
        response = client.post(PRICE, json=price())
        problem(response, 401)
        assert response.headers["www-authenticate"] == "Bearer"
        problem(client.post(PRICE, json=price(), headers={"Authorization": "Bearer wrong"}), 401)
        problem(client.post(PRICE, json=price(), headers={"Authorization": "Basic abc"}), 401)


def test_a_token_without_the_scope_is_forbidden(service: Service) -> None:
    problem(asked(service, price(), who="reader"), 403)
    problem(asked(service, {"bars": []}, "/v1/bars", "predictor"), 403)
    move = {"version": 2, "to": "champion", "expected": 1, "reason": "mine"}
    problem(asked(service, move, "/v1/models/linear/move", "predictor"), 403)


@pytest.mark.parametrize("name", ["token", "access_token", "Token"])
def test_a_token_in_the_address_is_never_accepted(service: Service, name: str) -> None:
    with service.client() as client:  # with a valid one in the header, too
        problem(client.post(f"{PRICE}?{name}={service.tokens['admin']}", json=price()), 401)


def test_tokens_are_kept_as_hashes(service: Service) -> None:
    content = service.functions.settings.tokens.read_text()
    assert all(token not in content for token in service.tokens.values())
    assert service.functions.settings.tokens.stat().st_mode & 0o077 == 0


def test_a_regime_is_not_available_yet_and_says_what_to_do(service: Service) -> None:
    said = problem(asked(service, {"symbol": "SIM1"}, "/v1/predict/regime"), 501)
    assert "register" in said["remedy"]


def test_an_expected_version_that_differs_is_a_conflict(service: Service) -> None:
    move = {"version": 2, "to": "champion", "expected": 2, "reason": "mine"}
    said = problem(asked(service, move, "/v1/models/linear/move"), 409)
    assert "version 1" in said["detail"] and service.registry.roles("development").champion == 1


def test_a_move_to_production_without_evidence_names_what_is_missing(tmp_path: Path) -> None:
    files = bundle_files(verdict="no-go")
    with serving(tmp_path, files, environment="production") as service:
        move = {"version": 1, "to": "champion", "expected": None, "reason": "mine"}
        said = problem(asked(service, move, "/v1/models/linear/move"), 409)
        assert "verdict go (it is no-go)" in said["detail"]
        answered = asked(service, move | {"override": True, "reason": "I know"}, "/v1/models/linear/move")
        assert answered.status_code == 200 and answered.json()["champion"] == 1
        forecast = asked(service, price()).json()
        assert forecast["overridden"] == "verdict go (it is no-go)"  # on every answer
        page = service.client("").get("/docs").text
        assert "Let in against the gate: verdict go (it is no-go)" in page
        history = service.client().get("/v1/models/linear/history").json()["moves"]
        assert history[-1]["overridden"] and (history[-1]["who"], history[-1]["why"]) == ("admin", "I know")


def test_without_a_model_and_with_stale_or_too_few_bars_it_says_when_to_ask_again(tmp_path: Path) -> None:
    with serving(tmp_path / "empty") as service:
        assert problem_after(asked(service, price())) and problem_after(service.client().get("/readyz"))
    with serving(tmp_path / "one", bundle_files(), max_age_bars=2.0) as service:
        said = problem_after(asked(service, price(features=None)))
        assert "warming" in said["detail"]
        old_ms = int((time.time() - 5 * 3600) * 1000)
        said = problem_after(asked(service, price(as_of_ms=old_ms)))
        assert "18000 s old" in said["detail"] and "7200 s" in said["detail"]
        assert asked(service, price(as_of_ms=old_ms + 4 * 3_600_000)).status_code == 200


def problem_after(response: httpx.Response) -> dict[str, Any]:
    assert int(response.headers["retry-after"]) >= 1
    return problem(response, 503)


def test_more_requests_than_a_token_may_send_are_put_off(tmp_path: Path) -> None:
    with serving(tmp_path, bundle_files(), requests_a_second=1.0) as service, service.client() as client:
        statuses = [client.post(PRICE, json=price()).status_code for _ in range(20)]
        assert statuses[:10] == [200] * 10 and statuses[-1] == 429


def test_slow_headers_and_a_slow_body_are_cut_off_while_others_are_answered(tmp_path: Path) -> None:
    with serving(tmp_path, bundle_files(), slow_s=0.5) as service:
        slow = []
        for begun in (b"POST /v1/pre", b"POST /v1/predict/price HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{"):
            connection = socket.create_connection(("127.0.0.1", service.ports.rest))
            connection.sendall(begun)
            slow.append(connection)
        assert asked(service, price()).status_code == 200
        began = time.monotonic()
        for connection in slow:
            connection.settimeout(5)
            assert connection.recv(1000) == b""  # closed by the service
            connection.close()
        assert time.monotonic() - began < 4


def grpc_refused(service: Service, status: grpc.StatusCode, request: Any, who: str = "admin") -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as refused:
        service.stub().PredictPrice(request, metadata=service.metadata(who) if who else ())
    assert refused.value.code() == status, refused.value
    return refused.value


def test_grpc_refuses_the_same(service: Service) -> None:
    def request(symbol: str = "SIM1", **features: float) -> Any:
        bar = messages.Bar(features=dict.fromkeys(NAMES, 0.5) | features)
        return messages.PriceRequest(symbol=symbol, horizon_bars=4, bars=[bar])

    for bad in (float("nan"), float("inf"), 1e300):
        error = grpc_refused(service, grpc.StatusCode.INVALID_ARGUMENT, request(**{NAMES[0]: bad}))
        assert NAMES[0] in dict(error.trailing_metadata())["field"]
    grpc_refused(service, grpc.StatusCode.INVALID_ARGUMENT, request(unknown=1.0))
    grpc_refused(service, grpc.StatusCode.INVALID_ARGUMENT, messages.PriceRequest(symbol="SIM1"))
    grpc_refused(service, grpc.StatusCode.NOT_FOUND, request("nothing"))
    grpc_refused(service, grpc.StatusCode.UNAUTHENTICATED, request(), who="")
    grpc_refused(service, grpc.StatusCode.PERMISSION_DENIED, request(), who="reader")
    many = messages.PriceRequest(symbol="S" * 300_000)
    grpc_refused(service, grpc.StatusCode.RESOURCE_EXHAUSTED, many)
    twice = messages.PriceRequest(
        symbol="SIM1", horizon_bars=4, bars=[messages.Bar(features=dict.fromkeys(NAMES, 0.5), missing=[NAMES[0]])]
    )
    grpc_refused(service, grpc.StatusCode.INVALID_ARGUMENT, twice)
    with pytest.raises(grpc.RpcError) as refused:
        service.stub().PredictRegime(messages.RegimeRequest(symbol="SIM1"), metadata=service.metadata())
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("change", [
    {"name": "other"}, {"shape": [1, 4]}, {"shape": [0, 3]}, {"shape": [1, 3, 1]}, {"datatype": "INT64"},
    {"data": [0.5, 0.5]}, {"data": [0.5, 0.5, "a"]}, {"data": [0.5, 0.5, 1e300]}, {"data": [[[1], 2], 3]},
])  # fmt: skip
def test_a_tensor_that_does_not_fit_is_refused(service: Service, change: dict[str, Any]) -> None:
    tensor = {"name": "features", "shape": [1, 3], "datatype": "FP32", "data": [0.5, 0.5, 0.5]} | change
    problem(asked(service, {"inputs": [tensor]}, "/v2/models/linear/infer"), 422)


def test_an_order_that_cannot_be_planned_is_refused(service: Service) -> None:
    order = {"symbol": "SIM1", "side": "buy", "quantity": 2.0, "price": 100.0, "deadline_s": 60.0}
    planned = asked(service, order, "/v1/execution/plan")
    assert planned.status_code == 200 and planned.json()["policy"] == "one_order"
    assert planned.json()["expected_cost_bps"]["total"] == pytest.approx(6.0)
    wrong = ({"quantity": 0.0}, {"quantity": -1.0}, {"side": "hold"}, {"urgency": 2.0}, {"deadline_s": -1.0})
    for change in wrong:
        problem(asked(service, order | change, "/v1/execution/plan"), 422, next(iter(change)))
    for number in ("NaN", "1e999"):
        body = json.dumps(order).replace("2.0", number, 1).encode()
        problem(asked(service, body, "/v1/execution/plan"), 422, "quantity")
