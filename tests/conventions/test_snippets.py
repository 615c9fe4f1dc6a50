"""Every command and every piece of code in the documents is run by a test, which is named here.

A command that is new in a document fails this test until somebody says which test runs it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tradewind.trading.engine.backtest import History
from tradewind.trading.execution.costs import Costs

PROJECT = Path(__file__).resolve().parents[2]
DOCUMENTS = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").rglob("*.md"))]
HOUR = "end_to_end/test_first_hour.py::test_the_first_hour_is_what_the_readme_says"
IMPORTS, INGESTION, REAL = "cli/test_imports.py", "cli/test_ingestion.py", "end_to_end/test_real_candles.py"

# A pattern of the command, or of the first line of the code, and the test that runs it, or the same with other names: a
# local server in an exchange's place, one symbol for two.
RUN_BY = {
    r"(\.venv/bin/)?kedro run( --env (quick|imported))?": HOUR,
    r"kedro import-bars \S+ --dry-run":
        f"{IMPORTS}::test_a_dry_run_shows_decisions_evidence_and_rejects_and_writes_nothing",
    r"kedro import-bars \S+ .*--set volume_unit=base":
        f"{IMPORTS}::test_an_import_ends_with_the_command_that_runs_on_it",
    r"kedro import-bars \S+ --store local": f"{IMPORTS}::test_a_store_of_the_configuration_is_added_to",
    r"kedro download .*": f"{INGESTION}::test_one_command_goes_from_nothing_to_a_store_and_says_what_is_next",
    r"kedro backfill --source binance .*\d": f"{INGESTION}::test_a_store_is_filled_described_and_not_asked_for_twice",
    r"kedro backfill --source binance .* --dry-run": f"{INGESTION}::test_a_dry_run_shows_the_plan_and_asks_nothing",
    r"kedro backfill --source binance_usdm .* --side funding .*":
        f"{INGESTION}::test_side_series_are_fetched_from_swaps",
    r"kedro store-status": f"{INGESTION}::test_a_store_is_filled_described_and_not_asked_for_twice",
    r"kedro backfill --env exchange && kedro run --env exchange":
        "end_to_end/test_exchange.py::test_a_killed_backfill_goes_on_and_the_next_one_fetches_only_what_is_new",
    r"TRADEWIND_DATA=\S+ kedro run --env real .*symbols=BTCUSDT ETHUSDT'":
        f"{REAL}::test_real_candles_run_to_a_report_with_their_gaps",
    r"TRADEWIND_DATA=\S+ kedro run --env real .*timeframe=5m.*": f"{REAL}::test_the_five_minute_files_keep_their_hole",
    r"(TRADEWIND_\w+=\S+ )+kedro run --env real .*side_series=.*":
        "datasets/test_side_folder.py::test_only_the_series_asked_for_are_read",
    r"kedro paper --exchange binance .*paper\.broker\.network=testnet.*":
        "cli/test_paper_broker.py::test_the_command_of_the_documents_opens_an_account_on_the_test_network",
    r"kedro paper --exchange binance --updated .*":
        "cli/test_paper_broker.py::test_a_run_is_gone_on_with_after_an_update_if_one_says_so",
    r"kedro simulate-market .*": "end_to_end/test_commands.py::test_the_doctor_and_the_simulator_answer",
    r"kedro run --pipelines deployment": HOUR,
    r"kedro retrain --env exchange( --history)?":
        "end_to_end/test_default_run.py::"
        "test_a_retraining_takes_what_is_up_to_date_and_killed_while_it_registers_registers_once",
    r"kedro retrain --env exchange --online":
        "cli/test_online.py::test_the_champion_is_updated_and_its_update_is_a_canary",
    r"kedro retrain --env exchange --because (scheduled|drift|degraded)":
        "conventions/test_scheduling.py::test_every_scheduled_command_can_be_given",
    r"(TRADEWIND_PROJECT=\S+ .* )?/opt/dagster/bin/dagster .*":
        "conventions/test_dagster.py::test_dagster_takes_them_and_makes_each_stage_after_what_it_reads",
    r"tradewind (backup-key conf/local|backup /mnt/backups|restore /mnt/backups/\S+ --into) ?.*":
        "operations/backup/test_backup.py::test_the_commands",
    r"tradewind (backup|restore) s3://.*": "operations/backup/test_elsewhere.py::test_the_commands",
    r"tradewind rollout (person|drill|status|collect|approve|advance|allow-resume|back|check).*":
        "operations/rollout/test_plans.py::test_the_commands",
    r"tradewind alarms (test|watch)": "operations/alarms/test_commands.py::test_a_test_message_says_who_took_it",
    r"tradewind alarms receive|(prometheus|prometheus-alertmanager) --config\.file=.*":
        "operations/alarms/test_chain.py::test_a_clean_soak_a_fault_and_the_loss_of_the_watchers",
    # The incidents of the runbook.
    r"tradewind (halt|pause|resume|flatten|override|status|journal|models|canary|token|backup|backup-key|restore) ?.*|"
    r"kedro (doctor|status --stale|backfill --env exchange|retrain --because scheduled --wait)":
        "conventions/test_deployment.py::test_the_runbook_has_twenty_incidents_whose_commands_can_be_given",
    r"tradewind serve &|TOKEN=.*|curl -s .*/v1/predict/price .*":
        "serving/test_service.py::test_bars_are_decided_on_as_evaluation_does",
    r'@feature\(tier=2.*': "conventions/test_docs.py::test_the_readmes_feature_is_one",
    r"@strategy\(lookback=round\)": "conventions/test_docs.py::test_the_readmes_strategy_is_one",
    r"def _decision_tree.*": "conventions/test_docs.py::test_the_readmes_model_is_one",
    r"import json": "end_to_end/test_default_run.py::test_the_snippet_of_an_exported_network_runs",
    r"import numpy as np": "conventions/test_snippets.py::test_the_snippet_of_an_environment_runs",
    r"from tradewind.trading.engine.sweep import sweep":
        "conventions/test_snippets.py::test_the_snippet_of_a_sweep_runs",
}  # fmt: skip
# What no test runs, and why.
NOT_RUN = {
    r"make install|pip install .*": "a download of gigabytes: the tests run in what it installs",
    r"(sudo|journalctl|systemctl|timedatectl|apt-get|useradd|chown|runuser) .*": "a test changes no system",
    r"python3\.11 -m venv /opt/dagster .*": "an environment of Dagster's own",
    r"(install|cp) .*|cd /opt/tradewind": "of an installation on a machine of its own",
    r"\.venv/bin/tradewind .*": "the same as without the path, on an installation's own files",
    r"docker .*": "no container was built where this was written; docs/howto/container.md says so",
}


def snippets(text: str) -> Iterator[str]:
    """Every command of the blocks of bash, and the first line of every block of Python."""
    for language, code in re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL):
        if language == "python":
            yield code.partition("\n")[0]
        if language == "bash":
            for line in code.replace("\\\n", " ").splitlines():
                command = re.sub(r"\s+", " ", re.sub(r"(^|\s)#.*", "", line)).strip()
                if command:
                    yield command


def unknown(text: str) -> list[str]:
    """Snippets of a document of which nobody says what runs them."""
    known = [*RUN_BY, *NOT_RUN]
    return [one for one in snippets(text) if not any(re.fullmatch(pattern, one) for pattern in known)]


def code_of(document: str, start: str) -> str:
    """The block of Python that begins so."""
    blocks = re.findall(r"```python\n(.*?)```", (PROJECT / document).read_text(), re.DOTALL)
    (code,) = [block for block in blocks if block.startswith(start)]
    return code


def test_every_snippet_is_run_by_a_test() -> None:
    assert {path.name: found for path in DOCUMENTS if (found := unknown(path.read_text()))} == {}
    planted = "```bash\nkedro fly --high  # up\nkedro store-status\n```\n```python\nimport nothing\n```"
    assert unknown(planted) == ["kedro fly --high", "import nothing"]


def test_the_tests_that_are_named_exist_and_every_line_is_needed() -> None:
    everything = [one for path in DOCUMENTS for one in snippets(path.read_text())]
    assert [one for one in (*RUN_BY, *NOT_RUN) if not any(re.fullmatch(one, each) for each in everything)] == []
    for place in RUN_BY.values():
        file, _, name = place.partition("::")
        assert f"def {name}(" in (PROJECT / "tests" / file).read_text(), place


def test_one_snippet_of_an_idea_is_the_same_everywhere() -> None:
    for start in ("@feature", "@strategy"):
        assert code_of("README.md", start) == code_of("docs/howto/own_ideas.md", start)


def test_the_snippet_of_an_environment_runs() -> None:
    pytest.importorskip("gymnasium")
    bars, volatility = made_bars()
    features = np.random.default_rng(1).standard_normal((len(bars), 3)).astype(np.float32)
    names = {"bars": bars, "volatility": volatility, "features": features}
    exec(code_of("docs/howto/own_ideas.md", "import numpy"), names)
    environment = names["environment"]
    environment.reset(seed=1)
    assert np.isfinite(environment.step(environment.action_space.sample())[1])


def test_the_snippet_of_a_sweep_runs() -> None:
    bars, volatility = made_bars()
    change = bars["close"].pct_change().to_numpy()

    def target_at(threshold: float) -> np.ndarray:
        return np.where(np.nan_to_num(change) > threshold, 1.0, 0.0)

    names = {
        "history": History.from_bars(bars, volatility), "bars": bars, "target_at": target_at,
        "thresholds": [0.0, 0.01], "costs": Costs(),
    }  # fmt: skip
    code = code_of("docs/howto/own_ideas.md", "from tradewind.trading.engine.sweep")
    exec(code.replace("\nsweep(", "\nfound = sweep("), names)
    assert names["found"]["threshold"].to_list() == [0.0, 0.01]


def made_bars() -> tuple[pd.DataFrame, np.ndarray]:
    """A year of hours of one symbol, and their volatility."""
    rng = np.random.default_rng(7)
    close = 100 * np.exp(np.cumsum(0.01 * rng.standard_normal(2000)))
    opened = pd.date_range("2024-01-01", periods=2000, freq="1h", tz="UTC").as_unit("ms")
    bars = pd.DataFrame({
        "symbol": "BTC", "open_time": opened, "timestamp": opened + pd.Timedelta(hours=1), "open": close,
        "high": close * 1.01, "low": close * 0.99, "close": close, "volume": 1000.0,
        "segment": np.zeros(2000, dtype=np.int32),
    })  # fmt: skip
    return bars, np.full(2000, 0.01)
