"""Modular RL: gymnasium's robots with limbs removed, played as gymnasium plays the whole ones."""

import json
from dataclasses import replace
from itertools import product

import gymnasium
import numpy as np
import pytest

from environments.modular import ModularEnvironments, without
from environments.mujoco import simulator
from sources import demonstrate
from sources.experts import modular as experts
from sources.experts.policy import load
from trajectories.catalog import dataset_rows, environment
from trajectories.errors import UserError
from trajectories.rows import EnvironmentRow, families

BODIES = list(families()["modular"]["environments"])
LEGS = {
    "Hopper-v4": [["thigh", "leg", "foot"]],
    "Walker2d-v4": [["thigh", "leg", "foot"], ["thigh_left", "leg_left", "foot_left"]],
    "HalfCheetah-v4": [["bthigh", "bshin", "bfoot"], ["fthigh", "fshin", "ffoot"]],
}


def body(robot: str, *removed: str) -> EnvironmentRow:
    """The row of a robot without these limbs, each of which has nothing that hangs on it."""
    whole, limbs = (11, 3) if robot == "Hopper-v4" else (17, 6), len(removed)
    return replace(
        environment(BODIES[0]),
        gym_id=robot,
        options={"removed": list(removed)},
        observation_shape=(whole[0] - 2 * limbs,),
        action_shape=(whole[1] - limbs,),
    )


@pytest.mark.parametrize("robot", LEGS)
def test_a_robot_with_all_its_limbs_is_gymnasiums(robot: str) -> None:
    ours, theirs = ModularEnvironments(body(robot), 2), gymnasium.make(robot)
    first, (expected, _) = ours.reset([4, 7]), theirs.reset(seed=7)
    assert first[1].tolist() == expected.astype(np.float32).tolist()
    for action in np.random.default_rng(0).uniform(-1, 1, (8, *ours.spec.action_shape)):
        step, (expected, reward, ended, _, _) = (
            ours.step(np.stack([-action, action]), np.ones(2, bool)),
            theirs.step(action),
        )
        np.testing.assert_allclose(step.observations[1], expected, atol=1e-6)
        assert step.rewards[1] == pytest.approx(reward)
        assert step.terminated[1] == ended


@pytest.mark.parametrize("robot", LEGS)
def test_legs_may_end_anywhere_and_lose_a_motor_and_a_joint_for_each_limb(robot: str) -> None:
    path = simulator(robot).fullpath
    whole = without(())(path)
    for ends in product(range(4), repeat=len(LEGS[robot])):
        gone = [limb for leg, end in zip(LEGS[robot], ends, strict=True) for limb in leg[end:]]
        left = without(gone[::-1])(path)
        assert (left.nq, left.nv, left.nu) == (whole.nq - len(gone), whole.nv - len(gone), whole.nu - len(gone))
        names = {left.body(number).name for number in range(left.nbody)}
        assert names == {whole.body(number).name for number in range(whole.nbody)} - set(gone)


def test_what_hangs_on_a_limb_goes_with_it() -> None:
    path = simulator("Walker2d-v4").fullpath
    left = without(["leg_left"])(path)
    assert [left.body(number).name for number in range(left.nbody)] == [
        "world",
        "torso",
        "thigh",
        "leg",
        "foot",
        "thigh_left",
    ]


@pytest.mark.parametrize(
    ("removed", "sentence"),
    [
        (["foot_lef"], "walker2d has no limb 'foot_lef' to remove: did you mean foot_left"),
        (["leg", "foot"], "no limb 'foot' to remove: did you mean foot_left"),
        (["torso"], "no limb 'torso' to remove"),
        (["foot"], r"observes 15 numbers and takes 5 actions: correct its row's observation_shape = \[17\]"),
    ],
)
def test_a_row_that_is_wrong_about_its_body_is_refused_in_a_sentence(removed: list[str], sentence: str) -> None:
    row = replace(body("Walker2d-v4"), options={"removed": removed})
    with pytest.raises(UserError, match=sentence):
        ModularEnvironments(row, 1)


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_as_its_row_says_and_its_policy_earns_what_was_measured(name: str) -> None:
    row, measured = environment(name), families()["modular"]["measured"][name]
    episode = demonstrate.play(name, 0, 0)
    assert episode is not None
    assert episode.observations.shape == (len(episode), *row.observation_shape)
    assert episode.actions.shape == (len(episode), *row.action_shape)
    assert abs(episode.rewards.sum() - measured["expert_return"]) < max(4 * measured["expert_std"], 200)
    assert (row.random_score, row.expert_score) == (measured["random_return"], measured["expert_return"])


def test_every_body_has_data_and_a_policy_with_its_card_and_curve() -> None:
    weights = sorted(experts.TRAINED.glob("*.safetensors"))
    assert [f"modular-{path.stem}" for path in weights] == sorted(BODIES)
    assert {row.env for row in dataset_rows().values() if row.environment.family == "modular"} == set(BODIES)
    assert sum(path.stat().st_size for path in weights) < 300_000
    for path in weights:
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        assert card["environment"] == f"modular-{path.stem}"
        curve = path.with_suffix(".csv").read_text(encoding="utf-8").splitlines()
        assert str(card["steps"]) in [line.partition(",")[0] for line in curve]
        assert len(load(path).hidden[0].bias) == 64


def test_a_body_without_a_policy_is_answered_with_those_that_have_one() -> None:
    row = replace(environment(BODIES[0]), name="modular-hopper-no-thigh")
    assert not experts.has_expert(row)
    with pytest.raises(UserError, match=f"no policy of modular-hopper-no-thigh: choose one of .*{BODIES[0]}"):
        experts.expert(row)
