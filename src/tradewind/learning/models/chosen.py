"""Which models and agents a run has: `params:models`, as of the configuration that Kedro has loaded."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tradewind.errors import BadParameters
from tradewind.learning.models import catalogue

# What a model's block of parameters is made of; a part that configuration leaves out has its defaults.
ROW_PARTS, WINDOW_PARTS = ("parameters", "tuning", "training", "seeds"), ("network", "training")


class _Chosen:
    """Everything that the configuration loaded last in this process lists: pipelines are made from it."""

    names: tuple[str, ...] | None = None


def choose(names: Iterable[str], agents: Iterable[str] = ()) -> None:
    """From now on pipelines are made of these models and agents.

    Args:
        names: what `params:models` lists; words of one string, too, since Kedro splits `--params` at commas.
        agents: the agents that there are.

    Raises:
        BadParameters: a model that there is not, that is listed twice, or none that is traded.
    """
    listed, available = words(names), {*catalogue.MODELS, *agents}
    unknown = [name for name in listed if name not in available]
    if unknown or len(set(listed)) < len(listed):
        raise BadParameters(f"params:models: each is one of {', '.join(sorted(available))}, once; found {list(listed)}")
    if not any(catalogue.has_direction(name) for name in listed if name in catalogue.MODELS):
        raise BadParameters(f"params:models must list at least one model that can be traded, found {list(listed)}")
    _Chosen.names = listed


def chosen() -> tuple[str, ...]:
    """The models of this run that forecast; those of conf/base where no configuration has been loaded."""
    return tuple(name for name in _listed() if name in catalogue.MODELS)


def chosen_agents() -> tuple[str, ...]:
    """The agents of this run; those of conf/base where no configuration has been loaded."""
    return tuple(name for name in _listed() if name not in catalogue.MODELS)


def _listed() -> tuple[str, ...]:
    if _Chosen.names is None:
        from omegaconf import OmegaConf

        project = Path(__file__).resolve().parents[4]
        return tuple(OmegaConf.load(project / "conf" / "base" / "parameters_models.yml").models)
    return _Chosen.names


def words(names: Any) -> tuple[str, ...]:
    """A list of names; also of words in one string, since Kedro splits `--params` at commas.

    Raises:
        BadParameters: it is neither.
    """
    if not isinstance(names, Iterable):
        given = "nothing" if names is None else repr(names)
        raise BadParameters(f"params:models takes names, --params='models=linear lightgbm'; found {given}")
    return tuple(names.split() if isinstance(names, str) else names)


def with_every_block(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with a block for every model of the run: a model that needs none has no line in any YAML file."""
    filled = dict(parameters)
    for name in words(parameters.get("models", ())):
        if name not in catalogue.MODELS:
            continue  # `choose` says so
        stage = catalogue.stage_of(name)
        parts = ROW_PARTS if stage == "classifier" else WINDOW_PARTS
        block: dict[str, Any] = {part: {} for part in parts} | dict((filled.get(stage) or {}).get(name) or {})
        filled[stage] = {**(filled.get(stage) or {}), name: {**block, "model": {"name": name}}}
    return filled
