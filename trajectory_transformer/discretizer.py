"""Numbers to bins and back: every dimension of a transition has its own bins.

Quantile edges (the default) put as many recorded steps into each bin; uniform edges cut the recorded range evenly.
A number lies in the last bin whose left edge it reaches, numbers outside the range in the outermost bins, and a bin
stands for its middle. Where a value repeats, quantile edges coincide: the bins between them stay empty, which `audit`
counts.

Differs  coinciding edges are counted; jannerm's check of the value column's is commented out. Its `percentile` reads
         the bin before the one it found (trajectory/utils/discretization.py:113-115 at 8834a6e, for the first bin the
         last edge); ours reads the bin found.

Shapes   D dimensions, N bins
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trajectories.errors import DatasetError


@dataclass(frozen=True)
class Audit:
    """How well one dimension's bins serve its column."""

    name: str
    used: int  # bins that hold at least one step
    empty: int
    duplicate: int  # bins of width zero
    mean_error: float  # of the reconstruction, in the column's units
    largest_error: float


class Discretizer(nn.Module):
    """Edges, (D, N + 1), are a buffer: a checkpoint carries them."""

    edges: Tensor

    def __init__(self, dimensions: int, bins: int) -> None:
        super().__init__()
        self.bins = bins
        self.register_buffer("edges", torch.linspace(-1, 1, bins + 1).repeat(dimensions, 1))

    def fit(self, dimension: int, column: np.ndarray, method: str, lowest: float | None = None) -> None:
        """Edges of one dimension from its whole column, (steps,).

        Args:
            lowest: a number below all others in the column, which gets the first bin for itself, with it in the middle.
        """
        if not np.isfinite(column).all():
            raise DatasetError(
                f"Column {dimension} holds {column[~np.isfinite(column)][0]}, which no bin can hold: correct the data."
            )
        bins = self.bins
        if lowest is not None:
            column, bins = column[column > lowest], bins - 1
        if method == "quantile":
            edges = np.sort(column)[np.linspace(0, len(column) - 1, bins + 1).astype(int)]
        else:
            edges = np.linspace(column.min(), column.max(), bins + 1)
        if lowest is not None:
            edges = np.append(2 * lowest - edges[0], edges)
        self.edges[dimension] = torch.from_numpy(edges.astype(np.float32))

    def fit_choices(self, dimension: int, choices: int) -> None:
        """Choices 0, 1, ... of a discrete action: each the middle of its own bin."""
        if choices > self.bins:
            raise DatasetError(f"{choices} actions do not fit into {self.bins} bins: raise --bins to {choices}.")
        self.edges[dimension] = torch.arange(self.bins + 1) - 0.5

    def encode(self, numbers: Float[Tensor, "*shape d"], first: int = 0) -> Int[Tensor, "*shape d"]:
        """Bins of dimensions `first`, `first` + 1, ..."""
        edges = self.edges[first : first + numbers.shape[-1]]
        columns = numbers.to(edges.dtype).reshape(-1, len(edges)).mT.contiguous()  # (d, M)
        reached = torch.searchsorted(edges, columns, right=True) - 1
        return reached.clamp_(0, self.bins - 1).mT.reshape(numbers.shape)

    def decode(self, tokens: Int[Tensor, "*shape d"], first: int = 0) -> Float[Tensor, "*shape d"]:
        """The middles of the bins; a stop token, which has none, reads as the last bin, as in the authors' code."""
        middles = self.middles()[first : first + tokens.shape[-1]]
        columns = tokens.clamp(max=self.bins - 1).reshape(-1, len(middles)).mT
        return middles.gather(1, columns).mT.reshape(tokens.shape)

    def middles(self) -> Float[Tensor, "D N"]:
        return (self.edges[:, :-1] + self.edges[:, 1:]) / 2

    def mean(self, probabilities: Float[Tensor, "*shape n"], dimension: int) -> Float[Tensor, "*shape"]:
        """Expectation under probabilities of N bins and the stop token, which counts as zero."""
        return probabilities[..., : self.bins] @ self.middles()[dimension].to(probabilities.dtype)

    def percentile(
        self, probabilities: Float[Tensor, "*shape n"], dimension: int, at: float
    ) -> Float[Tensor, "*shape"]:
        """The middle of the first bin up to which more than the share `at` lies (the last, if none)."""
        beyond = probabilities[..., : self.bins].cumsum(-1) > at
        beyond[..., -1] = True
        return self.middles()[dimension].to(probabilities.dtype)[beyond.int().argmax(-1)]

    def audit(self, dimension: int, column: np.ndarray, name: str) -> Audit:
        """How well a dimension's bins serve its column."""
        numbers = torch.from_numpy(np.array(column, np.float32))[:, None]  # a copy: memory maps may be read-only
        tokens = self.encode(numbers, dimension)
        error = (self.decode(tokens, dimension) - numbers).abs().double()
        used = int((torch.bincount(tokens[:, 0], minlength=self.bins) > 0).sum())
        return Audit(
            name=name,
            used=used,
            empty=self.bins - used,
            duplicate=int((self.edges[dimension].diff() == 0).sum()),
            mean_error=float(error.mean()),
            largest_error=float(error.max()),
        )


def table(audits: list[Audit]) -> str:
    """The audit for people: one line a dimension."""
    lines = [f"{'dimension':<16}{'used':>6}{'empty':>7}{'duplicate':>11}{'mean error':>13}{'largest error':>15}"]
    lines += [
        f"{row.name:<16}{row.used:>6}{row.empty:>7}{row.duplicate:>11}{row.mean_error:>13.4g}{row.largest_error:>15.4g}"
        for row in audits
    ]
    return "\n".join(lines)
