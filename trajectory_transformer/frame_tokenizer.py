"""Frames as tokens: a small autoencoder whose middle is rounded to a few levels, so that a place has one of 512 codes.

Source   finite scalar quantisation, Mentzer et al. 2023, arXiv:2309.15505: three numbers a place, each rounded to eight
         levels; what the rounding does to a gradient is ignored. No codebook is learned, so no code can die
Learns   the frame less the mean frame, by the squared error of all pixels and as much again of those that have changed
         since the frame before: a ball is 4 pixels of 7056, and an autoencoder that leaves it out errs by next to
         nothing. (More weight for what differs from the mean frame is not enough. On Breakout that is the bricks: after
         500 updates a tenth of the ball's brightness was shown, and this way half)

Shapes   N frames, C channels, H high, W wide, h x w places (84x84: 5x5), K = h w tokens of a frame
"""

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from trajectories.progress import progress
from trajectories.store import drop_pages

LEVELS = 8
NUMBERS = 3  # of a place
STEPS = ((8, 4, 2), (4, 2, 1), (4, 2, 1))  # kernel, stride and padding of each convolution; the smallest side is 16
CHANGED = 0.05  # of the brightest: what a pixel changes by at least when something moves
CONTRAST = 0.25  # of the brightest: what the network takes for 1; below a tenth, Pong's frames end in one code
PIECE = 1024  # frames encoded at once


class FrameTokenizer(nn.Module):
    """Frames to codes and back. Its weights are frozen but for `fit`, which learns them."""

    mean: Tensor  # (C, H, W), 0 to 1

    def __init__(self, shape: tuple[int, int, int], width: int) -> None:
        super().__init__()
        channels, *sides = shape
        widths = [channels, width // 2, width, width]
        down: list[nn.Module] = []
        up: list[nn.Module] = [nn.Conv2d(NUMBERS, width, 3, padding=1), nn.ReLU()]
        missing: list[tuple[int, int]] = []  # what a transposed convolution would leave out of each side
        for place, (kernel, stride, padding) in enumerate(STEPS):
            down += [nn.Conv2d(widths[place], widths[place + 1], kernel, stride, padding), nn.ReLU()]
            smaller = [(side + 2 * padding - kernel) // stride + 1 for side in sides]
            restored = [(side - 1) * stride - 2 * padding + kernel for side in smaller]
            missing.append((sides[0] - restored[0], sides[1] - restored[1]))
            sides = smaller
        for place, (kernel, stride, padding) in reversed(list(enumerate(STEPS))):
            inputs, outputs = widths[place + 1], widths[place]
            up += [nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding, missing[place]), nn.ReLU()]
        self.down = nn.Sequential(*down, nn.Conv2d(width, NUMBERS, 1))
        self.up = nn.Sequential(*up[:-1])
        self.sides = (sides[0], sides[1])  # (h, w)
        self.register_buffer("mean", torch.zeros(shape))
        self.requires_grad_(False)

    @property
    def tokens(self) -> int:
        """K: tokens of a frame."""
        return self.sides[0] * self.sides[1]

    def levels(self, frames: UInt8[Tensor, "N C H W"]) -> Float[Tensor, "N 3 h w"]:
        """What the middle says before it is rounded: numbers from -4 to 3."""
        middle = self.down((frames.to(self.mean.dtype) / 255 - self.mean) / CONTRAST)
        reach = (LEVELS - 1) / 2 * 1.001  # so that the outermost levels are reached
        return torch.tanh(middle + np.arctanh(0.5 / reach)) * reach - 0.5

    @torch.no_grad()
    def encode(self, frames: UInt8[Tensor, "N C H W"]) -> Int[Tensor, "N K"]:
        """Codes in raster order, [0, 512)."""
        digits = self.levels(frames).round().long() + LEVELS // 2  # (N, 3, h, w), [0, 8)
        powers = LEVELS ** torch.arange(NUMBERS, device=digits.device)
        return (digits * powers[:, None, None]).sum(1).flatten(1)

    def decode(self, codes: Int[Tensor, "N K"]) -> Float[Tensor, "N C H W"]:
        """What the codes show, 0 for black to 1; a little beyond where the network errs."""
        powers = LEVELS ** torch.arange(NUMBERS, device=codes.device)
        digits = codes.view(-1, 1, *self.sides) // powers[:, None, None] % LEVELS
        return self.show(digits.to(self.mean.dtype) - LEVELS // 2)

    def show(self, rounded: Float[Tensor, "N 3 h w"]) -> Float[Tensor, "N C H W"]:
        return self.up(rounded / (LEVELS // 2)) * CONTRAST + self.mean

    def loss(self, frames: UInt8[Tensor, "N C H W"], before: UInt8[Tensor, "N C H W"]) -> Float[Tensor, ""]:
        """Squared error of the frames through their codes, and that of what moved.

        Args:
            before: the frame before each, which shows what moved.
        """
        levels = self.levels(frames)
        shown = self.show(levels + (levels.round() - levels).detach())
        meant, past = (some.to(self.mean.dtype) / 255 for some in (frames, before))
        error = ((shown - meant) / CONTRAST).square()
        moved = (meant - past).abs() > CHANGED
        return error.mean() + (error * moved).sum() / moved.sum().clamp(min=1)

    def fit(self, frames: np.ndarray, updates: int, batch: int, rate: float, rng: np.random.Generator) -> None:
        """Train on (N, C, H, W) uint8 frames in recorded order.

        Weights and draws are decided by torch's generator and `rng`.
        """
        some = frames[np.sort(rng.integers(len(frames), size=min(2000, len(frames))))]
        self.mean.copy_(torch.from_numpy(some.mean(0, dtype=np.float64) / 255))
        self.requires_grad_(True)
        optimizer = torch.optim.AdamW(self.parameters(), lr=rate, weight_decay=0.0)
        with progress(updates, "learning to see", "updates") as bar, torch.enable_grad():
            for update in range(updates):
                for group in optimizer.param_groups:
                    group["lr"] = rate * min(1.0, 2 * (1 - update / updates))  # constant, then falling to zero
                drawn = np.sort(rng.integers(len(frames), size=batch))
                current, before = (torch.from_numpy(frames[rows]) for rows in (drawn, np.maximum(drawn - 1, 0)))
                loss = self.loss(current, before)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                drop_pages(frames)
                bar.update()
        self.requires_grad_(False)
        self.zero_grad()  # else they would count in the first gradient norm of the transformer

    def encode_all(self, frames: np.ndarray) -> np.ndarray:
        """(N, K) int16 codes of a column of frames, piece by piece."""
        codes = np.empty((len(frames), self.tokens), np.int16)
        with progress(len(frames), "looking at the data", "frames") as bar:
            for first in range(0, len(frames), PIECE):
                piece = torch.from_numpy(np.array(frames[first : first + PIECE]))
                codes[first : first + PIECE] = self.encode(piece.to(self.mean.device)).cpu().numpy()
                drop_pages(frames)
                bar.update(len(piece))
        return codes
