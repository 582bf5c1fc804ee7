"""The contract of a model: what the training loop, the evaluator and the checkpoints ask of it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from backbone.config import BaseConfig, ModelConfig
from trajectories.batch import Batch
from trajectories.types import Spec, Trajectories
from trajectories.windows import sample_windows


@runtime_checkable
class Player(Protocol):
    """Acts in E environments at once; what is remembered between steps lives here."""

    def act(self, observations: np.ndarray, rewards: np.ndarray, live: np.ndarray) -> np.ndarray:
        """One action for each episode.

        Args:
            observations: (E, *obs), in the environment's units; rows of finished episodes are ignored.
            rewards: (E,), what the last action earned; ignored at the first step.
            live: (E,) bool, the episodes still going; never true again once false.

        Returns:
            (E, *act) in the environment's units; zeros for finished episodes.
        """
        ...


@runtime_checkable
class Answers(Protocol):
    """What a model offers whose `reads` has pairs or text: tasks that are answered, not played."""

    def log_probabilities(
        self, task: str, images: np.ndarray, questions: Sequence[str], candidates: Sequence[Sequence[str]]
    ) -> np.ndarray:
        """How likely answers are, in nats.

        Args:
            task: the data set's name.
            images: (N, H, W, 3) uint8.
            questions: N, empty where the answers are captions.
            candidates: C answers to each of the N.

        Returns:
            (N, C)
        """
        ...

    def answer(self, task: str, images: np.ndarray, questions: Sequence[str], longest: int = 32) -> list[str]:
        """The model's own answers, each of at most `longest` tokens."""
        ...

    def nats(self, documents: Sequence[str]) -> np.ndarray:
        """How many nats whole documents take, (D,)."""
        ...

    def go_on(self, text: str, tokens: int, seed: int = 0) -> str:
        """So many tokens that follow a text, drawn at random."""
        ...

    def encode(self, text: str) -> list[int]:
        """The pieces that a text is made of, as numbers."""
        ...


class Model(nn.Module, ABC):
    """The contract of anything that plays; `SequenceModel` is that of what is trained. Implement:

    - `calibrate(data)`: fit what gradients do not learn, once, before training (optional). A model that is no
      `SequenceModel`, whose `Config` derives from `BaseConfig`, is made by this alone, and never updated.
    - `player(episodes, target_return, seed)`: a `Player` that acts in E environments at once.

    Raw in, raw out: observations, actions and rewards have the environment's units everywhere; normalization, scales
    and bin edges are buffers of the model, so that a checkpoint acts without the data. What is remembered between two
    steps of an episode lives in the player.

    Attributes:
        config, spec: what the model was made with, `Model(config, spec)`; spec is a tuple of a model of several tasks.
    """

    NUMERICS: ClassVar[int] = 1  # raised by hand when numbers change on purpose; older records are stale

    config: BaseConfig
    spec: Spec
    return_conditioned = False  # whether the target return given to `player` matters
    bf16_inference = False  # may act under bf16 autocast; False where a key-value cache lives for the whole episode
    reads: ClassVar[frozenset[str]] = frozenset({"vectors"})  # what it takes: vectors, images, parts; pairs, text
    multi_task = False  # whether it learns from a Mixture; then `spec` is a tuple, and `player` takes a `task`

    def calibrate(self, data: Trajectories) -> None:
        """Fit what gradients do not learn (means, bin edges, prompts) into buffers; called once, before training."""

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""
        return next(chain(self.parameters(), self.buffers())).device

    def metadata(self) -> dict[str, Any]:
        """What the model wants kept in its run's record about how it was calibrated, as JSON."""
        return {}

    def images(self) -> dict[str, np.ndarray]:
        """Pictures of the model, by a file's name: (H, W, 3) uint8 each, kept beside its weights."""
        return {}

    @abstractmethod
    def player(self, episodes: int, target_return: float, seed: int = 0) -> Player:
        """A fresh player for `episodes` episodes; whatever episode e draws is decided by `seed + e`."""


class SequenceModel(Model):
    """The contract of a model that is trained. Implement three methods:

    - `calibrate(data)`: fit what gradients do not learn, once, before training (optional).
    - `loss(batch)`: the loss of B windows of T steps; "total" is minimized.
    - `player(episodes, target_return, seed)`: a `Player` that acts in E environments at once.

    Its `Config` derives from `ModelConfig`.
    """

    config: ModelConfig
    tokens_per_step = 1
    static_shapes = False  # whether `loss` runs the same operations on every batch, so that a CUDA graph may hold them

    def sample(self, data: Trajectories, rng: np.random.Generator) -> Batch:
        """The windows of one update; only the caller's generator decides them."""
        return sample_windows(data, rng, self.config.batch_size, self.config.context)

    @abstractmethod
    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Scalars by name, averaged over real steps only; "total" is minimized, the rest is logged."""

    def count_tokens(self, batch: Batch) -> Int[Tensor, ""]:
        """Tokens of a batch's real steps, counted where the batch is, so that nothing waits for a GPU."""
        return (batch.mask.sum() + (batch.prompt.mask.sum() if batch.prompt else 0)) * self.tokens_per_step

    def loss_weight(self, batch: Batch) -> int:
        """Number of terms that the loss of a batch is the mean of, by which processes that share a batch weight it."""
        return int(batch.mask.sum())

    def begin(self, weights: Mapping[str, Tensor]) -> None:
        """Called before `calibrate` where the parameters of another run have been taken over: what these rest on need
        not be found anew.
        """

    def inherited(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of what `calibrate` finds, by name, what a model that began with these weights keeps as their run had it."""
        return {}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What the optimizer is given; a model may exempt some of its parameters from weight decay."""
        return [{"params": list(self.parameters())}]
