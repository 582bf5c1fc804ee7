"""Environments of this project as Stable-Baselines3 trains in them: many copies, begun again as soon as they end."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from environments.interface import Environments


class VectorizedEnvironments(VecEnv):
    """`Environments` of float observations and of actions in [-1, 1]; see Stable-Baselines3's `VecEnv`.

    Each copy's episodes are seeded from the run's seed, the copy's number and the episode's.
    """

    def __init__(self, environments: Environments, seed: int) -> None:
        spec = environments.spec
        observations = gymnasium.spaces.Box(-np.inf, np.inf, spec.observation_shape, np.float32)
        super().__init__(environments.count, observations, gymnasium.spaces.Box(-1, 1, spec.action_shape, np.float32))
        self._environments = environments
        self._seed = seed
        self._episodes = np.zeros(environments.count, np.int64)
        self._actions = np.zeros((environments.count, *spec.action_shape), np.float32)

    def reset(self) -> np.ndarray:
        return self._begin(np.ones(self.num_envs, bool))

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        step = self._environments.step(self._actions, np.ones(self.num_envs, bool))
        done = step.terminated | step.truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for copy in np.flatnonzero(done).tolist():
            last = step.observations[copy].copy()
            infos[copy] = {"terminal_observation": last, "TimeLimit.truncated": bool(step.truncated[copy])}
        observations = self._begin(done) if done.any() else step.observations
        return observations, step.rewards.astype(np.float32), done, infos

    def close(self) -> None:
        self._environments.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [None for _ in self._get_indices(indices)]  # of gymnasium's attributes, as render_mode, there are none

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise NotImplementedError

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False for _ in self._get_indices(indices)]

    def _begin(self, only: np.ndarray) -> np.ndarray:
        entropy = [(self._seed, copy, int(episode)) for copy, episode in enumerate(self._episodes)]
        seeds: Sequence[int] = [int(np.random.SeedSequence(each).generate_state(1)[0]) for each in entropy]
        self._episodes += only
        return self._environments.reset(seeds, only)
