"""Meta-World's own scripted policies, one for each of the fifty tasks, with noise.

Source   metaworld 3.1.1, policies/: rules that read the observation, and the goal in it, and nothing else
Noise    on every number of an action, after it was clipped to [-1, 1]. Without it a policy's states lie on few lines,
         and who learns from them does not find back: a small network cloned from 200 demonstrations of reach succeeded
         in 31 of 50 episodes without noise, 49 with 0.1 and 47 with 0.2; of push and door-open in 50 each time. Much
         more costs success: assembly's policy had 30 of 30 at 0 and 0.1, 28 at 0.2, 20 at 0.3
"""

import warnings
from typing import Any

import numpy as np

from trajectories.rows import EnvironmentRow

VERSION = 1
NOISE = 0.1  # standard deviation, of every number of an action


class ScriptExpert:
    """Acts by one of the package's policies; see `sources.experts.interface.Expert`."""

    def __init__(self, policy: Any) -> None:
        self._policy = policy
        self._generator = np.random.default_rng()

    def begin(self, environment: Any, observation: np.ndarray, generator: np.random.Generator) -> None:
        self._generator = generator  # the policies themselves remember nothing

    def act(self, environment: Any, observation: np.ndarray) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that actions will be clipped
            action = self._policy.get_action(observation.astype(np.float64))  # a copy: some policies write into it
        return np.clip(action, -1, 1) + NOISE * self._generator.standard_normal(4)


def has_expert(row: EnvironmentRow) -> bool:
    return row.family == "metaworld"


def expert(row: EnvironmentRow) -> ScriptExpert:
    from metaworld.policies import ENV_POLICY_MAP

    policies: dict[str, Any] = ENV_POLICY_MAP
    return ScriptExpert(policies[row.gym_id]())
