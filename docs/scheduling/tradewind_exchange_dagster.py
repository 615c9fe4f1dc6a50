"""Tradewind's stages as Dagster assets, and its retraining. Made from the pipelines by `make dagster`: do not edit."""

import os
import subprocess
from pathlib import Path

import dagster as dg

# The project on the machine. Its own environment runs it, since Dagster's pins differ from the project's.
PROJECT = Path(os.environ.get("TRADEWIND_PROJECT", "/opt/tradewind"))
ENVIRONMENT = os.environ.get("TRADEWIND_ENV", "exchange")
RETRIES = dg.RetryPolicy(max_retries=3, delay=600)


def kedro(*arguments: str) -> None:
    """Run a command of the project; what it prints is the step's log, and the step fails if it does."""
    command = [str(PROJECT / ".venv/bin/kedro"), *arguments, "--env", ENVIRONMENT]
    subprocess.run(command, cwd=PROJECT, check=True)  # noqa: S603 - all of it is written here


@dg.asset(retry_policy=RETRIES)
def backfill() -> None:
    """What is new at the sources."""
    kedro("backfill")


@dg.asset(
    deps=[backfill],
    retry_policy=RETRIES,
)
def data_engineering() -> None:
    """The tables of the stage; those that are as new as what they are made of are kept."""
    kedro("run", "--pipelines", "data_engineering")


@dg.asset(
    deps=[data_engineering],
    retry_policy=RETRIES,
)
def regimes() -> None:
    """The tables of the stage; those that are as new as what they are made of are kept."""
    kedro("run", "--pipelines", "regimes")


@dg.asset(
    deps=[data_engineering, regimes],
    retry_policy=RETRIES,
)
def feature_engineering() -> None:
    """The tables of the stage; those that are as new as what they are made of are kept."""
    kedro("run", "--pipelines", "feature_engineering")


@dg.asset(
    deps=[feature_engineering],
    retry_policy=RETRIES,
)
def classifier() -> None:
    """The tables of the stage; those that are as new as what they are made of are kept."""
    kedro("run", "--pipelines", "classifier")


@dg.asset(
    deps=[feature_engineering],
    retry_policy=RETRIES,
)
def deep_learning() -> None:
    """The tables of the stage; those that are as new as what they are made of are kept."""
    kedro("run", "--pipelines", "deep_learning")


@dg.asset(
    deps=[data_engineering, feature_engineering],
    retry_policy=RETRIES,
)
def reinforcement_learning() -> None:
    """The tables of the stage; those that are as new as what they are made of are kept."""
    kedro("run", "--pipelines", "reinforcement_learning")


@dg.asset(
    deps=[data_engineering, regimes, feature_engineering, classifier, deep_learning, reinforcement_learning],
    retry_policy=RETRIES,
)
def evaluation() -> None:
    """The tables of the stage; those that are as new as what they are made of are kept."""
    kedro("run", "--pipelines", "evaluation")


@dg.op(retry_policy=RETRIES)
def keeping_parameters() -> None:
    """Retrain with the parameters of the last search."""
    kedro("retrain", "--because", "scheduled", "--keep", "--wait")


@dg.op(retry_policy=RETRIES)
def searching_parameters() -> None:
    """Retrain and search for parameters anew."""
    kedro("retrain", "--because", "scheduled", "--tune", "--wait")


@dg.op(retry_policy=RETRIES)
def watching() -> None:
    """Watch the champion; retrain where it has degraded or its features have drifted, else do nothing."""
    kedro("run", "--pipelines", "monitoring")
    kedro("retrain", "--because", "degraded", "--keep", "--wait")
    kedro("retrain", "--because", "drift", "--keep", "--wait")


# One step after the other, since a run has the data folder for itself.
ONE_BY_ONE = dg.in_process_executor


@dg.job(executor_def=ONE_BY_ONE)
def retrain_weekly() -> None:
    """Retrain, keeping parameters."""
    keeping_parameters()


@dg.job(executor_def=ONE_BY_ONE)
def retrain_monthly() -> None:
    """Retrain, searching for parameters."""
    searching_parameters()


@dg.job(executor_def=ONE_BY_ONE)
def watch() -> None:
    """Watch the champion, and retrain where it is needed."""
    watching()


daily = dg.define_asset_job("daily", selection=dg.AssetSelection.all(), executor_def=ONE_BY_ONE)

defs = dg.Definitions(
    assets=[
        backfill,
        data_engineering,
        regimes,
        feature_engineering,
        classifier,
        deep_learning,
        reinforcement_learning,
        evaluation,
    ],
    jobs=[daily, retrain_weekly, retrain_monthly, watch],
    schedules=[
        dg.ScheduleDefinition(job=daily, cron_schedule="15 1 * * *", execution_timezone="UTC"),
        dg.ScheduleDefinition(job=watch, cron_schedule="30 2 * * *", execution_timezone="UTC"),
        dg.ScheduleDefinition(job=retrain_weekly, cron_schedule="0 3 * * 0", execution_timezone="UTC"),
        dg.ScheduleDefinition(job=retrain_monthly, cron_schedule="0 4 1 * *", execution_timezone="UTC"),
    ],
    executor=ONE_BY_ONE,
)
