"""How Kedro runs this project. See https://docs.kedro.org/en/stable/configure/configuration_basics/."""

import os
import re
import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException, OmegaConfigLoader
from omegaconf import OmegaConf

from tradewind.cli.plugins import defer_mlflow_commands, skip_address_grammar
from tradewind.cli.run_progress import ProgressHooks
from tradewind.errors import BadParameters
from tradewind.hooks import MlflowHooks, ParameterHooks, ProjectContext, TrackingHooks, TrainingHooks
from tradewind.sessions import PROVENANCE, ProjectSession

defer_mlflow_commands()
skip_address_grammar()
# Of those that want to be first, the last is asked first: parameters before tables.
HOOKS = (PROVENANCE, ParameterHooks(), ProgressHooks(), TrackingHooks(), MlflowHooks(), TrainingHooks())
CONTEXT_CLASS = ProjectContext
SESSION_CLASS = ProjectSession

# The project's folder; of an installed package, which has none, the one that it is run in.
_SOURCE = Path(__file__).resolve().parents[2]
PROJECT = _SOURCE if (_SOURCE / "pyproject.toml").is_file() else Path.cwd()
DEFAULT_ENVIRONMENT = "local"
# SQLAlchemy reads these as an escaped sign and as the beginning of options.
_IN_ADDRESSES = re.compile(r"%[0-9A-Fa-f]{2}|\?")

# Kedro and kedro-mlflow call what OmegaConf will retire, and evaluation reads namespaced datasets on purpose: nothing
# that who runs the project could mend.
warnings.filterwarnings("ignore", message=r"(?s).*register_new_resolver\(\) is deprecated")
warnings.filterwarnings("ignore", message=r"(?s).*dataset names contain '\.'")
warnings.filterwarnings("ignore", message=r"(?s).*ORJSONResponse is deprecated")  # Kedro-Viz's pages use it


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
    """The absolute path of a file of the project, wherever Kedro was started: a notebook's folder, say.

    Raises:
        BadParameters: the path has signs that mean something else in the address of a database.
    """
    found = _IN_ADDRESSES.search(str(PROJECT))
    if found is not None:
        raise BadParameters(
            f"the project lies in {PROJECT}: the address of a database cannot hold {found[0]!r}; rename that folder"
        )
    return str(PROJECT / name)


class ProjectConfigLoader(OmegaConfigLoader):
    """Kedro's loader, which reads `conf/local/credentials.yml` in every environment: keys belong to the machine.

    Kedro itself reads conf/local only where no other environment is named. `${environment_folder:data}` in the
    configuration is `data` where no environment is named, and `data/env/NAME` in `--env NAME`.
    """

    def __init__(self, conf_source: str, env: str | None = None, *arguments: Any, **settings: Any) -> None:
        """As Kedro's loader; the resolver must be there before that reads `globals.yml`."""
        own = env or settings.get("default_run_env")
        shared = (None, settings.get("base_env"), DEFAULT_ENVIRONMENT)

        def folder(root: str) -> str:
            return root if own in shared else f"{root}/env/{own}"

        OmegaConf.register_resolver("environment_folder", folder, replace=True)
        self._read: dict[str, dict[str, Any]] = {}
        super().__init__(conf_source, env, *arguments, **settings)

    def __getitem__(self, key: str) -> dict[str, Any]:
        """The configuration of this kind, a copy each time; its files are read and resolved once for a loader."""
        if key in self:
            return super().__getitem__(key)
        if key not in self._read:
            self._read[key] = self._load(key)
        return deepcopy(self._read[key])

    def _load(self, key: str) -> dict[str, Any]:
        if key == "parameters":
            from tradewind.learning.models.chosen import with_every_block
            from tradewind.market.bar_counts import with_bar_counts

            return with_bar_counts(with_every_block(super().__getitem__(key)))
        if key != "credentials":
            return super().__getitem__(key)
        found, missing = dict[str, Any](), list[MissingConfigException]()
        for read in (self._local_credentials, super().__getitem__):
            try:
                found |= read(key)
            except MissingConfigException as error:
                missing.append(error)
        if len(missing) == 2:
            raise missing[-1]
        return found

    def _local_credentials(self, key: str) -> dict[str, Any]:
        folder = self._get_conf_env_path("local")
        return self.load_and_merge_dir_config(folder, self.config_patterns[key], key, set(), True)


CONFIG_LOADER_CLASS = ProjectConfigLoader
CONFIG_LOADER_ARGS: dict[str, Any] = {
    "base_env": "base",
    "default_run_env": DEFAULT_ENVIRONMENT,
    # An overlay holds only the values that differ, at any depth.
    "merge_strategy": {"parameters": "soft", "globals": "soft", "mlflow": "soft"},
    "custom_resolvers": {"environment": _environment, "project_file": _project_file},
}
