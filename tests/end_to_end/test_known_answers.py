"""Markets whose answer is known: the demo (`quick` here) has an edge, the null market none.

`make test` asks the same of small markets: `test_default_run` of its own, `validation/test_experiment` of both kinds.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import FEW_FITS

pytestmark = [pytest.mark.slow, pytest.mark.depth]


def verdict_of(data: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((data / "08_reporting/verdict.json").read_text())
    return found


def test_the_planted_edge_is_found_and_its_share_of_the_oracle_is_stated(new_project: Any) -> None:
    new_project.kedro("run", "--env", "quick")
    verdict = verdict_of(new_project.data("quick"))
    assert verdict["edge"] == "shown", verdict["reasons"]
    assert verdict["oracle_share"] > 0.5
    assert verdict["probability_of_edge"] > 0.99
    assert not list((new_project.folder / "data/08_reporting").glob("*.parquet")), "the default run's place is its own"


def test_on_the_null_market_the_verdict_is_no_edge(new_project: Any) -> None:
    settings = new_project.folder / "conf/null_market/globals.yml"
    settings.write_text(settings.read_text() + "  days: 1460\n")  # half the demo's, to be fast: nothing to find
    new_project.kedro("run", "--env", "null_market", "--params", f"models=lightgbm xgboost linear,{FEW_FITS}")
    verdict = verdict_of(new_project.data("null_market"))
    assert (verdict["verdict"], verdict["edge"]) == ("no-go", "not shown"), verdict["reasons"]
    assert verdict["oracle_share"] is None
