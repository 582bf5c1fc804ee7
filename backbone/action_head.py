"""Actions in and out, continuous or discrete: what the Decision Transformers and behavior cloning share.

Continuous   numbers in [-1, 1]: a linear layer in, a tanh out, squared error
Discrete     one of V choices: an embedding in, logits out, cross-entropy; acting draws one by its probability, or takes
             the most likely one

Shapes   B windows, T steps, R episodes still going, D width, Q outputs: A numbers or V logits
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from backbone.config import ModelConfig, SamplingConfig
from trajectories.types import Spec

IGNORED = -100  # a target that cross-entropy leaves out


class ActionEmbedding(nn.Module):
    """Recorded actions as vectors: a linear layer of numbers, or a table of choices."""

    def __init__(self, spec: Spec, width: int) -> None:
        super().__init__()
        self.discrete = spec.discrete
        self.layer = nn.Linear(spec.action_size, width) if spec.actions is None else nn.Embedding(spec.actions, width)

    def forward(self, actions: Shaped[Tensor, "B T *act"]) -> Float[Tensor, "B T D"]:
        return self.layer(actions if self.discrete else actions.flatten(2))


class ActionHead(nn.Linear):
    """The last layer of a model: actions in [-1, 1], or the logits of discrete ones."""

    def __init__(self, spec: Spec, width: int, bias: bool = True) -> None:
        super().__init__(width, spec.action_size if spec.actions is None else spec.actions, bias)
        self.discrete = spec.discrete

    def forward(self, features: Float[Tensor, "*n D"]) -> Float[Tensor, "*n Q"]:
        outputs = super().forward(features)
        return outputs if self.discrete else torch.tanh(outputs)

    def loss(
        self, outputs: Float[Tensor, "B T Q"], actions: Shaped[Tensor, "B T *act"], mask: Bool[Tensor, "B T"]
    ) -> dict[str, Tensor]:
        """The mean loss of real steps, against the recorded actions: squared error, or cross-entropy.

        Padding is left out by a product, not by an index: shapes are then the same in every update, and a GPU need not
        wait to hear how many steps are real.
        """
        steps = mask.sum()
        if self.discrete:
            right = (outputs.detach().argmax(-1) == actions) & mask
            targets = actions.masked_fill(~mask, IGNORED)
            total = cross_entropy(outputs.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
            return {"total": total, "accuracy": right.sum() / steps}
        errors = (outputs - actions.flatten(2)).square() * mask[..., None]
        return {"total": errors.sum() / (steps * errors.shape[-1])}


class ActionSampler:
    """Samples discrete actions from logits; each episode has its own generator, whatever the others do."""

    def __init__(self, temperature: float, episodes: int, seed: int) -> None:
        self.temperature = temperature
        self.generators = [np.random.default_rng(seed + episode) for episode in range(episodes)]

    @classmethod
    def of(cls, config: ModelConfig, spec: Spec, episodes: int, seed: int) -> "ActionSampler | None":
        """The sampler that a player needs; None where the head's outputs are the actions."""
        if not spec.discrete:
            return None
        return cls(config.temperature if isinstance(config, SamplingConfig) else 1.0, episodes, seed)

    def __call__(self, logits: Float[Tensor, "R V"], live: np.ndarray) -> np.ndarray:
        """One action for each live episode, (R,)."""
        if self.temperature == 0:
            return logits.argmax(1).cpu().numpy()
        uniform = np.array([self.generators[episode].random() for episode in np.flatnonzero(live)])
        below = (logits.double() / self.temperature).softmax(1).cumsum(1)[:, :-1].cpu().numpy()  # (R, V - 1)
        return (below <= uniform[:, None]).sum(1)
