"""gRPC over the service's functions, with health and reflection."""

import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from pydantic import BaseModel, ValidationError

from tradewind.serving.functions import Functions
from tradewind.serving.messages import PlanRequest, PriceRequest, RegimeRequest
from tradewind.serving.refusals import STATUSES, Refusal, refusal_of
from tradewind.serving.rpc import prediction_pb2 as messages
from tradewind.serving.rpc import prediction_pb2_grpc as stubs
from tradewind.serving.tokens import Tokens

logger = logging.getLogger(__name__)
SERVICE = "tradewind.v1.Prediction"
Given = TypeVar("Given", bound=BaseModel)


class Servicer(stubs.PredictionServicer):
    """Each call checks the token, turns the message into the one of REST, and calls the same function."""

    def __init__(self, functions: Functions, tokens: Tokens) -> None:
        self._functions, self._tokens = functions, tokens

    async def PredictPrice(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        """The forecast of a symbol."""

        def call() -> Any:
            given = _given(request, "bars")
            bars = [_features(bar) for bar in request.bars]
            if bars:
                given["features"] = bars[0] if len(bars) == 1 else bars
            answer = self._functions.predict_price(_checked(PriceRequest, given))
            return messages.PriceReply(**_fields_of(answer))

        return await self._answered("PredictPrice", "predict", context, call)

    async def PredictRegime(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The market's regime."""

        def call() -> Any:
            answer = self._functions.predict_regime(_checked(RegimeRequest, _given(request)))
            return messages.RegimeReply(**_fields_of(answer))

        return await self._answered("PredictRegime", "predict", context, call)

    async def OptimizeExecution(self, request: Any, context: Any) -> Any:  # noqa: N802
        """An order, whole or in slices, with its expected cost."""

        def call() -> Any:
            given = _given(request, "book")
            if request.HasField("book"):
                sides = {side: [_given(level) for level in getattr(request.book, side)] for side in ("bids", "asks")}
                given["book"] = _given(request.book, *sides) | sides
            answer = self._functions.optimize_execution(_checked(PlanRequest, given))
            return messages.PlanReply(**_fields_of(answer))

        return await self._answered("OptimizeExecution", "predict", context, call)

    async def StreamTelemetry(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        """Events from now on."""
        try:
            self._tokens.holder(_token(context), "read", "grpc")
        except Refusal as refusal:
            await _abort(context, refusal)
        async for event in self._functions.telemetry.listen():
            yield messages.TelemetryEvent(kind=event["kind"], json=json.dumps(event, allow_nan=False))

    async def _answered(self, call: str, scope: str, context: Any, function: Callable[[], Any]) -> Any:
        began, status, refusal, answer = time.perf_counter(), "OK", None, None
        try:
            self._tokens.holder(_token(context), scope, "grpc")
            answer = function()
        except Exception as error:
            refusal = refusal_of(error)
            status = STATUSES[refusal.status][1]
            if refusal.status == 500:
                logger.exception("%s failed", call)
        self._functions.metrics.requests.labels("grpc", call, status).inc()
        self._functions.metrics.seconds.labels("grpc", call).observe(time.perf_counter() - began)
        if refusal is not None:
            await _abort(context, refusal)
        return answer


async def _abort(context: Any, refusal: Refusal) -> None:
    trailing = [("field", refusal.field), ("remedy", refusal.remedy)]
    if refusal.retry_after_s:
        trailing.append(("retry-after-s", str(refusal.retry_after_s)))
    context.set_trailing_metadata(tuple((name, _ascii(value)) for name, value in trailing))
    await context.abort(getattr(grpc.StatusCode, STATUSES[refusal.status][1]), refusal.detail)


def _ascii(value: str) -> str:
    return value.encode("ascii", "replace").decode()


def _token(context: Any) -> str | None:
    found = [value for name, value in context.invocation_metadata() or () if name == "authorization"]
    return str(found[0]) if found else None


def _given(message: Any, *without: str) -> dict[str, Any]:
    """The fields that were set; the form of REST refuses the rest, NaN among it."""
    return {field.name: value for field, value in message.ListFields() if field.name not in without}


def _features(bar: Any) -> dict[str, float | None]:
    twice = set(bar.features) & set(bar.missing)
    if twice:
        raise Refusal(422, "a feature is given and missing at once", "send one of the two", f"bars.{min(twice)}")
    return {**dict(bar.features), **dict.fromkeys(bar.missing)}


def _checked(kind: type[Given], given: dict[str, Any]) -> Given:
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise Refusal(422, f"{field}: {first['msg']}", "send finite numbers", field) from None


def _fields_of(answer: BaseModel) -> dict[str, Any]:
    return answer.model_dump(exclude_none=True)


def make_server(functions: Functions, tokens: Tokens) -> tuple[Any, Callable[[bool], Any], int]:
    """The server, bound but not started; what sets its health; and its port."""
    settings = functions.settings
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", settings.body_bytes)])
    stubs.add_PredictionServicer_to_server(Servicer(functions, tokens), server)
    checker = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checker, server)
    reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)

    async def set_health(is_ready: bool) -> None:
        state = health_pb2.HealthCheckResponse.SERVING if is_ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in (SERVICE, ""):
            await checker.set(name, state)

    return server, set_health, server.add_insecure_port(f"{settings.host}:{settings.grpc_port}")
