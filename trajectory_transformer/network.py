"""The network of the Trajectory Transformer: a GPT over the numbers of a trajectory, one token each.

Tokens   a transition is its observation, action, reward and value, each number a bin of its own dimension; bin
         `bins` is the stop token, which fills what lies after an episode's end
Embeds   token + offset of its dimension (the stop token has one vector for all), plus the place in the window
Heads    one per dimension: the output at dimension d predicts the token at d + 1, that at the last the next transition
Sees     everything before it and itself, except values: a past value is an estimate that planning would have to
         make up, so nothing attends to value tokens, not even they themselves (jannerm at 8834a6e zeroes their columns
         of the mask, diagonal included: trajectory/models/transformers.py:25). A value token therefore has a query and
         no key: it reads what its reward token reads, and itself only through the residual stream

Shapes   B windows, L tokens of T transitions, D tokens of a transition, C width, H heads, K = C / H, N bins + 1
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from backbone.transformer import Dropout, init_weights


class Block(nn.Module):
    """Attention, then a feed-forward layer, each added to the stream it reads through a LayerNorm."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (width // heads) ** -0.5
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_dropout = Dropout(dropout)
        self.attention_out = nn.Linear(width, width)
        self.hidden_norm = nn.LayerNorm(width)
        self.hidden_in = nn.Linear(width, 4 * width)
        self.hidden_out = nn.Linear(4 * width, width)
        self.dropout = Dropout(dropout)

    def forward(self, x: Float[Tensor, "B L C"], mask: Float[Tensor, "L L"]) -> Float[Tensor, "B L C"]:
        """`mask` is added to the scores.

        On a CPU they are written out because the fused kernel, forward and backward in bfloat16, is four times slower
        there over windows this short (benchmarks/tt_training.py).
        """
        mixed = self.query_key_value(self.attention_norm(x))
        if x.device.type != "cpu":
            return self.feed_forward(x + self.dropout(self.attention_out(self.attend_fused(mixed, mask))))
        query, key, value = rearrange(mixed, "b l (three h k) -> three (b h) l k", three=3, h=self.heads)
        weights = torch.baddbmm(mask.to(query.dtype), query, key.mT, alpha=self.scale).softmax(-1)  # (B H, L, L)
        attended = rearrange(self.attention_dropout(weights) @ value, "(b h) l k -> b l (h k)", h=self.heads)
        return self.feed_forward(x + self.dropout(self.attention_out(attended)))

    def attend_fused(self, mixed: Float[Tensor, "B L 3C"], mask: Float[Tensor, "L L"]) -> Float[Tensor, "B L C"]:
        """Attention by one kernel of a GPU, which keeps no scores.

        With a mask it takes 0.58 ms on an H100, forward and back, of 256 windows of 250 tokens; without one, value
        tokens hidden by one more number in every key, 0.82.
        """
        query, key, value = rearrange(mixed, "b l (three h k) -> three b h l k", three=3, h=self.heads)
        rate = self.attention_dropout.rate if self.training else 0.0
        attended = F.scaled_dot_product_attention(query, key, value, mask.to(query.dtype), rate, scale=self.scale)
        return rearrange(attended, "b h l k -> b l (h k)")

    def feed_forward(self, x: Tensor) -> Tensor:
        return x + self.dropout(self.hidden_out(F.gelu(self.hidden_in(self.hidden_norm(x)))))


class Network(nn.Module):
    """Tokens to the logits of the token that follows each."""

    def __init__(
        self, transitions: int, tokens: int, bins: int, width: int, layers: int, heads: int, dropout: float
    ) -> None:
        super().__init__()
        self.transitions, self.tokens, self.bins = transitions, tokens, bins
        self.embedding = nn.Embedding(tokens * bins + 1, width)
        self.places = nn.Parameter(torch.zeros(transitions * tokens, width))
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.apply(init_weights)
        self.heads = nn.Parameter(torch.empty(tokens, bins + 1, width))
        nn.init.uniform_(self.heads, -(width**-0.5), width**-0.5)  # what nn.Linear without a bias begins with

    def embed(self, tokens: Int[Tensor, "*shape l"], first: int = 0) -> Float[Tensor, "*shape l C"]:
        """Tokens at places `first`, `first` + 1, ... of the window as vectors."""
        places = torch.arange(first, first + tokens.shape[-1], device=tokens.device)
        rows = tokens + places % self.tokens * self.bins
        rows = rows.masked_fill(tokens == self.bins, self.tokens * self.bins)
        return self.embedding(rows) + self.places[first : first + tokens.shape[-1]]

    def forward(self, tokens: Int[Tensor, "B L"]) -> Float[Tensor, "B L C"]:
        """What the network knows after each token, for the heads."""
        x = self.embed(tokens)
        if torch.is_autocast_enabled(x.device.type):  # the stream too, as in backbone/transformer.py
            x = x.to(torch.get_autocast_dtype(x.device.type))
        x, mask = self.dropout(x), self.mask(tokens.shape[1])
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x)

    def logits(self, outputs: Float[Tensor, "B L C"]) -> Float[Tensor, "B L N"]:
        """Of the token after each, for whole transitions."""
        by_dimension = rearrange(outputs, "b (t d) c -> d (b t) c", d=self.tokens)
        return rearrange(by_dimension @ self.heads.mT, "d (b t) n -> b (t d) n", b=len(outputs))

    def next_logits(self, output: Float[Tensor, "*shape C"], dimension: int) -> Float[Tensor, "*shape N"]:
        """Of the token after one at `dimension` of its transition."""
        return output @ self.heads[dimension].mT

    def mask(self, length: int) -> Float[Tensor, "L L"]:
        """Minus infinity where a token (row) must not see another (column): later ones, and every value."""
        places = torch.arange(length, device=self.places.device)
        hidden = (places > places[:, None]) | (places % self.tokens == self.tokens - 1)
        return torch.zeros(hidden.shape, device=places.device).masked_fill(hidden, -torch.inf)
