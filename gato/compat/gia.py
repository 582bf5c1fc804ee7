"""The mixed-modality form that GIA documents: a dictionary of modalities in, logits over all ids and a loss out.

    gato = Gato(Config(layout="shared", text=True, images=True))
    output = gato({"continuous_observations": ..., "continuous_actions": ...})
    output.logits  # (B, L, 33025)
    output.loss

Source   the README of huggingface/gia (now jat), whose keys and shapes these are
Differs  the paper's order (GIA puts images last), no mu-law on actions, the separator is not learnt

Keys     text_, discrete_, continuous_ and image_observations and discrete_ and continuous_actions: (B, T, n), text as
         ids, images as patches (B, T, n, C, 16, 16) or whole (B, T, C, H, W) uint8; patches_positions (B, T, n, 2, 2)
         where images are patches. <key>_attention_mask, (B, T) or (B, T, n), is False at padding, <key>_loss_mask at
         what is not to be learnt. Whatever else a data loader adds (rewards, dones) is ignored.

Shapes   B sequences, T timesteps, n tokens of one modality, L tokens, V ids
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from gato.model import Gato
from gato.patches import scaled
from gato.stream import (
    LEARNT,
    TokenBlock,
    TokenSequence,
    TokenType,
    action_piece,
    build,
    image_piece,
    separator_piece,
    tensor_bins,
)
from gato.tokens import TEXT_IDS
from trajectories.errors import UserError

OBSERVATIONS = ("text_observations", "image_observations", "continuous_observations", "discrete_observations")
ACTIONS = ("continuous_actions", "discrete_actions")  # lexicographic, as the observations' tensors


@dataclass(frozen=True)
class Output:
    """What the model makes of a batch. `loss` is the mean over `loss_mask`, from the position before each token."""

    logits: Tensor  # (B, L, V): position i is about token i + 1
    loss: Tensor
    tokens: Tensor  # (B, L)
    attention_mask: Tensor  # (B, L) bool
    loss_mask: Tensor  # (B, L) bool


def run(model: Gato, batch: Mapping[str, Tensor]) -> Output:
    """Logits at every position, and the loss.

    Raises:
        UserError: the model has the split layout, the batch has nothing to read, or a value has no token.
    """
    if model.layout.name != "shared":
        raise UserError(f"Batches of modalities need 33,025 ids, but this Gato has {model.layout.size}: layout shared.")
    found = {key: _piece(key, batch, model) for key in (*OBSERVATIONS, *ACTIONS) if key in batch}
    seen = [key for key in found if key in OBSERVATIONS]
    if not seen:
        raise UserError(f"The batch has none of {', '.join(OBSERVATIONS)}, only {', '.join(batch)}: add one.")
    real = {key: _mask(f"{key}_attention_mask", batch, piece.ids) for key, piece in found.items()}
    learnt = {key: _mask(f"{key}_loss_mask", batch, piece.ids) & (piece.kind in LEARNT) for key, piece in found.items()}
    first = found[seen[0]]
    found["separator"] = separator_piece(first, model.layout)
    real["separator"] = torch.stack([real[key].any(dim=2) for key in seen]).any(dim=0)[:, :, None]
    learnt["separator"] = torch.zeros_like(real["separator"])
    order = [*seen, "separator", *(key for key in ACTIONS if key in found)]
    batch_size, steps = first.ids.shape[:2]
    ones = torch.ones(batch_size, steps, dtype=torch.bool, device=first.ids.device)
    numbers = torch.arange(steps, device=ones.device).expand(ones.shape)
    stream = build([found[key] for key in order], ones, numbers, model.config.action_positions)
    is_real = torch.cat([real[key] for key in order], dim=2).flatten(1)  # (B, L)
    is_learnt = torch.cat([learnt[key] for key in order], dim=2).flatten(1) & is_real
    is_learnt[:, 1:] &= is_real[:, :-1]  # a token is learned from a real one before it, hence never the first
    is_learnt[:, 0] = False
    logits = model.logits(_hidden(model, stream, is_real), slice(0, model.layout.size))
    loss = cross_entropy(logits[:, :-1][is_learnt[:, 1:]].float(), stream.ids[:, 1:][is_learnt[:, 1:]])
    return Output(logits, loss, stream.ids, is_real, is_learnt)


def _hidden(model: Gato, stream: TokenSequence, real: Tensor) -> Tensor:
    """Hidden states in the batch's own places, (B, L, D); padding, wherever it is, is moved behind what is real."""
    x = model.embedding(stream)
    if bool(real.all()):
        return model.core(x)
    order = torch.argsort((~real).to(torch.uint8), dim=1, stable=True)
    rows = torch.arange(len(x), device=x.device)[:, None]
    return model.core(x[rows, order])[rows, order.argsort(dim=1)]


def _mask(name: str, batch: Mapping[str, Tensor], ids: Tensor) -> Tensor:
    """A mask of timesteps, (B, T), or of tokens, (B, T, n), as one of tokens; True throughout where there is none."""
    mask = batch.get(name, torch.ones(1, dtype=torch.bool, device=ids.device)).bool()
    mask = mask[:, :, None] if mask.ndim == 2 else mask
    if mask.ndim == 3 and (mask.shape[:2] != ids.shape[:2] or mask.shape[2] not in (1, ids.shape[2])):
        raise UserError(
            f"{name} is {tuple(mask.shape)}, but its tokens are {tuple(ids.shape)}: give (B, T) or (B, T, n)."
        )
    return mask.expand(ids.shape)


def _piece(key: str, batch: Mapping[str, Tensor], model: Gato) -> TokenBlock:
    """One modality's tokens."""
    values, layout, config = batch[key], model.layout, model.config
    if key in ACTIONS:
        return action_piece(values, layout)
    if key == "text_observations":
        if bool(((values < 0) | (values >= TEXT_IDS)).any()):
            raise UserError(f"Text id {int(values.max())} lies outside [0, {TEXT_IDS}): use a smaller vocabulary.")
        return TokenBlock(TokenType.TEXT, values.long())
    if key == "image_observations":
        if values.ndim == 5:
            return image_piece(values, config.patch, config.image_channels, model.pixels_of(values))
        return _patches(values, batch, model)
    return TokenBlock(TokenType.TENSOR, layout.observations + tensor_bins(values, squeeze=True))


def _patches(values: Tensor, batch: Mapping[str, Tensor], model: Gato) -> TokenBlock:
    """Patches cut by the caller, (B, T, n, C, 16, 16); their positions may differ from image to image."""
    missing = model.config.image_channels - values.shape[3]
    if "patches_positions" not in batch or missing < 0 or model.embedding.patch is None:
        raise UserError(
            f"Image patches of shape {tuple(values.shape[3:])} need patches_positions and a Gato with images=True and "
            f"at least {values.shape[3]} image_channels: give these, or whole uint8 images."
        )
    pixels = scaled(values) if values.dtype == torch.uint8 else values.float()
    pixels = pad(pixels, (0, 0, 0, 0, 0, missing))
    which = torch.arange(values.shape[:3].numel(), device=values.device).reshape(values.shape[:3])
    where = batch["patches_positions"].float()
    return TokenBlock(
        TokenType.PATCH, torch.zeros_like(which), patches=pixels.flatten(0, 2), which=which, intervals=where
    )
