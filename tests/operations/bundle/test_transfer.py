"""Bundles elsewhere: what comes back is what went, and nothing that was altered, cut off or smuggled in is taken."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from click.testing import CliRunner

from tests.operations.bundles import bundle_files
from tradewind.console.models import models
from tradewind.data.stores.objects import Objects
from tradewind.data.stores.places import open_objects
from tradewind.data.stores.s3_objects import S3Access, S3Objects
from tradewind.errors import BadModel, BadParameters, TemporaryOutage
from tradewind.operations.bundle.sealing import FILE_BYTES, MANIFEST, MANIFEST_BYTES, identity_of, manifest_of
from tradewind.operations.bundle.transfer import pull_bundle, push_bundle
from tradewind.operations.registry.registry import Registry

FILES = {"spec.json": b"{}", "model.txt": b"tree\n" * 1000, "empty.txt": b""}


@pytest.fixture(params=["folder", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Objects]:
    """A place that is empty, of each kind."""
    if request.param == "folder":
        yield open_objects(str(tmp_path / "kept"))
        return
    pytest.importorskip("s3fs", reason="pip install 'tradewind[stores]'")
    server = request.getfixturevalue("s3_server")
    bucket = f"test-{secrets.token_hex(6)}"
    with urlopen(Request(f"{server}/{bucket}", method="PUT"), timeout=30):
        pass
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-key-of-the-test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret-of-the-test")
    yield open_objects(f"s3://{bucket}/models/", server, "us-east-1")


def test_what_comes_back_is_what_went(objects: Objects) -> None:
    identity = push_bundle(objects, FILES)
    assert identity == push_bundle(objects, FILES) == identity_of(manifest_of(FILES))
    other = push_bundle(objects, {**FILES, "spec.json": b"[]"})
    assert pull_bundle(objects, identity) == FILES == pull_bundle(objects, identity[:12])
    assert pull_bundle(objects, other)["spec.json"] == b"[]"
    assert not any(name.endswith("/") or ".." in name for name in objects.names(""))


def test_an_upload_that_was_cut_off_is_not_whole_and_goes_on(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    write, left = objects.write, iter(range(2))

    def dies(name: str, content: bytes) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        write(name, content)

    identity = identity_of(manifest_of(FILES))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(objects, "write", dies)
        push_bundle(objects, FILES)
    assert len(objects.names("")) == 2
    with pytest.raises(BadModel, match=f"no whole bundle {identity}.*its upload did not end; push it again"):
        pull_bundle(objects, identity)
    push_bundle(objects, FILES)
    assert pull_bundle(objects, identity) == FILES


def flipped(content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:]


def test_every_altered_file_is_refused(objects: Objects) -> None:
    identity = push_bundle(objects, FILES)
    for name in ("spec.json", "model.txt", MANIFEST):
        whole = objects.read(f"{identity}/{name}")
        for damaged in (flipped(whole), whole[:-1], whole + b"x", b""):
            objects.write(f"{identity}/{name}", damaged)
            with pytest.raises(BadModel, match="refused: .*push it again"):
                pull_bundle(objects, identity)
        objects.remove([f"{identity}/{name}"])
        with pytest.raises(BadModel, match=f"{name} is missing|no whole bundle"):
            pull_bundle(objects, identity)
        objects.write(f"{identity}/{name}", whole)
    assert pull_bundle(objects, identity) == FILES


def entry(size: Any) -> dict[str, Any]:
    return {"sha256": "0" * 64, "bytes": size}


@pytest.mark.parametrize(
    "named",
    [
        {"../../outside.json": entry(2)}, {"/etc/passwd": entry(2)}, {"model.pkl": entry(2)}, {MANIFEST: entry(2)},
        {"spec.json": entry(-1)}, {"spec.json": entry(FILE_BYTES + 1)}, {"spec.json": entry("many")}, {},
        {f"file{number}.txt": entry(0) for number in range(1000)},
    ],
    ids=["traversal", "absolute", "pickle", "manifest", "negative", "too large", "no number", "none", "too many"],
)  # fmt: skip
def test_a_manifest_that_names_what_has_no_place_is_refused(tmp_path: Path, named: dict[str, Any]) -> None:
    """Its own hash is right: who can write there can make one."""
    objects = open_objects(str(tmp_path))
    manifest = json.dumps({"format": 1, "files": named}).encode()
    assert len(manifest) > MANIFEST_BYTES or len(named) < 1000
    objects.write(f"{identity_of(manifest)}/{MANIFEST}", manifest)
    with pytest.raises(BadModel):
        pull_bundle(objects, identity_of(manifest))


def test_no_more_is_read_than_the_manifest_says(objects: Objects) -> None:
    identity = push_bundle(objects, FILES)
    objects.write(f"{identity}/spec.json", b"x" * 1_000_000)
    assert len(objects.read_at_most(f"{identity}/spec.json", 2)) == 3
    with pytest.raises(BadModel, match="spec.json is larger than it may be"):
        pull_bundle(objects, identity)


@pytest.mark.parametrize("wanted", ["", "abc", "../" * 8, "A" * 64, "g" * 12, "0" * 65])
def test_what_is_no_identity_is_refused(tmp_path: Path, wanted: str) -> None:
    with pytest.raises(BadParameters, match="is no identity"):
        pull_bundle(open_objects(str(tmp_path)), wanted)


@pytest.mark.parametrize("address", ["s3://", "s3:///models", "s3://UPPER/models", "s3://key:secret@bucket/x"])
def test_an_address_without_a_bucket_is_refused(address: str) -> None:
    with pytest.raises(BadParameters, match="names no bucket"):
        open_objects(address)


def test_a_server_that_does_not_answer_is_an_outage_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("s3fs", reason="pip install 'tradewind[stores]'")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-key-of-the-test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret-of-the-test")
    access = S3Access(endpoint_url="http://127.0.0.1:9", region="us-east-1", timeout_s=1, attempts=1)
    with pytest.raises(TemporaryOutage, match="did not answer; run again when it does") as caught:
        push_bundle(S3Objects("bucket", "models", access), FILES)
    assert "\n" not in str(caught.value) and "the-secret" not in str(caught.value)


def test_a_version_goes_from_one_registry_to_another(tmp_path: Path) -> None:
    first = Registry(tmp_path / "first")
    version = first.register(bundle_files("linear"))
    (tmp_path / "second").mkdir()
    elsewhere = str(tmp_path / "elsewhere")

    def command(*words: str) -> str:
        result = CliRunner().invoke(models, words)
        assert result.exit_code == 0, result.output
        return result.output

    assert "linear@1 is at " in command("push", "1", elsewhere, "--registry", str(tmp_path / "first"))
    words = ("pull", version.identity[:12], elsewhere, "--registry", str(tmp_path / "second"))
    assert f"linear@1 is registered: {version.identity[:12]}" in command(*words)
    second = Registry(tmp_path / "second")
    assert second.read(1) == first.read(1) and second.roles("production") == first.roles("production")
    assert command(*words).startswith("linear@1 is registered") and len(second.versions()) == 1
