"""Gato: observations and actions of every task are one sequence of tokens, and the model predicts the actions.

Paper    Reed et al. 2022, arXiv:2205.06175
Tokens   a timestep is its observation's tokens, a separator, its action's tokens: 11 + 1 + 3 = 15 on hopper
Loss     cross-entropy of each action token (and text), given everything before it; no returns, no rewards
Prompts  a quarter of the sequences begin with steps of another episode; acting begins with a demonstration
Differs  the table of ids is also the output layer; logits are taken over the legal action ids only, unless
         `logits` is "full"; sizes, context and learning rate of `tiny` are ours. README.md has the whole list

Shapes   B sequences, T steps, L tokens, D width, R query positions, A tokens of an action, V ids
"""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear

from backbone.image_shape import image_shapes
from backbone.images import channels_first
from backbone.interface import Player, SequenceModel
from backbone.weight_decay import matrices_only
from gato import prompts
from gato.config import Config
from gato.embedding import Embedding
from gato.multitask import Corpus, MixedBatch, config_of, losses_by_task, mean_over_tasks, sequences, tasks
from gato.observations import TextTokens, images_of, part_blocks, tokens_per_step
from gato.patches import Pixels
from gato.player import Recomputing, Rolling
from gato.scores import score
from gato.stream import TokenBlock, TokenSequence, action_block, build, observation_blocks, separator_block
from gato.tokens import BINS, layout
from gato.transformer import Caches, ReadsPositions, Transformer
from trajectories.batch import Batch
from trajectories.errors import UserError
from trajectories.mixture import Mixture
from trajectories.types import Spec, Trajectories

Sequences = Batch | TokenSequence | MixedBatch

CLIPPED = 0.01  # share of action values that are exactly -1 or 1: 11% to 25% in clipped Gaussians, 0 in D4RL's tanh


class Gato(SequenceModel):
    """One network for one task or several. The call forms of other code bases are subclasses, in compat/.

    Args:
        spec: what a task looks like; a tuple of specs for several tasks.
        transformer: any causal sequence model, (B, L, D) -> (B, L, D), instead of ours.

    Raises:
        UserError: a task has more discrete actions than there are tokens, or two tasks have one name.
    """

    config: Config
    NUMERICS = 1
    reads = frozenset({"vectors", "images", "parts"})
    multi_task = True

    def __init__(
        self,
        config: Config,
        spec: Spec | tuple[Spec, ...] = (),
        *,
        transformer: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.tasks = tasks(spec)
        self.config = with_channels(config, self.tasks)
        self.spec = spec  # type: ignore[assignment]  # a tuple for several tasks
        self.layout = layout(self.config.layout)
        for task in self.tasks:
            if (task.actions or 0) > BINS:
                raise UserError(f"{task.name} has {task.actions} actions, but Gato has tokens for {BINS}: merge some.")
        sizes = {size for task in self.tasks for size in image_shapes(task)}
        self.texts = TextTokens(self.tasks)
        max_episode_steps = max((task.max_episode_steps for task in self.tasks), default=self.config.context)
        images, texts = self.config.images or bool(sizes), self.config.text or self.texts.needed
        self.embedding = Embedding(self.config, self.layout.size, images, texts, max_episode_steps)
        self.transformer = transformer or Transformer(self.config)
        steps = self.config.prompt_steps
        self.demonstrations = nn.ModuleList(prompts.Demonstrations(task, steps) for task in self.tasks)
        self.pixels = nn.ModuleDict({_name(size): Pixels(size, self.config.patch) for size in sorted(sizes)})
        self.register_buffer("clipped", torch.ones(len(self.tasks), dtype=torch.bool))  # see `decoding`
        self.register_load_state_dict_pre_hook(_rename_weights)  # type: ignore[no-untyped-call]

    def calibrate(self, data: Trajectories | Mixture) -> None:
        """Store each task's demonstrations, mean image and longest text, and whether its actions were clipped."""
        parts = data.trajectories if isinstance(data, Mixture) else (data,)
        shown = [image for part in parts for image in images_of(part)]
        for size in {size for size, _ in shown}:
            pixels = self.pixels[_name(size)]
            assert isinstance(pixels, Pixels)
            pixels.calibrate([images for own, images in shown if own == size])
        for index, part in enumerate(parts):
            self.demonstration(index).collect(part)
            self.texts.calibrate(index, part)
            sample = part.actions[:: -(-len(part) // 100_000)]
            self.get_buffer("clipped")[index] = part.spec.discrete or bool(np.mean(np.abs(sample) >= 1) > CLIPPED)

    def decoding(self, task: int) -> str:
        """How an action of a task is decoded from its bins: sampled, median, or likely.

        A recorded policy that was a Gaussian clipped to [-1, 1] leaves many actions exactly at -1 and 1 and needs its
        noise: its mean action may score much worse. A policy squashed by tanh never reaches the ends, but many of its
        actions lie beside them; the most likely bin may then be far from most actions, and the median is the policy's
        action without noise. README.md has the returns from which this rule was found.
        """
        if self.config.decoding != "auto":
            return self.config.decoding
        return "sampled" if bool(self.get_buffer("clipped")[task]) else "median"

    def metadata(self) -> dict[str, Any]:
        """How each task's actions are decoded."""
        return {"decoding": {task.name: self.decoding(index) for index, task in enumerate(self.tasks)}}

    def demonstration(self, task: int) -> prompts.Demonstrations:
        """The demonstrations of one task."""
        kept = self.demonstrations[task]
        assert isinstance(kept, prompts.Demonstrations)
        return kept

    def sample(self, data: Trajectories | Mixture, rng: np.random.Generator) -> Batch | MixedBatch:  # type: ignore[override]
        """The sequences of one update, a share of them with a prompt; a mixture's tasks by their weights."""
        if not isinstance(data, Mixture):
            return prompts.sample(data, rng, self.config.batch_size, self.task_config(data.spec))
        parts: list[Batch | TokenSequence] = []
        counts = data.counts(rng, self.config.batch_size, self.config.tasks_per_update)
        for part, count in zip(data.parts, counts, strict=True):
            if count == 0:
                continue
            if isinstance(part, Corpus):
                parts.append(part.sample(rng, int(count), self.longest()))
            else:
                parts.append(prompts.sample(part, rng, int(count), self.task_config(part.spec)))
        return MixedBatch(tuple(parts))

    def longest(self) -> int:
        """Tokens of the longest sequence of any task, at most 512; text sequences have this length."""
        lengths = (self.task_config(task).context * self.step_tokens(task) for task in self.tasks)
        return min(max(lengths, default=self.config.context * BINS), 512)

    def task_config(self, task: Spec) -> Config:
        """The configuration for one task: how many steps its sequences have, and how many of these are a prompt."""
        return config_of(self.config, task, self.step_tokens(task))

    def step_tokens(self, task: Spec) -> int:
        """Tokens of one timestep of a task."""
        return tokens_per_step(task, self.config.patch, self.texts.length(self.tasks.index(task)))

    def count_tokens(self, batch: Sequences) -> Int[Tensor, ""]:
        """Real tokens of a batch, prompts included."""
        if isinstance(batch, MixedBatch):
            return torch.stack([self.count_tokens(part) for part in batch.parts]).sum()
        if isinstance(batch, TokenSequence):
            return batch.valid.sum()
        steps = batch.mask.sum() + (batch.prompt.mask.sum() if batch.prompt else 0)
        return steps * self.step_tokens(self.task(batch.task))

    def loss_weight(self, batch: Sequences) -> int:
        """Target tokens of a batch."""
        if isinstance(batch, MixedBatch):
            return sum(self.loss_weight(part) for part in batch.parts)
        if self.config.loss_by == "task":
            return sequences(batch)
        if isinstance(batch, TokenSequence):
            return int((batch.is_target() & batch.valid)[:, 1:].sum())
        steps = int(batch.mask.sum()) + (int(batch.prompt.mask.sum()) if batch.prompt else 0)
        return steps * self.task(batch.task).action_size

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Matrices decay; embeddings, norms and biases do not (the paper does not say; GPT practice)."""
        return matrices_only(self)

    def loss(self, batch: Sequences) -> dict[str, Tensor]:
        """Mean cross-entropy and accuracy of all valid action (and text) tokens, prompts included."""
        parts = batch.parts if isinstance(batch, MixedBatch) else (batch,)
        scores = [self.score(part) for part in parts]
        loss, right, count = (torch.stack(column).sum() for column in zip(*scores, strict=True))
        total = mean_over_tasks(parts, scores) if self.config.loss_by == "task" else loss / count
        return {"total": total, "accuracy": right / count, **losses_by_task(self.tasks, parts, scores)}

    def score(self, part: Batch | TokenSequence) -> tuple[Tensor, Tensor, Tensor]:
        """Summed cross-entropy, correct predictions and number of the target tokens."""
        ids = slice(0, self.layout.size)
        if isinstance(part, Batch):
            if self.config.logits == "legal":
                ids = self.legal(self.task(part.task))
            part = self.stream(part)
        hidden, targets = self.predict(part)
        loss, right = score(hidden, targets - ids.start, self.embedding.table.rows(ids))
        return loss, right, torch.tensor(len(targets), device=loss.device)

    def predict(self, stream: TokenSequence) -> tuple[Float[Tensor, "n D"], Int[Tensor, "n"]]:
        """The hidden states before the target tokens, and these tokens; no other position is computed."""
        is_target = stream.is_target()[:, 1:]  # each position predicts the next token
        queries = is_target.any(dim=0).nonzero().squeeze(1)  # (R,)
        mask = (is_target & stream.valid[:, 1:])[:, queries]  # (B, R)
        return self.hidden(stream, queries)[mask], stream.ids[:, 1:][:, queries][mask]

    def hidden(self, stream: TokenSequence, queries: Int[Tensor, "R"]) -> Float[Tensor, "B R D"]:
        """Hidden states at some positions of every sequence."""
        x, transformer = self.embedding(stream), self.transformer
        return transformer.at(x, queries) if isinstance(transformer, ReadsPositions) else transformer(x)[:, queries]

    def logits(self, hidden: Float[Tensor, "*n D"], ids: slice) -> Float[Tensor, "*n V"]:
        """Logits of a slice of the ids; the embedding table is also the output layer."""
        return linear(hidden, self.embedding.table.rows(ids))

    def legal(self, task: Spec) -> slice:
        """The ids that a task's action tokens can have."""
        return slice(self.layout.actions, self.layout.actions + (task.actions or BINS))

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

    def observe(self, observations: Tensor, task: Spec) -> list[TokenBlock]:
        """The token blocks of (B, T, *obs) observations of a task, separator last."""
        side, channels = self.config.patch, self.config.image_channels
        if task.parts:
            texts = partial(self.texts, task=self.tasks.index(task))
            blocks = part_blocks(observations, task.parts, self.layout, texts, side, channels, self.pixels_of)
        else:
            blocks = observation_blocks(observations, self.layout, side, channels, pixels=self.pixels_of)
        return [*blocks, separator_block(blocks[0], self.layout)]

    def pixels_of(self, images: Tensor) -> Pixels | None:
        """What normalizes the pixels of (B, T, *image) images: the data's mean image, if one is known."""
        name = _name(tuple(channels_first(images).shape[-3:]))
        if name not in self.pixels:
            return None
        pixels = self.pixels[name]
        assert isinstance(pixels, Pixels)
        return pixels

    def stream(self, batch: Batch) -> TokenSequence:
        """A batch's prompt and window as tokens."""
        steps = prompts.join(batch)
        blocks = [*self.observe(steps.observations, self.task(batch.task)), action_block(steps.actions, self.layout)]
        return build(blocks, steps.mask, steps.timesteps, self.config.action_positions)

    def player(self, episodes: int, target_return: float = 0.0, seed: int = 0, task: str | None = None) -> Player:
        """A player of one task's environments; `target_return` is ignored, since the prompt conditions Gato.

        Args:
            task: the spec's name (in a mixture its data set's), required if there are several tasks.

        Raises:
            UserError: `task` is none of the model's tasks, or is missing.
        """
        names = [spec.name for spec in self.tasks]
        if not names or (task is None and len(names) > 1) or (task is not None and task not in names):
            raise UserError(
                f"Gato cannot play {task!r}: name one of its tasks, {', '.join(names) or 'of which it has none'}."
            )
        self.eval()
        index = 0 if task is None else names.index(task)
        rolling = self.config.memory == "rolling" and isinstance(self.transformer, Caches)
        return (Rolling if rolling else Recomputing)(self, index, episodes, seed)

    def forward(self, sequence: TokenSequence) -> Float[Tensor, "B L D"]:
        """Hidden states at every position."""
        return self.transformer(self.embedding(sequence))


def _name(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))


def _rename_weights(model: nn.Module, weights: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Weights saved before version 0.2 call the transformer `core`."""
    for old in [name for name in weights if name.startswith(f"{prefix}core.")]:
        weights[f"{prefix}transformer.{old.removeprefix(f'{prefix}core.')}"] = weights.pop(old)


def parameters(config: Config, spec: Spec | tuple[Spec, ...]) -> int:
    """Number of parameters of such a Gato; nothing is allocated."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in Gato(config, spec).parameters())


def with_channels(config: Config, tasks: tuple[Spec, ...]) -> Config:
    """The configuration with enough image channels for every task; stacked frames count as channels."""
    most = max((channels for task in tasks for channels, _, _ in image_shapes(task)), default=0)
    return replace(config, image_channels=max(config.image_channels, most))
