"""One HTTP client for exchanges, archives and vendors: retries temporary failures and reports lasting ones.

Keys travel in headers alone, and no message, log line or representation holds one: whatever a server says is cleared
of them before it is repeated. Redirects are not followed, since a key would go along.
"""

import json
import logging
import ssl
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from io import BytesIO
from typing import Annotated, Any, BinaryIO
from urllib.parse import urljoin, urlsplit

import httpx
from pydantic import SecretStr, StringConstraints

from tradewind.data.sources.timing import RateLimiter, RetryableError, RetryPolicy, Timing, retry
from tradewind.errors import BadData, BadParameters

# Where a source is: by https, since keys travel; by http on this machine alone.
Address = Annotated[
    str,
    StringConstraints(pattern=r"^(https://[A-Za-z0-9.-]+|http://(127\.0\.0\.1|localhost))(:[0-9]{1,5})?(/[^?#\s]*)?$"),
]

_MB = 1 << 20
_SHOWN_WORDS = 160
_BUSY = frozenset({408, 418, 425, 429})
# CoinAPI says 550 where it has no such item.
_NO_SUCH_THING = frozenset({404, 550})
_WINDOW_BITS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


@dataclass(frozen=True)
class Request:
    """An HTTP request: where, with which query, by which method; `weight` is what it counts in the rate limit."""

    url: str
    query: Mapping[str, str | int] | None = None
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    content: bytes | None = field(default=None, repr=False)
    weight: float = 1.0

    def __str__(self) -> str:
        """Host and path: a query may hold more than a message should."""
        parts = urlsplit(self.url)
        return f"{parts.netloc}{parts.path}"


@dataclass(frozen=True)
class Response:
    """A server's response: status, headers and body; the status may be an error."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Transport:
    """Asks servers by HTTP; safe to use from several threads, which share the rate limit.

    Args:
        rules: retries, timeouts and size limits.
        timing: clock, waits and jitter.
        limiter: rate limit that all requests share.
        headers: sent with every request; a `SecretStr` among them is never repeated.
    """

    def __init__(
        self,
        rules: RetryPolicy,
        timing: Timing,
        limiter: RateLimiter,
        headers: Mapping[str, str | SecretStr] | None = None,
    ) -> None:
        self.rules, self.timing, self.limiter = rules, timing, limiter
        self._headers = dict(headers or {})
        self._secrets: list[str] = []
        for value in self._headers.values():
            if isinstance(value, SecretStr):
                self.redact(value)
        timeout = httpx.Timeout(rules.read_timeout_s, connect=rules.connect_timeout_s)
        certificates = _certificates()
        local = {
            f"all://{host}": httpx.HTTPTransport(verify=certificates) for host in ("127.0.0.1", "localhost")
        }  # no proxy
        self._client = httpx.Client(timeout=timeout, follow_redirects=False, mounts=local, verify=certificates)

    def __repr__(self) -> str:
        return f"Transport({self.rules!r})"

    def redact(self, value: SecretStr) -> None:
        """Replace this value by *** in whatever a server says (of `Bearer KEY` the key)."""
        self._secrets += value.get_secret_value().split()[-1:]

    def close(self) -> None:
        """Give back connections."""
        self._client.close()

    def get(self, url: str) -> bytes | None:
        """What is at `url`; None where there is no such thing.

        Raises:
            TemporaryOutage: no answer after all tries.
            BadParameters: the server refuses the key or the request, or sends us elsewhere.
            BadData: the answer is longer than allowed.
        """
        response = retry(lambda: self._found(Request(url)), self.rules, self.timing)
        return None if response is None else response.body

    def get_json(self, url: str, query: Mapping[str, str | int] | None = None) -> Any:
        """The response to a request, parsed as JSON; a body that is not JSON is retried.

        Raises:
            TemporaryOutage, BadParameters, BadData: as `get`; BadParameters also where there is no such thing.
        """
        request = Request(url, query)

        def ask() -> Any:
            response = self.ask_once(request)
            self._require_accepted(request, response)
            try:
                return json.loads(response.body)
            except ValueError:
                raise RetryableError(f"{request} answered {self.words(response.body)!r}, which is not JSON") from None

        return retry(ask, self.rules, self.timing)

    def download(self, url: str, target: BinaryIO) -> bool:
        """Write what is at `url` to `target`, whole or not at all; False where there is no such thing."""
        request = Request(url)

        def ask() -> bool:
            target.seek(0)
            target.truncate()
            return self._found(request, target) is not None

        return retry(ask, self.rules, self.timing)

    def ask_once(self, request: Request, target: BinaryIO | None = None) -> Response:
        """The server's response, be it a refusal; the body of an accepted one goes to `target` where there is one.

        Raises:
            RetryableError: the connection fails, the body is torn, or the server is busy or broken.
            BadData: the body is longer than allowed.
        """
        self.limiter.acquire(request.weight)
        plain = {name: v.get_secret_value() if isinstance(v, SecretStr) else v for name, v in self._headers.items()}
        headers = {**plain, **request.headers, "Accept-Encoding": "gzip"}
        began, held = self.timing.elapsed(), BytesIO()
        try:
            with self._client.stream(
                request.method, request.url, params=request.query, headers=headers, content=request.content
            ) as stream:
                into = target if target is not None and stream.is_success else held
                limit_mb = self.rules.body_limit_mb if into is held else self.rules.file_limit_mb
                for chunk in _limited(_decoded(stream), int(limit_mb * _MB), request):
                    into.write(chunk)
                    if self.timing.elapsed() - began > self.rules.answer_limit_s:
                        raise RetryableError(f"{request} took longer than {self.rules.answer_limit_s:.0f} s to answer")
        except (httpx.HTTPError, zlib.error, EOFError) as error:
            raise RetryableError(f"{request} failed: {self.words(str(error) or type(error).__name__)}") from None
        response = Response(stream.status_code, stream.headers, held.getvalue())
        self._require_not_busy(request, response)
        return response

    def words(self, text: bytes | str) -> str:
        """A server's own words, shortened, on one line, without secrets."""
        shown = text[: 64 * _SHOWN_WORDS]
        shown = shown.decode("utf-8", "replace") if isinstance(shown, bytes) else shown
        for secret in self._secrets:
            shown = shown.replace(secret, "***")
        shown = " ".join(shown.split())
        return shown if len(shown) <= _SHOWN_WORDS else shown[: _SHOWN_WORDS - 3] + "..."

    def _require_not_busy(self, request: Request, response: Response) -> None:
        if response.status in _BUSY or (response.status >= 500 and response.status not in _NO_SUCH_THING):
            wait_s = _retry_after_s(response.headers, self.timing.now())
            if wait_s is not None:
                self.limiter.hold(min(wait_s, self.rules.max_retry_after_s))
            words = self.words(response.body)
            raise RetryableError(f"{request} answered {response.status}: {words!r}", wait_s, response.status)

    def _found(self, request: Request, target: BinaryIO | None = None) -> Response | None:
        response = self.ask_once(request, target)
        if response.status in _NO_SUCH_THING:
            return None
        self._require_accepted(request, response)
        return response

    def _require_accepted(self, request: Request, response: Response) -> None:
        if 200 <= response.status < 300:
            return
        self.require_no_redirect(request, response)
        answered = f"{request} answered {response.status}: {self.words(response.body)!r}"
        if response.status in (401, 403):
            raise BadParameters(f"the server refuses the credentials: {answered}. Correct the key of this source")
        if response.status in _NO_SUCH_THING:
            raise BadParameters(f"the server has no such thing: {answered}. Correct the symbol, or name it in symbols")
        raise BadParameters(f"the server refuses the request: {answered}")

    def require_no_redirect(self, request: Request, response: Response) -> None:
        """Nothing, unless the answer sends us elsewhere.

        Raises:
            BadParameters: it does.
        """
        if 300 <= response.status < 400:
            elsewhere = urlsplit(urljoin(request.url, response.headers.get("location", "")))
            raise BadParameters(
                f"{request} answered {response.status} and points to {self.words(elsewhere.netloc)}: redirects are not "
                "followed, since the key would go along. Correct base_url if the source has moved"
            )


class _WithoutQueries(logging.Filter):
    """httpx logs whole addresses; a query may hold a signature, or what an account does."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Cut the query from every address of the line."""
        if isinstance(record.args, tuple):
            record.args = tuple(
                str(one).partition("?")[0] if isinstance(one, httpx.URL) else one for one in record.args
            )
        return True


logging.getLogger("httpx").addFilter(_WithoutQueries())


@cache
def _certificates() -> ssl.SSLContext:
    """Whom to trust: read once, since it takes a sixth of a second."""
    return httpx.create_ssl_context()


def _decoded(response: httpx.Response) -> Iterator[bytes]:
    """The body, unpacked; torn compression is an error here, which httpx would pass over in silence."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        yield from response.iter_raw()
        return
    if encoding not in _WINDOW_BITS:
        raise RetryableError(f"the answer is packed by {encoding!r}, which was not asked for")
    packer = zlib.decompressobj(_WINDOW_BITS[encoding])
    for chunk in response.iter_raw():
        while chunk:
            yield packer.decompress(chunk, _MB)
            chunk = packer.unconsumed_tail
    yield packer.flush()
    if not packer.eof:
        raise EOFError("the packed answer ends early")


def _limited(chunks: Iterator[bytes], limit: int, request: Request) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise BadData(
                f"{request} answers with more than {limit / _MB:.0f} MB: that is no page of bars. Raise "
                "retry_policy.body_limit_mb (or file_limit_mb) if it is right"
            )
        yield chunk


def _retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """How long the server asks to wait: seconds, or an instant, which is held against the server's own clock."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isdecimal():
        return float(text)
    until = _instant(text)
    return None if until is None else max((until - (_instant(headers.get("date", "")) or now)).total_seconds(), 0.0)


def _instant(text: str) -> datetime | None:
    try:
        instant = parsedate_to_datetime(text)
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
