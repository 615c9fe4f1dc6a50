"""What a run has to do, how long its nodes took when they ran before, and so how long the rest will take."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tradewind.atomic import write_bytes

# Seconds of the nodes of the demo that take long, for a run without an earlier one; it learns what they took.
SECONDS = 0.5
LONG = {
    "collect_side_vintages": 2.0,
    "find_regimes": 5.0,
    "study_features": 3.0,
    "forecast_paths": 5.0,
    "tune": 2.0,
    "train": 10.0,
    "vary_parameters": 5.0,
    "stress_strategies": 3.0,
    "write_report": 3.0,
}
# A node that takes longer than expected does not fill the bar.
_FULLEST = 0.95
# What this machine needs for a node, as a multiple of what was expected, is believed within these bounds.
_SLOWEST, _FASTEST = 20.0, 0.05


class RunPlan:
    """The nodes of a run by stage, with the seconds that each is expected to take."""

    def __init__(self, nodes: Sequence[str], known: Mapping[str, float] | None = None) -> None:
        """From node names (`STAGE.NODE` or `STAGE.MODEL.NODE`) and the seconds of an earlier run by name."""
        earlier = known or {}
        self._expected = {name: max(_expected(name, earlier), 0.01) for name in nodes}
        # What is only guessed says nothing of the machine's pace, unless nothing is known.
        self._paced = {name for name in nodes if name in earlier} or set(nodes)
        self._took: dict[str, float] = {}
        self._left = {
            stage: sum(stage_of(name) == stage for name in nodes) for stage in dict.fromkeys(map(stage_of, nodes))
        }

    @property
    def total(self) -> int:
        """How many nodes there are."""
        return len(self._expected)

    @property
    def done(self) -> int:
        """How many nodes have ended."""
        return len(self._took)

    @property
    def took(self) -> dict[str, float]:
        """Seconds of the nodes that have ended, by name."""
        return dict(self._took)

    def finish(self, node: str, seconds: float) -> str | None:
        """Note that a node has ended; the stage that ended with it, or None."""
        if node in self._took or node not in self._expected:
            return None
        self._took[node] = seconds
        stage = stage_of(node)
        self._left[stage] -= 1
        return stage if self._left[stage] == 0 else None

    def of_stage(self, stage: str) -> tuple[int, float]:
        """How many nodes of a stage have ended, and their seconds together."""
        took = [seconds for name, seconds in self._took.items() if stage_of(name) == stage]
        return len(took), sum(took)

    def share(self, running: Mapping[str, float]) -> float:
        """How much of the work is done, from 0 to 1, with what is under way (seconds so far by node)."""
        return 1 - self._rest(running) / sum(self._expected.values())

    def seconds_left(self, running: Mapping[str, float]) -> float:
        """How long the rest will take, at the pace of what is done."""
        took = {name: seconds for name, seconds in self._took.items() if name in self._paced}
        under_way = {name: seconds for name, seconds in running.items() if name in self._paced}
        ended = sum(self._expected[name] for name in took)
        begun = sum(min(seconds, _FULLEST * self._expected[name]) for name, seconds in under_way.items())
        pace = (sum(took.values()) + sum(under_way.values()) + 1) / (ended + begun + 1)
        return self._rest(running) * min(max(pace, _FASTEST), _SLOWEST)

    def _rest(self, running: Mapping[str, float]) -> float:
        """Expected seconds of all that has not ended."""
        begun = {name: min(seconds, _FULLEST * self._expected[name]) for name, seconds in running.items()}
        return sum(
            expected - begun.get(name, 0.0) for name, expected in self._expected.items() if name not in self._took
        )


def _expected(node: str, earlier: Mapping[str, float]) -> float:
    """Seconds that a node will take: what it took, what those of its name did for other models, or a guess."""
    if node in earlier:
        return earlier[node]
    stage, last = stage_of(node), node.rpartition(".")[2]
    alike = [took for name, took in earlier.items() if stage_of(name) == stage and name.rpartition(".")[2] == last]
    return sum(alike) / len(alike) if alike else LONG.get(last, SECONDS)


def stage_of(node: str) -> str:
    """The stage that a node belongs to."""
    return node.partition(".")[0]


def read_seconds(path: Path) -> dict[str, float]:
    """What the nodes of earlier runs took; empty where nothing can be read: it only serves an estimate."""
    try:
        found = json.loads(path.read_bytes())
        return {str(name): float(seconds) for name, seconds in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def keep_seconds(path: Path, took: Mapping[str, float]) -> None:
    """Keep what nodes took for the estimates of later runs, beside what others took before."""
    known = read_seconds(path) | {name: round(seconds, 3) for name, seconds in took.items()}
    write_bytes(path, json.dumps(dict(sorted(known.items())), indent=1).encode())
