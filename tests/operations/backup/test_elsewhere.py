"""Backups in a bucket: what comes back is what went; what was cut off, altered or forged is refused."""

import json
import os
import secrets
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from click.testing import CliRunner

from tradewind.console import main as console
from tradewind.data.stores import s3_objects
from tradewind.data.stores.objects import Objects
from tradewind.data.stores.places import open_objects
from tradewind.data.stores.s3_objects import S3Objects
from tradewind.errors import BadData, BadParameters, TemporaryOutage
from tradewind.operations.backup.elsewhere import restore_from, send_backup
from tradewind.operations.backup.envelope import HEAD_BYTES
from tradewind.operations.backup.making import in_order
from tradewind.operations.backup.plan import BackupPlan, Key, make_key
from tradewind.operations.journal.journal import Entry, Journal

RUN, BARS = "data/paper/run", "data/raw/bars"
PARTS = {"paper": {"kind": "run", "path": RUN}, "bars": {"kind": "folder", "path": BARS}}
PLAN = BackupPlan.model_validate({"key": "backup.key", "parts": PARTS})


@pytest.fixture
def address(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix in a bucket of its own, reached as the commands reach one."""
    pytest.importorskip("s3fs", reason="pip install 'tradewind[stores]'")
    bucket = f"test-{secrets.token_hex(6)}"
    with urlopen(Request(f"{s3_server}/{bucket}", method="PUT"), timeout=30):
        pass
    for name, value in (("ACCESS_KEY_ID", "the-key"), ("SECRET_ACCESS_KEY", "the-secret"), ("REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return f"s3://{bucket}/backups"


@pytest.fixture(params=["s3", "folder"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    if request.param == "folder":
        return open_objects(str(tmp_path / "kept"))
    return open_objects(request.getfixturevalue("address"), request.getfixturevalue("s3_server"))


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return make_key(tmp_path_factory.mktemp("keys") / "backup.key")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / BARS).mkdir(parents=True)
    (folder / BARS / "01.parquet").write_bytes(b"PLAIN" * 14_000 + os.urandom(70_000))
    with Journal(folder / RUN / "journal.jsonl") as journal:
        journal.append([Entry("intent", {"number": number}) for number in range(20)], 1)
    return folder


def test_what_comes_back_is_what_went(objects: Objects, key: Key, project: Path, tmp_path: Path) -> None:
    sent = send_backup(project, PLAN, key, objects)
    assert objects.names("") == [sent.name] and objects.size(sent.name) == sent.size
    assert b"PLAINPLAIN" not in objects.read(sent.name)
    done = restore_from(objects, sent.name, key, tmp_path / "there")
    assert done.contents == sent.made.contents
    for file in (f"{RUN}/journal.jsonl", f"{BARS}/01.parquet"):
        assert (tmp_path / "there" / file).read_bytes() == (project / file).read_bytes()
    assert sorted(one.name for one in (tmp_path / "there").iterdir()) == ["data"]  # nothing fetched is left


def test_every_altered_object_is_refused(objects: Objects, key: Key, project: Path, tmp_path: Path) -> None:
    name = send_backup(project, PLAN, key, objects).name
    whole, there = objects.read(name), tmp_path / "there"
    for at in (0, 40, HEAD_BYTES - 1, HEAD_BYTES, len(whole) // 2, len(whole) - 1):
        objects.write(name, whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(BadData, match=r"is damaged|is forged") as told:
            restore_from(objects, name, key, there)
        assert objects.where(name) in str(told.value) and ".fetching" not in str(told.value)
    for size in (0, 1, HEAD_BYTES, len(whole) - 1):
        objects.write(name, whole[:size])
        with pytest.raises(BadData, match="damaged or"):
            restore_from(objects, name, key, there)
    objects.write(name, whole + b"x")
    with pytest.raises(BadData, match="damaged or cut off"):
        restore_from(objects, name, key, there)
    objects.write(name, whole)
    with pytest.raises(BadParameters, match="was sealed with the key"):
        restore_from(objects, name, make_key(tmp_path / "other.key"), there)
    assert not there.exists() or not list(there.iterdir())
    restore_from(objects, name, key, there)


def test_a_forged_object_is_not_fetched(
    objects: Objects, key: Key, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = send_backup(project, PLAN, key, objects).name
    objects.write(name, objects.read(name) + bytes(1000))
    monkeypatch.setattr(objects, "receive", lambda *_: pytest.fail("its head was not checked first"))
    with pytest.raises(BadData, match="cut off"):
        restore_from(objects, name, key, tmp_path / "there")


def test_one_that_is_replaced_while_it_is_fetched_is_refused(
    objects: Objects, key: Key, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = send_backup(project, PLAN, key, objects).name
    receive, whole = objects.receive, objects.read(name)

    def replaced(name: str, file: Path, size: int) -> None:
        objects.write(name, whole[:HEAD_BYTES] + bytes(2 * len(whole)))
        receive(name, file, size)
        assert file.stat().st_size == size

    monkeypatch.setattr(objects, "receive", replaced)
    with pytest.raises(BadData, match="is damaged"):
        restore_from(objects, name, key, tmp_path / "there")


def test_an_upload_goes_in_parts_and_is_there_when_the_last_one_is(
    address: str, s3_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_objects, "PART_BYTES", 5 << 20)  # the least that S3 takes
    objects = open_objects(address, s3_server)
    assert isinstance(objects, S3Objects)
    file, filesystem = tmp_path / "file", objects._connect()
    file.write_bytes(os.urandom(11 << 20))
    calls: list[str] = []
    call = filesystem._call_s3

    async def counted(method: str, *given: object, **named: object) -> object:
        calls.append(method)
        if method == "upload_part" and failing and calls.count("upload_part") == 2:
            raise PermissionError("cut off")
        return await call(method, *given, **named)

    monkeypatch.setattr(filesystem, "_call_s3", counted)
    failing = True
    with pytest.raises(BadParameters, match="refuses"):
        objects.send("whole", file)
    assert objects.names("") == [] and "abort_multipart_upload" in calls
    failing = False
    calls.clear()
    objects.send("whole", file)
    assert calls.count("upload_part") == 3 and "put_object" not in calls
    objects.receive("whole", tmp_path / "back", 11 << 20)
    assert (tmp_path / "back").read_bytes() == file.read_bytes()
    assert calls.count("get_object") == 3  # neither way is the whole in memory


def test_no_server_takes_no_backup_away(
    key: Key, project: Path, address: str, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = open_objects(address, s3_server)
    name = send_backup(project, PLAN, key, objects).name

    def cut_off(name: str, file: Path) -> None:
        raise TemporaryOutage(f"{name}: the server did not answer; run again when it does")

    monkeypatch.setattr(objects, "send", cut_off)
    with pytest.raises(TemporaryOutage):
        send_backup(project, PLAN, key, objects, keep=1)
    assert objects.names("") == [name]


def test_the_commands(address: str, s3_server: str, project: Path, tmp_path: Path) -> None:
    plan, run = tmp_path / "backup.yml", CliRunner()
    plan.write_text(json.dumps({"key": str(tmp_path / "k.key"), "parts": PARTS}))
    make_key(tmp_path / "k.key")
    common = ["--plan", str(plan), "--endpoint", s3_server]
    for _ in range(3):
        told = run.invoke(console, ["backup", address, "--project", str(project), "--keep", "2", *common])
        assert told.exit_code == 0, told.output
    where = told.output.split(": ")[0]
    objects = open_objects(address, s3_server)
    assert len(objects.names("")) == 2 and where.rpartition("/")[2] in objects.names("")
    objects.write("mine/of-somebody-else.backup", b"")
    there = tmp_path / "there"
    done = run.invoke(console, ["restore", where, "--into", str(there), *common])
    assert done.exit_code == 0 and "head 20" in done.output, done.output
    for wrong in (address, f"{address}/", f"{address}/tradewind-20200101T000000Z.backup"):
        refused = run.invoke(console, ["restore", wrong, "--into", str(there), *common])
        assert refused.exit_code == 1 and f"no backup: the newest there is {where}" in refused.output, refused.output
    for wrong in ("s3://", "s3://Not A Bucket/x", f"s3://{address.split('/')[2]}"):
        refused = run.invoke(console, ["restore", wrong, "--into", str(there), *common])
        assert refused.exit_code == 1, wrong
    for command, wrong in (("restore", "x.backup"), ("backup", str(there))):
        assert "is of a bucket" in run.invoke(console, [command, wrong, *common]).output
    common[-1] = "minio:9000"
    assert "minio:9000 is no server's address" in run.invoke(console, ["backup", address, *common]).output


def test_of_one_second_the_first_made_is_the_oldest() -> None:
    second = "tradewind-20260101T000000Z"
    ordered = [f"{second}.backup", *(f"{second}-{number}.backup" for number in (1, 2, 10))]
    later = "p/tradewind-20260101T000001Z.backup"
    assert in_order([later, *reversed(ordered), f"{second}.backup.tmp", "notes.txt"]) == [*ordered, later]
