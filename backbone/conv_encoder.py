"""Frames as vectors: the convolutions of Mnih et al. 2015 (Nature 518), as kzl's Atari models use them.

Source   kzl atari/mingpt/model_atari.py at e2d82e6: 32 of 8x8 / 4, 64 of 4x4 / 2, 64 of 3x3 / 1, a linear layer, tanh
Differs  the data's mean frame is taken off, and what is left divided by its deviation; kzl only divides by 255. There a
         ball of 4 pixels is next to nothing beside a background that never changes. Cloning Pong's better players, 400
         updates of 256 taught raw frames nothing (cross-entropy 0.74 from first to last, not one press of the paddle
         foretold in an unseen game), and these much (0.39, 44%)

Shapes   C channels (the stacked frames, oldest first), H high, W wide, D width; img is an image as its spec has it
"""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from backbone.image_shape import image_shape
from backbone.images import channels_first
from trajectories.store import drop_pages
from trajectories.types import Spec
from trajectories.windows import stacked, unstacked

SOME = 2_000  # frames, spread over the data, from which their mean is taken


class FrameEncoder(nn.Module):
    """One vector for each stack of frames."""

    mean: Tensor  # (H, W), or (C, H, W) where frames are not stacked, 0 to 255
    deviation: Tensor

    def __init__(self, spec: Spec, width: int) -> None:
        super().__init__()
        self.axes = len(spec.observation_shape)  # of an image: 2 or 3
        channels, *sides = image_shape(spec)
        high, wide = (((side - 8) // 4 + 1 - 4) // 2 + 1 - 2 for side in sides)  # 7 of 84
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, 32, 8, stride=4),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3),
            nn.ReLU(),
        )
        self.out = nn.Linear(64 * high * wide, width)
        self.stacked = spec.frame_stack > 1
        self.register_buffer("mean", torch.zeros(sides if self.stacked else (channels, *sides)))
        self.register_buffer("deviation", torch.tensor(255.0))

    def calibrate(self, frames: np.ndarray) -> None:
        """Take mean and deviation of (N, *frame) frames, each of them once."""
        some = torch.from_numpy(frames[np.linspace(0, len(frames) - 1, min(SOME, len(frames))).astype(int)])
        some = (some if self.stacked else channels_first(some, leading=1)).double()
        self.mean.copy_(some.mean(0))
        self.deviation.copy_((some - some.mean(0)).std(correction=0).clamp(min=1.0))
        drop_pages(frames)

    def forward(self, images: UInt8[Tensor, "*img"]) -> Float[Tensor, "*n D"]:
        """Of a window, (B, T, S, H, W), neighboring stacks share their frames: each frame is scaled once."""
        leading = images.shape[: -self.axes]
        if self.stacked and len(leading) == 2:
            pixels = stacked(self.scale(unstacked(images)), images.shape[2])
        else:
            pixels = self.scale(channels_first(images, len(leading)))
        features = self.convolutions(pixels.flatten(0, -4)).flatten(1)
        return torch.tanh(self.out(features)).view(*leading, -1)

    def scale(self, pixels: UInt8[Tensor, "*n H W"]) -> Float[Tensor, "*n H W"]:
        kind = pixels.device.type
        exact = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else self.out.weight.dtype
        return (pixels.to(exact) - self.mean.to(exact)) / self.deviation.to(exact)  # 0 ... 255 are bfloat16s
