"""Walk-forward training of one agent, and the positions of all of them."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from tradewind.adaptive.rl import behaviour, walk_forward
from tradewind.adaptive.rl.forecasts import fold_forecasts
from tradewind.adaptive.rl.search import SearchRules
from tradewind.adaptive.rl.search import search as find_settings
from tradewind.adaptive.rl.walk_forward import AgentRules, Plan
from tradewind.learning.models.walk_forward import pool
from tradewind.market.universe import Universe
from tradewind.pipelines.reinforcement_learning.outputs import TrainedAgents
from tradewind.reports import agents as charts
from tradewind.trading.engine.histories import histories_of
from tradewind.trading.setup import TradingSetup

Partitions = Mapping[str, Callable[[], pd.DataFrame]]


def forecast_for_agents(model_input: Partitions, folds: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, dict[str, str]]]:
    """The forecasts that the agents of each fold read, and how certain they are; made once, for all of them.

    And by fold the files (JSON) of what says it: they are stored beside each agent, which acts on it.
    """
    by_fold = fold_forecasts(pool({partition: load() for partition, load in model_input.items()}), folds)
    files = {
        str(fold): {name: content.decode() for name, content in forecaster.files().items()}
        for fold, forecaster in by_fold.forecasters.items()
    }
    return by_fold.table, files


def train(
    model_input: Partitions,
    agent_forecasts: pd.DataFrame,
    bars: Partitions,
    side_series: pd.DataFrame,
    folds: pd.DataFrame,
    agent_forecasters: dict[str, dict[str, str]],
    model_store: Any,
    name: str,
    rules: AgentRules,
    universe: Universe,
    trading: TradingSetup,
    seed: int,
) -> TrainedAgents:
    """Every fold's agents, and their positions out of sample: the mean of the seeds, and each seed by itself.

    The folds, purging, costs and order rules of everything else; the account in which an agent acts is the backtest's.

    Args:
        model_input: by partition a function that loads its model-input rows.
        agent_forecasts: forecasts that agents read, out of sample.
        bars: by partition a function that loads checked bars.
        side_series: for the funding rates.
        folds: the fold table.
        agent_forecasters: by fold the files of the forecaster that is stored with the agent.
        model_store: opens the store of an agent.
        name: of the agent.
        rules: algorithm, environment, reward and training.
        universe: symbols, venue, timeframe and side series.
        trading: costs, execution, signal and sizing.
        seed: of the run; the trainings' follow from it.

    Returns:
        Positions, transitions, logs and the keys of the policies.
    """
    rows = pool({partition: load() for partition, load in model_input.items()})
    histories = histories_of(bars, side_series, universe, trading.sizing.volatility_window)
    plan = Plan.of(name, rules, universe.bars_per_year, trading, seed)
    forecasters = {
        int(fold): {file: text.encode() for file, text in files.items()} for fold, files in agent_forecasters.items()
    }
    store = model_store.of(_whole(name))
    trained = walk_forward.train_folds((rows, agent_forecasts), folds, histories, plan, store, forecasters)
    transitions = pd.concat([one.transitions for one in trained], ignore_index=True)
    return TrainedAgents(
        walk_forward.mean_positions(transitions),
        walk_forward.seed_positions(transitions),
        transitions,
        pd.concat([one.log for one in trained], ignore_index=True).astype({"strategy": "str", "model": "str"}),
        pd.concat([one.responses for one in trained], ignore_index=True),
        {f"{one.fold}-{number}": key for one in trained for number, key in one.keys.items()},
    )


def search(
    model_input: Partitions,
    agent_forecasts: pd.DataFrame,
    bars: Partitions,
    side_series: pd.DataFrame,
    folds: pd.DataFrame,
    study_storage: Any,
    name: str,
    rules: AgentRules,
    search_rules: SearchRules,
    universe: Universe,
    trading: TradingSetup,
    seed: int,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """The agent's best settings on the first fold's past, and the trials.

    Not part of a run: settings are chosen by whoever writes them into the configuration.

    Args:
        model_input: by partition a function that loads its model-input rows.
        agent_forecasts: forecasts that agents read, out of sample.
        bars: by partition a function that loads checked bars.
        side_series: for the funding rates.
        folds: of which the first is used.
        study_storage: opens Optuna's storage of an agent.
        name: of the agent.
        rules: algorithm, environment, reward and training.
        search_rules: how many trials, and the ranges.
        universe: symbols, venue, timeframe and side series.
        trading: costs, execution, signal and sizing.
        seed: of trainings and sampler.

    Returns:
        Settings as a document, and one row a trial.
    """
    rows = pool({partition: load() for partition, load in model_input.items()})
    histories = histories_of(bars, side_series, universe, trading.sizing.volatility_window)
    plan = Plan.of(name, rules, universe.bars_per_year, trading, seed)
    best, trials = find_settings(
        (rows, agent_forecasts), folds, histories, plan, search_rules, study_storage.of(_whole(name))
    )
    return best.model_dump(mode="json"), trials


def describe(
    transitions: pd.DataFrame, training_log: pd.DataFrame, responses: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """What the agents did, how they failed, and what they hold by the two forecasts that lead.

    Args:
        transitions: one row a fold, training and bar.
        training_log: one row a training and step of the log.
        responses: what each policy does at other costs and in other states of the market.

    Returns:
        Three tables.
    """
    behaved = behaviour.describe(transitions)
    failed = behaviour.failures(transitions, behaved, training_log, responses)
    return behaved, failed, behaviour.action_map(transitions)


def draw(training_log: pd.DataFrame, action_map: pd.DataFrame) -> tuple[Any, Any]:
    """Figures: growth on validation bars by step, and the map of actions."""
    return charts.training_figure(training_log), charts.action_figure(action_map)


def _whole(agent: str) -> str:
    """The agent's name in the stores."""
    return f"reinforcement_learning.{agent}"
