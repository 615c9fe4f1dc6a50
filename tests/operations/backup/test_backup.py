"""A backup holds what was there at one moment, gives it back elsewhere, and is refused where it is not sound."""

import io
import json
import multiprocessing
import os
import resource
import shutil
import sqlite3
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.depth import deep
from tests.mounts import mounted
from tests.operations.bundles import bundle_files
from tradewind.console import main as console
from tradewind.errors import BadData, BadParameters, FolderInUse, TemporaryOutage
from tradewind.folder_lock import locked
from tradewind.operations.backup import collecting
from tradewind.operations.backup.envelope import HEAD_BYTES, opened, seal
from tradewind.operations.backup.making import make_backup
from tradewind.operations.backup.plan import BackupPlan, Key, make_key, read_key, read_plan
from tradewind.operations.backup.restoring import Rules, restore
from tradewind.operations.journal.anchors import drop_anchor, verify
from tradewind.operations.journal.journal import Entry, Journal, read
from tradewind.operations.registry.gate import GateRules
from tradewind.operations.registry.records import Reason
from tradewind.operations.registry.registry import Registry

RUN, REGISTRY, BASE, BARS = "data/paper/run", "data/registry", "data/raw/market.sqlite", "data/raw/bars"
PARTS = {
    "paper": {"kind": "run", "path": RUN, "anchors": "data/paper/anchors.jsonl"},
    "registry": {"kind": "registry", "path": REGISTRY},
    "market": {"kind": "sqlite", "path": BASE},
    "bars": {"kind": "folder", "path": BARS},
}
PLAN = BackupPlan.model_validate({"key": "backup.key", "parts": PARTS})
ME = Reason("operator", "test")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return make_key(tmp_path_factory.mktemp("keys") / "backup.key")


def write_records(run: Path, first: int, count: int) -> None:
    """So many intents in the journal, each sent to the venue's ledger afterwards."""
    with Journal(run / "journal.jsonl") as journal, Journal(run / "venue.jsonl") as venue:
        for number in range(first, first + count):
            journal.append([Entry("intent", {"number": number, "note": "x" * 500})], number)
            venue.append([Entry("order", {"number": number})], number)


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    """A project of this test alone."""
    return Path(shutil.copytree(template, tmp_path / "project"))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a run of 20 intents, a registry of two versions, a database and a folder of files."""
    folder = tmp_path_factory.mktemp("template") / "project"
    write_records(folder / RUN, 1, 20)
    (folder / RUN / "token").write_text("the dashboard's token")
    (folder / RUN / "snapshots").mkdir()
    (folder / RUN / "snapshots" / "000000000007-abc.state").write_bytes(b"state")
    (folder / RUN / "snapshots" / "000000000099-abc.state").write_bytes(b"of later than the journal")
    registry = Registry(folder / REGISTRY, GateRules(row_p99_ms=1000))
    for seed in (1, 2):
        registry.register(bundle_files(seed=seed))
    registry.move("production", "champion", 1, None, ME)
    (folder / BARS / "2026").mkdir(parents=True)
    (folder / BARS / "2026" / "01.parquet").write_bytes(os.urandom(70_000))
    with closing(sqlite3.connect(folder / BASE)) as base:
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("CREATE TABLE pairs (first INTEGER, second INTEGER)")
        base.commit()
    return folder


def pair_sums(path: Path) -> tuple[int, int, int]:
    with closing(sqlite3.connect(path)) as base:
        found: tuple[int, int, int] = base.execute(
            "SELECT count(*), coalesce(sum(first), 0), coalesce(sum(second), 0) FROM pairs"
        ).fetchone()
        return found


def test_what_was_kept_comes_back_elsewhere(project: Path, key: Key, tmp_path: Path) -> None:
    made = make_backup(project, PLAN, key, tmp_path / "backups")
    cpu = resource.getrusage(resource.RUSAGE_SELF)
    done = restore(made.path, key, tmp_path / "elsewhere")
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_utime - cpu.ru_utime < 30  # the aim is five minutes of wall
    there = tmp_path / "elsewhere"
    assert verify(there / RUN / "journal.jsonl")[:2] == verify(project / RUN / "journal.jsonl")[:2]
    assert (there / RUN / "venue.jsonl").read_bytes() == (project / RUN / "venue.jsonl").read_bytes()
    old, new = Registry(project / REGISTRY), Registry(there / REGISTRY)
    assert (new.versions(), new.roles("production"), new.history()) == (
        old.versions(), old.roles("production"), old.history(),
    )  # fmt: skip
    assert new.read(2) == old.read(2)
    assert (there / BARS / "2026/01.parquet").read_bytes() == (project / BARS / "2026/01.parquet").read_bytes()
    assert done.contents["parts"]["paper"]["head"][0] == 20
    with Journal(there / RUN / "journal.jsonl") as journal:  # and it goes on
        assert journal.append([Entry("intent", {})], 21)[0].seq == 21


@pytest.mark.parametrize("place", ["a link", deep("a mount")])
def test_a_backup_is_restored_where_data_is_another_disk(project: Path, key: Key, tmp_path: Path, place: str) -> None:
    """What is unpacked in the project's folder cannot be renamed onto the disk of its data; the link stays one."""
    path = make_backup(project, PLAN, key, tmp_path / "backups").path
    there = tmp_path / "elsewhere"
    there.mkdir()
    with mounted(there / "data" if place == "a mount" else tmp_path / "disk") as disk:
        if place == "a link":
            (there / "data").symlink_to(disk)
        restore(path, key, there)
        again = restore(path, key, there, Rules(replace=True))
        assert verify(there / RUN / "journal.jsonl")[:2] == verify(project / RUN / "journal.jsonl")[:2]
        assert (there / BARS / "2026/01.parquet").read_bytes() == (project / BARS / "2026/01.parquet").read_bytes()
        assert len(again.aside) >= len(PARTS) and all(one.stat().st_dev == disk.stat().st_dev for one in again.aside)
        assert (there / "data").is_symlink() == (place == "a link")
        assert not list(there.rglob(".restoring-*")) and not list(disk.rglob(".restoring-*"))


def test_a_part_that_is_a_mount_is_not_put_aside(project: Path, key: Key, tmp_path: Path) -> None:
    path = make_backup(project, PLAN, key, tmp_path / "backups").path
    with mounted(tmp_path / "elsewhere" / BARS) as disk:
        (disk / "kept").write_text("")
        with pytest.raises(BadParameters, match="bars is a mount of its own, which cannot be put aside"):
            restore(path, key, tmp_path / "elsewhere", Rules(replace=True))
        assert not (tmp_path / "elsewhere" / RUN).exists() and (disk / "kept").exists()


def test_neither_content_nor_token_can_be_read_in_it(project: Path, key: Key, tmp_path: Path) -> None:
    path = make_backup(project, PLAN, key, tmp_path / "backups").path
    content = path.read_bytes()
    assert b"intent" not in content and key.secret not in content
    assert path.stat().st_mode & 0o077 == 0
    with opened(path, key) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        names = [member.name for member in archive]
    assert "paper/token" not in names and "paper/journal.jsonl" in names
    assert "paper/snapshots/000000000007-abc.state" in names and not [one for one in names if "000000000099" in one]
    restore(path, key, tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere" / RUN / "token").exists()


def _load(project: Path, stop: "multiprocessing.synchronize.Event") -> None:
    """Write to everything without a pause."""
    registry, number = Registry(project / REGISTRY, GateRules(row_p99_ms=1000)), 21
    champion = 1
    with (
        Journal(project / RUN / "journal.jsonl") as journal,
        Journal(project / RUN / "venue.jsonl") as venue,
        closing(sqlite3.connect(project / BASE)) as base,
    ):
        while not stop.is_set():
            journal.append([Entry("intent", {"number": number, "note": "x" * 20_000})], number)
            venue.append([Entry("order", {"number": number})], number)
            with base:
                base.execute("INSERT INTO pairs VALUES (?, 0)", (number,))
                base.execute("UPDATE pairs SET second = first WHERE first = ?", (number,))
            if number % 5 == 0:
                registry.move("production", "champion", 3 - champion, champion, ME)
                champion = 3 - champion
            number += 1


@contextmanager
def under_load(project: Path) -> Iterator[None]:
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    writer = context.Process(target=_load, args=(project, stop))
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join(30)
        assert writer.exitcode == 0


def counts(folder: Path) -> tuple[int, int]:
    """Intents in the journal and orders in the venue's ledger."""
    return sum(1 for _ in read(folder / RUN / "journal.jsonl")), sum(1 for _ in read(folder / RUN / "venue.jsonl"))


def check_moment(folder: Path) -> None:
    """What is there could be seen at one moment: an order follows its intent and precedes the next."""
    intents, orders = counts(folder)
    assert intents - orders in (0, 1)
    _, first, second = pair_sums(folder / BASE)
    assert first == second


def test_a_backup_under_load_is_of_one_moment(project: Path, key: Key, tmp_path: Path) -> None:
    backups = []
    with under_load(project):
        for _ in range(6):
            before = counts(project)[0]
            backups.append((before, make_backup(project, PLAN, key, tmp_path / "backups").path))
    lost = [journal_head(project) - one for one, _ in backups]
    assert lost[0] > 0, "nothing was written meanwhile"
    for number, (before, path) in enumerate(backups):
        there = tmp_path / f"elsewhere{number}"
        done = restore(path, key, there)
        head = done.contents["parts"]["paper"]["head"]
        assert head[0] >= before  # the recovery point is the moment of the backup
        own = [record.hash for record in read(project / RUN / "journal.jsonl") if record.seq == head[0]]
        assert own == [head[1]]
        check_moment(there)
        new, old = Registry(there / REGISTRY).history(), Registry(project / REGISTRY).history()
        assert new == old[: len(new)]


def journal_head(folder: Path) -> int:
    return verify(folder / RUN / "journal.jsonl").records


@pytest.mark.depth
def test_months_of_a_journal_are_back_within_five_minutes(project: Path, key: Key, tmp_path: Path) -> None:
    """A hundred thousand records, the registry and the databases: made, restored and checked to the last hash."""
    note = "x" * 500
    with Journal(project / RUN / "journal.jsonl") as journal:
        for first in range(100_000, 200_000, 1000):
            journal.append([Entry("intent", {"number": first + at, "note": note}) for at in range(1000)], first)
    backup = make_backup(project, PLAN, key, tmp_path / "backups").path
    began = time.monotonic()
    restore(backup, key, tmp_path / "there")
    assert verify(tmp_path / "there" / RUN / "journal.jsonl").records == 100_020
    assert time.monotonic() - began < 300.0
    assert Registry(tmp_path / "there" / REGISTRY).history() == Registry(project / REGISTRY).history()


def test_files_that_are_looked_at_one_after_the_other_are_noticed(
    project: Path, key: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted fault: sizes of two moments."""

    def careless(paths: list[Path], patience_s: float = 0) -> list[int]:
        first = paths[0].stat().st_size
        first -= len(paths[0].read_bytes()[:first].rpartition(b"\n")[2])
        time.sleep(0.3)
        second = paths[1].read_bytes().rpartition(b"\n")
        return [first, len(second[0]) + 1]

    monkeypatch.setattr(collecting, "cut", careless)
    with under_load(project):
        path = make_backup(project, PLAN, key, tmp_path / "backups").path
    restore(path, key, tmp_path / "elsewhere")
    with pytest.raises(AssertionError):
        check_moment(tmp_path / "elsewhere")


def test_a_file_without_a_pause_is_given_up(tmp_path: Path) -> None:
    torn = tmp_path / "journal.jsonl"
    torn.write_bytes(b"half a record")
    with pytest.raises(TemporaryOutage, match="without a pause"):
        collecting.cut([torn], patience_s=0.05)


def damaged(content: bytes, how: str) -> bytes:
    """A backup after a disk, a transfer or somebody was at it."""
    if how == "cut":
        return content[: len(content) * 2 // 3]
    if how == "longer":
        return content + b"\0"
    if how == "empty":
        return b""
    place = {"head": 20, "age": HEAD_BYTES + 30, "body": len(content) // 2, "end": len(content) - 1}[how]
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


@pytest.mark.parametrize("how", ["cut", "longer", "empty", "head", "age", "body", "end"])
def test_a_damaged_backup_is_refused(how: str, project: Path, key: Key, tmp_path: Path) -> None:
    path = make_backup(project, PLAN, key, tmp_path / "backups").path
    path.write_bytes(damaged(path.read_bytes(), how))
    with pytest.raises(BadData, match="damaged.*take another one; nothing was restored"):
        restore(path, key, tmp_path / "elsewhere")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_wrong_key_is_told_by_name(project: Path, key: Key, tmp_path: Path) -> None:
    path = make_backup(project, PLAN, key, tmp_path / "backups").path
    other = make_key(tmp_path / "other.key")
    with pytest.raises(BadParameters, match=f"sealed with the key {key.name}, not {other.name}.*--key"):
        restore(path, other, tmp_path / "elsewhere")


def test_whoever_knows_the_public_key_alone_cannot_forge_one(key: Key, tmp_path: Path) -> None:
    forger = Key(key.identity, b"not the secret", key.name)  # age itself needs no more than the public key
    path = tmp_path / "forged.backup"
    seal(path, forger, lambda stream: stream.write(b"anything") and None)
    with pytest.raises(BadData, match="forged"):
        restore(path, key, tmp_path / "elsewhere")


def forged(path: Path, key: Key, files: dict[str, bytes], links: tuple[str, ...] = ()) -> None:
    """A backup that was sealed with the right key by a program that is not this one."""

    def write(stream: io.BufferedIOBase) -> None:
        with tarfile.open(fileobj=stream, mode="w|") as archive:
            for name, content in files.items():
                about = tarfile.TarInfo(name)
                about.size = len(content)
                archive.addfile(about, io.BytesIO(content))
            for name in links:
                about = tarfile.TarInfo(name)
                about.type, about.linkname = tarfile.SYMTYPE, "/etc/passwd"
                archive.addfile(about)

    seal(path, key, write)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("files", "links", "message"),
    [
        ({"../outside": b"x"}, (), "which no backup does"),
        ({"/etc/outside": b"x"}, (), "which no backup does"),
        ({}, ("paper/journal.jsonl",), "which no backup does"),
        ({"paper/journal.jsonl": b"x"}, (), "does not say what it holds"),
        ({"contents.json": b'{"files": {"a": [1, "0"]}, "parts": {}}'}, (), "does not hold what it says"),
        ({"contents.json": json.dumps({"files": {}, "parts": {"p": {"kind": "sqlite", "path": "../x"}}}).encode()}, (),
         "inside the project"),
    ],
)  # fmt: skip
def test_what_no_backup_holds_is_refused(
    files: dict[str, bytes], links: tuple[str, ...], message: str, key: Key, tmp_path: Path
) -> None:
    path = tmp_path / "other.backup"
    forged(path, key, files, links)
    with pytest.raises(BadData, match=message):
        restore(path, key, tmp_path / "deep" / "elsewhere")
    assert [one.name for one in (tmp_path / "deep").rglob("*")] == ["elsewhere"]


def test_nothing_is_restored_over_a_running_system(project: Path, key: Key, tmp_path: Path) -> None:
    path = make_backup(project, PLAN, key, tmp_path / "backups").path
    with Journal(project / RUN / "journal.jsonl"), pytest.raises(BadParameters, match="running system.*systemctl stop"):
        restore(path, key, project, Rules(replace=True, accept_older=True))
    with locked(project / "data", "kedro run"), pytest.raises(FolderInUse):
        restore(path, key, project, Rules(replace=True))
    with pytest.raises(BadParameters, match="--into.*--replace"):
        restore(path, key, project)
    done = restore(path, key, project, Rules(replace=True))
    assert len(done.aside) >= 4 and all(one.exists() for one in done.aside)
    assert journal_head(project) == 20 and pair_sums(project / BASE) == (0, 0, 0)


def test_an_older_head_is_refused(project: Path, key: Key, tmp_path: Path) -> None:
    path = make_backup(project, PLAN, key, tmp_path / "backups").path
    write_records(project / RUN, 21, 3)
    with pytest.raises(BadData, match="knows record 23, the backup ends at 20.*lose 3 records"):
        restore(path, key, project, Rules(replace=True))
    anchors = project / "data/paper/anchors.jsonl"
    drop_anchor(anchors, (22, "f" * 64), 1)
    shutil.rmtree(project / RUN)
    with pytest.raises(BadData, match="anchors.jsonl knows record 22"):
        restore(path, key, project, Rules(replace=True))
    restore(path, key, project, Rules(replace=True, accept_older=True))
    assert journal_head(project) == 20


def test_another_journal_is_not_replaced(project: Path, key: Key, tmp_path: Path) -> None:
    path = make_backup(project, PLAN, key, tmp_path / "backups").path
    shutil.rmtree(project / RUN)
    write_records(project / RUN, 100, 5)
    with pytest.raises(BadData, match="another journal"):
        restore(path, key, project, Rules(replace=True))
    shutil.rmtree(project / RUN)
    drop_anchor(project / "data/paper/anchors.jsonl", (4, "f" * 64), 1)
    with pytest.raises(BadData, match="another journal"):
        restore(path, key, project, Rules(replace=True))


def test_no_backup_is_made_of_what_is_damaged(project: Path, key: Key, tmp_path: Path) -> None:
    journal = project / RUN / "journal.jsonl"
    sound = journal.read_bytes()
    journal.write_bytes(sound.replace(b'"number":7', b'"number":8'))
    with pytest.raises(BadData, match="record 7 is not what was written"):
        make_backup(project, PLAN, key, tmp_path / "backups")
    journal.write_bytes(sound)
    (project / BASE).write_bytes((project / BASE).read_bytes()[:50] + os.urandom(6000))
    with pytest.raises((BadData, TemporaryOutage)):
        make_backup(project, PLAN, key, tmp_path / "backups")
    assert list((tmp_path / "backups").iterdir()) == [] and not list(project.rglob(".backup-*"))


def test_a_full_disk_leaves_no_half_a_backup(key: Key, tmp_path: Path) -> None:
    def write(stream: io.BufferedIOBase) -> None:
        for _ in range(64):
            stream.write(os.urandom(65_536))

    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limit[1]))
    try:
        with pytest.raises(TemporaryOutage, match="free space"):
            seal(tmp_path / "one.backup", key, write)  # type: ignore[arg-type]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("key: k\nparts:\n  a: {kind: run, path: data/run, deep: 1}\n", "line 3: parts.a.deep: there is no such key"),
        ("key: k\nparts:\n  a:\n    kind: run\n    path: ../run\n", "line 5: parts.a.path: is a path inside"),
        ("key: k\nparts:\n  a: {kind: run, path: data}\n  b:\n    kind: folder\n    path: data/x\n",
         "line 6: parts.b.path: lies in the path of a"),
        ("key: k\nkey: l\nparts: {}\n", "line 2: key is there twice"),
        ("key: k\nparts: {}\n", "line 2: parts"),
        ("key: [k\n", "line 2"),
        ("", "line 1"),
    ],
)  # fmt: skip
def test_a_wrong_plan_is_refused_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "backup.yml"
    path.write_text(text)
    with pytest.raises(BadParameters) as told:
        read_plan(path)
    assert message in str(told.value)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.key"
    make_key(path)
    with pytest.raises(BadParameters, match="older backups may need it"):
        make_key(path)
    path.chmod(0o640)
    with pytest.raises(BadParameters, match=f"chmod 600 {path}"):
        read_key(path)
    path.chmod(0o600)
    path.write_text("AGE-SECRET-KEY-1QQQ\n")
    with pytest.raises(BadParameters, match="holds no key") as told:
        read_key(path)
    assert "QQQ" not in str(told.value)


def test_the_commands(project: Path, tmp_path: Path) -> None:
    run, backups = CliRunner(), tmp_path / "backups"
    plan = tmp_path / "backup.yml"
    plan.write_text(
        json.dumps({"key": str(tmp_path / "k.key"), "parts": PARTS | {"none": {"kind": "run", "path": "n"}}})
    )
    assert run.invoke(console, ["backup-key", str(tmp_path / "k.key")]).exit_code == 0
    words = ["backup", str(backups), "--plan", str(plan), "--project", str(project), "--keep", "2"]
    told = [run.invoke(console, words) for _ in range(3)]
    assert [one.exit_code for one in told] == [0, 0, 0] and "none         is not there" in told[0].output
    kept = sorted(backups.iterdir())
    assert len(kept) == 2
    there = run.invoke(console, ["restore", str(kept[-1]), "--plan", str(plan), "--into", str(tmp_path / "there")])
    assert there.exit_code == 0 and f"head {' '.join(map(str, _head(project)))}" in there.output
    again = run.invoke(console, ["restore", str(kept[-1]), "--plan", str(plan), "--into", str(tmp_path / "there")])
    assert again.exit_code == 1 and "--replace" in again.output


def _head(folder: Path) -> tuple[int, str]:
    return verify(folder / RUN / "journal.jsonl")[:2]


def test_the_plan_that_is_shipped_is_sound() -> None:
    assert set(read_plan(Path(__file__).parents[3] / "conf/base/backup.yml").parts) >= {"paper", "registry"}
