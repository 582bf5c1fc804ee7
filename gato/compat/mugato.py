"""Gato as mugato documents it: examples of several episodes, collated to (B, E, T, C), embedded to (B, E T, D).

    from gato.compat.mugato import Mugato, collate
    batch = collate(examples)                      # mission (2, 3, 4, 1), image (2, 3, 256, 768), action (2, 3, 1, 1)
    mugato = Mugato()                              # or Mugato(nn.GRU(768, 768, batch_first=True)), or any other
    mugato.embed(batch)                            # (2, 783, 768)
    logits, loss = mugato(batch)

Source   the README of eihli/mugato: keys, shapes and what is padded. Some of its lines cannot run
         (`arange(8).view(1, 7, 1)`, missions with 768 channels); what they show is what is meant here
Ids      of one table of 33,025: text from 0, values from 32000, the separator 33024 (mugato: 51,281, GPT-2's and 1024).
         Integers of `action` below 1024 are discrete actions, and other keys' integers are ids as they stand
Images   patches of 16x16 pixels by Gato's own small ResNet (mugato: ResNetV2 of 16 blocks), raster order, as they come
Differs  Gato's positions are added: of a token in its episode's step, of a patch in its image. What is padding is
         known, lies where causality hides it, and is no target. Text and actions are targets
Training on several GPUs is `torchrun --nproc-per-node 2 experiments/run.py --model gato --env minigrid-fourrooms`

Shapes   B examples, E episodes (mugato's word: steps of a task, or one text), T tokens of one key, C channels,
         L tokens, D width, N patches
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from gato.compat import gia
from gato.config import Config
from gato.patches import patch_intervals
from gato.stream import TokenBlock, TokenType, build
from gato.text import shipped
from gato.tokens import BINS, layout
from trajectories.errors import UserError

SIDE, CHANNELS = 16, 3  # of a patch: 768 numbers
IDS = layout("shared")


class Padded(dict[str, Tensor]):
    """A collated batch: (B, E, T, C) for each key; `masks` has (B, E, T) for each, True where nothing is padding."""

    masks: dict[str, Tensor]


def collate(examples: Sequence[Mapping[str, Tensor | str]]) -> Padded:
    """Examples as one batch, padded with zeros to the most episodes and, for each key, the most tokens.

    Args:
        examples: (E, T, C) for each key: ids have one channel, patches 768. A string is one episode of its ids.

    Raises:
        UserError: there are no examples, they have different keys, or the shapes of one key do not fit.
    """
    if not examples or not examples[0]:
        raise UserError("There is no example to collate: give dictionaries of mission, image, action or text.")
    made = [{key: _tensor(key, value) for key, value in example.items()} for example in examples]
    episodes = max(value.shape[0] for example in made for value in example.values())
    batch, batch.masks = Padded(), {}
    for key in made[0]:
        if missing := next((place for place, example in enumerate(made) if set(example) != set(made[0])), None):
            raise UserError(
                f"Example {missing} has {', '.join(made[missing])}, the first {', '.join(made[0])}: sort them."
            )
        column = [example[key] for example in made]
        if len({value.shape[2] for value in column}) > 1:
            raise UserError(f"Examples differ in the channels of {key}: {', '.join(str(v.shape[2]) for v in column)}.")
        most = max(value.shape[1] for value in column)
        room = [(0, 0, 0, most - value.shape[1], 0, episodes - value.shape[0]) for value in column]
        batch[key] = torch.stack([pad(value, each) for value, each in zip(column, room, strict=True)])
        real = [
            pad(torch.ones(value.shape[:2], dtype=torch.bool), each[2:])
            for value, each in zip(column, room, strict=True)
        ]
        batch.masks[key] = torch.stack(real)
    return batch


def _tensor(key: str, value: Tensor | str) -> Tensor:
    """An example's value as (E, T, C)."""
    if isinstance(value, str):
        return torch.tensor(shipped().encode(value)).reshape(1, -1, 1)
    if value.ndim != 3:
        raise UserError(f"{key} has the shape {tuple(value.shape)}: give (episodes, tokens, channels).")
    return value


class Mugato(gia.Gato):
    """Gato around any sequence model.

    Args:
        sequence_model: causal, (B, L, D) -> (B, L, D); modules that also return their last state, as `nn.GRU` does,
            may be given as they are. None: Gato's transformer.
        n_embd, n_layer, n_head: mugato's names of width, layers and heads; the latter two are our transformer's.
    """

    def __init__(
        self, sequence_model: nn.Module | None = None, *, n_embd: int = 768, n_layer: int = 4, n_head: int = 4
    ) -> None:
        config = Config(
            layout="shared",
            logits="full",
            text=True,
            images=True,
            width=n_embd,
            layers=n_layer,
            heads=n_head,
            head_width=max(n_embd // n_head, 1),
            hidden=4 * n_embd,
        )
        super().__init__(config, transformer=None if sequence_model is None else Outputs(sequence_model))

    def embed(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(B, E T, D) float32: the keys' tokens side by side in the batch's order, episodes one after another.

        Raises:
            UserError: a value has no token, or its channels are neither 1 nor 768.
        """
        return self.embedding(self.tokens(batch).sequence)

    def forward(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Logits of each next token, (B, E T, 33025), and the mean cross-entropy of text and actions."""
        made = self.tokens(batch)
        logits = self.logits(self._hidden(made.sequence, made.valid), slice(0, self.layout.size))
        target = made.target[:, 1:]
        return logits, cross_entropy(logits[:, :-1][target].float(), made.sequence.ids[:, 1:][target])

    def tokens(self, batch: Mapping[str, Tensor]) -> gia.Tokenized:
        """A batch's tokens, and which of them are padding and targets."""
        first = next(iter(batch.values()))
        steps = torch.ones(first.shape[:2], dtype=torch.bool, device=first.device)
        blocks = [_block(key, values) for key, values in batch.items()]
        sequence = build(blocks, steps, torch.arange(steps.shape[1], device=first.device).expand(steps.shape))
        masks = batch.masks if isinstance(batch, Padded) else {}
        real = [masks.get(key, torch.ones(values.shape[:3], dtype=torch.bool)) for key, values in batch.items()]
        valid = torch.cat(real, dim=2).flatten(1).to(first.device)
        target = valid & sequence.is_target()
        target[:, 0] = False  # nothing comes before it
        target[:, 1:] &= valid[:, :-1]
        return gia.Tokenized(sequence, valid, target)


class Outputs(nn.Module):
    """A sequence model's outputs without its last state."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        found = self.module(x)
        return found[0] if isinstance(found, tuple) else found


def _block(key: str, values: Tensor) -> TokenBlock:
    """One key's tokens."""
    numbers = SIDE * SIDE * CHANNELS
    if values.ndim != 4 or values.shape[3] not in (1, numbers):
        raise UserError(f"{key} has the shape {tuple(values.shape)}: give (B, E, T, C) with 1 channel or {numbers}.")
    if values.shape[3] == numbers:
        return _patches(values)
    if values.is_floating_point():
        raise UserError(f"{key} holds floats with one channel, which are no ids: tokenize them first.")
    ids = values[..., 0]
    if key == "action" and bool((ids < BINS).all()):
        ids = ids + IDS.actions
    outside = (ids < 0) | (ids >= IDS.size)
    if bool(outside.any()):
        raise UserError(f"{key} holds the id {int(ids[outside][0])}, but there are {IDS.size:,}: give lower ones.")
    return TokenBlock(TokenType.ACTION if key == "action" else TokenType.TEXT, ids)


def _patches(values: Tensor) -> TokenBlock:
    """Patches, (B, E, N, 768), of square images where N is a square number, else of one row."""
    batch, episodes, count, _ = values.shape
    side = math.isqrt(count)
    high, wide = (side, side) if side * side == count else (1, count)
    index = torch.arange(values.shape[:3].numel(), device=values.device).reshape(values.shape[:3])
    intervals = patch_intervals(high * SIDE, wide * SIDE, SIDE).to(values.device)
    return TokenBlock(
        TokenType.PATCH,
        torch.zeros_like(index),
        patches=values.reshape(-1, CHANNELS, SIDE, SIDE).float(),
        patch_index=index,
        intervals=intervals.expand(batch, episodes, *intervals.shape),
    )
