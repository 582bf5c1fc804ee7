"""Gato as GIA documents it: a dictionary of modalities in, logits over all ids and a loss out.

    from gato.compat.gia import Gato
    gato = Gato(Config(layout="shared", text=True, images=True))
    output = gato({"continuous_observations": ..., "continuous_actions": ...})
    output.logits  # (B, L, 33025)
    output.loss

Source   the README of huggingface/gia (now jat): keys and shapes
Differs  the paper's order (GIA puts images last), no mu-law on actions, the separator is no target

Keys     text_, discrete_, continuous_ and image_observations and discrete_ and continuous_actions: (B, T, n), text as
         ids, images as patches (B, T, n, C, 16, 16) or whole (B, T, C, H, W) uint8; patches_positions (B, T, n, 2, 2)
         if images are patches. <key>_attention_mask, (B, T) or (B, T, n), is False at padding, <key>_loss_mask at
         tokens that the loss leaves out. Other keys of a data loader (rewards, dones) are ignored.

Shapes   B sequences, T timesteps, n tokens of one modality, L tokens, V ids
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from gato import model
from gato.patches import scaled
from gato.stream import (
    TARGET_TYPES,
    TokenBlock,
    TokenSequence,
    TokenType,
    action_block,
    build,
    image_block,
    separator_block,
    tensor_bins,
)
from gato.tokens import TEXT_IDS
from trajectories.errors import UserError

OBSERVATIONS = ("text_observations", "image_observations", "continuous_observations", "discrete_observations")
ACTIONS = ("continuous_actions", "discrete_actions")  # lexicographic, as the observations' tensors


@dataclass(frozen=True)
class Output:
    """Output for a batch; `loss` is the mean cross-entropy of the tokens in `loss_mask`."""

    logits: Tensor  # (B, L, V): position i predicts token i + 1
    loss: Tensor
    tokens: Tensor  # (B, L)
    attention_mask: Tensor  # (B, L) bool
    loss_mask: Tensor  # (B, L) bool


class Gato(model.Gato):
    """Gato that takes GIA's batches; needs `Config(layout="shared")`, and `text` and `images` for such inputs."""

    def forward(self, batch: Mapping[str, Tensor]) -> Output:  # type: ignore[override]
        """Logits at every position, and the loss.

        Raises:
            UserError: the layout is not shared, the batch has no observations, or a value has no token.
        """
        if self.layout.name != "shared":
            raise UserError(
                f"Batches of modalities need 33,025 ids, but this Gato has {self.layout.size}: layout shared."
            )
        blocks = {key: _block(key, batch, self) for key in (*OBSERVATIONS, *ACTIONS) if key in batch}
        observed = [key for key in blocks if key in OBSERVATIONS]
        if not observed:
            raise UserError(f"The batch has none of {', '.join(OBSERVATIONS)}, only {', '.join(batch)}: add one.")
        valid = {key: _mask(f"{key}_attention_mask", batch, block.ids) for key, block in blocks.items()}
        target = {
            key: _mask(f"{key}_loss_mask", batch, block.ids) & (block.token_type in TARGET_TYPES)
            for key, block in blocks.items()
        }
        first = blocks[observed[0]]
        blocks["separator"] = separator_block(first, self.layout)
        valid["separator"] = torch.stack([valid[key].any(dim=2) for key in observed]).any(dim=0)[:, :, None]
        target["separator"] = torch.zeros_like(valid["separator"])
        order = [*observed, "separator", *(key for key in ACTIONS if key in blocks)]
        batch_size, steps = first.ids.shape[:2]
        ones = torch.ones(batch_size, steps, dtype=torch.bool, device=first.ids.device)
        timesteps = torch.arange(steps, device=ones.device).expand(ones.shape)
        sequence = build([blocks[key] for key in order], ones, timesteps, self.config.action_positions)
        is_valid = torch.cat([valid[key] for key in order], dim=2).flatten(1)  # (B, L)
        is_target = torch.cat([target[key] for key in order], dim=2).flatten(1) & is_valid
        is_target[:, 1:] &= is_valid[:, :-1]  # a token is predicted at a valid one before it, hence never the first
        is_target[:, 0] = False
        logits = self.logits(self._hidden(sequence, is_valid), slice(0, self.layout.size))
        loss = cross_entropy(logits[:, :-1][is_target[:, 1:]].float(), sequence.ids[:, 1:][is_target[:, 1:]])
        return Output(logits, loss, sequence.ids, is_valid, is_target)

    def _hidden(self, sequence: TokenSequence, valid: Tensor) -> Tensor:
        """Hidden states in the batch's order, (B, L, D), computed with all padding moved to the end."""
        x = self.embedding(sequence)
        if bool(valid.all()):
            return self.transformer(x)
        order = torch.argsort((~valid).to(torch.uint8), dim=1, stable=True)
        rows = torch.arange(len(x), device=x.device)[:, None]
        return self.transformer(x[rows, order])[rows, order.argsort(dim=1)]


def _mask(name: str, batch: Mapping[str, Tensor], ids: Tensor) -> Tensor:
    """A mask of timesteps, (B, T), or of tokens, (B, T, n), as one of tokens; all True if the batch has none."""
    mask = batch.get(name, torch.ones(1, dtype=torch.bool, device=ids.device)).bool()
    mask = mask[:, :, None] if mask.ndim == 2 else mask
    if mask.ndim == 3 and (mask.shape[:2] != ids.shape[:2] or mask.shape[2] not in (1, ids.shape[2])):
        raise UserError(
            f"{name} is {tuple(mask.shape)}, but its tokens are {tuple(ids.shape)}: give (B, T) or (B, T, n)."
        )
    return mask.expand(ids.shape)


def _block(key: str, batch: Mapping[str, Tensor], gato: Gato) -> TokenBlock:
    """One modality's tokens."""
    values, layout, config = batch[key], gato.layout, gato.config
    if key in ACTIONS:
        return action_block(values, layout)
    if key == "text_observations":
        if bool(((values < 0) | (values >= TEXT_IDS)).any()):
            raise UserError(f"Text id {int(values.max())} lies outside [0, {TEXT_IDS}): use a smaller vocabulary.")
        return TokenBlock(TokenType.TEXT, values.long())
    if key == "image_observations":
        if values.ndim == 5:
            return image_block(values, config.patch, config.image_channels, gato.pixels_of(values))
        return _patches(values, batch, gato)
    return TokenBlock(TokenType.TENSOR, layout.observations + tensor_bins(values, squeeze=True))


def _patches(values: Tensor, batch: Mapping[str, Tensor], gato: Gato) -> TokenBlock:
    """Patches cut by the caller, (B, T, n, C, 16, 16); their positions may differ from image to image."""
    missing = gato.config.image_channels - values.shape[3]
    if "patches_positions" not in batch or missing < 0 or gato.embedding.patch is None:
        raise UserError(
            f"Image patches of shape {tuple(values.shape[3:])} need patches_positions and a Gato with images=True and "
            f"at least {values.shape[3]} image_channels: give these, or whole uint8 images."
        )
    pixels = scaled(values) if values.dtype == torch.uint8 else values.float()
    pixels = pad(pixels, (0, 0, 0, 0, 0, missing))
    index = torch.arange(values.shape[:3].numel(), device=values.device).reshape(values.shape[:3])
    intervals = batch["patches_positions"].float()
    return TokenBlock(
        TokenType.PATCH, torch.zeros_like(index), patches=pixels.flatten(0, 2), patch_index=index, intervals=intervals
    )
