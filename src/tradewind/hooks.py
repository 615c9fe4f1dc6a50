"""The project's Kedro hooks: parameters are looked at before all else, and what is saved is also recorded.

Nothing heavy is imported before a hook needs it: every command loads this module.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline

from tradewind.errors import BadParameters
from tradewind.sessions import PROVENANCE

LARGEST_SEED = 2**31 - 1  # that every library takes
IN_NODE = "in node "  # how the note begins that an error of a node carries

# Blocks of parameters that moved; a configuration or --params that still has the old place is refused.
MOVED = {
    "costs": "trading.costs",
    "execution": "trading.execution",
    "evaluation.signal": "trading.signal",
    "evaluation.sizing": "trading.sizing",
}


class ParameterHooks:
    """Looks at the parameters before Kedro makes the pipelines, and at what they need before it runs them."""

    def __init__(self) -> None:
        """No context yet; Kedro hands it over before the run."""
        self._context: KedroContext | None = None

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Refuse blocks in their old places, and choose the models and agents that `params:models` lists."""
        from tradewind.adaptive.rl.parameters import AGENTS
        from tradewind.learning.models.chosen import choose
        from tradewind.market.bar_counts import with_bar_counts

        self._context = context
        parameters = context.config_loader["parameters"]
        refuse_moved_blocks(parameters)
        seed = parameters["seed"]
        if type(seed) is not int or not 0 <= seed <= LARGEST_SEED:
            raise BadParameters(f"parameters: seed must be a whole number from 0 to {LARGEST_SEED}, found {seed!r}")
        if not isinstance(parameters["universe"], Mapping):
            raise BadParameters(
                f"parameters: universe is a block of venue, symbols and timeframe, found {parameters['universe']!r}: "
                "say --params=universe.symbols=..."
            )
        if is_left_to_store(parameters["universe"]):
            whole = {**parameters, "universe": _universe_of_store(context)}
            context.config_loader["parameters"] = with_bar_counts(whole)
        choose(parameters["models"], AGENTS)

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline) -> None:
        """Refuse parameters that are wrong in any stage or contradict each other, and models whose libraries are not
        installed, before any node."""
        if self._context is not None:
            from tradewind.cli.parameter_checks import check_all

            check_all(self._context)
        require_extras(pipeline)

    @hook_impl
    def on_node_error(self, error: Exception, node: Node) -> None:
        """Let the error say where it happened."""
        error.add_note(f"{IN_NODE}{node.name}")


class TrainingHooks:
    """Has the server of worker processes import what trainings need, seconds of it, while the first stages work."""

    def __init__(self) -> None:
        """No context yet; Kedro hands it over before the run."""
        self._context: KedroContext | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Keep the context, whose parameters say which trainings run in processes."""
        self._context = context

    @hook_impl(trylast=True)
    def before_pipeline_run(self, pipeline: Pipeline) -> None:
        """Start the server where a training in processes is to come."""
        nodes = pipeline.nodes if PROVENANCE.plan is None else PROVENANCE.plan.make
        if self._context is not None and trains_in_processes(nodes, self._context.config_loader["parameters"]):
            from tradewind.compute import TRAINING_MODULES, start_worker_server

            start_worker_server(TRAINING_MODULES)


def trains_in_processes(nodes: Iterable[Node], parameters: Mapping[str, Any]) -> bool:
    """Whether one of the nodes trains a network or an agent in worker processes."""
    for stage, _, model in ((node.namespace or "").partition(".") for node in nodes if node.name.endswith(".train")):
        block = parameters.get(stage, {}).get(model, {})
        if stage == "deep_learning" and block["training"].get("executor") == "processes":
            return True
        if stage == "reinforcement_learning":
            training = block["rules"].get("training", {})
            if training.get("executor", "processes") == "processes":
                return True
    return False


def require_extras(pipeline: Pipeline) -> None:
    """Nothing, where all that the pipeline's models and agents need is installed.

    Raises:
        MissingExtra: the extra that is missing, the models that need it, and what to do.
    """
    from tradewind import extras
    from tradewind.learning.models import catalogue

    needed = dict[str, list[str]]()
    for namespace in sorted({node.namespace for node in pipeline.nodes if node.namespace}):
        stage, _, name = namespace.partition(".")
        of_model = catalogue.extra_of(name) if name in catalogue.MODELS else None
        extra = "agents" if stage == "reinforcement_learning" and name else of_model
        if extra is not None:
            needed.setdefault(extra, []).append(name)
    for extra, names in needed.items():
        extras.require(extra, f"{', '.join(names)} (params:models)", ", or take it out of params:models")


def is_left_to_store(universe: Mapping[str, Any]) -> bool:
    """Whether `params:universe` leaves the venue, the symbols or the bar to what the store holds."""
    return any(universe.get(name) is None for name in ("venue", "symbols", "timeframe"))


def _universe_of_store(context: KedroContext) -> dict[str, Any]:
    """`params:universe` as far as it is given, the rest from the bars that `source_bars` holds.

    Raises:
        BadParameters: `source_bars` is no store, or what it holds does not settle the question.
    """
    from tradewind.datasets.stored_universe import universe_of_store

    entry, loader = context.config_loader["catalog"]["source_bars"], context.config_loader
    if "store" not in entry:
        raise BadParameters(
            "parameters: universe.venue, symbols and timeframe are to be given: source_bars is no store"
        )
    store = dict(entry["store"])
    if isinstance(store.get("credentials"), str):
        store["credentials"] = loader["credentials"][store["credentials"]]
    return universe_of_store(loader["parameters"]["universe"], store, context.project_path)


def refuse_moved_blocks(parameters: Mapping[str, Any]) -> None:
    """Nothing, where every block is where it is read.

    Raises:
        BadParameters: a block stands in its old place; the message names the new one.
    """
    for old, new in MOVED.items():
        inside: Any = parameters
        for key in old.split("."):
            inside = inside.get(key) if isinstance(inside, Mapping) else None
        if inside is not None:
            raise BadParameters(f"parameters: {old} is {new} now: move the block, and write --params={new}...=VALUE")


class TrackingHooks:
    """Records datasets that carry `metadata: {tracking: KIND}` once they are saved and a MLflow run is open."""

    def __init__(self) -> None:
        """A recorder that knows no catalog yet; Kedro hands it over before the run."""
        self._catalog: DataCatalog | None = None
        self._context: KedroContext | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Keep the context: what a run is called is told by its parameters."""
        self._context = context

    @hook_impl
    def after_catalog_created(self, catalog: DataCatalog) -> None:
        """Keep the catalog: the save hook is told a dataset's name only."""
        self._catalog = catalog

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Record what was saved.

        Raises:
            BadParameters: the catalog asks for a kind of tracking that does not exist.
        """
        dataset = self._catalog.get(dataset_name) if self._catalog is not None else None
        kind = (getattr(dataset, "metadata", None) or {}).get("tracking")
        if kind is None:
            return
        from tradewind.tracking import RECORDERS

        if kind not in RECORDERS:
            raise BadParameters(
                f"catalog entry {dataset_name}: metadata.tracking must be one of {sorted(RECORDERS)}, found {kind!r}"
            )
        import mlflow

        if mlflow.active_run() is not None:
            RECORDERS[kind](dataset_name, data, _saved_at(dataset))
            if kind == "verdict" and self._context is not None:
                from tradewind.datasets.run_facts import code_commit
                from tradewind.reports.closing import market_name

                market = market_name(self._context.config_loader["parameters"]["universe"])
                mlflow.set_tags({"mlflow.runName": f"{market}: {data['verdict']}", "commit": code_commit()})

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """End a run that wrote a report with the verdict, the best strategies and the pages."""
        if self._context is None or not {"report_html", "index_page"} <= pipeline.all_outputs():
            return
        from tradewind.reports.closing import closing_words, market_name

        market = market_name(self._context.config_loader["parameters"]["universe"])
        boards = (catalog.load("leaderboard"), catalog.load("holdout_leaderboard"))
        pages = [_saved_at(catalog.get(name)).absolute() for name in ("report_html", "index_page")]
        words = closing_words(catalog.load("verdict"), boards, catalog.load("folds"), market, pages)
        click.echo(f"\n{words}\n")


class MlflowHooks:
    """kedro-mlflow's hooks, loaded when a run starts: importing MLflow takes 1.5 s of CPU.

    pluggy loads no entry point whose name is taken by a registered plugin, and this one takes that of kedro-mlflow's.
    """

    def __init__(self) -> None:
        """Nothing is loaded and no run is open."""
        self.__name__ = "mlflow_hook"
        self._context: KedroContext | None = None
        self._catalog: dict[str, Any] = {}
        self._parameters: dict[str, Any] = {}
        self._opened: Any = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Keep the context: a run, if one follows, is recorded as its `mlflow.yml` says."""
        self._context, self._opened = context, None

    @hook_impl
    def after_catalog_created(
        self,
        catalog: DataCatalog,
        conf_catalog: dict[str, Any],
        conf_creds: dict[str, Any],
        parameters: dict[str, Any],
        save_version: str,
        load_versions: dict[str, str],
    ) -> None:
        """Keep what kedro-mlflow is told of the catalog when the run starts.

        Args:
            catalog: of the run.
            conf_catalog: its configuration.
            conf_creds: credentials of the configuration.
            parameters: of the run.
            save_version: of versioned datasets.
            load_versions: by dataset.
        """
        self._catalog = {
            "catalog": catalog, "conf_catalog": conf_catalog, "conf_creds": conf_creds, "parameters": parameters,
            "save_version": save_version, "load_versions": load_versions,
        }  # fmt: skip

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Open MLflow's store and a run in it, which takes over what is known of the nodes that are not run.

        Args:
            run_params: what the run was started with.
            pipeline: what is run.
            catalog: of the run.
        """
        plan = PROVENANCE.plan
        if plan is not None and not plan.make:
            return  # nothing happens that could be recorded
        if self._context is not None:  # once: the loader reads and resolves all files anew each time
            self._parameters = self._context.config_loader["parameters"]
        self._opened = open_tracking(self._context)
        self._opened.after_catalog_created(**self._catalog)
        self._opened.before_pipeline_run(run_params, pipeline, catalog)
        if plan is not None and plan.unchanged:
            from tradewind.tracking import record_parameters, take_over

            for node in plan.unchanged:  # in the same words as those of the nodes that run: MLflow refuses others
                record_parameters(node.inputs, self._parameters)
            take_over(catalog, plan.unchanged, len(plan.make))

    @hook_impl
    def before_node_run(self, node: Node, catalog: DataCatalog, inputs: dict[str, Any], is_async: bool) -> None:
        """Record the node's parameters as they are written; kedro-mlflow would record what Python prints of them.

        Args:
            node: about to run.
            catalog: of the run.
            inputs: of the node, by dataset.
            is_async: whether datasets are loaded and saved beside the run.
        """
        if self._opened is None:
            return
        import mlflow

        from tradewind.tracking import record_parameters

        if mlflow.active_run() is None:  # in another thread than the run's first
            self._opened.before_node_run(node, catalog, {}, is_async)
        record_parameters(node.inputs, self._parameters)

    @hook_impl
    def after_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Close the run.

        Args:
            run_params: what the run was started with.
            pipeline: what was run.
            catalog: of the run.
        """
        if self._opened is not None:
            self._opened.after_pipeline_run(run_params, pipeline, catalog)

    @hook_impl
    def on_pipeline_error(
        self, error: Exception, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> None:
        """Close the run as failed.

        Args:
            error: that ended the run.
            run_params: what the run was started with.
            pipeline: what was run.
            catalog: of the run.
        """
        if self._opened is not None:
            self._opened.on_pipeline_error(error, run_params, pipeline, catalog)


def open_tracking(context: Any) -> Any:
    """kedro-mlflow's hooks, set up as the context's `mlflow.yml` says, with a store that is whole."""
    from tradewind.cli.plugins import import_kedro_mlflow
    from tradewind.tracking import make_store

    mlflow_hook = import_kedro_mlflow("kedro_mlflow.framework.hooks").mlflow_hook

    context.config_loader.config_patterns.setdefault("mlflow", ["mlflow*", "mlflow*/**", "**/mlflow*"])
    make_store(str(context.config_loader["mlflow"]["server"]["mlflow_tracking_uri"]))
    mlflow_hook.after_context_created(context)
    return mlflow_hook


class ProjectContext(KedroContext):
    """Kedro's context, whose `mlflow` (kedro-mlflow's configuration) is there once somebody asks for it."""

    # Kedro types the parameters of the pipelines that are run alone. What made a table is told by typed values: they
    # must be the same whatever is run.
    @property
    def _pipelines_to_validate(self) -> list[str] | None:
        return None

    @_pipelines_to_validate.setter
    def _pipelines_to_validate(self, names: list[str] | None) -> None:
        pass

    @property
    def mlflow(self) -> Any:
        """What `mlflow.yml` says, set up."""
        if "_mlflow" not in self.__dict__:
            open_tracking(self)  # which sets it
        return self.__dict__["_mlflow"]

    @mlflow.setter
    def mlflow(self, configuration: Any) -> None:
        self.__dict__["_mlflow"] = configuration


def _saved_at(dataset: Any) -> Path:
    return Path(str(getattr(dataset, "_filepath", None) or getattr(dataset, "_path", "")))
