"""A trained policy as an ONNX file with its normalisation inside, and what it holds over a market. No torch."""

import json
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from tradewind.adaptive.rl.episodes import (
    EQUITY,
    PENDING,
    TARGET,
    TOLD,
    TOLD_AT,
    WORTH,
    Reward,
    begin,
    make_memory,
    packed,
)
from tradewind.adaptive.rl.market import TradingMarket, TradingTerms
from tradewind.adaptive.rl.rules import SEEN, EnvironmentRules, RewardRules
from tradewind.adaptive.rl.stepping import look_all, step_all
from tradewind.errors import BadModel
from tradewind.learning.models.base import Files
from tradewind.learning.models.sequence.exported import make_session
from tradewind.learning.models.sequence.windows import Standardiser

POLICY, ABOUT, LOG = "policy.onnx", "policy.json", "training.json"
LOG_COLUMNS = ["part", "steps", "valid_growth", "valid_turnover", "entropy", "entropy_floor", "kl", "value_loss"]
LARGEST = 128.0  # position; the rules allow 125
Floats = NDArray[np.float64]
Memory = tuple[NDArray[np.float32], ...]


class About(BaseModel):
    """What stands beside the network in `policy.json`. One that abstains stays flat, whatever the network says: no part
    of its training gained anything on the validation bars. `recurrent_units` is the size of what a policy with a
    memory carries from bar to bar, twice (state and cell); 0 where it has none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    algorithm: str
    seed: int
    standardiser: Standardiser
    environment: EnvironmentRules
    abstains: bool
    recurrent_units: int


class Policy:
    """What to hold, from what is seen: features as they are, then the account (`rules.SEEN`)."""

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

    def begin(self, count: int) -> Memory:
        """What `count` episodes remember at their beginning: nothing, in the policy's own shape."""
        units = self.about.recurrent_units
        return tuple(np.zeros((1, count, units), dtype=np.float32) for _ in range(2 if units else 0))

    def decide(self, seen: NDArray[np.float32], held: Floats, memory: Memory = ()) -> tuple[Floats, Memory]:
        """Target positions (rows,), and the memory for the next bar.

        From what is seen (rows, features + account), the targets held until now, and what was remembered.
        """
        if self.about.abstains:
            return np.zeros(len(seen)), memory
        said, *after = self._session.run(None, {"seen": seen, **dict(zip(("state", "cell"), memory, strict=False))})
        rules = self.about.environment
        if rules.actions == "discrete":
            return np.asarray(self._targets[said.argmax(axis=1)]), tuple(after)
        wanted = np.clip(said[:, 0].astype(np.float64), -1, 1) * rules.max_position
        keeps = np.abs(wanted - held) < rules.dead_band * rules.max_position
        return np.asarray(np.where(keeps, held, wanted)), tuple(after)


class Life(NamedTuple):
    """What a policy lived through, by row of the market: targets (0 where it cannot act), the account (`TOLD`),
    rewards, and what was seen."""

    targets: Floats
    told: Floats
    rewards: Floats
    seen: NDArray[np.float32]


def live_through(
    policy: Policy, market: TradingMarket, trading: TradingTerms, reward: RewardRules | None = None,
    multiples: tuple[float, ...] = (1.0,),
) -> list[Life]:  # fmt: skip
    """One `Life` for each multiple of the costs; all runs of bars side by side, each flat at its beginning.

    The market's features are as they come, not standardised.
    """
    # Targets go in as actions: a power of two keeps their bits.
    free = {"actions": "continuous", "max_position": LARGEST, "dead_band": 0.0}
    rules = policy.about.environment.model_copy(update=free)
    numbers = packed(trading.terms, trading.book, Reward.made(reward or RewardRules(), 0.0), rules)
    runs, features = market.runs, market.features
    count, lives = len(runs), len(runs) * len(multiples)
    memory = make_memory(lives, trading.delay)
    for at in range(lives):
        first, last = runs[at % count]
        begin(memory, at, first, last, market.bars[3, first], multiples[at // count], trading.delay)
    seen = np.zeros((lives, features.shape[1] + len(SEEN)), dtype=np.float32)
    look_all(memory, np.arange(lives), market.tape, numbers, seen)
    out = [
        Life(np.zeros(len(features)), np.zeros((len(features), len(TOLD))), np.zeros(len(features)),
             np.zeros((len(features), seen.shape[1]), dtype=np.float32))
        for _ in multiples
    ]  # fmt: skip
    thought = policy.begin(lives)
    for bar in range(int((runs[:, 1] - runs[:, 0]).max()) + 1):
        targets, thought = policy.decide(seen, memory[:, TARGET], thought)
        here = np.flatnonzero(runs[:, 0] + bar <= runs[:, 1])
        rows = runs[here, 0] + bar
        for which, life in enumerate(out):
            mine = here + which * count
            alive = memory[mine, EQUITY] > 0.0
            life.targets[rows] = np.where(alive, targets[mine], 0.0)
            life.seen[rows] = seen[mine]
        moves = here[runs[here, 0] + bar < runs[here, 1]]
        before = [memory[moves + which * count, EQUITY] > 0.0 for which in range(len(out))]
        step_all(memory, targets / LARGEST, market.tape, numbers, seen)
        for which, life in enumerate(out):
            mine, rows = moves + which * count, runs[moves, 0] + bar + 1
            life.told[rows] = np.where(before[which][:, None], memory[mine, TOLD_AT:PENDING], 0.0)
            life.rewards[rows] = np.where(before[which], memory[mine, WORTH], 0.0)
    return out
