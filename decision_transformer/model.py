"""Decision Transformer: ask for a return, get the action that earns it.

Paper    Chen et al. 2021, arXiv:2106.01345; its code: github.com/kzl/decision-transformer, gym/, at e2d82e6
Tokens   (R_1, s_1, a_1, R_2, s_2, a_2, ...): 3 per step, continuous, one linear embedding each, plus the timestep's
Learns   a_t from everything up to s_t, by squared error; discrete actions by cross-entropy (backbone/action_head.py)
Differs  no reward, return or state prediction (the paper trains none of them); returns are divided by the data's own
         size where the paper has no number for it (by its 1000, returns of about 1 are all one to the model); padding
         is zero after normalizing, in learning and in acting (kzl pads actions with -10 when learning and 0 when
         acting); steps are drawn as the last of their window (trajectories/windows.py); the warm-up is a share of the
         updates; only the outputs of the state tokens are computed in the last block. The paper has discrete actions
         only where it has images, and another model for these (atari.py); here they change nothing but the first and
         the last layer of an action

Shapes   B windows, T steps, S numbers in an observation, A in an action (or its logits), D width
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from backbone.action_head import ActionEmbedding, ActionHead, ActionSampler
from backbone.flatten import Flatten
from backbone.interface import SequenceModel
from backbone.normalization import Normalize
from backbone.playing import WindowPlayer
from backbone.transformer import Transformer, init_weights
from decision_transformer.config import Config
from trajectories.batch import Batch
from trajectories.types import Spec, Trajectories

HIGHEST = 30.0  # what the data's highest return becomes: kzl's are 3 to 12 on robots, and 20 to 90 on games


class DecisionTransformer(SequenceModel):
    """Actions conditioned on the return still to be earned."""

    scale: Tensor  # what returns are divided by

    NUMERICS = 1
    reads = frozenset({"vectors", "parts"})
    tokens_per_step = 3
    return_conditioned = True
    bf16_inference = True

    def __init__(self, config: Config, spec: Spec) -> None:
        super().__init__()
        self.config: Config = config
        self.spec = spec
        width = config.width
        self.flatten = Flatten(spec)
        self.static_shapes = self.flatten.static_shapes
        self.embed_return = nn.Linear(1, width)
        self.embed_observation = nn.Linear(self.flatten.size, width)
        self.embed_action = ActionEmbedding(spec, width)
        self.embed_timestep = nn.Embedding(spec.max_episode_steps, width)
        self.norm = nn.LayerNorm(width)
        self.transformer = Transformer(width, config.layers, config.heads, config.dropout)
        self.head = ActionHead(spec, width)
        self.normalize = Normalize(self.flatten.size)
        self.apply(init_weights)
        self.register_buffer("scale", torch.tensor(config.return_scale or 1.0))

    def calibrate(self, data: Trajectories) -> None:
        self.flatten.calibrate(data.observations)
        self.normalize.calibrate(self.flatten.of_numbers(data.observations))
        self.scale.fill_(self.config.return_scale or own_scale(data))

    def metadata(self) -> dict[str, Any]:
        """What returns are divided by, and what of the observations is not read."""
        return {"return_scale": self.scale.item(), **self.flatten.left_out()}

    def forward(self, batch: Batch, latest_only: bool = False) -> Float[Tensor, "B Q A"]:
        """The action at every step, or at the latest, from the return, the observation and everything before them."""
        real = batch.mask
        observations = (
            self.normalize(self.flatten(batch.observations)) * real[..., None]
        )  # padding is zero, as elsewhere
        time = self.embed_timestep(batch.timesteps)  # (B, T, D)
        tokens = torch.stack(
            [
                self.embed_return(batch.returns_to_go[..., None] / self.scale) + time,
                self.embed_observation(observations) + time,
                self.embed_action(batch.actions) + time,
            ],
            dim=2,
        )  # (B, T, 3, D)
        tokens = self.norm(tokens).flatten(1, 2)[:, :-1]  # (B, 3T - 1, D): the last action is a target
        states = slice(-1, None) if latest_only else slice(1, None, 3)
        return self.head(self.transformer(tokens, real.repeat_interleave(3, 1)[:, :-1], states))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Mean squared error of the actions of real steps, or cross-entropy and accuracy of discrete ones."""
        return self.head.loss(self(batch).float(), batch.actions, batch.mask)

    def player(self, episodes: int, target_return: float, seed: int = 0) -> WindowPlayer:
        """A player whose return-to-go is `target_return` less the rewards so far, in the environment's units."""
        sampler = ActionSampler.of(self.config, self.spec, episodes, seed)
        return WindowPlayer(self, episodes, target_return, self.normalize.mean.device, sampler)

    def choose(self, batch: Batch) -> Float[Tensor, "B A"]:
        return self(batch, latest_only=True)[:, -1]


def own_scale(data: Trajectories) -> float:
    """What makes 30 of the highest return-to-go in the data, or -30 of the lowest; 1 where all are 0."""
    return float(np.abs(data.returns_to_go).max()) / HIGHEST or 1.0
