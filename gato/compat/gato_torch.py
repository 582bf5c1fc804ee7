"""The raw form that gato-torch and gato-tf document: arrays of tokens in, hidden states out.

    gato = Gato(input_dim=768, img_patch_size=16, num_transformer_blocks=8, num_attention_heads=24, ...)
    hidden = gato((input_ids, (encoding, row_pos, col_pos), (position, mask)))

Source   the READMEs of kyegomez/GATO and OrigamiDream/gato, whose arguments and shapes these are. Their example names
         44 tokens but describes 12 of them, so that it cannot run; here every array describes every token.

`input_ids` has one row of `input_dim` numbers for each token: an image patch's pixels, (patch, patch, channels)
row-major, already scaled as the caller likes; or one value repeated, as in `torch.full((1, 1, 768), 0.25)`. `encoding`
says which: 0 a patch, 1 a continuous value, raw, 2 a discrete value. `row_pos` and `col_pos` are pairs (from, to) of
shares of the image. `position` counts within the timestep; `mask` is 1 for what is observed and 0 for what is done.

Shapes   B sequences, L tokens, I numbers of one token
"""

from dataclasses import replace
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from gato.config import Config
from gato.stream import ACTION_POSITION, TokenSequence, TokenType
from gato.tokens import BINS, TEXT_IDS, Layout, check_discrete, to_bins
from trajectories.errors import UserError

Raw = tuple[Tensor, tuple[Tensor, tuple[Tensor, Tensor], tuple[Tensor, Tensor]], tuple[Tensor, Tensor]]

PATCH, CONTINUOUS, DISCRETE = 0, 1, 2

# gato-torch's names for our options
NAMES = {
    "img_patch_size": "patch",
    "num_transformer_blocks": "layers",
    "num_attention_heads": "heads",
    "layer_width": "width",
    "feedforward_hidden_size": "hidden",
    "key_value_size": "head_width",
    "dropout_rate": "dropout",
    "num_group_norm_groups": "patch_groups",
}
# and those that are constants of the design here: accepted as long as they say the same
FIXED = {
    "vocabulary_size": TEXT_IDS,
    "actions_size": BINS,
    "continuous_values_size": BINS,
    "discretize_depth": 128,
    "local_position_encoding_size": ACTION_POSITION,
}
UNLIMITED = ("token_sequence_length", "max_seq_len")  # nothing here depends on a sequence's length


def config_of(config: Config | None, **arguments: Any) -> Config:
    """Our configuration for gato-torch's arguments.

    Raises:
        UserError: an argument is unknown, or changes what is a constant here.
    """
    changes: dict[str, Any] = {"images": True, "text": True}
    size = arguments.pop("input_dim", None)
    for name, value in arguments.items():
        if name in NAMES:
            changes[NAMES[name]] = value
        elif name not in UNLIMITED and name not in FIXED:
            raise UserError(f"Gato has no argument {name!r}: use one of {', '.join([*NAMES, *FIXED, *UNLIMITED])}.")
        elif name in FIXED and value != FIXED[name]:
            raise UserError(f"{name} is {value}, but Gato's token table is fixed at {FIXED[name]}: leave it out.")
    config = replace(config or Config(), **changes)
    if size is None:
        return config
    channels, rest = divmod(size, config.patch**2)
    if rest or channels == 0:
        raise UserError(
            f"input_dim is {size}, no multiple of {config.patch}x{config.patch} pixels: 768 is three channels."
        )
    return replace(config, image_channels=channels)


def stream_of(inputs: Raw, config: Config, layout: Layout) -> TokenSequence:
    """The raw form as a stream.

    Raises:
        UserError: an array does not describe every token, an encoding is none of the three, or a value has no token.
    """
    input_ids, (encoding, row_pos, col_pos), (position, mask) = inputs
    shape = input_ids.shape[:2]
    described = {"encoding": encoding, "position": position, "mask": mask}
    described |= {f"row_pos[{i}]": edge for i, edge in enumerate(row_pos)}
    described |= {f"col_pos[{i}]": edge for i, edge in enumerate(col_pos)}
    for name, column in described.items():
        if column.shape[-1] != shape[1]:
            raise UserError(f"{name} describes {column.shape[-1]} tokens, but input_ids has {shape[1]}: describe each.")
    encoding, position, mask = (column.expand(shape) for column in (encoding, position, mask))
    if not bool(((encoding >= PATCH) & (encoding <= DISCRETE)).all()):
        raise UserError(
            f"encoding {int(encoding.max())} is unknown: use 0 for patches, 1 continuous, 2 discrete values."
        )
    done = mask == 0
    is_patch = encoding == PATCH
    edges = torch.stack([torch.stack([edge.expand(shape) for edge in pair], -1) for pair in (row_pos, col_pos)], -2)
    layout_of = "n (p q c) -> n c p q"
    pixels = rearrange(input_ids[is_patch], layout_of, p=config.patch, q=config.patch, c=config.image_channels)
    return TokenSequence(
        ids=_ids(input_ids[:, :, 0], encoding, done, layout),
        token_types=torch.where(is_patch, TokenType.PATCH, torch.where(done, TokenType.ACTION, TokenType.TENSOR)),
        local=torch.where(done, ACTION_POSITION, position.long()),
        timesteps=torch.zeros(shape, dtype=torch.long, device=input_ids.device),
        real=torch.ones(shape, dtype=torch.bool, device=input_ids.device),
        patches=pixels if len(pixels) else None,
        which=torch.arange(len(pixels), device=pixels.device) if len(pixels) else None,
        intervals=edges[is_patch].float() if len(pixels) else None,
    )


def _ids(values: Tensor, encoding: Tensor, done: Tensor, layout: Layout) -> Tensor:
    """Each value's id, (B, L): by what it is, and by whether it was seen or done."""
    ids = torch.zeros(values.shape, dtype=torch.long, device=values.device)
    for acted, begin in ((False, layout.observations), (True, layout.actions)):
        continuous = (encoding == CONTINUOUS) & (done == acted)
        discrete = (encoding == DISCRETE) & (done == acted)
        ids[continuous] = begin + to_bins(values[continuous], squeeze=not acted)
        ids[discrete] = begin + check_discrete(values[discrete].round().long())
    return ids
