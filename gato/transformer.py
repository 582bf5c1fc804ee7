"""The sequence model: a decoder-only pre-norm transformer, and the protocols by which another may take its place.

No positions are added here, so that keys and values stay valid in the rolling cache. Only causality distinguishes this
step's tokens from the last step's, as in the paper's text, or a preference of each head for near tokens (`alibi`:
Press et al. 2022, arXiv:2108.12409), which the paper does not have; without it the loss falls slowly in our budgets.
The scores fall linearly with the distance in tokens, by slopes from 1/4 to 1/256 a token.

Shapes   B sequences, L tokens, D width, H heads, k width of a head, R positions that are read, S slots of a cache
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import gelu, linear, pad, scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from backbone.transformer import MANUAL_MAX_LENGTH, prefers_manual_attention
from gato.config import Config


class SequenceCore(Protocol):
    """What Gato needs of a causal sequence model: output i depends on tokens 0..i only."""

    def __call__(self, x: Float[Tensor, "B L D"], /) -> Float[Tensor, "B L D"]: ...


@runtime_checkable
class ReadsPositions(Protocol):
    """A sequence model that can compute some positions only."""

    def at(self, x: Float[Tensor, "B L D"], read: Int[Tensor, "R"]) -> Float[Tensor, "B R D"]: ...


@runtime_checkable
class ReadsStreams(ReadsPositions, Protocol):
    """One that can do so for several streams at once."""

    def at_each(
        self, streams: Sequence[Float[Tensor, "_ _ D"]], reads: Sequence[Int[Tensor, "_"]]
    ) -> list[Float[Tensor, "_ _ D"]]: ...


@dataclass
class Cache:
    """Keys and values of every layer in `slots` places; attention without positions does not mind their order."""

    keys: list[Float[Tensor, "B H S k"]]
    values: list[Float[Tensor, "B H S k"]]

    def keep(self, rows: Int[Tensor, "R"]) -> None:
        """Go on with some of the sequences."""
        self.keys = [column[rows] for column in self.keys]
        self.values = [column[rows] for column in self.values]


@runtime_checkable
class Caches(Protocol):
    """A sequence model with a cache."""

    def cache(self, rows: int, slots: int) -> Cache: ...
    def extend(
        self,
        x: Float[Tensor, "B n D"],
        cache: Cache,
        slots: Int[Tensor, "n"],
        sees: Bool[Tensor, "#B 1 n S"],
        distance: Int[Tensor, "#B 1 n S"],
    ) -> Float[Tensor, "B n D"]: ...


class Attention(nn.Module):
    """Causal self-attention with one matrix for queries, keys and values."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads, self.inner = config.heads, config.heads * config.head_width
        self.project = nn.Linear(config.width, 3 * self.inner)
        self.out = nn.Linear(self.inner, config.width)
        self.dropout = config.dropout

    def split(self, x: Float[Tensor, "B L n"], parts: int) -> tuple[Tensor, ...]:
        return rearrange(x, "b l (p h k) -> p b h l k", p=parts, h=self.heads).unbind(0)

    def forward(
        self, x: Float[Tensor, "B L D"], bias: Float[Tensor, "H R L"] | None, read: Int[Tensor, "R"] | None
    ) -> Float[Tensor, "B R D"]:
        if read is None:
            queries, keys, values = self.split(self.project(x), 3)  # (B, H, L, k)
        else:
            weight, shift, edge = self.project.weight, self.project.bias, self.inner
            (queries,) = self.split(linear(x[:, read], weight[:edge], shift[:edge]), 1)  # (B, H, R, k)
            keys, values = self.split(linear(x, weight[edge:], shift[edge:]), 2)
        mixed = attend(queries, keys, values, bias, self.dropout if self.training else 0.0)
        return self.out(rearrange(mixed, "b h l k -> b l (h k)"))

    def extend(
        self,
        x: Float[Tensor, "B n D"],
        kept: tuple[Float[Tensor, "B H S k"], Float[Tensor, "B H S k"]],
        slots: Int[Tensor, "n"],
        bias: Float[Tensor, "#B H n s"],
    ) -> Float[Tensor, "B n D"]:
        """Put new keys and values into `slots`, and look at the first s slots as far as `bias` allows."""
        queries, keys, values = self.split(self.project(x), 3)
        for column, new in zip(kept, (keys, values), strict=True):
            column.index_copy_(2, slots, new.to(column.dtype))
        keys, values = (column[:, :, : bias.shape[-1]] for column in kept)
        mixed = scaled_dot_product_attention(queries, keys, values, attn_mask=bias)
        return self.out(rearrange(mixed, "b h l k -> b l (h k)"))


def attend(
    queries: Float[Tensor, "B H R k"],
    keys: Float[Tensor, "B H L k"],
    values: Float[Tensor, "B H L k"],
    bias: Float[Tensor, "H R L"] | None,
    dropout: float,
) -> Float[Tensor, "B H R k"]:
    """Attention with `bias` added to its scores, -inf where they are masked; causal without it."""
    bias = None if bias is None else bias.to(queries.dtype)
    if bias is None or not prefers_manual_attention(queries, keys):
        return scaled_dot_product_attention(queries, keys, values, bias, dropout, is_causal=bias is None)
    with torch.autocast("cpu", enabled=False):  # which would turn the softmax into float32 and back
        scores = (queries * keys.shape[3] ** -0.5) @ keys.transpose(2, 3) + bias
        return torch.dropout(torch.softmax(scores, dim=-1), dropout, train=dropout > 0) @ values


class FeedForward(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.gated = config.feedforward == "geglu"
        self.enter = nn.Linear(config.width, config.hidden * (2 if self.gated else 1))
        self.leave = nn.Linear(config.hidden, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        x = self.enter(x)
        if self.gated:
            gate, x = x.chunk(2, dim=-1)
            x = x * gelu(gate)
        else:
            x = gelu(x)
        return self.dropout(self.leave(x))


class Block(nn.Module):
    """Normalize, attend, add; normalize, feed forward, add."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.width)
        self.attention = Attention(config)
        self.feedforward_norm = nn.LayerNorm(config.width)
        self.feedforward = FeedForward(config)
        self.skipped = config.stochastic_depth

    def forward(
        self, x: Float[Tensor, "B L D"], bias: Float[Tensor, "H R L"] | None, read: Int[Tensor, "R"] | None = None
    ) -> Float[Tensor, "B R D"]:
        attended = self.attention(self.attention_norm(x), bias, read)
        x = (x if read is None else x[:, read]) + self.sometimes(attended)
        return x + self.sometimes(self.feedforward(self.feedforward_norm(x)))

    def sometimes(self, x: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        """Stochastic depth: leave a sublayer out for some sequences, and scale the others up to the same mean."""
        if not self.training or self.skipped == 0:
            return x
        return x * (torch.rand(x.shape[0], 1, 1, device=x.device) >= self.skipped) / (1 - self.skipped)

    def extend(
        self, x: Float[Tensor, "B n D"], kept: tuple[Tensor, Tensor], slots: Int[Tensor, "n"], bias: Tensor
    ) -> Float[Tensor, "B n D"]:
        x = x + self.attention.extend(self.attention_norm(x), kept, slots, bias)
        return x + self.feedforward(self.feedforward_norm(x))


class Transformer(nn.Module):
    """Blocks and a last norm; a `SequenceCore` that also `ReadsStreams` and `Caches`."""

    slopes: Tensor  # (H,): what a score loses for each token of distance

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        blocks = [Block(config) for _ in range(config.layers)]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(config.width)
        self.recompute = False  # what a block computed, on the way back, instead of keeping it: less memory
        slopes = 2 ** -torch.linspace(2, 8, config.heads) if config.alibi else torch.zeros(config.heads)
        self.register_buffer("slopes", slopes, persistent=False)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=config.initializer_range)
                nn.init.zeros_(module.bias)
        for block in blocks:  # GPT-2's: what enters the residual stream does not grow with depth
            for last in (block.attention.out, block.feedforward.leave):
                nn.init.normal_(last.weight, std=config.initializer_range / math.sqrt(2 * config.layers))

    def forward(self, x: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        return self.norm(self.run(list(self.blocks), x))

    def at(self, x: Float[Tensor, "B L D"], read: Int[Tensor, "R"]) -> Float[Tensor, "B R D"]:
        """`forward(x)[:, read]`, without the last layer's queries and feed-forward elsewhere."""
        return self.at_each([x], [read])[0]

    def at_each(
        self, streams: Sequence[Float[Tensor, "_ _ D"]], reads: Sequence[Int[Tensor, "_"]]
    ) -> list[Float[Tensor, "_ _ D"]]:
        """`at` of several streams, which pass all blocks but the last as one batch, padded behind their ends: what
        follows a token changes nothing that is known after it."""
        *blocks, last = self.blocks
        longest = max(x.shape[1] for x in streams)
        batch = torch.cat([pad(x, (0, 0, 0, longest - x.shape[1])) for x in streams]) if streams[1:] else streams[0]
        batch = self.run(blocks, batch)
        found, first = [], 0
        for stream, read in zip(streams, reads, strict=True):
            x = batch[first : first + len(stream), : stream.shape[1]]
            reading = self.bias(read[:, None] - torch.arange(x.shape[1], device=x.device))  # (H, R, L)
            found.append(self.norm(last(x, reading, read)))
            first += len(stream)
        return found

    def run(self, blocks: list[nn.Module], x: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        """Some blocks, one after another, each token looking at those before it."""
        bias = self.causal(x)
        for block in blocks:
            kept = not (self.recompute and self.training)
            x = block(x, bias) if kept else checkpoint(block, x, bias, use_reentrant=False)
        return x

    def causal(self, x: Float[Tensor, "B L D"]) -> Float[Tensor, "H L L"] | None:
        """The bias of a whole sequence; None where the fused kernels do as well with plain causality."""
        if not self.config.alibi and (x.device.type != "cpu" or x.shape[1] > MANUAL_MAX_LENGTH):
            return None
        places = torch.arange(x.shape[1], device=x.device)
        return self.bias(places[:, None] - places)

    def bias(self, distance: Int[Tensor, "*B n L"], sees: Bool[Tensor, "*C n L"] | None = None) -> Float[Tensor, "..."]:
        """The bias of the scores, (*B, H, n, L): falls with distance, -inf where `sees` is False (default: causal)."""
        mask = distance >= 0 if sees is None else sees
        return (-self.slopes[:, None, None] * distance).masked_fill(~mask, -torch.inf)

    def cache(self, rows: int, slots: int) -> Cache:
        shape = (rows, self.config.heads, slots, self.config.head_width)
        weight = self.norm.weight
        empty = [weight.new_zeros(shape) for _ in range(2 * self.config.layers)]
        return Cache(keys=empty[::2], values=empty[1::2])

    def extend(
        self,
        x: Float[Tensor, "B n D"],
        cache: Cache,
        slots: Int[Tensor, "n"],
        sees: Bool[Tensor, "#B 1 n s"],
        distance: Int[Tensor, "#B 1 n s"],
    ) -> Float[Tensor, "B n D"]:
        """What follows the cached tokens: keys and values go to `slots`.

        `sees` masks the slots that each new token attends to; `distance` is how many tokens ago they were.
        """
        bias = self.bias(distance, sees)  # (B, H, n, s), the same in every layer
        for block, keys, values in zip(self.blocks, cache.keys, cache.values, strict=True):
            assert isinstance(block, Block)
            x = block.extend(x, (keys, values), slots, bias)
        return self.norm(x)
