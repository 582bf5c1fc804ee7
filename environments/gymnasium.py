"""Any environment of gymnasium's, as it ships it: for the user's own data and Minari's.

Source   https://gymnasium.farama.org; gymnasium-robotics and minigrid register theirs there
Differs  observations of several parts are one row, of numbers or bytes (trajectories/spaces.py); actions are [-1, 1]
         here, and stretched to the environment's own bounds; where these are infinite they are the environment's own

Each copy is an environment of its own, stepped one after the other: what takes time is inside.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from environments.interface import Step
from trajectories.actions import stretched
from trajectories.errors import UserError
from trajectories.foreign import STEPS, make
from trajectories.rows import EnvironmentRow
from trajectories.spaces import layout


class GymnasiumEnvironments:
    """E environments of gymnasium's, as `environments.interface.Environments`.

    Families may change the observations; those that know success say so, and read it from a step.
    """

    knows_success: ClassVar[bool] = False

    def __init__(
        self, row: EnvironmentRow, count: int, render_mode: str | None = None, options: dict[str, Any] | None = None
    ) -> None:
        self.spec = row.spec()
        self.count = count
        self._row = row
        chosen = row.options if options is None else options
        self._options = {key: value for key, value in chosen.items() if key != STEPS}
        self._copies = [self._make(render_mode) for _ in range(count)]
        self._layout = layout(self._copies[0].observation_space)
        self._observations = np.zeros((count, *self.spec.observation_shape), self.spec.observation_dtype)
        self._success = np.zeros(count, bool)

    @property
    def step_seconds(self) -> float | None:
        """How long one step lasts: the environment's `dt`, or how long it shows a step; None where it has neither."""
        inside = self._copies[0].unwrapped
        if seconds := getattr(inside, "dt", None):
            return float(seconds)
        frames = (inside.metadata or {}).get("render_fps")
        return 1 / frames if frames else None

    def reset(self, seeds: Sequence[int], only: np.ndarray | None = None) -> np.ndarray:
        """Begin an episode in each copy (or where `only`), as gymnasium does from the same seed; (E, *obs)."""
        for copy in range(self.count) if only is None else np.flatnonzero(only).tolist():
            observation, _ = self._copies[copy].reset(seed=int(seeds[copy]))
            self._observations[copy] = self._observation(copy, observation)
            self._success[copy] = False
        return self._observations.copy()

    def step(self, actions: np.ndarray, live: np.ndarray) -> Step:
        """Step the live copies with (E, A) actions, clipped to their bounds, or (E,) discrete ones.

        Raises:
            UserError: a live copy's action is not a number, or not one of the discrete ones.
        """
        self._check(actions, live)
        rewards, terminated = np.zeros(self.count), np.zeros(self.count, bool)
        truncated = np.zeros(self.count, bool)
        for copy in np.flatnonzero(live).tolist():
            observation, reward, ended, cut, info = self._copies[copy].step(self._action(actions[copy]))
            self._observations[copy] = self._observation(copy, observation)
            rewards[copy], terminated[copy] = float(reward), bool(ended)
            truncated[copy] = not ended and bool(cut)
            self._success[copy] |= self._succeeded(info, rewards[copy])
        success = self._success.copy() if self.knows_success else None
        return Step(self._observations.copy(), rewards, terminated, truncated, success)

    def inside(self, index: int) -> Any:
        """The package's own environment of one copy, for experts that look inside."""
        return self._copies[index].unwrapped

    def infos(self) -> dict[str, np.ndarray]:
        """Empty: the simulator's state is not known."""
        return {}

    def render(self, index: int) -> np.ndarray:
        """What one copy draws, (H, W, 3) uint8.

        Raises:
            UserError: it cannot draw.
        """
        try:
            return np.asarray(self._copies[index].render(), np.uint8)
        except Exception as error:  # whatever a missing screen or library makes it raise
            raise UserError(
                f"{self.spec.name} cannot draw itself here ({error}): install libegl1 and libgl1."
            ) from error

    def close(self) -> None:
        for copy in self._copies:
            copy.close()

    def _make(self, render_mode: str | None) -> Any:
        """One of them; made without `render_mode` where nothing is drawn, which not every environment knows of."""
        steps = self._row.max_episode_steps
        copy = make(self._row.gym_id, self._options, max_episode_steps=steps)
        if render_mode is None:
            return copy
        modes = (copy.metadata or {}).get("render_modes", [])
        copy.close()
        if render_mode not in modes:
            raise UserError(f"{self.spec.name} cannot draw itself (its render_modes are {modes}): leave the video out.")
        return make(self._row.gym_id, self._options, max_episode_steps=steps, render_mode=render_mode)

    def _observation(self, copy: int, observation: Any) -> np.ndarray:
        """One observation, (*obs), from what the environment gave.

        Raises:
            UserError: it holds a number that the environment's space does not.
        """
        try:
            return self._layout.rows(_one(observation))[0]
        except ValueError as error:
            raise UserError(f"{self.spec.name} shows what its observation space cannot hold: {error}.") from error

    def _succeeded(self, info: dict[str, Any], reward: float) -> bool:
        """Whether the step that gave this solved the task."""
        return False

    def _action(self, action: np.ndarray) -> Any:
        space = self._copies[0].action_space
        if self.spec.discrete:
            return int(action)
        low, high = self._row.action_bounds
        if self._row.unbounded:
            action = np.clip(action.reshape(-1), low, high)
        elif self._row.action_low:
            action = stretched(action, low, high)
        else:
            action = np.clip(action, -1, 1)
        return np.asarray(action, space.dtype).reshape(space.shape)

    def _check(self, actions: np.ndarray, live: np.ndarray) -> None:
        if actions.shape != (self.count, *self.spec.action_shape):
            raise ValueError(f"actions are {actions.shape}, not {(self.count, *self.spec.action_shape)}")
        if self.spec.actions is None:
            if np.isnan(actions[live]).any():
                raise UserError(f"{self.spec.name} was given an action that is not a number: the policy has diverged.")
        elif live.any() and not set(actions[live].tolist()) <= set(range(self.spec.actions)):
            raise UserError(
                f"{self.spec.name} has actions 0 to {self.spec.actions - 1}, and was given {actions[live].max()}: "
                f"choose a data set of this environment."
            )


def _one(observation: Any) -> Any:
    """An observation as one of a batch of one."""
    if isinstance(observation, dict):
        return {key: _one(value) for key, value in observation.items()}
    if isinstance(observation, tuple):
        return tuple(_one(value) for value in observation)
    return [observation] if isinstance(observation, str) else np.asarray(observation)[None]


def create(row: EnvironmentRow, count: int, physics: str, render_mode: str | None) -> GymnasiumEnvironments:
    return GymnasiumEnvironments(row, count, render_mode)
