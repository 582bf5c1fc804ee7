"""What planners and controllers of dm_control's tasks share: they look inside, and their actions are noisy."""

from typing import Any

import numpy as np

NOISE = 0.3  # highest standard deviation of the normal noise on actions; each episode draws its own, evenly from 0


class Scripted:
    """An expert whose action follows from the simulator's state; see `sources.experts.interface.Expert`."""

    def begin(self, environment: Any, observation: np.ndarray, generator: np.random.Generator) -> None:
        self._generator, self._noise = generator, generator.uniform(0, NOISE)

    def act(self, environment: Any, observation: np.ndarray) -> np.ndarray:
        action = self.chosen(environment.physics)
        return np.clip(action + self._noise * self._generator.standard_normal(action.shape), -1, 1)

    def chosen(self, physics: Any) -> np.ndarray:
        """The action without noise."""
        raise NotImplementedError
