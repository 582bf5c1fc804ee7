"""experiments/benchmark.py: grids are planned as data, killed without loss, and never run a run twice."""

import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.benchmark import Options, chosen, command_line, main
from report.store import RECORD, Record, plain, read_all
from tests.records import made_up, write
from training import jobs
from training.grid import duration, estimate, plan, state, states
from training.run_lock import LOCK, STATE, hold_run
from training.suites import Suite, find, suites
from trajectories.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
SMALL = ("--preset", "smoke", "--updates", "300", "--width", "16", "--precision", "fp32")


def grid(folder: Path, *options: str) -> list[str]:
    """The words of a small grid on the toy task."""
    words = [sys.executable, str(ROOT / "experiments" / "benchmark.py"), "--envs", "toy-medium", "--threads", "1"]
    return [*words, "--results-dir", str(folder), "--no-report", *options, *SMALL]


def same_but_for_times(folder: Path) -> dict[str, Any]:
    """All that a grid has left, without what a clock, another process or a change of the repository decides."""
    changing = ("seconds", "peak_memory_mb", "commit", "dirty")
    found: dict[str, Any] = {}
    for path in sorted(folder.glob("*/*")):
        name = path.relative_to(folder).as_posix()
        if path.name == "record.json":
            record = json.loads(path.read_text())
            found[name] = {key: value for key, value in record.items() if key not in changing}
        elif path.name == "curve.csv":
            rows = [line.split(",") for line in path.read_text().splitlines()]
            place = rows[0].index("seconds")
            found[name] = [row[:place] + row[place + 1 :] for row in rows]
        else:
            found[name] = path.read_bytes()
    return found


# ---- plans ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("env", ["metaworld-reach", "breakout"])
def test_a_run_is_found_where_only_todays_physics_are_played(env: str, tmp_path: Path) -> None:
    (run,) = plan(Suite(("bc",), (env,), (0,), source="collected"))
    config = plain(run.settings.resolved())
    config["run"]["physics"] = "gymnasium"  # training/run.py, resolve
    record = replace(made_up(model="bc", dataset=env, source="collected"), config=config)
    (found,) = states([run], [record], tmp_path)
    assert found.record == record


def test_what_is_answered_has_no_source_in_a_suite_of_collected_data() -> None:
    suite = Suite(("gato",), ("toy-medium", "easy-vqa"), (0,), source="collected")
    assert [run.settings.run.source for run in plan(suite)] == ["collected", "auto"]


@pytest.mark.parametrize("name", suites())
def test_every_suite_names_models_and_presets_that_there_are(name: str) -> None:
    suite = replace(find(name), seeds=(0,))
    assert len(plan(suite)) == len(suite.models) * len(suite.envs) * len(suite.seeds)


def test_what_is_in_a_grid_twice_is_run_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys) -> None:
    ran = []

    def here(todo: Any, at_once: int, say: Any) -> Any:
        for job in todo:
            ran.append(job.run.name)
            yield jobs.Ended(job, 1)

    monkeypatch.setattr(jobs, "run_local", here)
    options = Options(models=("bc", "bc"), envs=("toy-medium",), seeds=(0, 0), results_dir=tmp_path, report=False)
    assert main(options, []) == 1
    assert ran == ["bc toy-medium seed 0"]
    assert "0 of 1 done, 1 missing" in capsys.readouterr().out


def test_a_plan_runs_all_models_of_one_seed_before_the_next() -> None:
    runs = plan(Suite(("bc", "dt"), ("hopper-medium",), (0, 1)))
    assert [run.name for run in runs] == [
        f"{model} hopper-medium seed {seed}" for seed in (0, 1) for model in ("bc", "dt")
    ]


def test_options_that_are_not_the_grids_go_to_every_run_with_their_names_filled_in() -> None:
    options, extra = command_line(["--suite", "locomotion-medium", "--models", "bc", "--path", "/data/{file}"])
    runs = plan(chosen(options), extra)
    assert {run.model for run in runs} == {"bc"}
    assert runs[0].command.endswith("--source reroll --updates 20000 --path /data/hopper_medium-v2.hdf5")


@pytest.mark.parametrize(
    ("words", "culprit"),
    [
        (["--suite", "locomotoin"], "locomotion"),
        (["--models", "dt"], "nothing to run"),
        (["--models", "dtt", "--envs", "hopper-medium"], "dtt"),
        (["--models", "dt", "--envs", "hoper-medium"], "hopper-medium"),
        (["--models", "dt", "--envs", "hopper-medium", "--updtes", "5"], "updates"),
        (["--models", "dt", "--envs", "hopper-medium", "--jobs", "0"], "--jobs is 0"),
    ],
)
def test_a_grid_that_cannot_be_meant_is_refused_before_anything_is_run(words: list[str], culprit: str) -> None:
    options, extra = command_line(words)
    with pytest.raises(UserError, match=culprit):
        plan(chosen(options), extra)


def test_a_suite_that_is_none_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "suites.toml"
    whole = "[mine]\nmodels = ['dt']\nenvs = ['toy-medium']\nseeds = [0]\n"
    odd = ("source = []", "source = 1", "preset = ['x']", "options = 1", "options.dt = 1")
    texts = ["[mine]\nmodels = ['dt']\n", "[mine]\nmodle = 1\n", "mine = 1\n", "[mine", *(whole + one for one in odd)]
    texts += [whole.replace("[0]", "[1.5]"), whole.replace("['dt']", "'dt'"), whole.replace("['dt']", "[['dt']]")]
    for text in texts:
        path.write_text(text)
        with pytest.raises(UserError, match=r"suites\.toml"):
            suites(path)
    path.write_text(whole + "options.dt.updates = 7")
    assert suites(path)["mine"].options == {"dt": {"updates": 7}}


def recorded(model: str, **changes: Any) -> Record:
    """A record of what a plain command for hopper-medium would run."""
    (run,) = plan(Suite((model,), ("hopper-medium",), (0,), "reroll"))
    config = json.loads(json.dumps(run.settings.resolved()))
    config["run"].update(precision="bf16", target_returns=[3600.0, 1800.0])
    record = made_up(model=model, updates=config["run"]["updates"], episodes=100, targets=(3600.0,))
    return replace(record, config=config | {"data": "d"}, **changes)


def test_a_run_is_done_when_a_record_has_its_settings_and_not_when_one_differs() -> None:
    (run,) = plan(Suite(("dt",), ("hopper-medium",), (0,), "reroll"))
    assert state(run, [recorded("dt")], {}).done
    (longer,) = plan(Suite(("dt",), ("hopper-medium",), (0,), "reroll"), ["--updates", "9"])
    (other,) = plan(Suite(("dt",), ("hopper-medium",), (1,), "reroll"))
    assert not state(longer, [recorded("dt")], {}).done
    assert not state(other, [recorded("dt")], {}).done


def test_a_rerolled_run_is_not_what_a_grid_of_any_source_waits_for() -> None:
    (run,) = plan(Suite(("dt",), ("hopper-medium",), (0,)))  # auto: D4RL's file, or collected
    made = recorded("dt")
    collected = replace(made, config=made.config | {"run": {**made.config["run"], "source": "collected"}})
    assert not state(run, [made], {}).done
    assert state(run, [made, collected], {}).done


def test_times_are_foretold_from_the_run_that_is_most_like_it() -> None:
    (run,) = plan(Suite(("dt",), ("hopper-medium",), (1,), "reroll"), ["--updates", "6000"])
    like = recorded("dt", seconds={"train": 100.0, "evaluate": 10.0}, updates=3000)
    unlike = recorded("bc", seconds={"train": 9.0, "evaluate": 9.0})
    elsewhere = replace(like, dataset="walker2d-medium", seconds={"train": 900.0, "evaluate": 9.0})
    assert estimate(run, [unlike, like, elsewhere]) == 210.0  # twice the updates, as many episodes
    assert estimate(run, [unlike]) is None
    assert [duration(seconds) for seconds in (None, 40, 720, 12_000, 200_000)] == [
        "?", "40 s", "12 min", "3 h 20 min", "2 days",
    ]  # fmt: skip


def interrupted(folder: Path, identity: dict[str, Any]) -> None:
    """What Ctrl-C leaves of a run."""
    with hold_run(folder, identity):
        (folder / "curve.csv").write_text("update,loss/total\n1500,0.5\n")
        raise KeyboardInterrupt


def test_an_unfinished_run_is_listed_with_its_progress(tmp_path: Path) -> None:
    (run,) = plan(Suite(("dt",), ("hopper-medium",), (0,)))
    folder = tmp_path / "unfinished"
    identity = run.settings.resolved()
    identity["run"]["target_returns"] = [3600.0, 1800.0]
    with pytest.raises(KeyboardInterrupt):
        interrupted(folder, identity)
    half = recorded("dt", seed=7, seconds={"train": 100.0, "evaluate": 0.0})
    half.config["run"]["seed"] = 7
    (found,) = states([run], [half], tmp_path)
    assert (found.done, found.updates, found.seconds) == (False, 1500, 100.0 * (1 - 1500 / run.settings.run.updates))


def test_a_suite_is_overridden_by_what_is_typed() -> None:
    suite = chosen(Options(suite="locomotion-medium", seeds=(5,), source="d4rl"))
    assert (suite.seeds, suite.source, suite.models) == ((5,), "d4rl", ("bc", "nearest", "dt", "tt", "gato"))


# ---- one process a run -----------------------------------------------------------------------------------------------


def test_a_second_process_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from training.run_lock import hold_run\n"
        "with hold_run(Path(sys.argv[1]), {}): pass"
    )
    with hold_run(tmp_path / "run", {"model": {}}):
        other = subprocess.run(
            [sys.executable, "-c", code, tmp_path / "run"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert f"process {os.getpid()} is at this run already" in other.stderr
        assert (tmp_path / "run" / LOCK).exists()
    assert not (tmp_path / "run").exists()  # nothing was begun, nothing is left


GRID = """
import sys
from pathlib import Path
from types import SimpleNamespace
from training import jobs
from training.cli import exit_on_user_error
jobs.PROGRAM, run = Path(sys.argv[1]), SimpleNamespace(name="a run", arguments=())
with exit_on_user_error("Run it again to continue."):
    for ended in jobs.run_local([jobs.Job(run, (), Path(log), 1) for log in sys.argv[2:]], 2, print):
        print(ended)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_grid_alone_ends_its_runs_at_once(number: int, tmp_path: Path) -> None:
    program, logs = tmp_path / "run.py", [tmp_path / name for name in "abc"]  # the third is never begun
    program.write_text("import os, signal\nprint(os.getpid(), flush=True)\nsignal.pause()\n")
    words = [sys.executable, "-c", GRID, str(program), *map(str, logs)]
    process = subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    while process.poll() is None and not all(log.exists() and log.read_text() for log in logs[:2]):
        try:
            process.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            continue
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (128 + number, "")
    assert err.splitlines()[-1].endswith("Run it again to continue.")
    assert not [log for log in logs if log.exists() and Path(f"/proc/{log.read_text().strip()}").exists()]
    assert not logs[2].exists()


def test_a_grid_clears_what_a_run_left_that_was_killed_after_its_record(tmp_path: Path) -> None:
    write(tmp_path, recorded("bc"))
    (record,) = tmp_path.glob(f"*/{RECORD}")
    (record.parent / STATE).write_text("three times the weights")
    words = ("--models", "bc", "--envs", "hopper-medium", "--source", "reroll", "--no-report")
    assert main(*command_line([*words, "--results-dir", str(tmp_path)])) == 0
    assert [path.name for path in record.parent.iterdir()] == [RECORD]


# ---- killed ----------------------------------------------------------------------------------------------------------


def test_a_grid_killed_and_started_again_leaves_the_same_records(tmp_path: Path, own_cache: Path) -> None:
    whole, killed = tmp_path / "whole" / "runs", tmp_path / "killed" / "runs"
    options = ("--models", "bc", "--seeds", "0", "1", "--jobs", "2", "--checkpoint-seconds", "0")
    undisturbed = subprocess.run(grid(whole, *options), capture_output=True, text=True, check=False)
    assert undisturbed.returncode == 0, undisturbed.stdout + undisturbed.stderr
    rng = random.Random(0)
    for _ in range(2):
        process = subprocess.Popen(grid(killed, *options), stdout=subprocess.DEVNULL, start_new_session=True)
        try:
            process.wait(timeout=rng.uniform(2, 7))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    last = subprocess.run(grid(killed, *options), capture_output=True, text=True, check=False)
    assert last.returncode == 0, last.stdout + last.stderr
    assert same_but_for_times(killed) == same_but_for_times(whole)
    assert len(read_all(whole)) == 2
    again = subprocess.run(grid(killed, *options, "--dry-run"), capture_output=True, text=True, check=False)
    assert again.stdout.splitlines()[-1] == "# 2 of 2 done, 0 missing: no earlier runs to judge by."


def test_a_run_that_fails_is_named_with_its_reason_and_does_not_stop_the_others(tmp_path: Path) -> None:
    options = ("--models", "bc", "dt", "--seeds", "0", "--path", "/nowhere/{model}.hdf5", "--source", "d4rl")
    ended = subprocess.run(grid(tmp_path / "runs", *options), capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stdout.count("failed with exit code 2") == 2
    assert "/nowhere/bc.hdf5" in ended.stdout


def test_dry_run_prints_the_commands_of_what_is_missing_and_writes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    write(folder, recorded("bc"))
    words = [
        sys.executable,
        str(ROOT / "experiments" / "benchmark.py"),
        "--models",
        "bc",
        "dt",
        "--envs",
        "hopper-medium",
    ]
    words += ["--source", "reroll", "--results-dir", str(folder), "--dry-run"]
    before = sorted(tmp_path.rglob("*"))
    shown = subprocess.run(words, capture_output=True, text=True, check=True)
    commands = [line for line in shown.stdout.splitlines() if not line.startswith("#")]
    expected = "python experiments/run.py --model dt --env hopper-medium --seed 0 --source reroll"
    assert commands == [f"{expected} --results-dir {folder}"]
    assert sorted(tmp_path.rglob("*")) == before
