"""Gato: whatever it sees and does is one stream of tokens, and it learns to go on with what an expert did.

Paper    Reed et al. 2022, arXiv:2205.06175
Tokens   a timestep is its observation's tokens, a separator, its action's tokens: 11 + 1 + 3 = 15 on hopper
Learns   each action token (and text) from everything before it, by cross-entropy; no returns, no rewards
Prompts  a quarter of the sequences begin with steps of another episode; acting begins with a demonstration
Differs  the table of ids is also the output layer; logits are taken over the legal action ids only, unless
         `logits` is "full"; sizes, context and learning rate of `tiny` are ours. README.md has the whole list

Shapes   B sequences, T steps, L tokens, D width, R positions that are read, A tokens of an action, V ids
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from backbone.images import channels_first, image_shape, shows_images
from backbone.interface import Player, SequenceModel
from backbone.weight_decay import matrices_only
from gato import prompts
from gato.compat import gato_torch
from gato.config import Config
from gato.embedding import Embedding
from gato.multitask import Corpus, MixedBatch, tasks
from gato.patches import Pixels
from gato.stream import TokenBlock, TokenSequence, action_piece, build, observation_pieces, separator_piece
from gato.tokens import BINS, layout
from gato.transformer import Caches, ReadsPositions, Transformer
from trajectories.batch import Batch
from trajectories.errors import UserError
from trajectories.mixture import Mixture
from trajectories.types import Spec, Trajectories

Sequences = Batch | TokenSequence | MixedBatch

CLIPPED = 0.01  # share of numbers exactly at the ends: 11% to 25% from our clipped Gaussians, 0 from D4RL's tanh


class Gato(SequenceModel):
    """One network for one task or several.

    `Gato(config, spec)` is the form that the experiments use; `spec` may be a tuple of specs, one a task.
    `Gato(input_dim=768, ...)` takes gato-torch's arguments (compat/gato_torch.py); the model called on
    `(input_ids, (encoding, row_pos, col_pos), obs)` gives hidden states, and called on a dictionary of modalities
    (compat/gia.py) logits and a loss.

    Args:
        core: any causal sequence model, (B, L, D) -> (B, L, D), in the transformer's place.
    """

    config: Config
    NUMERICS = 1
    reads = frozenset({"vectors", "images"})
    multi_task = True

    def __init__(
        self,
        config: Config | None = None,
        spec: Spec | tuple[Spec, ...] | None = None,
        *,
        core: nn.Module | None = None,
        **raw: Any,
    ) -> None:
        super().__init__()
        if raw:
            config = gato_torch.config_of(config, **raw)
        self.tasks = tasks(spec)
        self.config = with_channels(config or Config(), self.tasks)
        if spec is not None:
            self.spec = spec  # type: ignore[assignment]  # a tuple where there are several tasks
        self.layout = layout(self.config.layout)
        for task in self.tasks:
            if (task.actions or 0) > BINS:
                raise UserError(f"{task.name} has {task.actions} actions, but Gato has tokens for {BINS}: merge some.")
        images = self.config.images or bool(raw) or any(shows_images(task) for task in self.tasks)
        max_episode_steps = max((task.max_episode_steps for task in self.tasks), default=self.config.context)
        self.embedding = Embedding(self.config, self.layout.size, images, max_episode_steps)
        self.core = core or Transformer(self.config)
        steps = self.config.prompt_steps
        self.demonstrations = nn.ModuleList(prompts.Demonstrations(task, steps) for task in self.tasks)
        sizes = {image_shape(task) for task in self.tasks if shows_images(task)}
        self.pixels = nn.ModuleDict({_name(size): Pixels(size, self.config.patch) for size in sorted(sizes)})
        self.register_buffer("clipped", torch.ones(len(self.tasks), dtype=torch.bool))  # see `decoding`

    def calibrate(self, data: Trajectories | Mixture) -> None:
        """Keep the demonstrations that acting begins with, the mean image, and how each task's actions were made."""
        parts = data.trajectories if isinstance(data, Mixture) else (data,)
        shown = [part for part in parts if shows_images(part.spec)]
        for size in {image_shape(part.spec) for part in shown}:
            pixels = self.pixels[_name(size)]
            assert isinstance(pixels, Pixels)
            pixels.calibrate([part.observations for part in shown if image_shape(part.spec) == size])
        for index, part in enumerate(parts):
            self.demonstration(index).collect(part)
            some = part.actions[:: -(-len(part) // 100_000)]
            self.get_buffer("clipped")[index] = part.spec.discrete or bool(np.mean(np.abs(some) >= 1) > CLIPPED)

    def decoding(self, task: int) -> str:
        """How an action of a task is taken from its bins: sampled, median, or likely.

        A recorded policy that was a Gaussian, clipped into [-1, 1], leaves many actions exactly at the ends, and needs
        its noise: what it does in the mean may be much worse than what it did. One that was squashed by tanh never
        reaches the ends but piles up beside them; there a bin may be the most likely one and yet far from nearly all
        that the policy does, and the middle of the distribution is what the policy does without its noise. README.md
        has the returns that this rule was found from.
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
        """The sequences of one update, prompted in part; of each task of a mixture by its weight."""
        if not isinstance(data, Mixture):
            return prompts.sample(data, rng, self.config.batch_size, self.config)
        parts: list[Batch | TokenSequence] = []
        for part, count in zip(data.parts, data.counts(rng, self.config.batch_size), strict=True):
            if count == 0:
                continue
            if isinstance(part, Corpus):
                parts.append(part.sample(rng, int(count), self.longest()))
            else:
                parts.append(prompts.sample(part, rng, int(count), self.config))
        return MixedBatch(tuple(parts))

    def longest(self) -> int:
        """Tokens in the longest sequence that the tasks make; a text fills as many, up to its 512 positions."""
        per_step = max((tokens_per_step(task, self.config.patch) for task in self.tasks), default=BINS)
        return min(self.config.context * per_step, 512)

    def count_tokens(self, batch: Sequences) -> int:
        """Real tokens of a batch, prompts included."""
        if isinstance(batch, MixedBatch):
            return sum(self.count_tokens(part) for part in batch.parts)
        if isinstance(batch, TokenSequence):
            return int(batch.real.sum())
        steps = int(batch.mask.sum()) + (int(batch.prompt.mask.sum()) if batch.prompt else 0)
        return steps * tokens_per_step(self.task(batch.task), self.config.patch)

    def loss_weight(self, batch: Sequences) -> int:
        """Tokens of a batch that are learned."""
        if isinstance(batch, MixedBatch):
            return sum(self.loss_weight(part) for part in batch.parts)
        if isinstance(batch, TokenSequence):
            return int((batch.learnt() & batch.real)[:, 1:].sum())
        steps = int(batch.mask.sum()) + (int(batch.prompt.mask.sum()) if batch.prompt else 0)
        return steps * self.task(batch.task).action_size

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Matrices decay; embeddings, norms and biases do not (the paper does not say; GPT practice)."""
        return matrices_only(self)

    def loss(self, batch: Sequences) -> dict[str, Tensor]:
        """Mean cross-entropy of all action (and text) tokens that are real, prompts included, and their accuracy."""
        parts = batch.parts if isinstance(batch, MixedBatch) else (batch,)
        scores = [self.score(part) for part in parts]
        loss, right, count = (torch.stack(column).sum() for column in zip(*scores, strict=True))
        return {"total": loss / count, "accuracy": right / count}

    def score(self, part: Batch | TokenSequence) -> tuple[Tensor, Tensor, Tensor]:
        """Summed cross-entropy, right guesses and number of the tokens that are learned."""
        ids = slice(0, self.layout.size)
        if isinstance(part, Batch):
            if self.config.logits == "legal":
                ids = self.legal(self.task(part.task))
            part = self.stream(part)
        hidden, targets = self.predict(part)
        logits = self.logits(hidden, ids)
        logits, targets = logits.float(), targets - ids.start
        best = logits.detach().amax(dim=1)  # cheaper than argmax
        right = (logits.detach().gather(1, targets[:, None]).squeeze(1) >= best).sum()
        loss = cross_entropy(logits, targets, reduction="sum")
        return loss, right, torch.tensor(len(targets), device=loss.device)

    def predict(self, stream: TokenSequence) -> tuple[Float[Tensor, "n D"], Int[Tensor, "n"]]:
        """The hidden states from which tokens are learned, and these tokens; nothing is computed that is not read."""
        learnt = stream.learnt()[:, 1:]  # what stands one place later is what a position predicts
        read = learnt.any(dim=0).nonzero().squeeze(1)  # (R,)
        wanted = (learnt & stream.real[:, 1:])[:, read]  # (B, R)
        return self.hidden(stream, read)[wanted], stream.ids[:, 1:][:, read][wanted]

    def hidden(self, stream: TokenSequence, read: Int[Tensor, "R"]) -> Float[Tensor, "B R D"]:
        """What the sequence model says at the positions `read`."""
        x = self.embedding(stream)
        return self.core.at(x, read) if isinstance(self.core, ReadsPositions) else self.core(x)[:, read]

    def logits(self, hidden: Float[Tensor, "*n D"], ids: slice) -> Float[Tensor, "*n V"]:
        """Scores of the ids in a slice of the table, which is also the output layer."""
        return linear(hidden, self.embedding.table.rows(ids))

    def legal(self, task: Spec) -> slice:
        """The ids that a task's action tokens can have."""
        return slice(self.layout.actions, self.layout.actions + (task.actions or BINS))

    def task(self, name: str) -> Spec:
        """The task called `name`, as batches name theirs. Shapes tell nothing: games differ in their actions alone.

        Raises:
            UserError: this Gato has no such task.
        """
        for task in self.tasks:
            if task.name == name:
                return task
        known = ", ".join(task.name for task in self.tasks) or "none"
        raise UserError(f"This Gato has no task called {name!r}, only {known}: build it with the spec of the data.")

    def observe(self, observations: Tensor) -> list[TokenBlock]:
        """The pieces of (B, T, *obs) observations, separator last."""
        side, channels = self.config.patch, self.config.image_channels
        pieces = observation_pieces(observations, self.layout, side, channels, pixels=self.pixels_of)
        return [*pieces, separator_piece(pieces[0], self.layout)]

    def pixels_of(self, images: Tensor) -> Pixels | None:
        """How the pixels of (B, T, *image) images become numbers: by the data's mean image, if it is known."""
        name = _name(tuple(channels_first(images).shape[-3:]))
        if name not in self.pixels:
            return None
        pixels = self.pixels[name]
        assert isinstance(pixels, Pixels)
        return pixels

    def stream(self, batch: Batch) -> TokenSequence:
        """A batch's prompt and window as tokens."""
        steps = prompts.join(batch)
        pieces = [*self.observe(steps.observations), action_piece(steps.actions, self.layout)]
        return build(pieces, steps.mask, steps.timesteps, self.config.action_positions)

    def player(self, episodes: int, target_return: float = 0.0, seed: int = 0, task: str | None = None) -> Player:
        """Acts in one task's environments; `target_return` is ignored, since Gato is asked by example.

        Args:
            task: the spec's name (in a mixture its data set's), needed where there are several.
        """
        names = [spec.name for spec in self.tasks]
        if not names or (task is None and len(names) > 1) or (task is not None and task not in names):
            raise UserError(
                f"Gato cannot play {task!r}: name one of its tasks, {', '.join(names) or 'of which it has none'}."
            )
        from gato.player import Recomputing, Rolling  # here, because the players are written in terms of the model

        self.eval()
        index = 0 if task is None else names.index(task)
        rolling = self.config.memory == "rolling" and isinstance(self.core, Caches)
        return (Rolling if rolling else Recomputing)(self, index, episodes, seed)

    def forward(self, inputs: Sequences | Mapping[str, Tensor] | gato_torch.Raw) -> Any:
        """gato-torch's tuple gives hidden states, GIA's dictionary logits and a loss, our own batches their loss."""
        if isinstance(inputs, tuple):
            return self.core(self.embedding(gato_torch.stream_of(inputs, self.config, self.layout)))
        if isinstance(inputs, Mapping):
            from gato.compat import gia

            return gia.run(self, inputs)
        return self.loss(inputs)


def _name(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))


def parameters(config: Config, spec: Spec | tuple[Spec, ...]) -> int:
    """How many parameters such a Gato has; nothing is allocated."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in Gato(config, spec).parameters())


def with_channels(config: Config, tasks: tuple[Spec, ...]) -> Config:
    """At least as many channels in a patch as the tasks' images have, stacked frames among them."""
    most = max((image_shape(task)[0] for task in tasks if shows_images(task)), default=0)
    return replace(config, image_channels=max(config.image_channels, most))


def tokens_per_step(task: Spec, patch: int = 16) -> int:
    """Tokens of one timestep: 15 on hopper, 36 on ant, 38 on Atari's games."""
    if not shows_images(task):
        return task.observation_size + 1 + task.action_size
    blank = torch.zeros(1, 1, *task.observation_shape, dtype=torch.uint8)
    pieces = observation_pieces(blank, layout("split"), patch, channels=4)
    return sum(piece.ids.shape[2] for piece in pieces) + 1 + task.action_size
