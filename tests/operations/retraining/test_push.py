"""What a retraining registered is kept elsewhere, too, where that is asked for; whatever ends it in between."""

import secrets
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from pydantic import ValidationError

from tests.operations.retraining.stages import RULES, Stages, candidate, retrain, with_champion
from tradewind.data.stores.objects import LocalObjects
from tradewind.data.stores.places import open_objects
from tradewind.errors import BadParameters, TemporaryOutage
from tradewind.operations.bundle.transfer import pull_bundle
from tradewind.operations.registry.records import Roles
from tradewind.operations.retraining.rules import RetrainingRules


def pushing(address: str, endpoint: str = "") -> RetrainingRules:
    return RetrainingRules.model_validate(RULES.model_dump() | {"push_to": address, "push_endpoint": endpoint})


def check_pushed(stages: Stages, address: str, endpoint: str | None = None) -> None:
    objects = open_objects(address, endpoint)
    version = stages.registry.version(2)
    assert pull_bundle(objects, version.identity) == stages.registry.read(2)
    assert {name.split("/")[0] for name in objects.names("")} == {version.identity}  # and nothing else was sent


def test_what_is_registered_is_pushed_to_a_bucket(
    tmp_path: Path, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("s3fs", reason="pip install 'tradewind[stores]'")
    bucket = f"test-{secrets.token_hex(6)}"
    with urlopen(Request(f"{s3_server}/{bucket}", method="PUT"), timeout=30):
        pass
    for name, value in (("ACCESS_KEY_ID", "key"), ("SECRET_ACCESS_KEY", "secret"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    stages = Stages(with_champion(tmp_path), candidate())
    ended, said = retrain(stages, rules=pushing(f"s3://{bucket}/models", s3_server))
    assert ended is not None and ended.outcome == "canary" and stages.registry.version(2).identity in said[-2]
    check_pushed(stages, f"s3://{bucket}/models", s3_server)


def test_a_result_that_is_not_good_enough_is_not_pushed(tmp_path: Path) -> None:
    stages = Stages(with_champion(tmp_path), candidate("no-go"))
    retrain(stages, rules=pushing(str(tmp_path / "kept")))
    assert not (tmp_path / "kept").exists()


def test_a_server_that_is_down_keeps_no_model_from_its_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stages, kept = Stages(with_champion(tmp_path), candidate()), str(tmp_path / "kept")

    def down(*_: object) -> None:
        raise TemporaryOutage("the server did not answer")

    with monkeypatch.context() as patched, pytest.raises(TemporaryOutage):
        patched.setattr(LocalObjects, "write", down)
        retrain(stages, rules=pushing(kept))
    assert stages.registry.roles("staging") == Roles(1, 2)
    ended, said = retrain(stages, rules=pushing(kept))
    assert "going on with" in said[0] and ended is not None and ended.outcome == "canary"
    check_pushed(stages, kept)


def test_cut_off_after_any_object_the_same_command_pushes_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages, kept = Stages(with_champion(tmp_path), candidate()), str(tmp_path / "kept")
    write, points = LocalObjects.write, 0
    while True:
        left = iter(range(points))

        def dies(self: LocalObjects, name: str, content: bytes, left: Any = left) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            write(self, name, content)

        monkeypatch.setattr(LocalObjects, "write", dies)
        try:
            retrain(stages, rules=pushing(kept))
            break
        except KeyboardInterrupt:
            points += 1
    monkeypatch.undo()
    assert points == len(stages.registry.read(2)) + 1
    check_pushed(stages, kept)


def test_a_wrong_address_is_refused_before_the_first_step(tmp_path: Path) -> None:
    stages = Stages(with_champion(tmp_path), candidate())
    with pytest.raises(BadParameters, match="names no bucket"):
        retrain(stages, rules=pushing("s3://Not A Bucket/models"))
    assert not (tmp_path / "bars").exists()
    for address, endpoint in (("", "https://minio.example.org"), ("s3://bucket/models", "minio:9000")):
        with pytest.raises(ValidationError, match="push_endpoint"):
            pushing(address, endpoint)
