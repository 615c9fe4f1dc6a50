"""The store of MLflow: made whole, and asked for finished runs."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

import pandas as pd

from tradewind.atomic import first_file, is_abandoned
from tradewind.errors import BadData, BadParameters

if TYPE_CHECKING:
    from tradewind.reports.compare import Run

COMPARED = ("leaderboard", "holdout_leaderboard", "significance", "daily_returns")
_SQLITE = "sqlite:///"
NO_RUNS = "no run has reached a verdict yet: `kedro run --env quick` makes one in a minute"


def make_store(tracking_uri: str) -> None:
    """The SQLite file that `tracking_uri` names is there, and whole; other stores are left alone.

    MLflow makes its tables in steps that it commits one by one: a run that is killed among them would leave a file that
    no later run can open. So the file is made under another name and is given its own at once.

    Raises:
        BadParameters: it is there and this user may not write to it, or to its folder, where SQLite keeps its journal.
    """
    if not tracking_uri.startswith(_SQLITE):
        return
    path = Path(tracking_uri.removeprefix(_SQLITE))
    if path.exists():
        for place in (path, path.absolute().parent):
            if not os.access(place, os.W_OK):
                raise BadParameters(
                    f"{place} cannot be written to, where MLflow's store is: let this user write there, or name "
                    "another store in conf/local/mlflow.yml (server.mlflow_tracking_uri)"
                )
        return
    import mlflow

    with first_file(path) as temporary:
        mlflow.MlflowClient(f"{_SQLITE}{temporary}").search_experiments()
    for journal in path.parent.glob(f".{path.name}.*.partial-journal"):
        if is_abandoned(journal.with_name(journal.name.removesuffix("-journal"))):
            journal.unlink(missing_ok=True)


def load_run(reference: str, tracking_uri: str, experiment: str) -> "Run":
    """A finished evaluation from MLflow: `last`, `last~1` (the one before), a run's name, or the start of its id.

    Args:
        reference: `last`, `last~N`, a name, or the start of an id.
        tracking_uri: of MLflow's store.
        experiment: its name.

    Returns:
        Verdict, parameters and the compared tables.

    Raises:
        BadData: there is no such run, several fit, or it lacks the tables that are compared.
    """
    if tracking_uri.startswith(_SQLITE) and not Path(tracking_uri.removeprefix(_SQLITE)).is_file():
        raise BadData(NO_RUNS)  # to make the store would take seconds
    import mlflow

    from tradewind.reports.compare import Run

    client = mlflow.MlflowClient(tracking_uri)
    found = client.get_experiment_by_name(experiment)
    runs = client.search_runs([found.experiment_id], order_by=["attributes.start_time DESC"]) if found else []
    whole = [run for run in runs if "mlflow.parentRunId" not in run.data.tags and "judged" in run.data.tags]
    place = re.fullmatch(r"last(?:~(\d+))?", reference)
    if place:
        chosen = whole[int(place[1] or 0) :][:1]
    else:
        chosen = [run for run in whole if run.info.run_id.startswith(reference) or run.info.run_name == reference]
    if not whole:
        raise BadData(NO_RUNS)
    if len(chosen) != 1:
        known = ", ".join(f"{run.info.run_id[:8]} ({run.info.run_name})" for run in whole[:8])
        raise BadData(f"{len(chosen)} runs fit {reference!r}; the latest with a verdict are: {known}")
    run = chosen[0]
    folder = Path(urlparse(run.info.artifact_uri).path)
    missing = [name for name in COMPARED if not (folder / name / f"{name}.parquet").is_file()]
    if missing:
        raise BadData(f"run {run.info.run_id[:8]} has no {', '.join(missing)} in {folder}: run it again to compare it")
    tables = {name: pd.read_parquet(folder / name / f"{name}.parquet") for name in COMPARED}
    started = pd.Timestamp(run.info.start_time, unit="ms", tz="UTC")
    return Run(
        run.info.run_id[:8],
        str(run.info.run_name),
        started,
        run.data.tags["verdict"],
        run.data.tags["judged"],
        run.data.params,
        **tables,
    )
