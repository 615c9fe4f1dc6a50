"""The command that retrains: the stages of the project, one after the other, and a trial of what they lead to."""

import getpass
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import click
from kedro.framework.startup import ProjectMetadata

from tradewind.cli import online
from tradewind.cli.errors import explain
from tradewind.cli.project import project_context
from tradewind.errors import BadData, BadModel, BadParameters, FolderInUse, StaleInput

FOLDER, PAGE = Path("09_deployment/retraining"), Path("09_deployment/retraining.md")
LOOK_EVERY_S = 5.0
# What the judgement is about; a bundle that is made of other tables was not judged.
JUDGED = ("model_input", "leaderboard", "verdict")


@click.command()
@click.option("--env", default=None, help="Environment whose models are retrained, such as exchange.")
@click.option(
    "--because",
    type=click.Choice(["manual", "scheduled", "drift", "degraded"]),
    default="manual",
    show_default=True,
    help="What starts it. drift and degraded ask what `kedro run --pipelines monitoring` has found, and do nothing "
    "where it found nothing.",
)
@click.option("--reason", default="", help="Why, in your words; it is kept.")
@click.option("--tune/--keep", default=None, help="Search for parameters anew, or keep those of the last search.")
@click.option(
    "--backfill/--no-backfill", default=True, help="Fetch new bars first, where the environment has a source."
)
@click.option("--wait", is_flag=True, help="Wait for another retraining or run in the same folder, and then begin.")
@click.option(
    "--online", is_flag=True,
    help="Update the champion by the labels that have settled since (lightgbm, xgboost, linear) instead of training "
    "anew: params:operations.online.",
)  # fmt: skip
@click.option("--history", is_flag=True, help="Show every retraining there was, and begin none.")
@click.option("--params", "-p", default="", help="Parameters to change, as for kedro run.")
@click.pass_obj
def retrain(project: ProjectMetadata, /, because: Any, reason: str, tune: bool | None, **options: Any) -> None:
    """Retrain on new bars, and try the result beside the champion if it is good enough.

    The steps: backfill, data with its quality gate, models in their walk-forward, verdict, refit and registration, the
    canary's role. Each is the project's own stage and makes only what is missing or stale. Killed or stopped at any
    point, the same command goes on. One retraining at a time.

    A verdict that is not go, or a result below the champion's own evidence, registers nothing: the reason is printed
    and kept. Bad bars, too little data or a full disk stop it with exit status 1; the champion stays in every case, and
    only its trial promotes a successor. Cool-down, budget and where the champion answers: params:operations.retraining.

    `data/09_deployment/retraining.md` (data/env/ENV/...) is a table of all retrainings.

    \b
    kedro retrain --env exchange --reason "new fees"           now
    kedro retrain --env exchange --because scheduled --wait    from a timer
    kedro retrain --env exchange --because drift               if monitoring found that something changed
    kedro retrain --env exchange --online                      the champion, updated by what has settled since
    """
    from tradewind.operations.retraining.attempts import Attempts
    from tradewind.operations.retraining.course import Asked, Course

    os.chdir(project.project_path)  # stores and MLflow's artifacts are named from there
    work = ProjectWork(project, options["env"], options["params"], options["backfill"], options["wait"])
    if options["history"]:
        click.echo(online.history(work.folder) if options["online"] else work.page())
        return
    if options["online"]:
        if because != "manual" or reason or tune is not None:
            raise BadParameters("--online takes no --because, --reason, --tune or --keep: they are of a retraining")
        with work.alone():
            work.update()
        return
    why = reason or (f"asked for by {getpass.getuser()}" if because == "manual" else "")
    with work.alone(), Attempts(work.folder) as attempts:
        course = Course(attempts, work, work.registry, work.rules, click.echo)
        try:
            course.go(Asked(because, why, tune), lambda error: explain(error) or f"{type(error).__name__}: {error}")
        finally:
            work.write_page()


class ProjectWork:
    """The steps of a retraining as sessions of Kedro, in one environment."""

    def __init__(self, project: ProjectMetadata, env: str | None, params: str, backfill: bool, wait: bool) -> None:
        """Look at the environment.

        Args:
            project: as Kedro found it.
            env: Kedro environment; None for its default.
            params: `key=value` pairs that replace parameters.
            backfill: whether new bars are fetched.
            wait: for whoever has the data folder.
        """
        from tradewind.cli.parameter_checks import check_all
        from tradewind.operations.online.rules import OnlineRules
        from tradewind.operations.retraining.rules import RetrainingRules
        from tradewind.provenance.records import Records
        from tradewind.sessions import data_folder

        self._project, self._env, self._params = project, env, params
        self._backfill, self._wait = backfill, wait
        self._kept, self._judged = False, dict[str, str]()
        self._forecasts: Any = None
        with project_context(project, env, params) as context:
            check_all(context)
            self._data = data_folder(context)
            self._records = Records(self._data)
            self.rules = RetrainingRules.model_validate(context.params["operations"]["retraining"])
            self._online = OnlineRules.model_validate(context.params["operations"].get("online", {}))
            self._catalog = context.catalog  # made anew whenever a context is asked for it
        self.registry = self._catalog.load("registry")
        self.folder = self._data / FOLDER

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While no other retraining of this environment is under way.

        Raises:
            FolderInUse: another one is, and is not waited for.
        """
        from tradewind import folder_lock

        given = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
        with ExitStack() as stack:
            self._patiently(lambda: stack.enter_context(folder_lock.locked(self.folder, given)))
            yield

    def update(self) -> None:
        """New bars, features and labels, and the champion updated by them.

        Raises:
            BadParameters: online learning is off, or nobody is champion.
            BadModel: the champion cannot be updated.
        """
        online.require_on(self._online)
        left_out = self.fetch()
        if left_out:
            click.echo(f"  backfill left out: {left_out}")
        self.make_data()
        online.update(self.folder, self._catalog, self.registry, self._online)

    def watched(self) -> tuple[Any, Mapping[str, object]]:
        """Drift table and summary of the monitoring stage.

        Raises:
            BadData: it was never run.
        """
        if not all(self._catalog.exists(name) for name in ("drift", "monitoring_summary")):
            env = f" --env {self._env}" if self._env else ""
            raise BadData(f"nobody has watched the champion: run `kedro run{env} --pipelines monitoring` first")
        return self._catalog.load("drift"), self._catalog.load("monitoring_summary")

    def fetch(self) -> str:
        """`kedro backfill` of this environment; why it was left out, or empty."""
        from tradewind.cli.connections import MarketConfiguration
        from tradewind.cli.ingestion import backfill

        if not self._backfill:
            return "--no-backfill"
        configured = MarketConfiguration.of_environment(self._project, self._env).dataset
        if not configured.get("store") or not configured.get("source"):
            return "the environment has no store that is filled from a source"
        click.get_current_context().invoke(backfill, env=self._env)
        return ""

    def make_data(self) -> None:
        """The stages up to the features, on what the sources hold now."""
        self._run("data", {})

    def train(self, tune: bool) -> None:
        """The models and the evaluation, on the data as they were made."""
        self._kept = not tune
        self._run("models", self._given())

    def candidate(self) -> Any:
        """What the run says of the model that would be deployed."""
        import pandas as pd

        from tradewind.learning.ensemble import ENSEMBLES
        from tradewind.learning.models.catalogue import stage_of
        from tradewind.learning.models.chosen import words
        from tradewind.operations.bundle.drift import walk_forward_losses
        from tradewind.operations.bundle.making import choose
        from tradewind.operations.retraining.judgement import Candidate, require_log_loss

        self._judged = {table: self._fingerprint(table) for table in JUDGED}
        load = self._catalog.load
        board, verdict = load("leaderboard"), load("verdict")
        name = choose(
            load("params:deployment").model, board, words(load("params:models")), str(verdict["strategy"])
        )  # fmt: skip
        require_log_loss(name)
        rows = pd.concat([read()[["symbol", "timestamp", "label"]] for read in load("model_input").values()])
        of_members = name in ENSEMBLES
        stored = load("ensemble_forecasts" if of_members else f"{stage_of(name)}.{name}.forecasts")
        self._forecasts = stored[stored["model"] == name]
        losses = walk_forward_losses(rows, self._forecasts)
        if name not in set(board["strategy"]):
            raise BadData(f"{name} is not on the leaderboard: deployment.model must be a model that evaluation judges")
        if self._judged != {table: self._fingerprint(table) for table in JUDGED}:
            raise StaleInput("the tables were made anew while they were judged: the same command judges them again")
        own = board.set_index("strategy").loc[name]
        figures = (float(own["sharpe"]), float(own["sharpe_low"]), float(own["sharpe_high"]))
        return Candidate(name, verdict, *figures, float(losses["loss"].mean()))

    def beside(self, champion: Any) -> Any:
        """The champion and the candidate on the bars since the champion's training.

        Args:
            champion: its bundle.

        Returns:
            `Beside`, or None where the rows lack a feature of the champion, or it is an agent.
        """
        import pandas as pd

        from tradewind.operations.retraining.beside import beside

        since = pd.Timestamp(champion.spec.trained_to)
        tables = (read() for read in self._catalog.load("model_input").values())
        rows = pd.concat([table[table["timestamp"] > since] for table in tables], ignore_index=True)
        return beside(champion, rows, self._forecasts)

    def deploy(self) -> int:
        """The deployment stage; the version of the bundle that is made of what was judged.

        Raises:
            StaleInput: the tables were made anew since they were judged.
        """
        from tradewind.datasets.registry import champions_stay
        from tradewind.operations.bundle.origins import ORIGINS, fingerprints

        with champions_stay():
            self._run("deployment", self._given())
        for version in reversed(self.registry.versions()):
            with suppress(BadModel, KeyError):
                found = fingerprints(self.registry.read(version.version)[ORIGINS])
                if self._judged.items() <= found.items():
                    return int(version.version)
        raise StaleInput(
            "no version is made of the tables that were judged: they were made anew meanwhile, and the same command "
            "judges them again; or the registry is an older one, and `kedro run --pipelines deployment --force` "
            "registers again"
        )

    def page(self) -> str:
        """A table of all retrainings."""
        from tradewind.operations.journal.journal import read
        from tradewind.operations.retraining.attempts import JOURNAL, history_of
        from tradewind.reports.retraining import render_retraining

        journal = self.folder / JOURNAL
        return render_retraining(history_of(read(journal) if journal.is_file() else ()))

    def write_page(self) -> None:
        """Write the table where it is looked for; a disk that takes none was named before."""
        from tradewind.atomic import write_bytes
        from tradewind.errors import TradewindError

        with suppress(TradewindError):
            write_bytes(self._data / PAGE, self.page().encode())

    def _run(self, pipeline: str, given: Mapping[str, Mapping[str, Any]]) -> None:
        from kedro.framework.cli.utils import _split_params

        from tradewind.sessions import PROVENANCE, ProjectSession, close_tracking

        changed = _split_params(None, None, self._params) if self._params else {}

        def once() -> None:
            path = self._project.project_path
            with PROVENANCE.taking_as_given(given), ProjectSession.create(
                path, env=self._env, runtime_params=changed
            ) as session:  # fmt: skip
                session.run(pipeline_names=[pipeline])
            close_tracking("FINISHED")  # kedro-mlflow leaves it open, and the next step would be taken for its part

        self._patiently(once)

    def _given(self) -> dict[str, Mapping[str, Any]]:
        """Sources as the data were made of them, whatever they have grown since; and parameters that are kept."""
        from tradewind.pipeline_registry import register_pipelines

        pipelines = register_pipelines()
        found: dict[str, Mapping[str, Any]] = {}
        for name in sorted(pipelines["data"].all_outputs()):
            record = self._records.read(name)
            found |= dict(record.origin.sources) if record is not None else {}
        searches = [one for one in pipelines["models"].nodes if one.name.endswith(".tune")]
        for name in (name for node in searches for name in node.outputs if self._kept):
            record = self._records.read(name)
            if record is not None:
                found[name] = {"kept": record.content[:16]}
        return found

    def _fingerprint(self, name: str) -> str:
        record = self._records.read(name)
        if record is None:
            raise StaleInput(f"nothing says what made {name}: the same command makes it anew")
        return record.fingerprint

    def _patiently(self, begin: Callable[[], object]) -> None:
        """Begin; where another process has the folder and is to be waited for, as soon as it has not."""
        shown = ""
        while True:
            try:
                begin()
                return
            except FolderInUse as error:
                if not self._wait:
                    raise
                if str(error) != shown:
                    shown = str(error)
                    click.echo(f"waiting: {shown}")
            time.sleep(LOOK_EVERY_S)
