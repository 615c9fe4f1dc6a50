"""Canaries on a finished run, as they would have been deployed: when the fast checks act, and when the slow test would.

`python tools/canary.py --data data --champion lightgbm --honest linear`. At five moments of the history both procedures
are refitted on the labels that had settled, and what follows is decided on by these two models; twenty trials begin in
the half year after each. A fault is planted in the refit itself (it is then in everything that the bundle says of it),
or only in what the service answers, where the probe, which would find it exactly, is left out: statistics alone act.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tradewind.learning.ensemble.onnx_graph import to_onnx
from tradewind.learning.features.matrix import epoch_ms
from tradewind.learning.models import walk_forward
from tradewind.learning.models.onnx_forecaster import OnnxForecaster
from tradewind.metrics.betting import Bet, mean_evidence
from tradewind.operations.bundle.making import Procedure, refit, settled
from tradewind.operations.bundle.measuring import edges_of
from tradewind.operations.bundle.past import about_itself, past_inputs
from tradewind.operations.canary.expectation import expectation, in_common, on_past_rows
from tradewind.operations.canary.fast_checks import FastChecks, Scored
from tradewind.operations.canary.itself import Itself
from tradewind.operations.canary.patience import MOST, patient
from tradewind.operations.canary.rules import CanaryRules
from tradewind.operations.canary.slow_test import SlowTest
from tradewind.pipelines.deployment.nodes import _of_one
from tradewind.serving.trial import VOUCHED

VALUES = ["p_down", "p_flat", "p_up", "expected_return"]
MS = 0.05  # what a forecast is said to take: latency plays no part here
ENOUGH = 20.0
DEPLOYED, STARTS, DECISIONS = (0.5, 0.6, 0.7, 0.8, 0.9), 20, 200
AHEAD = pd.Timedelta(days=180)
Fault = Callable[[np.ndarray], np.ndarray]


def inverted(said: np.ndarray) -> np.ndarray:
    """Down for up."""
    return said[:, [2, 1, 0, 3]] * [1, 1, 1, -1]


def constant(said: np.ndarray) -> np.ndarray:
    """The same of every row."""
    return np.tile([0.39, 0.2, 0.41, 0.0], (len(said), 1))


def tripled(said: np.ndarray) -> np.ndarray:
    """Three times overconfident."""
    edge = said[:, 2] - said[:, 0]
    out = np.column_stack([said[:, 0] - edge, said[:, 1], said[:, 2] + edge, 3 * said[:, 3]])
    out[:, :3] = np.clip(out[:, :3], 1e-3, None)
    out[:, :3] /= out[:, :3].sum(axis=1, keepdims=True)
    return out


FAULTS: dict[str, Fault] = {
    "honest": lambda said: said, "inverted": inverted, "constant": constant, "three times overconfident": tripled,
}  # fmt: skip


@dataclass
class Deployed:
    """A refit with its past, and what it says; `fault` is in all of it."""

    model: Any
    graph: OnnxForecaster
    share: float
    edges: np.ndarray
    fault: Fault = FAULTS["honest"]

    def predict(self, rows: pd.DataFrame, testing: Any = None) -> pd.DataFrame:
        """As a forecaster has it."""
        said = self.model.predict(rows, testing)
        return pd.DataFrame(self.fault(said[VALUES].to_numpy(np.float64)), columns=VALUES, index=said.index)


def deployed(procedure: Procedure, rows: pd.DataFrame, told: pd.DataFrame, symbols: tuple[str, ...]) -> Deployed:
    """The procedure refitted on settled rows, with its edges out of sample until then."""
    model = refit(procedure, rows)
    known = told[told["timestamp"] <= rows["timestamp"].max()]
    edges = edges_of(known.assign(edge=known["p_up"] - known["p_down"]), symbols)
    graph = OnnxForecaster.from_bytes(to_onnx(model), model.features)
    return Deployed(model, graph, procedure.training.calibration_share, edges)


class _Labels:
    """The labels of a trial as they settle, a horizon of bars after their decisions, and the evidence of them."""

    def __init__(
        self, live: pd.DataFrame, champion: np.ndarray, canary: np.ndarray, start: int, horizon: int
    ) -> None:  # fmt: skip
        at = epoch_ms(live["timestamp"])
        self._at, self._label, self._next = at, live["label"].to_numpy(np.float64), start
        bar_ms = int(np.diff(np.unique(at)).min())
        self._said, self._wait_ms = (champion, canary), horizon * bar_ms
        self._test = SlowTest(CanaryRules(), horizon, bar_ms)

    def settled_by(self, row: int) -> float:
        """The evidence that the canary is better when the row is decided."""
        while self._at[self._next] + self._wait_ms < self._at[row]:
            stop = int(np.searchsorted(self._at, self._at[self._next], side="right"))
            rows = np.arange(self._next, stop)[~np.isnan(self._label[self._next : stop])]
            if len(rows):
                champion, canary = (one[rows, :3] for one in self._said)
                self._test.settle(int(self._at[rows[0]]), champion, canary, self._label[rows].astype(np.int64))
            self._next = stop
        return self._test.e_value


@dataclass
class Pair:
    """Both at one moment, and the rows that follow."""

    champion: Deployed
    canary: Deployed
    rows: pd.DataFrame
    live: pd.DataFrame
    symbols: tuple[str, ...]
    horizon: int

    def checks(self, fault: Fault) -> FastChecks:
        """As a trial begins them."""
        folds = self.champion.edges, self.canary.edges
        expected = expectation(*folds)
        if expected is not None:
            expected = patient(expected, *in_common(*folds).T)
        mine, theirs = (
            one.graph.predict_many(past_inputs(self.rows, one.model, one.graph.reads_windows))
            for one in (self.champion, self.canary)
        )
        expected = on_past_rows(mine, fault(theirs), expected.patience if expected else MOST) or expected
        checks = FastChecks(CanaryRules(), expected, MS)
        canary: Any = Deployed(self.canary.model, self.canary.graph, 0.0, self.canary.edges, fault)
        checks.begun(Itself.of(about_itself(canary, self.rows, self.canary.share, self.canary.edges, self.symbols)))
        return checks

    def trials(self, in_model: Fault, in_service: Fault) -> list[tuple[str, int]]:
        """The check that trips and after how many decisions, a trial; empty for none."""
        out = []
        champion = self.live[VALUES].to_numpy(np.float64)
        canary = in_service(in_model(self.live[[f"{one}_other" for one in VALUES]].to_numpy(np.float64)))
        begun = self.checks(in_model)
        for start in np.linspace(0, len(champion) - DECISIONS, STARTS).astype(int):
            checks = FastChecks(begun.rules, begun.expected, MS, tripped=begun.tripped)
            labels = _Labels(self.live, champion, canary, start, self.horizon)
            for at in range(start, start + DECISIONS):
                checks.is_vouched = labels.settled_by(at) >= VOUCHED
                if checks.tripped or checks.observe(Scored(champion[at], canary[at], MS, MS)):
                    break
            out.append((checks.tripped.check, checks.tripped.decisions) if checks.tripped else ("", 0))
        return out


def pairs(data: Path, champion: str, honest: str, horizon: int) -> list[Pair]:
    """Both, deployed at each moment."""
    files = sorted((data / "05_model_input/model_input").rglob("*.parquet"))
    rows = walk_forward.pool({str(file): pd.read_parquet(file) for file in files})
    symbols = tuple(sorted(rows["symbol"].unique()))
    described = json.loads((data / "09_deployment/procedure.json").read_text())
    procedures = {one["name"]: _of_one(one) for one in described.get("members", [described])}
    found = {file.stem: file for file in (data / "07_model_output/forecasts").rglob("*.parquet")}
    told = {name: pd.read_parquet(found[name]) for name in (champion, honest)}
    out = []
    for share in DEPLOYED:
        moment = rows["timestamp"].quantile(share)
        known = settled(rows[rows["timestamp"] <= moment].reset_index(drop=True))
        mine, theirs = (deployed(procedures[name], known, told[name], symbols) for name in (champion, honest))
        seen = rows[(rows["timestamp"] > moment - AHEAD) & (rows["timestamp"] <= moment + AHEAD)].reset_index(drop=True)
        live = seen[["timestamp", "symbol", "label"]].copy()
        for one, suffix in ((mine, ""), (theirs, "_other")):
            said = one.model.predict(seen)[VALUES]
            live[[f"{name}{suffix}" for name in VALUES]] = said.to_numpy(np.float64)
        live = live[
            (live["timestamp"] > moment) & live[VALUES + [f"{one}_other" for one in VALUES]].notna().all(axis=1)
        ]
        out.append(Pair(mine, theirs, known, live.reset_index(drop=True), symbols, horizon))
    return out


def slow(rows: pd.DataFrame, fault: Fault, horizon: int) -> int:
    """Timestamps until the evidence that the canary is worse is 20 to 1; 0 for never."""
    rows = rows.dropna(subset=["label"])
    champion = rows[VALUES].to_numpy(np.float64)
    canary = fault(rows[[f"{one}_other" for one in VALUES]].to_numpy(np.float64))
    bets, place = [Bet() for _ in range(horizon)], rows["label"].to_numpy(dtype=np.int64) + 1
    gains = np.log(np.maximum(champion[:, :3], 0.01)) - np.log(np.maximum(canary[:, :3], 0.01))
    table = pd.DataFrame({"gain": gains[np.arange(len(rows)), place], "bound": np.abs(gains).max(axis=1)})
    by_time = table.groupby(rows["timestamp"].to_numpy()).agg({"gain": "mean", "bound": "max"}).to_numpy()
    for number, (gain, bound) in enumerate(by_time.tolist()):
        bets[number % horizon].observe(gain, bound)
        if mean_evidence(bets) >= ENOUGH:
            return number + 1
    return 0


def line(name: str, found: list[tuple[str, int]]) -> str:
    """How many were taken back, when and by what."""
    took = [decisions for check, decisions in found if check]
    by = dict(Counter(check for check, _ in found if check))
    when = f"median {np.median(took):.0f}, most {max(took)} decisions, by {by}" if took else "never"
    return f"{name}: taken back {len(took)} of {len(found)} within {DECISIONS} ({when})"


def main() -> None:
    """Print a line a canary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--champion", default="lightgbm")
    parser.add_argument("--honest", default="xgboost")
    parser.add_argument("--horizon", type=int, default=24, help="bars that the label looks ahead")
    given = parser.parse_args()
    both = pairs(given.data, given.champion, given.honest, given.horizon)
    for one in both:
        print(f"expected of an honest canary: {one.checks(FAULTS['honest']).expected}")
        about = about_itself(one.canary.model, one.rows, one.canary.share, one.canary.edges, one.symbols)
        print(f"of the canary itself: {about}")
    whole = pd.concat([one.live for one in both], ignore_index=True)
    nothing = FAULTS["honest"]
    for name, fault in FAULTS.items():
        bars = slow(whole, fault, given.horizon)
        print(
            line(name, [end for one in both for end in one.trials(fault, nothing)]), f"; slow test {bars or 'no'} bars"
        )
        if name != "honest":
            print(line(f"{name} in service", [end for one in both for end in one.trials(nothing, fault)]))


if __name__ == "__main__":
    main()
