"""Behavior cloning of images: do what the data did when the screen looked like this.

Input    the stacked frames of the latest step, through the Decision Transformer's convolutions
         (backbone/conv_encoder.py)
Learns   the action, by cross-entropy (squared error where actions are continuous)
Acts     by drawing an action by its probability, as the paper's models do on Atari
Differs  the paper's Atari baseline is its transformer without the returns, over 30 steps. That one knows from its
         window how well the episode is being played; this one cannot, and is what behavior cloning usually means

Shapes   B windows, A numbers in an action (or its logits)
"""

from jaxtyping import Float
from torch import Tensor, nn

from backbone.action_head import ActionHead
from backbone.conv_encoder import FrameEncoder
from baselines.behavior_cloning import Cloning
from baselines.config import ImageConfig
from trajectories.batch import Batch
from trajectories.types import Spec, Trajectories


class AtariBehaviorCloning(Cloning):
    """Convolutions, and one linear layer."""

    reads = frozenset({"images"})
    NUMERICS = 1

    def __init__(self, config: ImageConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.encode = FrameEncoder(spec, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.head = ActionHead(spec, config.width)

    def calibrate(self, data: Trajectories) -> None:
        self.encode.calibrate(data.observations)

    def choose(self, batch: Batch) -> Float[Tensor, "B A"]:
        return self.head(self.dropout(self.encode(batch.observations[:, -1])))
