"""How Kedro runs this project. See https://docs.kedro.org/en/stable/configure/configuration_basics/."""

import os

from tradewind.errors import BadParameters
from tradewind.hooks import TrackingHooks

HOOKS = (TrackingHooks(),)


def _environment(name: str) -> str:
    """The value of an environment variable, for paths that differ from one machine to the next.

    Raises:
        BadParameters: the variable is not set.
    """
    value = os.environ.get(name)
    if not value:
        raise BadParameters(
            f"the environment variable {name} is not set: this configuration reads it; "
            f"run it as `{name}=FOLDER kedro run --env ...`"
        )
    return value


CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # An overlay holds only the values that differ, at any depth.
    "merge_strategy": {"parameters": "soft", "globals": "soft", "mlflow": "soft"},
    "custom_resolvers": {"environment": _environment},
}
