"""Procgen: sixteen games, each of endless levels, so that what is played need not be among the data.

Source   Cobbe et al. 2020, arXiv:1912.01588, by procgen-mirror 0.10.7 (requirements-procgen.txt)
Levels   an episode's seed is its level's number, in the distribution mode of the row's options
Success  the package's `prev_level_complete`, at the episode's end
Ends     the package begins the next level by itself and shows that: after its last step an episode shows what it showed
         before. An end at the time limit is truncated, any other terminated
gym      is imported by the package for nothing but its list of environments, and is replaced while it is imported

Observation  the screen, (64, 64, 3) uint8
Action       left and right with down and up, and six keys of which a game uses one or two: 15
"""

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from environments.interface import Step
from trajectories.errors import UserError
from trajectories.rows import EnvironmentRow

GYM = ("gym", "gym.envs", "gym.envs.registration")
STEPS_A_SECOND = 15  # the package's own viewer


class ProcgenEnvironments:
    """E games, each of one copy; see `environments.interface.Environments`."""

    step_seconds = 1 / STEPS_A_SECOND

    def __init__(self, row: EnvironmentRow, count: int, render_mode: str | None = None) -> None:
        self.spec = row.spec()
        self.count = count
        self._game = row.gym_id.split("-")[1]
        self._options = {**row.options, "render_mode": render_mode}
        self._class = package()
        self._copies: list[Any] = [None] * count
        self._observations = np.zeros((count, *self.spec.observation_shape), np.uint8)
        self._success = np.zeros(count, bool)
        self._steps = np.zeros(count, np.int64)
        self._last: dict[int, np.ndarray] = {}  # what copies that are over showed last

    def reset(self, seeds: Sequence[int], only: np.ndarray | None = None) -> np.ndarray:
        """Begin an episode in each copy (or where `only`), at the level of that number; (E, *obs)."""
        for copy in range(self.count) if only is None else np.flatnonzero(only).tolist():
            level = int(seeds[copy]) % (1 << 31)
            self._copies[copy] = self._class(
                num=1,
                env_name=self._game,
                num_levels=1,
                start_level=level,
                rand_seed=level,
                num_threads=0,
                **self._options,
            )
            self._observations[copy] = self._copies[copy].observe()[1]["rgb"][0]
            self._success[copy], self._steps[copy] = False, 0
            self._last.pop(copy, None)
        return self._observations.copy()

    def step(self, actions: np.ndarray, live: np.ndarray) -> Step:
        """Step the live copies with (E,) actions.

        Raises:
            UserError: a live copy's action is none of the game's.
        """
        if actions.shape != (self.count,):
            raise ValueError(f"actions are {actions.shape}, not {(self.count,)}")
        if outside := set(actions[live].tolist()) - set(range(self.spec.actions or 0)):
            raise UserError(
                f"{self.spec.name} has actions 0 to 14, and was given {outside.pop()}: choose a data set of this game."
            )
        rewards, ended = np.zeros(self.count), np.zeros(self.count, bool)
        for copy in np.flatnonzero(live).tolist():
            game, picture = self._copies[copy], self.render(copy)
            game.act(actions[copy : copy + 1])
            reward, shown, first = game.observe()
            rewards[copy], ended[copy] = float(reward[0]), bool(first[0])
            self._steps[copy] += 1
            if ended[copy]:
                self._last[copy] = picture
                self._success[copy] = bool(game.get_info()[0]["prev_level_complete"])
            else:
                self._observations[copy] = shown["rgb"][0]
        truncated = ended & (self._steps >= self.spec.max_episode_steps) & ~self._success
        return Step(self._observations.copy(), rewards, ended & ~truncated, truncated, self._success.copy())

    def inside(self, index: int) -> Any:
        """The package's own environment of one copy."""
        return self._copies[index]

    def infos(self) -> dict[str, np.ndarray]:
        """Empty: the game's state is not known."""
        return {}

    def render(self, index: int) -> np.ndarray:
        """One copy, (512, 512, 3) uint8; as models see it where it was made without a render mode."""
        if index in self._last:
            return self._last[index]
        found: np.ndarray = self._copies[index].get_info()[0].get("rgb", self._observations[index])
        return found

    def close(self) -> None:
        for copy in self._copies:
            if copy is not None:
                copy.close()


def package() -> Any:
    """The package's class of games.

    Raises:
        UserError: it is not installed.
    """
    replaced = {name: ModuleType(name) for name in GYM if name not in sys.modules}
    for module in replaced.values():
        module.register = lambda **_: None  # type: ignore[attr-defined]
    sys.modules.update(replaced)
    try:
        from procgen.env import ProcgenGym3Env
    except ImportError as error:
        raise UserError(
            f"Procgen needs procgen-mirror, which is not here ({error}): pip install --no-deps -r "
            f"requirements-procgen.txt."
        ) from error
    finally:
        for name in replaced:
            del sys.modules[name]
    return ProcgenGym3Env


def create(row: EnvironmentRow, count: int, physics: str, render_mode: str | None) -> ProcgenEnvironments:
    return ProcgenEnvironments(row, count, render_mode)
