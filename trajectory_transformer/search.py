"""What defines a plan, independent of its computation: settings, how a token is sampled, the value of a candidate.

Both planners use these definitions, so that they differ only in how they come by their logits. Every random draw is one
number in [0, 1) given from outside, by transition, dimension and candidate: the plan does not depend on batching.

Differs  jannerm keeps the candidates in the order of their values (torch.topk). The order decides who gets which draw,
         so that rounding in a value's 7th digit would give another plan. Ours are put in the order of a fingerprint of
         their tokens: among twins it then does not matter which one lives. The draws are independent of all that, so
         the plans follow the same law.

Shapes   M rows, N bins and the stop token
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from trajectory_transformer.discretizer import Discretizer


@dataclass(frozen=True)
class SamplingFilter:
    """From which tokens to draw."""

    top: int = 0  # the most likely ones; 0: all
    cdf: float = 0.0  # without the least likely ones, which together hold this share; 0: all


@dataclass(frozen=True)
class Search:
    """The settings of a beam search; the paper's names in brackets."""

    observation_size: int
    action_size: int
    horizon: int  # transitions planned (n_steps)
    beam_width: int
    expand: int  # candidates that each beam bears (n_expand)
    past: int  # whole transitions before the one being planned that the network sees (max_context_transitions - 1)
    discount: float
    observations: SamplingFilter  # (k_obs, cdf_obs)
    actions: SamplingFilter  # (k_act, cdf_act)
    percentile: float = 0.0  # of rewards and values; 0: their mean

    @property
    def candidates(self) -> int:
        return self.beam_width * self.expand

    @property
    def tokens(self) -> int:
        """In a transition."""
        return self.observation_size + self.action_size + 2


@dataclass(frozen=True)
class Plan:
    """The best sequence found for each of E episodes, and what finding it took."""

    tokens: Int[Tensor, "E horizon D"]
    values: Float[Tensor, "E"]  # discounted return expected of it
    forward_passes: int  # through the network
    tokens_read: int  # tokens the network read


def sample_tokens(logits: Float[Tensor, "M N"], choice: SamplingFilter, draws: Float[Tensor, "M"]) -> Int[Tensor, "M"]:
    """A token for each row: where the draw falls among the probabilities of those admitted.

    The least likely tokens go one by one as long as what has gone holds less than `cdf`, ties together; if that leaves
    none, all are equally likely, as in the authors' code (trajectory/search/sampling.py:15-28 at 8834a6e).
    """
    if choice.top == 1:
        return logits.argmax(-1)
    probabilities = logits.double().softmax(-1)
    admitted = torch.ones_like(probabilities, dtype=torch.bool)
    if choice.cdf > 0:
        ascending = probabilities.sort(-1).values
        gone = (ascending.cumsum(-1) < choice.cdf).sum(-1, keepdim=True)
        admitted = probabilities > ascending.gather(-1, (gone - 1).clamp(min=0))
    if choice.top > 0:
        top_beams = torch.where(admitted, probabilities, 0.0).topk(min(choice.top, logits.shape[-1])).values
        admitted &= probabilities >= top_beams[:, -1:]
    nothing = ~admitted.any(-1, keepdim=True)
    cumulative = torch.where(admitted, probabilities, nothing.double()).cumsum(-1)
    aim = draws[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, aim, right=True)[:, 0].clamp(max=logits.shape[-1] - 1)


def estimate(
    logits: Float[Tensor, "*shape N"], dimension: int, discretizer: Discretizer, search: Search
) -> Float[Tensor, "*shape"]:
    """A reward or value from its distribution; in double precision, because plans are chosen by it."""
    probabilities = logits.double().softmax(-1)
    if search.percentile > 0:
        return discretizer.percentile(probabilities, dimension, search.percentile)
    return discretizer.mean(probabilities, dimension)


def top_beams(
    values: Float[Tensor, "E candidates"], sequences: Int[Tensor, "E candidates L"], width: int
) -> Int[Tensor, "E width"]:
    """Which candidates live on: those of the highest values, in the order of their fingerprints."""
    kept = values.sort(dim=-1, descending=True, stable=True).indices[:, :width]
    powers = torch.full_like(sequences[0, 0], 6364136223846793005).cumprod(0)  # modulo 2^64
    return kept.gather(1, (sequences * powers).sum(-1).gather(1, kept).argsort(dim=-1, stable=True))


def values_of(rewards: Float[Tensor, "*shape steps"], search: Search) -> Float[Tensor, "*shape"]:
    """Discounted sum of the planned rewards and, in the last place, of the value after them."""
    steps = torch.arange(rewards.shape[-1], device=rewards.device, dtype=rewards.dtype)
    return (rewards * search.discount**steps).sum(-1)
