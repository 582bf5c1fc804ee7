"""Gato as GIA documents it: a dictionary of modalities in, logits over all ids and a loss out.

    from gato.compat.gia import Arguments, GiaModel, collate_fn, load_mixed_dataset
    args = Arguments(task_names=["babyai-go-to", "mujoco-ant"], batch_size=1)
    loader = DataLoader(load_mixed_dataset(args), shuffle=True, collate_fn=collate_fn)
    output = GiaModel(args)(next(iter(loader)))
    output.logits  # (1, 1014, 33025) of BabyAI, (1, 1008, 33025) of Ant
    output.loss    # about ln 33025 = 10.4 untrained

Source   the README of huggingface/gia (now jat): names, keys and shapes; gia_data.py has the arguments and the data
Differs  the paper's order (GIA puts images last), no mu-law on actions, the separator is no target; GPT-Neo's size, but
         Gato's own transformer: no second table of positions, and every layer attends to all that came before

Keys     text_, discrete_, continuous_ and image_observations, and text_, discrete_ and continuous_actions: (B, T, n).
         Values are floats and integers below 1024, or are tokens already: ids from 32000 to 33023. Text is ids; images
         are patches (B, T, n, C, 16, 16) or whole (B, T, C, H, W) uint8; patches_positions (B, T, n, 2, 2) if images
         are patches. <key>_attention_mask, (B, T) or (B, T, n), is False at padding, <key>_loss_mask at tokens that the
         loss leaves out. Other keys of a data loader (rewards, dones) are ignored
Lists    of such dictionaries, one for each task, are read one after another: GIA's collate_fn makes these

Shapes   B sequences, T timesteps, n tokens of one modality, L tokens, V ids, D width
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from gato import model
from gato.compat.gia_arguments import Arguments, DatasetArguments
from gato.compat.gia_data import MixedDataset, collate_fn, load_mixed_dataset
from gato.config import Config
from gato.embedding import Embedding
from gato.patches import Pixels, distinct, scaled
from gato.stream import (
    TARGET_TYPES,
    TokenBlock,
    TokenSequence,
    TokenType,
    build,
    image_block,
    separator_block,
    tensor_bins,
)
from gato.tokens import BINS, TEXT_IDS, Layout, check_discrete, layout
from trajectories.errors import UserError

__all__ = [
    "Arguments",
    "DatasetArguments",
    "Embeddings",
    "Gato",
    "GiaModel",
    "MixedDataset",
    "Output",
    "collate_fn",
    "load_mixed_dataset",
]

OBSERVATIONS = ("text_observations", "image_observations", "continuous_observations", "discrete_observations")
ACTIONS = ("text_actions", "continuous_actions", "discrete_actions")  # text first, then as the observations' tensors
Modalities = Mapping[str, Tensor]


@dataclass(frozen=True)
class Output:
    """Output for a batch; `loss` is the mean cross-entropy of the tokens in `loss_mask`."""

    logits: Tensor  # (B, L, V): position i predicts token i + 1
    loss: Tensor
    tokens: Tensor  # (B, L)
    attention_mask: Tensor  # (B, L) bool
    loss_mask: Tensor  # (B, L) bool


@dataclass(frozen=True)
class Tokenized:
    """A batch of modalities as a token sequence in the batch's order, padding wherever it stood."""

    sequence: TokenSequence
    valid: Tensor  # (B, L) bool
    target: Tensor  # (B, L) bool: never the first token, nor one behind padding


class Gato(model.Gato):
    """Gato that takes GIA's batches; needs `Config(layout="shared")`, and `text` and `images` for such inputs."""

    def forward(self, batch: Modalities | Sequence[Modalities]) -> Output:  # type: ignore[override]
        """Logits at every position, and the loss.

        Args:
            batch: one dictionary, or a list of them; the shorter sequences of a list are padded at their ends.

        Raises:
            UserError: the layout is not shared, the batch has no observations, or a value has no token.
        """
        if self.layout.name != "shared":
            raise UserError(
                f"Batches of modalities need 33,025 ids, but this Gato has {self.layout.size}: layout shared."
            )
        batches = [batch] if isinstance(batch, Mapping) else list(batch)
        if not batches:
            raise UserError("The list of batches is empty: give one dictionary of modalities at least.")
        parts = [self._one(each) for each in batches]
        length = max(part.tokens.shape[1] for part in parts)
        columns = {
            name: torch.cat([_longer(getattr(part, name), length) for part in parts])
            for name in ("logits", "tokens", "attention_mask", "loss_mask")
        }
        counts = torch.stack([part.loss_mask.sum() for part in parts])
        total = torch.stack([part.loss * count for part, count in zip(parts, counts, strict=True)]).sum()
        return Output(loss=total / counts.sum(), **columns)

    def _one(self, batch: Modalities) -> Output:
        made = tokenize(batch, self.config, self.pixels_of)
        logits = self.logits(self._hidden(made.sequence, made.valid), slice(0, self.layout.size))
        targets = made.sequence.ids[:, 1:][made.target[:, 1:]]
        loss = cross_entropy(logits[:, :-1][made.target[:, 1:]].float(), targets)
        return Output(logits, loss, made.sequence.ids, made.valid, made.target)

    def _hidden(self, sequence: TokenSequence, valid: Tensor) -> Tensor:
        """Hidden states in the batch's order, (B, L, D), computed with all padding moved to the end."""
        x = self.embedding(sequence)
        if bool(valid.all()):
            return self.transformer(x)
        order = torch.argsort((~valid).to(torch.uint8), dim=1, stable=True)
        rows = torch.arange(len(x), device=x.device)[:, None]
        return self.transformer(x[rows, order])[rows, order.argsort(dim=1)]


class GiaModel(Gato):
    """Gato of the size that GIA's arguments name: GPT-Neo-125M's 12 layers unless `embed_dim` makes it narrower."""

    def __init__(self, args: Arguments) -> None:
        super().__init__(config_of(args))
        self.args = args


class Embeddings(nn.Module):
    """The vectors of a batch's tokens, before the sequence model."""

    def __init__(self, args: Arguments) -> None:
        super().__init__()
        self.config = config_of(args)
        self.embedding = Embedding(self.config, layout("shared").size, True, 0, self.config.context)

    def forward(self, batch: Modalities) -> dict[str, Tensor]:
        """embeddings (B, L, D) float32, loss_mask and attention_mask (B, L) bool, and tokens (B, L) int64.

        Patches have no id: their tokens are 0.
        """
        made = tokenize(batch, self.config)
        return {
            "embeddings": self.embedding(made.sequence),
            "loss_mask": made.target,
            "attention_mask": made.valid,
            "tokens": made.sequence.ids,
        }


def config_of(args: Arguments) -> Config:
    """Gato's configuration for GIA's arguments."""
    width = args.width
    return Config(
        layout="shared",
        text=True,
        images=True,
        logits="full",
        alibi=False,
        initializer_range=0.02,
        layers=12,
        heads=12,
        width=width,
        head_width=max(width // 12, 1),
        hidden=4 * width,
        patch=args.patch_size,
        patch_width=args.num_res_channels,
        patch_groups=args.num_groups,
        image_channels=4,  # as GIA, which completes all images to four stacked frames
    )


def tokenize(batch: Modalities, config: Config, pixels_of: Any = lambda images: None) -> Tokenized:
    """A batch's tokens: each step's observations, a separator, and its actions.

    Args:
        pixels_of: gives what normalizes some images (`Gato.pixels_of`); None: as in the paper.

    Raises:
        UserError: the batch has no observations, or a value has no token.
    """
    ids = layout(config.layout)
    batch = {key: torch.as_tensor(values) for key, values in batch.items()}
    blocks = {key: _block(key, batch, config, ids, pixels_of) for key in (*OBSERVATIONS, *ACTIONS) if key in batch}
    observed = [key for key in blocks if key in OBSERVATIONS]
    if not observed:
        raise UserError(f"The batch has none of {', '.join(OBSERVATIONS)}, only {', '.join(batch)}: add one.")
    valid = {key: _mask(f"{key}_attention_mask", batch, block.ids.shape) for key, block in blocks.items()}
    target = {
        key: _mask(f"{key}_loss_mask", batch, block.ids.shape) & (block.token_type in TARGET_TYPES)
        for key, block in blocks.items()
    }
    first = blocks[observed[0]]
    blocks["separator"] = separator_block(first, ids)
    valid["separator"] = torch.stack([valid[key].any(dim=2) for key in observed]).any(dim=0)[:, :, None]
    target["separator"] = torch.zeros_like(valid["separator"])
    order = [*observed, "separator", *(key for key in ACTIONS if key in blocks)]
    batch_size, steps = first.ids.shape[:2]
    ones = torch.ones(batch_size, steps, dtype=torch.bool, device=first.ids.device)
    timesteps = torch.arange(steps, device=ones.device).expand(ones.shape)
    sequence = build([blocks[key] for key in order], ones, timesteps, config.action_positions)
    is_valid = torch.cat([valid[key] for key in order], dim=2).flatten(1)  # (B, L)
    is_target = torch.cat([target[key] for key in order], dim=2).flatten(1) & is_valid
    is_target[:, 1:] &= is_valid[:, :-1]  # a token is predicted at a valid one before it, hence never the first
    is_target[:, 0] = False
    return Tokenized(sequence, is_valid, is_target)


def _mask(name: str, batch: Modalities, shape: torch.Size) -> Tensor:
    """A mask of timesteps, (B, T), or of tokens, (B, T, n), as one of tokens; all True if the batch has none."""
    where = next(iter(batch.values())).device
    mask = batch.get(name, torch.ones(1, dtype=torch.bool, device=where)).bool()
    mask = mask[:, :, None] if mask.ndim == 2 else mask
    if mask.ndim == 3 and (mask.shape[:2] != shape[:2] or mask.shape[2] not in (1, shape[2])):
        raise UserError(f"{name} is {tuple(mask.shape)}, but its tokens are {tuple(shape)}: give (B, T) or (B, T, n).")
    return mask.expand(shape)


def _block(key: str, batch: Modalities, config: Config, ids: Layout, pixels_of: Any) -> TokenBlock:
    """One modality's tokens."""
    values = batch[key]
    if key == "image_observations":
        if values.ndim == 5:
            pixels: Pixels | None = pixels_of(values)
            return image_block(values, config.patch, config.image_channels, pixels)
        return _patches(values, batch, config)
    values = values.flatten(2) if values.ndim > 2 else values.unsqueeze(2)  # (B, T, n)
    valid = _mask(f"{key}_attention_mask", batch, values.shape)
    if key.startswith("text_"):
        outside = valid & ((values < 0) | (values >= TEXT_IDS))
        if bool(outside.any()):
            culprit = values[outside][0].item()
            raise UserError(f"Text id {culprit} lies outside [0, {TEXT_IDS}): use a smaller vocabulary.")
        return TokenBlock(TokenType.TEXT, values.long().masked_fill(~valid, 0))
    if key in ACTIONS:
        return TokenBlock(TokenType.ACTION, _value_ids(key, values, valid, ids.actions, squeeze=False))
    return TokenBlock(TokenType.TENSOR, _value_ids(key, values, valid, ids.observations, squeeze=True))


def _value_ids(key: str, values: Tensor, valid: Tensor, begin: int, squeeze: bool) -> Tensor:
    """The ids of numbers, or of what is ids already, (B, T, n)."""
    if values.is_floating_point():
        return begin + tensor_bins(values, squeeze)
    values, shown = values.long(), values[valid]
    if key.startswith("discrete") and bool((shown < begin).any()):
        return begin + check_discrete(values.masked_fill(~valid, 0))
    outside = (shown < begin) | (shown >= begin + BINS)
    if bool(outside.any()):
        raise UserError(
            f"{key} holds the integer {int(shown[outside][0])}, which is no token: give numbers as floats, or ids from "
            f"{begin} to {begin + BINS - 1}."
        )
    return values.masked_fill(~valid, begin)


def _patches(values: Tensor, batch: Modalities, config: Config) -> TokenBlock:
    """Patches cut by the caller, (B, T, n, C, 16, 16); their positions may differ from image to image."""
    missing = config.image_channels - values.shape[3]
    if "patches_positions" not in batch or missing < 0 or not config.images:
        raise UserError(
            f"Image patches of shape {tuple(values.shape[3:])} need patches_positions and a Gato with images=True and "
            f"at least {values.shape[3]} image_channels: give these, or whole uint8 images."
        )
    flat = values.flatten(0, 2)  # (P, C, p, p)
    one, which = distinct(flat, torch.zeros(len(flat), dtype=torch.long, device=flat.device))
    pixels = scaled(flat[one]) if values.dtype == torch.uint8 else flat[one].float()
    return TokenBlock(
        TokenType.PATCH,
        torch.zeros(values.shape[:3], dtype=torch.long, device=values.device),
        patches=pad(pixels, (0, 0, 0, 0, 0, missing)),
        patch_index=which.reshape(values.shape[:3]),
        intervals=batch["patches_positions"].float(),
    )


def _longer(column: Tensor, length: int) -> Tensor:
    """A (B, L, ...) column padded at its end to `length`."""
    return pad(column, (*[0, 0] * (column.ndim - 2), 0, length - column.shape[1]))
