"""Demonstrations recorded here: an expert's episodes (experts/<family>.py), played by all processors at once.

Layout   observations, actions, rewards, terminals, timeouts and `metadata/`, as D4RL's files have them; whole episodes
         only. metadata/success_rate where the family knows success, metadata/dropped: episodes that the expert gave up
Ends     where a row has `after_success`, episodes end, marked as timed out, so many steps after they first succeed, and
         those that do not succeed are dropped, too: they last longest, so that their returns would be the highest
Chance   an episode's start and its expert's noise are drawn from the seed and the episode's number alone: the same seed
         gives the same file, however many processes play
"""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from environments.interface import Environments
from environments.make import make
from sources.experts import interface
from sources.experts.interface import Expert, GaveUp
from sources.hdf5_writer import NewHdf5, new_hdf5
from sources.processes import in_order
from trajectories import catalog
from trajectories.atomic import atomic_file, disk_errors
from trajectories.errors import UserError
from trajectories.progress import progress
from trajectories.rows import DatasetRow

AT_ONCE = 4  # episodes that a process plays before it answers
FEW = 8  # episodes that are played in this process, since starting others takes longer
PATIENCE = 10  # episodes that may be dropped before it counts how many were not
BLOCK = 5000  # steps written at once
CHUNK = 1 << 20  # bytes of a chunk of the file, about


class Inspectable(Environments, Protocol):
    """Environments that an expert can look inside."""

    def inside(self, index: int) -> Any:
        """The package's own environment of one copy."""
        ...


@dataclass(frozen=True)
class Episode:
    """What one episode came to; T steps."""

    observations: np.ndarray  # (T, *obs), before each action
    actions: np.ndarray  # (T, *act)
    rewards: np.ndarray  # (T,) float32
    terminated: bool  # else its time limit ended it
    success: bool | None  # None: the family knows none

    def __len__(self) -> int:
        return len(self.rewards)


def collect(name: str, destination: Path, steps: int | None = None, seed: int = 0, processes: int = 0) -> None:
    """Record the demonstrations of a data set.

    Args:
        steps: whole episodes until they hold so many; None: as many steps or episodes as its row has.
        processes: that play; 0: one for each processor.

    Raises:
        UserError: there is no expert, its package is not installed, it gives up too often, or the disk is full.
    """
    row = catalog.dataset(name)
    episodes = row.collected_episodes if steps is None else 0
    goal = episodes or steps or row.collected_steps
    filled = dropped = played = succeeded = 0
    with (
        disk_errors(destination.parent),
        atomic_file(destination) as fresh,
        new_hdf5(fresh) as file,
        progress(goal, f"collecting {name}", "episodes" if episodes else "steps") as bar,
        closing(demonstrations(row, seed, processes, episodes or None)) as found,
    ):
        block: list[Episode] = []
        for episode in found:
            if episode is None:
                dropped += 1
                if dropped > PATIENCE and dropped > played:
                    raise UserError(
                        f"The expert of {row.env} gave up or failed in {dropped} of {dropped + played} episodes."
                    )
                continue
            block.append(episode)
            played, filled, succeeded = played + 1, filled + len(episode), succeeded + bool(episode.success)
            bar.update(1 if episodes else min(len(episode), goal - bar.n))
            enough = (played if episodes else filled) >= goal
            if enough or sum(map(len, block)) >= BLOCK:
                _append(file, block)
                block = []
            if enough:
                break
        expert = interface.version(row.environment)
        about: dict[str, Any] = {"environment": row.env, "seed": seed, "expert": expert, "dropped": dropped}
        if episode is not None and episode.success is not None:
            about["success_rate"] = succeeded / played
        metadata = file.require_group("metadata")
        for key, value in about.items():
            metadata[key] = value


def demonstrations(
    row: DatasetRow, seed: int, processes: int = 0, episodes: int | None = None
) -> Generator[Episode | None, None, None]:
    """Episodes 0, 1, 2, ... without end, in this order; None for one that is dropped.

    Args:
        processes: that play; 0: one for each processor.
        episodes: how many are of use; if few, no other process is started.
    """
    if episodes is not None and episodes <= FEW:
        processes = 1
    return in_order(partial(_several, row.env, seed, row.after_success), processes)


def play(environment: str, seed: int, number: int, after_success: int | None = None) -> Episode | None:
    """One episode of the expert; None where it gave up, or did not succeed where `after_success` is given.

    Raises:
        UserError: there is no expert, or its package is not installed.
    """
    copies, expert = _playing(environment)
    start, noise = np.random.SeedSequence((seed, number)).spawn(2)
    observation = copies.reset([int(start.generate_state(1)[0])])[0]
    expert.begin(copies.inside(0), observation, np.random.default_rng(noise))
    return played(copies, lambda observed: expert.act(copies.inside(0), observed), observation, after_success)


def played(
    copies: Environments,
    act: Callable[[np.ndarray], np.ndarray | int],
    observation: np.ndarray,
    after_success: int | None = None,
) -> Episode | None:
    """An episode that has begun in the one copy, to its end, or to so many steps after its first success.

    Returns:
        None where what acts gave up, or did not succeed where `after_success` is given.
    """
    spec, since = copies.spec, 0
    observations, actions, rewards = [], [], []
    live = np.ones(1, bool)
    while True:
        observations.append(observation)
        try:
            action = np.asarray(act(observation), spec.action_dtype)
        except GaveUp:
            return None
        if not spec.discrete:
            action = np.clip(action, -1, 1)
        step = copies.step(action[None], live)
        actions.append(action)
        rewards.append(step.rewards[0])
        observation = step.observations[0]
        success = None if step.success is None else bool(step.success[0])
        since += bool(success)
        if step.terminated[0] or step.truncated[0] or (after_success is not None and since > after_success):
            if after_success is not None and not success:
                return None
            columns = (np.stack(observations), np.stack(actions), np.array(rewards, np.float32))
            return Episode(*columns, terminated=bool(step.terminated[0]), success=success)


@cache
def _playing(environment: str) -> tuple[Inspectable, Expert]:
    """The copy and the expert that this process plays with: copies can be slow to make."""
    copies = make(environment, 1)
    return cast(Inspectable, copies), interface.expert(catalog.environment(environment))


def _several(environment: str, seed: int, after_success: int | None, number: int) -> list[Episode | None]:
    first = number * AT_ONCE
    return [play(environment, seed, each, after_success) for each in range(first, first + AT_ONCE)]


def _append(file: NewHdf5, episodes: list[Episode]) -> None:
    """Write the episodes' columns behind what is there."""
    columns = {
        name: np.concatenate([getattr(episode, name) for episode in episodes])
        for name in ("observations", "actions", "rewards")
    }
    last = np.cumsum([len(episode) for episode in episodes]) - 1
    for name, ended in (("terminals", True), ("timeouts", False)):
        columns[name] = np.zeros(last[-1] + 1, bool)
        columns[name][last] = [episode.terminated == ended for episode in episodes]
    for name, values in columns.items():
        if name not in file:
            rows = min(BLOCK, max(1, CHUNK // values[:1].nbytes))
            shape = values.shape[1:]
            file.create_dataset(name, (0, *shape), values.dtype, maxshape=(None, *shape), chunks=(rows, *shape))
        column = file[name]
        column.resize(len(column) + len(values), axis=0)
        column[-len(values) :] = values
    file.check()
