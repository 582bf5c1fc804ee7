"""Numbers as tokens: which ids stand for what, and how a value becomes an id and comes back.

Paper    Reed et al. 2022, arXiv:2205.06175, section 2.1 and appendix B
Text     SentencePiece ids, [0, 32000)
Values   mu-law (mu 100, M 256), clipped to [-1, 1], 1024 uniform bins, +1 in the last; decoded to the bin's center
Actions  continuous ones are in [-1, 1] by construction: binned without mu-law
Discrete the integer itself, [0, 1024)

Shapes   anything goes: every function is elementwise
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from trajectories.errors import UserError

TEXT_IDS = 32_000
BINS = 1024
MU = 100.0
LARGEST = 256.0  # M: the magnitude that mu-law takes to 1


@dataclass(frozen=True)
class Layout:
    """Where each kind of token begins in the table of ids."""

    name: str
    observations: int
    actions: int
    separator: int  # the last id

    @property
    def size(self) -> int:
        return self.separator + 1


# `split` has separate ids for observations and actions; `shared` is the paper's table read literally, and GIA's: one
# range of 1024 ids for both. Neither lets a value meet the separator.
LAYOUTS = {
    "split": Layout("split", observations=TEXT_IDS, actions=TEXT_IDS + BINS, separator=TEXT_IDS + 2 * BINS),  # 34,049
    "shared": Layout("shared", observations=TEXT_IDS, actions=TEXT_IDS, separator=TEXT_IDS + BINS),  # 33,025
}


def layout(name: str) -> Layout:
    """A layout by name.

    Raises:
        UserError: no layout is called that.
    """
    if name not in LAYOUTS:
        raise UserError(f"Token layout {name!r} is unknown: choose one of {', '.join(LAYOUTS)}.")
    return LAYOUTS[name]


def mu_law(values: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Squeeze [-256, 256] into [-1, 1], finely near zero and coarsely far from it; what lies beyond is clipped."""
    magnitude = values.abs().clamp(max=LARGEST)  # before the product, which would overflow for the largest floats
    return values.sign() * torch.log1p(magnitude * MU) / math.log1p(LARGEST * MU)


def inverse_mu_law(values: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """What `mu_law` squeezed."""
    return values.sign() * torch.expm1(values.abs() * math.log1p(LARGEST * MU)) / MU


def to_bins(values: Float[Tensor, "*n"], squeeze: bool) -> Int[Tensor, "*n"]:
    """The bin of each value, [0, 1024).

    Args:
        squeeze: apply mu-law first; True for observations, False for actions.

    Raises:
        UserError: a value is not finite.
    """
    if not bool(torch.isfinite(values).all()):
        culprit = values[~torch.isfinite(values)].flatten()[0].item()
        raise UserError(f"A value to be tokenized is {culprit}: remove the steps that are not finite from the data.")
    return bins_of(values, squeeze)


def bins_of(values: Shaped[Tensor, "*n"], squeeze: bool) -> Int[Tensor, "*n"]:
    """The bin of each value, as `to_bins` without its check; whole numbers are their own bins."""
    if not values.is_floating_point():
        return values.long()
    squeezed = mu_law(values) if squeeze else values
    bins = ((squeezed.clamp(-1, 1) + 1) * (BINS / 2)).long()
    return bins.clamp(max=BINS - 1)  # +1 itself would open a bin of its own, the next range's first id


def from_bins(bins: Int[Tensor, "*n"], squeezed: bool) -> Float[Tensor, "*n"]:
    """The value at each bin's center, float32."""
    centers = (bins.float() + 0.5) * (2 / BINS) - 1
    return inverse_mu_law(centers) if squeezed else centers


def check_discrete(values: Int[Tensor, "*n"]) -> Int[Tensor, "*n"]:
    """Discrete values are their own bins.

    Raises:
        UserError: a value lies outside [0, 1024).
    """
    outside = (values < 0) | (values >= BINS)
    if bool(outside.any()):
        culprit = int(values[outside].flatten()[0])
        raise UserError(f"Discrete value {culprit} has no token: renumber the values to lie in [0, {BINS}).")
    return values.long()
