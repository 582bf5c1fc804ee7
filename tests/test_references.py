"""Reference scores stand only beside what they were measured in, and other bodies collide as their sizes say."""

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from environments.make import make
from report import families
from report.score_families import CONTROL
from tests.records import made_up
from trajectories.catalog import environment

pytest.importorskip("dm_control")


def penetrating(model: mujoco.MjModel, qpos: np.ndarray) -> set[tuple[int, int]]:
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    mujoco.mj_forward(model, data)
    return {(int(min(each.geom)), int(max(each.geom))) for each in data.contact[: data.ncon] if each.dist < 0}


@pytest.mark.parametrize("bodies", ["small", "large"])
def test_a_body_that_has_grown_touches_what_it_reaches(bodies: str) -> None:
    copies, rng, found = make(f"dmc-ball-in-cup-catch-{bodies}", 1), np.random.default_rng(0), 0
    for seed in range(15):
        copies.reset([seed])
        model = copies.inside(0).physics.model.ptr
        plain = model.opt.disableflags
        for _ in range(20):
            qpos = np.array([0, 0, rng.uniform(-0.12, 0.12), rng.uniform(0, 0.35)])
            ours = penetrating(model, qpos)
            model.opt.disableflags = plain | mujoco.mjtDisableBit.mjDSBL_MIDPHASE  # every pair is looked at
            assert ours == penetrating(model, qpos)
            model.opt.disableflags = plain
            found += len(ours)
    assert found > 20


@pytest.mark.parametrize(
    "name",
    [
        'Hopper-v4?{"max_episode_steps": 200}',
        'Hopper-v4?{"healthy_reward": 0.0}',
        'breakout?{"clipped_rewards": true}',
        'breakout?{"life_loss_ends": true}',
        'sokoban-7x7?{"boxes": 1}',
    ],
)
def test_an_environment_that_is_changed_has_no_reference_scores(name: str) -> None:
    row = environment(name)
    assert (row.random_score, row.expert_score) == (0, 100)
    assert "No reference scores are known" in row.caveat


def test_an_environment_that_is_the_rows_has_its_scores_and_its_caveat() -> None:
    assert environment("Hopper-v4").expert_score == environment("hopper").expert_score
    assert environment("MiniGrid-FourRooms-v0").caveat.startswith("No reference scores")  # 100 steps, where D4RL has 50
    assert environment('pong?{"sticky_actions": 0.25}').expert_score == environment("pong").expert_score


def test_a_games_limit_is_the_step_at_which_its_frames_are_over() -> None:
    assert environment('pong?{"frames": 400}').max_episode_steps == 100
    assert environment('pong?{"frames": 402}').max_episode_steps == 101


def test_scores_of_the_highest_return_are_not_called_an_experts() -> None:
    record = replace(made_up(), family="dm_control")
    assert families.expert(record) is None
    assert families.random(record) is None
    assert families.expert(replace(record, family="modular")) == 100
    assert "highest return" in CONTROL.score


def test_an_open_mazes_references_have_their_caveat() -> None:
    for name in ("maze2d-open", "maze2d-open-dense"):
        row = environment(name)
        assert "standing still" in row.caveat
        assert row.target_returns[0] > 4 * row.expert_score
