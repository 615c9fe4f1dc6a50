"""The Kedro hooks that follow a run's progress."""

import logging
from collections.abc import Generator
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.pipeline import Node, Pipeline

from tradewind.progress import RunProgress

SECONDS_FILE = "08_reporting/node_seconds.json"


class ProgressHooks:
    """Tells the run's progress which nodes begin and end.

    A node begins with the first thing that it loads and ends when all that it makes is saved: tables of many symbols
    are computed while they are saved. Kedro's ParallelRunner works in other processes, whose hooks are never heard
    here: its own lines are shown instead.
    """

    def __init__(self) -> None:
        """No run is under way."""
        self._context: KedroContext | None = None
        self._run: RunProgress | None = None
        self._unsaved: dict[str, set[str]] = {}

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Keep the context, which says where the environment's data are."""
        self._context = context

    @hook_impl(wrapper=True, tryfirst=True)
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline) -> Generator[None, Any, Any]:
        """Begin to tell; a run that another hook refuses ends here, as Kedro tells no hook of it."""
        self._open(run_params, pipeline)
        try:
            return (yield)
        except BaseException:
            self._close()
            raise

    def _open(self, run_params: dict[str, Any], pipeline: Pipeline) -> None:
        if "ParallelRunner" in str(run_params.get("runner", "")):
            logging.getLogger("kedro.runner").setLevel(logging.INFO)
            return
        file = None
        if self._context is not None:
            data = self._context.config_loader["globals"]["data"]
            file = Path(self._context.project_path) / data / SECONDS_FILE
        self._unsaved = {node.name: set(node.outputs) for node in pipeline.nodes}
        self._run = RunProgress([node.name for node in pipeline.nodes], file)
        self._run.open()

    @hook_impl
    def before_dataset_loaded(self, node: Node) -> None:
        """A node begins."""
        if self._run is not None:
            self._run.begin(node.name)

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """A node begins that reads nothing."""
        if self._run is not None:
            self._run.begin(node.name)

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """A node ends that makes nothing."""
        if self._run is not None and not node.outputs:
            self._run.finish(node.name)

    @hook_impl(trylast=True)
    def after_dataset_saved(self, dataset_name: str, node: Node) -> None:
        """A node ends with its last output."""
        if self._run is not None:
            waiting = self._unsaved[node.name]
            waiting.discard(dataset_name)
            if not waiting:
                self._run.finish(node.name)

    @hook_impl(tryfirst=True)
    def after_pipeline_run(self) -> None:
        """End the bar before anybody else speaks."""
        self._close()

    @hook_impl(tryfirst=True)
    def on_pipeline_error(self) -> None:
        """End the bar before the error is told."""
        self._close()

    def _close(self) -> None:
        if self._run is not None:
            self._run.close()
            self._run = None
