"""Connections to PostgreSQL: opened when needed, lent to one thread at a time, opened again after an outage."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from tradewind.data.stores.postgres_schema import Timescale, make_schema
from tradewind.errors import BadData, BadParameters, TemporaryOutage

if TYPE_CHECKING:
    from tradewind.data.stores.postgres_schema import SqlConnection

Answer = TypeVar("Answer")

# Between attempts: long enough together for a server that starts again.
_WAITS_S = (0.1, 0.5, 1.0, 2.0, 4.0)
# What a server says that will answer later; while a client connects, it is given no SQL state to go by.
_PASSING = ("starting up", "shutting down", "recovery", "too many", "remaining connection slots", "not yet accepting")


class Rules(BaseModel):
    """Where the server is; `url` as libpq takes it: `postgresql://user:password@host:5432/database`.

    `timescale`: `auto` uses the extension where the server has it, `require` stops without it, `off` never uses it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: SecretStr
    schema_name: str = Field("tradewind", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    timescale: Timescale = "auto"
    connect_timeout_s: int = Field(10, ge=2)


class Connections:
    """The connections of one store. A forked child opens its own."""

    def __init__(self, rules: Rules, wait: Callable[[float], None]) -> None:
        """No connection yet; `wait` gets the seconds between attempts.

        Raises:
            BadParameters: the URL cannot be read.
        """
        self._rules = rules
        self._wait = wait
        self.where = _describe(rules)
        self._starting = Lock()
        self._is_started = False
        self._is_hypertable = False
        self._forget()

    def ask(self, work: Callable[["SqlConnection"], Answer]) -> Answer:
        """What `work` answers, tried again where the connection was lost; it must be harmless to do twice.

        Raises:
            TemporaryOutage: the server does not answer.
            BadParameters: it refuses the user, the database or a permission.
            BadData: it refuses a value, or what it holds is damaged.
        """
        import psycopg

        waits = iter(_WAITS_S)
        while True:
            try:
                with self._lent() as connection:
                    return work(connection)
            except (psycopg.OperationalError, psycopg.InterfaceError, TemporaryOutage) as error:
                self.close()  # the others were lost with it
                pause = next(waits, None)
                if pause is None:
                    raise TemporaryOutage(f"{self.where} does not answer: {_cause(error)}. Try again later") from error
                self._wait(pause)
            except psycopg.ProgrammingError as error:
                raise BadParameters(
                    f"{self.where} refuses what the store asks for ({_cause(error)}): give the role the right to use "
                    "the schema and its tables, or correct store.schema_name"
                ) from error
            except psycopg.Error as error:
                raise BadData(f"{self.where} refuses a value or is damaged ({_cause(error)})") from error

    def close(self) -> None:
        """Close the connections that nobody is using."""
        if self._owner != os.getpid():
            return self._forget()
        while True:
            try:
                self._idle.get_nowait().close()
            except Empty:
                return None

    def _forget(self) -> None:
        self._owner = os.getpid()
        self._idle: SimpleQueue[SqlConnection] = SimpleQueue()

    @contextmanager
    def _lent(self) -> Iterator["SqlConnection"]:
        """A connection for one thread; it comes back only where it is still good."""
        if self._owner != os.getpid():
            self._forget()  # the parent's sockets are not ours to use; psycopg leaves them open
        try:
            connection = self._idle.get_nowait()
        except Empty:
            connection = self._connect()
        try:
            self._start(connection)
            yield connection
        except BaseException:
            if connection.closed or connection.broken or not _is_at_rest(connection):
                connection.close()
            else:
                self._idle.put(connection)
            raise
        self._idle.put(connection)

    def _start(self, connection: "SqlConnection") -> None:
        """Makes the tables, once for each store; `_is_hypertable` is known after it."""
        with self._starting:
            if not self._is_started:
                self._is_hypertable = make_schema(connection, self._rules.schema_name, self._rules.timescale)
                self._is_started = True
        if self._is_hypertable:
            # A delivery made again may touch more compressed rows than an interactive user is meant to.
            connection.execute("SET timescaledb.max_tuples_decompressed_per_dml_transaction TO 0")

    def _connect(self) -> "SqlConnection":
        import psycopg

        try:
            connection: SqlConnection = psycopg.connect(
                self._rules.url.get_secret_value(), autocommit=True, connect_timeout=self._rules.connect_timeout_s
            )
        except psycopg.OperationalError as error:
            message = str(error)
            is_refused = "FATAL" in message or "password" in message
            if is_refused and not any(words in message for words in _PASSING):
                # Not chained: what libpq says is not ours, and a traceback would print it.
                raise BadParameters(
                    f"{self.where} refuses the connection: {_reason(message)}. Correct the user, the password and the "
                    "database in the store's url (conf/local/credentials.yml)"
                ) from None
            raise TemporaryOutage("no connection") from None
        # A receipt promises that a crash loses nothing.
        connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
        return connection


def _describe(rules: Rules) -> str:
    """The server in words, without the password.

    Raises:
        BadParameters: the URL cannot be read.
    """
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        parts = conninfo_to_dict(rules.url.get_secret_value())
    except ProgrammingError:
        parts = {"host": "@"}
    if "@" in str(parts.get("host")):  # also where the end of a password with an @ in it is taken for the host
        raise BadParameters(
            "store.url cannot be read; expected postgresql://user:password@host:5432/database, with what is special "
            "in a password percent-encoded"
        )
    return f"PostgreSQL at {parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"


def _reason(message: str) -> str:
    """The server's own sentence where it names no secret."""
    for words in ("password authentication failed", "no password supplied", "no pg_hba.conf entry"):
        if words in message:
            return words
    return (
        "no such database" if "database" in message and "does not exist" in message else "no such user, or not allowed"
    )


def _is_at_rest(connection: "SqlConnection") -> bool:
    from psycopg.pq import TransactionStatus

    return bool(connection.info.transaction_status == TransactionStatus.IDLE)


def _cause(error: Exception) -> str:
    diagnosis = getattr(error, "diag", None)
    if isinstance(error, TemporaryOutage):
        return str(error)
    return str(getattr(diagnosis, "message_primary", None) or "the connection was lost")
