"""Nearest neighbor: do what was done in the recorded step that looked most like now. Nothing is learned.

Paper    "retrieve and play", Sridhar et al. 2025 (REGENT), arXiv:2412.04759
Input    the latest observation; no returns, no earlier steps
Compares by Euclidean distance: numbers divided by their deviations, but for one that never moves in the data
         (backbone/normalization.py); images made small and gray (features.py). Where there is a text, only steps of the
         same text are compared, or all if there are none
Acts     as recorded in the nearest step; with `neighbors` K by the most frequent of discrete actions, by the mean of
         others. Steps that are as far away as the K-th count as well; of actions equally often, that of the nearest,
         and of these of the earliest recorded step
Differs  the paper compares images by a trained network's features, which cannot be had here without downloading it

A checkpoint holds what is compared and the actions, and needs no data set: 92 bytes a step of walker2d (17 + 6 numbers
in float32), 584 a step of Atari (2 x 144 in float16, and the action).

Shapes   N recorded steps, D numbers that are compared, R episodes still going
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial import KDTree
from torch import Tensor

from backbone.image_shape import shows_images
from backbone.interface import Model
from backbone.normalization import is_constant
from baselines.nearest import features
from baselines.nearest.config import Config
from trajectories.statistics import moments
from trajectories.types import Spec, Trajectories

AS_FAR = 1 + 1e-9  # distances that differ by less are equal
ANY = -1  # in the place of a text: there is none, or none like it was recorded


class NearestNeighbor(Model):
    """Recorded steps, and a k-d tree of them; where there are texts, a tree for each."""

    reads = frozenset({"vectors", "images", "parts"})
    NUMERICS = 1

    config: Config
    keys: Tensor  # (N, D) what is compared, divided by `scale`
    actions: Tensor  # (N, *act)
    scale: Tensor  # (D,)
    texts: Tensor  # (T, L) uint8, all different; T is 0 without texts
    text_of: Tensor  # (N,) which of them

    def __init__(self, config: Config, spec: Spec) -> None:
        super().__init__()
        self.config, self.spec = config, spec
        size = features.size(spec)
        kept = torch.float16 if shows_images(spec) else torch.float32
        self.register_buffer("keys", torch.zeros(0, size, dtype=kept))
        self.register_buffer("actions", torch.zeros(0, *spec.action_shape, dtype=getattr(torch, spec.action_dtype)))
        self.register_buffer("scale", torch.ones(size))
        self.register_buffer("texts", torch.zeros(0, features.text_size(spec), dtype=torch.uint8))
        self.register_buffer("text_of", torch.zeros(0, dtype=torch.int32))
        self._trees: dict[int, tuple[KDTree, np.ndarray]] = {}

    def calibrate(self, data: Trajectories) -> None:
        numbers = features.of_data(data)
        mean, deviation = moments(numbers)
        self.scale = torch.from_numpy(np.where(is_constant(mean, deviation), 1.0, deviation)).float()
        self.keys = torch.from_numpy(numbers / self.scale.numpy()).to(self.keys.dtype)
        self.actions = torch.from_numpy(np.array(data.actions))
        if self.texts.shape[1]:
            texts, text_of = np.unique(features.texts_of(data.observations, data.spec), axis=0, return_inverse=True)
            self.texts, self.text_of = torch.from_numpy(texts), torch.from_numpy(text_of.reshape(-1).astype(np.int32))
        self._trees.clear()
        for text in range(len(self.texts)) or (ANY,):
            self.tree(text)

    def tree(self, text: int) -> tuple[KDTree, np.ndarray]:
        """The tree of the recorded steps with this text, and which steps these are; of all steps if it is `ANY`."""
        if text not in self._trees:
            rows = np.flatnonzero(self.text_of.cpu().numpy() == text)
            rows = rows if len(rows) else np.arange(len(self.keys))
            self._trees[text] = KDTree(self.keys.cpu().numpy()[rows].astype(np.float64)), rows
        return self._trees[text]

    def choose(self, observations: np.ndarray) -> np.ndarray:
        """The actions in some observations, (R, *obs) to (R, *act)."""
        numbers = features.of_observations(observations, self.spec) / self.scale.cpu().numpy()
        now = torch.from_numpy(numbers).to(self.keys.dtype).double().numpy()
        actions = self.actions.cpu().numpy()
        texts = self.known_texts(observations)
        chosen = np.zeros((len(now), *actions.shape[1:]), actions.dtype)
        for text in np.unique(texts):
            here = np.flatnonzero(texts == text)
            tree, rows = self.tree(int(text))
            for place, found in zip(here, nearest(tree, now[here], self.config.neighbors), strict=True):
                chosen[place] = self.combined(actions[rows[found]])
        return chosen

    def known_texts(self, observations: np.ndarray) -> np.ndarray:
        """Which of the recorded texts some observations have, (R,); `ANY` where it is none of them."""
        if not len(self.texts):
            return np.full(len(observations), ANY)
        known = {text.tobytes(): place for place, text in enumerate(self.texts.cpu().numpy())}
        return np.array([known.get(text.tobytes(), ANY) for text in features.texts_of(observations, self.spec)])

    def combined(self, actions: np.ndarray) -> np.ndarray:
        """One action of several, (n, *act), of which the first counts most."""
        if not self.spec.discrete:
            return actions.mean(0)
        _, first, votes = np.unique(actions, return_index=True, return_counts=True)
        return actions[first[votes == votes.max()].min()]

    def metadata(self) -> dict[str, Any]:
        kept = sum(buffer.nbytes for buffer in self.buffers())
        return {"steps": len(self.keys), "numbers_compared": self.keys.shape[1], "bytes": kept}

    def player(self, episodes: int, target_return: float, seed: int = 0) -> "NearestPlayer":
        return NearestPlayer(self)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        """As many steps as the file has; what cannot be another calibration's is refused."""
        errors: list[str] = others[-1]
        for name in ("keys", "actions", "texts", "text_of"):
            new, own = state_dict.get(prefix + name), getattr(self, name)
            if new is not None and (new.shape[1:], new.dtype) == (own.shape[1:], own.dtype):
                setattr(self, name, torch.empty_like(new))
        super()._load_from_state_dict(state_dict, prefix, *others)
        self._trees.clear()
        steps = {len(self.keys), len(self.actions), len(self.text_of) if self.texts.shape[1] else len(self.keys)}
        if len(steps) > 1 or 0 in steps:
            errors.append(f"columns of {sorted(steps)} steps")
        if not all(bool(buffer.isfinite().all()) for buffer in self.buffers()) or not bool((self.scale > 0).all()):
            errors.append("numbers that are not finite")
        for column, count in ((self.actions, self.spec.actions), (self.text_of, len(self.texts))):
            if count is not None and len(column) and not 0 <= int(column.min()) <= int(column.max()) < count:
                errors.append(f"numbers of actions or texts, of which there are {count}, from {column.min()}")


class NearestPlayer:
    """Remembers nothing."""

    def __init__(self, model: NearestNeighbor) -> None:
        self.model = model

    def act(self, observations: np.ndarray, rewards: np.ndarray, live: np.ndarray) -> np.ndarray:
        spec = self.model.spec
        actions = np.zeros((len(live), *spec.action_shape), spec.action_dtype)
        if live.any():
            actions[live] = self.model.choose(observations[live])
        return actions


def nearest(tree: KDTree, now: Float[np.ndarray, "R D"], neighbors: int) -> list[np.ndarray]:
    """The rows that decide each action, the nearest first."""
    count = min(neighbors, tree.n)
    looked_at = range(1, min(count + 1, tree.n) + 1)  # one more, to see whether it is as far as the last
    distances, rows = tree.query(now, k=looked_at, workers=torch.get_num_threads())
    found = []
    for key, distance, row in zip(now, distances, rows, strict=True):
        reach = distance[count - 1] * AS_FAR
        if len(row) > count and distance[count] <= reach:
            row = np.array(tree.query_ball_point(key, reach))
            distance = np.linalg.norm(tree.data[row] - key, axis=1)
        else:
            row, distance = row[:count], distance[:count]
        found.append(row[np.lexsort((row, distance))])
    return found
