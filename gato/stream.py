"""The one stream of tokens: a timestep's parts in the paper's order, and timesteps one after another.

Order    text, image patches, tensors (nested keys in lexicographic order), separator, action
Learnt   text and actions; never what was observed otherwise, never the separator

Shapes   B sequences, T timesteps, n tokens of one part, K tokens of one timestep, L = T K tokens, P patches in all,
         U distinct ones
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from itertools import accumulate
from typing import Any

import torch
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor, device

from backbone.images import channels_first
from gato.patches import Pixels, patch_intervals, to_patches
from gato.text import Text
from gato.tokens import Layout, check_discrete, to_bins
from trajectories.errors import UserError

OBSERVATION_POSITIONS = 512
ACTION_POSITION = OBSERVATION_POSITIONS  # the row that all action tokens share


class TokenType(IntEnum):
    TEXT = 0
    PATCH = 1
    TENSOR = 2
    SEPARATOR = 3
    ACTION = 4


LEARNT = (TokenType.TEXT, TokenType.ACTION)


@dataclass(frozen=True)
class TokenBlock:
    """One part of every timestep: tokens of one kind."""

    kind: TokenType
    ids: Int[Tensor, "B T n"]  # 0 at patches, which have no id
    real: Bool[Tensor, "B T n"] | None = None  # None: all of them; text is padded to its longest
    patches: Any = None  # (U, C, p, p) float, of the kind PATCH only, as what follows
    which: Any = None  # (B, T, n), of the patches
    intervals: Any = None  # (B, T, n, 2, 2) float


@dataclass(frozen=True)
class TokenSequence:
    """B sequences of L tokens; whatever is not `real` lies behind everything that is, so that causality hides it.

    `kinds` and `local` have one row where all sequences are laid out alike.
    """

    ids: Int[Tensor, "B L"]
    token_types: Int[Tensor, "#B L"]
    local: Int[Tensor, "#B L"]  # position within the timestep's observation; ACTION_POSITION for actions
    timesteps: Int[Tensor, "B L"]
    real: Bool[Tensor, "B L"]
    patches: Float[Tensor, "U C p p"] | None = None
    which: Int[Tensor, "P"] | None = None  # of the patches, for all positions of kind PATCH, in order
    intervals: Float[Tensor, "P 2 2"] | None = None  # likewise

    def to(self, where: device | str) -> "TokenSequence":
        moved: dict[str, Any] = {name: None if x is None else x.to(where) for name, x in vars(self).items()}
        return TokenSequence(**moved)

    def learnt(self) -> Bool[Tensor, "#B L"]:
        """Where the kind of token is one that is learned."""
        return sum((self.token_types == kind for kind in LEARNT), torch.zeros_like(self.token_types, dtype=torch.bool))


def leaves(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The leaves of nested dictionaries, keys in lexicographic order at every level."""
    if isinstance(tree, Mapping):
        for key in sorted(tree):
            yield from leaves(tree[key], (*path, key))
    else:
        yield path, tree


def observation_pieces(
    tree: Any,
    layout: Layout,
    side: int = 16,
    channels: int = 3,
    text: Text | None = None,
    pixels: Callable[[Tensor], Pixels | None] = lambda images: None,
) -> list[TokenBlock]:
    """What was seen, in order: text, then images, then tensors.

    Args:
        tree: a leaf, or nested dictionaries of leaves, each (B, T, ...): uint8 with two or three further axes is an
            image, other integers are discrete, floats are continuous; B lists of T strings are text.
        channels: of the model's patches; images with fewer are completed with zeros.
        pixels: how the pixels of some images become numbers; None for the paper's way.

    Raises:
        UserError: a value has no token, or an image no channels.
    """
    found: dict[TokenType, list[TokenBlock]] = {TokenType.TEXT: [], TokenType.PATCH: [], TokenType.TENSOR: []}
    for _, leaf in leaves(tree):
        if isinstance(leaf, list):
            piece = text_piece(leaf, text or Text())
        elif leaf.dtype == torch.uint8 and leaf.ndim >= 4:
            piece = image_piece(leaf, side, channels, pixels(leaf))
        else:
            piece = TokenBlock(TokenType.TENSOR, layout.observations + tensor_bins(leaf, squeeze=True))
        found[piece.kind].append(piece)
    return [piece for kind in (TokenType.TEXT, TokenType.PATCH, TokenType.TENSOR) for piece in found[kind]]


def tensor_bins(values: Tensor, squeeze: bool) -> Int[Tensor, "B T n"]:
    """Bins of (B, T, ...) values, row-major."""
    flat = values.flatten(2) if values.ndim > 2 else values.unsqueeze(2)
    return to_bins(flat, squeeze) if flat.is_floating_point() else check_discrete(flat)


def action_piece(actions: Tensor, layout: Layout) -> TokenBlock:
    """What was done, (B, T, *act): continuous actions are binned as they are, without mu-law."""
    return TokenBlock(TokenType.ACTION, layout.actions + tensor_bins(actions, squeeze=False))


def separator_piece(like: TokenBlock, layout: Layout) -> TokenBlock:
    return TokenBlock(TokenType.SEPARATOR, torch.full_like(like.ids[:, :, :1], layout.separator))


def image_piece(images: Tensor, side: int, channels: int, pixels: Pixels | None = None) -> TokenBlock:
    images = channels_first(images)
    patches, which = to_patches(images, side, channels, pixels)
    high, wide = images.shape[-2:]
    intervals = patch_intervals(high, wide, side).to(images.device).expand(*which.shape, 2, 2)
    return TokenBlock(TokenType.PATCH, torch.zeros_like(which), patches=patches, which=which, intervals=intervals)


def text_piece(texts: list[list[str]], tokenizer: Text) -> TokenBlock:
    """B lists of T strings, each padded to the longest."""
    encoded = [[tokenizer.encode(text) for text in row] for row in texts]
    longest = max((len(ids) for row in encoded for ids in row), default=0)
    ids = torch.tensor([[ids + [0] * (longest - len(ids)) for ids in row] for row in encoded])  # (B, T, n)
    lengths = torch.tensor([[len(ids) for ids in row] for row in encoded])
    return TokenBlock(TokenType.TEXT, ids.long(), real=torch.arange(longest) < lengths[:, :, None])


def build(
    pieces: list[TokenBlock], mask: Bool[Tensor, "B T"], timesteps: Int[Tensor, "B T"], action_positions: str = "shared"
) -> TokenSequence:
    """Lay the timesteps' parts side by side and the timesteps one after another.

    Args:
        mask: timesteps that are real; these must come first unless text makes the stream ragged.
        action_positions: "own" counts actions on behind the separator; otherwise they share one position.

    Raises:
        UserError: one timestep observes more than the 512 tokens that have a position.
    """
    steps, where = mask.shape[1], mask.device
    token_types = torch.cat([torch.full((piece.ids.shape[2],), piece.kind, device=where) for piece in pieces])  # (K,)
    local = torch.arange(len(token_types), device=where)
    if action_positions != "own":
        local = local.masked_fill(token_types == TokenType.ACTION, ACTION_POSITION)
    needed = len(token_types) if action_positions == "own" else int((token_types != TokenType.ACTION).sum())
    if needed > OBSERVATION_POSITIONS:
        raise UserError(f"One timestep needs {needed} positions, but there are {OBSERVATION_POSITIONS}: observe less.")
    real = repeat(mask, "b t -> b (t k)", k=len(token_types))
    patched = [piece for piece in pieces if piece.kind == TokenType.PATCH]
    begins = accumulate((len(piece.patches) for piece in patched), initial=0)
    stream = TokenSequence(
        ids=rearrange(torch.cat([piece.ids for piece in pieces], dim=2), "b t k -> b (t k)"),
        token_types=token_types.repeat(steps)[None],
        local=local.repeat(steps)[None],
        timesteps=repeat(timesteps, "b t -> b (t k)", k=len(token_types)),
        real=real,
        patches=torch.cat([p.patches for p in patched]) if patched else None,
        which=torch.cat([p.which + begin for p, begin in zip(patched, begins, strict=False)], dim=2).flatten()
        if patched
        else None,
        intervals=torch.cat([p.intervals for p in patched], dim=2).flatten(0, 2) if patched else None,
    )
    if all(piece.real is None for piece in pieces):
        return stream
    inside = [torch.ones_like(p.ids, dtype=torch.bool) if p.real is None else p.real for p in pieces]
    return close_gaps(stream, real & rearrange(torch.cat(inside, dim=2), "b t k -> b (t k)"))


def close_gaps(stream: TokenSequence, real: Bool[Tensor, "B L"]) -> TokenSequence:
    """Move the real tokens of every sequence to its front, in their order, and cut off what no sequence needs."""
    order = torch.argsort(~real, dim=1, stable=True)[:, : int(real.sum(dim=1).max())]

    def front(column: Tensor) -> Tensor:
        return column.expand(real.shape).gather(1, order)

    kept = real.expand(real.shape)[(stream.token_types == TokenType.PATCH).expand(real.shape)]  # (P,)
    return TokenSequence(
        ids=front(stream.ids),
        token_types=front(stream.token_types),
        local=front(stream.local),
        timesteps=front(stream.timesteps),
        real=front(real),
        patches=stream.patches,
        which=None if stream.which is None else stream.which[kept],
        intervals=None if stream.intervals is None else stream.intervals[kept],
    )
