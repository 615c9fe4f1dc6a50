"""Where the tables of imported files go: named by venue, symbol and content, so that none replaces another."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

    from tradewind.data.file_import.importer import ImportPlan

_UNNAMED = "unnamed"
_DIGEST_SHOWN = 12


class TableReceipt(NamedTuple):
    """What became of one table: received = new + known; `new` rows can be read back from `path`."""

    path: Path
    rows_received: int
    rows_new: int
    rows_known: int

    def __str__(self) -> str:
        return f"{self.rows_received:,} rows: {self.rows_new:,} new, {self.rows_known:,} known, in {self.path}"


class OneCommand:
    """The bars that one command has taken so far, by key: two files of other prices for one key are two markets."""

    def __init__(self) -> None:
        self._taken: dict[Any, tuple[Path, Any]] = {}

    def require_alike(self, plan: "ImportPlan") -> None:
        """Nothing, unless a file of this command holds other prices for most of the same bars.

        Raises:
            BadData: it does; the second would replace the first.
        """
        from tradewind.errors import BadData

        for bars in plan.bars:
            rows = bars.rows.drop_duplicates("open_time", keep="last").set_index("open_time")["close"]
            path, before = self._taken.setdefault(bars.key, (plan.path, rows))
            common = rows.index.intersection(before.index)
            differing = int((rows[common] != before[common]).sum())
            if path != plan.path and len(common) > 1 and differing * 2 > len(common):
                raise BadData(
                    f"{bars.key} is what {path} is, too, and they differ in {differing:,} of {len(common):,} bars: one "
                    "would replace the other. Import each with its own --symbol, or the correction by itself"
                )


def folder_of(plan: "ImportPlan", root: Path, venue: str | None, symbol: str | None) -> Path:
    """ROOT/VENUE/SYMBOL/NAME-DIGEST, the folder of one file's tables.

    Args:
        plan: what the file holds.
        root: of all imported tables.
        venue: of the rows, where it is known.
        symbol: of the rows, where it is known.
    """
    own = f"{plan.path.name}-{plan.digest[:_DIGEST_SHOWN]}"
    return root / (venue or _UNNAMED) / (symbol or _UNNAMED) / own


def write_tables(plan: "ImportPlan", root: Path, venue: str | None, symbol: str | None) -> list[TableReceipt]:
    """Write each table of a plan; the same content again, and trades whose identity is there already, change nothing.

    Args:
        plan: what the file holds.
        root: of all imported tables.
        venue: of the rows, where it is known.
        symbol: of the rows, where no column says it.

    Raises:
        BadData: the file was imported before with other settings, by which its rows are others.
    """
    receipts = []
    for named, table in plan.tables.items():
        of, _, name = named.rpartition("/")
        path = folder_of(plan, root, venue, of or symbol) / f"{name}.parquet"
        is_known = _known_trades(table, path, bool(venue and (of or symbol))) if "id" in table else None
        new = table if is_known is None else table[~is_known]
        if path.exists():
            _require_same(new, path)
            receipts.append(TableReceipt(path, len(table), 0, len(table)))
            continue
        write_table(new.reset_index(drop=True), path)
        receipts.append(TableReceipt(path, len(table), len(new), len(table) - len(new)))
    return receipts


def _require_same(table: "pd.DataFrame", path: Path) -> None:
    """Nothing, if what the file gave before is in what it gives now."""
    import pyarrow.parquet as pq

    from tradewind.errors import BadData

    stored = pq.read_table(path).to_pandas()
    now = table.reset_index(drop=True).astype(stored.dtypes.to_dict(), errors="ignore")
    if list(stored) != list(now) or not stored.equals(now):
        raise BadData(
            f"{path} has what this file gave with other settings, and its rows are others now: give the settings of "
            "then, or remove that folder and import it again"
        )


def _known_trades(table: "pd.DataFrame", path: Path, is_one_market: bool) -> Any:
    """Which trades an earlier file of the same market holds by their identity."""
    import numpy as np
    import pyarrow.parquet as pq

    known: set[str] = set()
    for other in sorted(path.parent.parent.glob("*/trades.parquet")) if is_one_market else ():
        if other != path:
            known.update(pq.read_table(other, columns=["id"])["id"].to_pylist())
    return (table["id"].isin(known - {""})).to_numpy() if known else np.zeros(len(table), dtype=bool)


def write_table(table: Any, path: Path) -> None:
    """Write a table as Parquet, whole or not at all."""
    from tradewind.atomic import atomic_file
    from tradewind.datasets.parquet import write_table

    with atomic_file(path) as temporary:
        write_table(table, temporary, path)
