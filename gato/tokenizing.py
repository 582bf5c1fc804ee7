"""Gato's batches as tokens: of windows with their prompts, and of pairs.

Shapes   B sequences, T steps or pairs
"""

from functools import partial

import torch
from torch import Tensor, nn

from backbone.images import channels_first
from backbone.interface import SequenceModel
from gato import answers, prompts
from gato.answers import PairBatch
from gato.config import Config
from gato.multitask import config_of
from gato.observations import TextTokens, part_blocks, tokens_per_step
from gato.patches import Pixels
from gato.stream import TokenBlock, TokenSequence, action_block, build, observation_blocks, separator_block
from gato.tokens import BINS, TEXT_IDS, Layout
from trajectories.batch import Batch
from trajectories.errors import UserError
from trajectories.types import Spec


class Tokenizing(SequenceModel):
    """The part of `Gato` that makes tokens; the rest of it is in answering.py and model.py."""

    config: Config
    tasks: tuple[Spec, ...]
    layout: Layout
    texts: TextTokens
    pixels: nn.ModuleDict  # by the images' size

    def task(self, name: str) -> Spec:
        """The task of this name, as batches name theirs; shapes cannot identify one, since many games share them.

        Raises:
            UserError: this Gato has no such task.
        """
        for task in self.tasks:
            if task.name == name:
                return task
        known = ", ".join(task.name for task in self.tasks) or "none"
        raise UserError(f"This Gato has no task called {name!r}, only {known}: build it with the spec of the data.")

    def longest(self) -> int:
        """Tokens of the longest sequence of any task, at most 512; text sequences have this length."""
        lengths = (self.task_config(task).context * self.step_tokens(task) for task in self.tasks)
        return min(max(lengths, default=self.config.context * BINS), 512)

    def task_config(self, task: Spec) -> Config:
        """The configuration for one task: how many steps its sequences have, and how many of these are a prompt."""
        return config_of(self.config, task, self.step_tokens(task))

    def step_tokens(self, task: Spec) -> int:
        """Tokens of one timestep of a task."""
        text = self.texts.length(self.tasks.index(task))
        return tokens_per_step(task, self.config.patch, text, self.embedded)

    @property
    def embedded(self) -> bool:
        """Whether an array of floats is one token."""
        return self.config.vectors == "embedded"

    @property
    def text_ids(self) -> slice:
        """The ids of text: the pieces, of which there may be fewer than rows; all 32,000 where no task has text."""
        return slice(0, len(self.texts.tokenizer) if self.texts.needed else TEXT_IDS)

    def room(self, task: str) -> int:
        """Tokens that a question of a task has room for; 0 where it has no questions."""
        return self.texts.length(self.tasks.index(self.task(task)))

    def observe(self, observations: Tensor, task: Spec) -> list[TokenBlock]:
        """The token blocks of (B, T, *obs) observations of a task, separator last."""
        side, channels, embedded = self.config.patch, self.config.image_channels, self.embedded
        if task.parts:
            texts = partial(self.texts, task=self.tasks.index(task))
            blocks = part_blocks(observations, task.parts, self.layout, texts, side, channels, self.pixels_of, embedded)
        else:
            blocks = observation_blocks(observations, self.layout, side, channels, None, self.pixels_of, embedded)
        return [*blocks, separator_block(blocks[0], self.layout)]

    def pixels_of(self, images: Tensor) -> Pixels | None:
        """What normalizes the pixels of (B, T, *image) images: the data's mean image, if one is known."""
        name = name_of(tuple(channels_first(images).shape[-3:]))
        if name not in self.pixels:
            return None
        pixels = self.pixels[name]
        assert isinstance(pixels, Pixels)
        return pixels

    def stream(self, batch: Batch | PairBatch) -> TokenSequence:
        """A batch's prompt and window, or its pairs, as tokens."""
        if isinstance(batch, PairBatch):
            *image, separator = self.observe(batch.images, self.task(batch.task))
            timesteps = torch.arange(batch.mask.shape[1], device=batch.mask.device).expand(batch.mask.shape)
            blocks = answers.blocks(batch, image, separator)
            return build(blocks, batch.mask, timesteps, self.config.action_positions)
        steps = prompts.join(batch)
        blocks = [*self.observe(steps.observations, self.task(batch.task)), action_block(steps.actions, self.layout)]
        return build(blocks, steps.mask, steps.timesteps, self.config.action_positions)


def name_of(size: tuple[int, ...]) -> str:
    """What images of a size are called in a checkpoint."""
    return "x".join(map(str, size))
