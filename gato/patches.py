"""Images as patches: 16x16 squares in raster order, pixels to [-1, 1] and then divided by 4, the square root of 16.

A size that is no multiple of 16 is padded with black below and to the right, before anything else: Atari's 84x84 to
96x96, which makes 36 patches. (The paper's images fit; GIA enlarges the image instead, which changes every pixel.)

Stacked grey frames are the channels of one image, so that a patch shows how what is in it moves.

Shapes   H high, W wide, C channels, N patches, p side of a patch
"""

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import pad

from trajectories.errors import UserError


def to_patches(images: UInt8[Tensor, "*n C H W"], side: int, channels: int) -> Float[Tensor, "*n N D p p"]:
    """Patches in raster order, as many channels as the model has; channels that an image lacks are zero.

    Raises:
        UserError: an image has more.
    """
    if images.shape[-3] > channels:
        raise UserError(f"An image has {images.shape[-3]} channels, but the patches {channels}: raise image_channels.")
    high, wide = images.shape[-2:]
    images = pad(images, (0, -wide % side, 0, -high % side))
    pixels = (images.float() / 255 * 2 - 1) / 4
    cut = rearrange(pixels, "... c (h p) (w q) -> ... (h w) c p q", p=side, q=side)
    return pad(cut, (0, 0, 0, 0, 0, channels - cut.shape[-3]))


def patch_intervals(high: int, wide: int, side: int) -> Float[Tensor, "N 2 2"]:
    """What part of the image each patch covers: ((row from, to), (column from, to)), in shares of the padded size."""
    rows, columns = -(-high // side), -(-wide // side)
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    begin = torch.stack([row.flatten() / rows, column.flatten() / columns], dim=1)  # (N, 2)
    size = torch.tensor([1 / rows, 1 / columns])
    return torch.stack([begin, begin + size], dim=2)
