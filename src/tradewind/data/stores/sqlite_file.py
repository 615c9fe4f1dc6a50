"""A SQLite file that threads and processes share: made whole, opened once by each, its errors in our words."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from tradewind.atomic import first_file
from tradewind.errors import BadData, BadParameters, TemporaryOutage, TradewindError

APPLICATION_ID = 0x54574D53
VERSION = 1

# A bar's rows lie together, in the order in which they are read: the key is the table.
_SCHEMA = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
CREATE TABLE series (
    id INTEGER PRIMARY KEY, venue TEXT NOT NULL, symbol TEXT NOT NULL, timeframe TEXT NOT NULL,
    UNIQUE (venue, symbol, timeframe)
) STRICT;
CREATE TABLE bars (
    series INTEGER NOT NULL REFERENCES series, open_time INTEGER NOT NULL, content_hash INTEGER NOT NULL,
    open REAL NOT NULL, high REAL NOT NULL, low REAL NOT NULL, close REAL NOT NULL, volume REAL NOT NULL,
    quote_volume REAL, trades REAL, received_at INTEGER NOT NULL,
    PRIMARY KEY (series, open_time, content_hash)
) STRICT, WITHOUT ROWID;
CREATE TABLE refused (
    venue TEXT NOT NULL, symbol TEXT NOT NULL, timeframe TEXT NOT NULL, source_row INTEGER NOT NULL,
    reason TEXT NOT NULL, content TEXT NOT NULL,
    PRIMARY KEY (venue, symbol, timeframe, reason, content)
) STRICT, WITHOUT ROWID;
CREATE TABLE covered (
    series INTEGER NOT NULL REFERENCES series, since_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL,
    asked_at INTEGER NOT NULL,
    PRIMARY KEY (series, since_ms, until_ms, asked_at)
) STRICT, WITHOUT ROWID;
CREATE TABLE ledger (
    delivery INTEGER PRIMARY KEY, source TEXT NOT NULL, venue TEXT NOT NULL, symbol TEXT NOT NULL,
    timeframe TEXT NOT NULL, received_at INTEGER NOT NULL, rows_received INTEGER NOT NULL, rows_new INTEGER NOT NULL,
    rows_known INTEGER NOT NULL, rows_refused INTEGER NOT NULL
) STRICT;
CREATE TABLE side (
    series TEXT NOT NULL, symbol TEXT NOT NULL, reference_at INTEGER NOT NULL, known_at INTEGER NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (series, symbol, reference_at, known_at)
) STRICT, WITHOUT ROWID;
"""


class SqliteFile:
    """The file and its connections: one for each thread of each process that uses it.

    A connection must not cross a fork (sqlite.org/howtocorrupt.html), so a child opens its own and leaves those of its
    parent alone.
    """

    def __init__(self, path: Path, timeout_s: float) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._connections: dict[tuple[int, int], sqlite3.Connection] = {}

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one state of the file."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection whose changes are kept together, and durably, when the block ends; none after an error."""
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    def close(self) -> None:
        """Close this process's connections; a later use opens new ones."""
        with self._lock:
            for owner in [owner for owner in self._connections if owner[0] == os.getpid()]:
                self._connections.pop(owner).close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._connection()
            connection.execute(begin)
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    with suppress(sqlite3.Error):  # what made it fail is raised, not this
                        connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise _explain(self._path, error) from error

    def _connection(self) -> sqlite3.Connection:
        owner = (os.getpid(), threading.get_ident())
        connection = self._connections.get(owner)
        if connection is None:
            connection = self._open()
            with self._lock:
                self._connections[owner] = connection
        return connection

    def _open(self) -> sqlite3.Connection:
        if not self._path.exists():
            _create(self._path)
        connection = _connect(f"{self._path.absolute().as_uri()}?mode=rw", self._timeout_s)
        try:
            _require_ours(self._path, connection)
        except BaseException:
            connection.close()
            raise
        return connection


def _connect(uri: str, timeout_s: float) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=timeout_s, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -65536")  # KiB
    connection.execute("PRAGMA journal_size_limit = 67108864")
    return connection


def _create(path: Path) -> None:
    """Make the file elsewhere and give it its name when it is whole, since another process may be waiting for it."""
    with first_file(path) as temporary, closing(_connect(f"{temporary.absolute().as_uri()}?mode=rwc", 0)) as connection:
        connection.executescript(_SCHEMA)
        connection.execute("PRAGMA journal_mode = WAL")


def _require_ours(path: Path, connection: sqlite3.Connection) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise BadData(f"{path} is no store of Tradewind, but another SQLite file: name another path, or move it away")
    if version != VERSION:
        raise BadData(f"{path} is a store of version {version}, and this Tradewind reads version {VERSION}")
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise BadParameters(
            f"{path}: SQLite can keep no write-ahead log there ({mode}): choose a folder on a local disk"
        )


def _explain(path: Path, error: sqlite3.Error) -> TradewindError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return TemporaryOutage(f"{path} is being written by another process for too long ({error}): run again later")
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_NOMEM")):
        return TemporaryOutage(
            f"{path} cannot be written or read: {error}. What was stored is unharmed; free space on its disk (or raise "
            "the quota) and run again"
        )
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")):
        return BadParameters(f"{path} cannot be opened for writing ({error}): correct the path or its permissions")
    return BadData(f"{path} is not a SQLite store, or is damaged ({error}): restore it from a copy, or move it away")
