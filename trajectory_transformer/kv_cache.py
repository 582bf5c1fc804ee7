"""Keys and values of the beams of a plan: each token is read once, and what beams have in common is read together.

Kept       a new token costs one token, not a window; beams that live on take their keys and values along (`select`)
Cropped    when the window moves on by a transition, all places change, and with them all keys: the past is then encoded
           again (`encode`), once for the transition instead of once for each of its tokens
Shared     beams descend from common ancestors: transitions with the same past are encoded once (`prefix_tree`),
           whatever the number of beams that share them. What all beams of an episode share (`shared_prefix`: the real
           past at least) is kept once, and their queries meet it in one product
Candidates of a beam share its cache; a mask hides each one's new tokens from the others
Unread     past values have no keys and are never computed, in the last block only keys and the one output that is read

Shapes     E episodes, B beams each, M = E B, S candidates of a beam, D tokens of a transition, C width, H heads,
           K = C / H; n nodes of a family tree's level, m tokens of a node, T keys of the shared prefix, L of a beam
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from trajectory_transformer.network import Block, Network
from trajectory_transformer.search import Search


@dataclass(frozen=True)
class Level:
    """Transitions at the same place of their windows, each distinct past of an episode once."""

    tokens: Int[Tensor, "n m"]
    parents: Int[Tensor, "n"]  # their nodes in the level before; their episodes, in the first
    keys: int  # how many of the m tokens have keys
    first: int  # place of the first token


def prefix_tree(windows: Int[Tensor, "M L"], whole: int, episodes: int = 1) -> tuple[list[Level], Int[Tensor, "M"]]:
    """The trees of the windows' transitions of `whole` tokens, and the leaf that each window ends in.

    No token attends to a value, unless it is the window's last token: then it predicts what follows.
    """
    rows, length = windows.shape
    levels = []
    nodes = torch.arange(episodes, device=windows.device).repeat_interleave(rows // episodes)
    for first in range(0, length, whole):
        tokens = windows[:, first : first + whole]
        distinct, found = torch.unique(torch.cat([nodes[:, None], tokens], dim=1), dim=0, return_inverse=True)
        keys = min(tokens.shape[1], whole - 1)
        read = tokens.shape[1] if first + whole >= length else keys
        levels.append(Level(distinct[:, 1 : 1 + read], distinct[:, 0], keys, first))
        nodes = found
    return levels, nodes


def static_tree(
    windows: Int[Tensor, "M L"], whole: int, episodes: int, common: int
) -> tuple[list[Level], Int[Tensor, "M"]]:
    """`prefix_tree` in shapes that do not depend on the tokens, so that a CUDA graph may hold what is made of it.

    Args:
        common: transitions at the windows' beginning that all beams of an episode share: its real past.
    """
    rows, length = windows.shape
    each = torch.arange(rows, device=windows.device)
    owner = each // (rows // episodes)  # a beam's episode
    levels = []
    for place, first in enumerate(range(0, length, whole)):
        tokens = windows[:, first : first + whole]
        keys = min(tokens.shape[1], whole - 1)
        read = tokens.shape[1] if first + whole >= length else keys
        if place < common:
            episode = torch.arange(episodes, device=windows.device)
            levels.append(Level(tokens[:: rows // episodes, :read], episode, keys, first))
        else:
            levels.append(Level(tokens[:, :read], owner if place == common else each, keys, first))
    return levels, owner if common == len(levels) else each


class KVCache:
    """Keys and values of E episodes' beams while they plan."""

    def __init__(self, network: Network, search: Search, episodes: int) -> None:
        self.network = network
        self.blocks = [block for block in network.blocks if isinstance(block, Block)]
        self.episodes, self.expansions = episodes, search.expand
        self.static = network.places.device.type != "cpu"  # whether windows are encoded by `static_tree`
        self.room = search.observation_size + search.expand * (search.action_size + 1)  # keys of a transition to come
        self.shared_prefix: list[Float[Tensor, "2 E H T K"]] = []  # of every block
        self.own: list[Float[Tensor, "2 E H B room K"]] = []
        self.length = 0  # of each beam's own keys
        self.common_length = 0  # of these, common to all candidates of a beam
        self.place = 0  # of the next token in the window
        self.forward_passes = self.tokens_read = 0

    def encode(self, windows: Int[Tensor, "M L"], common: int | None = None) -> Float[Tensor, "M C"]:
        """Start from windows; returns the hidden state after the last token of each.

        Args:
            common: as for `static_tree`; None: the beams' common ancestors are looked for.
        """
        shape = (self.network.tokens, self.episodes)
        levels, leaves = prefix_tree(windows, *shape) if common is None else static_tree(windows, *shape, common)
        shared_prefix = sum(level.keys for level in levels if len(level.tokens) == self.episodes)
        x = torch.cat([self.network.embed(level.tokens, level.first).flatten(0, 1) for level in levels])
        self.shared_prefix, self.own = [], []
        self.common_length = self.length = sum(level.keys for level in levels) - shared_prefix
        self.place = windows.shape[1]
        for number, block in enumerate(self.blocks, 1):
            past, x = encode_block(block, x, levels, last=number == len(self.blocks))
            self.remember(past, leaves, shared_prefix)
        self.forward_passes += 1
        self.tokens_read += sum(level.tokens.numel() for level in levels)
        return self.network.norm(x)[leaves]

    def remember(self, past: Float[Tensor, "2 n H L K"], leaves: Int[Tensor, "M"], shared_prefix: int) -> None:
        beams = rearrange(leaves, "(e b) -> e b", e=self.episodes)
        self.shared_prefix.append(past[:, beams[:, 0], :, :shared_prefix])
        own = rearrange(past[:, leaves, :, shared_prefix:], "kv (e b) h l k -> kv e h b l k", e=self.episodes)
        self.own.append(self.with_room(own))

    def with_room(self, own: Float[Tensor, "2 E H B L K"]) -> Float[Tensor, "2 E H B room K"]:
        roomy = own.new_empty(*own.shape[:4], own.shape[4] + self.room, own.shape[5])
        roomy[..., : own.shape[4], :] = own
        return roomy

    def extend(self, tokens: Int[Tensor, "E B S"]) -> Float[Tensor, "E B S C"]:
        """Append one token to each of S candidates that share a beam's cache; returns the hidden states after it."""
        expansions = tokens.shape[2]
        x = self.network.embed(tokens[..., None], self.place).squeeze(-2)
        is_value = self.place % self.network.tokens == self.network.tokens - 1  # which has no key
        end = self.length if is_value else self.length + expansions
        mask = self.mask(expansions, end, x)
        for block, shared_prefix, own in zip(self.blocks, self.shared_prefix, self.own, strict=True):
            query, *new = rearrange(
                block.query_key_value(block.attention_norm(x)), "e b s (qkv h k) -> qkv e h b s k", qkv=3, h=block.heads
            )
            if not is_value:
                own[0, ..., self.length : end, :], own[1, ..., self.length : end, :] = new
            out = attend(query, shared_prefix, own[..., :end, :], mask)
            x = block.feed_forward(x + block.attention_out(rearrange(out, "e h b s k -> e b s (h k)")))
        self.length, self.place = end, self.place + 1
        if expansions == 1:
            self.common_length = end
        self.forward_passes += 1
        self.tokens_read += tokens.numel()
        return self.network.norm(x)

    def mask(self, expansions: int, end: int, x: Tensor) -> Float[Tensor, "S L"]:
        """Zero for what a beam has read and for what a sibling appended itself, else minus infinity."""
        appended = torch.arange(end - self.common_length, device=x.device) % expansions
        others = F.pad(appended != torch.arange(expansions, device=x.device)[:, None], (self.common_length, 0))
        return x.new_zeros(others.shape).masked_fill(others, -torch.inf)

    def select(self, kept: Int[Tensor, "E B"]) -> None:
        """Make these candidates the beams, those of one beam side by side in the order of the beams."""
        beams, sibling = kept // self.expansions, kept % self.expansions
        common = torch.arange(self.common_length, device=kept.device).expand(*kept.shape, -1)
        appended = (
            torch.arange(self.common_length, self.length, self.expansions, device=kept.device) + sibling[..., None]
        )
        places = torch.cat([common, appended], dim=-1)  # (E, B, L)
        *outer, width, room, size = self.own[0].shape
        blocks = torch.arange(math.prod(outer), device=kept.device).view(*outer, 1, 1)  # 2, E, H
        rows = (blocks * width + beams[:, None, :, None]) * room + places[:, None]  # (2, E, H, B, L)
        for number, own in enumerate(self.own):
            lived = own.view(-1, size).index_select(0, rows.flatten()).view(*rows.shape, size)
            self.own[number] = self.with_room(lived)
        self.common_length = self.length = places.shape[2]


def encode_block(
    block: Block, x: Float[Tensor, "tokens C"], levels: list[Level], last: bool
) -> tuple[Float[Tensor, "2 n H L K"], Float[Tensor, "read C"]]:
    """All levels in the same products, except that each attends to its own ancestors: keys and values of the last
    level's lines, and the stream. After the last block, only the leaves' last tokens are left of that."""
    sizes = [level.tokens.numel() for level in levels]
    attended = []
    past: Tensor | None = None  # keys and values of a level's ancestors
    for level, part in zip(levels, block.query_key_value(block.attention_norm(x)).split(sizes), strict=True):
        nodes, count = level.tokens.shape
        query, *own = rearrange(part, "(n m) (qkv h k) -> qkv n h m k", n=nodes, qkv=3, h=block.heads)
        line = torch.stack(own)[..., : level.keys, :]
        past = line if past is None else torch.cat([past[:, level.parents], line], dim=3)
        if last and level is not levels[-1]:
            continue
        later = torch.full((count, past.shape[3]), -torch.inf, dtype=x.dtype, device=x.device)
        mask = later.triu(past.shape[3] - level.keys + 1)
        if last:
            query, mask = query[:, :, -1:], mask[-1:]
        scores = torch.baddbmm(mask, query.flatten(0, 1), past[0].flatten(0, 1).mT, alpha=block.scale)
        out = (scores.softmax(-1) @ past[1].flatten(0, 1)).view(query.shape)
        attended.append(rearrange(out, "n h m k -> (n m) (h k)"))
    assert past is not None
    if last:
        x = x[-sizes[-1] :].view(*levels[-1].tokens.shape, -1)[:, -1]
    return past, block.feed_forward(x + block.attention_out(torch.cat(attended)))


def attend(
    query: Float[Tensor, "E H B S K"],
    shared_prefix: Float[Tensor, "2 E H T K"],
    own: Float[Tensor, "2 E H B L K"],
    mask: Float[Tensor, "S L"],
) -> Float[Tensor, "E H B S K"]:
    """Attention of many short queries, for which the fused kernel would have to be started each time: to the shared
    prefix all of an episode's at once, to a beam's own keys one by one."""
    scale = query.shape[-1] ** -0.5
    together = query.flatten(0, 1).flatten(1, 2)  # (E H, B S, K)
    far = torch.bmm(together * scale, shared_prefix[0].flatten(0, 1).mT)  # (E H, B S, T)
    near = torch.baddbmm(mask, query.flatten(0, 2), own[0].flatten(0, 2).mT, alpha=scale)  # (E H B, S, L)
    weights = torch.cat([far.view(*near.shape[:2], -1), near], dim=-1).softmax(-1)
    shares = weights.view(*far.shape[:2], -1)[..., : far.shape[-1]]
    read = torch.bmm(shares, shared_prefix[1].flatten(0, 1)).view(*near.shape[:2], -1)
    return torch.baddbmm(read, weights[..., far.shape[-1] :], own[1].flatten(0, 2)).view(query.shape)
