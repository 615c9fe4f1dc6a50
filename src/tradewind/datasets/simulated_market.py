"""The embedded default market: a SQLite file that is simulated from its specification when it is missing."""

import json
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from kedro.io import AbstractDataset
from pydantic import ValidationError

from tradewind.atomic import atomic_file
from tradewind.errors import BadData, BadParameters, TemporaryOutage
from tradewind.market.simulation.simulator import SimulatedMarket, SimulationSpec, simulate_market
from tradewind.parameters import faults

logger = logging.getLogger(__name__)

COLUMNS = {
    "bars": ("venue", "symbol", "timeframe", "open_time", "open", "high", "low", "close", "volume"),
    "side_series": ("series", "symbol", "known_at", "value"),
    "oracle": ("symbol", "timestamp", "expected_return", "target"),
    "regimes": ("symbol", "timestamp", "state"),
}
OPTIONAL_BAR_COLUMNS = ("quote_volume", "trades")
# No key on bars: they are kept as received, duplicates and all. Cells without a type keep what was delivered.
_SCHEMA = """
CREATE TABLE bars (venue TEXT, symbol TEXT, timeframe TEXT, open_time INTEGER, open, high, low, close, volume,
                   quote_volume, trades);
CREATE INDEX bars_by_symbol ON bars (venue, symbol, timeframe);
CREATE TABLE side_series (series TEXT, symbol TEXT, known_at INTEGER, value REAL);
CREATE TABLE oracle (symbol TEXT, timestamp INTEGER, expected_return REAL, target REAL);
CREATE TABLE regimes (symbol TEXT, timestamp INTEGER, state TEXT);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT);
"""

Origin = Literal["catalog", "command"]


def write_market(market: SimulatedMarket, path: Path, origin: Origin) -> None:
    """Write the market to a SQLite file, atomically; equal markets give equal bytes.

    Args:
        market: bars, side series, oracle and regimes.
        path: of the file, which is replaced as a whole.
        origin: who made it, for its table `meta`.
    """
    with atomic_file(path) as temporary, closing(sqlite3.connect(temporary)) as connection:
        connection.executescript(_SCHEMA)
        for partition, bars in market.bars.items():
            key = dict(zip(("venue", "symbol", "timeframe"), partition.split("/"), strict=True))
            _insert(connection, "bars", bars.assign(**key))
        _insert(
            connection, "side_series", market.side_series.assign(known_at=_epoch_ms(market.side_series["known_at"]))
        )
        _insert(connection, "oracle", market.oracle.assign(timestamp=_epoch_ms(market.oracle["timestamp"])))
        _insert(connection, "regimes", market.regimes.assign(timestamp=_epoch_ms(market.regimes["timestamp"])))
        meta = {
            "origin": origin,
            "specification": market.spec.model_dump_json(),
            "summary": json.dumps(market.summary),
        }
        connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        connection.commit()


def _insert(connection: sqlite3.Connection, table: str, rows: pd.DataFrame) -> None:
    names = ", ".join(rows.columns)
    places = ", ".join("?" * len(rows.columns))
    values = rows.astype(object).where(rows.notna(), None)
    # The table and its columns are names of this module, never input.
    connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", values.itertuples(index=False))  # noqa: S608


def _epoch_ms(instants: pd.Series) -> pd.Series:
    return instants.astype("int64")  # the unit is milliseconds by contract


class SimulatedMarketDataset(AbstractDataset[None, Any]):
    """One table of a SQLite market: `bars`, `side_series`, `oracle` or `regimes` (the true states, where it has any).

    A missing file is simulated and written first. A file that the catalog made from another specification is made
    again; a file made by `kedro simulate-market`, or by the user, is read as it is.

    Loads: `bars` as a function for each partition `venue/symbol/timeframe`, returning cells as received;
    the others as tables with UTC instants.
    """

    def __init__(
        self,
        *,
        filepath: str,
        table: Literal["bars", "side_series", "oracle", "regimes"],
        simulation: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        if table not in COLUMNS:
            raise BadParameters(f"table must be one of {sorted(COLUMNS)}, found {table!r}")
        self._filepath = Path(filepath)
        self._table = table
        try:
            self._spec = SimulationSpec(**(simulation or {}))
        except ValidationError as error:
            raise BadParameters(f"catalog_sources.yml: the simulation is not valid: {faults(error)}") from error
        self.metadata = metadata

    def load(self) -> Any:
        """The table.

        Raises:
            BadData: the file is not SQLite, or lacks the table or a column.
        """
        self._ensure_file()
        try:
            with closing(_connect(self._filepath)) as connection:
                self._check_columns(connection)
                if self._table == "bars":
                    return self._partitions(connection)
                rows = pd.read_sql_query(f"SELECT * FROM {self._table}", connection)  # noqa: S608 - one of COLUMNS
        except (sqlite3.Error, pd.errors.DatabaseError) as error:
            raise BadData(f"{self._filepath} cannot be read as a SQLite market: {error}") from error
        instant = "known_at" if self._table == "side_series" else "timestamp"
        rows[instant] = pd.to_datetime(rows[instant], unit="ms", utc=True).dt.as_unit("ms")
        return rows[list(COLUMNS[self._table])]

    def save(self, data: None) -> None:
        """Refused: a source is read only."""
        raise BadData(f"{self._filepath} is a source: make one with `kedro simulate-market`")

    def identity(self, universe: Any, of_file: Callable[[Path], str]) -> dict[str, Any]:
        """What tells this market from another: how it is simulated, or the hash of a file that is read as it is."""
        meta = _read_meta(self._filepath) if self._filepath.exists() else None
        if meta is not None and meta.get("origin") != "catalog":
            return {"kind": "file", "sha256": of_file(self._filepath)}
        return {"kind": "simulation", **self._spec.model_dump(mode="json")}

    def _ensure_file(self) -> None:
        meta = _read_meta(self._filepath) if self._filepath.exists() else None
        if meta is not None and meta.get("origin") != "catalog":
            message = "%s is read as it is: it was not made from the catalog"
            logger.info(message, self._filepath.name, extra={"lasting": True})
            return
        if meta is None or meta.get("specification") != self._spec.model_dump_json():
            logger.info(
                "simulating %d symbols x %d days into %s", self._spec.n_symbols, self._spec.days, self._filepath
            )
            try:
                write_market(simulate_market(self._spec), self._filepath, "catalog")
            except sqlite3.OperationalError as error:
                raise TemporaryOutage(
                    f"{self._filepath} cannot be written: {error}. Free space (or raise the quota) and run again"
                ) from error

    def _check_columns(self, connection: sqlite3.Connection) -> None:
        found = {row[1] for row in connection.execute("SELECT * FROM pragma_table_info(?)", (self._table,))}
        missing = [column for column in COLUMNS[self._table] if column not in found]
        if missing:
            raise BadData(
                f"{self._filepath}: table {self._table} needs the columns {list(COLUMNS[self._table])}, "
                f"{missing} are missing; see docs/data_formats.md"
            )

    def _partitions(self, connection: sqlite3.Connection) -> dict[str, Callable[[], pd.DataFrame]]:
        keys = connection.execute("SELECT DISTINCT venue, symbol, timeframe FROM bars ORDER BY 1, 2, 3")
        return {"/".join(key): partial(_read_bars, self._filepath, key) for key in keys.fetchall()}

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "table": self._table}


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _read_meta(path: Path) -> dict[str, str]:
    """What the file says of its making; empty for a file of the user's own."""
    try:
        with closing(_connect(path)) as connection:
            return dict(connection.execute("SELECT key, value FROM meta").fetchall())
    except sqlite3.OperationalError:
        return {}  # a user's own file has no such table
    except sqlite3.DatabaseError as error:
        raise BadData(f"{path} is not a SQLite file ({error}): delete it or put a market there") from error


def _read_bars(path: Path, key: tuple[str, str, str]) -> pd.DataFrame:
    with closing(_connect(path)) as connection:
        found = {row[1] for row in connection.execute("SELECT * FROM pragma_table_info('bars')")}
        optional = [column for column in OPTIONAL_BAR_COLUMNS if column in found]
        names = [*COLUMNS["bars"][3:], *optional]
        query = f"SELECT {', '.join(names)} FROM bars WHERE venue = ? AND symbol = ? AND timeframe = ? ORDER BY rowid"  # noqa: S608
        rows = connection.execute(query, key).fetchall()
    return pd.DataFrame(rows, columns=names)
