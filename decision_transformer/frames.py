"""Frames as vectors: the convolutions of Mnih et al. 2015 (Nature 518), as kzl's Atari models use them.

Source   kzl atari/mingpt/model_atari.py at e2d82e6: 32 of 8x8 / 4, 64 of 4x4 / 2, 64 of 3x3 / 1, a linear layer, tanh

Shapes   C channels (the stacked frames, oldest first), H high, W wide, D width; img is an image as its spec has it
"""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from backbone.images import channels_first, image_shape
from trajectories.types import Spec


class FrameEncoder(nn.Module):
    """One vector for each stack of frames."""

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

    def forward(self, images: UInt8[Tensor, "*img"]) -> Float[Tensor, "*n D"]:
        """`images` may be a view in which neighbouring stacks share their frames."""
        leading, kind = images.shape[: -self.axes], images.device.type
        exact = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else self.out.weight.dtype
        pixels = channels_first(images, len(leading)).to(exact).flatten(0, -4) / 255  # 0 ... 255 are bfloat16s
        return torch.tanh(self.out(self.convolutions(pixels).flatten(1))).view(*leading, -1)
