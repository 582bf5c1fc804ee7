"""Which environments show images, and where the channels of these are, by what their spec says: without torch.

Shapes   C channels (colors, or stacked gray frames), H high, W wide
"""

from collections.abc import Sequence

from trajectories.errors import UserError
from trajectories.types import Spec

CHANNELS = (1, 3, 4)  # by which an axis of channels is known from one of pixels


def shows_images(spec: Spec) -> bool:
    """Whether an observation is an image, and no row of numbers."""
    return spec.observation_dtype == "uint8" and len(spec.observation_shape) >= 2


def image_shape(spec: Spec) -> tuple[int, int, int]:
    """(C, H, W) of an environment's images."""
    return shape_of_image(spec.observation_shape)


def image_shapes(spec: Spec) -> list[tuple[int, int, int]]:
    """(C, H, W) of every image that an observation is or has as a part."""
    if shows_images(spec):
        return [image_shape(spec)]
    return [shape_of_image(part.shape) for part in spec.parts if part.kind == "image"]


def shape_of_image(shape: Sequence[int]) -> tuple[int, int, int]:
    """(C, H, W) of an image, whichever axis its channels are."""
    sides = list(shape)
    axis = channel_axis(sides)
    channels = 1 if axis is None else sides.pop(axis)
    high, wide = sides
    return channels, high, wide


def channel_axis(shape: Sequence[int]) -> int | None:
    """Of (H, W), (C, H, W) or (H, W, C): where C is, -3 or -1; None where there is none."""
    if len(shape) == 2:
        return None
    for axis in (-3, -1):
        if len(shape) == 3 and shape[axis] in CHANNELS:
            return axis
    raise UserError(f"An image of shape {tuple(shape)} has no axis of 1, 3 or 4 channels: reshape it.")
