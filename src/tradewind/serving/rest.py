"""REST over the service's functions."""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from tradewind.operations.prometheus.denials import ADDRESS
from tradewind.serving.functions import Functions
from tradewind.serving.limits import BodyLimit
from tradewind.serving.messages import (
    ArrivalsRequest,
    Document,
    MoveRequest,
    OutcomesRequest,
    PlanAnswer,
    PlanRequest,
    PriceAnswer,
    PriceRequest,
    ProblemAnswer,
    RegimeAnswer,
    RegimeRequest,
    RolesAnswer,
    RollbackRequest,
)
from tradewind.serving.open_inference import HEADER_LENGTH, infer, model_metadata, server_metadata
from tradewind.serving.page import add_page
from tradewind.serving.refusals import Refusal, problem_of, refusal_of
from tradewind.serving.telemetry import sse
from tradewind.serving.tokens import MAKE_ONE, Holder, Tokens

logger = logging.getLogger(__name__)
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemAnswer} for status in (400, 401, 403, 404, 409, 413, 415, 422, 429, 501, 503)
}
IN_QUERY = {"token", "access_token", "api_key", "authorization"}
ModelName = Annotated[str, Path(min_length=1, max_length=64)]
BEARER = HTTPBearer(auto_error=False, description=MAKE_ONE)


def asking(scope: str) -> Any:
    """The dependency of a call that needs this scope."""

    async def holder(request: Request, _: Annotated[Any, Depends(BEARER)]) -> Holder:
        if IN_QUERY & {name.lower() for name in request.query_params}:
            request.app.state.tokens.denied("rest", scope, ADDRESS)
            raise Refusal(401, "a token is never taken from the address", MAKE_ONE)
        found: Holder = request.app.state.tokens.holder(request.headers.get("authorization"), scope)
        return found

    return Depends(holder)


Reader = Annotated[Holder, asking("read")]
Predictor = Annotated[Holder, asking("predict")]
Operator = Annotated[Holder, asking("operate")]


def make_app(functions: Functions, tokens: Tokens) -> FastAPI:
    """The application.

    Args:
        functions: what answers.
        tokens: who may ask.
    """
    app = FastAPI(title="Tradewind", version="1", description="Forecasts, execution plans and models.",
                  responses=PROBLEMS, docs_url=None, redoc_url=None)  # fmt: skip
    app.state.functions, app.state.tokens = functions, tokens
    _add_handlers(app)
    add_page(app)
    _add_health(app, functions)
    _add_predictions(app, functions)
    _add_models(app, functions)
    _add_open_inference(app, functions)
    app.add_middleware(BodyLimit, body_bytes=functions.settings.body_bytes)
    return app


def _add_handlers(app: FastAPI) -> None:
    functions: Functions = app.state.functions

    def answer(request: Request, refusal: Refusal) -> Response:
        problem = problem_of(refusal, getattr(request.state, "request_id", ""))
        headers = {"Retry-After": str(refusal.retry_after_s)} if refusal.retry_after_s else {}
        headers |= {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else {}
        return JSONResponse(problem._asdict(), refusal.status, headers, "application/problem+json")

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"] if part != "body")
        remedy = "send finite numbers and the documented keys only; see /docs"
        return answer(request, Refusal(422, str(first["msg"]), remedy, field or "body"))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 400:  # what could not even be parsed
            return answer(request, Refusal(422, "the body is not JSON, or too deep", "see /docs", "body"))
        if error.status_code == 404:
            return answer(request, Refusal(404, "there is no such address", "see /docs"))
        if error.status_code == 405:
            response = answer(request, Refusal(405, "the address has no such method", "see /docs"))
            response.headers.update(error.headers or {})
            return response
        return answer(request, Refusal(500, "the service failed"))

    @app.middleware("http")
    async def watch(request: Request, proceed: Callable[[Request], Awaitable[Response]]) -> Response:
        request.state.request_id, began = secrets.token_hex(8), time.perf_counter()
        try:
            with functions.metrics.under_way.track_inprogress():
                response = await proceed(request)
        except Exception as error:
            refusal = refusal_of(error)
            if refusal.status == 500:
                logger.exception("request %s failed", request.state.request_id)
            response = answer(request, refusal)
        route = request.scope.get("route")
        call = getattr(route, "path", "unknown")
        functions.metrics.requests.labels("rest", call, str(response.status_code)).inc()
        functions.metrics.seconds.labels("rest", call).observe(time.perf_counter() - began)
        response.headers["X-Request-Id"] = request.state.request_id
        return response

    @app.exception_handler(Refusal)
    async def refused(request: Request, error: Refusal) -> Response:
        return answer(request, error)


def _add_health(app: FastAPI, functions: Functions) -> None:
    @app.get("/healthz", tags=["health"])
    async def healthz() -> Document:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["health"])
    async def readyz() -> Document:
        """A champion is loaded; `refused` tells of a version that could not be."""
        ready, why = functions.readiness
        if not ready:
            raise Refusal(503, why, "deploy a model: kedro run --pipelines deployment", retry_after_s=5)
        return {"status": "ready", "refused": why}


def _add_predictions(app: FastAPI, functions: Functions) -> None:
    @app.post("/v1/predict/price", tags=["predictions"])
    async def predict_price(request: PriceRequest, _: Predictor) -> PriceAnswer:
        """The forecast of a symbol."""
        return functions.predict_price(request)

    @app.post("/v1/predict/regime", tags=["predictions"])
    async def predict_regime(request: RegimeRequest, _: Predictor) -> RegimeAnswer:
        """The regime that a symbol is in, as known after its last bar."""
        return functions.predict_regime(request)

    @app.post("/v1/execution/plan", tags=["predictions"])
    async def optimize_execution(request: PlanRequest, _: Predictor) -> PlanAnswer:
        """An order, whole or in slices, with its expected cost."""
        return functions.optimize_execution(request)

    @app.get("/v1/decisions", tags=["telemetry"])
    async def decisions(
        _: Reader, symbol: Annotated[str | None, Query(max_length=64)] = None, acts: bool | None = None
    ) -> list[Document]:
        """The last decisions on bars, newest last; `acts=false` shows those that do nothing, with their reasons."""
        return [one for one in functions.decisions
                if symbol in (None, one["symbol"]) and acts in (None, one["acts"])]  # fmt: skip

    @app.get("/v1/stream", tags=["telemetry"], response_class=StreamingResponse)
    async def stream(_: Reader) -> StreamingResponse:
        """Forecasts, decisions and model moves as server-sent events."""

        async def events() -> AsyncIterator[bytes]:
            async for event in functions.telemetry.listen():
                yield sse(event)

        return StreamingResponse(events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    @app.post("/v1/bars", tags=["feed"])
    async def receive(request: ArrivalsRequest, _: Operator) -> Document:
        """Closed bars and side values."""
        return await asyncio.to_thread(functions.receive, request)

    @app.post("/v1/outcomes", tags=["feed"])
    async def settle(request: OutcomesRequest, _: Operator) -> Document:
        """Settled labels, for the trial of a canary."""
        return await asyncio.to_thread(functions.settle, request)


def _add_models(app: FastAPI, functions: Functions) -> None:
    @app.get("/v1/models", tags=["models"])
    async def models(_: Reader) -> Document:
        """Versions, roles and the trial."""
        return await asyncio.to_thread(functions.list_models)

    @app.get("/v1/models/{name}/history", tags=["models"])
    async def history(name: ModelName, _: Reader) -> Document:
        """Every move of a model's versions."""
        return await asyncio.to_thread(functions.history, name)

    @app.post("/v1/models/{name}/move", tags=["models"])
    async def move(name: ModelName, request: MoveRequest, holder: Operator) -> RolesAnswer:
        """Give a role to a version."""
        return await asyncio.to_thread(functions.move, name, request, holder.name)

    @app.post("/v1/models/{name}/rollback", tags=["models"])
    async def rollback(name: ModelName, request: RollbackRequest, holder: Operator) -> RolesAnswer:
        """Give the champion's role back to the last good version."""
        return await asyncio.to_thread(functions.rollback, name, request, holder.name)


def _add_open_inference(app: FastAPI, functions: Functions) -> None:
    @app.get("/v2/health/live", tags=["v2"])
    async def live() -> Document:
        """The process answers."""
        return {"live": True}

    @app.get("/v2/health/ready", tags=["v2"])
    async def ready() -> Document:
        """A champion is loaded."""
        return {"ready": True} if (await _ready(functions)) else {}

    @app.get("/v2", tags=["v2"])
    async def server() -> Document:
        """Of the server."""
        return server_metadata()

    async def metadata(name: ModelName, _: Reader, version: str | None = None) -> Document:
        """Of a model in service."""
        return model_metadata(functions.models.named(name, _number(version)))

    async def model_ready(name: ModelName, _: Reader, version: str | None = None) -> Document:
        """Whether a model is in service."""
        return {"name": functions.models.named(name, _number(version)).name, "ready": True}

    async def run(name: ModelName, request: Request, _: Predictor, version: str | None = None) -> Response:
        """Forecasts of rows or windows of features."""
        variant = functions.models.named(name, _number(version))
        body, headers = infer(variant, await request.body(), request.headers.get(HEADER_LENGTH))
        return Response(body, headers=headers)

    body = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}
    for path in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        app.get(path, tags=["v2"])(metadata)
        app.get(f"{path}/ready", tags=["v2"])(model_ready)
        app.post(f"{path}/infer", tags=["v2"], openapi_extra=body)(run)


async def _ready(functions: Functions) -> bool:
    ready, why = functions.readiness
    if not ready:
        raise Refusal(503, why, "deploy a model: kedro run --pipelines deployment", retry_after_s=5)
    return True


def _number(version: str | None) -> int | None:
    if version is None:
        return None
    if not version.isdecimal() or len(version) > 12:
        raise Refusal(404, "no such model or version is in service", "GET /v1/models lists what there is", "version")
    return int(version)
