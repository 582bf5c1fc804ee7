"""Gato as gato-torch and gato-tf document it: arrays of tokens in, hidden states out.

    from gato.compat.gato_torch import Gato, GatoConfig
    gato = Gato(input_dim=768, img_patch_size=16, num_transformer_blocks=8, num_attention_heads=24, ...)
    gato = Gato(GatoConfig.small())                # or baseline(), large(): the paper's three sizes
    hidden = gato((input_ids, (encoding, row_pos, col_pos), (position, mask)))

Source   the READMEs of kyegomez/GATO and OrigamiDream/gato: arguments and shapes. Their example has 44 tokens but
         describes 12 of them, so that it cannot run; here every array describes every token.

`input_ids` has one row of `input_dim` numbers for each token: an image patch's pixels, (patch, patch, channels)
row-major, scaled by the caller; or one value repeated, as in `torch.full((1, 1, 768), 0.25)`. `encoding` is 0 for a
patch, 1 for a continuous value, 2 for a discrete one. `row_pos` and `col_pos` are pairs (from, to), as fractions of the
image. `position` counts within the timestep; `mask` is 1 for observations and 0 for actions.

Shapes   B sequences, L tokens, I numbers of one token
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from gato import model
from gato.config import Config, preset
from gato.stream import ACTION_POSITION, TokenSequence, TokenType
from gato.tokens import BINS, TEXT_IDS, Layout, check_discrete, to_bins
from trajectories.errors import UserError

Inputs = tuple[Tensor, tuple[Tensor, tuple[Tensor, Tensor], tuple[Tensor, Tensor]], tuple[Tensor, Tensor]]

PATCH, CONTINUOUS, DISCRETE = 0, 1, 2
CONSTANTS = (
    "vocabulary_size",
    "actions_size",
    "continuous_values_size",
    "discretize_depth",
    "local_position_encoding_size",
)


@dataclass(frozen=True)
class GatoConfig:
    """gato-torch's arguments; the two lengths are ignored, since nothing here depends on a sequence's length."""

    input_dim: int = 768
    img_patch_size: int = 16
    token_sequence_length: int = 1024
    vocabulary_size: int = TEXT_IDS
    actions_size: int = BINS
    continuous_values_size: int = BINS
    num_transformer_blocks: int = 8
    num_attention_heads: int = 24
    layer_width: int = 768
    feedforward_hidden_size: int = 3072
    key_value_size: int = 32
    dropout_rate: float = 0.1
    num_group_norm_groups: int = 32
    discretize_depth: int = 128
    local_position_encoding_size: int = ACTION_POSITION
    max_seq_len: int = 8192

    @staticmethod
    def small() -> "GatoConfig":
        """The paper's 79M."""
        return GatoConfig.of_size("79M")

    @staticmethod
    def baseline() -> "GatoConfig":
        """The paper's 364M."""
        return GatoConfig.of_size("364M")

    @staticmethod
    def large() -> "GatoConfig":
        """The paper's 1.18B."""
        return GatoConfig.of_size("1.18B")

    @staticmethod
    def of_size(name: str) -> "GatoConfig":
        """One of the paper's sizes under gato-torch's names."""
        size = preset(name)
        return GatoConfig(
            num_transformer_blocks=size.layers,
            num_attention_heads=size.heads,
            layer_width=size.width,
            feedforward_hidden_size=size.hidden,
            key_value_size=size.head_width,
        )


class Gato(model.Gato):
    """Gato with gato-torch's arguments and inputs.

    Args:
        config: all arguments; None: their defaults.
        arguments: those of `GatoConfig`'s fields that are not as in `config`. `input_dim` is the numbers of one token:
            a patch's pixels, so a multiple of `img_patch_size` squared.

    `vocabulary_size`, `actions_size`, `continuous_values_size`, `discretize_depth` and `local_position_encoding_size`
    are constants here, and accepted with their default value only.

    Raises:
        UserError: one of the constants has another value, or `input_dim` is no number of whole pixels.
    """

    def __init__(self, config: GatoConfig | None = None, **arguments: Any) -> None:
        config = replace(config or GatoConfig(), **arguments)
        for name in CONSTANTS:
            value, constant = getattr(config, name), getattr(GatoConfig, name)
            if value != constant:
                raise UserError(f"{name} is {value}, but Gato's token table is fixed at {constant}: leave it out.")
        side = config.img_patch_size
        channels, rest = divmod(config.input_dim, side**2)
        if rest or channels == 0:
            raise UserError(
                f"input_dim is {config.input_dim}, no multiple of {side}x{side} pixels: 768 is three channels."
            )
        super().__init__(
            Config(
                layers=config.num_transformer_blocks,
                heads=config.num_attention_heads,
                width=config.layer_width,
                hidden=config.feedforward_hidden_size,
                head_width=config.key_value_size,
                dropout=config.dropout_rate,
                patch=side,
                patch_groups=config.num_group_norm_groups,
                image_channels=channels,
                images=True,
                text=True,
            )
        )

    def forward(self, inputs: Inputs) -> Float[Tensor, "B L D"]:  # type: ignore[override]
        """Hidden states; see the module's docstring, and `token_sequence` for what it raises."""
        return super().forward(token_sequence(inputs, self.config, self.layout))


def token_sequence(inputs: Inputs, config: Config, layout: Layout) -> TokenSequence:
    """The arrays as a token sequence.

    Raises:
        UserError: an array does not describe every token, an encoding is unknown, or a value has no token.
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
    is_action = mask == 0
    is_patch = encoding == PATCH
    edges = torch.stack([torch.stack([edge.expand(shape) for edge in pair], -1) for pair in (row_pos, col_pos)], -2)
    pixels = rearrange(
        input_ids[is_patch], "n (p q c) -> n c p q", p=config.patch, q=config.patch, c=config.image_channels
    )
    return TokenSequence(
        ids=_ids(input_ids[:, :, 0], encoding, is_action, layout),
        token_types=torch.where(is_patch, TokenType.PATCH, torch.where(is_action, TokenType.ACTION, TokenType.TENSOR)),
        position=torch.where(is_action, ACTION_POSITION, position.long()),
        timesteps=torch.zeros(shape, dtype=torch.long, device=input_ids.device),
        valid=torch.ones(shape, dtype=torch.bool, device=input_ids.device),
        patches=pixels if len(pixels) else None,
        patch_index=torch.arange(len(pixels), device=pixels.device) if len(pixels) else None,
        intervals=edges[is_patch].float() if len(pixels) else None,
    )


def _ids(values: Tensor, encoding: Tensor, is_action: Tensor, layout: Layout) -> Tensor:
    """The id of each value, (B, L); observations and actions may have their own ids."""
    ids = torch.zeros(values.shape, dtype=torch.long, device=values.device)
    for of_actions, begin in ((False, layout.observations), (True, layout.actions)):
        continuous = (encoding == CONTINUOUS) & (is_action == of_actions)
        discrete = (encoding == DISCRETE) & (is_action == of_actions)
        ids[continuous] = begin + to_bins(values[continuous], squeeze=not of_actions)
        ids[discrete] = begin + check_discrete(values[discrete].round().long())
    return ids
