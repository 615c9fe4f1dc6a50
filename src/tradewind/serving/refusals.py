"""What the service refuses, the same for REST and gRPC."""

from typing import NamedTuple

from tradewind.errors import BadParameters, TemporaryOutage
from tradewind.operations.registry.records import GateClosed, UnknownVersion, VersionDiffers

# Status to title and to the name of the gRPC code.
STATUSES = {
    400: ("bad request", "INVALID_ARGUMENT"),
    401: ("no valid token", "UNAUTHENTICATED"),
    403: ("the token lacks the scope", "PERMISSION_DENIED"),
    404: ("unknown", "NOT_FOUND"),
    405: ("no such method", "UNIMPLEMENTED"),
    409: ("another state than expected", "ABORTED"),
    413: ("too large", "RESOURCE_EXHAUSTED"),
    415: ("not JSON", "INVALID_ARGUMENT"),
    422: ("bad input", "INVALID_ARGUMENT"),
    429: ("too many requests", "RESOURCE_EXHAUSTED"),
    500: ("a fault of the service", "INTERNAL"),
    501: ("not available", "UNIMPLEMENTED"),
    503: ("not ready", "UNAVAILABLE"),
}


class Refusal(Exception):
    """A request that is answered with an error: status, what is wrong, in which field, and what to do."""

    def __init__(
        self, status: int, detail: str, remedy: str = "", field: str = "", retry_after_s: int | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.remedy, self.field = status, detail, remedy, field
        self.retry_after_s = retry_after_s


class Problem(NamedTuple):
    """The body of an error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    field: str
    remedy: str
    request_id: str


def problem_of(refusal: Refusal, request_id: str) -> Problem:
    """The body of an error."""
    title = STATUSES[refusal.status][0]
    return Problem(
        "about:blank", title, refusal.status, refusal.detail, refusal.field, refusal.remedy, request_id
    )  # fmt: skip


def refusal_of(error: Exception) -> Refusal:
    """What an error of the library is to a client; what is not foreseen tells nothing of itself."""
    match error:
        case Refusal():
            return error
        case VersionDiffers():
            return Refusal(409, str(error), f"the present version is {error.present}", "expected")
        case GateClosed():
            return Refusal(409, str(error), "complete the evidence, or override the gate with a reason", "version")
        case UnknownVersion():
            return Refusal(404, str(error).split(":")[0], "GET /v1/models lists what there is", "version")
        case BadParameters():
            return Refusal(422, str(error))
        case TemporaryOutage():
            return Refusal(503, "the registry is busy", "try again", retry_after_s=1)
    return Refusal(500, "the service failed", "look at its log under this request_id")
