"""`kedro paper`: a paper account on a simulated exchange, or on a live venue's public streams."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click
from kedro.framework.startup import ProjectMetadata

from tradewind.adaptive.rl.parameters import AGENTS
from tradewind.cli.project import project_context
from tradewind.errors import BadModel, BadParameters, TemporaryOutage
from tradewind.service_command import Service


@click.command(cls=Service)
@click.option("--env", default=None, help="Environment whose configuration and models are taken.")
@click.option("--params", default="", help="Changed parameters, such as live.executor.kind=twap.")
@click.option("--seconds", type=float, default=None, help="End by itself after so many seconds; else on Ctrl-C.")
@click.option("--exchange", type=click.Choice(["simulated", "binance"]), default="simulated", show_default=True,
              help="Where quotes and trades come from.")  # fmt: skip
@click.option("--symbols", default="", help="Symbols of the venue, such as BTCUSDT; empty: those of params:universe.")
@click.option(
    "--standby", is_flag=True, help="Wait beside the process that has the run, and take over when it is gone."
)
@click.option("--takeover-s", type=click.FloatRange(3.0, 25.0), default=15.0, show_default=True,
              help="Gone is who has shown nothing for so many seconds.")  # fmt: skip
@click.option("--new-run", is_flag=True, help="Put the run that is there aside and begin another.")
@click.option("--updated", is_flag=True,
              help="Go on after a change of the program, if every command of the run comes out the same.")  # fmt: skip
@click.pass_obj
def paper(project: ProjectMetadata, /, env: str | None, params: str, **options: Any) -> None:
    """Open (or go on with) a paper account: journal, risk limits, dashboard. Orders go to a venue only where
    params:paper.broker names one.

    The run lies in the folder of params:paper. It goes on where it ended, unless --new-run. It ends with 78 where a
    person must do what the line says, with 1 where starting it again may help.
    """
    from tradewind.live.desk import DeskOptions, run_desk
    from tradewind.live.venue.choice import keys_of
    from tradewind.sessions import data_folder

    with project_context(project, env, params) as context:
        try:
            plan = plan_of(context.params, Path(context.project_path), options["symbols"], data_folder(context))
            if plan.paper.broker is not None:
                plan = replace(plan, keys=keys_of(plan.paper.broker, credentials_of(context)))
            chosen = DeskOptions(**{name: given for name, given in options.items() if name != "symbols"})
            if chosen.standby and chosen.new_run:
                raise BadParameters("a standby goes on with the run that is there: leave out --new-run")
            if chosen.updated and chosen.new_run:
                raise BadParameters("--updated goes on with the run that --new-run puts aside: give one of the two")
            failure = asyncio.run(run_desk(plan, chosen, click.echo))["failure"]
            if failure:
                raise TemporaryOutage(failure)  # the next start recovers, or says what is wrong with the journal
        except KeyboardInterrupt:
            click.echo("ended")


def credentials_of(context: Any) -> Mapping[str, Any]:
    """What credentials.yml says, by name; nothing where there is none."""
    from kedro.config import MissingConfigException

    try:
        found: Mapping[str, Any] = context.config_loader["credentials"]
    except MissingConfigException:
        return {}
    return found


def plan_of(params: Mapping[str, Any], project: Path, symbols: str = "", data: Path | None = None) -> Any:
    """What is run, from the project's parameters and stored models.

    Args:
        params: the project's.
        project: its folder.
        symbols: of a live venue, as words; empty: the universe's.
        data: the environment's data folder; default: that of the default environment.

    Raises:
        BadParameters: a setting or a model's name is wrong.
    """
    from tradewind.live.desk import Plan
    from tradewind.live.references import references_for
    from tradewind.live.settings import LiveRules, PaperRules
    from tradewind.market.universe import Universe
    from tradewind.trading.setup import TradingSetup

    chosen = PaperRules.model_validate(params["paper"])
    universe = Universe.model_validate(params["universe"])
    if symbols:
        universe = Universe(venue="binance", symbols=tuple(symbols.split()), timeframe=universe.timeframe)
    setup = TradingSetup.model_validate(params["trading"])
    gap_bars = _setting(params["data_engineering"]["market"], "max_gap_bars")
    decider, name, models = decider_of(params, data or project / "data", universe, setup, chosen, gap_bars)
    rules = LiveRules.model_validate(params["live"])
    registry = (data or project / "data") / "09_deployment/registry"
    references = references_for(rules.guardrails.drift, registry, name if name in models else "", decider, universe)
    return Plan(chosen, rules, setup, universe, decider, name, models, project, references)


def decider_of(
    params: Mapping[str, Any], data: Path, universe: Any, setup: Any, chosen: Any, max_gap_bars: int
) -> tuple[Any, str, dict[str, str]]:
    """What decides, its name, and the models by key: what is chosen, else the newest bundle of the registry, else the
    newest stored model of a run, else the rule.

    Args:
        params: the project's.
        data: where the models are.
        universe: what is traded.
        setup: signal, sizing and costs.
        chosen: `PaperRules`.
        max_gap_bars: so many missing bars are bridged.
    """
    from tradewind.adaptive.rl.deciding import FUNDING
    from tradewind.learning.ensemble import ENSEMBLES
    from tradewind.learning.features.catalogue import FeatureSelection, select
    from tradewind.learning.models.chosen import words
    from tradewind.live.settings import LiveRules
    from tradewind.trading.decision.decider import Decider, assembly_of
    from tradewind.trading.decision.together import Part, TogetherPolicy

    grace_ms = int(LiveRules.model_validate(params["live"]).grace_s * 1000)
    selection = FeatureSelection.model_validate(params["feature_engineering"]["features"])
    features = select(selection, universe.timeframe, universe.side_series)
    found = _Policies(params, data, universe, setup, features, max_gap_bars)

    def decider(policy: Any, said: str, name: str) -> tuple[Any, str, dict[str, str]]:
        settlements = (FUNDING,) if found.has_agent else ()
        assembly = assembly_of(universe, max_gap_bars, grace_ms, settlements=settlements)
        return Decider(assembly, features, policy, setup.sizing, said), name, found.keys

    if chosen.strategies:
        parts = [Part(one.name, one.share, found.policy(one.rule, one.model)) for one in chosen.strategies]
        name = " + ".join(f"{one.share:g} {one.name}" for one in chosen.strategies)
        said = json.dumps([one.model_dump() for one in chosen.strategies] + [found.keys])
        return decider(TogetherPolicy(parts), said, name)
    if chosen.filter:
        policy = found.policy(chosen.rule, chosen.filter)
        return decider(policy, json.dumps([chosen.rule, found.keys]), f"{chosen.rule} where {chosen.filter} agrees")
    if chosen.model in (*AGENTS, *ENSEMBLES) or (not chosen.model and found.versions()):
        policy = found.of_bundle(chosen.model)
        ((name, key),) = found.keys.items()
        return decider(policy, key, name)
    stored = stored_model(data, words(params["models"]), chosen.model)
    if stored is None:
        return decider(found.policy(chosen.rule, ""), chosen.rule, chosen.rule)
    name, key, _ = stored
    return decider(found.policy("", name), key, name)


@dataclass
class _Policies:
    """Policies of rules, stored models and agents; `keys` are those of the models that were asked for."""

    params: Mapping[str, Any]
    data: Path
    universe: Any
    setup: Any
    features: Sequence[Any]
    max_gap_bars: int
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def has_agent(self) -> bool:
        """Whether one that was asked for keeps an account of its own."""
        return any(name in AGENTS for name in self.keys)

    def policy(self, rule: str, model_name: str) -> Any:
        """Of a rule, of a model, of an agent, or of a rule that the model filters."""
        from tradewind.trading.decision.filtering import FilteredPolicy

        if not model_name:
            return self._of_rule(rule)
        if model_name in AGENTS:
            if rule:
                raise BadParameters(f"{model_name} is an agent, which has no edge to filter {rule} by: choose a model")
            return self.of_bundle(model_name)
        model = self._of_model(model_name)
        return FilteredPolicy(self._of_rule(rule), model) if rule else model

    def _of_rule(self, rule: str) -> Any:
        from tradewind.trading.decision.ruling import RulePolicy
        from tradewind.trading.strategy.baselines import DIRECTIONS

        if rule not in DIRECTIONS:
            raise BadParameters(f"paper.rule is one of {', '.join(DIRECTIONS)}; not {rule!r}")
        universe = self.universe
        return RulePolicy(DIRECTIONS[rule], self.setup.sizing, universe.bars_per_year, universe.bars_per_day)

    def _of_model(self, wanted: str) -> Any:
        from tradewind.learning.features.catalogue import FeatureSelection
        from tradewind.learning.models.catalogue import model
        from tradewind.learning.models.chosen import words
        from tradewind.live.checked_model import CheckedModel
        from tradewind.trading.decision.forecasting import ForecastPolicy

        stored = stored_model(self.data, words(self.params["models"]), wanted)
        if stored is None:
            raise BadParameters(f"no stored model {wanted}: kedro run trains it, or do without the filter")
        name, key, files = stored
        self.keys[name] = key
        selection = FeatureSelection.model_validate(self.params["feature_engineering"]["features"])
        require_same_origin(self.data, name, {"universe.timeframe": self.universe.timeframe}, selection)
        forecaster = model(name).from_files(files)
        computed = {one.name for one in self.features}
        lacking = [one for one in forecaster.features if one not in computed]
        if lacking:
            raise BadParameters(
                f"{name} reads features that these symbols do not have ({', '.join(lacking[:3])}, ...): "
                "train it on them, or choose a rule with --params paper.model=none"
            )
        share = _setting(self.params["feature_engineering"]["model_input"], "max_missing_share")
        return ForecastPolicy(CheckedModel(forecaster), self._target_rules(), share)

    def versions(self, name: str = "") -> list[Any]:
        """Of the registry: those of this name, or all."""
        from tradewind.operations.registry.registry import Registry

        if not self.registry.is_dir():
            return []
        return [one for one in Registry(self.registry).versions() if name in ("", one.name)]

    @property
    def registry(self) -> Path:
        """Where the deployed bundles are."""
        return self.data / "09_deployment/registry"

    def of_bundle(self, name: str) -> Any:
        """The newest bundle of this name, or of all; an agent decides by the terms that it was trained with."""
        from tradewind.learning.features.stream import Plan
        from tradewind.live.checked_model import CheckedModel, checked
        from tradewind.operations.registry.registry import Registry
        from tradewind.trading.decision.forecasting import ForecastPolicy

        versions = self.versions(name)
        if not versions:
            raise BadParameters(
                f"no bundle of {name} in {self.registry}: `kedro run --pipelines deployment --params "
                f"deployment.model={name}` makes one"
            )
        newest = max(versions, key=lambda one: one.version)
        bundle = Registry(self.registry).load(newest.version)
        if bundle.agent is None and name in AGENTS:
            raise BadModel(f"version {newest.version} is called {name} and is no agent: deploy the agent again")
        spec = bundle.spec
        trained = {
            "the timeframe": (spec.universe.timeframe, self.universe.timeframe),
            "features": (spec.plan_fingerprint, Plan(self.features).fingerprint()),
            "data_engineering.market.max_gap_bars": (spec.max_gap_bars, self.max_gap_bars),
            "trading.sizing.volatility_window": (
                spec.trading.sizing.volatility_window, self.setup.sizing.volatility_window
            ),
        }  # fmt: skip
        other = [what for what, (then, now) in trained.items() if then != now]
        if other:
            raise BadModel(
                f"version {newest.version}, {spec.name}, was trained with {', '.join(other)} other than set now: "
                "deploy it again, or choose a rule with --params paper.model=none"
            )
        self.keys[spec.name] = bundle.identity
        if bundle.agent is not None:
            return checked(bundle.agent)
        return ForecastPolicy(CheckedModel(bundle.forecaster), self._target_rules(), spec.max_missing_share)

    def _target_rules(self) -> Any:
        from tradewind.trading.decision.targets import TargetRules

        setup = self.setup
        return TargetRules(setup.signal, setup.sizing, setup.costs, self.universe.bars_per_year)


def require_same_origin(data: Path, name: str, settings: Mapping[str, Any], selection: Any) -> None:
    """Nothing, where the stored model was trained with the settings that the account would use it with.

    Args:
        data: where the models are, and the records of what made them.
        name: of the model.
        settings: by dotted path, those that features and forecasts depend on.
        selection: of features.

    Raises:
        BadModel: it was trained with another value.
    """
    from tradewind.learning.models.catalogue import stage_of
    from tradewind.provenance.records import Records, flat

    record = Records(data).read(f"{stage_of(name)}.{name}.models")
    trained = record.origin.parameters if record is not None else {}
    for key, value in {**settings, **flat(selection, "feature_engineering.features")}.items():
        if key in trained and trained[key] != value:
            raise BadModel(
                f"{name} was trained with {key} = {trained[key]!r}, and {value!r} is set now: `kedro run` trains it "
                "anew, or choose a rule with --params paper.model=none"
            )


def stored_model(data: Path, names: tuple[str, ...], wanted: str) -> tuple[str, str, dict[str, bytes]] | None:
    """Name, key and files of the last fold of a stored model: the wanted one, or the newest that knows up from down.

    Args:
        data: where the models are.
        names: of `params:models`.
        wanted: a name; empty: the newest; none: no model.
    """
    from tradewind.datasets.model_store import FolderModelStore
    from tradewind.learning.models.catalogue import MODELS, has_direction, stage_of

    if wanted == "none":
        return None
    found = []
    for name in (wanted,) if wanted else (one for one in names if one in MODELS):  # agents do not decide here
        folder = data / "06_models" / f"{stage_of(name)}.{name}"
        if (folder / "models.json").is_file() and has_direction(name):
            found.append(((folder / "models.json").stat().st_mtime, name, folder))
    if not found:
        if wanted:
            raise BadParameters(f"no stored model {wanted}: kedro run trains it, or leave paper.model empty")
        return None
    _, name, folder = max(found)
    keys = json.loads((folder / "models.json").read_bytes())
    key = keys[max(keys, key=int)]
    files = FolderModelStore(folder / "folds").get(key)
    if files is None:
        raise BadParameters(f"{folder / 'folds'} has no model {key[:24]}: kedro run trains it")
    return name, key, files


def _setting(block: Any, name: str) -> Any:
    """One setting of a block, which Kedro may have made an object of already."""
    return block[name] if isinstance(block, Mapping) else getattr(block, name)
