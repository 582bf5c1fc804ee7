"""Every row of the catalog is whole, and an unknown name is answered with the nearest ones."""

import json

import pytest

from tests.skips import recorded
from trajectories.catalog import dataset, dataset_names, environment, environment_names
from trajectories.errors import UserError

QUALITIES = ("random", "medium", "medium-replay", "full-replay", "medium-expert", "expert")


def test_every_row_is_whole() -> None:
    for name in environment_names():
        row = environment(name)
        assert row.expert_score > row.random_score
        assert list(row.target_returns) == sorted(row.target_returns, reverse=True)
        assert row.spec().name == name
        assert row.spec().max_episode_steps == row.max_episode_steps
    for name in dataset_names():
        data = dataset(name)
        if data.collected_steps:
            assert name == "-".join(filter(None, (data.env, data.quality)))
        assert data.format == ("dqn_replay" if data.environment.family == "atari" else "d4rl")
        assert data.environment.name == data.env
        assert (data.file is None) == (not data.urls)
        if data.state_mean is not None:
            assert len(data.state_mean) == len(data.state_std or ()) == data.environment.observation_shape[0]


@pytest.mark.parametrize("env", ["hopper", "walker2d", "halfcheetah", "ant"])
def test_the_locomotion_suite_is_complete(env: str) -> None:
    for quality in QUALITIES:
        for version, suffix in (("v2", ""), ("v1", "-v1")):
            row = dataset(f"{env}-{quality}{suffix}")
            assert row.file == f"{env}_{quality.replace('-', '_')}-{version}.hdf5"
            assert row.urls[0].endswith(f"/gym_mujoco_{version}/{row.file}")
        if env != "ant" and quality != "full-replay":
            assert dataset(f"{env}-{quality}").collected_steps > 0
        if quality != "full-replay":
            assert dataset(f"{env}-{quality}-v0").urls[0].rsplit("/", 2)[1] == "gym_mujoco"


def test_the_other_families_of_d4rl_are_complete() -> None:
    names = {name for name in dataset_names() if dataset(name).format == "d4rl" and dataset(name).file}
    assert names >= {f"{env}-{kind}" for env in ("pen", "door", "hammer", "relocate") for kind in ("human", "cloned")}
    assert names >= {
        f"maze2d-{maze}{dense}" for maze in ("open", "umaze", "medium", "large") for dense in ("", "-dense")
    }
    assert names >= {f"antmaze-{maze}-{kind}" for maze in ("medium", "large") for kind in ("play", "diverse")}
    assert names >= {"antmaze-umaze", "antmaze-umaze-diverse", "kitchen-complete", "kitchen-partial", "kitchen-mixed"}
    assert names >= {"minigrid-fourrooms", "minigrid-fourrooms-random"}
    assert len({dataset(name).urls[0] for name in names}) == len(names)


@pytest.mark.parametrize(
    ("versioned", "plain"),
    [("hopper-medium-v2", "hopper-medium"), ("pen-human-v1", "pen-human"), ("maze2d-open-v0", "maze2d-open")],
)
def test_d4rls_versioned_names_are_understood(versioned: str, plain: str) -> None:
    assert dataset(versioned) == dataset(plain)


def test_another_version_is_another_data_set_and_nothing_is_published_about_it() -> None:
    assert dataset("hopper-medium-v0").file == "hopper_medium.hdf5"
    assert dataset("hopper-medium-v0").state_mean is None
    with pytest.raises(UserError, match=r"'hopper-medium-v3'.*did you mean"):
        dataset("hopper-medium-v3")


def test_an_environment_of_gymnasiums_is_known_by_its_own_name() -> None:
    row = environment("Hopper-v4")
    assert (row.family, row.max_episode_steps, row.observation_shape) == ("gymnasium", 1000, (11,))
    assert row.expert_score == environment("hopper").expert_score
    short = environment('CartPole-v1?{"max_episode_steps": 30}')
    assert (short.max_episode_steps, short.actions, short.action_shape) == (30, 2, ())
    assert "No reference scores" in short.caveat


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Hoper-v4", "did you mean.*Hopper-v"),
        ("Hopper-v4?{", "no JSON object"),
        ('Hopper-v4?{"legs": 3}', "cannot be made with.*legs"),
    ],
)
def test_a_wrong_name_of_an_environment_of_gymnasiums_is_answered_in_a_sentence(name: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        environment(name)


def test_data_of_ones_own_are_named_by_their_environment() -> None:
    assert dataset("mine@Hopper-v4").env == "Hopper-v4"
    assert dataset("mine@hopper").environment.gym_id == "Hopper-v4"


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


def test_a_name_like_no_other_is_answered_with_where_they_stand() -> None:
    with pytest.raises(UserError, match=r"name one of gymnasium's, such as Hopper-v4, or a row of .*catalog.toml"):
        environment("xyzzy")
    with pytest.raises(UserError, match=r"`python experiments/data.py list` shows all \d+\."):
        dataset("xyzzy")


def test_published_statistics_are_those_of_the_public_model_cards() -> None:
    known = json.loads(recorded("d4rl/d4rl_v2_medium_known_stats.json").read_text())
    for env in ("hopper", "walker2d", "halfcheetah"):
        row, published = dataset(f"{env}-medium"), known[f"{env}-medium-v2"]
        assert list(row.state_mean or ()) == published["state_mean"]
        assert list(row.state_std or ()) == published["state_std"]
