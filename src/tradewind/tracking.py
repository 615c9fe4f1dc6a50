"""What a run leaves in MLflow and TensorBoard: called by the hooks, never by a node.

A dataset asks for it in the catalog, under `metadata: {tracking: KIND}`; the kinds are the keys of `RECORDERS`.
"""

import math
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import pandas as pd

from tradewind import clock
from tradewind.atomic import first_file, is_abandoned
from tradewind.errors import BadData

if TYPE_CHECKING:
    from tradewind.reports.compare import Run

COMPARED = ("leaderboard", "holdout_leaderboard", "significance", "daily_returns")
Recorder = Callable[[str, Any, Path], None]
_SQLITE = "sqlite:///"
NO_RUNS = "no run has reached a verdict yet: `kedro run --env quick` makes one in a minute"
MOST_LETTERS = 6000  # that MLflow takes of a parameter


def make_store(tracking_uri: str) -> None:
    """The SQLite file that `tracking_uri` names is there, and whole; other stores are left alone.

    MLflow makes its tables in steps that it commits one by one: a run that is killed among them would leave a file that
    no later run can open. So the file is made under another name and is given its own at once.
    """
    if not tracking_uri.startswith(_SQLITE) or (path := Path(tracking_uri.removeprefix(_SQLITE))).exists():
        return
    import mlflow

    with first_file(path) as temporary:
        mlflow.MlflowClient(f"{_SQLITE}{temporary}").search_experiments()
    for journal in path.parent.glob(f".{path.name}.*.partial-journal"):
        if is_abandoned(journal.with_name(journal.name.removesuffix("-journal"))):
            journal.unlink(missing_ok=True)


def record_metrics(name: str, metrics: pd.DataFrame, path: Path) -> None:
    """One MLflow metric a model and measure; folds are its steps, totals carry the role in their name.

    Args:
        name: name of the dataset.
        metrics: model, metric, fold (-1 for totals), role, value; values that are not finite are left out.
        path: where it was saved.
    """
    import mlflow

    for row in metrics.itertuples():
        if not math.isfinite(row.value):
            continue
        if row.fold >= 0:
            mlflow.log_metric(f"{row.model}.{row.metric}", row.value, step=int(row.fold))
        else:
            mlflow.log_metric(f"{row.model}.{row.role}.{row.metric}", row.value)


def record_trials(name: str, trials: pd.DataFrame, path: Path) -> None:
    """One nested MLflow run a trial, with its parameters and its objective.

    Args:
        name: name of the dataset.
        trials: number, value, state and the parameters of each.
        path: where it was saved.
    """
    import mlflow

    for row in trials.to_dict("records"):
        with mlflow.start_run(run_name=f"{name} {row['number']}", nested=True):
            mlflow.log_params({key: value for key, value in row.items() if key not in {"value", "state"}})
            if row["value"] is not None and math.isfinite(row["value"]):
                mlflow.log_metric("objective", row["value"])
            mlflow.set_tag("state", row["state"])


def record_figure(name: str, figure: Any, path: Path) -> None:
    """The figure as an HTML artifact of the active MLflow run.

    Args:
        name: name of the dataset.
        figure: of Plotly.
        path: where it was saved.
    """
    import mlflow

    mlflow.log_figure(figure, f"figures/{name}.html")


def record_file(name: str, content: Any, path: Path) -> None:
    """The saved file, or everything in the saved folder, as an artifact of the active MLflow run.

    Args:
        name: name of the dataset.
        content: what was saved.
        path: where it was saved.
    """
    import mlflow

    if path.is_dir():
        mlflow.log_artifacts(str(path), artifact_path=name)
    else:
        mlflow.log_artifact(str(path), artifact_path=name)


def record_models(name: str, keys: dict[str, str], path: Path) -> None:
    """The models of all folds, as they lie in the store beside the list of their keys.

    Args:
        name: name of the dataset.
        keys: of the store, by fold.
        path: of the list of keys; the models lie beside it.
    """
    import mlflow

    for fold, key in keys.items():
        mlflow.log_artifacts(str(path.parent / "folds" / key[:24]), artifact_path=f"{name}/fold_{fold}")


def record_verdict(name: str, verdict: dict[str, Any], path: Path) -> None:
    """The verdict's numbers as MLflow metrics, the word itself as a tag.

    Args:
        name: name of the dataset.
        verdict: with the word under `verdict`.
        path: where it was saved.
    """
    import mlflow

    numbers = {f"{name}.{key}": value for key, value in verdict.items() if isinstance(value, int | float)}
    mlflow.log_metrics({key: float(value) for key, value in numbers.items() if math.isfinite(value)})
    mlflow.set_tag(name, verdict["verdict"])


def record_parameters(inputs: Iterable[str], parameters: Mapping[str, Any]) -> None:
    """The parameters among a node's inputs, one a value: `trading.costs.taker_fee_bps`, as `--params` takes them."""
    import mlflow

    written: dict[str, str] = {}
    for name in inputs:
        if name.startswith("params:"):
            place, value = name.removeprefix("params:"), parameters
            for key in place.split("."):
                value = value[key] if isinstance(value, Mapping) and key in value else {}
            written |= flat(value, place)
    if written and mlflow.active_run() is not None:
        mlflow.log_params({place: value[:MOST_LETTERS] for place, value in written.items()})


def flat(value: Any, place: str) -> dict[str, str]:
    """A block of parameters as one text a value, by its place; lists are words."""
    if isinstance(value, Mapping):
        inner = [flat(one, f"{place}.{key}") for key, one in value.items()]
        return {name: text for part in inner for name, text in part.items()}
    if isinstance(value, list | tuple):
        return {place: " ".join(map(str, value))}
    return {place: str(value)}


def record_learning_curves(name: str, curves: pd.DataFrame, path: Path) -> None:
    """TensorBoard scalars beside the table, `tensorboard/MODEL/fold_N`, made anew by each run.

    Args:
        name: name of the dataset.
        curves: model, fold, iteration, train_loss and valid_loss.
        path: of the table; the scalars lie beside it.
    """
    _write_scalars(curves.rename(columns={"iteration": "step"}), ["train_loss", "valid_loss"], path, "losses")


def record_epochs(name: str, epochs: pd.DataFrame, path: Path) -> None:
    """A training's numbers by model, fold and epoch, as TensorBoard scalars and MLflow metrics with a history.

    Args:
        name: name of the dataset.
        epochs: model, fold, epoch, and any columns of numbers.
        path: of the table; the scalars lie beside it.
    """
    import mlflow
    from mlflow.entities import Metric

    tags = list(epochs.select_dtypes("float").columns)
    table = epochs.rename(columns={"epoch": "step"})
    _write_scalars(table, tags, path, "epochs")
    long = table.melt(["model", "fold", "step"], value_vars=tags, var_name="tag").dropna()
    now = int(1000 * clock.now().timestamp())
    metrics = [
        Metric(f"{row.model}.fold_{row.fold}.{row.tag}", float(row.value), now, int(row.step))
        for row in long.itertuples()
    ]
    run = mlflow.active_run()
    for start in range(0, len(metrics) if run else 0, 1000):  # the most that MLflow takes at once
        mlflow.MlflowClient().log_batch(run.info.run_id, metrics=metrics[start : start + 1000])


def _write_scalars(table: pd.DataFrame, tags: list[str], path: Path, kind: str) -> None:
    """The columns `tags` of model, fold and step, one folder a model, fold and kind."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    for (model, fold), part in table.groupby(["model", "fold"], sort=True):
        folder = path.parent / "tensorboard" / str(model) / f"fold_{fold}" / kind
        shutil.rmtree(folder, ignore_errors=True)
        writer = EventFileWriter(str(folder))
        for row in part.to_dict("records"):
            scalars = [Summary.Value(tag=tag, simple_value=row[tag]) for tag in tags if math.isfinite(row[tag])]
            writer.add_event(Event(step=int(row["step"]), summary=Summary(value=scalars)))
        writer.close()


def take_over(catalog: Any, unchanged: Sequence[Any], made: int) -> None:
    """What earlier runs made and this one leaves as it is, so that the run is whole: its numbers, tables and verdict.

    Figures, models and trials stay with the run that made them; the tag `unchanged_nodes` says how much was taken over.

    Args:
        catalog: where it is stored.
        unchanged: the nodes that are not run.
        made: how many are.
    """
    import mlflow

    mlflow.set_tag("unchanged_nodes", f"{len(unchanged)} of {len(unchanged) + made}")
    for name in (name for node in unchanged for name in node.outputs):
        dataset = catalog.get(name)
        kind = (getattr(dataset, "metadata", None) or {}).get("tracking")
        if kind in TAKEN_OVER:
            place = Path(str(getattr(dataset, "_filepath", None) or getattr(dataset, "_path", "")))
            RECORDERS[kind](name, catalog.load(name), place)


TAKEN_OVER = ("metrics", "file", "verdict")
RECORDERS: dict[str, Recorder] = {
    "metrics": record_metrics,
    "trials": record_trials,
    "figure": record_figure,
    "file": record_file,
    "models": record_models,
    "verdict": record_verdict,
    "learning_curves": record_learning_curves,
    "epochs": record_epochs,
}


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
    whole = [run for run in runs if "mlflow.parentRunId" not in run.data.tags and "verdict" in run.data.tags]
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
        run.info.run_id[:8], str(run.info.run_name), started, run.data.tags["verdict"], run.data.params, **tables
    )
