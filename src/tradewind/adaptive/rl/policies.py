"""A trained policy as an ONNX file with its normalisation inside, and what it holds over a market. No torch."""

import json
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from tradewind.adaptive.rl.episodes import (
    EQUITY,
    PENDING,
    REWARD,
    STEP_AT,
    STEP_FIELDS,
    TARGET,
    Reward,
    begin,
    make_states,
    pack_parameters,
)
from tradewind.adaptive.rl.market import TradingMarket, TradingTerms
from tradewind.adaptive.rl.rules import ACCOUNT_FEATURES, EnvironmentRules, RewardRules
from tradewind.adaptive.rl.stepping import observe_all, step_all
from tradewind.errors import BadModel
from tradewind.learning.models.base import Files
from tradewind.learning.models.sequence.exported import make_session
from tradewind.learning.models.sequence.windows import Standardiser

POLICY, ABOUT, LOG = "policy.onnx", "policy.json", "training.json"
LOG_COLUMNS = ["part", "steps", "valid_growth", "valid_turnover", "entropy", "entropy_floor", "kl", "value_loss"]
LARGEST = 128.0  # position, a power of two; the rules allow 125
Floats = NDArray[np.float64]
HiddenState = tuple[NDArray[np.float32], ...]


class About(BaseModel):
    """What stands beside the network in `policy.json`. One that abstains stays flat, whatever the network says: no part
    of its training gained anything on the validation bars. `recurrent_units` is the size of a recurrent
    policy's state and cell; 0 where there is none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    algorithm: str
    seed: int
    standardiser: Standardiser
    environment: EnvironmentRules
    abstains: bool
    recurrent_units: int


class Policy:
    """Target positions from observations: features, not standardised, then the account (`rules.ACCOUNT_FEATURES`)."""

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

    def begin(self, count: int) -> HiddenState:
        """The hidden state of `count` episodes at their beginning: zeros; nothing where the policy is not recurrent."""
        units = self.about.recurrent_units
        return tuple(np.zeros((1, count, units), dtype=np.float32) for _ in range(2 if units else 0))

    def decide(
        self, observations: NDArray[np.float32], held: Floats, hidden: HiddenState = ()
    ) -> tuple[Floats, HiddenState]:
        """Target positions for the next bar, and the hidden state after this one.

        Args:
            observations: shape (rows, features + account), features not standardised.
            held: shape (rows,), the present targets as shares of equity.
            hidden: the hidden state of a recurrent policy, of `begin` or of the bar before.

        Returns:
            Targets of shape (rows,), NaN where the network says no number; and the hidden state.
        """
        if self.about.abstains:
            return np.zeros(len(observations)), hidden
        inputs = {"observation": observations, **dict(zip(("state", "cell"), hidden, strict=False))}
        outputs, *after = self._session.run(None, inputs)
        rules = self.about.environment
        if rules.actions == "discrete":
            # The largest of some numbers and a NaN would be the NaN: a position that nobody chose.
            is_finite = np.isfinite(outputs).all(axis=1)
            return np.where(is_finite, self._targets[outputs.argmax(axis=1)], np.nan), tuple(after)
        wanted = np.clip(outputs[:, 0].astype(np.float64), -1, 1) * rules.max_position
        keeps = np.abs(wanted - held) < rules.dead_band * rules.max_position
        return np.asarray(np.where(keeps, held, wanted)), tuple(after)


class Rollout(NamedTuple):
    """What a policy did over a market, a row for each of the market's rows.

    Attributes:
        targets: shape (rows,), shares of equity; 0 where the policy cannot act.
        steps: shape (rows, len(STEP_FIELDS)), the account over the bar.
        rewards: shape (rows,).
        observations: shape (rows, features + account), float32.
    """

    targets: Floats
    steps: Floats
    rewards: Floats
    observations: NDArray[np.float32]


def free_settings(
    environment: EnvironmentRules, trading: TradingTerms, reward: RewardRules | None = None
) -> Floats:  # fmt: skip
    """The settings of an account that is handed targets: as actions, divided by `LARGEST`, which keeps their bits.

    Args:
        environment: the rules of the agent's environment, for what it is shown.
        trading: costs and order rules.
        reward: the reward rules; None takes the defaults.
    """
    free = {"actions": "continuous", "max_position": LARGEST, "dead_band": 0.0}
    rules = environment.model_copy(update=free)
    return pack_parameters(trading.terms, trading.book, Reward.from_rules(reward or RewardRules(), 0.0), rules)


def run_policy(
    policy: Policy, market: TradingMarket, trading: TradingTerms, reward: RewardRules | None = None,
    multiples: tuple[float, ...] = (1.0,),
) -> list[Rollout]:  # fmt: skip
    """One `Rollout` for each multiple of the costs; all runs of bars side by side, each flat at its beginning.

    Args:
        policy: the policy that decides at each close.
        market: bars and features, not standardised.
        trading: costs, order rules and delay.
        reward: the reward rules; None takes the defaults.
        multiples: of the costs, one rollout each.

    Raises:
        BadModel: the policy says no number.
    """
    settings = free_settings(policy.about.environment, trading, reward)
    runs, features = market.runs, market.features
    count, n_episodes = len(runs), len(runs) * len(multiples)
    states = make_states(n_episodes, trading.delay)
    for at in range(n_episodes):
        first, last = runs[at % count]
        begin(states, at, first, last, market.bars[3, first], multiples[at // count], trading.delay)
    observations = np.zeros((n_episodes, features.shape[1] + len(ACCOUNT_FEATURES)), dtype=np.float32)
    observe_all(states, np.arange(n_episodes), market.market_rows, settings, observations)
    out = [
        Rollout(np.zeros(len(features)), np.zeros((len(features), len(STEP_FIELDS))), np.zeros(len(features)),
             np.zeros((len(features), observations.shape[1]), dtype=np.float32))
        for _ in multiples
    ]  # fmt: skip
    hidden = policy.begin(n_episodes)
    for bar in range(int((runs[:, 1] - runs[:, 0]).max()) + 1):
        targets, hidden = policy.decide(observations, states[:, TARGET], hidden)
        if not np.isfinite(targets).all():
            raise BadModel(f"the policy of seed {policy.about.seed} says no number on bar {bar}: train it anew")
        still_running = np.flatnonzero(runs[:, 0] + bar <= runs[:, 1])
        rows = runs[still_running, 0] + bar
        for which, rollout in enumerate(out):
            chosen = still_running + which * count
            alive = states[chosen, EQUITY] > 0.0
            rollout.targets[rows] = np.where(alive, targets[chosen], 0.0)
            rollout.observations[rows] = observations[chosen]
        moves = still_running[runs[still_running, 0] + bar < runs[still_running, 1]]
        before = [states[moves + which * count, EQUITY] > 0.0 for which in range(len(out))]
        step_all(states, targets / LARGEST, market.market_rows, settings, observations)
        for which, rollout in enumerate(out):
            chosen, rows = moves + which * count, runs[moves, 0] + bar + 1
            rollout.steps[rows] = np.where(before[which][:, None], states[chosen, STEP_AT:PENDING], 0.0)
            rollout.rewards[rows] = np.where(before[which], states[chosen, REWARD], 0.0)
    return out
