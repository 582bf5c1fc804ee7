"""Gato: observations and actions of every task are one sequence of tokens, and the model predicts the actions.

Paper    Reed et al. 2022, arXiv:2205.06175
Tokens   a timestep is its observation's tokens, a separator, its action's tokens: 11 + 1 + 3 = 15 on hopper
Loss     cross-entropy of each action token (and text), given everything before it; no returns, no rewards
Prompts  a quarter of the sequences begin with steps of another episode; acting begins with a demonstration
Differs  the table of ids is also the output layer; logits are taken over the legal action ids only, unless
         `logits` is "full"; sizes, context and learning rate of `tiny` are ours. README.md has the whole list

Shapes   B sequences, T steps, L tokens, D width, R query positions, A tokens of an action, V ids
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear

from backbone.image_shape import image_shapes
from backbone.interface import Player
from backbone.weight_decay import matrices_only
from gato import answers, prompts
from gato.answering import Answering
from gato.answers import PairBatch
from gato.config import Config
from gato.dt_core import DecisionCore
from gato.embedding import Embedding
from gato.language import chunks
from gato.multitask import Corpus, MixedBatch, Scores, losses_by_task, mean_over_tasks, sequences, tasks
from gato.observations import TextTokens, images_of
from gato.patches import Pixels
from gato.player import Recomputing, Rolling
from gato.reading import Targets, hidden_at
from gato.scores import score
from gato.stream import TokenSequence, TokenType
from gato.tokenizing import name_of
from gato.tokens import BINS, layout
from gato.transformer import Caches, Transformer
from trajectories.batch import Batch
from trajectories.errors import UserError
from trajectories.mixture import Mixture, Task
from trajectories.pairs import Pairs
from trajectories.text import Text
from trajectories.types import Spec, Trajectories

Sequences = Batch | PairBatch | TokenSequence | MixedBatch

LONG = 8  # steps of a window; with 2 the rolling memory costs a quarter of BabyAI's missions (README.md)
VECTORS = "embedding.vectors."  # what their weights are called
NORMALIZING = f"{VECTORS}normalize."
CLIPPED = 0.01  # share of action values that are exactly -1 or 1: 11% to 25% in clipped Gaussians, 0 in D4RL's tanh


class Gato(Answering):
    """One network for one task or several. The call forms of other code bases are subclasses, in compat/.

    Args:
        spec: what a task looks like; a tuple of specs for several tasks.
        transformer: any causal sequence model, (B, L, D) -> (B, L, D), instead of ours.

    Raises:
        UserError: a task has more discrete actions than there are tokens, two tasks have one name, or one is answered
            and the sequence model keeps no keys and values.
    """

    config: Config
    NUMERICS = 1
    reads = frozenset({"vectors", "images", "parts", "pairs", "text"})
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
            if task.kind and self.config.core == "dt":
                raise UserError(f"--core dt acts, and {task.name} is answered, for which keys are kept: leave it out.")
        sizes = {size for task in self.tasks for size in image_shapes(task)}
        self.texts = TextTokens(self.tasks, self.config.pieces)
        max_episode_steps = max((task.max_episode_steps for task in self.tasks), default=self.config.context)
        images = self.config.images or bool(sizes)
        sizes_of_tables = (self.layout.size, images, self.texts.rows, max_episode_steps)
        self.embedding = Embedding(self.config, *sizes_of_tables, self.tasks)
        core = DecisionCore if self.config.core == "dt" else Transformer
        self.transformer = transformer or core(self.config)
        steps = self.config.prompt_steps
        self.demonstrations = nn.ModuleList(
            prompts.Demonstrations(task, 0 if task.kind else steps) for task in self.tasks
        )
        self.pixels = nn.ModuleDict({name_of(size): Pixels(size, self.config.patch) for size in sorted(sizes)})
        self.register_buffer("clipped", torch.ones(len(self.tasks), dtype=torch.bool))  # see `decoding`
        self.register_load_state_dict_pre_hook(_rename_weights)  # type: ignore[no-untyped-call]

    def calibrate(self, data: Task | Mixture) -> None:
        """Store the texts' pieces, and each task's demonstrations, mean image, longest text and kind of actions."""
        parts = data.tasks if isinstance(data, Mixture) else (data,)
        self.texts.fit(parts)
        if self.embedding.vectors is not None:
            self.embedding.vectors.calibrate([part for part in parts if isinstance(part, Trajectories)])
        shown = [image for part in parts for image in images_of(part)]
        for size in {size for size, _ in shown}:
            pixels = self.pixels[name_of(size)]
            assert isinstance(pixels, Pixels)
            pixels.calibrate([images for own, images in shown if own == size])
        for index, part in enumerate(parts):
            self.texts.calibrate(index, part)
            if not isinstance(part, Trajectories):
                continue
            self.demonstration(index).collect(part)
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
        """How each task's actions are decoded, and with which pieces texts are read."""
        played = {task.name: self.decoding(index) for index, task in enumerate(self.tasks) if not task.kind}
        text = self.texts.tokenizer if self.texts.needed else None
        return {
            **({"decoding": played} if played or not self.tasks else {}),
            **({"pieces": {"number": len(text), "sha256": text.digest}} if text else {}),
        }

    def demonstration(self, task: int) -> prompts.Demonstrations:
        """The demonstrations of one task."""
        kept = self.demonstrations[task]
        assert isinstance(kept, prompts.Demonstrations)
        return kept

    def sample(self, data: Task | Mixture, rng: np.random.Generator) -> Sequences:  # type: ignore[override]
        """The sequences of one update, a share of them with a prompt; a mixture's tasks by their weights."""
        if not isinstance(data, Mixture):
            return self.draw(data, rng, self.config.batch_size)
        counts = data.counts(rng, self.config.batch_size, self.config.tasks_per_update)
        drawn = (self.draw(part, rng, int(count)) for part, count in zip(data.parts, counts, strict=True) if count)
        return MixedBatch(tuple(drawn))

    def draw(self, part: Task | Corpus, rng: np.random.Generator, count: int) -> Batch | PairBatch | TokenSequence:
        """Some sequences of one task: windows of steps, episodes of pairs or chunks of text."""
        if isinstance(part, Trajectories):
            return prompts.sample(part, rng, count, self.task_config(part.spec))
        if isinstance(part, Pairs):
            return answers.sample(part, rng, count, self.texts.tokenizer, self.room(part.spec.name))
        if isinstance(part, Text):
            return chunks(part, self.texts.tokenizer).sample(rng, count, self.longest())
        return part.sample(rng, count, self.longest())

    def count_tokens(self, batch: Sequences) -> Int[Tensor, ""]:
        """Real tokens of a batch, prompts included."""
        if isinstance(batch, MixedBatch):
            return torch.stack([self.count_tokens(part) for part in batch.parts]).sum()
        if not isinstance(batch, Batch):
            return batch.count_tokens(self.config.patch)
        steps = batch.mask.sum() + (batch.prompt.mask.sum() if batch.prompt else 0)
        return steps * self.step_tokens(self.task(batch.task))

    def loss_weight(self, batch: Sequences) -> int:
        """Target tokens of a batch."""
        if isinstance(batch, MixedBatch):
            return sum(self.loss_weight(part) for part in batch.parts)
        if self.config.loss_by == "task":
            return sequences(batch)
        if not isinstance(batch, Batch):
            return batch.loss_weight()
        steps = int(batch.mask.sum()) + (int(batch.prompt.mask.sum()) if batch.prompt else 0)
        return steps * self.task(batch.task).action_size

    def inherited(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The normalization that the layers of vectors were learned with."""
        vectors = self.embedding.vectors
        if vectors is None:
            return {}
        own = vectors.state_dict(prefix=VECTORS, keep_vars=True)
        layers = {size: f"{VECTORS}enter.{size}.weight" for size in vectors.enter}
        fit = [size for size, layer in layers.items() if layer in weights and weights[layer].shape == own[layer].shape]
        return {name: own[name] for size in fit for name in own if name.startswith(f"{NORMALIZING}{size}.")}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Matrices decay; embeddings, norms and biases do not (the paper does not say; GPT practice)."""
        return matrices_only(self)

    def loss(self, batch: Sequences) -> dict[str, Tensor]:
        """Mean cross-entropy and accuracy of all valid action (and text) tokens, prompts included."""
        parts = batch.parts if isinstance(batch, MixedBatch) else (batch,)
        scores = self.scores(parts)
        loss, right, count = (torch.stack(column).sum() for column in zip(*scores, strict=True))
        total = mean_over_tasks(parts, scores) if self.config.loss_by == "task" else loss / count
        return {"total": total, "accuracy": right / count, **losses_by_task(self.tasks, parts, scores)}

    def scores(self, parts: Sequence[Batch | PairBatch | TokenSequence]) -> list[Scores]:
        """Of each part the summed cross-entropy, correct predictions and number of its target tokens."""
        streams = [part if isinstance(part, TokenSequence) else self.stream(part) for part in parts]
        found: list[Scores] = []
        for part, (hidden, targets) in zip(parts, self.predict(*streams), strict=True):
            ids = self.predicted(part)
            loss, right = score(hidden, targets - ids.start, self.embedding.table.rows(ids))
            found.append((loss, right, torch.tensor(len(targets), device=loss.device)))
        return found

    def predict(self, *streams: TokenSequence) -> list[tuple[Float[Tensor, "n D"], Int[Tensor, "n"]]]:
        """Of each stream the hidden states before its target tokens, and these tokens; little else is computed."""
        targets = [Targets.of(stream) for stream in streams]
        vectors = [self.embedding(stream) for stream in streams]
        hidden = hidden_at(self.transformer, vectors, [each.queries for each in targets])
        return [(states[each.mask], each.ids) for states, each in zip(hidden, targets, strict=True)]

    def hidden(self, stream: TokenSequence, queries: Int[Tensor, "R"]) -> Float[Tensor, "B R D"]:
        """Hidden states at some positions of every sequence."""
        return hidden_at(self.transformer, [self.embedding(stream)], [queries])[0]

    def logits(self, hidden: Float[Tensor, "*n D"], ids: slice) -> Float[Tensor, "*n V"]:
        """Logits of a slice of the ids; the embedding table is also the output layer."""
        return linear(hidden, self.embedding.table.rows(ids))

    def predicted(self, part: Batch | PairBatch | TokenSequence) -> slice:
        """The ids that the softmax of the loss is over: those that the targets can have, unless `logits` is full."""
        if self.config.logits == "full" or (isinstance(part, TokenSequence) and part.has(TokenType.ACTION)):
            return slice(0, self.layout.size)
        return self.text_ids if isinstance(part, TokenSequence) else self.legal(self.task(part.task))

    def legal(self, task: Spec) -> slice:
        """The ids that a task's action tokens can have, or those of text, where it is answered."""
        if task.kind:
            return self.text_ids
        return slice(self.layout.actions, self.layout.actions + (task.actions or BINS))

    def player(self, episodes: int, target_return: float = 0.0, seed: int = 0, task: str | None = None) -> Player:
        """A player of one task's environments; `target_return` is ignored, since the prompt conditions Gato.

        Args:
            task: the spec's name (in a mixture its data set's), required if there are several tasks.

        Raises:
            UserError: `task` is none of the model's tasks, or is missing.
        """
        names = [spec.name for spec in self.tasks if not spec.kind]
        if not names or (task is None and len(names) > 1) or (task is not None and task not in names):
            raise UserError(
                f"Gato cannot play {task!r}: name one of its tasks, {', '.join(names) or 'of which it has none'}."
            )
        self.eval()
        index = self.tasks.index(self.task(names[0] if task is None else task))
        rolling = self.rolls(self.tasks[index]) and isinstance(self.transformer, Caches)
        return (Rolling if rolling else Recomputing)(self, index, episodes, seed)

    def rolls(self, task: Spec) -> bool:
        """Whether a task is played with the rolling memory, which reaches back beyond a window: with `auto` where
        windows are long enough for it not to matter."""
        long = self.task_config(task).context >= LONG
        return self.config.memory == "rolling" or (self.config.memory == "auto" and long)

    def forward(self, sequence: TokenSequence) -> Float[Tensor, "B L D"]:
        """Hidden states at every position."""
        return self.transformer(self.embedding(sequence))


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
