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
    """The option that says where a command writes; `kind` as for `click.Path`."""
    path = click.Path(path_type=Path, **kind)
    return click.option("--output", type=path, default=Path(default), show_default=True, help=meaning)


def reports_option(name: str, meaning: str, **kind: bool) -> Any:
    """The option that says where a command writes, by default among the reports of its environment."""
    default = f"data/08_reporting/{name}, or data/env/ENV/08_reporting/{name}"
    path = click.Path(path_type=Path, **kind)
    return click.option("--output", type=path, default=None, show_default=default, help=meaning)


def reports_path(context: Any, output: Path | None, name: str) -> Path:
    """Where a command writes: what was asked for, else the file or folder of this name among the reports."""
    chosen = output or Path(context.config_loader["globals"]["data"]) / "08_reporting" / name
    return Path(context.project_path) / chosen


@contextmanager
def project_context(project: ProjectMetadata, env: str | None, params: str = "") -> Iterator[Any]:
    """An environment's context."""
    from kedro.framework.cli.utils import _split_params
    from kedro.framework.session import KedroSession

    changed = _split_params(None, None, params) if params else {}
    with KedroSession.create(project.project_path, env=env, runtime_params=changed) as session:
        yield session.load_context()
