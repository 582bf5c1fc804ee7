"""What an image is, and how the Decision Transformer's convolutions see it."""

import numpy as np
import pytest
import torch

from backbone.conv_encoder import FrameEncoder
from backbone.image_shape import image_shape, shows_images
from backbone.images import channels_first
from tests.toys import SCREEN, walk
from trajectories.errors import UserError
from trajectories.types import Spec
from trajectories.windows import cut


@pytest.mark.parametrize("shape", [(36, 40), (36, 40, 3), (3, 36, 40), (4, 36, 40)])
def test_images_of_every_layout_are_encoded(shape: tuple[int, ...]) -> None:
    spec = Spec("images", shape, (), max_episode_steps=9, actions=3, observation_dtype="uint8")
    assert shows_images(spec)
    assert image_shape(spec)[1:] == (36, 40)
    images = torch.randint(256, (2, 5, *shape), dtype=torch.uint8)
    encoder = FrameEncoder(spec, 16)
    vectors = encoder(images)
    assert vectors.shape == (2, 5, 16)
    torch.testing.assert_close(encoder(images[1, 3][None])[0], vectors[1, 3])


@pytest.mark.parametrize("spec", [SCREEN, Spec("colors", (36, 40, 3), (), 9, 3, observation_dtype="uint8")])
def test_pixels_that_never_change_do_not_count(spec: Spec) -> None:
    frames = np.random.default_rng(0).integers(100, size=(20, *spec.frame_shape), dtype=np.uint8)
    behind = np.random.default_rng(1).integers(100, size=spec.frame_shape, dtype=np.uint8)
    encoder, encoded = FrameEncoder(spec, 16), []
    for shown in (frames, frames + behind):
        encoder.calibrate(shown)
        encoder.deviation.fill_(30.0)
        images = np.broadcast_to(shown[3], spec.observation_shape)
        encoded.append(encoder(torch.from_numpy(images.copy())[None]))
    torch.testing.assert_close(encoded[0], encoded[1])


def test_stacks_that_share_their_frames_are_encoded_like_copies_of_them() -> None:
    batch = cut(walk((12, 7), spec=SCREEN), first=np.array([0, 12]), last=np.array([9, 18]), length=4)
    encoder = FrameEncoder(SCREEN, 16)
    assert not batch.observations.is_contiguous()
    assert torch.equal(encoder(batch.observations), encoder(batch.observations.contiguous()))


def test_channels_that_may_be_pixels_are_refused() -> None:
    with pytest.raises(UserError, match=r"\(36, 36, 7\) has no axis of 1, 3 or 4 channels"):
        channels_first(torch.zeros(2, 36, 36, 7, dtype=torch.uint8), leading=1)
