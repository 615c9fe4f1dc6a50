"""The local copy of a store is the store's rows, whatever was delivered, damaged or killed in between."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.data.ingestion.venue import HOUR, START, at, bars_of, key
from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import Span, receive
from tradewind.data.stores.base import Store
from tradewind.data.stores.catalogue import open_store
from tradewind.datasets import bar_mirror
from tradewind.datasets.bar_mirror import fingerprint_of, read_mirrored
from tradewind.errors import BadData

AAA = key("AAA")
# The bars begin two days before a month ends, so they lie in January (48), February (696) and March.
MONTHS = {"2024-01": range(48), "2024-02": range(48, 744), "2024-03": range(744, 800)}
Mirror = Callable[[Store, Path, BarKey], pd.DataFrame]


@pytest.fixture
def store(sqlite_settings: dict[str, object]) -> Iterator[Store]:
    opened = open_store(sqlite_settings)
    opened.append(receive(bars_of("AAA", range(744)), AAA, "venue", at(2000)))
    yield opened
    opened.close()


class Counted:
    """A store that says which months were read from it."""

    def __init__(self, store: Store) -> None:
        self._store, self.read_months = store, list[str]()
        self.fingerprints = store.fingerprints

    def read(self, one: BarKey, span: Span | None = None) -> pd.DataFrame:
        assert span is not None
        self.read_months.append(str(np.datetime64(span.since_ms, "ms").astype("datetime64[M]")))
        return self._store.read(one, span)


def months_read(store: Store, mirror: Path, by: Mirror = read_mirrored) -> list[str]:
    """Which months a mirrored read took from the store; what it gave must be what the store holds."""
    counted = Counted(store)
    rows = by(counted, mirror, AAA)  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(rows, store.read(AAA))
    return counted.read_months


def files(mirror: Path) -> list[Path]:
    return sorted(mirror.rglob("*.parquet"))


def test_only_months_that_changed_are_read_again(store: Store, tmp_path: Path) -> None:
    assert months_read(store, tmp_path) == ["2024-01", "2024-02"]
    assert months_read(store, tmp_path) == []
    store.append(receive(bars_of("AAA", MONTHS["2024-03"]), AAA, "venue", at(2001)))
    assert months_read(store, tmp_path) == ["2024-03"]


def check_late_row(store: Store, mirror: Path, by: Mirror) -> None:
    months_read(store, mirror, by)
    store.append(receive(bars_of("AAA", [3], shift=0.5), AAA, "venue", at(2001)))
    assert months_read(store, mirror, by) == ["2024-01"]
    store.append(receive(bars_of("AAA", [3], shift=0.5), AAA, "venue", at(2002)))  # the same row is no correction
    assert months_read(store, mirror, by) == []
    store.append(receive(bars_of("AAA", [3], shift=0.7), AAA, "venue", at(2003)))
    assert months_read(store, mirror, by) == ["2024-01"]
    assert len(files(mirror)) == 2


def _newest_only(store: Store, mirror: Path, one: BarKey) -> pd.DataFrame:
    """The planted fault: what is older than the newest mirrored row is taken for known."""
    held = [pd.read_parquet(file) for file in files(mirror)]
    newest = max([int(rows["open_time"].max()) + HOUR for rows in held], default=START)
    fresh = store.read(one, Span(newest, newest + 10_000 * HOUR))
    rows = pd.concat([*held, fresh], ignore_index=True)
    rows.to_parquet(mirror / "all.parquet")
    return rows


def test_a_late_row_in_an_old_month_refetches_that_month_alone(store: Store, tmp_path: Path) -> None:
    check_late_row(store, tmp_path, read_mirrored)


def test_a_mirror_that_trusts_the_newest_time_is_caught(store: Store, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        check_late_row(store, tmp_path, _newest_only)


@pytest.mark.parametrize("damage", ["flipped", "truncated", "emptied", "removed", "swapped", "not Parquet"])
def test_a_damaged_file_is_made_anew(store: Store, tmp_path: Path, damage: str) -> None:
    months_read(store, tmp_path)
    first, second = files(tmp_path)
    content = first.read_bytes()
    match damage:
        case "flipped":
            place = len(content) // 3
            first.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        case "truncated":
            first.write_bytes(content[: len(content) // 2])
        case "emptied":
            first.write_bytes(b"")
        case "removed":
            first.unlink()
        case "swapped":
            first.write_bytes(second.read_bytes())
        case "not Parquet":
            first.write_bytes(b"a note")
    assert months_read(store, tmp_path) == ["2024-01"]
    assert months_read(store, tmp_path) == []


def test_months_that_the_store_no_longer_has_are_removed(store: Store, tmp_path: Path) -> None:
    months_read(store, tmp_path / "mirror")
    other = open_store({"kind": "sqlite", "path": str(tmp_path / "other.sqlite")})
    other.append(receive(bars_of("AAA", MONTHS["2024-02"]), AAA, "venue", at(2000)))
    (tmp_path / "mirror/venue/AAA/1h/notes.txt").write_text("kept: not ours")
    assert months_read(other, tmp_path / "mirror") == []  # its February is the same
    assert [file.name[:7] for file in files(tmp_path / "mirror")] == ["2024-02"]
    assert (tmp_path / "mirror/venue/AAA/1h/notes.txt").exists()
    other.close()


def test_an_unknown_key_gives_no_rows(store: Store, tmp_path: Path) -> None:
    assert read_mirrored(store, tmp_path, key("CCC")).empty
    with pytest.raises(BadData, match="cannot name a folder"):
        read_mirrored(store, tmp_path, BarKey(venue="venue", symbol="..", timeframe="1h"))


@pytest.mark.parametrize("step", range(8))
def test_killed_at_any_step_the_next_read_is_whole(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """A child dies before or after it writes or names a file; the store changes; another process reads."""
    mirror = tmp_path / "mirror"
    child = os.fork()
    if child == 0:
        steps = iter(range(100))

        def dying(call: Callable[..., object]) -> Callable[..., object]:
            def wrapped(*arguments: object) -> object:
                if next(steps) == step:
                    os._exit(9)
                result = call(*arguments)
                if next(steps) == step:
                    os._exit(9)
                return result

            return wrapped

        try:
            monkeypatch.setattr(bar_mirror, "rename", dying(bar_mirror.rename))
            monkeypatch.setattr(bar_mirror.parquet, "write_table", dying(bar_mirror.parquet.write_table))
            read_mirrored(store, mirror, AAA)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    store.append(receive(bars_of("AAA", [60], shift=0.5), AAA, "venue", at(2001)))
    months_read(store, mirror)
    assert len([file for file in mirror.rglob("*") if file.is_file()]) <= 3  # at most one leftover, never read


def test_any_deliveries_give_the_stores_rows(store: Store, tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    for turn in range(12):
        first = int(rng.integers(0, 790))
        places = range(first, first + int(rng.integers(1, 10)))
        shift = float(rng.choice([0.0, 0.25]))
        store.append(receive(bars_of("AAA", places, shift), AAA, "venue", at(2001 + int(rng.integers(0, 5)))))
        if turn % 3:
            months_read(store, tmp_path)
    months_read(store, tmp_path)


def test_fingerprints_are_those_of_the_store(store: Store) -> None:
    for month, fingerprint in store.fingerprints(AAA).items():
        assert fingerprint_of(store.read(AAA, bar_mirror.month_span(month))) == fingerprint
