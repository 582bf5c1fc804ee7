"""Images as patches: 16x16 squares in raster order.

Paper    pixels to [-1, 1], then divided by 4, the square root of 16 (section 2.1)
Differs  once there are data, their mean image is taken off, and what is left is divided by its deviation. As the paper
         has it, 2,300 updates on Pong left the loss at 0.986, which 300 get below this way: a ball of 4 pixels is next
         to nothing beside a background that never changes. Patches that a caller has cut are taken as they come

A size that is no multiple of 16 is padded with black below and to the right, before anything else: Atari's 84x84 to
96x96, which makes 36 patches. (The paper's images fit; GIA enlarges the image instead, which changes every pixel.)

Stacked gray frames are the channels of one image, so that a patch shows how what is in it moves.

Shapes   H high, W wide, C channels, N patches of an image, p side of a patch, P patches in all, U distinct ones,
         D channels of the model's patches
"""

from collections.abc import Sequence

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int, Shaped, UInt8
from torch import Tensor, nn
from torch.nn.functional import pad

from backbone.images import channels_first
from trajectories.errors import UserError
from trajectories.store import drop_pages

SOME = 2_000  # images of each task, spread over its data, from which the mean is taken
MIDDLE, REACH = 127.5, 510.0  # the paper's: (x / 255 * 2 - 1) / 4


class Pixels(nn.Module):
    """Pixels as numbers: the paper's until `calibrate`, then less the mean image and divided by the deviation."""

    mean: Tensor  # (C, H, W), padded to whole patches, 0 to 255
    deviation: Tensor

    def __init__(self, shape: tuple[int, int, int], side: int) -> None:
        super().__init__()
        channels, high, wide = shape
        padded = torch.full((channels, high + -high % side, wide + -wide % side), MIDDLE)
        self.register_buffer("mean", padded)
        self.register_buffer("deviation", torch.tensor(REACH))

    def calibrate(self, tasks: Sequence[np.ndarray]) -> None:
        """Take mean and deviation of each task's (N, *image) images, or (N, H, W) frames of stacks; all tasks alike."""
        drawn = []
        for images in tasks:
            rows = np.linspace(0, len(images) - 1, min(SOME, len(images))).astype(int)
            drawn.append(black_to(channels_first(torch.from_numpy(images[rows]), leading=1), self.mean.shape).double())
            drop_pages(images)
        mean = torch.stack([some.mean(0) for some in drawn]).mean(0)
        spread = torch.stack([(some - mean).square().mean() for some in drawn]).mean().sqrt()
        self.mean.copy_(mean)  # one frame's, for each of its stack
        self.deviation.copy_(spread.clamp(min=1.0))

    def forward(self, patches: UInt8[Tensor, "U C p p"], places: Int[Tensor, "U"]) -> Float[Tensor, "U C p p"]:
        """Numbers for patches that stand at these places of the image, counted in raster order."""
        return scaled(patches, squares(self.mean, patches.shape[-1])[places], self.deviation)


def scaled(
    images: UInt8[Tensor, "*n"], mean: Tensor | float = MIDDLE, deviation: Tensor | float = REACH
) -> Float[Tensor, "*n"]:
    """The paper's normalization of pixels, unless the data's mean image is known."""
    return (images - mean) / deviation


def black_to(images: UInt8[Tensor, "*n C H W"], shape: Sequence[int]) -> UInt8[Tensor, "*n C h w"]:
    """Images with black below and to the right, as high and wide as `shape` says."""
    return pad(images, (0, shape[-1] - images.shape[-1], 0, shape[-2] - images.shape[-2]))


def squares(images: Shaped[Tensor, "*n C h w"], side: int) -> Shaped[Tensor, "*n N C p p"]:
    """The squares of images that are so many squares high and wide, in raster order."""
    return rearrange(images, "... c (h p) (w q) -> ... (h w) c p q", p=side, q=side)


def to_patches(
    images: UInt8[Tensor, "*n C H W"], side: int, channels: int, pixels: Pixels | None = None
) -> tuple[Float[Tensor, "U D p p"], Int[Tensor, "*n N"]]:
    """Patches as numbers, each that occurs at one place more than once only once, and which of them stands where.

    In a batch of Atari's screens one in six is left. Not on a GPU, where finding them costs more.

    Args:
        channels: as many as the model has; those that an image lacks are zero.
        pixels: how they become numbers, if not as in the paper.

    Raises:
        UserError: an image has more channels.
    """
    if images.shape[-3] > channels:
        raise UserError(f"An image has {images.shape[-3]} channels, but the patches {channels}: raise image_channels.")
    high, wide = images.shape[-2:]
    cut = squares(black_to(images, (high + -high % side, wide + -wide % side)), side)  # (*n, N, C, p, p)
    places = torch.arange(cut.shape[-4], device=cut.device).expand(cut.shape[:-3])
    patches = cut.flatten(0, -4)  # (P, C, p, p)
    one, which = distinct(patches, places.flatten())
    patches, standing = patches[one], places.flatten()[one]
    numbers = scaled(patches) if pixels is None else pixels(patches, standing)
    return pad(numbers, (0, 0, 0, 0, 0, channels - numbers.shape[1])), which.reshape(places.shape)


def distinct(patches: UInt8[Tensor, "P C p p"], places: Int[Tensor, "P"]) -> tuple[Int[Tensor, "U"], Int[Tensor, "P"]]:
    """Where one of each distinct patch stands, and which of these each one is."""
    if patches.device.type != "cpu":
        every = torch.arange(len(patches), device=patches.device)
        return every, every
    found: dict[tuple[int, bytes], int] = {}  # six times as fast as sorting them
    rows = zip(places.tolist(), patches.flatten(1).numpy(), strict=True)
    index = torch.tensor(
        [found.setdefault((place, row.tobytes()), len(found)) for place, row in rows], dtype=torch.long
    )
    one = torch.empty(len(found), dtype=torch.long)
    one[index] = torch.arange(len(index))
    return one, index


def patch_intervals(high: int, wide: int, side: int) -> Float[Tensor, "N 2 2"]:
    """What part of the image each patch covers: ((row from, to), (column from, to)), in shares of the padded size."""
    rows, columns = -(-high // side), -(-wide // side)
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    begin = torch.stack([row.flatten() / rows, column.flatten() / columns], dim=1)  # (N, 2)
    size = torch.tensor([1 / rows, 1 / columns])
    return torch.stack([begin, begin + size], dim=2)
