"""How Kedro runs this project. See https://docs.kedro.org/en/stable/configure/configuration_basics/."""

import os
import warnings
from pathlib import Path

from tradewind.errors import BadParameters
from tradewind.hooks import TrackingHooks

HOOKS = (TrackingHooks(),)

PROJECT = Path(__file__).resolve().parents[2]

# Kedro and kedro-mlflow call what OmegaConf will retire, and evaluation reads namespaced datasets on purpose: nothing
# that who runs the project could mend.
warnings.filterwarnings("ignore", message=r"(?s).*register_new_resolver\(\) is deprecated")
warnings.filterwarnings("ignore", message=r"(?s).*dataset names contain '\.'")


def _environment(name: str, default: str | None = None) -> str:
    """The value of an environment variable, for paths that differ from one machine to the next, or else the default.

    Raises:
        BadParameters: the variable is not set and has no default.
    """
    value = os.environ.get(name) or default
    if value is None:
        raise BadParameters(
            f"the environment variable {name} is not set: this configuration reads it; "
            f"run it as `{name}=FOLDER kedro run --env ...`"
        )
    return value


def _project_file(name: str) -> str:
    """The absolute path of a file of the project, wherever Kedro was started: a notebook's folder, say."""
    return str(PROJECT / name)


CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # An overlay holds only the values that differ, at any depth.
    "merge_strategy": {"parameters": "soft", "globals": "soft", "mlflow": "soft"},
    "custom_resolvers": {"environment": _environment, "project_file": _project_file},
}
