"""What a saved dataset leaves in MLflow and TensorBoard.

A dataset asks for it in the catalog, under `metadata: {tracking: KIND}`; the kinds are the keys of `RECORDERS`.
"""

import math
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tradewind.tracking.headline import SOURCES, headline

Recorder = Callable[[str, Any, Path], None]
MOST_LETTERS = 6000  # that MLflow takes of a parameter
_known: dict[str, dict[str, Any]] = {}  # of the run that is open, by its id: what its headline is made of


def record_table(name: str, table: pd.DataFrame, path: Path) -> None:
    """The table as MLflow's pages show one, `tables/NAME.csv`, and the file as it was saved beside it.

    Args:
        name: name of the dataset.
        table: any.
        path: where it was saved.
    """
    import mlflow

    mlflow.log_text(table.to_csv(index=False), f"tables/{name}.csv")
    record_file(name, table, path)
    if name in SOURCES:
        _write_headline(name, table)


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
    """The models of all folds, as they lie in the store beside the list of their keys, each with its signature.

    Args:
        name: name of the dataset.
        keys: of the store, by fold.
        path: of the list of keys; the models lie beside it.
    """
    from tradewind.tracking.fold_models import log_fold_model

    for fold, key in keys.items():
        log_fold_model(path.parent / "folds" / key[:24], f"{name}/fold_{fold}")


def record_verdict(name: str, verdict: dict[str, Any], path: Path) -> None:
    """The verdict and the judged strategy as tags, its numbers as far as they are the run's headline, the file.

    Args:
        name: name of the dataset.
        verdict: with the word under `verdict` and the judged strategy under `strategy`.
        path: where it was saved.
    """
    import mlflow

    record_file(name, verdict, path)
    mlflow.set_tags({name: verdict["verdict"], "judged": verdict["strategy"]})
    _write_headline("verdict", verdict)


def _write_headline(name: str, content: Any) -> None:
    """The numbers that stand on the run, as soon as all that they are made of is there: in whatever order it comes."""
    import mlflow

    run = mlflow.active_run()
    if run is None:
        return
    for other in set(_known) - {run.info.run_id}:
        del _known[other]
    known = _known.setdefault(run.info.run_id, {})
    known[name] = content
    mlflow.log_metrics(headline(known))


def record_bundle(name: str, files: dict[str, bytes], path: Path) -> None:
    """The model of a bundle that was registered, with its signature and an example.

    Args:
        name: name of the dataset.
        files: of the bundle.
        path: of the registry.
    """
    from tradewind.operations.bundle.contents import Bundle
    from tradewind.operations.bundle.sealing import identity_of, manifest_of
    from tradewind.tracking.models import log_bundle

    log_bundle(Bundle.from_files(files, identity_of(manifest_of(files))))


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
    """A training's numbers by model, fold and epoch, as TensorBoard scalars and a table in MLflow.

    Args:
        name: name of the dataset.
        epochs: model, fold, epoch, and any columns of numbers.
        path: of the table; the scalars lie beside it.
    """
    import mlflow

    tags = list(epochs.select_dtypes("float").columns)
    _write_scalars(epochs.rename(columns={"epoch": "step"}), tags, path, "epochs")
    if mlflow.active_run() is not None:
        mlflow.log_text(epochs.to_csv(index=False), f"tables/{name}.csv")


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


TAKEN_OVER = ("table", "file", "verdict")
RECORDERS: dict[str, Recorder] = {
    "table": record_table,
    "trials": record_trials,
    "figure": record_figure,
    "file": record_file,
    "models": record_models,
    "bundle": record_bundle,
    "verdict": record_verdict,
    "learning_curves": record_learning_curves,
    "epochs": record_epochs,
}
