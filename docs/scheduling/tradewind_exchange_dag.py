"""Tradewind's stages as an Airflow DAG. Exported from the pipelines by `make airflow`: do not edit."""

from __future__ import annotations

import os
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

from airflow.sdk import dag, task

# The project on the worker. Its own environment runs it, since Airflow's pins differ from the project's.
PROJECT = Path(os.environ.get("TRADEWIND_PROJECT", "/opt/tradewind"))
ENVIRONMENT = "exchange"


def kedro(*arguments: str) -> None:
    """Run a command of the project; what it prints is the task's log, and the task fails if it does."""
    command = [str(PROJECT / ".venv/bin/kedro"), *arguments, "--env", ENVIRONMENT]
    subprocess.run(command, cwd=PROJECT, check=True)  # noqa: S603 - all of it is written here


@dag(
    dag_id="tradewind_exchange",
    schedule="15 1 * * *",
    start_date=datetime(2024, 1, 1, tzinfo=timezone.utc),  # noqa: UP017 - Airflow's Python may be 3.10
    catchup=False,
    max_active_runs=1,
    max_active_tasks=1,  # a run has the data folder for itself
    default_args={"retries": 3, "retry_delay": timedelta(minutes=10)},
)
def tradewind_exchange() -> None:
    """Fetch what is new, then run every stage once what it reads has been written."""

    @task
    def backfill() -> None:
        kedro("backfill")

    @task
    def data_engineering() -> None:
        kedro("run", "--pipelines", "data_engineering")

    @task
    def regimes() -> None:
        kedro("run", "--pipelines", "regimes")

    @task
    def feature_engineering() -> None:
        kedro("run", "--pipelines", "feature_engineering")

    @task
    def classifier() -> None:
        kedro("run", "--pipelines", "classifier")

    @task
    def deep_learning() -> None:
        kedro("run", "--pipelines", "deep_learning")

    @task
    def reinforcement_learning() -> None:
        kedro("run", "--pipelines", "reinforcement_learning")

    @task
    def evaluation() -> None:
        kedro("run", "--pipelines", "evaluation")

    tasks = {
        "backfill": backfill(),
        "data_engineering": data_engineering(),
        "regimes": regimes(),
        "feature_engineering": feature_engineering(),
        "classifier": classifier(),
        "deep_learning": deep_learning(),
        "reinforcement_learning": reinforcement_learning(),
        "evaluation": evaluation(),
    }
    tasks["backfill"] >> tasks["data_engineering"]
    tasks["data_engineering"] >> tasks["regimes"]
    tasks["data_engineering"] >> tasks["feature_engineering"]
    tasks["regimes"] >> tasks["feature_engineering"]
    tasks["feature_engineering"] >> tasks["classifier"]
    tasks["feature_engineering"] >> tasks["deep_learning"]
    tasks["data_engineering"] >> tasks["reinforcement_learning"]
    tasks["feature_engineering"] >> tasks["reinforcement_learning"]
    tasks["data_engineering"] >> tasks["evaluation"]
    tasks["regimes"] >> tasks["evaluation"]
    tasks["feature_engineering"] >> tasks["evaluation"]
    tasks["classifier"] >> tasks["evaluation"]
    tasks["deep_learning"] >> tasks["evaluation"]
    tasks["reinforcement_learning"] >> tasks["evaluation"]


tradewind_exchange()
