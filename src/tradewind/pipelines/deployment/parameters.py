"""Parameters of the deployment stage (`params:deployment`)."""

from tradewind.parameters import Parameters


class DeploymentRules(Parameters):
    """What is deployed (`params:deployment`): the `judged` strategy, the `best` of the leaderboard's models, or one by
    its name, such as `lightgbm`, `stacking` or `ppo`."""

    model: str
