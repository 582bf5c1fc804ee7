"""What observations are compared by: a row of numbers, and a text where there is one.

Numbers  as they are, flat; the cells of a grid likewise
Images   the mean brightness of 12 x 12 areas, of the average of the colors; of a stack, of its newest frame and of its
         middle one, which shows where things move: in games of Breakout that were left out, the nearest of 60,000
         recorded steps had the recorded action in 63% of the steps, with the second newest instead in 58%
Texts    their bytes

Shapes   n observations, N steps, D numbers of a row, L bytes of all texts of an observation
"""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch.nn.functional import adaptive_avg_pool2d

from backbone.image_shape import image_shape, shape_of_image, shows_images
from backbone.images import channels_first
from trajectories.parts import view
from trajectories.statistics import blocks
from trajectories.store import drop_pages
from trajectories.types import Spec, Trajectories

CELLS = 12  # areas along a side of an image


def size(spec: Spec) -> int:
    """D, of an environment's observations; at least 1."""
    if spec.parts:
        images = [_small_size(shape_of_image(part.shape)) for part in spec.parts if part.kind == "image"]
        return max(1, sum(images) + sum(part.size for part in spec.parts if part.kind in ("float", "integer")))
    if shows_images(spec):
        frame = replace(spec, observation_shape=spec.frame_shape)
        return len(frames_before(spec)) * _small_size(image_shape(frame))
    return spec.observation_size


def text_size(spec: Spec) -> int:
    """L, of an environment's observations; 0 without texts."""
    return sum(part.nbytes for part in spec.parts if part.kind == "text")


def frames_before(spec: Spec) -> tuple[int, ...]:
    """The frames of a stack that are compared, by how many steps before now they are."""
    return (0,) if spec.frame_stack == 1 else (0, spec.frame_stack // 2)


def of_observations(observations: np.ndarray, spec: Spec) -> Float[np.ndarray, "n D"]:
    """The numbers of some observations, (n, *obs)."""
    if spec.frame_stack > 1:
        observations = observations[:, [-1 - before for before in frames_before(spec)]]
        return _of_frames(observations.reshape(-1, *spec.frame_shape), spec).reshape(len(observations), -1)
    return _of_frames(observations, spec)


def texts_of(observations: np.ndarray, spec: Spec) -> UInt8[np.ndarray, "n L"]:
    """The texts of some observations, side by side."""
    columns = view(observations, spec.parts)
    return np.concatenate([columns[part.name] for part in spec.parts if part.kind == "text"], axis=1)


def of_data(data: Trajectories) -> Float[np.ndarray, "N D"]:
    """The numbers of all observations of recorded trajectories."""
    made = []
    for rows in blocks(data.observations):
        made.append(_of_frames(data.observations[rows], data.spec))
        drop_pages(data.observations)
    frames = np.concatenate(made)
    if data.spec.frame_stack == 1:
        return frames
    steps = np.arange(len(data))
    begun = data.starts[data.episode_of(steps)]
    stacked = []
    for before in frames_before(data.spec):
        shown = frames[np.maximum(steps - before, 0)]
        shown[steps - before < begun] = 0  # a frame from before the episode is blank, as in windows.py
        stacked.append(shown)
    return np.concatenate(stacked, axis=1)


def _of_frames(frames: np.ndarray, spec: Spec) -> Float[np.ndarray, "n D"]:
    """The numbers of (n, *frame): of observations, or of a stack's frames one by one."""
    if spec.parts:
        columns = view(frames, spec.parts)
        numbers = [
            _small(columns[part.name]) if part.kind == "image" else columns[part.name].reshape(len(frames), -1)
            for part in spec.parts
            if part.kind != "text"
        ]
        return np.concatenate(numbers or [np.zeros((len(frames), 1))], axis=1, dtype=np.float32)
    return _small(frames) if shows_images(spec) else frames.reshape(len(frames), -1).astype(np.float32)


def _small(images: np.ndarray) -> Float[np.ndarray, "n D"]:
    """Images (n, H, W), (n, H, W, C) or (n, C, H, W), small and gray."""
    values = channels_first(torch.from_numpy(np.array(images)), leading=1).float()
    if values.shape[1] == 3:
        values = values.mean(1, keepdim=True)
    high, wide = (min(CELLS, side) for side in values.shape[2:])
    return adaptive_avg_pool2d(values, (high, wide)).flatten(1).numpy()


def _small_size(shape: tuple[int, int, int]) -> int:
    channels, high, wide = shape
    return (1 if channels == 3 else channels) * min(CELLS, high) * min(CELLS, wide)
