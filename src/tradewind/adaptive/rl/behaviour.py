"""What agents do, apart from what it earned: how long, how much, in which states; and how they fail, by name."""

import itertools

import numpy as np
import pandas as pd

from tradewind.adaptive.rl.alarms import alarms_of

DEGENERATE, COSTS_EXCEED_PROFIT, SEED_DISAGREEMENT = (
    "degenerate policy",
    "costs exceed gross profit",
    "seed disagreement",
)
COST_INSENSITIVE, SEED_DISAGREEMENT = "insensitive to costs", "seed disagreement"
NO_VALIDATION_GAIN = "no validation gain"
HIGHEST_COST = "4"  # the multiple of the costs at which a cost-sensitive agent trades less
BINS = 7


def describe(transitions: pd.DataFrame) -> pd.DataFrame:
    """strategy, seed, fold: shares of time long, short and flat, mean size, mean holding time in bars, turnover,
    gross and cost a bar (of equity)."""
    rows = []
    for (strategy, seed, fold), part in transitions.groupby(["strategy", "seed", "fold"], sort=False):
        sides = [np.sign(one["target"].to_numpy()) for _, one in part.groupby("symbol", sort=False)]
        sides_all = np.concatenate(sides)
        lengths = [len(list(run)) for side in sides for held, run in itertools.groupby(side) if held != 0]
        rows.append(
            {
                "strategy": strategy, "seed": seed, "fold": fold, "long": float((sides_all > 0).mean()),
                "short": float((sides_all < 0).mean()), "flat": float((sides_all == 0).mean()),
                "mean_size": float(part["target"].abs().mean()),
                "holding_bars": float(np.mean(lengths)) if lengths else 0.0,
                "turnover": float(part["turnover"].mean()), "gross": float(part["gross"].mean()),
                "cost": float(part["cost"].mean()),
            }
        )  # fmt: skip
    return pd.DataFrame(rows).astype({"strategy": "str", "seed": "int64", "fold": "int64"})


def failures(
    transitions: pd.DataFrame, behaviour: pd.DataFrame, log: pd.DataFrame, responses: pd.DataFrame
) -> pd.DataFrame:
    """strategy, fold, seed (-1: all of them), failure, value: where an agent failed, and how.

    degenerate policy: one target in 99 % of the bars. costs exceed gross profit: a profit before costs and a loss after
    them. seed disagreement: a mean correlation of the seeds' targets below 0.2. insensitive to costs: a loss, and no
    less turnover when costs are four times as high. large policy update: a KL divergence above 0.1 in one update;
    entropy collapse: an entropy below the floor (`alarms`). no validation gain: no part of the training gained on the
    validation bars.

    Args:
        transitions: the agents' test bars (`walk_forward.TrainedFold.transitions`).
        behaviour: of `describe`.
        log: the training logs, a row for each part of each training.
        responses: of `responses.responses`, of all folds and seeds.
    """
    rows: list[tuple[str, int, int, str, float]] = []
    for (strategy, fold, seed), part in log.groupby(["strategy", "fold", "seed"], sort=False):
        where = str(strategy), int(fold), int(seed)
        alarms = [alarm for row in part.to_dict("records") for alarm in alarms_of(row)]
        for name in dict.fromkeys(name for name, _, _ in alarms):
            rows.append((*where, name, max((value for one, value, _ in alarms if one == name), key=abs)))
        if part["valid_growth"].max() <= 0:
            rows.append((*where, NO_VALIDATION_GAIN, float(part["valid_growth"].max())))
    for (strategy, fold, seed), part in transitions.groupby(["strategy", "fold", "seed"], sort=False):
        usual = float(part["target"].round(3).value_counts(normalize=True).iloc[0])
        if usual > 0.99:
            rows.append((str(strategy), int(fold), int(seed), DEGENERATE, usual))
    for row in behaviour.to_dict("records"):
        if 0 < row["gross"] < row["cost"]:
            rows.append((row["strategy"], row["fold"], row["seed"], COSTS_EXCEED_PROFIT, row["cost"] / row["gross"]))
    costs = responses[responses["kind"] == "cost"].set_index(["strategy", "fold", "seed", "level"])
    for (strategy, fold, seed), part in costs.groupby(level=[0, 1, 2], sort=False):
        traded, net = part["turnover"].droplevel([0, 1, 2]), part["net"].droplevel([0, 1, 2])
        if traded["1"] > 0 and net["1"] < 0 and traded[HIGHEST_COST] >= traded["1"]:
            rows.append((str(strategy), int(fold), int(seed), COST_INSENSITIVE, traded[HIGHEST_COST] / traded["1"]))
    for (strategy, fold), part in transitions.groupby(["strategy", "fold"], sort=False):
        wide = part.pivot_table(index=["symbol", "timestamp"], columns="seed", values="target")
        if wide.shape[1] < 2 or not (wide.std() > 0).all():
            continue
        matrix = wide.corr().to_numpy()
        agreement = float(matrix[np.triu_indices(len(matrix), 1)].mean())
        if agreement < 0.2:
            rows.append((str(strategy), int(fold), -1, SEED_DISAGREEMENT, agreement))
    table = pd.DataFrame(rows, columns=["strategy", "fold", "seed", "failure", "value"])
    return table.astype({"strategy": "str", "fold": "int64", "seed": "int64", "failure": "str", "value": "float64"})


def action_map(transitions: pd.DataFrame) -> pd.DataFrame:
    """strategy, edge, flat, target, count: the mean target by bins of the two forecasts that lead (equal counts)."""
    parts = []
    for strategy, part in transitions.groupby("strategy", sort=False):
        with_forecast = part[(part["forecast_edge_mean"] != 0) | (part["forecast_flat"] != 0)]
        edge = pd.qcut(with_forecast["forecast_edge_mean"], BINS, labels=False, duplicates="drop")
        flat = pd.qcut(with_forecast["forecast_flat"], BINS, labels=False, duplicates="drop")
        cells = with_forecast.groupby([edge.to_numpy(), flat.to_numpy()])
        table = cells[["forecast_edge_mean", "forecast_flat", "target"]].mean().assign(count=cells.size())
        parts.append(table.reset_index(names=["edge", "flat"]).assign(strategy=strategy))
    return pd.concat(parts, ignore_index=True).astype({"strategy": "str"})
