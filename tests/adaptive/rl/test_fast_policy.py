"""The lean policy says what the library's own says."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy

from tradewind.adaptive.rl.fast_policy import FastPolicy

ACCOUNT_FEATURES = spaces.Box(-np.inf, np.inf, (6,), np.float32)
ACTS = {"discrete": spaces.Discrete(3), "continuous": spaces.Box(-1.0, 1.0, (2,), np.float32)}


@pytest.mark.parametrize(
    "acts", [spaces.Discrete(3), spaces.Box(-1.0, 1.0, (2,), np.float32)], ids=["discrete", "continuous"]
)
def test_values_likelihoods_entropies_and_draws_are_the_librarys(acts: spaces.Space) -> None:
    torch.manual_seed(1)
    usual = ActorCriticPolicy(ACCOUNT_FEATURES, acts, lambda _: 1e-3, net_arch=[8, 8])
    lean = FastPolicy(ACCOUNT_FEATURES, acts, lambda _: 1e-3, net_arch=[8, 8])
    lean.load_state_dict(usual.state_dict())
    if hasattr(usual, "log_std"):
        for policy in (usual, lean):
            policy.log_std.data += torch.tensor([0.3, -0.5])
    seen = torch.randn(200, 6)
    for deterministic in (True, False):
        torch.manual_seed(2)
        theirs = usual(seen, deterministic)
        torch.manual_seed(2)
        for one, two in zip(theirs, lean(seen, deterministic), strict=True):
            torch.testing.assert_close(two, one)
    actions = usual(seen)[0]
    for one, two in zip(usual.evaluate_actions(seen, actions), lean.evaluate_actions(seen, actions), strict=True):
        torch.testing.assert_close(two, one)
    torch.testing.assert_close(lean.predict_values(seen), usual.predict_values(seen))
    # The planted fault: another deviation or other logits would be seen.
    with torch.no_grad():
        lean.action_net.bias += torch.arange(len(lean.action_net.bias))
    with pytest.raises(AssertionError):
        torch.testing.assert_close(lean.evaluate_actions(seen, actions)[1], usual.evaluate_actions(seen, actions)[1])
