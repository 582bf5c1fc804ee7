"""Every row of the catalog is whole, and an unknown name is answered with the nearest ones."""

import json
from pathlib import Path

import pytest

from trajectories.catalog import dataset, dataset_names, environment, environment_names
from trajectories.errors import UserError

QUALITIES = ("random", "medium", "medium-replay", "medium-expert", "expert")


def test_every_row_is_whole() -> None:
    for name in environment_names():
        row = environment(name)
        assert row.expert_score > row.random_score
        assert list(row.target_returns) == sorted(row.target_returns, reverse=True)
        assert row.spec().name == name
        assert row.spec().horizon == row.horizon
    for name in dataset_names():
        data = dataset(name)
        assert name == f"{data.env}-{data.quality}"
        assert data.environment.name == data.env
        assert (data.file is None) == (not data.urls)
        if data.state_mean is not None:
            assert len(data.state_mean) == len(data.state_std or ()) == data.environment.observation_shape[0]


@pytest.mark.parametrize("env", ["hopper", "walker2d", "halfcheetah"])
def test_the_locomotion_suite_is_complete(env: str) -> None:
    for quality in QUALITIES:
        row = dataset(f"{env}-{quality}")
        assert row.file == f"{env}_{quality.replace('-', '_')}-v2.hdf5"
        assert row.urls[0].endswith(f"/gym_mujoco_v2/{row.file}")
        assert row.collected_steps > 0


def test_d4rls_versioned_names_are_understood() -> None:
    assert dataset("hopper-medium-v2") == dataset("hopper-medium")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("hoper-medium", "hopper-medium"),
        ("Walker2d-Expert", "walker2d-expert"),
        ("halfcheeta-random", "halfcheetah-random"),
    ],
)
def test_an_unknown_data_set_is_answered_with_the_nearest_ones(wrong: str, right: str) -> None:
    with pytest.raises(UserError, match=f"'{wrong}'.*did you mean.*{right}"):
        dataset(wrong)


def test_a_name_like_no_other_is_answered_with_all_of_them() -> None:
    with pytest.raises(UserError, match="choose one of ant, halfcheetah, hopper"):
        environment("xyzzy")


def test_published_statistics_are_those_of_the_public_model_cards(real: Path) -> None:
    known = json.loads((real / "d4rl_v2_medium_known_stats.json").read_text())
    for env in ("hopper", "walker2d", "halfcheetah"):
        row, published = dataset(f"{env}-medium"), known[f"{env}-medium-v2"]
        assert list(row.state_mean or ()) == published["state_mean"]
        assert list(row.state_std or ()) == published["state_std"]
