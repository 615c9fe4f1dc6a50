"""A record says what made a table: the same everywhere, and only that."""

import json
from pathlib import Path

import pytest

from tradewind.errors import BadData
from tradewind.parameters import Parameters
from tradewind.provenance.records import Origin, Record, Records, describe_differences, differences, flat


class Window(Parameters):
    bars: int = 24
    names: tuple[str, ...] = ("a",)


ORIGIN = Origin("data.make", 1, {"raw": "f" * 64}, {"window.bars": 24}, {"source": {"seed": 7}}, {"market": "0a1b"})


def test_a_block_is_told_by_its_resolved_values() -> None:
    assert flat({"window": Window(bars=8), "rules": {}}, "features") == {
        "features.window.bars": 8, "features.window.names": ["a"], "features.rules": {},
    }  # fmt: skip
    assert flat(7, "seed") == {"seed": 7}


def test_a_default_that_is_written_out_is_no_change() -> None:
    assert flat(Window(), "w") == flat(Window(bars=24, names=("a",)), "w")


def test_the_bytes_of_a_record_are_the_same_on_every_machine(tmp_path: Path) -> None:
    for folder in (tmp_path / "here", tmp_path / "there"):
        Records(folder).write(Record("bars", "test", "c0", ORIGIN))
    here, there = (tmp_path / name / "provenance/bars.json" for name in ("here", "there"))
    assert here.read_bytes() == there.read_bytes()
    assert str(tmp_path) not in here.read_text()
    assert Records(tmp_path / "here").read("bars") == Record("bars", "test", "c0", ORIGIN)


@pytest.mark.parametrize("field", ["node", "format", "inputs", "parameters", "sources", "code"])
def test_every_part_of_the_origin_changes_the_fingerprint(field: str) -> None:
    others = Origin("x", 2, {"raw": "0"}, {"window.bars": 25}, {"source": {"seed": 8}}, {"market": "ffff"})
    changed = Origin(**{**ORIGIN.document(), field: getattr(others, field)})
    assert changed.fingerprint != ORIGIN.fingerprint


@pytest.mark.parametrize("fault", ["fingerprint", "format", "origin"])
def test_a_record_that_is_not_what_it_says_is_refused(fault: str, tmp_path: Path) -> None:
    document = Record("bars", "test", "c0", ORIGIN).document()
    changed = {"fingerprint": "0" * 64, "format": 99, "origin": {**document["origin"], "node": "another"}}
    with pytest.raises(BadData, match="format 99" if fault == "format" else "was altered"):
        Record.of_document({**document, fault: changed[fault]}, "bars.json")
    path = tmp_path / "provenance/bars.json"
    path.parent.mkdir()
    path.write_text(json.dumps({**document, fault: changed[fault]}))
    assert Records(tmp_path).read("bars") is None


def test_differences_name_sources_first_then_parameters_then_code() -> None:
    new = Origin(
        "data.make", 1, {"raw": "0"}, {"window.bars": 8, "more": [1]}, {"source": {"seed": 8}}, {"market": "2"}
    )
    assert list(differences(ORIGIN, new)) == [
        "source source: seed was 7, is 8", "parameter more was not set, is [1]", "parameter window.bars was 24, is 8",
        "the code in market changed",
    ]  # fmt: skip
    assert describe_differences(ORIGIN, new).endswith("is 8, and 1 more")
