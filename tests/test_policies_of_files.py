"""Policies that D4RL's files carry: Ant's and those of Adroit's cloned files; for the others see test_collect.py."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from sources.experts.d4rl_policy import from_d4rl
from sources.experts.policy import Deterministic, TanhGaussian
from sources.loading import Request, load
from trajectories.errors import DatasetError


@pytest.fixture
def more(real: Path) -> Path:
    """The folder of further real files."""
    return real.parent / "more"


def test_ants_own_policy_is_rolled_out_although_it_takes_84_zeros_more(more: Path) -> None:
    file = more / "ant_medium-v2.hdf5"
    policy, whole = from_d4rl(file, trailing_zeros=84), from_d4rl(file)
    assert isinstance(policy, TanhGaussian)
    with h5py.File(file) as opened:
        observations = opened["observations"][:50]
    chance = np.random.default_rng(0).standard_normal((50, 8))
    np.testing.assert_array_equal(policy.act(observations[:, :27], chance), whole.act(observations, chance))
    data = load(Request("ant-medium", "reroll", file, steps=60))
    assert (len(data), data.observations.shape[1]) == (60, 27)
    assert not np.array_equal(data.actions[0], np.zeros(8))


def test_the_policy_of_a_cloned_file_repeats_its_actions(more: Path) -> None:
    file = more / "door-cloned-v1.hdf5"
    policy = from_d4rl(file)
    assert isinstance(policy, Deterministic)
    with h5py.File(file) as opened:
        observations, acted = opened["observations"][()], opened["actions"][()]
    np.testing.assert_allclose(
        policy.act(observations, policy.draw(np.random.default_rng(0), len(observations))), acted, atol=1e-5
    )


def test_ants_contact_forces_are_the_reason_why_v0_is_refused(more: Path) -> None:
    with pytest.raises(DatasetError, match=r"its last 84 observations are not zero .* contact forces .*: use v2"):
        load(Request("ant-medium-v0", path=more / "ant_medium.hdf5"))
