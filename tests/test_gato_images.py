"""Gato's images: patches, the mean image, and how few patches are encoded."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gato import Gato
from gato.observations import tokens_per_step
from gato.patches import Pixels, to_patches
from tests.toys import SCREEN, small, walk
from trajectories.errors import UserError
from trajectories.types import Spec, Trajectories
from trajectories.windows import cut

LENGTHS = (12, 7, 12)


@pytest.fixture(scope="module")
def data() -> Trajectories:
    return walk(LENGTHS, spec=SCREEN)


def test_a_step_of_atari_is_36_patches_a_separator_and_an_action() -> None:
    atari = Spec("game", (4, 84, 84), (), max_episode_steps=9, actions=6, observation_dtype="uint8", frame_stack=4)
    assert tokens_per_step(atari) == 38
    numbers, which = to_patches(torch.full((1, 4, 84, 84), 255, dtype=torch.uint8), 16, 4)
    patches = numbers[which]
    assert patches.shape == (1, 36, 4, 16, 16)
    assert patches[0, 0].min() == patches.max() == 0.25
    assert patches[0, 35, :, :4, :4].min() == 0.25  # 84 = 5 x 16 + 4
    assert patches[0, 35, :, 4:].max() == patches[0, 35, :, :, 4:].max() == -0.25  # black


def test_gato_sees_what_changes_and_not_what_always_shows() -> None:
    """The same game on another background, brighter by as much in every frame, gives the same patches."""
    plain = walk(LENGTHS, spec=SCREEN)
    plain = replace(plain, observations=plain.observations // 2)
    behind = np.random.default_rng(1).integers(100, size=SCREEN.frame_shape, dtype=np.uint8)
    patches = []
    for data in (plain, replace(plain, observations=plain.observations + behind)):
        gato = small("gato", data)
        assert isinstance(gato, Gato)
        window = cut(data, first=np.array([0]), last=np.array([9]), length=4)
        stream = gato.stream(window)
        assert stream.patches is not None
        assert stream.patch_index is not None
        patches.append(stream.patches[stream.patch_index])
    torch.testing.assert_close(patches[0], patches[1], atol=1e-4, rtol=1e-4)
    assert patches[0].square().mean().sqrt().item() == pytest.approx(1.0, rel=0.5)


def test_games_of_one_size_share_a_mean_image_to_which_each_gives_as_much() -> None:
    pixels = Pixels((4, 84, 84), side=16)
    dark, bright = np.full((10, 84, 84), 20, np.uint8), np.full((3_000, 84, 84), 60, np.uint8)
    pixels.calibrate([dark, bright])
    assert pixels.mean[:, :84, :84].unique().tolist() == [40.0]
    assert pixels.mean[:, 84:].unique().tolist() == [0.0]  # black beyond the image
    assert pixels.deviation.item() == pytest.approx(20.0 * 84 / 96)


def test_gato_sees_every_frame_of_a_stack(data: Trajectories) -> None:
    torch.manual_seed(0)
    gato = small("gato", data)
    assert isinstance(gato, Gato)
    assert gato.config.image_channels == 4
    batch = cut(data, first=np.array([0]), last=np.array([9]), length=4)
    for frame in range(4):
        other = batch.observations.clone()
        other[:, 0, frame] = 255 - other[:, 0, frame]
        now, then = (
            gato.predict(gato.stream(replace(batch, observations=x)))[0][0] for x in (other, batch.observations)
        )
        assert not torch.allclose(now[0], then[0], atol=1e-6), frame


def test_an_image_with_more_channels_than_the_patches_is_refused_and_not_cropped() -> None:
    with pytest.raises(UserError, match="has 4 channels, but the patches 3"):
        to_patches(torch.zeros(1, 4, 32, 32, dtype=torch.uint8), 16, 3)


def test_a_repeated_patch_is_encoded_once_and_learns_from_all_its_places(data: Trajectories) -> None:
    torch.manual_seed(0)
    gato = small("gato", data).eval()  # in training, positions are drawn
    assert isinstance(gato, Gato)
    batch = cut(data, first=np.array([0, 1]), last=np.array([9, 9]), length=4)
    shared = gato.stream(batch)
    assert shared.patches is not None
    assert shared.patch_index is not None
    assert len(shared.patches) <= len(shared.patch_index) / 2  # the two windows are of the same steps
    each = replace(
        shared, patches=shared.patches[shared.patch_index], patch_index=torch.arange(len(shared.patch_index))
    )
    weights = torch.randn(len(shared.patch_index), gato.config.width)
    encoder = gato.embedding.patch
    assert encoder is not None
    vectors, gradients = [], []
    for stream in (shared, each):
        gato.zero_grad()
        vectors.append(gato.embedding.patches(stream))
        (vectors[-1] * weights).sum().backward()
        gradients.append([weight.grad.clone() for weight in encoder.parameters() if weight.grad is not None])
    for one, other in zip([vectors[0], *gradients[0]], [vectors[1], *gradients[1]], strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_patches_are_convolved_in_numbers_that_come_again(data: Trajectories) -> None:
    """oneDNN compiles and keeps a program for every new number of patches: 1.9 GB after some minutes."""
    gato = small("gato", data)
    assert isinstance(gato, Gato)
    encoder = gato.embedding.patch
    assert encoder is not None
    convolved = set()
    encoder.body.register_forward_pre_hook(lambda _, given: convolved.add(len(given[0])))
    patches = torch.randn(130, 4, 16, 16)
    every = encoder(patches)
    for count in range(1, 130, 9):
        torch.testing.assert_close(encoder(patches[:count]), every[:count], atol=1e-5, rtol=1e-5)
    assert convolved == {64, 128, 192}


def test_patches_count_as_the_same_only_at_one_place_and_with_every_pixel_alike() -> None:
    images = torch.zeros(3, 1, 16, 32, dtype=torch.uint8)
    images[1, 0, 15, 31] = 1
    numbers, which = to_patches(images, 16, 1)
    assert which.tolist() == [[0, 1], [0, 2], [0, 1]]
    assert len(numbers) == 3
    assert (numbers[2] != numbers[1]).sum() == 1
