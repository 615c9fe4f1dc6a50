"""The tables of `postgres.PostgresStore`, and what turns them into TimescaleDB hypertables where the extension is."""

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Composed

    SqlConnection: TypeAlias = Connection[tuple[Any, ...]]

Timescale = Literal["auto", "require", "off"]

# Of one lock number in the database, so that starters wait for each other instead of colliding over CREATE.
_STARTERS_LOCK = 0x74726164
# A chunk of a year's minutes is 43 MB; TimescaleDB advises chunks that fit a quarter of the memory.
_CHUNK = "90 days"
# Older chunks are rarely delivered again: a late row is still taken, its segment is unpacked first.
_COMPRESS_AFTER = "180 days"

_TABLES = """
CREATE TABLE IF NOT EXISTS {schema}.bar_keys (
    key_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    venue text NOT NULL, symbol text NOT NULL, timeframe text NOT NULL,
    UNIQUE (venue, symbol, timeframe)
);
CREATE TABLE IF NOT EXISTS {schema}.bars (
    key_id integer NOT NULL, open_time timestamptz NOT NULL, received_at timestamptz NOT NULL,
    open float8 NOT NULL, high float8 NOT NULL, low float8 NOT NULL, close float8 NOT NULL, volume float8 NOT NULL,
    quote_volume float8, trades float8, content_hash bigint NOT NULL,
    PRIMARY KEY (key_id, open_time, content_hash)
);
CREATE TABLE IF NOT EXISTS {schema}.refused (
    key_id integer NOT NULL, digest bytea NOT NULL,
    source_row bigint NOT NULL, reason text NOT NULL, content text NOT NULL,
    PRIMARY KEY (key_id, digest)
);
CREATE TABLE IF NOT EXISTS {schema}.covered (
    key_id integer NOT NULL, since_at timestamptz NOT NULL, until_at timestamptz NOT NULL,
    asked_at timestamptz NOT NULL,
    PRIMARY KEY (key_id, since_at, until_at, asked_at)
);
CREATE TABLE IF NOT EXISTS {schema}.side_vintages (
    series text NOT NULL, symbol text NOT NULL, reference_at timestamptz NOT NULL, known_at timestamptz NOT NULL,
    value float8 NOT NULL,
    PRIMARY KEY (series, symbol, reference_at, known_at)
);
CREATE TABLE IF NOT EXISTS {schema}.ledger (
    delivery_id uuid PRIMARY KEY, source text NOT NULL, key_id integer NOT NULL, received_at timestamptz NOT NULL,
    rows_received bigint NOT NULL, rows_new bigint NOT NULL, rows_known bigint NOT NULL, rows_refused bigint NOT NULL
);
"""
# The last table that a starter makes: where it is, all are.
_LAST_TABLE = "ledger"


def make_schema(connection: "SqlConnection", schema: str, timescale: Timescale) -> bool:
    """Makes what is missing, in one transaction.

    A role that may not create tables can use a schema that exists.

    Args:
        connection: with the role that will write.
        schema: its name.
        timescale: `auto` uses the extension where it is, `require` insists on it, `off` does without.

    Returns:
        Whether the bars are in a hypertable.

    Raises:
        BadParameters: `timescale` is `require` and the server has no such extension.
    """
    from psycopg import sql

    from tradewind.errors import BadParameters

    with connection.transaction():
        if not _exists(connection, schema):
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_STARTERS_LOCK,))
            name = sql.Identifier(schema)
            if not _schema_exists(connection, schema):
                connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
            if not _exists(connection, schema):
                connection.execute(sql.SQL(_TABLES).format(schema=name))
                home = None if timescale == "off" else _extension_home(connection)
                for statement in hypertable_statements(schema, home) if home else ():
                    connection.execute(statement)
        is_hypertable = _is_hypertable(connection, schema)
    if timescale == "require" and not is_hypertable:
        raise BadParameters(
            "store.timescale is 'require', but the bars are not in a hypertable: install the timescaledb extension "
            "on the server before the schema is first used (or copy into a new schema_name), or say 'auto'"
        )
    return is_hypertable


def hypertable_statements(schema: str, home: str) -> "list[Composed]":
    """What makes the empty table of bars a compressed hypertable; `home` is the schema of the extension's functions."""
    from psycopg import sql

    table = sql.Identifier(schema, "bars")
    text = sql.Literal(f'"{schema}"."bars"')
    make = "SELECT {home}.create_hypertable({text}::regclass, 'open_time', chunk_time_interval => {chunk}::interval)"
    compress = (
        "ALTER TABLE {table} SET (timescaledb.compress, timescaledb.compress_segmentby = 'key_id', "
        "timescaledb.compress_orderby = 'open_time, content_hash')"
    )
    schedule = "SELECT {home}.add_compression_policy({text}::regclass, compress_after => {after}::interval)"
    named = {
        "home": sql.Identifier(home), "table": table, "text": text, "chunk": sql.Literal(_CHUNK),
        "after": sql.Literal(_COMPRESS_AFTER),
    }  # fmt: skip
    return [sql.SQL(statement).format(**named) for statement in (make, compress, schedule)]


def _exists(connection: "SqlConnection", schema: str) -> bool:
    answer = connection.execute(
        "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = %s AND tablename = %s", (schema, _LAST_TABLE)
    )
    return answer.fetchone() is not None


def _schema_exists(connection: "SqlConnection", schema: str) -> bool:
    return connection.execute("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s", (schema,)).rowcount > 0


def _extension_home(connection: "SqlConnection") -> str | None:
    """The schema of TimescaleDB's functions, installed if this role may; None where the server is plain PostgreSQL."""
    from psycopg.errors import InsufficientPrivilege

    available = "SELECT installed_version FROM pg_catalog.pg_available_extensions WHERE name = 'timescaledb'"
    row = connection.execute(available).fetchone()
    if row is None:
        return None
    if row[0] is None:
        try:
            with connection.transaction():
                connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        except InsufficientPrivilege:
            return None  # `require` makes an error of it
    home = connection.execute(
        "SELECT nspname FROM pg_catalog.pg_extension JOIN pg_catalog.pg_namespace n ON n.oid = extnamespace "
        "WHERE extname = 'timescaledb'"
    ).fetchone()
    return None if home is None else str(home[0])


def _is_hypertable(connection: "SqlConnection", schema: str) -> bool:
    view = "SELECT to_regclass('timescaledb_information.hypertables') IS NOT NULL"
    row = connection.execute(view).fetchone()
    if row is None or not row[0]:
        return False
    named = (
        "SELECT 1 FROM timescaledb_information.hypertables WHERE hypertable_schema = %s AND hypertable_name = 'bars'"
    )
    return connection.execute(named, (schema,)).fetchone() is not None
