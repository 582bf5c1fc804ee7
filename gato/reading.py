"""The hidden states that predict target tokens: of one task's stream, or of several tasks' read together.

A short batch costs nearly as much as a long one, so streams of several tasks share all blocks of the transformer but
the last; only where one is much shorter than the longest, it is read in a batch of its own.

Shapes   B sequences, L tokens, D width, R query positions, n target tokens
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor

from gato.stream import TokenSequence
from gato.transformer import ReadsPositions, ReadsStreams

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
    transformer: Any, streams: Sequence[Float[Tensor, "_ _ D"]], queries: Sequence[Int[Tensor, "_"]]
) -> list[Float[Tensor, "_ _ D"]]:
    """Hidden states at some positions of streams of vectors.

    Args:
        transformer: a `SequenceCore`.
    """
    if not isinstance(transformer, ReadsPositions):
        return [transformer(x)[:, read] for x, read in zip(streams, queries, strict=True)]
    if not isinstance(transformer, ReadsStreams):
        return [transformer.at(x, read) for x, read in zip(streams, queries, strict=True)]
    found: list[Tensor] = [streams[0]] * len(streams)
    for group in alike([x.shape[1] for x in streams]):
        hidden = transformer.at_each([streams[place] for place in group], [queries[place] for place in group])
        for place, part in zip(group, hidden, strict=True):
            found[place] = part
    return found


def alike(lengths: Sequence[int]) -> list[list[int]]:
    """Places in groups of similar lengths, the longest of each first."""
    groups: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        if not groups or lengths[place] < LEAST_FILLED * lengths[groups[-1][0]]:
            groups.append([])
        groups[-1].append(place)
    return groups
