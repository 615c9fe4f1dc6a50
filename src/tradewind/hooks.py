"""The project's Kedro hooks: what is saved is also recorded, where the catalog asks for it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from tradewind.adaptive.rl.parameters import AGENTS
from tradewind.errors import BadParameters
from tradewind.learning.models.chosen import choose
from tradewind.reports.closing import closing_words, market_name
from tradewind.tracking import RECORDERS, make_store

# Blocks of parameters that moved; a configuration or --params that still has the old place is refused.
MOVED = {
    "costs": "trading.costs",
    "execution": "trading.execution",
    "evaluation.signal": "trading.signal",
    "evaluation.sizing": "trading.sizing",
}


class ParameterHooks:
    """Looks at the parameters before Kedro makes the pipelines."""

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Refuse blocks in their old places, and choose the models and agents that `params:models` lists."""
        parameters = context.config_loader["parameters"]
        refuse_moved_blocks(parameters)
        if is_left_to_store(parameters["universe"]):
            context.config_loader["parameters"] = {**parameters, "universe": _universe_of_store(context)}
        choose(parameters["models"], AGENTS)


def is_left_to_store(universe: Mapping[str, Any]) -> bool:
    """Whether `params:universe` leaves the venue, the symbols or the bar to what the store holds."""
    return any(universe.get(name) is None for name in ("venue", "symbols", "timeframe"))


def _universe_of_store(context: KedroContext) -> dict[str, Any]:
    """`params:universe` as far as it is given, the rest from the bars that `source_bars` holds.

    Raises:
        BadParameters: `source_bars` is no store, or what it holds does not settle the question.
    """
    from tradewind.datasets.stored_universe import told_by_store

    entry, loader = context.config_loader["catalog"]["source_bars"], context.config_loader
    if "store" not in entry:
        raise BadParameters(
            "parameters: universe.venue, symbols and timeframe are to be given: source_bars is no store"
        )
    store = dict(entry["store"])
    if isinstance(store.get("credentials"), str):
        store["credentials"] = loader["credentials"][store["credentials"]]
    return told_by_store(loader["parameters"]["universe"], store, context.project_path)


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

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Make MLflow's store before kedro-mlflow opens it."""
        self._context = context
        context.config_loader.config_patterns.setdefault("mlflow", ["mlflow*", "mlflow*/**", "**/mlflow*"])
        make_store(str(context.config_loader["mlflow"]["server"]["mlflow_tracking_uri"]))

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
        if kind not in RECORDERS:
            raise BadParameters(
                f"catalog entry {dataset_name}: metadata.tracking must be one of {sorted(RECORDERS)}, found {kind!r}"
            )
        import mlflow

        if mlflow.active_run() is not None:
            RECORDERS[kind](dataset_name, data, _saved_at(dataset))
            if kind == "verdict" and self._context is not None:
                market = market_name(self._context.config_loader["parameters"]["universe"])
                mlflow.set_tag("mlflow.runName", f"{market}: {data['verdict']}")

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """End a run that wrote a report with the verdict, the best strategies and the pages."""
        if self._context is None or not {"report_html", "index_page"} <= pipeline.all_outputs():
            return
        market = market_name(self._context.config_loader["parameters"]["universe"])
        boards = (catalog.load("leaderboard"), catalog.load("holdout_leaderboard"))
        pages = [_saved_at(catalog.get(name)).absolute() for name in ("report_html", "index_page")]
        words = closing_words(catalog.load("verdict"), boards, catalog.load("folds"), market, pages)
        click.echo(f"\n{words}\n")


def _saved_at(dataset: Any) -> Path:
    return Path(str(getattr(dataset, "_filepath", None) or getattr(dataset, "_path", "")))
