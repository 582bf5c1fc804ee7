"""Playing: every episode once, all of them at once, each started from its own number's seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from backbone.interface import Model, Player
from environments.interface import Environments
from trajectories.actions import stretched
from trajectories.progress import progress
from trajectories.types import Spec

FIRST_SEED = 1_000_000  # far from the seeds with which data are collected


def episode_seeds(episodes: int) -> tuple[int, ...]:
    """The seed of each evaluation episode: the same for every model and every training seed."""
    return tuple(range(FIRST_SEED, FIRST_SEED + episodes))


@dataclass(frozen=True)
class Played:
    """What E episodes came to, by the episode's number."""

    returns: np.ndarray  # (E,) float64, undiscounted, in the environment's units
    lengths: np.ndarray  # (E,) steps
    success: np.ndarray | None = None  # (E,) bool, where the environments know it


@runtime_checkable
class EpisodeLog(Protocol):
    """What keeps episodes that are being played (training/evaluation_log.py)."""

    def resume(self, player: Player, *first: np.ndarray) -> list[np.ndarray]:
        """The actions that were taken already, each (E, *act); `player` then remembers what it did."""
        ...

    def add(self, actions: np.ndarray, player: Player) -> None:
        """Keep the next actions, (E, *act)."""
        ...


def evaluate(
    model: Model,
    environments: Environments,
    target_return: float | None,
    doing: str = "playing",
    task: str | None = None,
    delayed: bool = False,
    precision: str = "fp32",
    log: EpisodeLog | None = None,
) -> Played:
    """Play one episode in each environment, with the model as it stands and dropout off.

    Args:
        task: which one, by its data set's name, for a model that has learned several.
        delayed: whether it has learned from delayed rewards.
        precision: the run's; see `begin`.
        log: what is kept of an evaluation that may be interrupted.
    """
    training = model.training
    model.eval()
    # Each episode draws by its own seed, so that played alone it is the same (experiments/play.py).
    target = 0.0 if target_return is None else target_return
    player = begin(model, environments.count, target, FIRST_SEED, task, delayed, precision)
    try:
        return play(player, environments, episode_seeds(environments.count), doing, log)
    finally:
        model.train(training)


def begin(
    model: Model,
    episodes: int,
    target_return: float,
    seed: int,
    task: str | None = None,
    delayed: bool = False,
    precision: str = "fp32",
) -> Player:
    """A fresh player; only a model of several tasks is given the task's name.

    Where the run's precision is bf16 and the model may, it acts in it, too: a third of the time, and an episode played
    alone is bit for bit the one played among a hundred, which fp32 products on a CPU do not give.
    """
    which: dict[str, Any] = {} if task is None else {"task": task}
    player: Player = model.player(episodes, target_return, seed, **which)
    if precision == "bf16" and model.bf16_inference:
        player = Bf16Player(player, model.device)
    spec = model.spec if isinstance(model.spec, Spec) else next(each for each in model.spec if each.name == task)
    if spec.action_low:
        player = OwnRangePlayer(player, spec)
    if isinstance(model.spec, Spec) and spec.clipped_rewards:  # who learns several tasks reads no rewards
        player = ClippedRewardPlayer(player)
    return DelayedRewardPlayer(player) if delayed else player


class Bf16Player:
    """Acts with products in bf16."""

    def __init__(self, player: Player, device: torch.device) -> None:
        self.player, self.device = player, device

    def act(self, observations: np.ndarray, rewards: np.ndarray, live: np.ndarray) -> np.ndarray:
        with torch.autocast(self.device.type, torch.bfloat16):
            return self.player.act(observations, rewards, live)


class OwnRangePlayer:
    """Stretches actions to the range of the model's data, where the environment has no bounds of its own."""

    def __init__(self, player: Player, spec: Spec) -> None:
        self.player, self.spec = player, spec

    def act(self, observations: np.ndarray, rewards: np.ndarray, live: np.ndarray) -> np.ndarray:
        actions = self.player.act(observations, rewards, live)
        return stretched(actions, self.spec.action_low, self.spec.action_high).astype(np.float32)


class ClippedRewardPlayer:
    """Receives rewards clipped to [-1, 1], as in its data; the recorded return is not clipped.

    Departs from kzl (atari/mingpt/trainer_atari.py at e2d82e6, get_returns), whose players learn from clipped rewards
    and subtract raw ones from the target return: a brick in Breakout's upper rows counts seven.
    """

    def __init__(self, player: Player) -> None:
        self.player = player

    def act(self, observations: np.ndarray, rewards: np.ndarray, live: np.ndarray) -> np.ndarray:
        return self.player.act(observations, np.clip(rewards, -1, 1), live)


class DelayedRewardPlayer:
    """Hears of no reward while it plays: in delayed data every step but the last earns nothing, and that one ends it.

    So the whole target stays to be earned, as kzl keeps it (gym/.../evaluation/evaluate_episodes.py, mode delayed).
    """

    def __init__(self, player: Player) -> None:
        self.player = player

    def act(self, observations: np.ndarray, rewards: np.ndarray, live: np.ndarray) -> np.ndarray:
        return self.player.act(observations, np.zeros_like(rewards), live)


def play(
    player: Player,
    environments: Environments,
    seeds: Sequence[int],
    doing: str = "playing",
    log: EpisodeLog | None = None,
) -> Played:
    """One episode in each environment. A finished one is left alone, so short episodes are not counted twice.

    What `log` has of these episodes is not played again. The bar counts the steps of the longest episode up to the
    time limit: how long playing still takes at the most.
    """
    count = environments.count
    returns, lengths = np.zeros(count), np.zeros(count, np.int64)
    rewards, live = np.zeros(count), np.ones(count, bool)
    success = None
    observations = environments.reset(seeds)
    known = iter(log.resume(player, observations, rewards, live) if log else ())
    with progress(environments.spec.max_episode_steps, doing) as bar:
        while live.any():
            actions = next(known, None)
            if actions is None:
                actions = player.act(observations, rewards, live)
                if log:
                    log.add(actions, player)
            step = environments.step(actions, live)
            returns[live] += step.rewards[live]
            lengths[live] += 1
            success = step.success  # of an episode that is over, what it was
            observations, rewards = step.observations, step.rewards
            live = live & ~(step.terminated | step.truncated)
            bar.set_postfix_str(f"{count - live.sum()} of {count} episodes over", refresh=False)
            bar.update()
        bar.total = bar.n  # all may be over long before the limit
    return Played(returns, lengths, success)
