"""The 1.x HTTP interface of InfluxDB (`/write`, `/query`), which 1.x, 2.x and 3.x answer."""

import gzip
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from tradewind.data.stores.influx_lines import select
from tradewind.errors import BadData, BadParameters, TemporaryOutage

if TYPE_CHECKING:
    import httpx
    import pyarrow as pa

Window = tuple[int, int]  # of times in ns, the second excluded

_WAITS_S = (0.1, 0.5, 1.0, 2.0, 4.0)
_LONGEST_WAIT_S = 60.0
_PASSING = {408, 429, 500, 502, 503, 504}
_LINES = 10_000  # in a request; InfluxDB advises 5,000 to 10,000
_MISSING = "database not found"


class Rules(BaseModel):
    """Where the server is. `password` may be a token (2.x with any user of a DBRP mapping, 3.x with any user).

    `database` is made where the server can make it (1.x); in 2.x map a bucket to it, 3.x makes it when it is written.
    `gzip` compresses requests and answers: good over a network, slower on one machine.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str = Field(pattern=r"^https?://[^@\s]+$")
    database: str = Field("tradewind", pattern=r"^[A-Za-z0-9_.\-]+$")
    user: str = ""
    password: SecretStr = SecretStr("")
    timeout_s: float = Field(60, gt=0, le=3600)
    gzip: bool = False


class InfluxHttp:
    """Writes lines and asks questions; everything here is harmless to do twice, so what may pass is tried again."""

    def __init__(self, rules: Rules, wait: Callable[[float], None]) -> None:
        """No connection yet; `wait` gets the seconds between attempts."""
        self.where = f"InfluxDB at {rules.url}, database {rules.database}"
        self._rules = rules
        self._wait = wait
        self._opening = Lock()
        self._owner = 0
        self._client: httpx.Client | None = None

    def write(self, lines: list[str]) -> None:
        """Write the lines; they are on the server's disk when this returns (with its `wal-fsync-delay` of 0).

        Raises:
            BadData: the server refuses a line; those of the same request that it could read are stored.
        """
        for start in range(0, len(lines), _LINES):
            body = "\n".join(lines[start : start + _LINES]).encode("utf-8", "replace")
            answer = self._write(body)
            if answer.status_code == 404 and _MISSING in answer.text:
                self._make_database()
                answer = self._write(body)
            if answer.status_code // 100 != 2:
                self._refuse(answer)

    def records(self, query: str) -> Iterator[dict[str, Any]]:
        """The rows of a question, each by column; `time` in ns. Empty where the database does not exist yet."""
        answer = self._get(query, {"chunked": "true", "chunk_size": "10000"}, "application/json")
        for document in answer.text.splitlines():
            for result in json.loads(document).get("results", ()):
                if "error" in result:
                    if _MISSING in result["error"]:
                        return
                    raise BadData(f"{self.where} refuses a question: {result['error'][:300]}")
                for table in result.get("series", ()):
                    tags = table.get("tags", {})
                    for values in table.get("values", ()):
                        yield {**tags, **dict(zip(table["columns"], values, strict=True))}

    def numbers(self, fields: Mapping[str, str], measurement: str, condition: str, window: Window) -> "pa.Table | None":
        """Numeric fields of one series within a window of time, oldest first.

        As CSV, which is asked and read in half the time of JSON. It has no place for an error, and a server may cut an
        answer short (`max-row-limit`): so whether more is there is asked again as JSON.

        Args:
            fields: by name the Arrow type, such as `float64`.
            measurement: that they are of.
            condition: SQL that chooses the series, made by `where`.
            window: first time and the one after the last, nanoseconds.

        Returns:
            `time` (nanoseconds) and the fields; None if there are no rows.

        Raises:
            BadData: the server answers in another format.
        """
        import pyarrow as pa
        from pyarrow import csv

        types = {"time": pa.int64(), **{name: getattr(pa, kind)() for name, kind in fields.items()}}
        convert = csv.ConvertOptions(
            column_types=types, include_columns=list(types), null_values=[""], strings_can_be_null=True
        )
        pieces: list[pa.Table] = []
        begin, end = window
        while True:
            query = select(fields, measurement, f"{condition} AND time >= {begin} AND time < {end}")
            if pieces and next(self.records(f"{query} LIMIT 1"), None) is None:
                return pa.concat_tables(pieces)
            answer = self._get(query, {}, "application/csv")
            if answer.content.strip():
                if "csv" not in answer.headers.get("content-type", ""):
                    raise BadData(f"{self.where} answers in {answer.headers.get('content-type')}, asked for CSV")
                pieces.append(csv.read_csv(io.BytesIO(answer.content), convert_options=convert))
                begin = pieces[-1]["time"][-1].as_py() + 1
            elif next(self.records(f"{query} LIMIT 1"), None) is None:
                return None

    def close(self) -> None:
        """Close the connections."""
        with self._opening:
            if self._client is not None and self._owner == os.getpid():
                self._client.close()
            self._client = None

    def _write(self, body: bytes) -> "httpx.Response":
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if self._rules.gzip:
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        parameters = {"db": self._rules.database, "precision": "ns"}
        return self._ask("POST", "/write", params=parameters, content=body, headers=headers)

    def _get(self, query: str, more: dict[str, str], accept: str) -> "httpx.Response":
        parameters = {"db": self._rules.database, "q": query, "epoch": "ns", **more}
        answer = self._ask("GET", "/query", params=parameters, headers={"Accept": accept})
        if answer.status_code != 200 and _MISSING not in answer.text:
            self._refuse(answer)
        return answer

    def _make_database(self) -> None:
        answer = self._ask("POST", "/query", params={"q": f'CREATE DATABASE "{self._rules.database}"'})
        body = answer.text
        if answer.status_code != 200 or '"error"' in body:
            raise BadParameters(
                f"{self.where} does not exist and cannot be made ({_cause(answer)}): make it, or in 2.x map a bucket "
                "to it (influx v1 dbrp create), and give the user the right to write"
            )

    def _ask(self, method: str, path: str, **request: Any) -> "httpx.Response":
        """An answer that is not about an outage.

        Raises:
            TemporaryOutage: none came.
            BadParameters: the user, the password or the token is refused.
        """
        import httpx

        failure = ""
        for pause in (*_WAITS_S, None):
            try:
                answer = self._open().request(method, path, **request)
            except httpx.TransportError as error:
                failure, asked_for = type(error).__name__, 0.0
            else:
                if answer.status_code in (401, 403):
                    raise BadParameters(
                        f"{self.where} refuses the user {self._rules.user!r} ({answer.status_code}): correct the user "
                        "and the password or token (conf/local/credentials.yml), or grant it the database"
                    )
                if answer.status_code not in _PASSING:
                    return answer
                failure, asked_for = _cause(answer), _seconds(answer.headers.get("Retry-After"))
            if pause is not None:
                self._wait(max(pause, asked_for))
        raise TemporaryOutage(f"{self.where} does not answer ({failure}): try again later")

    def _open(self) -> "httpx.Client":
        """The client of this process; a forked child leaves its parent's alone."""
        import httpx

        with self._opening:
            if self._client is None or self._owner != os.getpid():
                user, password = self._rules.user, self._rules.password.get_secret_value()
                self._client = httpx.Client(
                    base_url=self._rules.url.rstrip("/"),
                    auth=(user, password) if user or password else None,
                    timeout=self._rules.timeout_s,
                    headers={"Accept-Encoding": "gzip" if self._rules.gzip else "identity"},
                )
                self._owner = os.getpid()
            return self._client

    def _refuse(self, answer: "httpx.Response") -> None:
        if answer.status_code == 404:
            raise BadParameters(f"{self.where} was not found ({_cause(answer)}): correct store.url and store.database")
        raise BadData(f"{self.where} refuses what was sent ({answer.status_code}: {_cause(answer)})")


def _cause(answer: "httpx.Response") -> str:
    try:
        return str(answer.json()["error"])[:300]
    except (ValueError, KeyError, TypeError):
        return f"status {answer.status_code}"


def _seconds(retry_after: str | None) -> float:
    return min(float(retry_after), _LONGEST_WAIT_S) if retry_after and retry_after.isdigit() else 0.0
