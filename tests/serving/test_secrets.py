"""A secret that is planted wherever secrets are is found nowhere else: logs, answers, metrics, journals, backups."""

import json
import logging
import os
import subprocess
import sys
import tarfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from click.testing import CliRunner

from tests.conftest import PROJECT
from tests.operations.rollout.accounts import write_account
from tests.serving.conftest import serving
from tradewind.console import main as console
from tradewind.operations.backup.envelope import opened
from tradewind.operations.backup.plan import read_key
from tradewind.operations.rollout.people import public_key
from tradewind.serving.functions import Functions

CANARY = "CANARY-7f3a9c51e2"


def hits(secret: str, *where: Any) -> list[str]:
    """Which of texts, bytes and folders hold the secret."""
    found = []
    for at, one in enumerate(where):
        if isinstance(one, Path):
            paths = [path for path in one.rglob("*") if path.is_file()]
            found += [str(path) for path in paths if secret.encode() in path.read_bytes()]
        elif secret.encode() in (one if isinstance(one, bytes) else str(one).encode()):
            found.append(f"{at}: {str(one)[:200]}")
    return found


def answers(address: str, token: str) -> Iterator[httpx.Response]:
    """Requests of all kinds of wrong, each with the token."""
    good = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=address, timeout=30) as client:
        for headers in (good, {"Authorization": f"Basic {token}"}, {"Authorization": f"Bearer {token}x"}, {}):
            yield client.get("/v1/models", headers=headers)
            yield client.get("/readyz", headers=headers)
            yield client.get("/nowhere", headers=headers)
            yield client.post("/v1/predict/price", headers=headers, content=b"{")
            yield client.post("/v1/predict/price", headers=headers, json={"symbol": "SIM1", "horizon_bars": 4, "x": 1})
            yield client.post("/v1/predict/price", headers=headers, content=b"x" * 300_000)
            yield client.post("/v1/predict/price", headers=headers, json={"symbol": "SIM1", "horizon_bars": 4})


def test_a_token_is_in_no_log_answer_or_metric(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEWIND_PLANTED", CANARY)
    caplog.set_level(logging.DEBUG)
    with serving(tmp_path) as service:
        token = service.tokens["admin"]
        said = [f"{one.status_code} {dict(one.headers)} {one.text}" for one in answers(service.address, token)]

        def fails(*_: object, **__: object) -> None:
            raise RuntimeError("planted")

        for name in ("predict_price", "list_models"):
            monkeypatch.setattr(Functions, name, fails)
        said += [f"{one.status_code} {one.text}" for one in answers(service.address, token)]
        metrics = httpx.get(f"http://127.0.0.1:{service.ports.metrics}/metrics").text
    assert len(said) > 40 and {one[:3] for one in said} >= {"401", "404", "422", "500"}
    assert "planted" in caplog.text  # with its traceback
    out = capfd.readouterr()
    for secret in (token, CANARY):
        assert hits(secret, *said, metrics, caplog.text, out.out, out.err, tmp_path) == []
    assert hits(token, f"Bearer {token}") != []  # what is looked for can be found


def project(folder: Path) -> dict[str, Path]:
    """A project whose every secret is the canary or has it beside; the files that hold secrets."""
    given = yaml.safe_load((PROJECT / "conf/base/rollout.yml").read_text())
    secret = bytes.fromhex("c0ffee" * 10 + "c0ff")
    people = {"ada": {"key": public_key(secret), "expires": "2999-01-01"}}
    (folder / "rollout.yml").write_text(json.dumps(given | {"people": people}))
    run = folder / given["run"]
    write_account(run / "journal.jsonl", [1e4] * 24, [1e4] * 24)
    kept = {"ada.key": secret.hex(), "run token": CANARY, "credentials.yml": f"key: {CANARY}"}
    paths = {
        "ada.key": folder / "ada.key",
        "run token": run / "token",
        "credentials.yml": folder / "conf/credentials.yml",
    }
    for name, path in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(kept[name])
        path.chmod(0o600)
    parts = {"paper": {"kind": "run", "path": given["run"]},
             "rollout": {"kind": "journal", "path": f"{given['state']}/rollout.jsonl"}}  # fmt: skip
    (folder / "backup.yml").write_text(json.dumps({"key": str(folder / "b.key"), "parts": parts}))
    CliRunner().invoke(console, ["backup-key", str(folder / "b.key")])
    return paths | {"b.key": folder / "b.key"}


def test_keys_are_in_no_output_journal_or_backup(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    paths = project(tmp_path)
    key = read_key(paths["b.key"])
    secrets = [CANARY, paths["ada.key"].read_text(), key.secret.decode()]
    where = ["--plan", str(tmp_path / "rollout.yml"), "--project", str(tmp_path)]
    ada = ["--as", "ada", "--key", str(paths["ada.key"])]
    kept = ["--plan", str(tmp_path / "backup.yml")]
    words: list[list[str]] = [
        ["rollout", "drill", *ada, *where, "--backup-plan", str(tmp_path / "backup.yml")],
        ["rollout", "collect", *ada, *where],
        ["rollout", "advance", *ada, *where],
        ["rollout", "collect", "--as", "bob", "--key", str(paths["ada.key"]), *where],
        ["rollout", "collect", "--as", "ada", "--key", str(paths["b.key"]), *where],
        ["rollout", "status", *where],
        ["backup", str(tmp_path / "backups"), *kept, "--project", str(tmp_path)],
        ["backup", str(tmp_path / "backups"), *kept, "--project", str(tmp_path), "--key", str(paths["ada.key"])],
        ["backup", str(tmp_path / "backups"), *kept, "--project", str(tmp_path), "--key", str(paths["run token"])],
    ]
    said = []
    for one in words:
        done = CliRunner().invoke(console, one)
        told = "".join(traceback.format_exception(*done.exc_info)) if done.exc_info else ""
        said.append(f"{done.exit_code} {done.output} {told}")
    backup = next((tmp_path / "backups").iterdir())
    said.append(CliRunner().invoke(console, ["restore", str(backup), *kept, "--into", str(tmp_path / "there")]).output)
    with opened(backup, key) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        inside = b"".join(file.read() for file in (archive.extractfile(one) for one in archive) if file is not None)
    assert inside and said[0].startswith("0") and [one[0] for one in said[2:5]] == ["1"] * 3
    for secret in secrets:
        assert hits(secret, *said, caplog.text, inside, backup.read_bytes(), tmp_path / "there") == []
        holders = {Path(one) for one in hits(secret, tmp_path)}
        assert holders and holders <= set(paths.values())


def test_an_environment_is_not_shown_by_a_command_that_fails(tmp_path: Path) -> None:
    words = [
        sys.executable,
        "-m",
        "tradewind",
        "restore",
        str(tmp_path / "none.backup"),
        "--plan",
        str(tmp_path / "no.yml"),
    ]
    done = subprocess.run(words, env=os.environ | {"TRADEWIND_KEY": CANARY, "PYTHONPATH": str(PROJECT / "src")},
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 1 and "no.yml cannot be read" in done.stderr
    assert hits(CANARY, done.stdout, done.stderr) == []
