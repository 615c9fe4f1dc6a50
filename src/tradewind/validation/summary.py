"""What the outcomes of an experiment say, counted."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.trading.strategy import baselines

Floats = NDArray[np.float64]
LOSS_EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
RULES = ("test", "baselines", "costs", "holdout")  # in the order of the verdict's reasons
ALARM = 20.0  # wealth that bets without an edge ever reach with a probability of 5 % at most
ALLOWED = 0.05  # false discoveries
WORLDS = ("simulated", "sign_flipped", "block_shuffled")
CERTAIN_GROSS = ("simulated", "sign_flipped")  # where every rule's Sharpe ratio before costs is truly zero
ASKED = (2.0, 3.0, 4.0)  # edges at which the verdict must keep what one test shows
ORACLE = baselines.ORACLE
UNLEARNED = (ORACLE, "buy_and_hold", "time_series_momentum", "mean_reversion", "last_bar_reversal")
ENOUGH = 5  # markets of one strength and length, to say what others' true ratio is


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
    - kept: of the planted markets of an edge of 2 to 4 that one test shows, those called go, by length and in all;
    - share of the oracle: what the judged strategy, the best single model (chosen afterwards, by its truth) and the
      mean single model are truly worth by the oracle's, sums over the markets (`shares`);
    - coverage: how often a 90 % interval holds the truth. On null markets the truth is a Sharpe ratio of zero before
      costs for every rule and model. On planted ones it is zero for what was earned less what was expected (`luck`);
      for a net ratio what the positions earn by the planted drift as it came (`planted`), which is too easy: the
      interval also allows for another drift; and for strategies that learn nothing the mean of that over the other
      markets of the same strength and length (`unlearned`), which is what the interval is about;
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
            **planted_coverage(planted),
        },
        "loss": list(_calibration(pd.concat([simulated, planted]))),
        "planted": [_cell(float(edge), int(days), part) for (edge, days), part in planted.groupby(["edge", "days"])],
        "rules": [_rules(float(edge), part) for edge, part in planted.groupby("edge")],
        "kept": list(_kept(planted[planted["edge"].isin(ASKED)])),
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
        "found_error": share(part["found_error_passes"].astype(bool).sum(), len(part)), "tossed": _tossed(part),
        "false_alarm": share((part["e_value"] >= ALARM).sum(), len(part)),
        "sharpe_mean": float(part["sharpe"].mean()), "sharpe_deviation": float(part["sharpe"].std(ddof=0)),
        "sharpe_largest": float(part["sharpe"].max()),
    }  # fmt: skip


def _tossed(part: pd.DataFrame) -> dict[str, Any]:
    """The mean size of the test on days whose signs are tossed, with the largest of one market."""
    traded = [one for one in part["tossed"] if one]
    return {
        name: {"markets": len(traded), "mean": float(np.mean(sizes)), "largest": float(np.max(sizes))}
        for name in (("day", "ten_days") if traded else ())
        for sizes in ([one[name] for one in traded],)
    }


def _cell(edge: float, days: int, part: pd.DataFrame) -> dict[str, Any]:
    return {
        "edge": edge, "days": days, "markets": len(part),
        "power": share((part["verdict"] == "go").sum(), len(part)),
        "not_no_go": share((part["verdict"] != "no-go").sum(), len(part)),
        "one_test": share(_passed(part)[:, 0].sum(), len(part)),
        "perfect_power": share((part["perfect_verdict"] == "go").sum(), len(part)),
        "perfect_test": share(part["perfect_shown"].astype(bool).sum(), len(part)),
        "e_process": share((part["e_value"] >= ALARM).sum(), len(part)),
        "kept": _of_the_tested(part),
        "oracle_sharpe": float(part["oracle_sharpe"].mean()),
        "shares": _shares(part),
    }  # fmt: skip


def _of_the_tested(part: pd.DataFrame) -> dict[str, float | int | None]:
    """Markets called go among those that the test alone shows."""
    shown = _passed(part)[:, 0]
    return share((part["verdict"] == "go").to_numpy()[shown].sum(), int(shown.sum()))


def _kept(planted: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for days, part in planted.groupby("days") if len(planted) else ():
        yield {"days": int(days), "markets": len(part), "kept": _of_the_tested(part)}
    if len(planted):
        yield {"days": None, "markets": len(planted), "kept": _of_the_tested(planted)}


def _shares(part: pd.DataFrame) -> dict[str, dict[str, float | int | None]]:
    """Shares of the oracle without luck: the judged strategy, the best model afterwards, the mean model, and each."""
    worth, models = list(part["noise_free"]), list(part["models"])
    oracle = np.array([one[ORACLE] for one in worth])
    of_models = [[one[name] for name in names] for one, names in zip(worth, models, strict=True)]
    found = {
        "judged": [one[name] for one, name in zip(worth, part["strategy"], strict=True)],
        "best_afterwards": [max(one) for one in of_models], "mean_model": [float(np.mean(one)) for one in of_models],
    }  # fmt: skip
    for name in sorted(set.intersection(*(set(names) for names in models))):
        found[name] = [one[name] for one in worth]
    return {name: ratio_by_world(np.array(values), oracle) for name, values in found.items()}


def ratio_by_world(above: Floats, below: Floats) -> dict[str, float | int | None]:
    """A ratio of two sums over worlds with its 90 % interval (the ratio estimator, Cochran 1977, section 2.11, with
    Student's t); no interval for one world, nothing where the sum below is not positive.

    Args:
        above: shape (worlds,).
        below: shape (worlds,).
    """
    from scipy.stats import t

    n, total = len(below), float(below.sum())
    if n == 0 or total <= 0:
        return {"n": n, "value": None, "low": None, "high": None}
    value = float(above.sum()) / total
    if n < 2:
        return {"n": n, "value": value, "low": None, "high": None}
    error = float(np.sqrt(((above - value * below) ** 2).sum() * n / (n - 1))) / total
    reach = float(t.ppf(0.95, n - 1)) * error
    return {"n": n, "value": value, "low": value - reach, "high": value + reach}


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


def planted_coverage(planted: pd.DataFrame) -> dict[str, dict[str, float | int | None]]:
    """How often intervals on planted markets hold each of three truths: `luck`, `planted` and `unlearned` (see
    `summarise`), by market.

    Args:
        planted: edge, days, and the intervals `net` and `luck` of each market by strategy (`measures`).
    """
    return {
        "luck": share_by_world(_luck_coverage(planted)), "planted": share_by_world(_net_coverage(planted)),
        "unlearned": share_by_world(_unlearned_coverage(planted)),
    }  # fmt: skip


def _luck_coverage(planted: pd.DataFrame) -> list[list[bool]]:
    return [[low <= 0 <= high for low, high in luck.values()] for luck in planted.get("luck", ())]


def _unlearned_coverage(planted: pd.DataFrame) -> list[list[bool]]:
    """By market, its strategies that learn nothing: each market's interval against what the others are worth."""
    held: list[list[bool]] = []
    for _, part in planted.groupby(["edge", "days"]) if len(planted) else ():
        for name in UNLEARNED:
            of_all = [net[name] for net in part["net"] if name in net]
            if len(of_all) < ENOUGH:  # too few to say what its true ratio is
                continue
            low, high, truth = np.array(of_all).T
            others = (truth.sum() - truth) / (len(truth) - 1)
            holds = iter(((low <= others) & (others <= high)).tolist())
            held += [[next(holds)] if name in net else [] for net in part["net"]]
    return held


def _calibration(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    with_loss = table[table["probability_of_loss"].notna()]
    predicted = with_loss["probability_of_loss"].astype(float)
    for low, high in itertools.pairwise(LOSS_EDGES):
        part = with_loss[(predicted >= low) & ((predicted < high) | ((high == 1.0) & (predicted == 1.0)))]
        if len(part):
            fell = part["best_lost_money"]
            yield {
                "from": low, "to": high, "markets": len(part),
                "foretold": float(part["probability_of_loss"].astype(float).mean()),
                "observed": share(float(fell.sum()), len(part)),
            }  # fmt: skip
