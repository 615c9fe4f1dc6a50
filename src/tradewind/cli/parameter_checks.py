"""All parameters of all stages, looked at together before any node: types, unknown keys, contradictions."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.pipeline import Pipeline

from tradewind.errors import BadParameters, TradewindError
from tradewind.learning.ensemble import EQUAL_WEIGHT, STANDING

_MISSING = object()


def check_all(context: KedroContext) -> None:
    """Nothing, where the parameters of every stage are right, also of those that this run leaves out.

    Raises:
        BadParameters: all that is wrong, in one line: the key, what is wrong with it, and its value.
    """
    from tradewind.pipeline_registry import register_pipelines

    loader = context.config_loader
    base = keys_of_base(Path(str(loader.conf_source)) / "base")
    problems = faults_of(loader["parameters"], register_pipelines(), base)
    if problems:
        raise BadParameters("parameters: " + "; ".join(problems))


def keys_of_base(folder: Path) -> dict[str, Any]:
    """The parameters of a folder of configuration as they are written, nothing resolved: their keys are what counts."""
    import yaml

    merged: dict[str, Any] = {}
    for file in sorted(folder.glob("**/parameters*.yml")):
        _merge(merged, yaml.load(file.read_bytes(), yaml.CSafeLoader) or {})
    return merged


def _merge(into: dict[str, Any], block: Mapping[str, Any]) -> None:
    for name, value in block.items():
        if isinstance(into.get(name), dict) and isinstance(value, Mapping):
            _merge(into[name], value)
        else:
            into[name] = value


def faults_of(parameters: Mapping[str, Any], pipelines: Mapping[str, Pipeline], base: Mapping[str, Any]) -> list[str]:
    """What is wrong with the parameters of all pipelines.

    Args:
        parameters: as configured, with what the command line says.
        pipelines: all that are registered.
        base: the parameters of conf/base, which name every block that there is.
    """
    from kedro.validation.type_extractor import TypeExtractor
    from pydantic import BaseModel, ValidationError

    from tradewind.live.across.rules import ArbitrageRules
    from tradewind.live.settings import LiveRules, PaperRules
    from tradewind.operations.online.rules import OnlineRules
    from tradewind.operations.retraining.rules import RetrainingRules
    from tradewind.parameters import faults
    from tradewind.validation.cases import TruthRules

    beside = {
        "live": LiveRules, "paper": PaperRules, "operations.retraining": RetrainingRules,
        "operations.online": OnlineRules, "truth": TruthRules, "arbitrage": ArbitrageRules,
    }  # fmt: skip
    kinds = TypeExtractor(dict(pipelines)).extract_types_from_pipelines() | beside
    problems, blocks = [], dict[str, Any]()
    for key, kind in sorted(kinds.items()):
        given = _at(parameters, key)
        if given is _MISSING or given is None or not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            continue
        try:
            blocks[key] = kind.model_validate(given)
        except ValidationError as error:
            problems.append(faults(error, key))
        except TradewindError as error:
            problems.append(f"{key}: {error}")
    inputs = {name.removeprefix("params:") for one in pipelines.values() for name in one.inputs() if "params:" in name}
    problems += unknown_keys(parameters, base, {*kinds, *inputs})
    return problems if problems else contradictions(blocks, parameters)


def unknown_keys(parameters: Mapping[str, Any], base: Mapping[str, Any], typed: set[str]) -> list[str]:
    """Keys that no stage reads, with the nearest that one does.

    Args:
        parameters: as configured.
        base: the parameters of conf/base.
        typed: whole keys of blocks that are checked key by key elsewhere.
    """
    from tradewind.adaptive.rl.parameters import AGENTS
    from tradewind.learning.models.catalogue import MODELS

    groups = {"classifier", "deep_learning", "reinforcement_learning"}
    prefixes = {key[:at] for key in typed for at, mark in enumerate(key) if mark == "."}

    def walk(block: Mapping[str, Any], known: Mapping[str, Any], before: str) -> Iterator[str]:
        for name, value in block.items():
            key = f"{before}{name}"
            if key in typed or (before.rstrip(".") in groups and (name in MODELS or name in AGENTS)):
                continue
            if key in prefixes or isinstance(known.get(name), Mapping):
                inside = known.get(name)
                if isinstance(value, Mapping):
                    yield from walk(value, inside if isinstance(inside, Mapping) else {}, f"{key}.")
                else:
                    yield f"{key}: must be a block of keys, found {value!r}"
            elif name not in known:
                here = {*known, *(one[len(before) :].partition(".")[0] for one in typed if one.startswith(before))}
                near = get_close_matches(str(name), sorted(here), 1)
                hint = f"did you mean {before}{near[0]}?" if near else f"there are {', '.join(sorted(here))}"
                yield f"{key}: there is no such key: correct its name or remove it; {hint}"

    return list(walk(parameters, base, ""))


def contradictions(blocks: Mapping[str, Any], parameters: Mapping[str, Any]) -> list[str]:
    """What blocks ask of each other and do not get.

    Args:
        blocks: typed, by key.
        parameters: as configured, for what has no type.
    """
    from tradewind.learning.features.catalogue import select
    from tradewind.learning.models.chosen import words

    problems = [*_of_models(parameters), *_of_horizons(blocks), *_of_ensembles(blocks, parameters)]
    universe, features = blocks.get("universe"), blocks.get("feature_engineering.features")
    if universe is not None and features is not None:
        try:
            select(features, universe.timeframe, universe.side_series)
        except TradewindError as error:
            problems.append(str(error))
    trading = blocks.get("trading")
    if trading is not None:
        most = trading.execution.max_leverage
        if trading.sizing.max_position > most:
            problems.append(
                f"trading.sizing.max_position {trading.sizing.max_position:g} is beyond "
                f"trading.execution.max_leverage {most:g}: lower the one or raise the other"
            )
        acting = {key: block.environment for key, block in blocks.items() if _is_of_agents(block)}
        problems += [_beyond(key, environment, most) for key, environment in acting.items()]
    models, deployment = words(parameters.get("models") or ()), blocks.get("deployment")
    ensembles = blocks.get("evaluation.ensembles")
    joined = [name for name in STANDING if ensembles is not None and name in ensembles.forecasts]
    deployable = ("judged", "best", *models, EQUAL_WEIGHT, *joined)
    if deployment is not None and deployment.model not in deployable:
        problems.append(f"deployment.model {deployment.model!r} is none of params:models: {', '.join(deployable)}")
    return [one for one in problems if one]


def _of_models(parameters: Mapping[str, Any]) -> Iterator[str]:
    """Parameters of the models of rows: each has a class of its own, which is known by the model's name."""
    from pydantic import ValidationError

    from tradewind.learning.models import catalogue
    from tradewind.learning.models.chosen import words
    from tradewind.parameters import faults

    for name in catalogue.rows_of(
        tuple(one for one in words(parameters.get("models") or ()) if one in catalogue.MODELS)
    ):
        key = f"classifier.{name}.parameters"
        given = _at(parameters, key)
        try:
            catalogue.row_model(name).parameters_class.model_validate({} if given in (_MISSING, None) else given)
        except ValidationError as error:
            yield faults(error, key)


def _of_horizons(blocks: Mapping[str, Any]) -> Iterator[str]:
    horizons, labels = blocks.get("feature_engineering.horizons"), blocks.get("feature_engineering.labels")
    longest = getattr(labels, "horizon_bars", None)
    if horizons is not None and longest is not None and max(horizons.bars) > longest:
        yield (
            f"feature_engineering.horizons.bars {max(horizons.bars)} is beyond the {longest} bars of "
            "feature_engineering.labels.horizon_bars, by which folds are purged: leave it out or raise the other"
        )


def _of_ensembles(blocks: Mapping[str, Any], parameters: Mapping[str, Any]) -> Iterator[str]:
    """The judged strategy is one that the run makes, which is said before models train for it."""
    from tradewind.adaptive.rl.parameters import AGENTS
    from tradewind.learning.models import catalogue
    from tradewind.learning.models.chosen import words
    from tradewind.trading.strategy.baselines import DIRECTIONS

    listed = words(parameters.get("models") or ())
    ensembles, verdict = blocks.get("evaluation.ensembles"), blocks.get("evaluation.verdict")
    agents = [name for name in listed if name in AGENTS]
    joined = (*ensembles.forecasts, *ensembles.agents) if ensembles is not None else ()
    if ensembles is not None and ensembles.agents and not agents:
        yield f"evaluation.ensembles.agents {list(ensembles.agents)}: params:models lists no agents"
    traded = [name for name in listed if name in catalogue.MODELS and catalogue.has_direction(name)]
    known = (*traded, *agents, EQUAL_WEIGHT, *joined, *DIRECTIONS)
    if verdict is not None and verdict.judged is not None and verdict.judged not in known:
        yield f"evaluation.verdict.judged {verdict.judged!r} is no strategy of this run: {', '.join(known)}"


def _is_of_agents(block: Any) -> bool:
    return hasattr(getattr(block, "environment", None), "actions")


def _beyond(key: str, environment: Any, most: float) -> str:
    is_discrete = environment.actions == "discrete"
    reach = max(map(abs, environment.targets)) if is_discrete else environment.max_position
    if reach <= most:
        return ""
    name = "targets" if is_discrete else "max_position"
    return f"{key}.environment.{name} reaches {reach:g}, beyond trading.execution.max_leverage {most:g}"


def _at(parameters: Mapping[str, Any], key: str) -> Any:
    found: Any = parameters
    for name in key.split("."):
        if not isinstance(found, Mapping) or name not in found:
            return _MISSING
        found = found[name]
    return found
