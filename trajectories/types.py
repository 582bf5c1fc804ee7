"""The nouns of recorded experience: Spec and Trajectories; Batch is in batch.py, since it needs torch.

Shapes   N steps, E episodes; obs and act are the environment's own shapes
Units    whatever the environment uses; nothing here normalizes, scales or clips
Frames   where an observation is the last S frames (Atari's are), a column holds each frame once, (N, *frame), and
         windows.py stacks them
"""

import math
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from trajectories.errors import DatasetError, UserError
from trajectories.parts import Part, row_size

ANSWERED = ("pairs", "text")  # kinds of tasks that have no environment: pairs.py, text.py
PAGE = 1000  # characters kept of a text in a file's metadata


@dataclass(frozen=True)
class Spec:
    """An environment as a model sees it.

    Raises:
        ValueError: parts that do not fill an observation's row of bytes.
    """

    name: str
    observation_shape: tuple[int, ...]
    action_shape: tuple[int, ...]  # () for discrete actions
    max_episode_steps: int  # steps after which an episode is cut off
    actions: int | None = None  # how many discrete actions; None: continuous, each in [-1, 1]
    observation_dtype: str = "float32"
    frame_stack: int = 1  # S: an observation is the last so many frames, oldest first, (S, *frame)
    action_low: tuple[float, ...] = ()  # the value of -1, where the data's range is used as bounds (actions.py), flat
    action_high: tuple[float, ...] = ()  # the value of 1
    clipped_rewards: bool = False  # the data's are the environment's own, clipped to [-1, 1]: DQN-replay's
    parts: tuple[Part, ...] = ()  # what an observation that is a row of bytes holds; empty: it is one array
    kind: str = ""  # one of ANSWERED where nothing is played

    def __post_init__(self) -> None:
        if self.parts and (self.observation_shape, self.observation_dtype) != ((row_size(self.parts),), "uint8"):
            raise ValueError(f"an observation of shape {self.observation_shape} does not hold the parts of {self.name}")

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """The shape of a row of the observations: an observation, or of a stack its newest frame."""
        return self.observation_shape if self.frame_stack == 1 else self.observation_shape[1:]

    @property
    def discrete(self) -> bool:
        return self.actions is not None

    @property
    def action_dtype(self) -> str:
        return "int64" if self.discrete else "float32"

    @property
    def observation_size(self) -> int:
        return int(np.prod(self.observation_shape))

    @property
    def action_size(self) -> int:
        """Numbers in one action; 1 for a discrete one."""
        return int(np.prod(self.action_shape))

    def to_json(self) -> dict[str, Any]:
        """The spec as it is stored and hashed, without later fields that have their defaults."""
        row = asdict(self)
        row["horizon"] = row.pop("max_episode_steps")  # its first name, so that hashes and stored specs stay valid
        if self.frame_stack == 1:  # so that hashes from before there were stacks stay valid
            del row["frame_stack"]
        for name in ("clipped_rewards", "action_low", "action_high", "parts", "kind"):  # likewise
            if not row[name]:
                del row[name]
        return row

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> "Spec":
        values: dict[str, Any] = {name: tuple(each) if isinstance(each, list) else each for name, each in row.items()}
        values["max_episode_steps"] = values.pop("horizon")
        values["parts"] = tuple(map(Part.from_json, values.get("parts", ())))
        return cls(**values)


@dataclass(frozen=True)
class Provenance:
    """Where data come from; part of every run's identity."""

    name: str  # the data set's name in the catalog, "hopper-medium"
    source: str  # d4rl, reroll, collected, minari, file
    digest: str  # sha256 of the columns (store.digest)
    details: dict[str, Any] = field(default_factory=dict)  # file, policy, physics, seed, what was kept or dropped

    def __post_init__(self) -> None:
        """Details from a file become what JSON can hold, so that the record can always be written."""
        object.__setattr__(self, "details", as_json(self.details))


def as_json(value: Any) -> Any:
    """A value of JSON's types: finite numbers, booleans and strings as they are, anything else as a string."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, dict):
        return {_text(key): as_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(inner) for inner in value]
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return _text(value)


def _text(value: Any) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text[:PAGE].encode(errors="replace").decode()


@dataclass(frozen=True, eq=False, repr=False)
class Trajectories:
    """N steps of E episodes, as columns, which may be memory maps.

    Time limits are not terminations: `terminated` is true only where the task itself ended, and the end of an
    episode is in `starts`. Build one with `Trajectories.of`, which checks and completes the columns.
    """

    spec: Spec
    origin: Provenance
    observations: np.ndarray  # (N, *obs), or (N, *frame): each frame of a stack once
    actions: np.ndarray  # (N, *act)
    rewards: np.ndarray  # (N,) float32
    terminated: np.ndarray  # (N,) bool
    starts: np.ndarray  # (E + 1,) int64; the last entry is N
    finished: np.ndarray  # (E,) bool: the episode was recorded to its end
    returns_to_go: np.ndarray  # (N,) float32: the undiscounted sum of rewards from this step to its episode's end

    @classmethod
    def of(
        cls,
        spec: Spec,
        origin: Provenance,
        *,
        observations: np.ndarray,
        actions: np.ndarray,
        rewards: np.ndarray,
        terminated: np.ndarray,
        starts: np.ndarray,
        finished: np.ndarray | None = None,
    ) -> "Trajectories":
        """Check that the columns agree with each other and with `spec`, and add the returns-to-go.

        Where an episode was recorded that is longer than the environment's own time limit (Adroit's human ones are),
        the horizon is as long, so that models have a place for every step. Without `finished`, all episodes are.

        Raises:
            DatasetError: lengths differ, a width does not fit `spec`, or `starts` is not a partition of the steps.
        """
        steps = len(rewards)
        for name, column in (("observations", observations), ("actions", actions), ("terminated", terminated)):
            if len(column) != steps:
                raise DatasetError(f"{origin.name}: {name} has {len(column)} steps, but rewards has {steps}.")
        for name, column, shape in (
            ("observations", observations, spec.frame_shape),
            ("actions", actions, spec.action_shape),
        ):
            if column.shape[1:] != shape:
                raise DatasetError(
                    f"{origin.name}: {name} are {column.shape[1:]} wide, but {spec.name} has {shape}: "
                    f"choose the data set's own environment."
                )
        starts = np.asarray(starts, dtype=np.int64)
        if len(starts) < 2 or starts[0] != 0 or starts[-1] != steps or np.any(np.diff(starts) <= 0):
            raise DatasetError(f"{origin.name}: the episodes' starts do not divide its {steps} steps.")
        longest = int(np.diff(starts).max())
        return cls(
            spec=spec if longest <= spec.max_episode_steps else replace(spec, max_episode_steps=longest),
            origin=origin,
            observations=np.asarray(observations, spec.observation_dtype),
            actions=np.asarray(actions, spec.action_dtype),
            rewards=np.asarray(rewards, np.float32),
            terminated=np.asarray(terminated, bool),
            starts=starts,
            finished=np.ones(len(starts) - 1, bool) if finished is None else np.asarray(finished, bool),
            returns_to_go=returns_to_go(np.asarray(rewards, np.float64), starts),
        )

    def __len__(self) -> int:
        return len(self.rewards)

    def __repr__(self) -> str:
        return (
            f"Trajectories({self.origin.name} from {self.origin.source}: {len(self)} steps, {self.episodes} episodes)"
        )

    @property
    def episodes(self) -> int:
        return len(self.starts) - 1

    @cached_property
    def lengths(self) -> np.ndarray:
        """Steps of each episode, (E,)."""
        return np.diff(self.starts)

    @cached_property
    def returns(self) -> np.ndarray:
        """Undiscounted return of each episode, (E,)."""
        return self.returns_to_go[self.starts[:-1]]

    @cached_property
    def finished_episodes(self) -> np.ndarray:
        """The episodes that count where episodes are ranked or averaged: the finished ones, or all if none is."""
        return np.flatnonzero(self.finished) if self.finished.any() else np.arange(self.episodes)

    @property
    def finished_returns(self) -> np.ndarray:
        """Undiscounted return of each of `finished_episodes`."""
        return self.returns[self.finished_episodes]

    @property
    def unfinished_steps(self) -> int:
        """How long an unfinished last episode is; 0 where it is finished."""
        return 0 if self.finished[-1] else int(self.lengths[-1])

    def with_details(self, details: dict[str, Any]) -> "Trajectories":
        """The same with these added to the details of their origin."""
        return replace(self, origin=replace(self.origin, details={**self.origin.details, **details}))

    def episode_of(self, steps: np.ndarray) -> np.ndarray:
        """The episode each step belongs to."""
        return np.searchsorted(self.starts, steps, side="right") - 1

    def select(self, episodes: np.ndarray) -> "Trajectories":
        """The given episodes, in the given order, as a copy."""
        lengths = self.lengths[episodes]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        rows = np.arange(starts[-1]) + np.repeat(self.starts[episodes] - starts[:-1], lengths)
        return replace(
            self,
            observations=self.observations[rows],
            actions=self.actions[rows],
            rewards=self.rewards[rows],
            terminated=self.terminated[rows],
            starts=starts,
            finished=self.finished[episodes],
            returns_to_go=self.returns_to_go[rows],
        )

    def best(self, fraction: float) -> "Trajectories":
        """The episodes of highest return that hold at least `fraction` of the steps (kzl's --pct_traj; %BC).

        As in kzl's files, an unfinished episode is neither ranked nor are its steps counted.
        """
        order = self.finished_episodes[np.argsort(self.finished_returns, kind="stable")[::-1]]
        steps = np.cumsum(self.lengths[order])
        enough = int(np.searchsorted(steps, fraction * steps[-1])) + 1
        return self.select(np.sort(order[:enough]))

    def earning(self, least: float) -> "Trajectories":
        """The finished episodes whose return is at least `least`."""
        return self.select(self.finished_episodes[self.finished_returns >= least])

    def drawn(self, episodes: int, seed: int) -> "Trajectories":
        """So many finished episodes, drawn by a seed; a longer draw holds a shorter one.

        Raises:
            UserError: there are fewer.
        """
        finished = self.finished_episodes
        if episodes > len(finished):
            raise UserError(
                f"{self.origin.name} has {len(finished)} finished episodes, and not {episodes}: draw fewer."
            )
        return self.select(np.sort(np.random.default_rng(seed).permutation(finished)[:episodes]))

    def delayed(self) -> "Trajectories":
        """The same steps with each episode's whole reward given at its last step (the paper's delayed mode)."""
        rewards = np.zeros_like(self.rewards)
        rewards[self.starts[1:] - 1] = self.returns
        return replace(self, rewards=rewards, returns_to_go=returns_to_go(rewards.astype(np.float64), self.starts))


def returns_to_go(rewards: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sum of rewards from each step to its episode's end, (N,) float32, accumulated in float64."""
    ahead = np.concatenate(
        [np.cumsum(rewards[::-1], dtype=np.float64)[::-1], [0.0]]
    )  # from each step to the file's end
    with np.errstate(over="ignore"):  # infinity is refused where files are read (formats/columns.py)
        return (ahead[:-1] - np.repeat(ahead[starts[1:]], np.diff(starts))).astype(np.float32)
