"""What says most about the return is chosen, and nothing twice."""

import numpy as np
import pandas as pd

from tradewind.learning.models.sequence.feature_choice import choose_features


def test_direction_size_and_what_others_leave_unsaid_are_found() -> None:
    rng = np.random.default_rng(0)
    strong, weak, wide, noise = rng.standard_normal((4, 6000))
    moved = np.exp(0.5 * wide) * (0.5 * strong + 0.15 * weak + rng.standard_normal(6000))
    rows = pd.DataFrame(
        {
            "copy": strong + 0.05 * rng.standard_normal(6000), "strong": strong, "constant": 1.0, "weak": weak,
            "missing": np.nan, "wide": wide, "noise": noise, "forward_return": moved, "forward_return_4": moved,
            "label": np.sign(moved), "weight": 1.0,
        }
    )  # fmt: skip
    chosen = choose_features(rows, 3)
    assert {"weak", "wide"} < set(chosen) and len({"strong", "copy"} & set(chosen)) == 1
    assert choose_features(rows, None) == choose_features(rows, 7) == list(rows)[:7]
    assert choose_features(rows, 3) == chosen == sorted(chosen, key=list(rows).index)
    # What comes later is not asked: the choice is made from the rows it is given.
    assert choose_features(rows.iloc[:100], 2) != []
