"""The causal transformer that the models share: GPT-2's pre-norm blocks (Radford et al. 2019), with no positions.

Shapes   B windows, L tokens, Q tokens whose outputs are computed, H heads, D width, K = D / H
"""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

MANUAL_MAX_LENGTH = 512  # tokens; beyond this the matrix of scores costs more than the fused kernel


class Dropout(nn.Module):
    """Dropout that costs little on a CPU.

    PyTorch draws a float for every element there, which takes a third of a small model's training step. Sixteen
    random bits decide as well: a 64-bit draw serves four elements, and a rate of 0.1 becomes 0.100006. The draws come
    from torch's global generator, as everybody's do.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"a dropout rate lies in [0, 1), not {rate}")
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.rate)
        dropped = round(self.rate * 2**16)
        bits = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        kept = bits[: x.numel()].view(x.shape) >= dropped - 2**15  # int16 runs from -2**15
        return x * kept.to(x.dtype).mul_(2**16 / (2**16 - dropped))

    def extra_repr(self) -> str:
        return f"rate={self.rate}"


class Block(nn.Module):
    """Attention, then a feed-forward layer, each added to the stream it reads through a LayerNorm."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float, activation: type[nn.Module]) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.attention_dropout = Dropout(dropout)
        self.attention_out = nn.Linear(width, width)
        self.hidden_norm = nn.LayerNorm(width)
        self.hidden = nn.Sequential(nn.Linear(width, hidden), activation(), nn.Linear(hidden, width))
        self.dropout = Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "B Q L"], query_positions: slice = slice(None)
    ) -> Float[Tensor, "B Q D"]:
        """Outputs at `query_positions` only; the others serve as keys and values."""
        normed = self.attention_norm(x)
        residual = x[:, query_positions]
        # Contiguous, else a bf16 product rounds once more unless the batch is of one.
        normed_queries = normed[:, query_positions].contiguous()
        query, key, value = (
            rearrange(part, "b l (h k) -> b h l k", h=self.heads)
            for part in (self.query(normed_queries), self.key(normed), self.value(normed))
        )
        attended = self.attend(query, key, value, mask)
        x = residual + self.dropout(self.attention_out(rearrange(attended, "b h q k -> b q (h k)")))
        return x + self.dropout(self.hidden(self.hidden_norm(x)))

    def attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        """By PyTorch's fused kernel, or by hand where that is faster: on a CPU with dropout, or in short sequences."""
        mask = mask[:, None]  # for all heads
        rate = self.attention_dropout.rate if self.training else 0.0
        if query.device.type != "cpu" or not (rate > 0 or prefers_manual_attention(query, key)):
            return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=rate)
        with torch.autocast(query.device.type, enabled=False):  # it would turn the softmax into float32 and back
            scores = (query / math.sqrt(query.shape[-1])) @ key.mT  # (B, H, Q, L)
            weights = torch.where(mask, scores, -torch.inf).softmax(-1)
            return self.attention_dropout(weights) @ value


class Transformer(nn.Module):
    """Blocks and a final LayerNorm: (B, L, D) to the outputs at some positions, (B, Q, D).

    The last block computes only these; the rest is not used.
    """

    def __init__(
        self,
        width: int,
        layers: int,
        heads: int,
        dropout: float,
        activation: type[nn.Module] = nn.ReLU,
        hidden: int | None = None,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} does not divide into {heads} heads")
        hidden = hidden or 4 * width
        self.blocks = nn.ModuleList(Block(width, heads, hidden, dropout, activation) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.dropout = Dropout(dropout)
        self.apply(init_weights)

    def forward(
        self, x: Shaped[Tensor, "B L D"], real: Bool[Tensor, "B L"], query_positions: slice = slice(None)
    ) -> Shaped[Tensor, "B Q D"]:
        """`real` is False at padding, which no real token sees."""
        mask = causal(real)  # (B, L, L)
        if torch.is_autocast_enabled(x.device.type):  # the stream too: casting it to and fro costs a tenth of a step
            x = x.to(torch.get_autocast_dtype(x.device.type))
        x = self.dropout(x)
        for block in self.blocks[:-1]:
            x = block(x, mask)
        return self.norm(self.blocks[-1](x, mask[:, query_positions], query_positions))


def prefers_manual_attention(query: Tensor, key: Tensor) -> bool:
    """Whether plain products beat PyTorch's fused kernel: for short bfloat16 sequences on a CPU, by two to four, most
    of it on the way back (torch 2.13, at 59 to 249 tokens; at 1,024 they are the slower ones)."""
    return query.device.type == "cpu" and query.dtype == torch.bfloat16 and key.shape[2] <= MANUAL_MAX_LENGTH


def causal(real: Bool[Tensor, "B L"]) -> Bool[Tensor, "B L L"]:
    """Who sees whom: every token itself (padding too: its softmax must not be empty) and the real tokens before it."""
    length = real.shape[1]
    before = torch.ones(length, length, dtype=torch.bool, device=real.device).tril()
    return (real[:, None, :] & before) | torch.eye(length, dtype=torch.bool, device=real.device)


def init_weights(module: nn.Module) -> None:
    """GPT-2's initial weights: normal, deviation 0.02; biases zero.

    kzl's Atari models have them everywhere, its models of numbers in the blocks only: their embeddings and head begin
    as PyTorch's do (the timestep's with a deviation of 1).
    """
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
