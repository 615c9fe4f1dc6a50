"""Parameters in their old places are refused with the new one, and trainings in processes are seen beforehand."""

from typing import Any

import pytest
from kedro.pipeline import node

from tradewind.errors import BadParameters
from tradewind.hooks import MOVED, refuse_moved_blocks, trains_in_processes


def block(path: str) -> dict[str, Any]:
    inner: Any = {"value": 1}
    for key in reversed(path.split(".")):
        inner = {key: inner}
    return inner


@pytest.mark.parametrize("old", MOVED)
def test_a_block_in_its_old_place_is_refused_with_the_new_one(old: str) -> None:
    with pytest.raises(BadParameters, match=f"{old} is {MOVED[old]} now"):
        refuse_moved_blocks(block(old))
    refuse_moved_blocks(block(MOVED[old]))


def test_what_was_never_moved_is_left_alone() -> None:
    refuse_moved_blocks({"trading": {"costs": {}}, "evaluation": {"verdict": {}}, "seed": 7})


@pytest.mark.parametrize(
    ("namespace", "name", "training", "expected"),
    [
        ("deep_learning.lstm", "train", {"executor": "processes"}, True),
        ("deep_learning.lstm", "train", {"executor": "threads"}, False),
        ("deep_learning.lstm", "train", {}, False),
        ("deep_learning.lstm", "score", {"executor": "processes"}, False),
        ("reinforcement_learning.sac", "train", {}, True),
        ("reinforcement_learning.sac", "train", {"executor": "serial"}, False),
        ("classifier.linear", "train", {"executor": "processes"}, False),
    ],
)
def test_a_training_in_processes_is_seen_before_the_run(
    namespace: str, name: str, training: dict[str, str], expected: bool
) -> None:
    stage, model = namespace.split(".")
    block = {"training": training} if stage != "reinforcement_learning" else {"rules": {"training": training}}
    nodes = [node(lambda: {}, None, "made", name=name, namespace=namespace)]
    assert trains_in_processes(nodes, {stage: {model: block}}) is expected
