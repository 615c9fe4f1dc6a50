"""What `kedro paper` makes of parameters and credentials before anything is asked or sent."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from kedro.framework.startup import ProjectMetadata, bootstrap_project

from tradewind.cli.paper import paper
from tradewind.live.desk import DeskOptions, Plan
from tradewind.service_command import FAILED, PERSON_NEEDED
from tradewind.settings import PROJECT

SYMBOLS = ("--exchange", "binance", "--symbols", "BTCUSDT ETHUSDT")
SECRET = "canary-secret-55d1"


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Plan]:
    """The plans that would have been run; no socket may be opened. Keys of the test network are handed over."""
    found = list[Plan]()

    async def run_desk(plan: Plan, options: DeskOptions, say: Any) -> dict[str, str]:
        found.append(plan)
        return {"failure": ""}

    def closed(*_: Any, **__: Any) -> None:
        raise AssertionError("nothing is asked here")

    (tmp_path / "binance_testnet.json").write_text(json.dumps({"api_key": "k", "api_secret": SECRET}))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setattr("tradewind.live.desk.run_desk", run_desk)
    monkeypatch.setattr(socket.socket, "connect", closed)
    return found


def given(params: str) -> Result:
    project: ProjectMetadata = bootstrap_project(PROJECT)
    return CliRunner().invoke(paper, [*SYMBOLS, "--params", f"paper.model=none,{params}"], obj=project)


def test_the_command_of_the_documents_opens_an_account_on_the_test_network(plans: list[Plan]) -> None:
    result = given("paper.broker.network=testnet,trading.execution.capital=1000,live.limits.max_data_age_s=90")
    assert result.exit_code == 0, result.output
    (plan,) = plans
    broker, keys = plan.paper.broker, plan.keys
    assert broker is not None and (broker.network, broker.real_money) == ("testnet", False)
    assert keys is not None and keys.api_secret.get_secret_value() == SECRET and SECRET not in repr(plan)
    assert plan.setup.execution.capital == 1000 and plan.rules.limits.max_data_age_s == 90


def test_a_run_is_gone_on_with_after_an_update_if_one_says_so(
    plans: list[Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = list[DeskOptions]()

    async def run_desk(plan: Plan, options: DeskOptions, say: Any) -> dict[str, str]:
        told.append(options)
        return {"failure": "the disk is full"}

    monkeypatch.setattr("tradewind.live.desk.run_desk", run_desk)
    project: ProjectMetadata = bootstrap_project(PROJECT)
    words = ["--exchange", "binance", "--symbols", "BTCUSDT", "--updated", "--seconds", "60"]
    done = CliRunner().invoke(paper, [*words, "--params", "paper.model=none"], obj=project)
    assert told == [DeskOptions("binance", 60.0, updated=True)]
    assert done.exit_code == FAILED and "the disk is full" in done.output, "which a restart may find mended"
    both = CliRunner().invoke(paper, ["--updated", "--new-run", "--params", "paper.model=none"], obj=project)
    assert both.exit_code == PERSON_NEEDED and "give one of the two" in both.output


def test_without_a_broker_there_are_no_keys(plans: list[Plan]) -> None:
    assert given("trading.execution.capital=1000").exit_code == 0
    assert plans[0].paper.broker is None and plans[0].keys is None


@pytest.mark.parametrize("half", ["network=live", "real_money=true"])
def test_half_of_what_real_money_needs_is_refused(plans: list[Plan], half: str) -> None:
    result = given(f"paper.broker.{half}")
    said = f"{result.output} {result.exception}"
    assert result.exit_code == 1 and "need both network: live and real_money: true" in said and not plans


def test_the_keys_of_the_test_network_are_not_those_of_the_real_one(plans: list[Plan]) -> None:
    assert given("paper.broker.network=live,paper.broker.real_money=true").exit_code == 0
    assert plans[0].keys is None, "and so the account is refused when it is opened"
