"""Behaviour cloning of images: do what the data did when the screen looked like this.

Input    the stacked frames of the latest step, through the Decision Transformer's convolutions (frames.py)
Learns   the action, by cross-entropy (squared error where actions are continuous)
Acts     by drawing an action by its probability, as the paper's models do on Atari
Differs  the paper's Atari baseline is its transformer without the returns, over 30 steps. That one can tell from its
         window how well the episode is being played; this one cannot, and is what behaviour cloning usually means

Shapes   B windows, A numbers in an action (or its logits)
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from backbone.interface import ModelConfig, SequenceModel
from backbone.options import option
from backbone.playing import WindowPlayer
from decision_transformer.actions import Drawing, answer, answer_size, draw, mistakes
from decision_transformer.frames import FrameEncoder
from trajectories.types import Batch, Spec


@dataclass(frozen=True)
class Config(ModelConfig, Drawing):
    """As the Decision Transformer of images, as far as there is the same."""

    context: int = option(1, "steps in a window, of which the latest is read")
    batch_size: int = option(256, "steps in an update")
    learning_rate: float = option(6e-4, "peak learning rate of AdamW")
    beta2: float = option(0.95, "AdamW's second decay rate")
    clip: float = option(1.0, "largest gradient norm")
    warmup: float = option(0.01, "share of the updates over which the learning rate rises from 0")
    final_learning_rate: float = option(0.1, "share of the peak learning rate at the end of a cosine; 1: constant")
    width: int = option(128, "numbers in the vector of an image")
    dropout: float = option(0.1, "dropout of that vector")


class ImageCloning(SequenceModel):
    """Convolutions, and one linear layer."""

    acts_in_bf16 = True

    def __init__(self, config: Config, spec: Spec) -> None:
        super().__init__()
        self.config: Config = config
        self.spec = spec
        self.encode = FrameEncoder(spec, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.width, answer_size(spec))

    def choose(self, batch: Batch) -> Float[Tensor, "B A"]:
        return answer(self.head(self.dropout(self.encode(batch.observations[:, -1]))), self.spec)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        return mistakes(self.choose(batch).float(), batch.actions[:, -1], self.spec)  # a window's last step is real

    def terms(self, batch: Batch) -> int:
        return len(batch.mask)

    def player(self, episodes: int, target_return: float, seed: int = 0) -> WindowPlayer:
        chosen = draw(self.config, self.spec, episodes, seed)
        return WindowPlayer(self, episodes, target_return, self.head.weight.device, chosen)
