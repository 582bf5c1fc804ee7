"""The planner that is used: what reference_planner.py defines, without computing anything twice.

Kept       keys and values of a window are kept while a transition grows: a new token costs one token, not a window
Cropped    when the window moves on by a transition, all places change, and with them all keys: the past is then encoded
           anew, once for the transition instead of once for each of its tokens
Shared     beams descend from common ancestors: transitions with the same past are encoded once (`family`), whatever the
           number of beams that share them; a decision's real past is common to all
Siblings   the candidates of a beam share its memory; a mask keeps what they append apart, and their first action's
           logits are the same
Unread     past values have no keys and are never computed, in the last block only keys and the one output that is read
Together   episodes are planned in the same products

Shapes     E episodes, B beams each, M = E B, S siblings, D tokens of a transition, C width, H heads, K = C / H;
           n nodes of a family tree's level, m tokens of a node
"""

import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from trajectory_transformer.discretizer import Discretizer
from trajectory_transformer.network import Block, Network
from trajectory_transformer.search import Choice, Plan, Search, best, choose, estimate, worth


@dataclass(frozen=True)
class Level:
    """Transitions at the same place of their windows, each distinct past once."""

    tokens: Int[Tensor, "n m"]
    parents: Int[Tensor, "n"]  # their nodes in the level before
    keys: int  # how many of the m tokens have keys
    first: int  # place of the first token


def family(windows: Int[Tensor, "M L"], whole: int) -> tuple[list[Level], Int[Tensor, "M"]]:
    """The tree of the windows' transitions of `whole` tokens, and the leaf that each window ends in.

    A value is read by nobody, unless it is the window's last token: then it predicts what follows.
    """
    rows, length = windows.shape
    levels = []
    nodes = torch.zeros(rows, dtype=torch.int64, device=windows.device)
    for first in range(0, length, whole):
        tokens = windows[:, first : first + whole]
        distinct, found = torch.unique(torch.cat([nodes[:, None], tokens], dim=1), dim=0, return_inverse=True)
        keys = min(tokens.shape[1], whole - 1)
        read = tokens.shape[1] if first + whole >= length else keys
        levels.append(Level(distinct[:, 1 : 1 + read], distinct[:, 0], keys, first))
        nodes = found
    return levels, nodes


class Memory:
    """Keys and values of M beams while one transition is planned; filled by `encode`, extended by `extend`."""

    def __init__(self, network: Network, search: Search) -> None:
        self.network = network
        self.blocks = [block for block in network.blocks if isinstance(block, Block)]
        self.room = search.observation_size + search.expand * (search.action_size + 1)  # tokens yet to come
        self.keys: list[Float[Tensor, "M H L K"]] = []
        self.values: list[Float[Tensor, "M H L K"]] = []
        self.length = 0
        self.alone = 0  # keys that all siblings see
        self.place = 0  # of the next token in the window
        self.passes = self.read = 0

    def encode(self, windows: Int[Tensor, "M L"]) -> Float[Tensor, "M C"]:
        """Begin a transition: what the network knows after the last token of each window."""
        levels, leaves = family(windows, self.network.tokens)
        x = torch.cat([self.network.embed(level.tokens, level.first).flatten(0, 1) for level in levels])
        self.keys, self.values = [], []
        self.alone = self.length = sum(level.keys for level in levels)
        self.place = windows.shape[1]
        for number, block in enumerate(self.blocks, 1):
            x = self.encode_block(block, x, levels, leaves, last=number == len(self.blocks))
        self.passes += 1
        self.read += sum(level.tokens.numel() for level in levels)
        return self.network.norm(x)[leaves]

    def encode_block(
        self, block: Block, x: Float[Tensor, "tokens C"], levels: list[Level], leaves: Int[Tensor, "M"], last: bool
    ) -> Float[Tensor, "read C"]:
        """All levels in the same products, except that each attends to its own ancestors. In the last block, only the
        last token of the leaves goes on."""
        sizes = [level.tokens.numel() for level in levels]
        normed = block.attention_norm(x)
        attended = []
        past: Tensor | None = None  # keys and values of a level's ancestors, (2, n, H, L, K)
        for level, part in zip(levels, block.query_key_value(normed).split(sizes), strict=True):
            nodes, count = level.tokens.shape
            query, *own = rearrange(part, "(n m) (qkv h k) -> qkv n h m k", n=nodes, qkv=3, h=block.heads)
            memory = torch.stack(own)[..., : level.keys, :]
            if past is not None:
                memory = torch.cat([past[:, level.parents], memory], dim=3)
            past = memory
            if last and level is not levels[-1]:
                continue
            later = torch.full((count, memory.shape[3]), -torch.inf, dtype=x.dtype, device=x.device)
            mask = later.triu(memory.shape[3] - level.keys + 1)
            if last:
                query, mask = query[:, :, -1:], mask[-1:]
            out = attend(query, memory[0], memory[1], mask)
            attended.append(rearrange(out, "n h m k -> (n m) (h k)"))
        assert past is not None
        self.remember(past, leaves)
        if last:
            x = x[-sizes[-1] :].view(*levels[-1].tokens.shape, -1)[:, -1]
        return block.feed_forward(x + block.attention_out(torch.cat(attended)))

    def remember(self, past: Float[Tensor, "2 n H L K"], leaves: Int[Tensor, "M"]) -> None:
        for kept, ours in zip((self.keys, self.values), past, strict=True):
            roomy = ours.new_empty(len(leaves), ours.shape[1], self.length + self.room, ours.shape[3])
            torch.index_select(ours, 0, leaves, out=roomy[:, :, : self.length])
            kept.append(roomy)

    def extend(self, tokens: Int[Tensor, "M S"]) -> Float[Tensor, "M S C"]:
        """Append one token to each of S siblings that share a beam's memory: what the network knows after it."""
        siblings = tokens.shape[1]
        x = self.network.embed(tokens.reshape(-1, 1), self.place).view(*tokens.shape, -1)
        end = self.length + siblings
        mask = self.mask(siblings, end, x)
        for block, keys, values in zip(self.blocks, self.keys, self.values, strict=True):
            query, key, value = rearrange(
                block.query_key_value(block.attention_norm(x)), "b s (qkv h k) -> qkv b h s k", qkv=3, h=block.heads
            )
            keys[:, :, self.length : end], values[:, :, self.length : end] = key, value
            out = attend(query, keys[:, :, :end], values[:, :, :end], mask)
            x = block.feed_forward(x + block.attention_out(rearrange(out, "b h s k -> b s (h k)")))
        self.length, self.place = end, self.place + 1
        if siblings == 1:
            self.alone = end
        self.passes += 1
        self.read += tokens.numel()
        return self.network.norm(x)

    def mask(self, siblings: int, end: int, x: Tensor) -> Float[Tensor, "S L"]:
        """Zero for the common past and for what a sibling appended itself, minus infinity for what the others did."""
        appended = torch.arange(end - self.alone, device=x.device) % siblings
        others = F.pad(appended != torch.arange(siblings, device=x.device)[:, None], (self.alone, 0))
        return x.new_zeros(others.shape).masked_fill(others, -torch.inf)


def attend(
    query: Float[Tensor, "n H m K"], keys: Float[Tensor, "n H L K"], values: Float[Tensor, "n H L K"], mask: Tensor
) -> Float[Tensor, "n H m K"]:
    """Attention for many short queries, where the fused kernel spends its time on starting."""
    scores = torch.baddbmm(mask, query.flatten(0, 1), keys.flatten(0, 1).mT, alpha=query.shape[-1] ** -0.5)
    return (scores.softmax(-1) @ values.flatten(0, 1)).view(query.shape)


@torch.inference_mode()
def plan(
    network: Network,
    discretizer: Discretizer,
    search: Search,
    contexts: Int[Tensor, "E L"],
    draws: Float[Tensor, "E horizon D candidates"],
    seconds: float = 0.0,
) -> Plan:
    """The best sequence after each of E contexts: whole past transitions and the present observation.

    Args:
        draws: numbers in [0, 1), one for each episode, transition, dimension and candidate; observations use the first
            `beam_width` of them.
        seconds: if positive, the plan ends with the last transition expected to be ready in time, the first at least.
    """
    began = time.perf_counter()
    memory = Memory(network, search)
    episodes = len(contexts)
    sequences = contexts[:, None].expand(-1, search.beam_width, -1)  # (E, B, L)
    earned = torch.zeros(episodes, search.beam_width, 0, dtype=torch.float64, device=contexts.device)
    values = earned.sum(-1)
    for step in range(search.horizon):
        spent = time.perf_counter() - began
        if seconds > 0 and step > 0 and spent + spent / step > seconds:
            break
        sequences, output = observe(memory, search, sequences, draws[:, step], known=step == 0)
        born, rewards, after = act(memory, discretizer, search, output, draws[:, step])
        earned = torch.cat([earned.repeat_interleave(search.expand, 1), rewards[..., None]], dim=2)
        values = worth(torch.cat([earned, after[..., None]], dim=2), search)  # (E, candidates)
        sequences = torch.cat([sequences.repeat_interleave(search.expand, 1), born], dim=2)
        kept = best(values, sequences, search.beam_width)  # (E, B)
        sequences = sequences.gather(1, kept[..., None].expand(-1, -1, sequences.shape[2]))
        earned = earned.gather(1, kept[..., None].expand(-1, -1, earned.shape[2]))
        values = values.gather(1, kept)
    value, winner = values.max(-1)
    planned = sequences[torch.arange(episodes, device=winner.device), winner, -earned.shape[2] * search.tokens :]
    return Plan(planned.view(episodes, -1, search.tokens), value, memory.passes, memory.read)


def observe(
    memory: Memory, search: Search, sequences: Int[Tensor, "E B L"], draws: Float[Tensor, "E D candidates"], known: bool
) -> tuple[Int[Tensor, "E B L2"], Float[Tensor, "M C"]]:
    """Encode the cropped past and, unless it is known, draw the observation: sequences, and what follows from them."""
    episodes, width, length = sequences.shape
    whole = search.tokens
    past = min(length // whole, search.past)
    window = past * whole + length % whole
    output = memory.encode(sequences[:, :, length - window :].reshape(episodes * width, window))
    if known:
        return sequences, output
    for dimension in range(search.observation_size):
        scores = memory.network.next_logits(output, (dimension - 1) % whole)
        tokens = choose(scores, search.observations, draws[:, dimension, :width].reshape(-1))
        sequences = torch.cat([sequences, tokens.view(episodes, width, 1)], dim=2)
        output = memory.extend(tokens[:, None])[:, 0]
    return sequences, output


def act(
    memory: Memory,
    discretizer: Discretizer,
    search: Search,
    output: Float[Tensor, "M C"],
    draws: Float[Tensor, "E D candidates"],
) -> tuple[Int[Tensor, "E candidates tokens"], Float[Tensor, "E candidates"], Float[Tensor, "E candidates"]]:
    """Every beam's candidates: their action, reward and value tokens, the reward and the value they expect."""
    episodes, network = len(draws), memory.network
    reward = search.observation_size + search.action_size
    outputs = output[:, None].expand(-1, search.expand, -1)  # (M, S, C): before they act, siblings are one
    born, estimates = [], []
    for dimension in range(search.observation_size, search.tokens):
        scores = network.next_logits(outputs, dimension - 1).flatten(0, 1)  # (E candidates, N)
        if dimension < reward:
            tokens = choose(scores, search.actions, draws[:, dimension].reshape(-1))
        else:
            tokens = choose(scores, Choice(top=1), draws[:, dimension].reshape(-1))
            estimates.append(estimate(scores, dimension, discretizer, search).view(episodes, -1))
        born.append(tokens.view(episodes, -1))
        if dimension <= reward:
            outputs = memory.extend(tokens.view(-1, search.expand))
    return torch.stack(born, dim=2), estimates[0], estimates[1]
