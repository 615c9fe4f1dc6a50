"""What agents do, apart from what it earned: how long, how much, in which states; and how they fail, by name."""

import itertools

import numpy as np
import pandas as pd

from tradewind.adaptive.rl.alarms import alarms_of

DEGENERATE, BLIND, COLLAPSED = "degenerate policy", "cost blindness", "seed collapse"
DEAF, NOTHING = "deaf to costs", "nothing gained"
DEAREST = "4"  # the multiple of the costs at which an agent that hears of them trades less
BINS = 7


def describe(transitions: pd.DataFrame) -> pd.DataFrame:
    """strategy, seed, fold: shares of time long, short and flat, mean size, mean holding time in bars, turnover,
    gross and cost a bar (of equity)."""
    rows = []
    for (strategy, seed, fold), part in transitions.groupby(["strategy", "seed", "fold"], sort=False):
        sides = [np.sign(one["target"].to_numpy()) for _, one in part.groupby("symbol", sort=False)]
        whole = np.concatenate(sides)
        lengths = [len(list(run)) for side in sides for held, run in itertools.groupby(side) if held != 0]
        rows.append(
            {
                "strategy": strategy, "seed": seed, "fold": fold, "long": float((whole > 0).mean()),
                "short": float((whole < 0).mean()), "flat": float((whole == 0).mean()),
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

    A degenerate policy holds one target in 99 % of the bars; cost blindness is to pay more than is earned before
    costs, though something is; seeds have collapsed where they agree on hardly anything (mean correlation below 0.2).
    An agent is deaf to costs where it loses and trades no less when they are four times as high. A policy leaps where
    an update moved it by a divergence above 0.1, its exploration has ended where it tries nothing else any more
    (`alarms`); nothing is gained where no part of a training grew on the validation bars.
    """
    rows: list[tuple[str, int, int, str, float]] = []
    for (strategy, fold, seed), part in log.groupby(["strategy", "fold", "seed"], sort=False):
        where = str(strategy), int(fold), int(seed)
        alarms = [alarm for row in part.to_dict("records") for alarm in alarms_of(row)]
        for name in dict.fromkeys(name for name, _, _ in alarms):
            rows.append((*where, name, max((value for one, value, _ in alarms if one == name), key=abs)))
        if part["valid_growth"].max() <= 0:
            rows.append((*where, NOTHING, float(part["valid_growth"].max())))
    for (strategy, fold, seed), part in transitions.groupby(["strategy", "fold", "seed"], sort=False):
        usual = float(part["target"].round(3).value_counts(normalize=True).iloc[0])
        if usual > 0.99:
            rows.append((str(strategy), int(fold), int(seed), DEGENERATE, usual))
    for row in behaviour.to_dict("records"):
        if 0 < row["gross"] < row["cost"]:
            rows.append((row["strategy"], row["fold"], row["seed"], BLIND, row["cost"] / row["gross"]))
    costs = responses[responses["kind"] == "cost"].set_index(["strategy", "fold", "seed", "level"])
    for (strategy, fold, seed), part in costs.groupby(level=[0, 1, 2], sort=False):
        traded, net = part["turnover"].droplevel([0, 1, 2]), part["net"].droplevel([0, 1, 2])
        if traded["1"] > 0 and net["1"] < 0 and traded[DEAREST] >= traded["1"]:
            rows.append((str(strategy), int(fold), int(seed), DEAF, traded[DEAREST] / traded["1"]))
    for (strategy, fold), part in transitions.groupby(["strategy", "fold"], sort=False):
        wide = part.pivot_table(index=["symbol", "timestamp"], columns="seed", values="target")
        if wide.shape[1] < 2 or not (wide.std() > 0).all():
            continue
        matrix = wide.corr().to_numpy()
        agreement = float(matrix[np.triu_indices(len(matrix), 1)].mean())
        if agreement < 0.2:
            rows.append((str(strategy), int(fold), -1, COLLAPSED, agreement))
    table = pd.DataFrame(rows, columns=["strategy", "fold", "seed", "failure", "value"])
    return table.astype({"strategy": "str", "fold": "int64", "seed": "int64", "failure": "str", "value": "float64"})


def action_map(transitions: pd.DataFrame) -> pd.DataFrame:
    """strategy, edge, flat, target, count: the mean target by bins of the two forecasts that lead (equal counts)."""
    parts = []
    for strategy, part in transitions.groupby("strategy", sort=False):
        known = part[(part["forecast_edge_mean"] != 0) | (part["forecast_flat"] != 0)]
        edge = pd.qcut(known["forecast_edge_mean"], BINS, labels=False, duplicates="drop")
        flat = pd.qcut(known["forecast_flat"], BINS, labels=False, duplicates="drop")
        cells = known.groupby([edge.to_numpy(), flat.to_numpy()])
        table = cells[["forecast_edge_mean", "forecast_flat", "target"]].mean().assign(count=cells.size())
        parts.append(table.reset_index(names=["edge", "flat"]).assign(strategy=strategy))
    return pd.concat(parts, ignore_index=True).astype({"strategy": "str"})
