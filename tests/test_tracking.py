"""--track, as it is typed: a tracker is shown the rows of the curve, and one that is not installed is named at once."""

import csv
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from experiments import run
from report.store import read_record
from training import run as whole_run
from training import train
from trajectories.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
QUICK = (
    *("--model", "bc", "--env", "toy-medium", "--source", "collected", "--steps", "200", "--updates", "4"),
    *("--episodes", "1", "--width", "8", "--threads", "1", "--evaluate-every", "2", "--evaluate-episodes", "1"),
)


class Tracker(SimpleNamespace):
    """Stands in for trackio and wandb, which are called alike."""

    def __init__(self) -> None:
        super().__init__(begun=[], rows=[], finished=0)

    def init(self, **given: Any) -> None:
        self.begun.append(given)

    def log(self, row: dict[str, float], step: int) -> None:
        self.rows.append({"update": float(step), **row})

    def finish(self) -> None:
        self.finished += 1


def rows_of(made: Path) -> list[dict[str, float]]:
    with (made / "curve.csv").open(encoding="utf-8") as file:
        return [{name: float(cell) for name, cell in row.items() if cell} for row in csv.DictReader(file)]


def test_tensorboard_shows_the_rows_of_the_curve(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "experiments" / "run.py"), *QUICK, "--results-dir", str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "--track", "tensorboard"], check=True, env=environment, capture_output=True)
    (made,) = tmp_path.iterdir()
    rows = rows_of(made)
    board = EventAccumulator(str(made / "tensorboard"))
    board.Reload()
    assert set(board.Tags()["scalars"]) == set(rows[0]) - {"update"}
    for name in board.Tags()["scalars"]:
        shown = {event.step: event.value for event in board.Scalars(name)}
        assert shown == pytest.approx({int(row["update"]): row[name] for row in rows})


@pytest.mark.parametrize("name", ["trackio", "wandb"])
def test_a_tracker_is_shown_the_rows_and_the_settings(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    module = Tracker()
    monkeypatch.setitem(sys.modules, name, module)
    run.main([*QUICK, "--results-dir", str(tmp_path), "--track", name])
    (made,) = tmp_path.iterdir()
    assert module.rows == rows_of(made)
    assert len(module.rows) == 2
    (begun,) = module.begun
    assert (begun["name"], begun["resume"]) == (made.name, "allow")
    assert begun["config"]["model"] == read_record(made).config["model"]
    assert ("id" in begun) == (name == "wandb")
    assert module.finished == 1


def test_a_tracker_is_finished_when_the_run_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = Tracker()
    monkeypatch.setitem(sys.modules, "trackio", module)
    monkeypatch.setattr(train, "update", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(SystemExit, match="130"):
        run.main([*QUICK, "--results-dir", str(tmp_path), "--track", "trackio"])
    assert module.finished == 1


@pytest.mark.parametrize("name", ["trackio", "wandb", "tensorboard"])
def test_a_tracker_that_is_missing_is_named_first(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, {"tensorboard": "torch.utils.tensorboard"}.get(name, name), None)
    monkeypatch.setattr(whole_run, "load_tasks", lambda *_: pytest.fail("data were loaded"))
    with pytest.raises(UserError, match=rf"--track {name}: .* pip install {name}"):
        run.main([*QUICK, "--results-dir", str(tmp_path), "--track", name])
    assert not list(tmp_path.iterdir())


def test_the_tracker_is_no_part_of_what_a_run_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = Tracker()
    monkeypatch.setitem(sys.modules, "trackio", module)
    run.main([*QUICK, "--results-dir", str(tmp_path)])
    run.main([*QUICK, "--results-dir", str(tmp_path), "--track", "trackio"])
    assert len(list(tmp_path.iterdir())) == 1
    assert module.rows == []  # it was finished already
