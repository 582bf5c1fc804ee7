"""The planner's definition, written for reading: no memory, every token a full forward pass over the cropped context.

Paper    Janner et al. 2021, arXiv:2106.02039, algorithm 1; jannerm, trajectory/search/core.py:10-88 at 8834a6e
Plan     every beam bears `expand` candidates; each samples an action; its value is its rewards so far plus the
         predicted value after them, and the best `beam_width` go on to the next observation

This is what planner.py must compute. It is used by tests and benchmarks only.

Shapes   L tokens of the context, D tokens of a transition
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from trajectory_transformer.discretizer import Discretizer
from trajectory_transformer.network import Network
from trajectory_transformer.search import Plan, SamplingFilter, Search, estimate, sample_tokens, top_beams, values_of


class Counted:
    """The network's next logits after a cropped context, counting what they cost."""

    def __init__(self, network: Network, past: int) -> None:
        self.network, self.past = network, past
        self.forward_passes = self.tokens_read = 0

    def __call__(self, tokens: Int[Tensor, "M L"]) -> Float[Tensor, "M N"]:
        whole = self.network.tokens
        cropped = tokens[:, max(0, tokens.shape[1] // whole - self.past) * whole :]  # whole transitions go at once
        self.forward_passes += 1
        self.tokens_read += cropped.numel()
        return self.network.next_logits(self.network(cropped)[:, -1], (cropped.shape[1] - 1) % whole)


@torch.inference_mode()
def plan(
    network: Network,
    discretizer: Discretizer,
    search: Search,
    context: Int[Tensor, "L"],
    draws: Float[Tensor, "horizon D candidates"],
) -> Plan:
    """The best sequence after `context`: whole past transitions and the present observation.

    Args:
        draws: numbers in [0, 1), one for each transition, dimension and candidate; observations use the first
            `beam_width` of them.
    """
    logits = Counted(network, search.past)

    def extend(sequences: Tensor, dimension: int, choice: SamplingFilter) -> tuple[Tensor, Tensor]:
        scores = logits(sequences)
        tokens = sample_tokens(scores, choice, draws[step, dimension, : len(sequences)])
        return torch.cat([sequences, tokens[:, None]], dim=1), scores

    sequences = context.repeat(search.beam_width, 1)
    earned = torch.zeros(search.beam_width, 0, dtype=torch.float64, device=context.device)
    likeliest = SamplingFilter(top=1)
    first_action = search.observation_size
    reward = first_action + search.action_size

    for step in range(search.horizon):
        if step > 0:
            for dimension in range(search.observation_size):
                sequences, _ = extend(sequences, dimension, search.observations)
        sequences = sequences.repeat_interleave(search.expand, dim=0)
        earned = earned.repeat_interleave(search.expand, dim=0)
        for dimension in range(first_action, reward):
            sequences, _ = extend(sequences, dimension, search.actions)
        sequences, reward_scores = extend(sequences, reward, likeliest)
        sequences, value_scores = extend(sequences, reward + 1, likeliest)

        earned = torch.cat([earned, estimate(reward_scores, reward, discretizer, search)[:, None]], dim=1)
        after = estimate(value_scores, reward + 1, discretizer, search)
        values = values_of(torch.cat([earned, after[:, None]], dim=1), search)
        kept = top_beams(values[None], sequences[None], search.beam_width)[0]
        sequences, earned, values = sequences[kept], earned[kept], values[kept]

    winner = values.argmax()
    planned = sequences[winner, -search.horizon * search.tokens :].view(1, search.horizon, search.tokens)
    return Plan(planned, values[winner][None], logits.forward_passes, logits.tokens_read)
