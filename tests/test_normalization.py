"""backbone/normalization.py: numbers that move are divided by their deviation, and one that never moves by 1."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from backbone.conv_encoder import FrameEncoder
from backbone.normalization import Normalize
from gato.patches import Pixels
from tests.toys import POINT, SCREEN, small, walk
from training.plan_pictures import Plans
from trajectories.types import Trajectories

CONSTANT = 7.3


def with_a_constant() -> Trajectories:
    data = walk((12, 7, 12))
    observations = data.observations.copy()
    observations[:, 1] = CONSTANT
    return replace(data, observations=observations)


@pytest.mark.parametrize("model", ["bc", "dt"])
@pytest.mark.parametrize("off", [1e-4, -1e-4, 0.01])
def test_a_number_that_never_moved_and_is_a_hair_off_in_play_hardly_moves_an_action(model: str, off: float) -> None:
    torch.manual_seed(0)
    player = small(model, with_a_constant()).player(2, 5.0)
    observations = np.array([[3.0, CONSTANT, 3.0], [3.0, CONSTANT + off, 3.0]], np.float32)
    usual, other = player.act(observations, np.zeros(2), np.ones(2, bool))
    np.testing.assert_allclose(other, usual, atol=0.3 * abs(off))


@pytest.mark.parametrize("noise", [0.0, 1e-7, 3e-10])
@pytest.mark.parametrize("mean", [0.0, 1.0, -250.0])
def test_a_number_that_moves_by_rounding_only_is_not_divided(mean: float, noise: float) -> None:
    normalize = Normalize(1)
    column = mean + noise * np.random.default_rng(0).normal(size=(1000, 1))
    normalize.calibrate(column.astype(np.float32))
    assert normalize.deviation.item() == 1.0
    assert normalize(torch.tensor([[mean + 0.5]])).item() == pytest.approx(0.5, abs=1e-4)


def test_a_number_that_moves_is_divided_by_its_deviation_as_kzl_does() -> None:
    rng, normalize = np.random.default_rng(0), Normalize(3)
    column = (rng.normal(size=(1000, 3)) * [1e-3, 1.0, 40.0] + [0.2, -3.0, 9.0]).astype(np.float32)
    normalize.calibrate(column)
    expected = (column.astype(np.float64).std(0) + 1e-6).astype(np.float32)
    np.testing.assert_array_equal(normalize.deviation.numpy(), expected)


def test_an_image_that_never_moves_is_not_divided_either() -> None:
    still = np.full((10, *SCREEN.frame_shape), 9, np.uint8)
    encoder, pixels = FrameEncoder(SCREEN, 8), Pixels(SCREEN.observation_shape, 12)  # type: ignore[arg-type]
    encoder.calibrate(still)
    pixels.calibrate([still])
    assert encoder.deviation.item() == pixels.deviation.item() == 1.0


def test_a_plans_error_in_a_number_that_stands_still_is_in_its_own_units() -> None:
    plans = Plans()
    plans.seen = [np.array([1.0]) for _ in range(POINT.max_episode_steps)]
    plans.made = [(0, np.array([[1.0], [1.5]]))]
    np.testing.assert_allclose(plans.error(), [0.0, 0.5])
