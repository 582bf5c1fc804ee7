"""Actions in and out, continuous or discrete: what the Decision Transformers and behaviour cloning share.

Continuous   numbers in [-1, 1]: a linear layer in, a tanh out, squared error
Discrete     one of V choices: an embedding in, logits out, cross-entropy; acting draws one by its probability, or takes
             the most likely one

Shapes   B windows, T steps, N steps of any windows, R episodes still going, Q numbers in an answer: A or V
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from backbone.interface import ModelConfig
from backbone.options import option
from trajectories.errors import UserError
from trajectories.types import Spec


@dataclass(frozen=True)
class SamplingConfig:
    """How discrete actions are chosen: part of a configuration where there are any."""

    temperature: float = option(1.0, "of discrete actions, drawn by their probabilities; 0: the most likely one")

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise UserError(f"--temperature is {self.temperature}: give a positive one, or 0 for the likeliest action.")


def embedding(spec: Spec, width: int) -> nn.Linear | nn.Embedding:
    """What makes vectors of the actions that `readable` gives."""
    return nn.Linear(spec.action_size, width) if spec.actions is None else nn.Embedding(spec.actions, width)


def readable(actions: Shaped[Tensor, "B T *act"], spec: Spec) -> Shaped[Tensor, "B T *n"]:
    """Recorded actions as their embedding takes them."""
    return actions if spec.discrete else actions.flatten(2)


def answer_size(spec: Spec) -> int:
    """Q: the numbers by which a model says what to do."""
    return spec.action_size if spec.actions is None else spec.actions


def answer(outputs: Float[Tensor, "*n Q"], spec: Spec) -> Float[Tensor, "*n Q"]:
    """A last layer's outputs as actions, or as the logits of discrete ones."""
    return outputs if spec.discrete else torch.tanh(outputs)


def action_loss(answers: Float[Tensor, "N Q"], actions: Shaped[Tensor, "N *act"], spec: Spec) -> dict[str, Tensor]:
    """The loss of what was answered, given what was done."""
    if spec.discrete:
        accuracy = (answers.detach().argmax(1) == actions).float().mean()
        return {"total": cross_entropy(answers, actions), "accuracy": accuracy}
    return {"total": (answers - actions.flatten(1)).square().mean()}


class Draw:
    """Picks discrete actions; each episode draws from its own generator, whatever the others do."""

    def __init__(self, temperature: float, episodes: int, seed: int) -> None:
        self.temperature = temperature
        self.generators = [np.random.default_rng(seed + episode) for episode in range(episodes)]

    def __call__(self, logits: Float[Tensor, "R V"], live: np.ndarray) -> np.ndarray:
        """One action for each live episode, (R,)."""
        if self.temperature == 0:
            return logits.argmax(1).cpu().numpy()
        drawn = np.array([self.generators[episode].random() for episode in np.flatnonzero(live)])
        below = (logits.double() / self.temperature).softmax(1).cumsum(1)[:, :-1].cpu().numpy()  # (R, V - 1)
        return (below <= drawn[:, None]).sum(1)


def draw(config: ModelConfig, spec: Spec, episodes: int, seed: int) -> Draw | None:
    """What makes actions of a player's answers; None where the answers are the actions."""
    if not spec.discrete:
        return None
    return Draw(config.temperature if isinstance(config, SamplingConfig) else 1.0, episodes, seed)
