"""The pipelines by name: every stage alone, and the sums that people run."""

from kedro.pipeline import Pipeline

from tradewind.pipelines import (
    classifier,
    data_engineering,
    deep_learning,
    deployment,
    evaluation,
    execution_study,
    feature_engineering,
    monitoring,
    order_book,
    regimes,
    reinforcement_learning,
)

MODELS = ("classifier", "deep_learning", "reinforcement_learning")


def register_pipelines() -> dict[str, Pipeline]:
    """Each stage under its own name; `data` makes everything that models read; `__default__` runs all but
    `order_book`, `execution_study`, `deployment`, `monitoring` and `agent_search`."""
    stages = {
        "data_engineering": data_engineering.create_pipeline(),
        "regimes": regimes.create_pipeline(),
        "feature_engineering": feature_engineering.create_pipeline(),
        "classifier": classifier.create_pipeline(),
        "deep_learning": deep_learning.create_pipeline(),
        "reinforcement_learning": reinforcement_learning.create_pipeline(),
        "evaluation": evaluation.create_pipeline(),
    }
    return {
        **stages,
        "order_book": order_book.create_pipeline(),
        "execution_study": execution_study.create_pipeline(),
        "deployment": deployment.create_pipeline(),
        "monitoring": monitoring.create_pipeline(),
        "agent_search": reinforcement_learning.create_search_pipeline(),
        "data": stages["data_engineering"] + stages["regimes"] + stages["feature_engineering"],
        "models": sum((stages[name] for name in MODELS), start=stages["evaluation"]),
        "__default__": sum(stages.values(), start=Pipeline([])),
    }
