"""Images among observations: which environments show them, and where their channels are.

Shapes   C channels (colours, or stacked grey frames), H high, W wide
"""

import torch
from jaxtyping import UInt8
from torch import Tensor

from trajectories.errors import UserError
from trajectories.types import Spec

CHANNELS = (1, 3, 4)  # what tells an axis of channels from one of pixels


def shows_images(spec: Spec) -> bool:
    """Whether an observation is an image, and no row of numbers."""
    return spec.observation_dtype == "uint8" and len(spec.observation_shape) >= 2


def image_shape(spec: Spec) -> tuple[int, int, int]:
    """(C, H, W) of an environment's images."""
    blank = torch.empty(spec.observation_shape, dtype=torch.uint8, device="meta")
    channels, high, wide = channels_first(blank, leading=0).shape
    return channels, high, wide


def channels_first(images: UInt8[Tensor, "*n"], leading: int = 2) -> UInt8[Tensor, "*m"]:
    """(..., H, W), (..., H, W, C) or (..., C, H, W) as (..., C, H, W); `leading` axes (batch, time) come before."""
    axes = images.ndim - leading
    if axes == 2:
        return images.unsqueeze(-3)
    if axes == 3 and images.shape[-3] in CHANNELS:
        return images
    if axes == 3 and images.shape[-1] in CHANNELS:
        return images.movedim(-1, -3)
    raise UserError(f"An image of shape {tuple(images.shape[leading:])} has no axis of 1, 3 or 4 channels: reshape it.")
