"""Playing: every episode once, all of them at once, each started from its own number's seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backbone.interface import Player, SequenceModel
from environments.interface import Environments
from trajectories.progress import progress

FIRST_SEED = 1_000_000  # far from the seeds with which data are collected


def episode_seeds(episodes: int) -> tuple[int, ...]:
    """The seed of each evaluation episode: the same for every model and every training seed."""
    return tuple(range(FIRST_SEED, FIRST_SEED + episodes))


@dataclass(frozen=True)
class Played:
    """What E episodes came to, by the episode's number."""

    returns: np.ndarray  # (E,) float64, undiscounted, in the environment's units
    lengths: np.ndarray  # (E,) steps


def evaluate(
    model: SequenceModel,
    environments: Environments,
    target_return: float | None,
    doing: str = "playing",
    task: str | None = None,
) -> Played:
    """Play one episode in each environment, with the model as it stands and dropout off.

    Args:
        task: which one, by its data set's name, for a model that has learnt several.
    """
    training = model.training
    model.eval()
    # Each episode draws by its own seed, so that played alone it is the same (experiments/play.py).
    player = begin(model, environments.count, 0.0 if target_return is None else target_return, FIRST_SEED, task)
    try:
        return play(player, environments, episode_seeds(environments.count), doing)
    finally:
        model.train(training)


def begin(model: SequenceModel, episodes: int, target_return: float, seed: int, task: str | None) -> Player:
    """A fresh player; only a model that has learnt several tasks is told which one it is to play."""
    which: dict[str, Any] = {} if task is None else {"task": task}
    return model.player(episodes, target_return, seed, **which)


def play(player: Player, environments: Environments, seeds: Sequence[int], doing: str = "playing") -> Played:
    """One episode in each environment. A finished one is left alone, so short episodes are not counted twice."""
    count = environments.count
    returns, lengths = np.zeros(count), np.zeros(count, np.int64)
    rewards, live = np.zeros(count), np.ones(count, bool)
    observations = environments.reset(seeds)
    with progress(count, doing, "episodes") as bar:
        while live.any():
            step = environments.step(player.act(observations, rewards, live), live)
            returns[live] += step.rewards[live]
            lengths[live] += 1
            finished = live & (step.terminated | step.truncated)
            bar.update(int(finished.sum()))
            observations, rewards, live = step.observations, step.rewards, live & ~finished
    return Played(returns, lengths)
