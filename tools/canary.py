"""Faulty canaries on a finished run: decisions until the fast checks act, bars until the slow test would.

`python tools/canary.py --data data --champion lightgbm --honest xgboost`. Both forecast out of sample.
What an honest canary has in common with the champion comes from the first half of the bars; trials begin on a hundred
places of the second half.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from tradewind.metrics.betting import Bet, mean_evidence
from tradewind.operations.canary.expectation import measured
from tradewind.operations.canary.fast_checks import FastChecks, Scored
from tradewind.operations.canary.patience import patient
from tradewind.operations.canary.rules import CanaryRules

PROBABILITIES = ["p_down", "p_flat", "p_up"]
VALUES = [*PROBABILITIES, "expected_return"]
MS = 0.05  # what a forecast is said to take: latency plays no part here
ENOUGH = 20.0
TRIALS, DECISIONS = 100, 200


def paired(data: Path, champion: str, honest: str) -> pd.DataFrame:
    """A row a bar and symbol that both have forecast, with its label, in the order of time."""
    found = {file.stem: file for file in (data / "07_model_output/forecasts").rglob("*.parquet")}
    keys = ["timestamp", "symbol"]
    mine, theirs = (pd.read_parquet(found[name])[[*keys, *VALUES]] for name in (champion, honest))
    files = (data / "05_model_input/model_input").rglob("*.parquet")
    labels = pd.concat([pd.read_parquet(file, columns=[*keys, "label"]) for file in files])
    both = mine.merge(theirs, on=keys, suffixes=("", "_other")).merge(labels.dropna(), on=keys)
    return both.sort_values(keys, ignore_index=True)


def faults(rows: pd.DataFrame, said: np.ndarray) -> dict[str, np.ndarray]:
    """What each canary says, (rows, 4)."""
    shares = rows["label"].astype(int).value_counts(normalize=True).sort_index().to_numpy()
    edge = said[:, 2] - said[:, 0]
    tripled = np.column_stack([said[:, 0] - edge, said[:, 1], said[:, 2] + edge, 3 * said[:, 3]])
    tripled[:, :3] = np.clip(tripled[:, :3], 1e-3, None)
    tripled[:, :3] /= tripled[:, :3].sum(axis=1, keepdims=True)
    return {
        "honest": said, "inverted": said[:, [2, 1, 0, 3]] * [1, 1, 1, -1],
        "constant": np.tile([*shares, 0.0], (len(said), 1)), "three times overconfident": tripled,
    }  # fmt: skip


def fast(champion: np.ndarray, canary: np.ndarray, expected: object, rules: CanaryRules) -> tuple[str, int]:
    """The check that trips, and after how many decisions; 0 for none."""
    checks = FastChecks(rules, expected, MS)  # type: ignore[arg-type]
    for mine, theirs in zip(champion, canary, strict=True):
        tripped = checks.observe(Scored(mine, theirs, MS, MS))
        if tripped:
            return tripped.check, tripped.decisions
    return "none", 0


def slow(rows: pd.DataFrame, champion: np.ndarray, canary: np.ndarray, horizon: int) -> int:
    """Timestamps until the evidence that the canary is worse is 20 to 1; 0 for never."""
    bets, place = [Bet() for _ in range(horizon)], rows["label"].to_numpy(dtype=np.int64) + 1
    gains = np.log(np.maximum(champion[:, :3], 0.01)) - np.log(np.maximum(canary[:, :3], 0.01))
    table = pd.DataFrame({"gain": gains[np.arange(len(rows)), place], "bound": np.abs(gains).max(axis=1)})
    by_time = table.groupby(rows["timestamp"].to_numpy()).agg({"gain": "mean", "bound": "max"}).to_numpy()
    for number, (gain, bound) in enumerate(by_time.tolist()):
        bets[number % horizon].observe(gain, bound)
        if mean_evidence(bets) >= ENOUGH:
            return number + 1
    return 0


def main() -> None:
    """Print a line a canary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--champion", default="lightgbm")
    parser.add_argument("--honest", default="xgboost")
    parser.add_argument("--horizon", type=int, default=24, help="bars that the label looks ahead")
    given = parser.parse_args()
    rows = paired(given.data, given.champion, given.honest)
    half = rows["timestamp"].quantile(0.5)
    before, rules = rows[rows["timestamp"] < half], CanaryRules()
    edges = [before[f"p_up{part}"].to_numpy() - before[f"p_down{part}"].to_numpy() for part in ("", "_other")]
    expected = patient(measured(*edges), *edges, rules)
    trial = rows[rows["timestamp"] >= half].reset_index(drop=True)
    champion = trial[VALUES].to_numpy(np.float64)
    print(f"expected of an honest canary: {expected}")
    for name, said in faults(trial, trial[[f"{one}_other" for one in VALUES]].to_numpy(np.float64)).items():
        starts = np.linspace(0, len(trial) - DECISIONS, TRIALS).astype(int)
        ends = [slice(start, start + DECISIONS) for start in starts]
        found = [fast(champion[part], said[part], expected, rules) for part in ends]
        took = [decisions for _, decisions in found if decisions]
        told = f"median {np.median(took):.0f}, most {max(took)} decisions" if took else "never"
        bars = slow(trial, champion, said, given.horizon)
        print(f"{name}: fast checks {len(took)} of {TRIALS} within {DECISIONS} ({told}); slow test {bars or 'no'} bars")


if __name__ == "__main__":
    main()
