"""The project opened in a notebook."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.utils import find_kedro_project

from tradewind.errors import BadParameters
from tradewind.evaluation.traded_market import TradedMarket
from tradewind.market.universe import Universe
from tradewind.notebook.tables import Datasets, one_table
from tradewind.trading.setup import TradingSetup

# Pages that need no network and no server show these figures, too.
RENDERER = "plotly_mimetype+notebook"
LAYERS = ("raw", "intermediate", "primary", "feature", "model_input", "models", "model_output", "reporting")
_QUIET = ("kedro", "tradewind")


class NotebookProject:
    """One environment's data and parameters, and its pipelines.

    Attributes:
        folder: of the project.
        env: the environment; None is the default run.
    """

    def __init__(self, folder: Path, env: str | None) -> None:
        """The project in this folder; `open_project` finds it."""
        self.folder, self.env = folder, env
        with self._session({}) as session:
            context = session.load_context()
            self.catalog: Any = context.catalog
            self.parameters: dict[str, Any] = dict(context.params)
            # Which models there are is told by the parameters, which have been read now.
            self.pipelines: dict[str, Any] = dict(pipelines)
        self.data = Datasets(self.names, self.load)

    @cached_property
    def names(self) -> list[str]:
        """The names of all datasets; a dot is a namespace: the same pipeline, once for each model."""
        used = {name for pipeline in self.pipelines.values() for name in pipeline.datasets() if name in self.catalog}
        return sorted(name for name in {*self.catalog, *used} if not name.startswith(("params:", "parameters")))

    def layers(self) -> pd.DataFrame:
        """How many datasets each layer has, and their names, in the order in which a run makes the layers."""
        by_layer: dict[str, list[str]] = {layer: [] for layer in LAYERS}
        for name in self.names:
            shown = (getattr(self.catalog.get(name), "metadata", None) or {}).get("kedro-viz", {})
            by_layer.setdefault(shown.get("layer", "in memory"), []).append(name)
        rows = [(layer, len(names), ", ".join(names)) for layer, names in by_layer.items() if names]
        return pd.DataFrame(rows, columns=["layer", "datasets", "names"]).set_index("layer")

    def load(self, name: str, symbol: str | None = None, part: str | None = None) -> Any:
        """What a dataset holds, as one DataFrame where it is made of tables.

        Args:
            name: of the dataset.
            symbol: only the rows of this symbol.
            part: only this part of a dataset of many tables: a strategy, a model.

        Raises:
            BadParameters: there is no such dataset, symbol or part.
        """
        if name not in self.names:
            near = [one for one in self.names if name in one or one in name]
            raise BadParameters(f"there is no dataset {name!r}: `project.data` lists them" + _near(near))
        return one_table(name, self.catalog.load(name), symbol, part)

    def of_models(self, table: str) -> pd.DataFrame:
        """A table that each model of the run has, such as `fold_metrics`: all of them, one below the other.

        Without rows and columns where the run has no such model.
        """
        found = [self.load(name) for name in self._of_models(table)]
        return pd.concat(found, ignore_index=True) if found else pd.DataFrame()

    def figure(self, name: str) -> Any:
        """The figure of this name, such as `action_figure`, of the first model of the run that has one, or None."""
        return next((self.load(one) for one in self._of_models(name)), None)

    def _of_models(self, ending: str) -> list[str]:
        return [name for name in self.names if name.endswith(f".{ending}") and self.catalog.exists(name)]

    def run(self, pipeline: str = "__default__", parameters: Mapping[str, Any] | None = None) -> None:
        """Run a pipeline as `kedro run --pipelines NAME` does: its tables and pages are replaced.

        Args:
            pipeline: a stage, or another name of `kedro registry list`.
            parameters: values that differ for this run, by their place: `{"trading.costs.taker_fee_bps": 10}`.
        """
        changed: dict[str, Any] = {}
        for place, value in (parameters or {}).items():
            *blocks, key = place.split(".")
            inner = changed
            for block in blocks:
                inner = inner.setdefault(block, {})
            inner[key] = value
        with self._session(changed) as session:
            session.run(pipeline_names=[pipeline])

    @cached_property
    def universe(self) -> Universe:
        """What is traded."""
        return Universe.model_validate(self.parameters["universe"])

    @cached_property
    def folds(self) -> pd.DataFrame:
        """The walk-forward folds and the holdout."""
        return self.catalog.load("folds")

    @cached_property
    def market(self) -> TradedMarket:
        """The histories of all symbols with the terms of trade, as the evaluation sees them."""
        setup = TradingSetup.model_validate(self.parameters["trading"])
        return TradedMarket.load(self.catalog.load("bars"), self.catalog.load("side_series"), self.universe, setup)

    @contextmanager
    def _session(self, parameters: dict[str, Any]) -> Iterator[KedroSession]:
        with KedroSession.create(self.folder, env=self.env, runtime_params=parameters) as session:
            yield session

    def __repr__(self) -> str:
        where = f"environment {self.env}" if self.env else "default environment"
        market = self.universe
        return f"{where}: {market.venue}, {' '.join(market.symbols)}, {market.timeframe}; {len(self.names)} datasets"


def open_project(env: str | None = None, folder: Path | str | None = None) -> NotebookProject:
    """The project around the notebook, without log lines, with figures that exported pages show.

    Args:
        env: the environment whose data are read; else that of the variable KEDRO_ENV, else the default run's.
        folder: of the project; else the one that the working folder lies in.

    Raises:
        BadParameters: there is no project here.
    """
    import os

    import plotly.io

    found = Path(folder) if folder is not None else find_kedro_project(Path.cwd())
    if found is None or not (found / "pyproject.toml").is_file():
        raise BadParameters(f"no project around {folder or Path.cwd()}: say open_project(folder=...)")
    bootstrap_project(found)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    plotly.io.renderers.default = RENDERER
    return NotebookProject(found, env or os.environ.get("KEDRO_ENV") or None)


def _near(names: list[str]) -> str:
    return f"; near it: {', '.join(names[:5])}" if names else ""
