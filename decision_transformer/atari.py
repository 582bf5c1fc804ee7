"""Decision Transformer of images: the paper's Atari variant, which differs from that of numbers in more than the eye.

Paper    Chen et al. 2021, arXiv:2106.01345, section 4.1 and appendix A.1; its code: kzl atari/mingpt at e2d82e6
Tokens   (R_1, s_1, a_1, R_2, s_2, a_2, ...), each through a tanh: a linear layer of the return, convolutions of the
         stacked frames (backbone/conv_encoder.py), a table of the actions
Places   every token's own in the window, plus the number of the window's first step in its episode; all begin as zero
Learns   a_t from everything up to s_t, by cross-entropy
Acts     by drawing an action by its probability
Differs  returns are scaled (return_scale); windows end at uniform steps and may be short at an episode's start, where
         kzl's are full and may reach back into the episode before; the place in the episode is that of the window's
         first step in learning and in acting, where kzl's player gives the present step's (its effect was not
         measured); steps are counted from 0 in every episode (kzl's are off by one from the second on); the warm-up is
         a share of the updates, kzl's is 10,240 steps: 3 updates of 20,000

Shapes   B windows, T steps, A numbers in an action (or its logits), D width
"""

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from backbone.action_head import ActionEmbedding, ActionHead, ActionSampler
from backbone.conv_encoder import FrameEncoder
from backbone.interface import SequenceModel
from backbone.transformer import Transformer, init_weights
from backbone.weight_decay import matrices_only
from decision_transformer.atari_player import AtariPlayer
from decision_transformer.config import ImageConfig
from decision_transformer.model import own_scale
from trajectories.batch import Batch
from trajectories.types import Spec, Trajectories


class AtariDecisionTransformer(SequenceModel):
    """Actions conditioned on the return still to be earned, from what the screen shows."""

    reads = frozenset({"images"})
    config: ImageConfig
    scale: Tensor  # what returns are divided by
    latest: Tensor  # the last step of the longest episode; places of later ones have learned nothing

    NUMERICS = 1
    static_shapes = True
    tokens_per_step = 3
    return_conditioned = True
    bf16_inference = True

    def __init__(self, config: ImageConfig, spec: Spec) -> None:
        super().__init__()
        self.config, self.spec = config, spec
        width = config.width
        self.embed_return = nn.Sequential(nn.Linear(1, width), nn.Tanh())
        self.embed_observation = FrameEncoder(spec, width)
        self.embed_action = nn.Sequential(ActionEmbedding(spec, width), nn.Tanh())
        self.place_in_episode = nn.Embedding(spec.max_episode_steps, width)
        self.place_in_window = nn.Embedding(config.context, 3 * width)
        self.transformer = Transformer(width, config.layers, config.heads, config.dropout, nn.GELU)
        self.head = ActionHead(spec, width, bias=False)
        self.apply(init_weights)
        for places in (self.place_in_episode, self.place_in_window):
            nn.init.zeros_(places.weight)
        self.register_buffer("scale", torch.tensor(config.return_scale or 1.0))
        self.register_buffer("latest", torch.tensor(spec.max_episode_steps - 1))

    def calibrate(self, data: Trajectories) -> None:
        self.embed_observation.calibrate(data.observations)
        self.latest.fill_(int(data.lengths.max()) - 1)
        self.scale.fill_(self.config.return_scale or own_scale(data))

    def metadata(self) -> dict[str, Any]:
        """What returns are divided by."""
        return {"return_scale": self.scale.item()}

    def forward(self, batch: Batch, latest_only: bool = False) -> Float[Tensor, "B Q A"]:
        """The action at every step, or at the latest, from the return, the images and everything before them."""
        return self.read(replace(batch, observations=self.embed_observation(batch.observations)), latest_only)

    def read(self, batch: Batch, latest_only: bool = False) -> Float[Tensor, "B Q A"]:
        """`forward` of a batch whose observations are vectors, (B, T, D), already: a player keeps them."""
        real = batch.mask
        tokens = self.places(batch) + torch.stack(
            [
                self.embed_return(batch.returns_to_go[..., None] / self.scale).float(),
                batch.observations.float(),
                self.embed_action(batch.actions).float(),
            ],
            dim=2,
        )  # (B, T, 3, D)
        tokens = tokens.flatten(1, 2)[:, :-1]  # (B, 3T - 1, D): the last action is a target
        states = slice(-1, None) if latest_only else slice(1, None, 3)
        return self.head(self.transformer(tokens, real.repeat_interleave(3, 1)[:, :-1], states))

    def places(self, batch: Batch) -> Float[Tensor, "B T 3 D"]:
        """Where each token is in its window, padding not counted, and where its window begins in the episode."""
        order = (batch.mask.cumsum(1) - 1).clamp(min=0)  # (B, T)
        began = (batch.timesteps[:, -1] - order[:, -1]).clamp(max=self.latest)  # (B,)
        in_window = self.place_in_window(order).unflatten(-1, (3, -1))
        return in_window + self.place_in_episode(began)[:, None, None]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        return self.head.loss(self(batch).float(), batch.actions, batch.mask)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Matrices and kernels decay; embeddings, norms and biases do not, as in kzl's code."""
        return matrices_only(self)

    def player(self, episodes: int, target_return: float, seed: int = 0) -> AtariPlayer:
        sampler = ActionSampler.of(self.config, self.spec, episodes, seed)
        return AtariPlayer(self, episodes, target_return, sampler)

    def choose(self, batch: Batch) -> Float[Tensor, "B A"]:
        return self(batch, latest_only=True)[:, -1]
