"""The experiment judges known markets by the project's own nodes, goes on where it stopped, and counts right."""

import json
from pathlib import Path
from typing import Any

import pytest
from kedro.config import OmegaConfigLoader

from tradewind.errors import BadData
from tradewind.settings import CONFIG_LOADER_ARGS
from tradewind.truth.experiment import Case, cases, judge_market, share, summarise
from tradewind.truth.ledger import read, run_cases
from tradewind.truth.report import render

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    return OmegaConfigLoader(str(PROJECT / "conf"), **CONFIG_LOADER_ARGS)["parameters"]


def test_a_strong_edge_is_found_and_nothing_is_not(parameters: dict[str, Any]) -> None:
    found = judge_market(Case(edge=6, days=550, seed=910_001, n_symbols=2), parameters)
    assert found["verdict"] in {"go", "watch"} and found["sharpe"] > 0.5 * found["oracle_sharpe"] > 1
    nothing = judge_market(Case(edge=0, days=400, seed=910_002, n_symbols=2), parameters)
    assert nothing["verdict"] == "no-go" and nothing["oracle_sharpe"] == 0.0
    again = judge_market(Case(edge=0, days=400, seed=910_002, n_symbols=2), parameters)
    assert again == nothing


def outcome(case: Case, verdict: str = "no-go") -> dict[str, Any]:
    return {
        "key": case.key, **case.model_dump(), "verdict": verdict, "sharpe": 1.0, "oracle_sharpe": 2.0 * (case.edge > 0),
        "holding_low": -1.0, "holding_high": 1.0, "probability_of_overfitting": 0.5,
    }  # fmt: skip


def test_a_stopped_experiment_goes_on(tmp_path: Path) -> None:
    path, wanted, judged = tmp_path / "truth" / "outcomes.jsonl", cases(3, 2), []

    def judge(case: Case, _: Any) -> dict[str, Any]:
        if len(judged) == 2 and case.seed == wanted[2].seed and not path.with_suffix(".again").exists():
            path.with_suffix(".again").touch()
            raise KeyboardInterrupt
        judged.append(case.key)
        return outcome(case)

    with pytest.raises(KeyboardInterrupt):
        run_cases(wanted, {}, path, kind="serial", judge=judge)
    assert len(read(path)) in {0, 1, 2}
    with path.open("ab") as file:
        file.write(b'{"key": "half a li')  # what a kill within a write leaves
    first = len(read(path))
    found = run_cases(wanted, {}, path, kind="serial", judge=judge)
    assert [one["key"] for one in found] == [case.key for case in wanted]
    assert len(read(path)) == 5 and len(judged) <= 2 + 5 - first
    path.write_text("not a line\n" + path.read_text())
    with pytest.raises(BadData, match="line 1 is damaged"):
        read(path)


def test_shares_are_counted_with_their_intervals() -> None:
    null, planted = cases(20, 0), cases(0, 30)
    outcomes = [outcome(case, "go" if at == 0 else "no-go") for at, case in enumerate(null)]
    outcomes[1] |= {"holding_low": 0.5}
    outcomes += [outcome(case, "go" if case.edge >= 3 else "watch") for case in planted]
    summary = json.loads(json.dumps(summarise(outcomes)))
    assert summary["false_discovery"]["value"] == 0.05 and summary["coverage"]["value"] == 0.95
    cells = {(cell["edge"], cell["days"]): cell for cell in summary["planted"]}
    assert len(cells) == 15 and cells[(2, 730)]["power"]["value"] == 0 and cells[(4, 730)]["power"]["value"] == 1
    assert cells[(4, 730)]["share_of_oracle"] == 0.5 and cells[(4, 730)]["markets"] == 2
    text = render(summary)
    assert "5.0 % (" in text and "| 4 | 730 | 2 | 100.0 % (" in text


def test_wilsons_interval_is_the_published_one() -> None:
    # Newcombe 1998, table 1, at 95 %: 81 of 263 gives 0.2553 to 0.3662; here at 90 % it is narrower.
    found = share(81, 263)
    assert 0.2553 < found["low"] < 81 / 263 < found["high"] < 0.3662
    assert share(0, 10)["low"] == 0.0 and share(0, 0)["value"] is None
