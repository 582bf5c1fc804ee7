"""The hidden states that predict target tokens: of one task's stream, or of several tasks' read as one batch.

A short batch costs nearly as much as a long one, so streams of several tasks stand below each other, each padded behind
its end: what follows a token changes nothing that is known after it. Only where a stream is much shorter than the
longest, it is read in a batch of its own.

Shapes   B sequences, L tokens, D width, R query positions, n target tokens
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

from gato.stream import TokenSequence
from gato.transformer import ReadsPositions, SequenceCore, rows_at

LEAST_FILLED = 0.75  # of the longest stream's tokens, to be read beside it


@dataclass(frozen=True)
class Targets:
    """A stream's target tokens, and where they are predicted."""

    queries: Int[Tensor, "R"]  # the positions before a target, in any sequence
    mask: Bool[Tensor, "B R"]  # where one is, and real
    ids: Int[Tensor, "n"]

    @classmethod
    def of(cls, stream: TokenSequence) -> "Targets":
        is_target = stream.is_target()[:, 1:]  # each position predicts the next token
        queries = is_target.any(dim=0).nonzero().squeeze(1)
        mask = (is_target & stream.valid[:, 1:])[:, queries]
        return cls(queries, mask, stream.ids[:, 1:][:, queries][mask])


def hidden_at(
    transformer: SequenceCore, x: Float[Tensor, "B L D"], read: Int[Tensor, "*#B R"]
) -> Float[Tensor, "B R D"]:
    """Hidden states at some positions, the same of every sequence or each one's own."""
    return transformer.at(x, read) if isinstance(transformer, ReadsPositions) else rows_at(transformer(x), read)


def hidden_together(
    transformer: SequenceCore, streams: Sequence[Float[Tensor, "_ _ D"]], queries: Sequence[Int[Tensor, "_"]]
) -> list[Float[Tensor, "_ _ D"]]:
    """`hidden_at` of several streams of vectors, each at its own positions."""
    found: list[Tensor] = [streams[0]] * len(streams)
    for group in alike([x.shape[1] for x in streams]):
        longest, most = streams[group[0]].shape[1], max(len(queries[place]) for place in group)
        x = torch.cat([pad(streams[place], (0, 0, 0, longest - streams[place].shape[1])) for place in group])
        sizes = [len(streams[place]) for place in group]
        own = [pad(queries[place], (0, most - len(queries[place]))) for place in group]
        read = torch.stack(own).repeat_interleave(torch.tensor(sizes, device=x.device), dim=0)  # (B, R)
        parts = torch.split(hidden_at(transformer, x, read), sizes)
        for place, part in zip(group, parts, strict=True):
            found[place] = part[:, : len(queries[place])]
    return found


def alike(lengths: Sequence[int]) -> list[list[int]]:
    """Places in groups of similar lengths, the longest of each first."""
    groups: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        if not groups or lengths[place] < LEAST_FILLED * lengths[groups[-1][0]]:
            groups.append([])
        groups[-1].append(place)
    return groups
