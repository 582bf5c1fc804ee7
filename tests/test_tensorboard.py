"""--tensorboard, as it is typed: the curve's rows are read back from the event file."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.tensorboard_log import writer
from trajectories.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
QUICK = (
    "--source",
    "collected",
    "--steps",
    "200",
    "--updates",
    "4",
    "--episodes",
    "1",
    "--width",
    "8",
    "--threads",
    "1",
)


def test_tensorboard_shows_the_rows_of_the_curve(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "experiments" / "run.py"), "--model", "bc", "--env", "toy-medium", *QUICK]
    more = ["--evaluate-every", "2", "--evaluate-episodes", "1", "--results-dir", str(tmp_path), "--tensorboard"]
    subprocess.run([*command, *more], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True)
    (made,) = tmp_path.iterdir()
    with (made / "curve.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    board = EventAccumulator(str(made / "tensorboard"))
    board.Reload()
    assert set(board.Tags()["scalars"]) == set(rows[0]) - {"update"}
    for name in board.Tags()["scalars"]:
        shown = {event.step: event.value for event in board.Scalars(name)}
        assert shown == pytest.approx({int(row["update"]): float(row[name]) for row in rows})


def test_without_tensorboard_a_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match=r"--tensorboard: .* pip install tensorboard"), writer(tmp_path):
        pass
