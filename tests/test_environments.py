"""The environments: D4RL's physics on D4RL's own transitions, and copies stepped together as one steps alone."""

import math
from pathlib import Path

import h5py
import numpy as np
import pytest

from environments import physics
from environments.make import make
from environments.mujoco import ROBOTS, MujocoEnvironments, simulator
from environments.scores import normalized
from tests.skips import recorded
from trajectories.catalog import environment
from trajectories.errors import UserError

LOCOMOTION = ("hopper", "walker2d", "halfcheetah", "ant")
RECORDED_ROBOTS = LOCOMOTION[:3]  # those whose recorded states are whole


def replay_errors(name: str, bodies: str, steps: int) -> np.ndarray:
    """Largest error of each replayed next observation, over the recorded steps whose velocities are not clipped."""
    with h5py.File(recorded(f"d4rl/{name}_medium-v2.hdf5")) as file:
        names = ("infos/qpos", "infos/qvel", "actions", "next_observations")
        positions, velocities, actions, expected = (file[column][:steps] for column in names)
    clipped = np.abs(velocities).max(1) >= 10 if name != "halfcheetah" else np.zeros(len(actions), bool)
    copies = make(name, 1, bodies)
    assert isinstance(copies, MujocoEnvironments)
    errors = []
    for row in np.flatnonzero(~clipped):
        copies.set_state(0, positions[row], velocities[row])
        step = copies.step(actions[row][None], np.ones(1, bool))
        errors.append(np.abs(step.observations[0] - expected[row]).max())
    return np.array(errors)


@pytest.mark.parametrize("name", RECORDED_ROBOTS)
def test_every_recorded_transition_of_d4rl_is_repeated_in_its_physics(name: str) -> None:
    errors = replay_errors(name, "d4rl", steps=2000)
    assert len(errors) > 700
    assert np.mean(errors < 1e-4) >= (0.998 if name == "halfcheetah" else 1)


@pytest.mark.parametrize("name", RECORDED_ROBOTS)
def test_gymnasiums_own_bodies_do_not_repeat_d4rls_transitions(name: str) -> None:
    assert np.mean(replay_errors(name, "gymnasium", steps=300) < 1e-4) < 0.01


def test_recorded_rewards_are_repeated_in_d4rls_physics() -> None:
    with h5py.File(recorded("d4rl/walker2d_medium-v2.hdf5")) as file:
        names = ("infos/qpos", "infos/qvel", "actions", "rewards")
        positions, velocities, actions, expected = (file[column][:300] for column in names)
    copies = make("walker2d", 1)
    assert isinstance(copies, MujocoEnvironments)
    for row in np.flatnonzero(np.abs(velocities).max(1) < 10):
        copies.set_state(0, positions[row], velocities[row])
        assert copies.step(actions[row][None], np.ones(1, bool)).rewards[0] == pytest.approx(expected[row], abs=1e-5)


def test_hopper_weighs_what_it_weighed_in_d4rl() -> None:
    weights = simulator("Hopper-v4").model.body_mass[1:]
    np.testing.assert_allclose(weights, [3.5343, 3.9270, 2.7143, 5.0894], atol=1e-4)


@pytest.mark.parametrize("robot", ["hopper", "walker2d", "half_cheetah", "ant"])
def test_todays_capsules_give_todays_bodies(robot: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def exact(size: np.ndarray) -> tuple[float, np.ndarray]:
        radius, length = size[0], 2 * size[1]
        shaft, ball = math.pi * radius**2 * length, 4 / 3 * math.pi * radius**3
        along = shaft * radius**2 / 2 + ball * 2 / 5 * radius**2
        across = shaft * (3 * radius**2 + length**2) / 12
        across += ball * (2 / 5 * radius**2 + 3 / 8 * radius * length + length**2 / 4)
        return shaft + ball, np.array([across, across, along]) / (shaft + ball)

    import mujoco  # after environments, which chooses how it draws

    monkeypatch.setitem(physics.SOLIDS, mujoco.mjtGeom.mjGEOM_CAPSULE, exact)
    path = Path(mujoco_assets()) / f"{robot}.xml"
    ours, todays = physics.compile_with_old_capsules(path), mujoco.MjModel.from_xml_path(str(path))
    for name in ("body_mass", "body_ipos"):
        np.testing.assert_allclose(getattr(ours, name), getattr(todays, name), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(np.sort(ours.body_inertia), np.sort(todays.body_inertia), rtol=1e-6, atol=1e-9)


def mujoco_assets() -> str:
    from gymnasium.envs.mujoco import mujoco_env

    return str(Path(mujoco_env.__file__).parent / "assets")


@pytest.mark.parametrize("bodies", physics.PHYSICS)
@pytest.mark.parametrize("name", LOCOMOTION)
def test_copies_step_as_gymnasiums_own_environment_steps(name: str, bodies: str) -> None:
    copies, alone = make(name, 3, bodies), simulator(environment(name).gym_id, bodies)
    rng = np.random.default_rng(0)
    observations = copies.reset([5, 6, 7])
    expected, _ = alone.reset(seed=6)
    live = np.ones(3, bool)
    for _ in range(150):
        np.testing.assert_array_equal(observations[1], expected.astype(np.float32))
        actions = rng.uniform(-1, 1, (3, *copies.spec.action_shape))
        step = copies.step(actions, live)
        expected, reward, terminated, _, _ = alone.step(actions[1])
        assert step.rewards[1] == pytest.approx(reward, abs=1e-9)
        assert step.terminated[1] == terminated
        observations, live = step.observations, live & ~step.terminated
        if terminated:
            assert name != "halfcheetah"
            return
    assert name in ("halfcheetah", "ant")  # the others fall


@pytest.mark.parametrize("name", ["hopper", "toy"])
def test_finished_copies_are_left_alone(name: str) -> None:
    copies = make(name, 2)
    before = copies.reset([0, 1])
    step = copies.step(np.full((2, *copies.spec.action_shape), 0.5), np.array([True, False]))
    np.testing.assert_array_equal(step.observations[1], before[1])
    assert not np.array_equal(step.observations[0], before[0])
    assert step.rewards[1] == 0


def test_a_copy_is_begun_again_without_the_others() -> None:
    copies = make("hopper", 2)
    first = copies.reset([0, 1])
    moved = copies.step(np.zeros((2, 3)), np.ones(2, bool)).observations
    again = copies.reset([0, 1], np.array([True, False]))
    np.testing.assert_array_equal(again, [first[0], moved[1]])


@pytest.mark.parametrize("name", ["halfcheetah", "toy"])
def test_the_time_limit_truncates_and_does_not_terminate(name: str) -> None:
    copies = make(name, 1)
    copies.reset([0])
    for number in range(copies.spec.max_episode_steps):
        step = copies.step(np.zeros((1, *copies.spec.action_shape)), np.ones(1, bool))
        assert step.truncated[0] == (number == copies.spec.max_episode_steps - 1)
        assert not step.terminated[0]


@pytest.mark.parametrize("name", ["halfcheetah", "toy"])
def test_actions_beyond_the_limits_count_as_the_limits(name: str) -> None:
    results = []
    for size in (1.0, 7.0):
        copies = make(name, 1)
        copies.reset([0])
        results.append(copies.step(np.full((1, *copies.spec.action_shape), size), np.ones(1, bool)))
    np.testing.assert_array_equal(results[0].observations, results[1].observations)
    np.testing.assert_array_equal(results[0].rewards, results[1].rewards)


@pytest.mark.parametrize("name", ["hopper", "toy"])
def test_an_action_that_is_not_a_number_is_refused(name: str) -> None:
    copies = make(name, 2)
    copies.reset([0, 1])
    actions = np.full((2, *copies.spec.action_shape), np.nan)
    with pytest.raises(UserError, match="not a number"):
        copies.step(actions, np.array([True, False]))


def test_unknown_names_are_answered_in_a_sentence() -> None:
    with pytest.raises(UserError, match="did you mean hopper"):
        make("hoper", 1)
    with pytest.raises(UserError, match="d4rl, gymnasium"):
        make("hopper", 1, "newton")


def test_the_catalog_describes_what_the_simulators_show() -> None:
    for name in LOCOMOTION:
        row, alone = environment(name), simulator(environment(name).gym_id)
        assert alone.observation_space.shape == row.observation_shape
        assert alone.action_space.shape == row.action_shape
        assert row.gym_id in ROBOTS


def test_scores_run_from_random_to_expert() -> None:
    row = environment("hopper")
    np.testing.assert_allclose(normalized("hopper", np.array([row.random_score, row.expert_score])), [0, 100])


def test_a_copy_is_drawn_off_screen() -> None:
    copies = make("hopper", 2)
    copies.reset([0, 1])
    try:
        picture = copies.render(1)
    except UserError as error:
        pytest.skip(str(error))
    assert picture.dtype == np.uint8
    assert picture.shape == (480, 480, 3)
    assert picture.std() > 10
    copies.close()


def test_the_toy_earns_what_it_moves() -> None:
    copies = make("toy", 2)
    start = copies.reset([0, 1])
    assert start[0, 0] != start[1, 0]
    total = np.zeros(2)
    for _ in range(copies.spec.max_episode_steps):
        step = copies.step(np.array([[0.3], [0.9]], np.float32), np.ones(2, bool))
        total += step.rewards
    np.testing.assert_allclose(total, [6, 18], atol=1e-4)
    np.testing.assert_allclose(step.observations[:, 0] - start[:, 0], total / copies.spec.max_episode_steps, atol=1e-5)
