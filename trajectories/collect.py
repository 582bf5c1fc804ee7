"""Data recorded here: behaviour policies rolled out, and written as D4RL writes its files.

    reroll     the policy that a D4RL v2 file carries, played again: the same data in the physics in which we evaluate
    collect    policies of our own, by D4RL's recipe for each quality (policies/recipes.py)

Layout   observations, actions, rewards, next_observations, terminals, timeouts, infos/qpos, infos/qvel, metadata/...,
         float32 and bool; read by formats/d4rl.py like any file of D4RL's
Chance   from the seed, the policy's place in the recipe and the episode's number alone: the same seed gives the same
         file, bit for bit, however many copies were stepped together
Ends     where a policy's share of the steps runs out in the middle of an episode, the episode is cut and marked as
         timed out; at the file's end it is left unfinished, as D4RL's are
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import h5py
import numpy as np

from environments.make import make
from trajectories.catalog import dataset
from trajectories.errors import DatasetError, UserError
from trajectories.policies.policy import Policy, from_d4rl
from trajectories.policies.recipes import available, parts, policies_digest
from trajectories.progress import progress
from trajectories.rollout import Columns, Recordable, rolled

__all__ = ["available", "collect", "play", "policies_digest", "reroll"]

COPIES = 32  # enough to share NumPy's cost per call; more would only waste steps at the end


def reroll(
    source: Path, destination: Path, environment: str, steps: int = 1_000_000, seed: int = 0, physics: str = "d4rl"
) -> None:
    """Record `steps` steps of the behaviour policy that the D4RL v2 file `source` carries.

    Raises:
        DatasetError: `source` cannot be read, carries no policy, or its policy is another environment's.
        UserError: unknown environment or physics, no steps, or no room on the disk.
    """
    shares = [(cast(Policy, from_d4rl(source)), steps)]
    details = {"source": "reroll", "environment": environment, "seed": seed, "physics": physics}
    with _written(destination) as file:
        _record(file, environment, shares, seed, physics, f"rerolling {environment}")
        with h5py.File(source) as original:
            original.copy("metadata", file)
        _describe(file, details)


def collect(
    environment: str, quality: str, destination: Path, steps: int | None = None, seed: int = 0, physics: str = "d4rl"
) -> None:
    """Record a data set of our own: `steps` steps, or as many as its row of the catalog says.

    Raises:
        UserError: unknown data set or physics, no policies for it here, no steps, or no room on the disk.
    """
    name = f"{environment}-{quality}"
    total = dataset(name).collected_steps if steps is None else steps
    recipe = parts(environment, quality)
    cuts = np.linspace(0, total, len(recipe) + 1).astype(int)
    shares = [(part.policy(), int(count)) for part, count in zip(recipe, np.diff(cuts), strict=True)]
    details = {"source": "collected", "environment": environment, "quality": quality, "seed": seed, "physics": physics}
    details |= {"policies": ",".join(part.name for part in recipe), "digest": policies_digest(environment, quality)}
    with _written(destination) as file:
        _record(file, environment, shares, seed, physics, f"collecting {name}")
        _describe(file, details)


def play(
    environment: str, policy: Policy, episodes: int, seed: int = 0, physics: str = "d4rl"
) -> tuple[np.ndarray, np.ndarray]:
    """Returns and lengths of whole episodes, both (episodes,), actions sampled."""
    copies = cast(Recordable, make(environment, min(COPIES, episodes), physics))
    rewards = [episode["rewards"] for episode in rolled(copies, policy, (seed,), episodes=episodes)]
    copies.close()
    return np.array([row.sum(dtype=np.float64) for row in rewards]), np.array([len(row) for row in rewards])


def _record(
    file: h5py.File, environment: str, shares: list[tuple[Policy, int]], seed: int, physics: str, doing: str
) -> None:
    """Fill the file's columns with each policy's share of the steps, one after the other."""
    total = sum(steps for _, steps in shares)
    if min(steps for _, steps in shares) < 1:
        raise UserError(f"{total} steps are too few to be recorded by {len(shares)} policies: ask for more.")
    if seed < 0:
        raise UserError(f"The seed {seed} is negative: choose 0 or more.")
    copies = cast(Recordable, make(environment, COPIES, physics))
    _check_fits(shares[0][0], copies)
    filled = 0
    with progress(total, doing) as bar:
        for place, (policy, steps) in enumerate(shares):
            for episode in _cut(rolled(copies, policy, (seed, place), steps=steps), steps, filled + steps < total):
                filled = _append(file, episode, filled, total)
                bar.update(len(episode["rewards"]))
    copies.close()


def _cut(episodes: Iterator[Columns], steps: int, more_follows: bool) -> Iterator[Columns]:
    """Exactly `steps` steps; the cut is marked as a time-out if another policy's episode follows it in the file."""
    for episode in episodes:
        length = len(episode["rewards"])
        if length >= steps:
            episode = {name: column[:steps] for name, column in episode.items()}
            if more_follows and not episode["terminals"][-1]:
                episode["timeouts"][-1] = True
            yield episode
            return
        yield episode
        steps -= length


def _append(file: h5py.File, episode: Columns, filled: int, total: int) -> int:
    """Write an episode's columns behind what is there; the number of steps then there."""
    end = filled + len(episode["rewards"])
    for name, column in episode.items():
        if name not in file:
            file.create_dataset(name, (total, *column.shape[1:]), column.dtype)
        file[name][filled:end] = column
    return end


def _describe(file: h5py.File, details: dict[str, Any]) -> None:
    """Who recorded the file, under metadata/recorded."""
    for name, value in details.items():
        file[f"metadata/recorded/{name}"] = value


def _check_fits(policy: Policy, copies: Recordable) -> None:
    """A foreign file's policy may be another robot's, which only a first action tells."""
    spec = copies.spec
    try:
        chance = policy.draw(np.random.default_rng(0), 1)
        fits = policy.act(np.zeros((1, *spec.observation_shape)), chance).shape == (1, *spec.action_shape)
    except ValueError:
        fits = False
    if not fits:
        raise DatasetError(
            f"The behaviour policy does not fit {spec.name}, which shows {spec.observation_shape} and takes "
            f"{spec.action_shape}: give the file of its own environment."
        )


@contextmanager
def _written(destination: Path) -> Iterator[h5py.File]:
    """A new HDF5 file that appears at `destination` when it is complete, or not at all."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    beside = destination.with_name(f".{destination.name}.{os.getpid()}")
    try:
        with h5py.File(beside, "w") as file:
            yield file
        os.replace(beside, destination)
    except OSError as error:
        raise UserError(f"{destination} cannot be written ({error}): make room or choose another folder.") from error
    finally:
        beside.unlink(missing_ok=True)
