"""Who may ask is settled before the service starts: a file of tokens that cannot be read is told, not met with 401."""

import json
import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from tradewind.console.serve import serve
from tradewind.errors import BadParameters
from tradewind.service_command import PERSON_NEEDED
from tradewind.serving.refusals import Refusal
from tradewind.serving.tokens import Tokens, add_token


def asked(tokens: Tokens, token: str) -> int:
    try:
        tokens.holder(f"Bearer {token}", "read")
    except Refusal as refusal:
        return refusal.status
    return 200


def unreadable(path: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the file one that cannot be read: also for root, to whom permissions say nothing."""
    if how == "a folder":
        path.unlink(missing_ok=True)
        path.mkdir()
    elif how == "not allowed":
        read = Path.read_bytes

        def refused(self: Path) -> bytes:
            if self == path:
                raise PermissionError(13, "Permission denied", str(path))
            return read(self)

        monkeypatch.setattr(Path, "read_bytes", refused)
    else:
        path.write_text(how)


@pytest.mark.parametrize("how", ["a folder", "not allowed", "", "{}x", '[{"name": "a"}]', "[1]"])
def test_a_file_that_cannot_be_read_stops_the_start_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    path = tmp_path / "tokens.json"
    add_token(path, "alice", ("read",))
    assert Tokens(path, 1.0).check()
    unreadable(path, how, monkeypatch)
    with pytest.raises(BadParameters, match=str(path)):
        Tokens(path, 1.0).check()


def test_no_token_is_told_at_the_start_and_one_made_later_is_let_in(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    tokens = Tokens(path, 100.0)
    assert not tokens.check()
    token = add_token(path, "alice", ("read",))
    assert asked(tokens, token) == 200


@pytest.mark.parametrize("how", ["a folder", "not allowed", "["])
def test_a_file_that_becomes_unreadable_lets_nobody_in_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    path = tmp_path / "tokens.json"
    token = add_token(path, "alice", ("read",))
    tokens = Tokens(path, 100.0)
    assert asked(tokens, token) == 200
    with monkeypatch.context() as while_it_lasts:
        unreadable(path, how, while_it_lasts)
        if how == "not allowed":
            os.utime(path, ns=(1, 1))
        tokens._looked = float("-inf")
        assert asked(tokens, token) == 401
        assert "nobody is let in" in caplog.text and str(path) in caplog.text
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    token = add_token(path, "alice", ("read",))
    tokens._looked = float("-inf")
    assert asked(tokens, token) == 200


def test_serve_refuses_a_file_that_was_named_and_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    missing = tmp_path / "nowhere.json"
    result = CliRunner().invoke(serve, ["--registry", str(tmp_path / "registry"), "--tokens", str(missing)])
    assert result.exit_code == PERSON_NEEDED
    assert str(missing) in result.output and "tradewind token" in result.output


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    add_token(path, "alice", ("read",))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one["name"] for one in json.loads(path.read_text())] == ["alice"]
