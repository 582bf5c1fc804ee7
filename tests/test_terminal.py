"""Commands print at most 80 characters a line, and their help without arguments."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from experiments import benchmark
from experiments import data as verbs
from sources import data_report, inventory
from tests.recordings import made_up as made_up_data
from tests.records import made_up, write
from training.grid import State, plan
from training.suites import Suite
from training.summary import summarize
from trajectories.types import Spec

ROOT = Path(__file__).resolve().parent.parent


def too_wide(text: str) -> list[str]:
    return [line for line in text.splitlines() if len(line) > 80]


def test_the_list_of_data_sets_fits_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(inventory.minari_folders, "local", lambda: ["mujoco/antmaze/large-diverse-with-a-long-name-v1"])
    held = [inventory.Kept(tmp_path, source, columns) for source in inventory.SOURCES for columns in (False, True)]
    monkeypatch.setattr(inventory, "kept", lambda *_: held)
    monkeypatch.setattr(inventory.Kept, "size", 123_456_700_000)
    verbs.main(["list", "--versions", "--data-dir", "/data"])
    printed = capsys.readouterr().out
    assert too_wide(printed) == []
    for words in ("halfcheetah-medium-replay   d4rl collected", "mujoco/antmaze/large-diverse", "d4rl 123,456.7 MB"):
        assert words in printed


def test_statistics_of_every_dimension_fit_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    data = made_up_data([300], spec=Spec("hopper", (11,), (3,), max_episode_steps=1000))
    for column, scale in enumerate((-1e-5, 1e9, -123456.7, 1e-12, -1e-5, 1e9, 1.0, 1.0, 1.0, 1.0, 0.0)):
        data.observations[:, column] *= scale
    data = replace(data, origin=replace(data.origin, name="hopper-medium", source="file"))
    data_report.print_dimensions(data)
    printed = capsys.readouterr().out
    assert too_wide(printed) == []
    lines = printed.splitlines()
    assert [line for line in lines if line in ("observation", "action", "reward")] == [
        "observation",
        "action",
        "reward",
    ]
    assert "constant" in lines[12]
    assert "D4RL mean" in lines[0]


@pytest.mark.parametrize(
    ("number", "text"),
    [(-0.0858751, "-0.085875"), (-1.23456e-05, "-1.23e-05"), (-1.23456e-105, "-1.2e-105"), (-123456.7, "-1.23e+05")],
)
def test_numbers_have_as_many_digits_as_their_column_holds(number: float, text: str) -> None:
    assert data_report.short(number) == text


def test_the_overview_of_a_grid_fits_a_terminal() -> None:
    runs = plan(Suite(("gato", "dt", "bc"), ("halfcheetah-medium-replay",), (12,)), ["--updates", "100000"])
    before = [State(updates=50_000, seconds=170_000.0), State(seconds=170_000.0), State(made_up(model="bc"))]
    lines = list(benchmark.overview(runs, before, 1))
    assert too_wide("\n".join(f"# {line}" for line in lines)) == []
    assert [line.split(" seed 12")[1].strip() for line in lines[:3]] == [
        "begun    50%, 47 h 13 min",
        "missing  47 h 13 min",
        "done     score 60.0",
    ]
    assert lines[3].startswith("1 of 3 done, 2 missing: about 4 days by earlier runs")


def test_the_table_at_the_end_of_a_run_fits_a_terminal(tmp_path: Path) -> None:
    record = made_up(dataset="halfcheetah-medium-replay", targets=(12000.0, 6000.0), episodes=1000)
    printed = summarize(record, tmp_path)
    assert too_wide(printed[: printed.index("data ")]) == []
    assert "return (mean ± std)" in printed
    assert "played  Hopper-v4, d4rl physics" in printed
    assert "played  toy, d4rl physics" in summarize(
        replace(record, env="toy", protocol=replace(record.protocol, environment="")), tmp_path
    )


def test_a_run_of_nothing_prints_the_help() -> None:
    command = [sys.executable, str(ROOT / "experiments" / "run.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0
    assert "usage: run.py" in done.stdout
    assert "--learning-rate" in done.stdout


def test_dry_run_lists_done_and_missing_runs_as_shell_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, made_up())
    options = benchmark.Options(models=("bc",), envs=("toy-medium",), dry_run=True, results_dir=tmp_path)
    assert benchmark.main(options, ["--updates", "7"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "# bc toy-medium seed 0  missing  ?",
        "# 0 of 1 done, 1 missing: no earlier runs to judge by.",
        f"python experiments/run.py --model bc --env toy-medium --seed 0 --updates 7 --results-dir {tmp_path}",
    ]
