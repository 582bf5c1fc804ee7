"""From tokens to vectors: a table for ids, a small ResNet for image patches, and positions.

Paper    Reed et al. 2022, arXiv:2205.06175, section 2.2 and appendix C.2
Differs  the patch network's inside is not given in the paper but for "ResNet-v2, GroupNorm, GELU"; ours has one
         block of two 3x3 convolutions by default, halves the patch once, and ends in one linear layer

Shapes   B sequences, L tokens, D width, P patches, U distinct ones, C channels, p side of a patch
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import embedding, pad

from gato.config import Config
from gato.stream import ACTION_POSITION, TEXT_TYPES, TokenSequence, TokenType
from gato.tokens import BINS, TEXT_IDS
from gato.vectors import Vectors
from trajectories.errors import UserError
from trajectories.types import Spec

PATCH_POSITIONS = 128  # rows, and as many columns
SCALE = 0.02  # of what embeddings begin with
ROUND = 64  # patches are encoded in multiples of this many: for every other number oneDNN keeps a program of its own


class Residual(nn.Module):
    """A ResNet-v2 block: normalize, activate, convolve; twice, beside a shortcut."""

    def __init__(self, width: int, groups: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(groups, width),
            nn.GELU(),
            nn.Conv2d(width, width, 3, stride=stride, padding=1),
            nn.GroupNorm(groups, width),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
        )
        self.shortcut = nn.Conv2d(width, width, 1, stride=stride) if stride > 1 else nn.Identity()

    def forward(self, x: Float[Tensor, "P C p p"]) -> Float[Tensor, "P C q q"]:
        return self.shortcut(x) + self.body(x)


class PatchEncoder(nn.Module):
    """One vector for each patch."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, groups = config.patch_width, config.patch_groups
        blocks = [Residual(width, groups, stride=2 if first else 1) for first in _first_of(config.patch_blocks)]
        self.body = nn.Sequential(nn.Conv2d(config.image_channels, width, 3, padding=1), *blocks)
        side = config.patch // 2 if blocks else config.patch
        self.head = nn.Sequential(
            nn.GroupNorm(groups, width), nn.GELU(), nn.Flatten(), nn.Linear(width * side * side, config.width)
        )

    def forward(self, patches: Float[Tensor, "U C p p"]) -> Float[Tensor, "U D"]:
        filled = pad(patches, (0, 0, 0, 0, 0, 0, 0, -len(patches) % ROUND))
        return self.head(self.body(filled))[: len(patches)]


def _first_of(count: int) -> list[bool]:
    return [index == 0 for index in range(count)]


def position_index(intervals: Float[Tensor, "P 2 2"], training: bool) -> Int[Tensor, "P 2"]:
    """The row and column of 128 that stand for a patch: drawn from its interval while training, its middle after."""
    begin, end = torch.floor(intervals * PATCH_POSITIONS + 0.5).long().unbind(2)  # 26 and 51 for 0.2 and 0.4
    if training:
        drawn = torch.rand(begin.shape, device=begin.device) * (end - begin).clamp(min=1)
        index = begin + drawn.long()
    else:
        index = torch.floor((begin + end) / 2 + 0.5).long()
    return index.clamp(0, PATCH_POSITIONS - 1)  # an empty interval at the far edge would fall off the table


class Table(nn.Module):
    """A vector for each id. Text's rows stand apart: robots alone neither need nor update them.

    Args:
        text: rows for text, one for each piece of the tokenizer, or all 32,000.
    """

    def __init__(self, ids: int, width: int, text: int, ordered: bool) -> None:
        super().__init__()
        self.text = nn.Parameter(torch.randn(text, width) * SCALE) if text else None
        values = torch.randn(ids - TEXT_IDS, width) * SCALE
        if ordered:  # every range of 1024 ids but the separator, which is no number
            values[:-1] = torch.cat([ordered_rows(BINS, width) for _ in range(len(values) // BINS)])
        self.values = nn.Parameter(values)

    def forward(self, ids: Int[Tensor, "B L"], text: bool) -> Float[Tensor, "B L D"]:
        """Args:
        text: whether any id may be text; where none is, an id below 32,000 gets some vector that is not used.
        """
        if text:
            pieces = self.pieces
            place = torch.where(ids < TEXT_IDS, ids, ids - TEXT_IDS + len(pieces))
            return embedding(place, torch.cat([pieces, self.values]))
        return embedding((ids - TEXT_IDS).clamp(min=0), self.values)

    def rows(self, ids: slice) -> Float[Tensor, "V D"]:
        """The vectors of a range of ids.

        Raises:
            UserError: this Gato has fewer rows for text.
        """
        if ids.start >= TEXT_IDS:
            return self.values[ids.start - TEXT_IDS : ids.stop - TEXT_IDS]
        if ids.stop <= len(self.pieces):
            return self.pieces[ids]
        if len(self.pieces) < TEXT_IDS:
            raise UserError(f"This Gato has rows for {len(self.pieces):,} pieces only: build it with logits='full'.")
        return torch.cat([self.pieces, self.values])[ids]

    @property
    def pieces(self) -> Float[Tensor, "V D"]:
        """The rows of text.

        Raises:
            UserError: this Gato was built without text.
        """
        if self.text is None:
            raise UserError("This Gato has no rows for text ids: build it with text=True.")
        return self.text


def ordered_rows(count: int, width: int) -> Float[Tensor, "count width"]:
    """Rows that are alike where their numbers are: waves across the range, from a part of one to 32 of them."""
    place = torch.linspace(0, 1, count)[:, None]
    waves = torch.exp(torch.rand(width) * math.log(64)) / 2
    return torch.cos(2 * math.pi * (place * waves + torch.rand(width))) * SCALE * math.sqrt(2)


class Embedding(nn.Module):
    """A vector for each token of a stream. `table` also serves as the output layer."""

    def __init__(
        self, config: Config, ids: int, images: bool, pieces: int, max_episode_steps: int, tasks: tuple[Spec, ...] = ()
    ) -> None:
        super().__init__()
        self.config = config
        text = TEXT_IDS if config.text or config.logits == "full" else pieces
        self.table = Table(ids, config.width, text, config.ordinal_init)
        self.local = nn.Embedding(ACTION_POSITION + 1, config.width) if config.observation_positions else None
        self.timestep = nn.Embedding(max_episode_steps, config.width) if config.timestep_positions else None
        self.patch = PatchEncoder(config) if images else None
        positioned = images and config.patch_positions
        self.rows = nn.Embedding(PATCH_POSITIONS, config.width) if positioned else None
        self.columns = nn.Embedding(PATCH_POSITIONS, config.width) if positioned else None
        self.vectors = Vectors(tasks, config.width) if config.vectors == "embedded" else None
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=SCALE)

    def forward(self, stream: TokenSequence) -> Float[Tensor, "B L D"]:
        x = self.table(stream.ids, text=bool(stream.is_any(TEXT_TYPES).any()))
        if stream.patches is not None:
            x = placed(x, stream, TokenType.PATCH, self.patches(stream))
        if stream.vectors:
            if self.vectors is None:
                raise UserError("This Gato reads each number as a token: build it with vectors='embedded'.")
            x = placed(x, stream, TokenType.VECTOR, self.vectors(stream.vectors))
        x = x + self.positions(stream)
        return x if self.timestep is None else x + self.timestep(stream.timesteps)

    def patches(self, stream: TokenSequence) -> Float[Tensor, "P D"]:
        """What a stream's patches show and where; each distinct one is encoded once."""
        assert stream.patches is not None
        assert stream.patch_index is not None
        assert stream.intervals is not None
        if self.patch is None:
            raise UserError("This Gato has no encoder for image patches: build it with images=True.")
        x = embedding(stream.patch_index, self.patch(stream.patches))
        if self.rows is None or self.columns is None:
            return x
        row, column = position_index(stream.intervals, self.training).unbind(1)
        return x + self.rows(row) + self.columns(column)

    def positions(self, stream: TokenSequence) -> Float[Tensor, "#B L D"] | float:
        """Positions within the timestep; one row where all sequences are laid out alike."""
        if self.local is None:
            return 0.0
        positions = self.local(stream.position)
        if self.config.action_positions == "none":
            positions = positions * (stream.token_types != TokenType.ACTION)[:, :, None]
        return positions


def placed(
    x: Float[Tensor, "B L D"], stream: TokenSequence, token_type: TokenType, rows: Float[Tensor, "n D"]
) -> Float[Tensor, "B L D"]:
    """The tokens of one type replaced by these vectors, in their order."""
    where = (stream.token_types == token_type).expand(stream.ids.shape)
    return x.masked_scatter(where[:, :, None], rows.to(x.dtype))
