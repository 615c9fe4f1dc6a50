"""Several policies side by side on one account: their targets are added, so that each symbol has one net target."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tradewind.errors import BadParameters
from tradewind.learning.features.packing import Arrays
from tradewind.trading.decision.protocols import Account, Policy, Seen, Steps


class Part(NamedTuple):
    """One of them: its name, the share of the account that it trades, and what it decides by."""

    name: str
    share: float
    policy: Policy


class TogetherPolicy:
    """Adds up the targets of its parts, each times its share."""

    def __init__(self, parts: Sequence[Part]) -> None:
        """A policy of several.

        Raises:
            BadParameters: none, two of one name, or shares that are not above 0 or come to more than 1.
        """
        names = [one.name for one in parts]
        if not parts or len(set(names)) < len(names) or any("|" in one for one in names):
            raise BadParameters(f"strategies side by side need a name each, without '|'; not {', '.join(names)!r}")
        if min(one.share for one in parts) <= 0 or sum(one.share for one in parts) > 1 + 1e-9:
            raise BadParameters("the shares of strategies side by side are above 0 and come to 1 at most")
        self.parts = tuple(parts)

    @property
    def shares(self) -> dict[str, float]:
        """Of the account, by name."""
        return {one.name: one.share for one in self.parts}

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that any of them reads."""
        return tuple(dict.fromkeys(name for one in self.parts for name in one.policy.features))

    def begin(self) -> Arrays:
        """Each of them begins."""
        return {f"{one.name}|{key}": array for one in self.parts for key, array in one.policy.begin().items()}

    def advance(self, state: Arrays, seen: Seen, account: Account) -> tuple[Arrays, Steps]:
        """The net target; forecast and edge are of the first part that has an edge, or else a forecast; reasons are of
        all.

        Args:
            state: of `begin`, or as the last call left it.
            seen: features and volatility of the bars that follow.
            account: handed to each of them.
        """
        moved: Arrays = {}
        steps_of: dict[str, Steps] = {}
        for one in self.parts:
            own = {key.partition("|")[2]: array for key, array in state.items() if key.startswith(f"{one.name}|")}
            after, steps_of[one.name] = one.policy.advance(own, seen, account)
            moved |= {f"{one.name}|{key}": array for key, array in after.items()}
        targets = {one.name: one.share * steps_of[one.name].target for one in self.parts}
        with_forecast = [steps for steps in steps_of.values() if np.isfinite(steps.forecast).any()]
        with_edge = [steps for steps in with_forecast if np.isfinite(steps.edge).any()]
        first = (*with_edge, *with_forecast, *steps_of.values())[0]
        net = np.sum(list(targets.values()), axis=0)
        reasons = np.bitwise_or.reduce([steps.reasons for steps in steps_of.values()])
        return moved, Steps(first.forecast, first.edge, net, reasons, targets)
