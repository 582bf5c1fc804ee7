"""The only place that cuts and pads windows: from a data set to learn, and from a History to act.

It is also the only place that stacks frames. Columns hold each frame once; an observation of a window is the last S of
them, oldest first, and those before the episode began are blank (zero), as Dopamine's buffer has them.

Columns may lie on a GPU (`to_device`): the processor draws the same rows, and the GPU gathers them.

Shapes   B windows, T steps of a window, S frames of an observation (Spec.frame_stack), E episodes
"""

from dataclasses import dataclass, fields
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from trajectories.batch import Batch
from trajectories.store import drop_pages
from trajectories.types import Spec, Trajectories


@runtime_checkable
class Columns(Protocol):
    """What a window is cut from: rows of steps, an episode's rows being consecutive."""

    @property
    def spec(self) -> Spec: ...
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
    stack = columns.spec.frame_stack
    rows, padding = _rows(first, last, length)
    passed = np.where(padding, 0, rows - first[:, None])
    if isinstance(columns, DeviceTrajectories):
        return _cut_there(columns, first, last, np.stack([rows, padding, passed]))
    if stack == 1:
        observations = _gather(columns.observations, rows, padding)
    else:
        observations = stacked(_gather(columns.observations, *_rows(first, last, length + stack - 1)), stack)
    return Batch(
        observations=observations,
        actions=_gather(columns.actions, rows, padding),
        rewards=_gather(columns.rewards, rows, padding),
        returns_to_go=_gather(columns.returns_to_go, rows, padding),
        timesteps=torch.from_numpy(passed),
        mask=torch.from_numpy(~padding),
        task=columns.spec.name,
    )


def _cut_there(columns: "DeviceTrajectories", first: np.ndarray, last: np.ndarray, places: np.ndarray) -> Batch:
    """`cut` on a GPU, to which rows, padding and timesteps, (3, B, T), are copied at once: each copy takes its time."""
    stack, where = columns.spec.frame_stack, columns.rewards.device
    rows, padding, timesteps = torch.from_numpy(places).to(where, non_blocking=True)
    mask = padding == 0
    if stack == 1:
        observations = _gather_there(columns.observations, rows, mask)
    else:
        around = np.stack(_rows(first, last, places.shape[2] + stack - 1))
        frames, blank = torch.from_numpy(around).to(where, non_blocking=True)
        observations = stacked(_gather_there(columns.observations, frames, blank == 0), stack)
    return Batch(
        observations=observations,
        actions=_gather_there(columns.actions, rows, mask),
        rewards=_gather_there(columns.rewards, rows, mask),
        returns_to_go=_gather_there(columns.returns_to_go, rows, mask),
        timesteps=timesteps,
        mask=mask,
        task=columns.spec.name,
    )


def _rows(first: np.ndarray, last: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The `length` rows up to each of `last`, and which are padding, both (B, length)."""
    rows = last[:, None] + np.arange(1 - length, 1)
    padding = rows < first[:, None]
    return np.where(padding, last[:, None], rows), padding  # any row of the data: its values are set to zero


def _gather(column: np.ndarray, rows: np.ndarray, padding: np.ndarray) -> torch.Tensor:
    # take copies rows about ten times as fast as an index does, but would first copy a whole strided column
    values = column.take(rows, axis=0) if column.flags.c_contiguous else column[rows]
    values[padding] = 0
    return torch.from_numpy(values)


def _gather_there(column: torch.Tensor, rows: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return column[rows] * mask.view(*mask.shape, *[1] * (column.ndim - 1))  # bool leaves every type as it is


def stacked(frames: torch.Tensor, stack: int) -> torch.Tensor:
    """T + S - 1 consecutive frames as T observations, (B, T, S, *frame); a view, so that no frame is copied."""
    return frames.unfold(1, stack, 1).movedim(-1, 2)


def unstacked(observations: torch.Tensor) -> torch.Tensor:
    """The opposite of `stacked`: (B, T, S, *frame) to the (B, T + S - 1, *frame) frames, each of them once."""
    return torch.cat([observations[:, :, 0], observations[:, -1, 1:]], dim=1)


def sample_windows(data: Trajectories, rng: np.random.Generator, size: int, length: int) -> Batch:
    """Windows that end at steps drawn uniformly, hence at trajectories in proportion to their length.

    kzl draws the window's first step instead (gym/experiment.py:115-134 at e2d82e6), so its short windows lie at the
    end of episodes. Ours lie at the start, where acting meets them.
    """
    last = rng.integers(len(data), size=size)
    first = data.starts[data.episode_of(last)]
    batch = cut(data, first, last, length)
    drop_pages(data.observations, data.actions, data.rewards, data.returns_to_go)
    return batch


@dataclass(frozen=True, eq=False, repr=False)
class DeviceTrajectories(Trajectories):
    """Trajectories whose columns are tensors on a GPU, where windows are gathered: no batch crosses the bus."""

    observations: Any  # (N, *obs) tensor, as the next three
    actions: Any
    rewards: Any
    returns_to_go: Any
    host: Trajectories  # the same in the computer's memory

    @property
    def returns(self) -> np.ndarray:
        return self.host.returns


def to_device(data: Trajectories, device: torch.device) -> DeviceTrajectories:
    """The columns that windows are cut from, on a device."""
    columns = {field.name: getattr(data, field.name) for field in fields(Trajectories)}
    for name in ("observations", "actions", "rewards", "returns_to_go"):
        columns[name] = torch.from_numpy(np.ascontiguousarray(columns[name])).to(device)
    return DeviceTrajectories(**columns, host=data)


class History:
    """Episodes being played, kept as the columns that a recording of them would have.

    Row `first[e] + t` is step t of episode e, so that `cut` serves both. A step's action and reward are zero until
    they are known; its return-to-go is the target less the rewards so far. Of an observation's stacked frames only the
    newest is kept.

    Args:
        longest: steps of the longest window that will be cut; the columns then hold at most about twice as many
            steps of each episode, however long it lasts. None: windows of any length, and room for whole episodes.
    """

    def __init__(self, spec: Spec, episodes: int, target_return: float, longest: int | None = None) -> None:
        self.spec = spec
        self.longest = spec.max_episode_steps if longest is None else longest
        self._kept = max(self.longest + spec.frame_stack - 2, 1)  # steps before now that a window can show
        # rows of an episode; twice, so that they seldom move
        self.room = min(spec.max_episode_steps, 2 * self._kept + 1)
        rows = episodes * self.room
        self.observations = np.zeros((rows, *spec.frame_shape), spec.observation_dtype)
        self.actions = np.zeros((rows, *spec.action_shape), spec.action_dtype)
        self.rewards = np.zeros(rows, np.float32)
        self.returns_to_go = np.zeros(rows, np.float32)
        self.first = np.arange(episodes) * self.room  # (E,): where step 0 is, or would be were it still kept
        self.steps = 0  # steps begun; the same in every episode that is still alive
        self._forgotten = 0  # steps, from the beginning
        # what is left of the target, in full precision
        self._returns_to_go = np.full(episodes, target_return, np.float64)

    def observe(self, observations: np.ndarray, rewards: np.ndarray, live: np.ndarray) -> None:
        """Begin a step: what the live episodes show now, and what their last action earned."""
        if self.steps - self._forgotten == self.room:
            self._shift()
        now = self.first + self.steps
        if self.steps > 0:
            self.rewards[now[live] - 1] = rewards[live]
            self._returns_to_go[live] -= rewards[live]
        self.observations[now[live]] = observations[live] if self.spec.frame_stack == 1 else observations[live, -1]
        self.returns_to_go[now[live]] = self._returns_to_go[live]
        self.steps += 1

    def record(self, actions: np.ndarray, live: np.ndarray) -> None:
        """The actions chosen for the step begun by `observe`, (number of live episodes, *act)."""
        self.actions[self.first[live] + self.steps - 1] = actions

    def window(self, length: int, live: np.ndarray) -> Batch:
        """The last `length` steps of each live episode.

        Raises:
            ValueError: the history keeps fewer.
        """
        if length > self.longest:
            raise ValueError(f"a window of {length} steps from a history that keeps {self.longest}")
        first = self.first[live]
        return cut(self, first, first + self.steps - 1, length)

    def _shift(self) -> None:
        """Move the steps that a window can still show to where the oldest ones were."""
        for column in (self.observations, self.actions, self.rewards, self.returns_to_go):
            rows = column.reshape(len(self.first), self.room, *column.shape[1:])  # (E, room, ...), a view
            rows[:, : self._kept] = rows[:, -self._kept :]
            rows[:, self._kept :] = 0
        self.first -= self.room - self._kept
        self._forgotten += self.room - self._kept
