"""Parameters in places they had before are refused with the new place."""

from typing import Any

import pytest

from tradewind.errors import BadParameters
from tradewind.hooks import MOVED, refuse_moved_blocks


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
