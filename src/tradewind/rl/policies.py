"""A trained policy as an ONNX file with its normalisation inside, and what it holds over a market. No torch."""

import json
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from tradewind.errors import BadModel
from tradewind.models.base import Files
from tradewind.models.sequence.exported import make_session
from tradewind.rl.market import TradingMarket, TradingTerms
from tradewind.rl.rules import EnvironmentRules
from tradewind.rl.stepping import SEEN, TOLD, Reward, advance, begin, make_episodes, observe

POLICY, ABOUT, LOG = "policy.onnx", "policy.json", "training.json"
LOG_COLUMNS = ["part", "steps", "valid_growth", "valid_turnover", "entropy", "kl"]
Floats = NDArray[np.float64]


class About(BaseModel):
    """What stands beside the network in `policy.json`. One that abstains stays flat, whatever the network says: no part
    of its training gained anything on the validation bars."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    algorithm: str
    seed: int
    features: tuple[str, ...]
    environment: EnvironmentRules
    abstains: bool


class Policy:
    """What to hold, from what is seen: features as they are, then the account (`stepping.SEEN`)."""

    def __init__(self, about: About, session: Any) -> None:
        """Use `from_files`."""
        self.about, self._session = about, session
        self._targets = np.array(about.environment.targets)

    @classmethod
    def from_files(cls, files: Files) -> Self:
        """From the files of a stored policy. The bytes must be trusted: the store has checked their hashes.

        Raises:
            BadModel: a file is missing, damaged, or written by another version.
        """
        if not {POLICY, ABOUT, LOG} <= set(files):
            raise BadModel(f"a policy needs {POLICY}, {ABOUT} and {LOG}, found {sorted(files)}")
        try:
            about = About.model_validate(json.loads(files[ABOUT]))
        except (ValueError, ValidationError) as error:
            raise BadModel(f"{ABOUT} was written by another version: {error}") from error
        return cls(about, make_session(files[POLICY]))

    def decide(self, seen: NDArray[np.float32], held: Floats) -> Floats:
        """Target positions (rows,), from what is seen (rows, features + account) and the targets held until now."""
        if self.about.abstains:
            return np.zeros(len(seen))
        (said,) = self._session.run(None, {"seen": seen})
        rules = self.about.environment
        if rules.actions == "discrete":
            return np.asarray(self._targets[said.argmax(axis=1)])
        wanted = np.clip(said[:, 0].astype(np.float64), -1, 1) * rules.max_position
        keeps = np.abs(wanted - held) < rules.dead_band * rules.max_position
        return np.asarray(np.where(keeps, held, wanted))


def live_through(
    policy: Policy, market: TradingMarket, trading: TradingTerms, reward: Reward
) -> tuple[Floats, Floats, Floats, NDArray[np.float32]]:
    """Targets by row of the market (0 where it cannot act), the account by row (`TOLD`), rewards, and what was seen.

    One life a run of bars, flat at its beginning; the market's features are as they come, not standardised.
    """
    count, width = market.features.shape
    targets, told, rewards = np.zeros(count), np.zeros((count, len(TOLD))), np.zeros(count)
    seen = np.zeros((count, width + len(SEEN)), dtype=np.float32)
    episode, look = make_episodes(1, trading.delay), np.zeros((1, width + len(SEEN)), dtype=np.float32)
    held, worth, account = np.zeros(1), np.zeros(1), np.zeros((1, len(TOLD)))
    for first, last in market.runs:
        begin(episode, 0, first, market.bars[3, first], 1.0)
        held[:] = 0.0
        for row in range(first, last + 1):
            observe(episode, market.bars, market.features, look)
            held = policy.decide(look, held)
            targets[row], seen[row] = held[0], look[0]
            if row == last:
                break
            advance(episode, held, market.bars, market.last, trading.terms, trading.book, reward, worth, account)
            told[row + 1], rewards[row + 1] = account[0], worth[0]
            if account[0, TOLD.index("equity")] <= 0.0:
                break
    return targets, told, rewards, seen
