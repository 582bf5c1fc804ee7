"""Images as tensors, with their channels where convolutions want them."""

from jaxtyping import UInt8
from torch import Tensor

from backbone.image_shape import channel_axis


def channels_first(images: UInt8[Tensor, "*n"], leading: int = 2) -> UInt8[Tensor, "*m"]:
    """(..., H, W), (..., H, W, C) or (..., C, H, W) as (..., C, H, W); `leading` axes (batch, time) come before."""
    axis = channel_axis(images.shape[leading:])
    return images.unsqueeze(-3) if axis is None else images.movedim(axis, -3)
