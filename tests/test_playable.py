"""Whether an environment runs here is found out before anything is trained; whether it draws, where it is drawn."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from environments.make import make
from experiments import run
from report.store import read_all
from tests.recordings import made_up, table, write_d4rl
from training import run as whole_run
from trajectories import foreign
from trajectories.errors import UserError
from trajectories.types import Spec

ROOT = Path(__file__).resolve().parent.parent
WORDS = ("--model", "bc", "--env", "mine", "--task", "Tank-v0", "--updates", "4", "--episodes", "2", "--width", "8")


class Tank(gymnasium.Env[np.ndarray, np.ndarray]):
    """The user's own environment, which has no `render_mode`."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    broken = ""  # what of it does not work

    def __init__(self) -> None:
        if self.broken == "make":
            raise ImportError("no module named pumps")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        if self.broken == "reset":
            raise RuntimeError("the valve is stuck")
        return np.zeros(2, np.float32), {}

    def step(self, action: np.ndarray) -> Any:
        if self.broken == "step":
            return np.zeros(2, np.float32), 0.0, False, {}  # gym's, before 2022
        return np.zeros(2, np.float32), float(action[0]), False, False, {}


@pytest.fixture
def tank(tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """The words of a run on data of the environment's own."""
    gymnasium.register("Tank-v0", entry_point=Tank, max_episode_steps=5)
    file = write_d4rl(
        tmp_path / "tank.hdf5", table(made_up([5, 5, 5], Spec("Tank-v0", (2,), (1,), max_episode_steps=5)))
    )
    yield (*WORDS, "--path", str(file), "--results-dir", str(tmp_path / "runs"))
    del gymnasium.registry["Tank-v0"]
    foreign.environment_row.cache_clear()


@pytest.mark.parametrize(
    ("broken", "message"), [("reset", "the valve is stuck"), ("step", "not enough values to unpack")]
)
def test_an_environment_that_does_not_run_is_reported_before_training(
    broken: str, message: str, tank: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(Tank, "broken", broken)
    monkeypatch.setattr(whole_run, "build", lambda *_: pytest.fail("something was built"))
    with pytest.raises(SystemExit, match="2"):
        run.main(list(tank))
    assert re.search(f"^Tank-v0 cannot be played here .*{message}", capsys.readouterr().err)
    assert not list((tmp_path / "runs").rglob("*"))


def test_an_environment_that_breaks_while_data_are_read_is_reported_too(
    tank: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    load = whole_run.load_tasks

    def read_and_break(*arguments: Any) -> Any:
        data = load(*arguments)
        monkeypatch.setattr(Tank, "broken", "make")
        return data

    monkeypatch.setattr(whole_run, "load_tasks", read_and_break)
    monkeypatch.setattr(whole_run, "build", lambda *_: pytest.fail("something was built"))
    with pytest.raises(SystemExit, match="2"):
        run.main(list(tank))
    assert "no module named pumps" in capsys.readouterr().err


def test_an_environment_that_cannot_draw_is_played(tank: tuple[str, ...], tmp_path: Path) -> None:
    run.main(list(tank))
    (record,) = read_all(tmp_path / "runs")
    assert record.evaluations[0].lengths == (5, 5)


def test_an_environment_that_cannot_draw_is_named_where_a_video_is_requested(tank: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match=r"Tank-v0 cannot draw itself .*leave the video out"):
        make("Tank-v0", 1, render_mode="rgb_array")


@pytest.mark.parametrize("choice", ["osmesa", "nonsense", "EGL "])
def test_what_the_shell_says_of_drawing_stops_no_simulation(choice: str) -> None:
    shell = {**os.environ, "MUJOCO_GL": choice, "PYOPENGL_PLATFORM": "osmesa"}
    code = "import trajectories.foreign as f; from environments.make import make; f.make('Hopper-v4', {}); "
    code += "print(make('hopper', 1).reset([0]).shape)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=shell, capture_output=True, text=True, check=False
    )
    assert done.stdout == "(1, 11)\n", done.stderr
