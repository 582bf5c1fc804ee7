"""Trajectory Transformer of images: the screen becomes 25 tokens, and then everything is as with numbers.

Paper    none: Janner et al. 2021 have numbers only, and no published Trajectory Transformer plays Atari
Tokens   the newest frame's codes (frame_tokenizer.py), then action, reward and value: 28 a transition. The
         transitions before show what moves, and where to
Learns   first to see: an autoencoder of the data's frames, before the first update of the transformer and frozen from
         then on; then the next token, as elsewhere
Acts     by beam search, as elsewhere, over two transitions: the present one and one that is imagined

What to expect. A plan this short is a step of policy improvement, not foresight: of the actions that the data make
likely it takes the one that promises most over two steps and, by the value that follows, after them. The value is of
the policies that recorded the data; if these are of every quality, a frame's value says little about one more action.
A code stands for 17 x 17 pixels: what is smaller than a paddle may be lost between the codes, and the run's
picture of reconstructions shows whether it is.

Shapes   E episodes, N steps, K tokens of a frame
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from backbone.image_shape import image_shape
from backbone.images import channels_first
from trajectories.errors import UserError
from trajectories.types import Spec, Trajectories
from trajectories.windows import DeviceTrajectories
from trajectory_transformer import model
from trajectory_transformer.config import CODES, ImageConfig
from trajectory_transformer.frame_tokenizer import FrameTokenizer
from trajectory_transformer.player import BeamPlayer

EXAMPLES = 8  # frames whose reconstructions are shown


class AtariTrajectoryTransformer(model.TrajectoryTransformer):
    """A Trajectory Transformer of what its tokenizer makes of the frames."""

    reads = frozenset({"images"})
    config: ImageConfig
    examples: Tensor  # (8, C, H, W): frames of the data, to show what the codes keep of them
    NUMERICS = 1

    def __init__(self, config: ImageConfig, spec: Spec) -> None:
        if config.bins != CODES:
            raise UserError(f"--bins is {config.bins}, but the codes of frames are {CODES}: leave it out.")
        channels, high, wide = image_shape(spec)
        shape = (1 if spec.frame_stack > 1 else channels, high, wide)  # of a stack the newest frame alone is read
        tokenizer = FrameTokenizer(shape, config.tokenizer_width)
        super().__init__(config, coded(spec, tokenizer.tokens))
        self.spec = spec
        self.tokenizer = tokenizer
        self.choices |= dict.fromkeys(range(tokenizer.tokens), CODES)
        self.register_buffer("examples", torch.zeros(EXAMPLES, *shape, dtype=torch.uint8))
        self._coded: tuple[Trajectories, Trajectories] | None = None
        self._sees = False  # whether the tokenizer's weights are another model's, which has learned to see
        self.register_load_state_dict_post_hook(take_tokenizer)  # type: ignore[no-untyped-call]

    def calibrate(self, data: Trajectories) -> None:
        """Learn to see, unless weights were loaded that can, then fit the bins of rewards and values."""
        rng = np.random.default_rng(0)
        frames, config = self.frames(data.observations), self.config
        if not self._sees:
            self.tokenizer.fit(frames, config.tokenizer_updates, config.tokenizer_batch, config.tokenizer_rate, rng)
        spread = np.linspace(0, len(data) - 1, EXAMPLES).astype(int)
        self.examples.copy_(torch.from_numpy(np.ascontiguousarray(frames[spread])))
        super().calibrate(data)

    def columns(self, data: Trajectories) -> tuple[Trajectories, Tensor]:
        """As elsewhere, of the data with codes for observations; each frame is encoded once."""
        if self._coded is None or self._coded[0] is not data:
            host = data.host if isinstance(data, DeviceTrajectories) else data
            codes = self.tokenizer.encode_all(self.frames(host.observations))
            self._coded = data, replace(host, spec=coded(host.spec, self.tokenizer.tokens), observations=codes)
        return super().columns(self._coded[1])

    def frames(self, observations: np.ndarray) -> np.ndarray:
        """A column of frames as (N, C, H, W), without a copy, and still known for the file that it is mapped from."""
        if observations.ndim == 3:
            return observations[:, None]
        alike = observations.shape[1:] == self.examples.shape[1:]
        return observations if alike else np.moveaxis(observations, 3, 1)

    def newest(self, observations: np.ndarray) -> UInt8[Tensor, "E C H W"]:
        """What is read of (E, *obs) observations."""
        images = channels_first(torch.from_numpy(observations), leading=1)
        return (images[:, -1:] if self.spec.frame_stack > 1 else images).to(self.examples.device)

    def player(self, episodes: int, target_return: float = 0.0, seed: int = 0) -> "FramePlayer":
        return FramePlayer(self, episodes, seed)

    def metadata(self) -> dict[str, Any]:
        """How well the codes show the examples, and how many of them there are."""
        codes = self.tokenizer.encode(self.examples)
        error = (self.tokenizer.decode(codes) - self.examples / 255).square().mean()
        frames = {"tokens": self.tokenizer.tokens, "codes": CODES, "mean squared error of a pixel": float(error)}
        return {**super().metadata(), "frames": frames}

    def images(self) -> dict[str, np.ndarray]:
        """Frames of the data, and below them what their codes show."""
        shown = self.tokenizer.decode(self.tokenizer.encode(self.examples)).clamp(0, 1) * 255
        rows = torch.stack([self.examples, shown.to(torch.uint8)])  # (2, 8, C, H, W)
        picture = rows.permute(0, 3, 1, 4, 2).flatten(0, 1).flatten(1, 2).cpu().numpy()  # (2 H, 8 W, C)
        return {"reconstructions": np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture}


def take_tokenizer(model: "AtariTrajectoryTransformer", incompatible: object) -> None:
    """Loaded weights can see already; codes that were made before are another tokenizer's, if only by rounding."""
    model._coded, model._sees = None, True


class FramePlayer(BeamPlayer):
    """Plans from codes, but for a few actions; see backbone.interface.Player.

    One action in twenty is any action, as when Mnih et al. 2015 (Nature 518) measured DQN. A screen that stands still
    gives the same plan again: Breakout waited and waited for its ball.
    """

    model: AtariTrajectoryTransformer

    def __init__(self, model: AtariTrajectoryTransformer, episodes: int, seed: int) -> None:
        super().__init__(model, episodes, seed)
        self.blind = [np.random.default_rng([seed + episode, 1]) for episode in range(episodes)]  # of its own, likewise

    def fit(self, actions: np.ndarray) -> np.ndarray:
        actions, choices = super().fit(actions), self.model.spec.actions
        for episode, generator in enumerate(self.blind):
            if choices is not None and generator.random() < self.model.config.random_actions:
                actions[episode] = generator.integers(choices)
        return actions

    def act(self, observations: np.ndarray, rewards: np.ndarray, live: np.ndarray) -> np.ndarray:
        codes = self.model.tokenizer.encode(self.model.newest(observations)).cpu().numpy()
        return super().act(codes, rewards, live)


def coded(spec: Spec, tokens: int) -> Spec:
    """The environment as the transformer sees it: so many codes for an observation."""
    return replace(spec, observation_shape=(tokens,), observation_dtype="int16", frame_stack=1)
