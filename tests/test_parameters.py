"""Parameter blocks refuse what they do not know, and say the new name of what was renamed."""

from collections.abc import Mapping
from typing import ClassVar

import pytest
from pydantic import ValidationError

from tradewind.parameters import Parameters


class Block(Parameters):
    renamed: ClassVar[Mapping[str, str]] = {"l2": "reg_lambda"}
    reg_lambda: float = 1.0


def test_a_renamed_key_is_refused_with_its_new_name() -> None:
    with pytest.raises(ValidationError, match="l2 is called reg_lambda now"):
        Block.model_validate({"l2": 2.0})


def test_an_unknown_key_is_refused_and_a_block_is_frozen() -> None:
    with pytest.raises(ValidationError, match="extra"):
        Block.model_validate({"lambda": 2.0})
    with pytest.raises(ValidationError, match="frozen"):
        Block().reg_lambda = 3.0
    assert Block.model_validate({"reg_lambda": 2.0}).reg_lambda == 2.0
