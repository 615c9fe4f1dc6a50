"""Compile what many tests run, once, before the workers begin: `python -m tests.kernels market` and `... agents`.

Each worker would compile the same kernels otherwise, and so would each copy of the project.
"""

import sys
from pathlib import Path

from tradewind.cli import kernels


def compile_kernels() -> None:
    """Both parts side by side, each in a process of its own."""
    kernels.compile_kernels([sys.executable, "-m", "tests.kernels"], Path(__file__).resolve().parents[1])


def compile_part(part: str) -> None:
    """What the project compiles, and every labelling method with every weighting scheme."""
    if part != "market":
        return kernels.main(part)
    from tests.laws.test_labels import SCHEMES, SETTINGS
    from tradewind.learning.labels.rules import LabelRules, make_labels
    from tradewind.learning.labels.weights import WeightRules

    bars = kernels.compile_market()
    for method in SETTINGS.values():
        for scheme in SCHEMES:
            make_labels(bars, LabelRules.model_validate(method), WeightRules.model_validate({"scheme": scheme}))
    return None


if __name__ == "__main__":
    compile_part(sys.argv[1])
