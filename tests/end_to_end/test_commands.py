"""What stops before it begins, with words, and the commands that need no run."""

from typing import Any

import pytest

from tests.end_to_end.conftest import NODE_ENDED

pytestmark = pytest.mark.slow


def test_an_unknown_parameter_stops_the_run_before_any_node(idle_project: Any) -> None:
    status, output = idle_project.try_kedro("run", "--env", "test", "--params", "trading.costs.taker_fee_pbs=3")
    assert status != 0
    assert "taker_fee_pbs" in output
    assert not NODE_ENDED.search(output)


def test_a_parameter_in_its_old_place_stops_the_run_with_the_new_one(idle_project: Any) -> None:
    status, output = idle_project.try_kedro("run", "--env", "test", "--params", "costs.taker_fee_bps=3")
    assert status != 0
    assert "costs is trading.costs now" in output
    assert not NODE_ENDED.search(output)


def test_a_symbol_that_the_source_lacks_is_named(idle_project: Any) -> None:
    status, output = idle_project.try_kedro("run", "--env", "test", "--params", "universe.symbols=SIM1 NOPE")
    assert status != 0
    assert "NOPE" in output


def test_the_doctor_and_the_simulator_answer(idle_project: Any) -> None:
    assert "matmul" in idle_project.kedro("doctor", "--speed")
    output = idle_project.kedro("simulate-market", "--symbols", "2", "--days", "30", "--edge", "0", "--seed", "3")
    assert "market.sqlite" in output
    assert (idle_project.folder / "data/01_raw/market.sqlite").stat().st_size > 10_000
