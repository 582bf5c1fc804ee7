"""baselines/nearest: what was done in the recorded step that looks most like now."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from baselines.nearest import features
from baselines.nearest.model import NearestNeighbor
from experiments import play, run
from report.store import read_record
from tests.toys import CHOICES, MISSION, PARTS, POINT, SCREEN, SENTENCES, small, walk
from training.api import evaluate, train
from training.checkpoint import load_model, save_model
from training.grid import plan, states
from training.suites import Suite
from trajectories.errors import UserError
from trajectories.parts import pack, to_bytes
from trajectories.types import Provenance, Spec, Trajectories
from trajectories.windows import cut


def recorded(spec: Spec, observations: list, actions: list) -> Trajectories:
    """One episode of these steps."""
    ended = np.arange(len(actions)) == len(actions) - 1
    return Trajectories.of(
        spec,
        Provenance(spec.name, "made-up", "0"),
        observations=np.array(observations, spec.observation_dtype),
        actions=np.array(actions),
        rewards=np.zeros(len(actions), np.float32),
        terminated=ended,
        starts=np.array([0, len(actions)]),
    )


def acts(model: NearestNeighbor, *observations: list) -> list:
    """Its actions in some observations, an episode each."""
    shown = np.array(observations, model.spec.observation_dtype)
    live = np.ones(len(shown), bool)
    return model.player(len(shown), 0.0).act(shown, np.zeros(len(shown)), live).tolist()


def test_the_action_of_the_nearest_recorded_observation_is_repeated() -> None:
    data = walk((12, 7), spec=CHOICES)
    model = small("nearest", data, neighbors=1)
    nudged = data.observations + np.float32(1e-4)
    assert acts(model, *nudged) == data.actions.tolist()


def test_numbers_are_compared_in_their_deviations() -> None:
    data = recorded(CHOICES, [[0, 0, 0], [1000, 0, 0], [0, 1, 0], [1000, 1, 0]], [0, 1, 2, 3])
    assert acts(small("nearest", data, neighbors=1), [400, 0.9, 0], [600, 0.1, 0]) == [2, 1]


def test_a_number_that_never_moves_is_not_divided_by_its_tiny_deviation() -> None:
    goal = 0.5 + 1e-7 * np.arange(4)
    data = recorded(CHOICES, [[step, 0, goal[step]] for step in range(4)], [0, 1, 2, 3])
    assert acts(small("nearest", data, neighbors=1), [0, 0, 0.501], [2, 0, 0.499]) == [0, 2]


def test_several_neighbors_vote_on_discrete_actions_and_average_others() -> None:
    steps = [[0, 0, 0], [1, 0, 0], [2.1, 0, 0], [9, 0, 0]]
    assert acts(small("nearest", recorded(CHOICES, steps, [4, 1, 1, 0]), neighbors=3), [0.1, 0, 0]) == [1]
    moved = recorded(POINT, steps, np.array([[0, 1], [0.5, 0], [1, 0.2], [-1, -1]], np.float32).tolist())
    assert np.allclose(acts(small("nearest", moved, neighbors=3), [0.1, 0, 0]), [[0.5, 0.4]])


def test_steps_as_far_away_as_the_last_neighbor_count_as_well() -> None:
    data = recorded(CHOICES, [[1, 0, 0], [-1, 0, 0], [1, 0, 0], [5, 5, 5]], [3, 2, 2, 0])
    model = small("nearest", data, neighbors=1)
    assert acts(model, [0, 0, 0], [0.9, 0, 0], [5, 5, 4]) == [2, 3, 0]  # two of three; one each: the earliest; alone


def test_of_actions_equally_often_that_of_the_nearest_step_is_taken() -> None:
    data = recorded(CHOICES, [[4, 0, 0], [0, 0, 0], [9, 0, 0]], [1, 2, 3])
    assert acts(small("nearest", data, neighbors=2), [1, 0, 0], [3, 0, 0]) == [2, 1]


def test_more_neighbors_than_there_are_steps_are_all_of_them() -> None:
    data = recorded(CHOICES, [[0, 0, 0], [1, 0, 0], [2, 0, 0]], [4, 1, 1])
    assert acts(small("nearest", data, neighbors=50), [0, 0, 0]) == [1]


def test_recorded_stacks_of_frames_are_compared_as_they_are_played() -> None:
    data = walk((5, 1, 3), spec=SCREEN)
    steps = np.arange(len(data))
    shown = cut(data, data.starts[data.episode_of(steps)], steps, 1).observations[:, 0].numpy()
    np.testing.assert_array_equal(features.of_data(data), features.of_observations(shown, SCREEN))
    assert features.size(SCREEN) == features.of_data(data).shape[1] == 2 * 144
    model = small("nearest", data, neighbors=1)
    actions = model.player(len(data), 0.0).act(shown, np.zeros(len(data)), np.ones(len(data), bool))
    assert actions.tolist() == data.actions.tolist()


@pytest.mark.parametrize("shape", [(40, 36), (40, 36, 3), (3, 40, 36), (40, 5, 1)])
def test_images_become_a_few_gray_cells_wherever_their_channels_are(shape: tuple[int, ...]) -> None:
    spec = Spec("image", shape, (), 12, actions=2, observation_dtype="uint8")
    images = np.random.default_rng(0).integers(256, size=(2, *shape), dtype=np.uint8)
    assert features.of_observations(images, spec).shape == (2, features.size(spec))
    assert features.size(spec) == 12 * min(12, shape[1] if shape[0] == 40 else 36)
    np.testing.assert_allclose(features.of_observations(images * 0 + 9, spec), 9.0)


def mission(text: str, speed: float, facing: int = 0, light: int = 9) -> np.ndarray:
    """An observation of several parts, (1, bytes)."""
    columns = {
        "cells": np.zeros((1, 2, 2, 2)),
        "facing": np.array([facing]),
        "mission": to_bytes([text]),
        "picture": np.full((1, 16, 16, 3), light),
        "speed": np.array([[speed, 0.0]]),
    }
    return pack(columns, PARTS)


def test_steps_of_the_same_text_come_first_however_near_others_are() -> None:
    steps = [mission(SENTENCES[0], 0.0), mission(SENTENCES[1], 5.0), mission(SENTENCES[1], 9.0)]
    data = recorded(MISSION, [step[0] for step in steps], [1, 2, 3])
    model = small("nearest", data, neighbors=1)
    shown = np.concatenate([mission(SENTENCES[1], 0.0), mission(SENTENCES[0], 9.0), mission("no such text", 8.0)])
    assert acts(model, *shown) == [2, 1, 3]


@pytest.mark.parametrize("other", [{"facing": 1}, {"light": 200}])
def test_grids_pictures_and_whole_numbers_are_compared_as_well(other: dict[str, int]) -> None:
    steps = [mission("go", 0.0), mission("go", 0.0, **other)]
    model = small("nearest", recorded(MISSION, [step[0] for step in steps], [1, 2]), neighbors=1)
    assert acts(model, *np.concatenate(steps)) == [1, 2]
    assert features.size(MISSION) == 8 + 1 + 144 + 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("keys", torch.full((19, 3), torch.nan)),
        ("keys", torch.zeros(18, 3)),
        ("keys", torch.zeros(19, 4)),
        ("keys", torch.zeros(0, 3)),
        ("scale", torch.zeros(3)),
        ("actions", torch.full((19,), 5)),
        ("actions", torch.full((19,), -1)),
        ("actions", torch.zeros(19)),
    ],
)
def test_a_checkpoint_that_cannot_be_acted_by_is_refused(name: str, value: torch.Tensor, tmp_path: Path) -> None:
    save_model(tmp_path, "nearest", small("nearest", walk((12, 7), spec=CHOICES)))
    weights = tmp_path / "model.safetensors"
    save_file(load_file(weights) | {name: value}, weights)
    with pytest.raises(UserError, match="another model's weights"):
        load_model(tmp_path)


RUN = ("--model", "nearest", "--env", "toy-medium", "--source", "collected", "--steps", "300", "--threads", "1")


def test_a_run_without_updates_has_a_record_and_can_be_watched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*RUN, "--updates", "50", "--episodes", "3", "--results-dir", str(tmp_path)]
    run.main(words)
    (folder,) = tmp_path.iterdir()
    record = read_record(folder)
    assert (record.updates, record.tokens, record.parameters, record.config["model"]) == (0, 0, 0, {"neighbors": 1})
    assert record.config["run"]["precision"] == "fp32"
    assert record.report == {"steps": 300, "numbers_compared": 2, "bytes": 300 * 12 + 8}
    assert "--updates" not in record.command
    run.main(words)
    assert "finished already" in capsys.readouterr().out
    play.main(play.Options(run=folder))
    assert f"episode 0: return {record.evaluations[0].returns[0]:.1f}" in capsys.readouterr().out


def test_a_grid_with_updates_for_the_others_finds_its_record(tmp_path: Path) -> None:
    words = ["--episodes", "2", "--steps", "300", "--threads", "1"]
    (planned,) = plan(Suite(("nearest",), ("toy-medium",), (0,), "collected"), [*words, "--updates", "70"])
    run.main([*planned.arguments, "--results-dir", str(tmp_path)])
    records = [read_record(folder) for folder in tmp_path.iterdir()]
    (state,) = states([planned], records, tmp_path)
    assert state.done
    assert planned.settings.run.updates == 0


def test_it_is_made_and_played_from_python() -> None:
    data = walk((20, 20, 20), spec=Spec("toy", (2,), (1,), 20))
    model = train("nearest", data, neighbors=2)
    assert model.config.neighbors == 2  # type: ignore[attr-defined]
    assert len(evaluate(model, "toy-medium", episodes=2).returns) == 2
