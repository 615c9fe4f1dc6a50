"""The ledger only grows, counts each trial once, and says which line is damaged."""

from pathlib import Path

import pytest
from kedro.io import DatasetError

from tradewind.datasets import TrialLedgerDataset


def entry(key: str, sharpe: float = 0.1) -> dict:
    return {"key": key, "data": "d", "strategy": "m", "days": 3, "daily_sharpe": sharpe}


def test_it_only_grows_and_the_same_trial_counts_once(tmp_path: Path) -> None:
    ledger = TrialLedgerDataset(filepath=str(tmp_path / "ledger.jsonl"))
    assert ledger.load() == []
    ledger.save([entry("a"), entry("b")])
    first = (tmp_path / "ledger.jsonl").read_bytes()
    ledger.save([entry("b", 9.0)])
    assert (tmp_path / "ledger.jsonl").read_bytes() == first
    ledger.save([entry("c")])
    assert [one["key"] for one in ledger.load()] == ["a", "b", "c"]
    assert (tmp_path / "ledger.jsonl").read_bytes().startswith(first)


def test_a_damaged_line_is_named_and_nothing_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"key": "a"}\nhalf a li')
    ledger = TrialLedgerDataset(filepath=str(path))
    for attempt in (ledger.load, lambda: ledger.save([entry("x")])):
        with pytest.raises(DatasetError, match="line 2 is no ledger entry"):
            attempt()
    assert path.read_text().endswith("half a li")
