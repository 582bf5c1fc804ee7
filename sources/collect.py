"""Data recorded here: behavior policies rolled out, and written as D4RL writes its files.

    reroll     the policy that a D4RL v2 file carries, played again: the same data in the physics in which we evaluate
    collect    policies of our own, by D4RL's recipe for each quality (experts/recipes.py)

Layout   observations, actions, rewards, next_observations, terminals, timeouts, infos/qpos, infos/qvel, metadata/...,
         float32 and bool; read by formats/own_files.py like any file of D4RL's
Chance   from the seed, the policy's place in the recipe and the episode's number alone: the same seed gives the same
         file, bit for bit, however many copies were stepped together and processes played
Ends     where a policy's share of the steps runs out in the middle of an episode, the episode is cut and marked as
         timed out; in replay data it is played to its end, and the next policy has so much less. At the file's end it
         is left unfinished, as D4RL's are
"""

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from environments.make import make
from sources.experts.d4rl_policy import from_d4rl
from sources.experts.policy import Policy
from sources.experts.recipes import available, parts, plays_whole_episodes, policies_digest
from sources.hdf5_writer import NewHdf5, new_hdf5
from sources.processes import in_order
from sources.rollout import Columns, Recordable, rolled
from trajectories import catalog
from trajectories.atomic import atomic_file, disk_errors
from trajectories.errors import DatasetError, UserError
from trajectories.formats.hdf5 import open_hdf5
from trajectories.progress import progress

__all__ = ["available", "collect", "play", "policies_digest", "reroll"]

COPIES = 32  # enough to share NumPy's cost per call; more would only waste steps at the end
AT_ONCE = 16  # episodes that a process plays before it answers
MANY = 200_000  # steps from which on other processes share them, since starting one takes as long as some thousands
BLOCK = 5000  # steps written at once


def reroll(
    source: Path, destination: Path, environment: str, steps: int = 1_000_000, seed: int = 0, physics: str = "d4rl"
) -> None:
    """Record `steps` steps of the behavior policy that the D4RL v2 file `source` carries.

    Of Adroit's `cloned` files this is the half that their policy recorded; the other half are people's demonstrations.

    Raises:
        DatasetError: `source` cannot be read, carries no policy, or its policy is another environment's.
        UserError: unknown environment or physics, no steps, or no room on the disk.
    """
    shares = [(cast(Policy, from_d4rl(source, catalog.environment(environment).trailing_zeros)), steps)]
    with _written(destination, environment, steps) as file:
        _record(file, environment, shares, seed, physics, f"rerolling {environment}")
        with open_hdf5(source) as original:
            for name, array in original.arrays("metadata"):
                file.create_dataset(name, data=array[()], dtype=array.dtype)
        _describe(file, {"environment": environment, "seed": seed, "physics": physics})


def collect(
    environment: str, quality: str, destination: Path, steps: int | None = None, seed: int = 0, physics: str = "d4rl"
) -> None:
    """Record a data set of our own: `steps` steps, or as many as its row of the catalog has.

    Raises:
        UserError: unknown data set or physics, no policies for it here, no steps, or no room on the disk.
    """
    name = f"{environment}-{quality}"
    total = catalog.dataset(name).collected_steps if steps is None else steps
    recipe = parts(environment, quality)
    ends = np.cumsum([part.steps for part in recipe]) * total // sum(part.steps for part in recipe)
    shares = [(part.policy(), int(end)) for part, end in zip(recipe, ends, strict=True)]
    whole = plays_whole_episodes(quality)
    with _written(destination, environment, total) as file:
        _record(file, environment, shares, seed, physics, f"collecting {name}", whole)
        names = ", ".join(part.name for part in recipe)
        _describe(file, {"environment": environment, "seed": seed, "physics": physics, "policies": names})


def play(
    environment: str, policy: Policy, episodes: int, seed: int = 0, physics: str = "d4rl"
) -> tuple[np.ndarray, np.ndarray]:
    """Returns and lengths of whole episodes, both (episodes,), actions sampled."""
    copies = _copies(environment, physics, min(COPIES, episodes))
    rewards = [episode["rewards"] for episode in rolled(copies, policy, (seed,), episodes=episodes)]
    copies.close()
    return np.array([row.sum(dtype=np.float64) for row in rewards]), np.array([len(row) for row in rewards])


def _record(
    file: NewHdf5,
    environment: str,
    shares: list[tuple[Policy, int]],
    seed: int,
    physics: str,
    doing: str,
    whole: bool = False,
) -> None:
    """Fill the file's columns with what each policy plays, one after the other.

    Args:
        shares: policies, and at which step of the file each has played its share.
        whole: an episode that is going on then is played to its end, at the cost of the next share.
    """
    ends = [end for _, end in shares]
    total = ends[-1]
    if total < 1 or (min(np.diff([0, *ends])) < 1 and not whole):
        raise UserError(f"{total} steps are too few to be recorded by {len(shares)} policies: choose more.")
    if seed < 0:
        raise UserError(f"The seed {seed} is negative: choose 0 or more.")
    copies = _copies(environment, physics)
    _check_fits(shares[0][0], copies)
    filled = 0
    with progress(total, doing) as bar:
        for place, (policy, end) in enumerate(shares):
            if (steps := end - filled) < 1:
                continue
            if steps < MANY:
                found = rolled(copies, policy, (seed, place), steps=steps)
            else:
                found = _by_all(environment, policy, (seed, place), physics)
            episodes = _cut(found, steps, total - filled if whole else steps, marked=end < total and not whole)
            with closing(found):
                for block in _blocks(episodes):
                    filled = _append(file, block, filled, total)
                    bar.update(len(block["rewards"]))
    copies.close()


def _copies(environment: str, physics: str, count: int = COPIES) -> Recordable:
    return cast(Recordable, make(environment, count, physics))


def _by_all(environment: str, policy: Policy, seed: tuple[int, ...], physics: str) -> Generator[Columns, None, None]:
    """Episodes 0, 1, 2, ... without end, played by all processors; the same as by one."""
    return in_order(partial(_several, environment, policy, seed, physics))


def _several(environment: str, policy: Policy, seed: tuple[int, ...], physics: str, number: int) -> list[Columns]:
    """As many episodes as a process plays before it answers."""
    copies = _playing(environment, physics)
    return list(rolled(copies, policy, seed, episodes=AT_ONCE, first=number * AT_ONCE))


@cache
def _playing(environment: str, physics: str) -> Recordable:
    """The copies that this process plays with, one for each episode that it plays before it answers."""
    return _copies(environment, physics, AT_ONCE)


def _cut(episodes: Iterator[Columns], steps: int, room: int, marked: bool) -> Iterator[Columns]:
    """Episodes until they hold `steps` steps; the last of them cut to `room`, and with `marked` timed out there."""
    for episode in episodes:
        length = len(episode["rewards"])
        if length >= steps:
            episode = {name: column[:room] for name, column in episode.items()}
            if marked and not episode["terminals"][-1]:
                episode["timeouts"][-1] = True
            yield episode
            return
        yield episode
        steps, room = steps - length, room - length


def _blocks(episodes: Iterator[Columns]) -> Iterator[Columns]:
    """Consecutive episodes concatenated to blocks, which need fewer calls of HDF5."""
    waiting: list[Columns] = []
    for episode in episodes:
        waiting.append(episode)
        if sum(len(one["rewards"]) for one in waiting) >= BLOCK:
            yield _concatenated(waiting)
            waiting = []
    if waiting:
        yield _concatenated(waiting)


def _concatenated(episodes: list[Columns]) -> Columns:
    return {name: np.concatenate([episode[name] for episode in episodes]) for name in episodes[0]}


def _append(file: NewHdf5, block: Columns, filled: int, total: int) -> int:
    """Write a block's columns behind what is there; the number of steps then there."""
    end = filled + len(block["rewards"])
    for name, column in block.items():
        if name not in file:
            file.create_dataset(name, (total, *column.shape[1:]), column.dtype)
        file[name][filled:end] = column
    file.check()
    return end


def _describe(file: NewHdf5, details: dict[str, Any]) -> None:
    """How the file was recorded, beside whatever metadata it holds."""
    metadata = file.require_group("metadata")
    for name, value in details.items():
        if name in metadata:  # of a recording that was recorded again
            del metadata[name]
        metadata[name] = value


def _check_fits(policy: Policy, copies: Recordable) -> None:
    """Refuse the policy of another environment's file, by its first action."""
    spec = copies.spec
    try:
        chance = policy.draw(np.random.default_rng(0), 1)
        fits = policy.act(np.zeros((1, *spec.observation_shape)), chance).shape == (1, *spec.action_shape)
    except ValueError:
        fits = False
    if not fits:
        raise DatasetError(
            f"The behavior policy does not fit {spec.name}, which shows {spec.observation_shape} and takes "
            f"{spec.action_shape}: give the file of its own environment."
        )


@contextmanager
def _written(destination: Path, environment: str, steps: int) -> Iterator[NewHdf5]:
    """A new HDF5 file that appears at `destination` when it is complete, or not at all."""
    row = catalog.environment(environment)
    numbers = 3 * row.spec().observation_size + row.spec().action_size + 4  # about; infos are as wide as observations
    with (
        disk_errors(destination.parent, size=4 * numbers * steps),
        atomic_file(destination) as fresh,
        new_hdf5(fresh) as file,
    ):
        yield file
