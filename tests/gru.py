"""A model that lives outside the models' folders, as anybody's own does: a GRU over observations and past actions."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from backbone.action_head import ActionEmbedding, ActionHead, ActionSampler
from backbone.config import ModelConfig
from backbone.interface import SequenceModel
from backbone.normalization import Normalize
from backbone.options import option
from backbone.playing import WindowPlayer
from trajectories.batch import Batch
from trajectories.types import Spec, Trajectories


@dataclass(frozen=True)
class Config(ModelConfig):
    context: int = option(4, "steps in a window")
    batch_size: int = option(8, "windows in an update")
    width: int = option(32, "size of the hidden state")


class GRU(SequenceModel):
    """Behavior cloning with a memory: it reads vectors, and has no target return."""

    def __init__(self, config: Config, spec: Spec) -> None:
        super().__init__()
        self.config, self.spec = config, spec
        self.normalize = Normalize(spec.observation_size)
        self.embed_observation = nn.Linear(spec.observation_size, config.width)
        self.embed_action = ActionEmbedding(spec, config.width)
        self.gru = nn.GRU(config.width, config.width, batch_first=True)
        self.head = ActionHead(spec, config.width)

    def calibrate(self, data: Trajectories) -> None:
        self.normalize.calibrate(data.observations)

    def forward(self, batch: Batch) -> Tensor:
        """The action of every step, (B, T, A), from the observations so far and the actions before it."""
        before = self.embed_action(batch.actions).roll(1, 1)
        before[:, 0] = 0
        known = batch.mask & batch.mask.roll(1, 1)
        steps = self.embed_observation(self.normalize(batch.observations.flatten(2))) + before * known[..., None]
        return self.head(self.gru(steps * batch.mask[..., None])[0])

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        return self.head.loss(self(batch), batch.actions, batch.mask)

    def choose(self, batch: Batch) -> Tensor:
        return self(batch)[:, -1]

    def player(self, episodes: int, target_return: float = 0.0, seed: int = 0) -> WindowPlayer:
        sampler = ActionSampler.of(self.config, self.spec, episodes, seed)
        return WindowPlayer(self, episodes, target_return, torch.device("cpu"), sampler)
