"""The pipelines by name: every stage alone, and the sums that people run."""

from functools import lru_cache

from kedro.pipeline import Pipeline

from tradewind.learning.models.chosen import chosen, chosen_agents
from tradewind.pipelines import (
    classifier,
    data_engineering,
    deep_learning,
    deployment,
    evaluation,
    execution_study,
    feature_engineering,
    floors,
    monitoring,
    order_book,
    regimes,
    reinforcement_learning,
)

MODELS = ("classifier", "deep_learning", "reinforcement_learning")


def register_pipelines() -> dict[str, Pipeline]:
    """Each stage under its own name; `data` makes everything that models read; `__default__` runs all but
    `order_book`, `execution_study`, `floors`, `deployment`, `monitoring` and `agent_search`.

    Kedro, the checks of parameters and the records of what made a table ask for the same pipelines: they are made once
    for the models and agents of `params:models`.
    """
    return dict(_pipelines_of(chosen(), chosen_agents()))


@lru_cache(maxsize=1)
def _pipelines_of(models: tuple[str, ...], agents: tuple[str, ...]) -> dict[str, Pipeline]:
    stages = {
        "data_engineering": data_engineering.create_pipeline(),
        "regimes": regimes.create_pipeline(),
        "feature_engineering": feature_engineering.create_pipeline(),
        "classifier": classifier.create_pipeline(models),
        "deep_learning": deep_learning.create_pipeline(models),
        "reinforcement_learning": reinforcement_learning.create_pipeline(agents),
        "evaluation": evaluation.create_pipeline(),
    }
    return {
        **stages,
        "order_book": order_book.create_pipeline(),
        "execution_study": execution_study.create_pipeline(),
        "floors": floors.create_pipeline(),
        "deployment": deployment.create_pipeline(models),
        "monitoring": monitoring.create_pipeline(),
        "agent_search": reinforcement_learning.create_search_pipeline(agents),
        "data": stages["data_engineering"] + stages["regimes"] + stages["feature_engineering"],
        "models": sum((stages[name] for name in MODELS), start=stages["evaluation"]),
        "__default__": sum(stages.values(), start=Pipeline([])),
    }
