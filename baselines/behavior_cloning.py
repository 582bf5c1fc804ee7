"""Behavior cloning: do what the data did. The Decision Transformer paper's baseline, on the same loader and protocol.

Paper    Chen et al. 2021, arXiv:2106.01345, appendix; code: kzl gym/decision_transformer/models/mlp_bc.py at e2d82e6
Input    the last K observations, side by side; no returns, no actions
Learns   the last action of the window, by squared error; a discrete one by cross-entropy
Differs  256 wide, as the paper's table says (the code's default is 128); padding is zero after normalizing

Shapes   B windows, K steps, S numbers in an observation, A in an action (or its logits)
"""

from abc import abstractmethod
from itertools import pairwise
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from backbone.action_head import ActionHead, ActionSampler
from backbone.config import ModelConfig
from backbone.flatten import Flatten
from backbone.interface import SequenceModel
from backbone.normalization import Normalize
from backbone.playing import WindowPlayer
from baselines.config import Config
from trajectories.batch import Batch
from trajectories.types import Spec, Trajectories


class Cloning(SequenceModel):
    """What cloning from numbers and from images (atari_bc.py) have in common: all but what they see with."""

    static_shapes = True
    bf16_inference = True
    head: ActionHead

    def __init__(self, config: ModelConfig, spec: Spec) -> None:
        super().__init__()
        self.config, self.spec = config, spec

    @abstractmethod
    def choose(self, batch: Batch) -> Float[Tensor, "B A"]:
        """The action, or its logits, for the last step of each window."""

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        last = slice(-1, None)  # a window's last step, which is real
        return self.head.loss(self.choose(batch).float()[:, None], batch.actions[:, last], batch.mask[:, last])

    def loss_weight(self, batch: Batch) -> int:
        return len(batch.mask)

    def player(self, episodes: int, target_return: float, seed: int = 0) -> WindowPlayer:
        sampler = ActionSampler.of(self.config, self.spec, episodes, seed)
        return WindowPlayer(self, episodes, target_return, next(self.parameters()).device, sampler)


class BehaviorCloning(Cloning):
    """An MLP from recent observations to the action."""

    NUMERICS = 1
    reads = frozenset({"vectors", "parts"})

    def __init__(self, config: Config, spec: Spec) -> None:
        super().__init__(config, spec)
        self.flatten = Flatten(spec)
        self.static_shapes = self.flatten.static_shapes
        self.normalize = Normalize(self.flatten.size)
        sizes = [config.context * self.flatten.size] + [config.width] * config.layers
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(config.dropout)]
        self.hidden = nn.Sequential(*layers)
        self.head = ActionHead(spec, sizes[-1])

    def calibrate(self, data: Trajectories) -> None:
        self.flatten.calibrate(data.observations)
        self.normalize.calibrate(self.flatten.of_numbers(data.observations))

    def metadata(self) -> dict[str, Any]:
        """What of the observations is not read."""
        return self.flatten.left_out()

    def choose(self, batch: Batch) -> Float[Tensor, "B A"]:
        observations = self.normalize(self.flatten(batch.observations)) * batch.mask[..., None]
        return self.head(self.hidden(observations.flatten(1)))
