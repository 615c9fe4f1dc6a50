"""The chosen procedure, and the bundle of it refitted on all settled labels."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from tradewind import extras
from tradewind.adaptive.rl.forecasts import forecasts_out_of_sample
from tradewind.adaptive.rl.walk_forward import AgentRules, Plan
from tradewind.clock import now
from tradewind.errors import BadData, BadParameters
from tradewind.evaluation.known_labels import known_labels
from tradewind.learning.ensemble import STANDING
from tradewind.learning.ensemble.joining import standing_weights
from tradewind.learning.features.catalogue import FeatureSelection
from tradewind.learning.models import catalogue, walk_forward
from tradewind.learning.models.chosen import words
from tradewind.learning.models.walk_forward import TrainingRules
from tradewind.learning.regimes.walk_forward import RegimePlan
from tradewind.market.universe import Universe
from tradewind.operations.bundle.contents import Bundle
from tradewind.operations.bundle.making import (
    DecisionTerms,
    EnsembleProcedure,
    Findings,
    Procedure,
    agents_of,
    choose,
    make_bundle,
    members_of,
    newest,
)
from tradewind.operations.bundle.making_agents import AgentRun, make_agent_bundle
from tradewind.operations.bundle.origins import ORIGINS, origins_file
from tradewind.operations.bundle.regimes import fit_regimes
from tradewind.operations.bundle.sealing import Files
from tradewind.operations.bundle.warming import warm_files
from tradewind.pipelines.deployment.parameters import DeploymentRules
from tradewind.provenance.records import plain
from tradewind.trading.engine.histories import histories_of
from tradewind.trading.setup import TradingSetup

logger = logging.getLogger(__name__)
Partitions = Mapping[str, Callable[[], pd.DataFrame]]
AGENT_STAGE = "reinforcement_learning"


def choose_procedure(
    leaderboard: pd.DataFrame, verdict: dict[str, Any], models: list[str] | str, parameters: dict[str, Any],
    deployment: DeploymentRules, *best: Any,
) -> dict[str, Any]:  # fmt: skip
    """Name, parameters, training rules and seed of the model or agent to deploy, as in its walk-forward.

    Args:
        leaderboard: of the walk-forward folds.
        verdict: of the run.
        models: of the run, agents among them; also words of one string, as `--params` has them.
        parameters: all of the run's.
        deployment: which one.
        best: the parameters found for each tuned model, in the order of `models`.
    """
    listed = words(models)
    name = choose(deployment.model, leaderboard, listed, str(verdict["strategy"]))
    parameters = plain(parameters)
    if name in agents_of(listed):
        return {"name": name, "rules": parameters[AGENT_STAGE][name]["rules"], "seed": parameters["seed"]}
    tuned = [one for one in listed if one in catalogue.MODELS and catalogue.is_tuned(one)]  # agents are not
    best_of = dict(zip(tuned, best, strict=True))

    def of(model: str) -> dict[str, Any]:
        block = parameters[catalogue.stage_of(model)][model]
        given = "network" if catalogue.stage_of(model) == "deep_learning" else "parameters"
        chosen = best_of[model] if model in best_of else block[given]
        return {"name": model, "parameters": chosen, "training": block["training"], "seed": parameters["seed"]}

    if name in STANDING:
        return {"name": name, "members": [of(model) for model in members_of(listed)], "seed": parameters["seed"]}
    return of(name)


def build_bundle(
    procedure: dict[str, Any],
    model_input: Partitions,
    horizon_returns: Partitions,
    verdict: dict[str, Any],
    leaderboard: pd.DataFrame,
    universe: Universe,
    trading: TradingSetup,
    selection: FeatureSelection,
    parameters: dict[str, Any],
    bars: Partitions,
    side_series: pd.DataFrame,
    regimes: RegimePlan,
    origins: dict[str, Any],
    folds: pd.DataFrame,
    agent_positions: Partitions,
    model_store: Any,
    *forecasts: pd.DataFrame,
) -> dict[str, bytes]:
    """The files of the bundle.

    Args:
        procedure: of `choose_procedure`.
        model_input: by partition a function that loads its model-input rows.
        horizon_returns: by partition a function that loads the returns over each horizon; only networks read them.
        verdict: of the run.
        leaderboard: of the walk-forward folds.
        universe: symbols, venue, timeframe and side series.
        trading: costs, execution, signal and sizing.
        selection: of the features.
        parameters: all of the run's.
        bars: after which the bundle's decider stands when it is served.
        side_series: the same.
        regimes: the model of regimes that goes with the forecaster, fitted on all bars.
        origins: what made the stored tables, by dataset.
        folds: the folds table.
        agent_positions: by agent a function that loads its positions out of sample.
        model_store: opens the store of an agent.
        *forecasts: out of sample, one table a model, and one of all ensembles.

    Returns:
        Contents by file name.

    Raises:
        BadParameters: the procedure's parameters do not fit the model.
        BadData: the agent held nothing out of sample.
    """
    parameters = plain(parameters)
    name = procedure["name"]
    rows = walk_forward.pool({partition: load() for partition, load in model_input.items()})
    preparation = parameters["feature_engineering"]
    terms = DecisionTerms(
        universe, trading, selection, int(parameters["data_engineering"]["market"]["max_gap_bars"]),
        float(preparation["model_input"]["max_missing_share"]), int(preparation["labels"]["horizon_bars"]),
    )  # fmt: skip
    created_at = now().isoformat(timespec="seconds")
    if "rules" in procedure:
        plan = _plan(procedure, universe, trading)
        known = histories_of(bars, side_series, universe, trading.sizing.volatility_window)
        held = next((table for table in _loaded(agent_positions) if set(table["strategy"]) == {name}), None)
        if held is None:
            raise BadData(f"{name} has no positions out of sample: kedro run trains it before it is deployed")
        findings = Findings(verdict, leaderboard, forecasts_out_of_sample(rows, folds), parameters)
        run = AgentRun(plan, known, held, model_store.of(f"{AGENT_STAGE}.{name}"))
        files = make_agent_bundle(run, rows, terms, findings, created_at)
    else:
        typed = _typed(procedure, forecasts, known_labels(model_input, ["exit_time", "horizon_end"]))
        fitted = [one.name for one in typed.members] if isinstance(typed, EnsembleProcedure) else [name]
        if any(catalogue.stage_of(one) == "deep_learning" for one in fitted):
            ahead = pd.concat([load() for load in horizon_returns.values()], ignore_index=True)
            rows = rows.merge(ahead, on=["symbol", "timestamp"], how="left", validate="one_to_one")
        own = next(part for table in forecasts if len(part := table[table["model"] == name]))
        files = make_bundle(
            typed, newest(rows, folds), terms, Findings(verdict, leaderboard, own, parameters), created_at
        )
    if origins:
        files[ORIGINS] = origins_file(origins)
    history = {symbol: bars[universe.partition(symbol)]() for symbol in universe.symbols}
    files |= _regime_files(history, regimes, procedure["seed"])
    return files | warm_files(Bundle.from_files(files, ""), history, side_series)


def _plan(procedure: dict[str, Any], universe: Universe, trading: TradingSetup) -> Plan:
    """How the agent was trained; what that needs must be installed.

    Raises:
        MissingExtra: torch or the library of agents is not.
        BadParameters: its parameters do not fit.
    """
    name = procedure["name"]
    extras.require("agents", f"{name} (deployment.model)", ", or deploy a model that forecasts")
    try:
        rules = AgentRules.model_validate(procedure["rules"])
    except ValueError as error:
        raise BadParameters(f"parameters of {name}: {error}") from error
    return Plan.of(name, rules, universe.bars_per_year, trading, procedure["seed"])


def _loaded(tables: Partitions) -> list[pd.DataFrame]:
    return [load() for load in tables.values()]


def _typed(
    procedure: dict[str, Any], forecasts: Sequence[pd.DataFrame], outcomes: pd.DataFrame
) -> Procedure | EnsembleProcedure:
    """The procedure; an ensemble's with the weights that its next fold would have, and without members of no weight."""
    if "members" not in procedure:
        return _of_one(procedure)
    members = tuple(_of_one(one) for one in procedure["members"])
    by_name = {str(name): part for table in forecasts for name, part in table.groupby("model", sort=False)}
    weights = standing_weights([by_name[member.name] for member in members], procedure["name"], outcomes)
    used = [number for number, weight in enumerate(weights.tolist()) if weight > 0]
    made = EnsembleProcedure(
        tuple(members[one] for one in used), procedure["seed"], procedure["name"], tuple(weights[used].tolist())
    )
    shares = ", ".join(f"{weight:.1%} {name}" for name, weight in made.weight_of.items())
    without = sorted({member.name for member in members} - set(made.weight_of))
    logger.info("%s is %s%s", made.name, shares, f"; of no weight: {', '.join(without)}" if without else "")
    return made


def _of_one(procedure: dict[str, Any]) -> Procedure:
    name, kind = procedure["name"], catalogue.model(procedure["name"])
    try:
        return Procedure(
            name, kind.parameters_class.model_validate(procedure["parameters"]),
            TrainingRules.model_validate(procedure["training"]), procedure["seed"],
        )  # fmt: skip
    except ValueError as error:
        raise BadParameters(f"parameters of {name}: {error}") from error


def _regime_files(history: Mapping[str, pd.DataFrame], plan: RegimePlan, seed: int) -> Files:
    try:
        return fit_regimes(history, plan, seed).files()
    except BadData as error:
        logger.warning("the bundle has no model of regimes, so that none can be served: %s", error)
        return {}
