"""The only place that cuts and pads windows: from a data set for learning, and from a History for acting."""

from typing import Protocol, runtime_checkable

import numpy as np
import torch

from trajectories.store import release
from trajectories.types import Batch, Spec, Trajectories


@runtime_checkable
class Columns(Protocol):
    """What a window is cut from: rows of steps, an episode's rows being consecutive."""

    @property
    def observations(self) -> np.ndarray: ...
    @property
    def actions(self) -> np.ndarray: ...
    @property
    def rewards(self) -> np.ndarray: ...
    @property
    def returns_to_go(self) -> np.ndarray: ...


def cut(columns: Columns, first: np.ndarray, last: np.ndarray, length: int) -> Batch:
    """Windows of `length` steps that end at rows `last`, in episodes that begin at rows `first`, both (B,)."""
    rows = last[:, None] + np.arange(1 - length, 1)  # (B, T)
    mask = rows >= first[:, None]
    rows = np.where(mask, rows, last[:, None])  # any real row will do: what it brings is blanked below
    padding = ~mask

    def gather(column: np.ndarray) -> torch.Tensor:
        # take copies rows some ten times as fast as an index does, but would first copy all of a strided column
        values = column.take(rows, axis=0) if column.flags.c_contiguous else column[rows]
        values[padding] = 0
        return torch.from_numpy(values)

    return Batch(
        observations=gather(columns.observations),
        actions=gather(columns.actions),
        rewards=gather(columns.rewards),
        returns_to_go=gather(columns.returns_to_go),
        timesteps=torch.from_numpy(np.where(mask, rows - first[:, None], 0)),
        mask=torch.from_numpy(mask),
    )


def sample_windows(data: Trajectories, rng: np.random.Generator, size: int, length: int) -> Batch:
    """Windows that end at steps drawn uniformly, hence at trajectories in proportion to their length.

    kzl draws the window's first step instead (gym/experiment.py:115-134 at e2d82e6), so its short windows lie at the
    end of episodes. Ours lie at the start, where acting meets them.
    """
    last = rng.integers(len(data), size=size)
    first = data.starts[data.episode_of(last)]
    batch = cut(data, first, last, length)
    release(data.observations, data.actions, data.rewards, data.returns_to_go)
    return batch


class History:
    """Episodes being played, kept as the columns that a recording of them would have.

    Row `e * horizon + t` is step t of episode e, so that `cut` serves both. A step's action and reward are zero until
    they are known; its return-to-go is the target less the rewards so far.
    """

    def __init__(self, spec: Spec, episodes: int, target_return: float) -> None:
        rows = episodes * spec.horizon
        self.horizon = spec.horizon
        self.observations = np.zeros((rows, *spec.observation_shape), spec.observation_dtype)
        self.actions = np.zeros((rows, *spec.action_shape), spec.action_dtype)
        self.rewards = np.zeros(rows, np.float32)
        self.returns_to_go = np.zeros(rows, np.float32)
        self.first = np.arange(episodes) * spec.horizon  # (E,)
        self.steps = 0  # steps begun; the same in every episode that is still alive
        self._owed = np.full(episodes, target_return, np.float64)  # what is left of the target, in full precision

    def observe(self, observations: np.ndarray, rewards: np.ndarray, live: np.ndarray) -> None:
        """Begin a step: what the live episodes show now, and what their last action earned."""
        now = self.first + self.steps
        if self.steps > 0:
            self.rewards[now[live] - 1] = rewards[live]
            self._owed[live] -= rewards[live]
        self.observations[now[live]] = observations[live]
        self.returns_to_go[now[live]] = self._owed[live]
        self.steps += 1

    def record(self, actions: np.ndarray, live: np.ndarray) -> None:
        """The actions chosen for the step begun by `observe`, (number of live episodes, *act)."""
        self.actions[self.first[live] + self.steps - 1] = actions

    def window(self, length: int, live: np.ndarray) -> Batch:
        """The last `length` steps of each live episode."""
        first = self.first[live]
        return cut(self, first, first + self.steps - 1, length)
