"""The planner that is used: what reference_planner.py defines, without computing anything twice (kv_cache.py).

While the window holds all that is planned, a beam's cache only grows; once it is cropped, the past is encoded again
with every transition. Episodes are planned in the same products.

Shapes     E episodes, B beams each, M = E B, S candidates of a beam, D tokens of a transition, C width
"""

import time
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from trajectory_transformer.discretizer import Discretizer
from trajectory_transformer.kv_cache import KVCache
from trajectory_transformer.network import Network
from trajectory_transformer.search import Plan, SamplingFilter, Search, estimate, sample_tokens, top_beams, values_of


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
    episodes = len(contexts)
    memory = KVCache(network, search, episodes)
    sequences = contexts[:, None].expand(-1, search.beam_width, -1)  # (E, B, L)
    earned = torch.zeros(episodes, search.beam_width, 0, dtype=torch.float64, device=contexts.device)
    values = earned.sum(-1)
    kept: Int[Tensor, "E B"] | None = None
    for step in range(search.horizon):
        spent = time.perf_counter() - began
        if seconds > 0 and step > 0 and spent + spent / step > seconds:
            break
        output = recall(memory, search, sequences, kept, contexts.shape[1])
        if step > 0:
            sequences, output = observe(memory, search, sequences, output, draws[:, step])
        born, rewards, after = act(memory, discretizer, search, output, draws[:, step])
        earned = torch.cat([earned.repeat_interleave(search.expand, 1), rewards[..., None]], dim=2)
        values = values_of(torch.cat([earned, after[..., None]], dim=2), search)  # (E, candidates)
        sequences = torch.cat([sequences.repeat_interleave(search.expand, 1), born], dim=2)
        kept = top_beams(values, sequences, search.beam_width)  # (E, B)
        sequences = sequences.gather(1, kept[..., None].expand(-1, -1, sequences.shape[2]))
        earned = earned.gather(1, kept[..., None].expand(-1, -1, earned.shape[2]))
        values = values.gather(1, kept)
    value, winner = values.max(-1)
    planned = sequences[torch.arange(episodes, device=winner.device), winner, -earned.shape[2] * search.tokens :]
    return Plan(planned.view(episodes, -1, search.tokens), value, memory.forward_passes, memory.tokens_read)


class CapturedPlanner:
    """`plan` on a GPU as CUDA graphs, one for each shape of the contexts: the some thousands of short kernels of a plan
    take ten times as long to launch as to run.

    Args:
        episodes: planned at once; fewer are filled up.
    """

    def __init__(self, network: Network, discretizer: Discretizer, search: Search, episodes: int) -> None:
        self.network, self.discretizer, self.search, self.episodes = network, discretizer, search, episodes
        self.graphs: dict[int, tuple[torch.cuda.CUDAGraph, Tensor, Tensor, Plan]] = {}  # by the contexts' length

    @torch.inference_mode()
    def __call__(self, contexts: Int[Tensor, "E L"], draws: Float[Tensor, "E horizon D candidates"]) -> Plan:
        """See `plan`."""
        count, length = contexts.shape
        filled = torch.arange(self.episodes, device=contexts.device).clamp(max=count - 1)
        contexts, draws = contexts[filled], draws[filled]
        if length not in self.graphs:
            self.graphs[length] = self.capture(contexts, draws)
        graph, own_contexts, own_draws, found = self.graphs[length]
        own_contexts.copy_(contexts)
        own_draws.copy_(draws)
        graph.replay()
        return replace(found, tokens=found.tokens[:count].clone(), values=found.values[:count].clone())

    def capture(self, contexts: Tensor, draws: Tensor) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor, Plan]:
        stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()  # type: ignore[no-untyped-call]
        own = contexts.clone(), draws.clone()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # once beforehand: libraries make room for themselves
            plan(self.network, self.discretizer, self.search, *own)
        torch.cuda.current_stream().wait_stream(stream)
        with torch.cuda.graph(graph):
            found = plan(self.network, self.discretizer, self.search, *own)
        return graph, *own, found


def recall(
    memory: KVCache, search: Search, sequences: Int[Tensor, "E B L"], kept: Int[Tensor, "E B"] | None, real: int
) -> Float[Tensor, "E B C"]:
    """What follows from the sequences so far.

    Args:
        kept: which of the memory's candidates they are, if it has any.
        real: tokens at the sequences' beginning that were played or observed, and not planned.
    """
    episodes, width, length = sequences.shape
    past = min(length // search.tokens, search.past)
    window = past * search.tokens + length % search.tokens
    if kept is not None and window == length:
        memory.select(kept)
        return memory.extend(sequences[:, :, -1:])[:, :, 0]
    windows = sequences[:, :, length - window :].reshape(episodes * width, window)
    common = None  # found out, which costs more than it saves on a GPU
    if memory.static:
        known = max(0, real - (length - window))  # tokens of the window
        common = -(-window // search.tokens) if known == window else known // search.tokens
    return memory.encode(windows, common).view(episodes, width, -1)


def observe(
    memory: KVCache,
    search: Search,
    sequences: Int[Tensor, "E B L"],
    output: Float[Tensor, "E B C"],
    draws: Float[Tensor, "E D candidates"],
) -> tuple[Int[Tensor, "E B L2"], Float[Tensor, "E B C"]]:
    """Draw the next observation: the sequences with it, and what follows from them."""
    for dimension in range(search.observation_size):
        scores = memory.network.next_logits(output, (dimension - 1) % search.tokens).flatten(0, 1)
        drawn = draws[:, dimension, : search.beam_width].reshape(-1)
        tokens = sample_tokens(scores, search.observations, drawn).view(*output.shape[:2], 1)
        sequences = torch.cat([sequences, tokens], dim=2)
        output = memory.extend(tokens)[:, :, 0]
    return sequences, output


def act(
    memory: KVCache,
    discretizer: Discretizer,
    search: Search,
    output: Float[Tensor, "E B C"],
    draws: Float[Tensor, "E D candidates"],
) -> tuple[Int[Tensor, "E candidates tokens"], Float[Tensor, "E candidates"], Float[Tensor, "E candidates"]]:
    """Every beam's candidates: their action, reward and value tokens, the reward and the value they expect."""
    episodes, network = len(draws), memory.network
    reward = search.observation_size + search.action_size
    outputs = output[:, :, None].expand(
        -1, -1, search.expand, -1
    )  # (E, B, S, C): before they act, a beam's candidates are one
    born, estimates = [], []
    for dimension in range(search.observation_size, search.tokens):
        scores = network.next_logits(outputs, dimension - 1).flatten(0, 2)  # (E candidates, N)
        if dimension < reward:
            tokens = sample_tokens(scores, search.actions, draws[:, dimension].reshape(-1))
        else:
            tokens = sample_tokens(scores, SamplingFilter(top=1), draws[:, dimension].reshape(-1))
            estimates.append(estimate(scores, dimension, discretizer, search).view(episodes, -1))
        born.append(tokens.view(episodes, -1))
        if dimension <= reward:
            outputs = memory.extend(tokens.view(outputs.shape[:3]))
    return torch.stack(born, dim=2), estimates[0], estimates[1]
