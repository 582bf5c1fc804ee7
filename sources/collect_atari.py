"""Atari recorded here: players that read the console's memory, with noise, written as Dopamine's buffer writes.

Layout   that of DQN-replay (formats/dqn_replay.py), which reads it: three blanks before an episode, a gzipped .npy a
         column; a checkpoint holds about ten thousand steps of one level of noise, and whole episodes only
Differs  from DQN-replay: rewards are the game's own, unclipped; an episode is a game and not a life; no sticky actions
         unless the environment's name has them as an option
Chance   an episode's start, noise and aim are drawn from the seed, the level and the episode's number alone
"""

import gzip
import hashlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from environments.atari import AtariEnvironments
from sources.experts import atari as players
from trajectories.atomic import atomic_directory, disk_errors
from trajectories.catalog import environment
from trajectories.errors import UserError
from trajectories.formats.dqn_replay import BLANKS, COLUMNS, file_name
from trajectories.progress import progress

VERSION = 1  # of what records; a higher one records everything anew
COPIES = 4  # games at once
ROWS = 10_000  # steps after which a checkpoint is written: 70 MB in memory
PLAYERS: dict[str, Any] = {
    "breakout": players.Breakout,
    "pong": players.Pong,
    "qbert": players.Qbert,
    "seaquest": players.Seaquest,
}
LEVELS = (0.02, 0.1, 0.3, 0.6, 1.0)  # shares of random actions, equal numbers of steps each


@dataclass
class Episode:
    """One that is being played."""

    number: int
    rng: np.random.Generator
    player: players.Player
    frames: list[np.ndarray] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.actions)

    def choose(self, memory: np.ndarray, noise: float, actions: int) -> int:
        """The player's action, or with the probability `noise` any."""
        chosen = self.player.act(memory, self.actions[-1] if self.actions else 0)
        return int(self.rng.integers(actions)) if self.rng.random() < noise else chosen


def player_digest(game: str) -> str:
    """sha256 of what decides a game's recordings besides seed and steps: how its player is written, and the levels."""
    content = f"{VERSION} {LEVELS} {inspect.getsource(PLAYERS[game])}"
    return hashlib.sha256(content.encode()).hexdigest()


def collect(name: str, destination: Path, steps: int, seed: int = 0) -> None:
    """Record whole episodes of a game until they hold at least `steps` steps, the best players' first.

    Raises:
        UserError: there is no player of it here, or no room on the disk.
    """
    row = environment(name)
    game = name.partition("?")[0]
    if game not in PLAYERS:
        raise UserError(f"There is no player of {game} here: choose one of {', '.join(PLAYERS)}.")
    with (
        disk_errors(destination.parent, 500 * steps),
        atomic_directory(destination) as fresh,
        progress(steps, f"collecting {game}") as bar,
    ):
        copies, log = AtariEnvironments(row, COPIES), Log(fresh)
        for level, noise in enumerate(LEVELS):
            share = (steps - log.steps) // (len(LEVELS) - level)
            for episode in played(copies, game, noise, (seed, level), max(share, 1)):
                log.add(episode)
                bar.update(len(episode))
            log.write()
        copies.close()


def played(copies: AtariEnvironments, game: str, noise: float, seed: tuple[int, ...], steps: int) -> Iterator[Episode]:
    """Episodes 0, 1, 2, ... in this order, until they hold `steps` steps."""
    playing: list[Episode | None] = [None] * copies.count
    done: dict[int, Episode] = {}  # ended before an earlier one did
    begun, taken, due = 0, 0, 0
    observed = np.zeros((copies.count, *copies.spec.observation_shape), np.uint8)
    while True:
        for copy in range(copies.count):
            if playing[copy] is None and taken < steps:
                rng = np.random.default_rng((*seed, begun))
                playing[copy] = Episode(begun, rng, PLAYERS[game](rng))
                start = [int(rng.integers(1 << 31))] * copies.count
                observed[copy] = copies.reset(start, np.arange(copies.count) == copy)[copy]
                begun += 1
        live = np.array([episode is not None for episode in playing])
        if not live.any():
            return
        actions = np.zeros(copies.count, np.int64)
        for copy, episode in enumerate(playing):
            if episode is not None:
                actions[copy] = episode.choose(copies.memory(copy), noise, copies.spec.actions or 1)
                episode.frames.append(observed[copy, -1].copy())
                episode.actions.append(int(actions[copy]))
        step = copies.step(actions, live)
        observed, taken = step.observations, taken + int(live.sum())
        for copy, episode in enumerate(playing):
            if episode is not None:
                episode.rewards.append(float(step.rewards[copy]))
                if step.terminated[copy] or step.truncated[copy]:
                    done[episode.number], playing[copy] = episode, None
        while due in done:
            yield done.pop(due)
            due += 1


class Log:
    """Dopamine's files in a folder, a checkpoint after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.steps, self.checkpoints = folder, 0, 0
        self._episodes: list[Episode] = []

    def add(self, episode: Episode) -> None:
        self._episodes.append(episode)
        self.steps += len(episode)
        if sum(map(len, self._episodes)) >= ROWS:
            self.write()

    def write(self) -> None:
        """Write what has been added since the last time."""
        if not self._episodes:
            return
        lengths = [BLANKS + len(episode) for episode in self._episodes]
        starts = np.cumsum([0, *lengths])
        columns = {
            "observation": np.zeros((starts[-1], *self._episodes[0].frames[0].shape), np.uint8),
            "action": np.zeros(starts[-1], np.int32),
            "reward": np.zeros(starts[-1], np.float32),
            "terminal": np.zeros(starts[-1], np.uint8),
        }
        for episode, start, end in zip(self._episodes, starts + BLANKS, starts[1:], strict=False):
            for name, values in zip(COLUMNS, (episode.frames, episode.actions, episode.rewards), strict=False):
                columns[name][start:end] = values
            columns["terminal"][end - 1] = 1
        for name, values in columns.items():
            self._write(self.folder / file_name(name, self.checkpoints), values)
        self._write(self.folder / f"add_count_ckpt.{self.checkpoints}.gz", np.array(starts[-1]))
        self.checkpoints += 1
        self._episodes = []

    def _write(self, path: Path, values: np.ndarray) -> None:
        with gzip.open(path, "wb", compresslevel=1) as file:  # frames shrink to a fiftieth even so
            np.save(file, values)
