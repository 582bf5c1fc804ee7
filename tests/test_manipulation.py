"""Meta-World, Fetch and OGBench's cubes: episodes by their seeds, experts that succeed, files there and back."""

import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from environments import metaworld
from environments.make import check_playable, make
from experiments import run
from sources import demonstrate
from sources.experts import interface
from sources.experts.fetch import RULES
from sources.experts.ogbench import next_move
from trajectories.catalog import dataset, environment
from trajectories.errors import UserError
from trajectories.rows import families

TASKS = {"metaworld-plate-slide": "metaworld", "fetch-push": "gymnasium_robotics", "ogbench-cube-double": "ogbench"}
ALL = [name for family in ("metaworld", "fetch", "ogbench") for name in families()[family]["environments"]]
LIVE = np.ones(1, bool)


@pytest.fixture(autouse=True)
def one_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Demonstrations are played by this process: others would import everything again."""
    monkeypatch.setattr("sources.processes.processors", lambda: 1)


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> str:
    """The name of a task of each family, whose package is installed."""
    if not find_spec(TASKS[request.param]):
        pytest.skip(f"needs {TASKS[request.param]}: pip install -r requirements-extra.txt")
    return request.param


def test_an_expert_succeeds_and_success_stays(task: str) -> None:
    copies: Any = make(task, 1)
    expert = interface.expert(environment(task))
    now = copies.reset([3])[0]
    expert.begin(copies.inside(0), now, np.random.default_rng(0))
    success: list[bool] = []
    for _ in range(100):
        step = copies.step(np.asarray(expert.act(copies.inside(0), now), np.float32)[None], LIVE)
        now = step.observations[0]
        success.append(bool(step.success[0]))
        if step.terminated[0] or step.truncated[0]:
            break
    assert not success[0]
    assert success[-1]
    assert sorted(success) == success
    again = copies.reset([3])
    assert not copies.step(np.zeros((1, *again.shape[1:]))[:, : copies.spec.action_size], LIVE).success[0]
    copies.close()


def test_a_missing_package_is_named_before_anything_is_trained(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = TASKS[task]
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    if package == "gymnasium_robotics":  # an import that failed is no registration
        import gymnasium

        for name in [name for name in gymnasium.registry if name.startswith("Fetch")]:
            monkeypatch.delitem(gymnasium.registry, name)
        monkeypatch.setattr("trajectories.gym_registry.registered", lambda package: False)
    demonstrate._playing.cache_clear()
    message = rf"{package}.*pip install -r requirements-extra.txt"
    with pytest.raises(UserError, match=message):
        check_playable(task)
    words = ["--model", "bc", "--env", task, "--source", "collected", "--results-dir", str(tmp_path / "runs")]
    with pytest.raises(UserError, match=message):
        run.main([*words, "--data-dir", str(tmp_path)])
    assert not list(tmp_path.rglob("model.safetensors"))


def test_every_task_has_an_expert_and_a_data_set() -> None:
    assert len(ALL) == 55
    for name in ALL:
        row = dataset(name)
        assert row.env == name
        assert interface.has_expert(row.environment)
        assert (row.collected_episodes, row.after_success) == (1000, 20 if name.startswith("metaworld") else None)


# ---- Meta-World -----------------------------------------------------------------------------------------------------


def test_meta_worlds_tasks_are_all_of_the_packages() -> None:
    tasks = pytest.importorskip("metaworld.env_dict", reason="needs metaworld").ALL_V3_ENVIRONMENTS
    from metaworld.policies import ENV_POLICY_MAP

    ours = {environment(name).gym_id for name in families()["metaworld"]["environments"]}
    assert ours == set(tasks) == set(ENV_POLICY_MAP)


def test_copies_that_share_a_model_do_as_the_packages_own() -> None:
    tasks = pytest.importorskip("metaworld.env_dict", reason="needs metaworld").ALL_V3_ENVIRONMENTS
    theirs = tasks["plate-slide-v3"]()
    theirs._partially_observable, theirs._freeze_rand_vec = False, False
    theirs._set_task_called = theirs.seeded_rand_vec = True
    del theirs.sawyer_observation_space
    theirs.seed(5)
    first = theirs.reset()[0]
    copies = make("metaworld-plate-slide", 2)
    np.testing.assert_array_equal(copies.reset([5, 6])[0], first.astype(np.float32))
    assert first[-3:].any()  # the goal is shown
    for action in np.random.default_rng(1).uniform(-1, 1, (20, 4)).astype(np.float32):
        expected = theirs.step(action)
        step = copies.step(np.stack([action, -action]), np.ones(2, bool))
        np.testing.assert_array_equal(step.observations[0], expected[0].astype(np.float32))
        assert step.rewards[0] == expected[1]


def test_an_episode_of_meta_world_lasts_as_long_as_its_row_says() -> None:
    pytest.importorskip("metaworld", reason="needs metaworld")
    copies = metaworld.create(replace(environment("metaworld-plate-slide"), max_episode_steps=3), 1, "d4rl", 1)
    copies.reset([0])
    assert [bool(copies.step(np.zeros((1, 4)), LIVE).truncated[0]) for _ in range(3)] == [False, False, True]


# ---- Fetch ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RULES)
def test_fetchs_rules_reach_every_goal(name: str) -> None:
    pytest.importorskip("gymnasium_robotics", reason="needs gymnasium-robotics")
    episodes = [demonstrate.play(name, 0, number) for number in range(4)]
    assert all(episode is not None and episode.success and len(episode) == 50 for episode in episodes)


def test_fetchs_goal_stands_last_in_its_row() -> None:
    pytest.importorskip("gymnasium_robotics", reason="needs gymnasium-robotics")
    copies: Any = make("fetch-push", 1)
    row = copies.reset([0])[0]
    np.testing.assert_array_equal(row[-3:], copies.inside(0).goal.astype(np.float32))
    np.testing.assert_array_equal(row[-6:-3], row[3:6])  # the block's place is what is to be at the goal


# ---- cubes ----------------------------------------------------------------------------------------------------------


def cubes(*places: tuple[float, float, float]) -> np.ndarray:
    return np.array(places)


def test_cubes_are_stacked_from_below() -> None:
    now, goal = cubes((0.4, -0.2, 0.02), (0.4, 0.2, 0.02)), cubes((0.4, 0, 0.06), (0.4, 0, 0.02))
    chance = np.random.default_rng(0)
    cube, place = next_move(now, goal, chance)
    assert (cube, place.tolist()) == (1, [0.4, 0, 0.02])
    now[1] = goal[1]
    cube, place = next_move(now, goal, chance)
    assert (cube, place.tolist()) == (0, [0.4, 0, 0.06])


def test_of_cubes_that_change_places_one_is_put_aside() -> None:
    now = cubes((0.4, -0.1, 0.02), (0.4, 0.1, 0.02))
    _, place = next_move(now, now[::-1], np.random.default_rng(0))
    assert np.linalg.norm(now - place, axis=1).min() > 0.08
    assert place[2] == 0.02


def test_the_goals_of_cubes_are_where_the_package_has_them() -> None:
    pytest.importorskip("ogbench", reason="needs ogbench: pip install -r requirements-extra.txt")
    copies: Any = make("ogbench-cube-double", 1)
    goals = []
    for seed in range(12):
        row = copies.reset([seed])[0]
        inside = copies.inside(0)
        np.testing.assert_allclose(row[-6:].reshape(2, 3) / 10 + [0.425, 0, 0], inside.targets(), atol=1e-6)
        goals.append(inside.cur_task_id)
    assert set(goals) == {1, 2, 3, 4, 5}
