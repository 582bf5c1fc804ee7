"""DeepMind's Control Suite: played as dm_control plays it, in its own bodies and in others, and demonstrated."""

from dataclasses import replace

import numpy as np
import pytest

from environments.dm_control import ControlSuiteEnvironments
from environments.embodiments import FACTORS
from environments.make import make
from sources import demonstrate
from sources.experts import dm_control as experts
from sources.experts.objectives import point_mass
from sources.experts.predictive_sampling import Planner, Planning
from trajectories.catalog import dataset_names, environment, environment_names
from trajectories.errors import UserError

TASKS = [name for name in environment_names() if name.startswith("dmc-")]
PLAIN = [name for name in TASKS if environment(name).options.keys() == {"domain", "task"}]
ONE = np.ones(1, bool)


def copies(name: str, count: int = 1) -> ControlSuiteEnvironments:
    made = make(name, count)
    assert isinstance(made, ControlSuiteEnvironments)
    return made


def test_every_benchmark_task_has_a_row_with_its_shapes() -> None:
    from dm_control import suite

    named = {(environment(name).options["domain"], environment(name).options["task"]): name for name in PLAIN}
    assert set(named) == set(suite.BENCHMARKING)
    for (domain, task), name in named.items():
        assert name == f"dmc-{domain}-{task}".replace("_", "-")
        row, theirs = environment(name), suite.load(domain, task)
        size = sum(np.prod(part.shape, dtype=int) for part in theirs.observation_spec().values())
        assert (row.observation_shape, row.action_shape) == ((size,), theirs.action_spec().shape)
        assert (theirs.action_spec().minimum == -1).all()
        assert (theirs.action_spec().maximum == 1).all()
        assert theirs._step_limit == row.max_episode_steps == 1000
    assert set(TASKS) <= set(dataset_names())


@pytest.mark.parametrize("name", ["dmc-walker-walk", "dmc-reacher-easy"])
def test_a_task_is_played_as_dm_control_plays_it_from_the_same_seed(name: str) -> None:
    from dm_control import suite

    row, ours = environment(name), copies(name, 3)
    theirs = suite.load(row.options["domain"], row.options["task"], task_kwargs={"random": 7})
    theirs.reset()  # the state of an episode does not depend on those before
    theirs.task._random = np.random.RandomState(7)
    first, expected = ours.reset([5, 7, 6]), theirs.reset()
    generator = np.random.default_rng(0)
    for _ in range(10):
        assert first[1].tolist() == flat(expected.observation).tolist()
        actions = generator.uniform(-1, 1, (3, *row.action_shape))
        step, expected = ours.step(actions, np.ones(3, bool)), theirs.step(actions[1])
        first = step.observations
        assert step.rewards[1] == expected.reward
        assert not step.terminated.any()
        assert step.success is None
    assert not np.array_equal(first[0], first[1])


def flat(parts: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([np.ravel(part) for part in parts.values()]).astype(np.float32)


def test_an_episode_is_cut_off_after_1_000_steps_and_a_finished_copy_rests() -> None:
    ours = copies("dmc-pendulum-swingup", 2)
    ours.reset([0, 1])
    for number in range(1000):
        step = ours.step(np.zeros((2, 1)), np.array([True, number < 3]))
    assert step.truncated.tolist() == [True, False]
    assert ours.infos()["qpos"].shape == (2, 1)
    assert ours.inside(1).physics.time() == pytest.approx(3 * ours.step_seconds)


def test_an_action_that_is_no_number_is_refused() -> None:
    ours = copies("dmc-pendulum-swingup")
    ours.reset([0])
    with pytest.raises(UserError, match="not a number"):
        ours.step(np.full((1, 1), np.nan), ONE)


@pytest.mark.parametrize("bodies", ["small", "large"])
def test_other_bodies_are_drawn_from_the_episodes_seed(bodies: str) -> None:
    ours = copies(f"dmc-walker-stand-{bodies}", 2)
    model, original = ours.inside(0).physics.model, copies("dmc-walker-stand").inside(0).physics.model
    drawn = []
    for seed in (3, 4, 3):
        ours.reset([seed, 3])
        drawn.append({name: getattr(model, name).copy() for name in ("actuator_gear", "dof_damping", "body_mass")})
        for name, values in drawn[-1].items():
            (low, _), (_, high) = FACTORS[bodies]
            changed = values[getattr(original, name) > 0] / getattr(original, name)[getattr(original, name) > 0]
            assert ((low - 1e-9 <= changed) & (changed <= high + 1e-9)).all(), name
        assert np.array_equal(model.geom_size[0], original.geom_size[0])  # the floor
        assert not np.isclose(model.geom_size[1:, 0], original.geom_size[1:, 0]).any()
    first, other, again = drawn
    assert all(
        np.array_equal(first[name], again[name]) and not np.array_equal(first[name], other[name]) for name in first
    )
    second = ours.inside(1).physics.model
    assert np.array_equal(second.body_mass, first["body_mass"])


def test_unknown_bodies_are_answered_with_the_known_ones() -> None:
    row = environment("dmc-walker-stand")
    with pytest.raises(UserError, match="no bodies 'huge': choose one of small, large"):
        ControlSuiteEnvironments(replace(row, options=row.options | {"bodies": "huge"}), 1)


def test_pixels_are_pictures_of_what_is_played() -> None:
    drawn, numbers = copies("dmc-cartpole-swingup-pixels", 2), copies("dmc-cartpole-swingup", 2)
    pictures, _ = drawn.reset([0, 1]), numbers.reset([0, 1])
    assert pictures.shape == (2, 64, 64, 3)
    assert pictures.dtype == np.uint8
    assert pictures.std() > 10
    for _ in range(60):
        step = drawn.step(np.array([[1.0], [-1.0]]), np.ones(2, bool))
        numbers.step(np.array([[1.0], [-1.0]]), np.ones(2, bool))
    assert np.abs(step.observations[0].astype(int) - step.observations[1]).max() > 50  # carts at either end
    assert np.array_equal(drawn.infos()["qpos"], numbers.infos()["qpos"])
    assert drawn.render(0).shape == (480, 480, 3)
    drawn.close()


def test_a_task_has_an_expert_or_says_which_have_one() -> None:
    assert experts.has_expert(environment("dmc-reacher-easy-large"))
    assert not experts.has_expert(environment("dmc-humanoid-run"))
    with pytest.raises(UserError, match="no expert of dmc-humanoid-run"):
        experts.expert(environment("dmc-humanoid-run"))


@pytest.mark.parametrize(
    ("name", "least"),
    [
        *(("dmc-pendulum-swingup", 600), ("dmc-cartpole-swingup", 800), ("dmc-cartpole-swingup-large", 300)),
        *(("dmc-reacher-easy", 850), ("dmc-point-mass-easy", 700)),
    ],
)
def test_experts_solve_their_tasks(name: str, least: float) -> None:
    episode = demonstrate.play(name, 0, 1)
    assert episode is not None
    assert not episode.terminated
    assert len(episode) == 1000
    assert least < episode.rewards.sum() <= 1000
    assert np.abs(episode.actions).max() <= 1


def test_a_planner_starts_from_its_last_plan_and_its_seed_decides() -> None:
    found = []
    for seed in (0, 0, 1):
        ours = copies("dmc-point-mass-easy")
        ours.reset([0])
        physics, planner = (
            ours.inside(0).physics,
            Planner(Planning(point_mass, horizon=6, knots=2, candidates=4, every=3)),
        )
        planner.begin(physics.model.ptr, 1, np.random.default_rng(seed))
        found.append([planner.act(physics.data.ptr).tolist() for _ in range(5)])
    assert found[0] == found[1] != found[2]


def test_the_jaco_arm_reaches_its_target_with_actions_in_units_of_its_fastest() -> None:
    from dm_control import manipulation

    theirs, ours = manipulation.load("reach_site_features", seed=0), make("manipulation-reach-site", 1)
    theirs.random_state.seed(3)
    first, expected = ours.reset([3]), theirs.reset()
    assert first[0].tolist() == flat(expected.observation).tolist()
    expected = theirs.step(theirs.action_spec().maximum)
    step = ours.step(np.ones((1, 9)), ONE)
    assert step.observations[0].tolist() == flat(expected.observation).tolist()
    assert step.rewards[0] == expected.reward
    episode = demonstrate.play("manipulation-reach-site", 0, 0)
    assert episode is not None
    assert len(episode) == environment("manipulation-reach-site").max_episode_steps == 250
    assert 200 < episode.rewards.sum() <= 250


def test_a_trained_policy_plays_the_original_body_and_the_planner_others() -> None:
    row = environment("dmc-walker-stand-small")
    assert isinstance(experts.expert(environment("dmc-walker-walk")), experts.TrainedOnNumbers)
    assert isinstance(experts.expert(row), experts.Planned)
    policy = experts.expert(environment("dmc-walker-walk"))
    ours, pictures = copies("dmc-walker-walk"), copies("dmc-walker-walk-pixels")
    actions = []
    for played in (ours, pictures):
        observation = played.reset([0])[0]
        policy.begin(played.inside(0), observation, np.random.default_rng(0))
        actions.append(policy.act(played.inside(0), observation))
    assert np.array_equal(*actions)  # it reads the numbers, whatever is observed
    pictures.close()
    for weights in experts.TRAINED.glob("*.safetensors"):
        assert weights.with_suffix(".json").is_file()
        assert weights.with_suffix(".csv").is_file()
