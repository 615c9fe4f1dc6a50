"""Values that a check takes in `make test-all` only: the same check, longer."""

from typing import Any

import pytest


def deep(*values: Any) -> Any:
    """A parameter set that carries the marker `depth`."""
    return pytest.param(*values, marks=pytest.mark.depth)
