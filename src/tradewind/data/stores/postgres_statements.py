"""What `postgres.PostgresStore` asks its server. `{schema}`, `{key_id}` and lists of columns are filled in by
`composed`, values go beside a statement as parameters; instants are epoch milliseconds on our side."""

from typing import TYPE_CHECKING

from tradewind.data.files.deliveries import VALUES

if TYPE_CHECKING:
    from psycopg.sql import Composed

COLUMNS = ("open_time", *VALUES, "received_at", "content_hash")
TIMES = ("open_time", "received_at")
NULLABLE = ("quote_volume", "trades")

_KEY_ID = (
    "(SELECT key_id FROM {schema}.bar_keys "
    "WHERE venue = %(venue)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s)"
)

FIND_KEY = "SELECT {key_id}"
ADD_KEY = (
    "INSERT INTO {schema}.bar_keys (venue, symbol, timeframe) VALUES (%(venue)s, %(symbol)s, %(timeframe)s) "
    "ON CONFLICT DO NOTHING"
)
KEYS = (
    "SELECT venue, symbol, timeframe FROM {schema}.bar_keys AS named "
    "WHERE EXISTS (SELECT 1 FROM {schema}.bars WHERE bars.key_id = named.key_id)"
)

ARRIVING = "CREATE TEMPORARY TABLE arriving ON COMMIT DROP AS SELECT {names} FROM {schema}.bars LIMIT 0"
COPY_ARRIVING = "COPY arriving ({names}) FROM STDIN (FORMAT BINARY)"
# xmax is 0 in a row that this statement made, and not in one that it only touched. Ordered, so that two writers of the
# same rows lock them in the same order.
ADD_ROWS = (
    "WITH stored AS (INSERT INTO {schema}.bars AS old (key_id, {names}) "
    "SELECT %(key_id)s, {with_null} FROM arriving ORDER BY open_time, content_hash "
    "ON CONFLICT (key_id, open_time, content_hash) DO UPDATE "
    "SET received_at = LEAST(old.received_at, EXCLUDED.received_at) "
    "WHERE old.received_at > EXCLUDED.received_at RETURNING (xmax = 0) AS is_new) "
    "SELECT count(*) FILTER (WHERE is_new) FROM stored"
)
# COPY would send a message a row, which costs a client in Python three times as long as these columns of bytes do.
READ_COLUMNS = (
    "SELECT {sent} FROM {schema}.bars WHERE key_id = {key_id} "
    "AND open_time >= timestamptz 'epoch' + %(since)s::bigint * interval '1 millisecond' "
    "AND open_time < timestamptz 'epoch' + %(until)s::bigint * interval '1 millisecond'"
)
# Read in pieces, of which each fits into one answer (1 GB) and into memory twice.
YEARS = (
    "SELECT extract(year FROM min(open_time) AT TIME ZONE 'UTC')::integer, "
    "extract(year FROM max(open_time) AT TIME ZONE 'UTC')::integer FROM {schema}.bars WHERE key_id = {key_id} "
    "AND open_time >= timestamptz 'epoch' + %(since)s::bigint * interval '1 millisecond' "
    "AND open_time < timestamptz 'epoch' + %(until)s::bigint * interval '1 millisecond'"
)
ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
FINGERPRINTS = (
    "SELECT to_char(date_trunc('month', open_time, 'UTC') AT TIME ZONE 'UTC', 'YYYY-MM'), count(*), "
    "sum((extract(epoch FROM received_at) * 1000)::bigint)::bigint, sum(content_hash & 2147483647)::bigint "
    "FROM {schema}.bars WHERE key_id = {key_id} GROUP BY 1 ORDER BY 1"
)

ADD_REJECTED = (
    "INSERT INTO {schema}.refused AS old (key_id, digest, source_row, reason, content) "
    "SELECT %(key_id)s, sha256(convert_to(reason || chr(10) || content, 'UTF8')), source_row, reason, content "
    "FROM unnest(%(source_row)s::bigint[], %(reason)s::text[], %(content)s::text[]) "
    "AS given (source_row, reason, content) ORDER BY 2 "
    "ON CONFLICT (key_id, digest) DO UPDATE SET source_row = EXCLUDED.source_row "
    "WHERE EXCLUDED.source_row < old.source_row"
)
REJECTED = (
    "SELECT venue, symbol, timeframe, source_row, reason, content "
    "FROM {schema}.refused JOIN {schema}.bar_keys USING (key_id)"
)

ADD_COVERED = (
    "INSERT INTO {schema}.covered (key_id, since_at, until_at, asked_at) VALUES (%(key_id)s, "
    "timestamptz 'epoch' + %(since)s::bigint * interval '1 millisecond', "
    "timestamptz 'epoch' + %(until)s::bigint * interval '1 millisecond', "
    "timestamptz 'epoch' + %(received_at)s::bigint * interval '1 millisecond') ON CONFLICT DO NOTHING"
)
COVERED = (
    "SELECT (extract(epoch FROM since_at) * 1000)::bigint, (extract(epoch FROM until_at) * 1000)::bigint, "
    "(extract(epoch FROM asked_at) * 1000)::bigint FROM {schema}.covered WHERE key_id = {key_id}"
)

FIND_LINE = "SELECT rows_new FROM {schema}.ledger WHERE delivery_id = %(delivery_id)s"
ADD_LINE = (
    "INSERT INTO {schema}.ledger (delivery_id, source, key_id, received_at, rows_received, rows_new, rows_known, "
    "rows_refused) VALUES (%(delivery_id)s, %(source)s, %(key_id)s, "
    "timestamptz 'epoch' + %(received_at)s::bigint * interval '1 millisecond', "
    "%(rows_received)s, %(rows_new)s, %(rows_known)s, %(rows_rejected)s)"
)
LEDGER = (
    "SELECT source, venue, symbol, timeframe, (extract(epoch FROM received_at) * 1000)::bigint, rows_received, "
    "rows_new, rows_known, rows_refused FROM {schema}.ledger JOIN {schema}.bar_keys USING (key_id)"
)

ADD_SIDE = (
    "INSERT INTO {schema}.side_vintages (series, symbol, reference_at, known_at, value) "
    "SELECT * FROM unnest(%(series)s::text[], %(symbol)s::text[], %(reference_at)s::timestamptz[], "
    "%(known_at)s::timestamptz[], %(value)s::float8[]) ORDER BY 1, 2, 3, 4 ON CONFLICT DO NOTHING"
)
OTHER_SIDE = (
    "SELECT old.series, old.symbol, (extract(epoch FROM reference_at) * 1000)::bigint, "
    "(extract(epoch FROM known_at) * 1000)::bigint, old.value FROM {schema}.side_vintages AS old JOIN "
    "unnest(%(series)s::text[], %(symbol)s::text[], %(reference_at)s::timestamptz[], %(known_at)s::timestamptz[], "
    "%(value)s::float8[]) AS given (series, symbol, reference_at, known_at, value) "
    "USING (series, symbol, reference_at, known_at) WHERE old.value <> given.value LIMIT 1"
)
SIDE = (
    "SELECT series, symbol, (extract(epoch FROM reference_at) * 1000)::bigint, "
    "(extract(epoch FROM known_at) * 1000)::bigint, value FROM {schema}.side_vintages "
    "WHERE %(series)s::text[] IS NULL OR series = ANY(%(series)s::text[])"
)


def composed(statement: str, schema: str) -> "Composed":
    """A statement of this module for the tables in `schema`."""
    from psycopg import sql

    tables = sql.Identifier(schema)
    with_null = ", ".join(f"nullif({name}, 'NaN')" if name in NULLABLE else name for name in COLUMNS)
    return sql.SQL(statement).format(
        schema=tables,
        key_id=sql.SQL(_KEY_ID).format(schema=tables),
        names=sql.SQL(", ".join(COLUMNS)),
        with_null=sql.SQL(with_null),
        sent=sql.SQL(", ".join(f"string_agg({_sent(name)}, '')" for name in COLUMNS)),
    )


def _sent(name: str) -> str:
    """A cell as its eight bytes, the highest first."""
    if name in TIMES:
        return f"timestamptz_send({name})"
    if name in NULLABLE:
        return f"float8send(coalesce({name}, 'NaN'))"
    return f"float8send({name})" if name in VALUES else f"int8send({name})"
