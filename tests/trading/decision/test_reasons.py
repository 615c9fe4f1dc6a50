"""Why a target is what it is, bar by bar."""

import numpy as np
import pytest

from tradewind.trading.decision.reasons import CODES, codes_of, explain_absence, explain_position


def told(bits: np.ndarray) -> list[str]:
    return [" ".join(codes_of(one)) for one in bits.tolist()]


def test_a_position_is_opened_kept_turned_and_closed() -> None:
    direction = np.array([0.0, 1, 1, -1, -1, 0, 1, 0, 0])
    target = np.array([0.0, 0.5, 0.5, -0.5, 0, 0, 0, 0, 0])  # no volatility on the fifth bar and the seventh
    assert told(explain_position(0.0, direction, target)) == [
        "", "entered", "held", "entered left", "held no_volatility", "left", "entered no_volatility", "left", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "now", "said"), [(1.0, 1.0, "held"), (1.0, -1.0, "entered left"), (-1.0, 0.0, "left"), (0.0, 0.0, "")]
)
def test_the_bar_before_the_first_is_known(before: float, now: float, said: str) -> None:
    assert told(explain_position(before, np.array([now]), np.array([0.3 * now]))) == [said]


def test_no_position_has_one_reason() -> None:
    """An edge that reaches the threshold would do; then it is the expected return that does not pay."""
    edge = np.array([np.nan, 0.05, 0.1, -0.2, -0.3, -0.09])
    direction = np.array([0.0, 0, 0, 0, -1, 1])
    said = ["no_forecast", "below_entry", "does_not_pay_costs", "does_not_pay_costs", "", ""]
    assert told(explain_absence(direction, edge, 0.1)) == said


def test_every_code_has_a_bit_of_its_own() -> None:
    assert [codes_of(1 << at) for at in range(len(CODES))] == [(code,) for code in CODES]
    assert codes_of((1 << len(CODES)) - 1) == CODES
