"""How well hidden states predict the tokens that follow them, with no more logits in memory than need be.

Shapes   N target tokens, D width, V ids among which each is predicted
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy, linear
from torch.utils.checkpoint import checkpoint

MOST_LOGITS = 2**27  # in memory at once while learning: half a gigabyte in float32


def score(
    hidden: Float[Tensor, "N D"], targets: Int[Tensor, "N"], table: Float[Tensor, "V D"]
) -> tuple[Tensor, Tensor]:
    """Summed cross-entropy of the targets, and how many of them are the likeliest id.

    Where there are many logits, they are calculated some rows at a time, and again on the way back.

    Args:
        table: the output layer, a row for each id.
    """
    rows = max(1, MOST_LOGITS // len(table))
    if len(targets) <= rows:
        return score_rows(hidden, targets, table)
    pieces = zip(torch.split(hidden, rows), torch.split(targets, rows), strict=True)
    scores = [checkpoint(score_rows, *piece, table, use_reentrant=False) for piece in pieces]
    losses, right = zip(*scores, strict=True)
    return torch.stack(losses).sum(), torch.stack(right).sum()


def score_each(
    hidden: Float[Tensor, "N D"], targets: Int[Tensor, "N"], table: Float[Tensor, "V D"]
) -> Float[Tensor, "N"]:
    """Cross-entropy of each target, without gradients."""
    rows = max(1, MOST_LOGITS // len(table))
    pieces = zip(torch.split(hidden, rows), torch.split(targets, rows), strict=True)
    each = [cross_entropy(linear(some, table).float(), right, reduction="none") for some, right in pieces]
    return torch.cat(each) if each else hidden.new_zeros(0)


def score_rows(
    hidden: Float[Tensor, "N D"], targets: Int[Tensor, "N"], table: Float[Tensor, "V D"]
) -> tuple[Tensor, Tensor]:
    """`score` with all logits at once."""
    logits = linear(hidden, table).float()
    best = logits.detach().amax(dim=1)  # cheaper than argmax
    right = (logits.detach().gather(1, targets[:, None]).squeeze(1) >= best).sum()
    return cross_entropy(logits, targets, reduction="sum"), right
