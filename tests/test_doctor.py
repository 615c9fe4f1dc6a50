"""The doctor finds what is wrong with a machine, and says what to do."""

import sqlite3
from pathlib import Path

import pytest

from tradewind import doctor


def test_the_installed_versions_satisfy_the_project() -> None:
    findings = list(doctor.check_versions())
    assert {finding.subject for finding in findings} >= {"python", "kedro", "pandas", "torch"}
    assert [finding for finding in findings if finding.status != "ok"] == []


def test_a_missing_or_old_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "requires", lambda name: ["no-such-package>=1", "numpy>=99"])
    findings = {finding.subject: finding for finding in doctor.check_versions()}
    assert findings["no-such-package"].status == "fail"
    assert findings["numpy"].status == "fail"
    assert "make install" in findings["numpy"].detail


def test_a_full_disk_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = type("Usage", (), {"free": 1})()
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage)
    findings = {finding.subject: finding for finding in doctor.check_machine(tmp_path)}
    assert findings["disk"].status == "fail"
    assert findings["processor"].status == "ok"


def test_layers_that_cannot_be_written_fail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert [finding.status for finding in doctor.check_folders(tmp_path)] == ["fail"]
    (tmp_path / "data/01_raw").mkdir(parents=True)
    assert [finding.status for finding in doctor.check_folders(tmp_path)] == ["ok"]

    def refuse(dir: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    (finding,) = doctor.check_folders(tmp_path)
    assert (finding.status, "Permission denied" in finding.detail) == ("fail", True)


def test_a_broken_mlflow_store_fails_and_a_missing_one_does_not(tmp_path: Path) -> None:
    assert [finding.status for finding in doctor.check_mlflow("sqlite:///mlflow.db", tmp_path)] == ["ok"]
    (tmp_path / "mlflow.db").write_bytes(b"not a database, and long enough to be looked at")
    assert [finding.status for finding in doctor.check_mlflow("sqlite:///mlflow.db", tmp_path)] == ["fail"]
    (tmp_path / "mlflow.db").unlink()
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        connection.execute("CREATE TABLE runs (run_uuid TEXT)")
    (finding,) = doctor.check_mlflow("sqlite:///mlflow.db", tmp_path)
    assert finding.detail == "mlflow.db, 0 runs"


def test_the_matrix_product_is_measured_and_a_missing_gpu_is_said_plainly() -> None:
    findings = {finding.subject: finding for finding in doctor.check_accelerator(size=64, repeats=2)}
    assert "GFLOP/s" in findings["cpu matmul"].detail
    assert findings["gpu"].status in {"ok", "warn"}
    if findings["gpu"].status == "warn":
        assert "everything runs on the CPU" in findings["gpu"].detail
