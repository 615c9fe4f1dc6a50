"""What commands share: the project's configuration and context, and where they write."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from kedro.framework.startup import ProjectMetadata


def mlflow_settings(project: ProjectMetadata) -> Any:
    """What `mlflow.yml` says."""
    from tradewind.settings import CONFIG_LOADER_ARGS, CONFIG_LOADER_CLASS

    conf = str(project.project_path / "conf")
    return CONFIG_LOADER_CLASS(conf, **CONFIG_LOADER_ARGS, config_patterns={"mlflow": ["mlflow*"]})["mlflow"]


def output_option(default: str, meaning: str, **kind: bool) -> Any:
    """The option that says where a command writes; `kind` as for `click.Path`.

    Args:
        default: path below the project.
        meaning: the option's help.
        **kind: as for `click.Path`.

    Returns:
        A decorator.
    """
    path = click.Path(path_type=Path, **kind)
    return click.option("--output", type=path, default=Path(default), show_default=True, help=meaning)


def reports_option(name: str, meaning: str, **kind: bool) -> Any:
    """The option that says where a command writes, by default among the reports of its environment.

    Args:
        name: of the file or folder.
        meaning: the option's help.
        **kind: as for `click.Path`.

    Returns:
        A decorator.
    """
    default = f"data/08_reporting/{name}, or data/env/ENV/08_reporting/{name}"
    path = click.Path(path_type=Path, **kind)
    return click.option("--output", type=path, default=None, show_default=default, help=meaning)


def reports_path(context: Any, output: Path | None, name: str) -> Path:
    """Where a command writes: what was asked for, else the file or folder of this name among the reports.

    Args:
        context: of Kedro.
        output: what was asked for, below the project; None takes the default.
        name: of the file or folder among the reports.

    Returns:
        An absolute path.
    """
    chosen = output or Path(context.config_loader["globals"]["data"]) / "08_reporting" / name
    return Path(context.project_path) / chosen


@contextmanager
def project_context(project: ProjectMetadata, env: str | None, params: str = "") -> Iterator[Any]:
    """An environment's context.

    Args:
        project: as Kedro found it.
        env: Kedro environment; None for its default.
        params: `key=value` pairs that replace parameters, with commas between.

    Yields:
        Kedro's context, with configuration and catalog.
    """
    from kedro.framework.cli.utils import _split_params
    from kedro.framework.session import KedroSession

    from tradewind.cli.plugins import look_for_ibis_once
    from tradewind.cli.starts import without_collection

    look_for_ibis_once()
    changed = _split_params(None, None, params) if params else {}
    with KedroSession.create(project.project_path, env=env, runtime_params=changed) as session:
        with without_collection():
            context = session.load_context()
        yield context
