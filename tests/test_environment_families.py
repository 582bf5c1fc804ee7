"""The families beyond locomotion: D4RL's recordings are repeated where the bodies are D4RL's."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from environments import antmaze, maze2d
from environments.make import make
from environments.mazes import ANT_MAZES, POINT_MAZES, cells
from trajectories import gym_registry
from trajectories.catalog import environment, environment_names
from trajectories.errors import UserError
from trajectories.rows import families

NEEDS = {"adroit": "gymnasium_robotics", "kitchen": "gymnasium_robotics", "minigrid": "minigrid"}
ONE = np.ones(1, bool)


def columns(path: Path, *names: str) -> list[np.ndarray]:
    with h5py.File(path) as file:
        return [file[name][()] for name in names]


def test_ants_recorded_transitions_are_repeated_with_their_rewards(real: Path) -> None:
    observations, actions, following, rewards, ends = columns(
        real / "ant_random-v1.hdf5", "observations", "actions", "next_observations", "rewards", "terminals"
    )
    copies = make("ant", 1)
    states, rewarded = [], []
    for row in range(1, 120):
        # Infos of v1 are another row's, but observations hold all but x and y, which nothing depends on.
        copies.set_state(0, np.r_[0, 0, observations[row - 1, :13]], observations[row - 1, 13:27])  # type: ignore[attr-defined]
        first = copies.step(actions[row - 1][None], ONE)
        states.append(np.abs(first.observations[0] - following[row - 1, :27]).max())
        if not ends[row - 1]:
            rewarded.append(abs(copies.step(actions[row][None], ONE).rewards[0] - rewards[row]))
    assert max(states) < 1e-5
    assert max(rewarded) < 1e-5


def replayed(physics: str, path: Path) -> np.ndarray:
    observations, actions, ends = columns(path, "observations", "actions", "timeouts")
    copies = antmaze.create(environment("antmaze-umaze"), 1, physics, 1)
    errors = []
    for row in np.flatnonzero(~ends[:400]):
        copies.set_state(0, observations[row, :15], observations[row, 15:])
        errors.append(np.abs(copies.step(actions[row][None], ONE).observations[0] - observations[row + 1]).max())
    return np.array(errors)


def test_antmazes_recorded_transitions_are_repeated_in_d4rls_bodies_alone(real: Path) -> None:
    path = real / "antmaze-umaze-v0.hdf5"
    assert np.mean(replayed("d4rl", path) < 1e-4) > 0.99
    assert np.median(replayed("gymnasium", path)) > 1e-4


def test_an_ant_at_its_goal_earns_one_and_ends() -> None:
    copies = make("antmaze-umaze", 2)
    copies.reset([0, 1])
    goals = copies._goals  # type: ignore[attr-defined]
    assert not np.array_equal(goals[0], goals[1])
    assert ((goals >= [0, 8]) & (goals <= [1.5, 9.5])).all()
    state = copies.positions[0].copy()  # type: ignore[attr-defined]
    state[:2] = goals[0]
    copies.set_state(0, state, np.zeros(14))  # type: ignore[attr-defined]
    step = copies.step(np.zeros((2, 8)), np.ones(2, bool))
    assert step.rewards.tolist() == [1, 0]
    assert step.terminated.tolist() == [True, False]


@pytest.mark.parametrize("mazes", [POINT_MAZES, ANT_MAZES])
def test_every_maze_is_walled_and_has_one_goal(mazes: dict[str, tuple[str, ...]]) -> None:
    for maze in mazes.values():
        assert len({len(line) for line in maze}) == 1
        assert set(maze[0]) == set(maze[-1]) == {"#"}
        assert all(line[0] == line[-1] == "#" for line in maze)
        assert len(cells(maze, "G")) == 1


def test_a_point_moves_as_gymnasium_robotics_point_does() -> None:
    point = pytest.importorskip("gymnasium_robotics.envs.maze.point_maze", reason="needs gymnasium-robotics")
    theirs = point.PointMazeEnv(maze_map=[[1] * 7, *[[1, 0, 0, 0, 0, 0, 1]] * 3, [1] * 7])
    theirs.reset(seed=0)
    theirs.point_env.set_state(np.zeros(2), np.zeros(2))
    ours = maze2d.create(environment("maze2d-open"), 1, "d4rl", 1)
    ours.set_state(0, np.array([1.8, 2.8]), np.zeros(2))
    for action in np.random.default_rng(0).uniform(-1, 1, (40, 2)):
        observations = ours.step(action[None], ONE).observations[0]
        expected = theirs.step(action)[0]["observation"]
        np.testing.assert_allclose(observations - [1.8, 2.8, 0, 0], expected, atol=1e-5)


def test_a_point_is_slowed_down_before_it_is_pushed() -> None:
    places = []
    for speed in (5.0, 80.0):
        copies = make("maze2d-open", 1)
        copies.set_state(0, np.array([1.0, 3.0]), np.array([speed, 0.0]))  # type: ignore[attr-defined]
        places.append(copies.step(np.zeros((1, 2)), ONE).observations[0, 0])
    assert places[0] == places[1]


def test_a_point_near_its_goal_earns_at_every_step_and_never_ends() -> None:
    sparse, dense = make("maze2d-umaze", 2), make("maze2d-umaze-dense", 1)
    sparse.reset([0, 1])
    goal = np.array(cells(POINT_MAZES["umaze"], "G")[0])
    for copies in (sparse, dense):
        copies.set_state(0, goal, np.zeros(2))  # type: ignore[attr-defined]
    sparse.set_state(1, np.array([3.0, 1.0]), np.zeros(2))  # type: ignore[attr-defined]
    for _ in range(3):
        step = sparse.step(np.zeros((2, 2)), np.ones(2, bool))
        assert step.rewards.tolist() == [1, 0]
        assert not step.terminated.any()
    assert dense.step(np.zeros((1, 2)), ONE).rewards[0] == pytest.approx(1, abs=0.01)


def test_pens_recorded_rewards_are_nearly_repeated(real: Path) -> None:
    pytest.importorskip("gymnasium_robotics", reason="needs gymnasium-robotics")
    names = ("infos/qpos", "infos/qvel", "infos/desired_orien", "actions", "rewards")
    positions, velocities, desired, actions, rewards = columns(real / "pen-expert-v1.hdf5", *names)
    copies = make("pen", 1)
    copies.reset([0])
    hand = copies._copies[0].unwrapped  # type: ignore[attr-defined]
    errors = []
    for row in range(98):
        hand.set_env_state({"qpos": positions[row], "qvel": velocities[row], "desired_orien": desired[row]})
        errors.append(abs(copies.step(actions[row][None], ONE).rewards[0] - rewards[row]))
    assert np.median(errors) < 1e-5


def test_a_dropped_pen_ends_the_episode() -> None:
    pytest.importorskip("gymnasium_robotics", reason="needs gymnasium-robotics")
    copies = make("pen", 2)
    copies.reset([0, 1])
    hand = copies._copies[0].unwrapped  # type: ignore[attr-defined]
    state = hand.get_env_state()
    state["qpos"][-4] -= 0.5  # beside the hand, from where it falls
    hand.set_env_state(state)
    ends = [copies.step(np.zeros((2, 24)), np.ones(2, bool)).terminated.tolist() for _ in range(25)]
    assert ends[0] == [False, False]
    assert ends[-1] == [True, False]


def test_the_kitchen_shows_its_goal_behind_what_is_there() -> None:
    pytest.importorskip("gymnasium_robotics", reason="needs gymnasium-robotics")
    copies = make("kitchen-microwave-kettle-light-slider", 1)
    observations = copies.reset([0])[0]
    assert observations[30 + 22] == np.float32(-0.75)
    np.testing.assert_array_equal(observations[30:41], 0)
    assert copies.step(np.zeros((1, 9)), ONE).observations.shape == (1, 60)


OTHERS = ("kitchen", "toy", "atari", *families())  # families of TOML have tests of their own
FEW = [name for name in environment_names() if environment(name).family not in OTHERS]


@pytest.mark.parametrize("name", [*FEW, "breakout"])  # tests/test_atari.py has more of the games
def test_every_environment_of_the_catalog_begins_and_steps_as_its_row_says(name: str) -> None:
    row = environment(name)
    if row.family in NEEDS:
        pytest.importorskip(NEEDS[row.family], reason=f"needs {NEEDS[row.family]}")
    copies = make(name, 2)
    observations = copies.reset([3, 3])
    assert observations.shape == (2, *row.observation_shape)
    assert observations.dtype == row.observation_dtype
    again = make(name, 2).reset([3, 4])
    np.testing.assert_array_equal(observations[0], again[0])
    actions = np.zeros((2, *row.action_shape), np.int64 if row.actions else np.float64)
    step = copies.step(actions, np.array([True, False]))
    np.testing.assert_array_equal(step.observations[1], observations[1])
    assert step.rewards[1] == 0
    copies.close()


def test_a_time_limit_of_ones_own_truncates() -> None:
    copies = make('Pendulum-v1?{"max_episode_steps": 3}', 1)
    copies.reset([0])
    steps = [copies.step(np.zeros((1, 1)), ONE) for _ in range(3)]
    assert [bool(step.truncated[0]) for step in steps] == [False, False, True]


def test_an_action_that_is_none_of_the_discrete_ones_is_refused() -> None:
    copies = make("CartPole-v1", 1)
    copies.reset([0])
    with pytest.raises(UserError, match="has actions 0 to 1, and was given 2"):
        copies.step(np.array([2]), ONE)


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import gymnasium

    here = {key: value for key, value in gymnasium.registry.items() if not key.startswith("Adroit")}
    monkeypatch.setattr(gymnasium, "registry", here)
    monkeypatch.setattr("gymnasium.envs.registration.registry", here)
    monkeypatch.setattr(gym_registry, "registered", lambda package: False)
    with pytest.raises(UserError, match=r"gymnasium_robotics.*pip install -r requirements-extra.txt"):
        make("pen", 1)
