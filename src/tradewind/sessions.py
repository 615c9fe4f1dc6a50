"""A run of this project: alone in its data folder, on inputs that belong to it, and of what is not up to date.

Every run is guarded by hooks, however it is started. What is up to date is passed over by the project's session, which
`kedro run` uses.
"""

import logging
import shlex
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.session import KedroSession
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner

from tradewind.provenance.contents import LEDGERS, kind_of
from tradewind.provenance.origins import Project
from tradewind.provenance.plan import Command, Plan, plan_run

# Pipelines that may have no nodes, and what params:models lists none of then.
EMPTY = {
    "deep_learning": "model over windows of bars", "reinforcement_learning": "agent", "agent_search": "agent",
}  # fmt: skip
FORCE = "tradewind.force"  # in the context of the command
logger = logging.getLogger(__name__)


def data_folder(context: KedroContext) -> Path:
    """Where the context's environment keeps what its runs make."""
    return Path(context.project_path) / str(context.config_loader["globals"]["data"])


def project_of(context: KedroContext, catalog: DataCatalog, pipelines: Mapping[str, Pipeline] | None = None) -> Project:
    """What the project's tables should be made of, in the context's environment.

    Args:
        context: whose configuration and parameters count.
        catalog: made from it; gives parameters as the nodes get them, and the sources.
        pipelines: all of the project; None makes them.

    Returns:
        The project, of which nothing has been looked at yet.
    """
    if pipelines is None:
        from tradewind.pipeline_registry import register_pipelines

        pipelines = register_pipelines()
    nodes = [*pipelines["__default__"].nodes, *(node for one in pipelines.values() for node in one.nodes)]
    entries = catalog.config_resolver

    def entry_of(name: str) -> dict[str, Any]:
        is_declared = name in entries.config or entries.match_dataset_pattern(name) is not None
        return dict(entries.resolve_pattern(name)) if is_declared else {}

    def identify(name: str) -> dict[str, Any]:
        return identity_of_source(project, name, catalog)

    project = Project(nodes, entry_of, catalog.load, identify, data_folder(context), Path(context.project_path))
    return project


def identity_of_source(project: Project, name: str, catalog: DataCatalog) -> dict[str, Any]:
    """What tells the content of a source from another: what its dataset says, or a hash of its file.

    A source that is not in the catalog, and one that is kept by other means, is known by its type alone.

    Args:
        project: whose source it is.
        name: of the source in the catalog.
        catalog: that has it.
    """
    entry = project.entry(name)
    if not entry:
        return {"kind": "memory"}
    if kind_of(entry) in LEDGERS:
        return {"entries": sorted(str(one["key"]) for one in catalog.load(name))}
    identity = getattr(catalog.get(name), "identity", None)
    if identity is not None:
        return dict(identity(catalog.load("params:universe"), project.contents.of_file))
    return {"kind": kind_of(entry), "sha256": project.contents.of_entry(entry) or "missing"}


class ProvenanceHooks:
    """Sees to it that a run is alone, reads what belongs to it, and says of all that it writes what made it."""

    def __init__(self) -> None:
        """No run is under way."""
        self._context: KedroContext | None = None
        self._project: Project | None = None
        self._environment = ""
        self._open = ExitStack()
        self._saved: dict[str, set[str]] = {}
        self._lock = threading.Lock()
        self.plan: Plan | None = None
        self._given: Mapping[str, Mapping[str, Any]] = {}

    @contextmanager
    def taking_as_given(self, identities: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
        """Runs for which these datasets have the given identities (`Project.take_as_given`).

        Args:
            identities: by dataset.
        """
        before, self._given = self._given, identities
        try:
            yield
        finally:
            self._given = before

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Keep the context: it says where the data is."""
        self._context = context

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Take the data folder, look at what there is, and decide what is made.

        Args:
            run_params: what the run was started with.
            pipeline: what was asked for.
            catalog: of the run.

        Raises:
            FolderInUse: another run has the data folder.
            StaleInput: the run would read what something else has made, or what is missing.
        """
        self.end()
        if self._context is None:
            return
        from tradewind import folder_lock

        given = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
        self._open.enter_context(folder_lock.locked(data_folder(self._context), given))
        try:
            self._prepare(run_params, pipeline, catalog)
        except BaseException:
            self.end()
            raise

    def _prepare(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        assert self._context is not None
        self._environment = str(run_params.get("env") or "")
        self._project = project_of(self._context, catalog)
        self._project.take_as_given(self._given)
        command = Command(str(run_params.get("env") or ""), run_params.get("runtime_params") or {})
        asked = click.get_current_context(silent=True)
        force = bool(asked is not None and asked.meta.get(FORCE))
        only_missing = bool(run_params.get("only_missing_outputs"))
        self.plan = plan_run(self._project, pipeline.nodes, command, force, only_missing)
        self._project.contents.keep()

    @hook_impl
    def before_dataset_saved(self, dataset_name: str, node: Node) -> None:
        """Nothing is known of a dataset while it is being written."""
        if self._project is not None:
            self._project.withdraw([dataset_name])

    @hook_impl(trylast=True)
    def after_dataset_saved(self, dataset_name: str, node: Node) -> None:
        """Once all outputs of a node are there, write down what made them."""
        if self._project is None:
            return
        with self._lock:
            saved = self._saved.setdefault(node.name, set())
            saved.add(dataset_name)
            if saved >= set(node.outputs):
                del self._saved[node.name]
                self._project.record(node, self._environment)

    @hook_impl(trylast=True)
    def after_pipeline_run(self) -> None:
        """Give the data folder back."""
        self.end()

    @hook_impl(trylast=True)
    def on_pipeline_error(self) -> None:
        """Give the data folder back."""
        self.end()

    def end(self) -> None:
        """The run is over, however it ended."""
        self._open.close()
        self._project, self.plan, self._saved = None, None, {}


PROVENANCE = ProvenanceHooks()


class ProjectSession(KedroSession):
    """Kedro's session, whose run passes over what is up to date."""

    def run(self, *arguments: Any, runner: Any = None, **options: Any) -> dict[str, Any]:
        """As Kedro's, but for what is up to date; what is to be run is said first.

        Stages that `params:models` leaves empty are no error: a schedule names every stage, whatever is trained.

        Args:
            *arguments: as Kedro's.
            runner: of the nodes; default: one after the other.
            **options: as Kedro's.
        """
        from tradewind.cli.plugins import look_for_ibis_once
        from tradewind.cli.starts import without_collection

        look_for_ibis_once()
        start = ExitStack()  # ends where the first node begins
        chosen = runner or SequentialRunner()
        whole = chosen.run

        def run(pipeline: Pipeline, *given: Any, only_missing_outputs: bool = False, **more: Any) -> Any:
            start.close()
            plan = PROVENANCE.plan
            if plan is None:
                return whole(pipeline, *given, only_missing_outputs=only_missing_outputs, **more)
            for line in plan.lines():
                logger.info("%s", line)
            return whole(Pipeline(plan.make), *given, **more) if plan.make else {}

        chosen.run = run
        try:
            start.enter_context(without_collection())
            return dict(super().run(*arguments, runner=chosen, **options))
        except ValueError as error:
            empty = empty_stages(options.get("pipeline_names") or [str(options.get("pipeline_name"))])
            if "contains no nodes" not in str(error) or not empty:
                raise
            for line in empty:
                logger.info("%s", line)
            return {}
        except KeyboardInterrupt as stop:
            # A statement that Ctrl-C came into holds its lock on MLflow's file for as long as its frame is kept.
            traceback.clear_frames(stop.__traceback__)
            close_tracking("KILLED")
            raise
        finally:
            start.close()
            PROVENANCE.end()


def empty_stages(names: Sequence[str]) -> list[str]:
    """Why each of these pipelines has no nodes, as `params:models` is; nothing at all where one of them has.

    Args:
        names: of pipelines.
    """
    from tradewind.pipeline_registry import register_pipelines

    pipelines = register_pipelines()
    if any(name not in EMPTY or pipelines[name].nodes for name in names):
        return []
    return [f"{name}: nothing to do, for params:models lists no {EMPTY[name]}" for name in names]


def close_tracking(status: str) -> None:
    """Close the MLflow runs that are open, with this status, where MLflow is loaded at all.

    A store that does not answer must not stand in the way of the end: that is logged.
    """
    mlflow = sys.modules.get("mlflow")
    try:
        while mlflow is not None and mlflow.active_run() is not None:
            mlflow.end_run(status)
    except Exception as error:  # noqa: BLE001 - whatever the store raises, the run has ended
        logger.warning("MLflow could not record that the run is over (%s): it shows the run as running", error)
