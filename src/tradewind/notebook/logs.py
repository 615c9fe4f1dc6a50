"""The project's logging for a notebook: chosen before Kedro is imported, which would take its own and say so above the
first output, since a notebook's working folder is not the project's."""

import os
from pathlib import Path

from kedro.utils import find_kedro_project

_VARIABLE = "KEDRO_LOGGING_CONFIG"


def use_the_projects() -> None:
    """Name the project's logging in the environment, unless one is named there."""
    project = find_kedro_project(Path.cwd())
    if project is not None and (project / "conf/logging.yml").is_file():
        os.environ.setdefault(_VARIABLE, str(project / "conf/logging.yml"))


use_the_projects()
