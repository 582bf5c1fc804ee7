"""Token sequences: a timestep's parts in the paper's order, and timesteps one after another.

Order    text, image patches, tensors (nested keys in lexicographic order), separator, action
Targets  text and actions; never other observations, never the separator

Shapes   B sequences, T timesteps, n tokens of one part, K tokens of one timestep, L = T K tokens, P patches in all,
         U distinct ones
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
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
    INSTRUCTION = 5  # text that is read and not learned
    VECTOR = 6  # all numbers of an array at once: vectors.py


TARGET_TYPES = (TokenType.TEXT, TokenType.ACTION)
WITHOUT_ID = (TokenType.PATCH, TokenType.VECTOR)
TEXT_TYPES = (TokenType.TEXT, TokenType.INSTRUCTION)


@dataclass(frozen=True)
class TokenBlock:
    """One part of every timestep: tokens of one type."""

    token_type: TokenType
    ids: Int[Tensor, "B T n"]  # 0 at patches and vectors, which have no id
    valid: Bool[Tensor, "B T n"] | None = None  # None: all of them; text is padded to its longest
    patches: Any = None  # (U, C, p, p) float; this and the next two for token type PATCH only
    patch_index: Any = None  # (B, T, n), into `patches`
    intervals: Any = None  # (B, T, n, 2, 2) float
    vector: Any = None  # (B, T, S) float; for token type VECTOR only
    name: str = ""  # of the part of an observation


@dataclass(frozen=True)
class TokenSequence:
    """B sequences of L tokens; those that are not `valid` stand at the end, where causality hides them.

    `token_types` and `position` have one row if all sequences have the same layout.
    """

    ids: Int[Tensor, "B L"]
    token_types: Int[Tensor, "#B L"]
    position: Int[Tensor, "#B L"]  # position within the timestep's observation; ACTION_POSITION for actions
    timesteps: Int[Tensor, "B L"]
    valid: Bool[Tensor, "B L"]
    patches: Float[Tensor, "U C p p"] | None = None
    patch_index: Int[Tensor, "P"] | None = None  # into `patches`, for all tokens of type PATCH, in order
    intervals: Float[Tensor, "P 2 2"] | None = None  # likewise
    vectors: tuple[Float[Tensor, "n _"], ...] = ()  # n = B T; of a timestep, in the order of its tokens
    task: str = ""  # a data set's name, if it is known

    def to(self, where: device | str) -> "TokenSequence":
        moved: dict[str, Any] = {
            name: column.to(where, non_blocking=True) if isinstance(column, Tensor) else column
            for name, column in vars(self).items()
        }
        moved["vectors"] = tuple(each.to(where, non_blocking=True) for each in self.vectors)
        return TokenSequence(**moved)

    def token(self, place: int) -> "TokenSequence":
        """One token of each sequence, which has an id."""
        one = slice(place, place + 1)
        return TokenSequence(
            ids=self.ids[:, one],
            token_types=self.token_types[:, one],
            position=self.position[:, one],
            timesteps=self.timesteps[:, one],
            valid=self.valid[:, one],
        )

    def is_target(self) -> Bool[Tensor, "#B L"]:
        """Where the token's type is one that the loss counts."""
        return self.is_any(TARGET_TYPES)

    def count_tokens(self, patch: int) -> Int[Tensor, ""]:
        """Real tokens, whatever the side of a patch."""
        return self.valid.sum()

    def loss_weight(self) -> int:
        """Target tokens; the first of a sequence is not predicted."""
        return int((self.is_target() & self.valid)[:, 1:].sum())

    def has(self, token_type: TokenType) -> bool:
        """Whether any token is of this type."""
        return bool((self.token_types == token_type).any())

    def is_any(self, types: Sequence[TokenType]) -> Bool[Tensor, "#B L"]:
        """Where the token's type is one of these."""
        found = torch.zeros_like(self.token_types, dtype=torch.bool)
        return sum((self.token_types == each for each in types), found)


def leaves(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The leaves of nested dictionaries, keys in lexicographic order at every level."""
    if isinstance(tree, Mapping):
        for key in sorted(tree):
            yield from leaves(tree[key], (*path, key))
    else:
        yield path, tree


def observation_blocks(
    tree: Any,
    layout: Layout,
    side: int = 16,
    channels: int = 3,
    text: Text | None = None,
    pixels: Callable[[Tensor], Pixels | None] = lambda images: None,
    embedded: bool = False,
) -> list[TokenBlock]:
    """An observation's blocks in order: text, then images, then tensors.

    Args:
        tree: a leaf, or nested dictionaries of leaves, each (B, T, ...): uint8 with two or three further axes is an
            image, other integers are discrete, floats are continuous; B lists of T strings are text.
        channels: of the model's patches; images with fewer are padded with zeros.
        pixels: gives what normalizes some images; None: as in the paper.
        embedded: whether an array of floats is one token, and not a token for each number.

    Raises:
        UserError: a value has no token, or an image has too many channels.
    """
    found: dict[TokenType, list[TokenBlock]] = {TokenType.TEXT: [], TokenType.PATCH: [], TokenType.TENSOR: []}
    for _, leaf in leaves(tree):
        if isinstance(leaf, list):
            block = text_block(leaf, text or Text())
        elif leaf.dtype == torch.uint8 and leaf.ndim >= 4:
            block = image_block(leaf, side, channels, pixels(leaf))
        else:
            block = tensor_block(leaf, layout, embedded)
        found[TokenType.TENSOR if block.token_type == TokenType.VECTOR else block.token_type].append(block)
    return [block for blocks in found.values() for block in blocks]


def tensor_block(values: Tensor, layout: Layout, embedded: bool) -> TokenBlock:
    """The block of observed (B, T, ...) numbers."""
    if embedded and values.is_floating_point():
        vector = values.reshape(*values.shape[:2], -1).float()
        return TokenBlock(TokenType.VECTOR, torch.zeros_like(vector[:, :, :1], dtype=torch.long), vector=vector)
    return TokenBlock(TokenType.TENSOR, layout.observations + tensor_bins(values, squeeze=True))


def tensor_bins(values: Tensor, squeeze: bool) -> Int[Tensor, "B T n"]:
    """Bins of (B, T, ...) values, row-major."""
    flat = values.flatten(2) if values.ndim > 2 else values.unsqueeze(2)
    return to_bins(flat, squeeze) if flat.is_floating_point() else check_discrete(flat)


def action_block(actions: Tensor, layout: Layout) -> TokenBlock:
    """The block of (B, T, *act) actions; continuous ones are binned without mu-law."""
    return TokenBlock(TokenType.ACTION, layout.actions + tensor_bins(actions, squeeze=False))


def separator_block(like: TokenBlock, layout: Layout) -> TokenBlock:
    return TokenBlock(TokenType.SEPARATOR, torch.full_like(like.ids[:, :, :1], layout.separator))


def image_block(images: Tensor, side: int, channels: int, pixels: Pixels | None = None) -> TokenBlock:
    images = channels_first(images)
    patches, index = to_patches(images, side, channels, pixels)
    height, width = images.shape[-2:]
    intervals = patch_intervals(height, width, side).to(images.device).expand(*index.shape, 2, 2)
    return TokenBlock(TokenType.PATCH, torch.zeros_like(index), patches=patches, patch_index=index, intervals=intervals)


def text_block(texts: list[list[str]], tokenizer: Text) -> TokenBlock:
    """B lists of T strings, each padded to the longest."""
    encoded = [[tokenizer.encode(text) for text in row] for row in texts]
    longest = max((len(ids) for row in encoded for ids in row), default=0)
    ids = torch.tensor([[ids + [0] * (longest - len(ids)) for ids in row] for row in encoded])  # (B, T, n)
    lengths = torch.tensor([[len(ids) for ids in row] for row in encoded])
    return TokenBlock(TokenType.TEXT, ids.long(), valid=torch.arange(longest) < lengths[:, :, None])


def build(
    blocks: list[TokenBlock], mask: Bool[Tensor, "B T"], timesteps: Int[Tensor, "B T"], action_positions: str = "shared"
) -> TokenSequence:
    """Lay the timesteps' parts side by side and the timesteps one after another.

    Args:
        mask: timesteps that are not padding; these must come first unless a block has text.
        action_positions: "own": actions are numbered after the separator; otherwise they share one position.

    Raises:
        UserError: a timestep has more tokens than there are positions, 512.
    """
    steps, where = mask.shape[1], mask.device
    token_types = torch.cat(
        [torch.full((block.ids.shape[2],), block.token_type, device=where) for block in blocks]
    )  # (K,)
    position = torch.arange(len(token_types), device=where)
    if action_positions != "own":
        position = position.masked_fill(token_types == TokenType.ACTION, ACTION_POSITION)
    needed = len(token_types) if action_positions == "own" else int((token_types != TokenType.ACTION).sum())
    if needed > OBSERVATION_POSITIONS:
        raise UserError(f"One timestep needs {needed} positions, but there are {OBSERVATION_POSITIONS}: observe less.")
    valid = repeat(mask, "b t -> b (t k)", k=len(token_types))
    patched = [block for block in blocks if block.token_type == TokenType.PATCH]
    begins = accumulate((len(block.patches) for block in patched), initial=0)
    stream = TokenSequence(
        ids=rearrange(torch.cat([block.ids for block in blocks], dim=2), "b t k -> b (t k)"),
        token_types=token_types.repeat(steps)[None],
        position=position.repeat(steps)[None],
        timesteps=repeat(timesteps, "b t -> b (t k)", k=len(token_types)),
        valid=valid,
        patches=torch.cat([p.patches for p in patched]) if patched else None,
        patch_index=torch.cat(
            [p.patch_index + begin for p, begin in zip(patched, begins, strict=False)], dim=2
        ).flatten()
        if patched
        else None,
        intervals=torch.cat([p.intervals for p in patched], dim=2).flatten(0, 2) if patched else None,
        vectors=tuple(block.vector.flatten(0, 1) for block in blocks if block.token_type == TokenType.VECTOR),
    )
    if all(block.valid is None for block in blocks):
        return stream
    inside = [torch.ones_like(p.ids, dtype=torch.bool) if p.valid is None else p.valid for p in blocks]
    return close_gaps(stream, valid & rearrange(torch.cat(inside, dim=2), "b t k -> b (t k)"))


def close_gaps(stream: TokenSequence, valid: Bool[Tensor, "B L"]) -> TokenSequence:
    """Move the valid tokens of every sequence to its front, in their order, and cut to the longest sequence."""
    order = torch.argsort(~valid, dim=1, stable=True)[:, : int(valid.sum(dim=1).max())]

    def front(column: Tensor) -> Tensor:
        return column.expand(valid.shape).gather(1, order)

    kept = valid[(stream.token_types == TokenType.PATCH).expand(valid.shape)]  # (P,)
    steps = valid[(stream.token_types == TokenType.VECTOR).expand(valid.shape)][:: max(len(stream.vectors), 1)]
    return TokenSequence(
        ids=front(stream.ids),
        token_types=torch.where(
            front(valid | ~stream.is_any(WITHOUT_ID)), front(stream.token_types), TokenType.SEPARATOR
        ),
        position=front(stream.position),
        timesteps=front(stream.timesteps),
        valid=front(valid),
        patches=stream.patches,
        patch_index=None if stream.patch_index is None else stream.patch_index[kept],
        intervals=None if stream.intervals is None else stream.intervals[kept],
        vectors=tuple(each[steps] for each in stream.vectors),
    )
