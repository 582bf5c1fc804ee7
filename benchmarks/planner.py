"""The Trajectory Transformer's planner against its definition, in hopper's sizes, with the paper's network.

Peer     trajectory_transformer/reference_planner.py: every token a full forward pass over the cropped context, as the
         authors' code does it; its plan must be ours
Network  random weights, scattered so that beams differ; how many ancestors the beams share decides part of our cost
"""

from dataclasses import dataclass, replace

import torch

from benchmarks.timing import seconds
from training.cli import exit_on_user_error
from trajectory_transformer import planner, reference_planner
from trajectory_transformer.discretizer import Discretizer
from trajectory_transformer.network import Network
from trajectory_transformer.search import Plan, SamplingFilter, Search

OBSERVATION, ACTION, BINS = 11, 3, 100


@dataclass(frozen=True)
class Case:
    """What is planned, and how much of it the reference has to do."""

    what: str
    horizon: int
    beams: int
    past: int  # transitions in the window, beside the one being planned
    prefix: int  # transitions played
    together: int  # episodes planned in the same products
    watched: int  # transitions that the reference plans; it costs the same for each of the others


CASES = (
    Case("default preset", horizon=5, beams=32, past=9, prefix=5, together=10, watched=5),
    Case("horizon 5, beam 32", horizon=5, beams=32, past=4, prefix=4, together=10, watched=5),
    Case("paper's settings", horizon=15, beams=128, past=4, prefix=4, together=3, watched=3),
)


def measure() -> list[dict[str, object]]:
    """The rows of the table that this file answers for."""
    return [row for case in CASES for row in compare(case)]


def compare(case: Case) -> list[dict[str, object]]:
    """One decision, and several planned together, against the reference in turn."""
    search = search_of(case)
    network, discretizer = scattered(search)
    contexts = torch.randint(0, BINS, (case.together, case.prefix * search.tokens + OBSERVATION))
    draws = torch.rand(case.together, case.horizon, search.tokens, search.candidates, dtype=torch.float64)
    begun = replace(search, horizon=case.watched)
    plans: dict[str, Plan] = {}

    def alone() -> None:
        plans["ours"] = planner.plan(network, discretizer, search, contexts[:1], draws[:1])

    def reference() -> None:
        plans["peer"] = reference_planner.plan(network, discretizer, begun, contexts[0], draws[0])

    def together() -> None:
        plans["together"] = planner.plan(network, discretizer, search, contexts, draws)

    alone()
    ours, peer, batched = min(seconds(alone) for _ in range(3)), seconds(reference), seconds(together) / case.together
    scale = plans["ours"].forward_passes / plans["peer"].forward_passes
    ours_begun = planner.plan(network, discretizer, begun, contexts[:1], draws[:1])
    same = "same" if torch.equal(ours_begun.tokens, plans["peer"].tokens) else "ANOTHER"
    apart = float((ours_begun.values - plans["peer"].values).abs().max())
    watched = f" in {case.watched} transitions, the peer's time scaled to {case.horizon}" if scale > 1 else ""
    notes = [
        f"{same} plan, values {apart:.0e} apart{watched}; {plans['ours'].forward_passes} passes each, "
        f"{plans['ours'].tokens_read:,} tokens against {plans['peer'].tokens_read * scale:,.0f}",
        f"{plans['together'].tokens_read // case.together:,} tokens each, "
        f"{plans['together'].forward_passes} passes for all",
    ]
    what = "one plan", f"one of {case.together} plans made together"
    return [
        {
            "what": f"TT: {made}, {case.what}",
            "ours": f"{mine * 1e3:.0f} ms",
            "peer": f"{peer * scale * 1e3:.0f} ms",
            "ratio": peer * scale / mine,
            "note": note,
        }
        for made, mine, note in zip(what, (ours, batched), notes, strict=True)
    ]


def search_of(case: Case) -> Search:
    """The planner's settings of a case."""
    filters = SamplingFilter(top=1), SamplingFilter(cdf=0.6)
    return Search(OBSERVATION, ACTION, case.horizon, case.beams, 2, case.past, 0.99, *filters)


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
    with exit_on_user_error():
        for row in measure():
            print(row)
