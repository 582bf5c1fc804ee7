"""The Trajectory Transformer's planner against its definition, in hopper's sizes, with the paper's network.

Peer     trajectory_transformer/reference_planner.py: every token a full forward pass over the cropped context, as the
         authors' code does it; its plan must be ours
Network  random weights, scattered so that beams differ; how many ancestors the beams share decides part of our cost
"""

import torch

from benchmarks.timing import seconds
from trajectory_transformer import planner, reference_planner
from trajectory_transformer.discretizer import Discretizer
from trajectory_transformer.network import Network
from trajectory_transformer.search import Choice, Plan, Search

OBSERVATION, ACTION, BINS = 11, 3, 100
EPISODES = 10


def measure() -> list[dict[str, object]]:
    """The rows of the table that this file answers for."""
    return [row for horizon, beams in ((5, 32), (15, 128)) for row in compare(horizon, beams)]


def compare(horizon: int, beams: int) -> list[dict[str, object]]:
    """One decision, and ten planned together, against the reference in turn."""
    search = Search(OBSERVATION, ACTION, horizon, beams, 2, 4, 0.99, Choice(top=1), Choice(cdf=0.6))
    network, discretizer = scattered(search)
    contexts = torch.randint(0, BINS, (EPISODES, 4 * search.tokens + OBSERVATION))
    draws = torch.rand(EPISODES, horizon, search.tokens, search.candidates, dtype=torch.float64)
    plans: dict[str, Plan] = {}

    def alone() -> None:
        plans["ours"] = planner.plan(network, discretizer, search, contexts[:1], draws[:1])

    def reference() -> None:
        plans["peer"] = reference_planner.plan(network, discretizer, search, contexts[0], draws[0])

    def together() -> None:
        plans["together"] = planner.plan(network, discretizer, search, contexts, draws)

    alone()
    ours, peer, batched = min(seconds(alone) for _ in range(3)), seconds(reference), seconds(together) / EPISODES
    same = torch.equal(plans["ours"].tokens, plans["peer"].tokens)
    apart = float((plans["ours"].values - plans["peer"].values).abs().max())
    shown = f"horizon {horizon}, beam {beams}"
    return [
        {
            "what": f"TT: one plan, {shown}",
            "ours": f"{ours * 1e3:.0f} ms",
            "peer": f"{peer * 1e3:.0f} ms",
            "ratio": peer / ours,
            "note": f"{'same' if same else 'ANOTHER'} plan, values {apart:.0e} apart; {plans['ours'].passes} passes "
            f"each, {plans['ours'].read:,} tokens against {plans['peer'].read:,}",
        },
        {
            "what": f"TT: one of {EPISODES} plans made together, {shown}",
            "ours": f"{batched * 1e3:.0f} ms",
            "peer": f"{peer * 1e3:.0f} ms",
            "ratio": peer / batched,
            "note": f"{plans['together'].read // EPISODES:,} tokens each, {plans['together'].passes} passes for all",
        },
    ]


def scattered(search: Search) -> tuple[Network, Discretizer]:
    torch.manual_seed(0)
    network = Network(10, search.tokens, BINS, 128, 4, 4, 0.0).eval()
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(torch.randn_like(weights) * 0.02)
        network.heads.mul_(3)
    discretizer = Discretizer(search.tokens, BINS)
    discretizer.edges.copy_(torch.randn(search.tokens, BINS + 1).sort(-1).values)
    return network, discretizer


if __name__ == "__main__":
    for row in measure():
        print(row)
