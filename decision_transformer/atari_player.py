"""Acts from images: a step's frames go through the convolutions once, and their vector is kept while in sight.

Shapes   E episodes, T steps in sight, D width
"""

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from backbone.action_head import ActionSampler
from backbone.config import ModelConfig
from backbone.conv_encoder import FrameEncoder
from backbone.playing import to_actions
from trajectories.batch import Batch
from trajectories.types import Spec


@runtime_checkable
class FrameModel(Protocol):
    """What a player needs of a Decision Transformer of images."""

    spec: Spec
    scale: Tensor
    embed_observation: FrameEncoder

    @property
    def config(self) -> ModelConfig: ...
    def read(self, batch: Batch, latest_only: bool = False) -> Tensor:
        """The action of every step, or of the latest, (B, Q, A), from vectors for observations."""
        ...


class AtariPlayer:
    """See backbone.interface.Player; acts like a player that encodes its whole window at every step."""

    def __init__(self, model: FrameModel, episodes: int, target_return: float, draw: ActionSampler | None) -> None:
        self.model, self.draw = model, draw
        self.spec, self.device = model.spec, model.scale.device
        self.remaining = np.full(episodes, target_return, np.float64)
        self.steps = 0
        width = model.embed_observation.out.out_features
        self.vectors = torch.zeros(episodes, 0, width, device=self.device)  # (E, T, D), of images
        acted = torch.zeros(episodes, 0, *self.spec.action_shape, dtype=getattr(torch, self.spec.action_dtype))
        self.acted = acted.to(self.device)  # (E, T, *act); the newest is not chosen yet
        self.returns_to_go = torch.zeros(episodes, 0, device=self.device)

    @torch.inference_mode()
    def act(self, observations: np.ndarray, rewards: np.ndarray, live: np.ndarray) -> np.ndarray:
        if self.steps > 0:
            self.remaining[live] -= rewards[live]
        rows = torch.from_numpy(np.flatnonzero(live)).to(self.device)
        self.begin_step(torch.from_numpy(observations[live]).to(self.device), rows)
        outputs = self.model.read(self.window(rows), latest_only=True)[:, -1].float()
        actions = to_actions(outputs, live, self.spec, self.draw)
        self.acted[:, -1] = torch.from_numpy(actions).to(self.device)
        self.steps += 1
        return actions

    def begin_step(self, images: Tensor, rows: Tensor) -> None:
        """Append a new step, and drop the one that leaves the window."""
        encoded = self.model.embed_observation(images)
        now = self.vectors.new_zeros(len(self.vectors), self.vectors.shape[2]).index_copy(
            0, rows, encoded.to(self.vectors.dtype)
        )
        newest = torch.from_numpy(self.remaining).to(self.returns_to_go)
        kept = self.model.config.context - 1
        first = max(0, self.vectors.shape[1] - kept)
        self.vectors = torch.cat([self.vectors[:, first:], now[:, None]], dim=1)
        nothing = self.acted.new_zeros(len(self.acted), 1, *self.spec.action_shape)
        self.acted = torch.cat([self.acted[:, first:], nothing], dim=1)
        self.returns_to_go = torch.cat([self.returns_to_go[:, first:], newest[:, None]], dim=1)

    def window(self, rows: Tensor) -> Batch:
        """The windows of some episodes, with vectors for observations."""
        returns_to_go = self.returns_to_go[rows]
        steps = torch.arange(self.steps - returns_to_go.shape[1] + 1, self.steps + 1, device=self.device)
        return Batch(
            observations=self.vectors[rows],
            actions=self.acted[rows],
            rewards=torch.zeros_like(returns_to_go),
            returns_to_go=returns_to_go,
            timesteps=steps.expand(len(rows), -1),
            mask=torch.ones_like(returns_to_go, dtype=torch.bool),
            task=self.spec.name,
        )
