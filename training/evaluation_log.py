"""What has been played of a run's evaluation, so that a killed run plays on where it was.

played.safetensors   the episodes of every task and target return that were played to their end; of those under way all
                     actions so far, and what the player remembers (player_state.py)

The episodes under way are repeated from their seeds by their recorded actions, without the model. So the numbers are
those of an evaluation that nothing interrupted, however many episodes a model acts for at once.
"""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backbone.interface import Model, Player
from training.checkpoint import read_tensors, write_tensors
from training.evaluate import Played
from training.player_state import restore_player, save_player
from training.run_lock import PLAYED
from trajectories.errors import UserError

LARGEST = 1 << 30  # bytes; a player that remembers more begins its episodes again


class EvaluationLog:
    """Kept in a run's folder until the run is recorded; what it holds of other weights' episodes is left out.

    Args:
        interval: seconds between two times that episodes under way are kept.

    Raises:
        UserError: what an earlier process kept is damaged.
    """

    def __init__(self, folder: Path, model: Model, interval: float) -> None:
        self.path, self.interval = folder / PLAYED, interval
        self.device = model.device
        self._weights = digest(model)
        self._finished: dict[str, tuple[list[Any] | None, ...]] = {}  # returns, lengths, success
        self._under_way: tuple[dict[str, Any], dict[str, Tensor]] | None = None
        spent = 0.0
        if self.path.exists():
            tensors, metadata = read_tensors(self.path)
            kept = json.loads(metadata["log"])
            if kept["weights"] == self._weights:
                self._finished, spent = kept["finished"], kept["seconds"]
                self._under_way = (kept["under way"], tensors) if kept["under way"] else None
        self._began = time.monotonic() - spent
        self._saved = time.monotonic()
        self._name = ""
        self._actions: list[np.ndarray] = []

    @property
    def seconds(self) -> float:
        """Spent on evaluating, in all processes that took part."""
        return time.monotonic() - self._began

    def keep(self, name: str, play: Callable[[], Played]) -> Played:
        """What came of the episodes called `name`, which are played by `play` unless that was done before."""
        if name in self._finished:
            returns, lengths, success = self._finished[name]
            return Played(np.array(returns), np.array(lengths), None if success is None else np.array(success))
        self._name, self._actions = name, []
        played = play()
        success = None if played.success is None else played.success.tolist()
        self._finished[name] = played.returns.tolist(), played.lengths.tolist(), success
        self._write(None, {})
        return played

    def resume(self, player: Player, *first: np.ndarray) -> list[np.ndarray]:
        """Begin episodes: the actions that an earlier process has taken in them, each (E, *act).

        Args:
            player: a new one, which afterwards remembers what the earlier process's did.
            first: what it would be shown first (observations, rewards, live).

        Raises:
            UserError: what was kept is another version's.
        """
        if self._under_way is None or self._under_way[0]["name"] != self._name:
            return []
        kept, tensors = self._under_way
        try:
            player.act(*first)  # so that it has all that it ever has
            restore_player(player, kept["player"], tensors, self.device)
            self._actions = list(tensors["actions"].numpy())
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            raise UserError(f"{self.path}: of another version ({error}): remove it to play again.") from error
        return list(self._actions)

    def add(self, actions: np.ndarray, player: Player) -> None:
        """Take down the next actions; by the clock, keep all of them and what the player remembers."""
        self._actions.append(actions.copy())
        if time.monotonic() - self._saved < self.interval:
            return
        kept = save_player(player)
        if kept is not None and sum(tensor.nbytes for tensor in kept[1].values()) <= LARGEST:
            memory, tensors = kept
            tensors["actions"] = torch.from_numpy(np.stack(self._actions))
            self._write({"name": self._name, "player": memory}, tensors)
        self._saved = time.monotonic()

    def _write(self, under_way: dict[str, Any] | None, tensors: dict[str, Tensor]) -> None:
        kept = {"weights": self._weights, "seconds": self.seconds, "finished": self._finished, "under way": under_way}
        write_tensors(self.path, tensors or {"actions": torch.zeros(0)}, {"log": json.dumps(kept)})


def digest(model: Model) -> str:
    """sha256 of a model's weights and buffers."""
    content = hashlib.sha256()
    for name, value in model.state_dict().items():
        content.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        content.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return content.hexdigest()
