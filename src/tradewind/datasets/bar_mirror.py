"""A local copy of a store's bars, a Parquet file for each month, that is brought up to date by what has changed.

A file is trusted only if it is the one that was written (its name has its hash) and its rows add up to what the store
says of that month now. So it matters neither which month a late row falls into nor where a run was killed.
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from tradewind.atomic import atomic_file, is_abandoned, is_partial, rename
from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import Span, stored_columns
from tradewind.data.stores.base import Fingerprint, Store
from tradewind.data.stores.months import months_between
from tradewind.datasets import parquet
from tradewind.errors import BadData

_FILE = re.compile(r"(?P<month>[0-9]{4}-[0-9]{2})-(?P<sha>[0-9a-f]{12})\.parquet")
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]*")
_LOW_BITS = 0x7FFFFFFF


def read_mirrored(store: Store, mirror: Path, key: BarKey) -> pd.DataFrame:
    """All stored rows of the key (`deliveries.reading_order`): changed months from the store, others from `mirror`.

    Args:
        store: asked for fingerprints, and for the months that changed.
        mirror: folder of the mirrored months; what is no longer stored is removed from it.
        key: of the bars.

    Returns:
        All stored rows, oldest first.
    """
    folder = mirror.joinpath(*_parts(key))
    files = _files_by_month(folder)
    months, kept = [], set()
    for month, fingerprint in sorted(store.fingerprints(key).items()):
        found = _first_equal(files.get(month, ()), fingerprint)
        if found is None:
            found = _fetch_month(store, key, month, folder)
        kept.add(found[0])
        months.append(found[1])
    _remove_others(folder, kept)
    return pd.concat(months, ignore_index=True) if months else stored_columns()


def fingerprint_of(rows: pd.DataFrame) -> Fingerprint:
    """What stored rows add up to, as `Store.fingerprints` says it of a month."""
    hashes = rows["content_hash"].to_numpy(dtype=np.int64) & _LOW_BITS
    return Fingerprint(len(rows), int(rows["received_at"].sum()), int(hashes.sum()))


def month_span(month: str) -> Span:
    """The opening times of the month `2024-01`, UTC."""
    begin_ms = int(np.datetime64(month, "ms").astype(np.int64))
    return months_between(begin_ms, begin_ms)[month]


def _parts(key: BarKey) -> list[str]:
    parts = [key.venue, key.symbol, key.timeframe]
    unfit = [part for part in parts if _PART.fullmatch(part) is None]
    if unfit:
        raise BadData(f"{key}: {unfit} cannot name a folder; rename it in the store, or use the store without a mirror")
    return parts


def _files_by_month(folder: Path) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    for file in sorted(folder.glob("*.parquet")):
        found = _FILE.fullmatch(file.name)
        if found is not None:
            files.setdefault(found["month"], []).append(file)
    return files


def _first_equal(files: Iterable[Path], fingerprint: Fingerprint) -> tuple[str, pd.DataFrame] | None:
    """The name and the rows of the first file that is whole and has this fingerprint."""
    for file in files:
        try:
            content = file.read_bytes()
            if not file.stem.endswith(hashlib.sha256(content).hexdigest()[:12]):
                continue
            rows = parquet.read_table(file, content)
        except (OSError, BadData):
            continue  # it is made anew
        if fingerprint_of(rows) == fingerprint:
            return file.name, rows
    return None


def _fetch_month(store: Store, key: BarKey, month: str, folder: Path) -> tuple[str, pd.DataFrame]:
    rows = store.read(key, month_span(month))
    unnamed = folder / f"{month}-unnamed.parquet"
    with atomic_file(unnamed) as temporary:
        written = parquet.write_table(rows, temporary, unnamed)
    file = folder / f"{month}-{written.sha256[:12]}.parquet"
    rename(unnamed, file)
    return file.name, rows


def _remove_others(folder: Path, kept: set[str]) -> None:
    for file in folder.glob("*") if folder.is_dir() else ():
        is_stale = is_abandoned(file) if is_partial(file) else _FILE.fullmatch(file.name) and file.name not in kept
        if is_stale:
            file.unlink(missing_ok=True)
