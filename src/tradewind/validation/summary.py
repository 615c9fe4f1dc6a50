"""What the outcomes of an experiment say, counted."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

LOSS_EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
RULES = ("test", "baselines", "costs", "holdout")  # in the order of the verdict's reasons
ALARM = 20.0  # wealth that bets without an edge ever reach with a probability of 5 % at most
ALLOWED = 0.05  # false discoveries
WORLDS = ("simulated", "sign_flipped", "block_shuffled")
CERTAIN_GROSS = ("simulated", "sign_flipped")  # where every rule's Sharpe ratio before costs is truly zero


def summarise(outcomes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """False-discovery rate, power, share of the oracle, coverage, calibration; each share with its interval.

    Shares carry the interval of Wilson (1927) at 90 %; where a market counts more than once, by as many independent
    counts as its rules are worth.

    - false discovery: null markets called go, by the world that they come from, and the chance of so many if 5 % are;
    - false alarm: null markets on which bets against the judged strategy ever reached 20, looked at every day;
    - power: planted markets called go, by strength and length; beside it how many one test at 5 % of the same days
      would, and how many would be called go by who knows the planted signal exactly: no model can be expected to do
      better;
    - rules: what each rule of the verdict beside the test costs: planted markets that pass the test alone, with each
      other rule, and with all;
    - share of the oracle: the judged model's and LightGBM's net Sharpe ratio by the oracle's, sums over the markets;
    - coverage: how often a 90 % interval holds the truth. On null markets the truth is a Sharpe ratio of zero before
      costs for every rule and model; on planted ones what each strategy's positions earn by the planted drift, and for
      the oracle also its mean over the other markets of the same strength and length;
    - loss: markets by their probability of loss, and how often the best model did lose money in the holdout.
    """
    table = pd.DataFrame(list(outcomes))
    null, planted = table[table["edge"] == 0], table[table["edge"] > 0]
    simulated = null[null["world"] == "simulated"]
    return {
        "null_markets": len(null), "planted_markets": len(planted),
        "worlds": [_world(name, null[null["world"] == name]) for name in WORLDS if (null["world"] == name).any()],
        "coverage": {
            "before_costs": share_by_world(_gross_coverage(null)), "by_rule": _coverage_by_rule(null),
            "planted": share_by_world(_net_coverage(planted)), "oracle": share(*_oracle_coverage(planted)),
        },
        "loss": list(_calibration(pd.concat([simulated, planted]))),
        "planted": [_cell(float(edge), int(days), part) for (edge, days), part in planted.groupby(["edge", "days"])],
        "rules": [_rules(float(edge), part) for edge, part in planted.groupby("edge")],
    }  # fmt: skip


def share(hits: float, n: float) -> dict[str, float | int | None]:
    """A share with Wilson's 90 % interval; None where there is nothing to count."""
    if n == 0:
        return {"n": 0, "value": None, "low": None, "high": None}
    z, p = 1.6449, hits / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return {"n": int(n), "value": float(p), "low": float(max(centre - reach, 0)), "high": float(min(centre + reach, 1))}


def chance_of_so_many(hits: int, n: int, at_most: float) -> float:
    """The probability of this many hits of n or more if their true share is `at_most` (Clopper and Pearson 1934).

    A share is shown to exceed `at_most` where this is small. That a few markets have a larger share does not show it:
    a rule that is wrong in 5 % of all markets is wrong in two of 20 or more every fourth time.

    Args:
        hits: how many there were.
        n: of how many.
        at_most: the share that is claimed not to be exceeded.

    Returns:
        A probability from 0 to 1.
    """
    from scipy.stats import binom

    return float(binom.sf(hits - 1, n, at_most))


def share_by_world(held: Sequence[Sequence[bool]]) -> dict[str, float | int | None]:
    """A share of counts that stand together in worlds, with Wilson's interval of as many independent counts as they are
    worth: p (1 - p) over the variance of the share that the worlds' own show (the ratio estimator, Cochran 1977,
    section 11.3); of the worlds alone where they do not differ.

    Args:
        held: for each world, whether each of its counts holds.
    """
    hits, counts = np.array([sum(one) for one in held]), np.array([len(one) for one in held])
    n, worlds = int(counts.sum()), int((counts > 0).sum())
    if n == 0 or worlds < 2:
        return share(float(hits.sum()), n)
    value = float(hits.sum() / n)
    variance = float(((hits - value * counts) ** 2).sum()) / n**2 * worlds / (worlds - 1)
    independent = value * (1 - value) / variance if variance > 0 else worlds
    independent = min(max(independent, 1.0), n)
    return share(value * independent, independent) | {"n": n, "value": value}


def _world(name: str, part: pd.DataFrame) -> dict[str, Any]:
    return {
        "world": name, "markets": len(part),
        "false_discovery": share((part["verdict"] == "go").sum(), len(part)),
        "false_discovery_chance": chance_of_so_many(int((part["verdict"] == "go").sum()), len(part), ALLOWED),
        "false_watch": share((part["verdict"] == "watch").sum(), len(part)),
        "test_alone": share(_passed(part)[:, 0].sum(), len(part)),
        "false_alarm": share((part["e_value"] >= ALARM).sum(), len(part)),
        "sharpe_mean": float(part["sharpe"].mean()), "sharpe_deviation": float(part["sharpe"].std(ddof=0)),
        "sharpe_largest": float(part["sharpe"].max()),
    }  # fmt: skip


def _cell(edge: float, days: int, part: pd.DataFrame) -> dict[str, Any]:
    able = part[part["oracle_sharpe"] > 0]
    oracle = float(able["oracle_sharpe"].sum())
    return {
        "edge": edge, "days": days, "markets": len(part),
        "power": share((part["verdict"] == "go").sum(), len(part)),
        "not_no_go": share((part["verdict"] != "no-go").sum(), len(part)),
        "one_test": share(_passed(part)[:, 0].sum(), len(part)),
        "perfect_power": share((part["perfect_verdict"] == "go").sum(), len(part)),
        "perfect_test": share(part["perfect_shown"].astype(bool).sum(), len(part)),
        "e_process": share((part["e_value"] >= ALARM).sum(), len(part)),
        "oracle_sharpe": float(part["oracle_sharpe"].mean()),
        "share_of_oracle": float(able["sharpe"].sum()) / oracle if oracle else None,
        "boosting_share": float(able["sharpe_lightgbm"].sum()) / oracle if oracle else None,
    }  # fmt: skip


def _passed(part: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether each market's verdict met the test, the baselines, the costs and the holdout, shape (markets, rules)."""
    return np.array([passed[: len(RULES)] for passed in part["passed"]], dtype=bool).reshape(len(part), len(RULES))


def _rules(edge: float, part: pd.DataFrame) -> dict[str, Any]:
    passed = _passed(part)
    test = passed[:, 0]
    with_one = {name: share((test & passed[:, at]).sum(), len(part)) for at, name in enumerate(RULES)}
    return {"edge": edge, "markets": len(part), **with_one, "all": share(passed.all(axis=1).sum(), len(part))}


def _gross(null: pd.DataFrame) -> Iterator[tuple[str, bool]]:
    """Every rule and model of every null market whose truth is certain, and whether its interval holds zero."""
    for gross in null.loc[null["world"].isin(CERTAIN_GROSS), "gross"]:
        for name, (low, high) in gross.items():
            yield name, low <= 0 <= high


def _gross_coverage(null: pd.DataFrame) -> list[list[bool]]:
    """By market: its rules share its luck, so that they are not as many counts as they are."""
    return [[holds for _, holds in _gross(null.iloc[[at]])] for at in range(len(null))]


def _net_coverage(planted: pd.DataFrame) -> list[list[bool]]:
    return [[low <= truth <= high for low, high, truth in net.values()] for net in planted.get("net", ())]


def _coverage_by_rule(null: pd.DataFrame) -> dict[str, dict[str, float | int | None]]:
    by_rule: dict[str, list[bool]] = {}
    for name, holds in _gross(null) if len(null) else ():
        by_rule.setdefault(name, []).append(holds)
    return {name: share(sum(held), len(held)) for name, held in sorted(by_rule.items())}


def _oracle_coverage(planted: pd.DataFrame) -> tuple[int, int]:
    hits = n = 0
    for _, part in planted.groupby(["edge", "days"]) if len(planted) else ():
        if len(part) < 5:  # too few to say what its true ratio is
            continue
        sharpe = part["oracle_sharpe"].to_numpy()
        others = (sharpe.sum() - sharpe) / (len(sharpe) - 1)
        hits += int(((part["oracle_low"] <= others) & (others <= part["oracle_high"])).sum())
        n += len(part)
    return hits, n


def _calibration(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    with_loss = table[table["probability_of_loss"].notna()]
    foretold = with_loss["probability_of_loss"].astype(float)
    for low, high in itertools.pairwise(LOSS_EDGES):
        part = with_loss[(foretold >= low) & ((foretold < high) | ((high == 1.0) & (foretold == 1.0)))]
        if len(part):
            fell = part["best_lost_money"]
            yield {
                "from": low, "to": high, "markets": len(part),
                "foretold": float(part["probability_of_loss"].astype(float).mean()),
                "observed": share(float(fell.sum()), len(part)),
            }  # fmt: skip
