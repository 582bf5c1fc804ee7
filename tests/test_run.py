"""experiments/run.py as it is typed: from another folder, without cache and network; and with what is wrong."""

import os
import pickle
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError

from backbone.interface import Player
from environments.make import make
from experiments import play, run
from report.store import RECORD, read_all
from sources.loading import Request, load
from tests.recordings import made_up, table, write_d4rl
from tests.toys import small
from training import checkpoint
from training.cli import exit_on_user_error
from training.evaluate import DelayedRewardPlayer, episode_seeds
from training.evaluate import play as play_episodes
from training.run_lock import CARD, STATE, WEIGHTS
from trajectories.types import Spec

ROOT = Path(__file__).resolve().parent.parent
NO_NETWORK = """
import socket
def refuse(*_, **__):
    raise OSError("there is no network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
"""
QUICK = ("--preset", "smoke", "--batch-size", "8", "--width", "16", "--threads", "1", "--precision", "fp32")
TOY = ("--env", "toy-medium", "--source", "collected", "--steps", "200")
HOPPER = Spec("hopper", (11,), (3,), max_episode_steps=1000)


# ---- as it is typed -------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder that is not the repository's, on a machine where nothing is cached and nothing can be fetched."""
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "sitecustomize.py").write_text(NO_NETWORK)
    (tmp_path / "desk").mkdir()
    return tmp_path / "desk"


def typed(elsewhere: Path, script: str, *words: str) -> subprocess.Popen[str]:
    machine = {name: value for name, value in os.environ.items() if name not in ("TRAJECTORIES_DIR", "XDG_CACHE_HOME")}
    machine |= {"HOME": str(elsewhere.parent), "PYTHONPATH": str(elsewhere.parent / "python"), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "experiments" / script), *words],
        cwd=elsewhere,
        env=machine | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # ignored below a shell's `&`
    )


def printed(elsewhere: Path, script: str, *words: str) -> str:
    """What a command prints that does its work."""
    command = typed(elsewhere, script, *words)
    out, err = command.communicate()
    assert command.returncode == 0, err
    return out


@pytest.mark.slow
def test_documented_commands_work_from_another_folder_without_a_network(elsewhere: Path) -> None:
    once = printed(elsewhere, "run.py", "--model", "dt", "--env", "toy-medium", *QUICK, "--results-dir", "results/runs")
    assert "toy-medium from collected" in once
    (record,) = read_all(elsewhere / "results" / "runs")
    path = f"results/runs/{record.name}/record.json"  # from where the command was typed
    assert path in once
    assert {played.target_return for played in record.evaluations} == {18, 6}
    shown = printed(elsewhere, "report.py", "--results-dir", "results/runs", "--no-figures")
    assert "toy-medium" in shown
    assert (elsewhere / "results" / "table.md").exists()
    shown = printed(elsewhere, "play.py", f"results/runs/{record.name}")
    assert f"episode 0: return {record.evaluations[0].returns[0]:.1f}, 20 steps" in shown
    assert (elsewhere.parent / ".cache" / "trajectories" / "columns").is_dir()


@pytest.mark.slow
def test_without_a_network_hopper_is_collected_and_ctrl_c_leaves_no_partial_file(elsewhere: Path) -> None:
    command = typed(elsewhere, "run.py", "--model", "bc", "--env", "hopper-medium", *QUICK, "--results-dir", "runs")
    assert command.stdout is not None
    line = command.stdout.readline()
    assert "hopper-medium is not in the cache and cannot be fetched" in line
    assert "there is no network): using collected data." in line
    command.send_signal(signal.SIGINT)  # a million steps would take minutes
    _, err = command.communicate()
    assert (command.returncode, err.splitlines()[-1][:12]) == (130, "Interrupted.")
    cache = elsewhere.parent / ".cache" / "trajectories"
    assert [path for path in cache.rglob("*") if path.is_file() and path.stat().st_size] == []
    assert not (elsewhere / "runs").exists()


def test_a_run_on_hoppers_own_data_is_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--model", "bc", "--env", "hopper-medium", "--source", "collected", "--steps", "1500", *QUICK)
    run.main([*words, "--results-dir", str(tmp_path)])
    (record,) = read_all(tmp_path)
    assert (record.env, record.source, record.protocol.physics) == ("hopper", "collected", "d4rl")
    assert (record.data["steps"], record.updates, len(record.evaluations[0].returns)) == (1500, 10, 2)
    assert record.preset == "smoke"
    assert "--preset smoke" in record.command
    output = capsys.readouterr().out
    for fact in ("1,500 steps", "parameters", "behavior", "normalized score", "seconds", "record.json"):
        assert fact in output


# ---- with what is wrong ---------------------------------------------------------------------------------------------


def refused(words: list[str], capsys: pytest.CaptureFixture[str], main=run.main) -> str:
    """The sentence with which a command ends."""
    with pytest.raises(SystemExit) as ended, exit_on_user_error():
        main(words)
    message = capsys.readouterr().err.splitlines()[-1]  # behind progress bars
    assert ended.value.code == 2, message
    assert message.endswith(".") or message.endswith("?"), message
    return message


def test_errors_are_printed_on_stderr_with_exit_code_2(elsewhere: Path) -> None:
    command = typed(elsewhere, "run.py", "--model", "dt", "--env", "hopper-medium", "--path", "absent.hdf5")
    out, err = command.communicate()
    assert (command.returncode, out) == (2, "")
    assert err.splitlines() == ["There is no file absent.hdf5: check --path."]
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "dtt"], r"no model called 'dtt': did you mean "),
        (["--env", "hoper-medium"], r"'hoper-medium'.*did you mean hopper-medium"),
        (["--preset", "huge"], r"no preset called 'huge' for dt: choose one of default, paper, smoke"),
        (["--update", "3"], r"'--update': did you mean --updates\?"),
        (["--updates", "0"], r"--updates is 0.*give 1 or more"),
        (["--updates", "-5"], r"--updates is -5"),
        (["--episodes", "0"], r"--episodes is 0"),
        (["--batch-size", "0"], r"--batch-size is 0"),
        (["--context", "-1"], r"--context is -1"),
        (["--steps", "0"], r"--steps is 0"),
        (["--evaluate-every", "-1"], r"--evaluate-every is -1"),
        (["--fraction-best", "1.5"], r"--fraction-best is 1.5"),
        (["--source", "colected"], r"--source is 'colected': did you mean collected"),
        (["--physics", "real"], r"--physics is 'real'"),
        (["--precision", "fp8"], r"--precision is 'fp8'"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_done(words, message, tmp_path, own_cache, capsys) -> None:
    sentence = refused(["--env", "toy-medium", "--results-dir", str(tmp_path / "runs"), *words], capsys)
    assert re.search(message, sentence), sentence
    assert list(tmp_path.iterdir()) == []
    assert list(own_cache.iterdir()) == []


def damaged(kind: str, folder: Path) -> Path:
    """A data file for hopper with something wrong in it."""
    columns = {name: values.copy() for name, values in table(made_up([30, 20], HOPPER)).items()}
    path = folder / "mine.hdf5"
    if kind == "column missing":
        del columns["rewards"]
    elif kind == "lengths differ":
        columns["rewards"] = columns["rewards"][:-1]
    elif kind == "not a number":
        columns["observations"][41, 3] = np.nan
    elif kind == "width":
        columns["observations"] = columns["observations"][:, :-1]
    write_d4rl(path, columns)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:3000])
    elif kind == "text":
        path.write_text("observations, actions")
    elif kind == "hostile":
        path = folder / "mine.pkl"
        path.write_bytes(pickle.dumps([{"observations": os.system}]))
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("column missing", "and no rewards: give observations"),
        ("lengths differ", "rewards has 49"),
        ("not a number", "observations holds nan at step 41, column 3"),
        ("width", "shape 10"),
        ("truncated", "truncated"),
        ("text", "not an HDF5 file"),
        ("hostile", "system"),
    ],
)
def test_a_data_file_that_cannot_be_used_is_refused_and_leaves_nothing(
    kind, message, tmp_path, own_cache, capsys
) -> None:
    (tmp_path / "files").mkdir()
    path = damaged(kind, tmp_path / "files")
    sentence = refused(
        ["--env", "hopper-medium", "--path", str(path), *QUICK, "--results-dir", str(tmp_path / "runs")], capsys
    )
    assert str(path) in sentence
    assert message in sentence
    assert not (tmp_path / "runs").exists()
    assert [path for path in own_cache.rglob("*") if path.is_file() and path.stat().st_size] == []


def test_a_disk_that_is_full_under_a_checkpoint_loses_nothing(tmp_path, monkeypatch, capsys) -> None:
    words = ["--model", "bc", *TOY, *QUICK, "--results-dir", str(tmp_path)]

    def full(*_: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", full)
        with pytest.raises(SystemExit, match="2"):
            run.main(words)
    sentence = capsys.readouterr().err.splitlines()[-1]
    assert "The disk is full while writing" in sentence
    assert "Run the same command again to continue bc-toy-medium" in sentence
    assert not list(tmp_path.rglob("*.safetensors"))
    run.main(words)
    assert len(read_all(tmp_path)) == 1


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of DT on the toy."""
    folder = tmp_path_factory.mktemp("runs")
    data = ("--data-dir", str(folder / "data"))
    run.main(["--model", "dt", *TOY, *QUICK, *data, "--results-dir", str(folder / "runs")])
    (made,) = (folder / "runs").iterdir()
    return made


@pytest.mark.parametrize("kind", ["truncated", "another's", "card"])
def test_a_model_that_is_damaged_or_another_ones_is_not_played(kind, finished, tmp_path, capsys) -> None:
    made = tmp_path / finished.name
    made.mkdir()
    for path in finished.iterdir():
        (made / path.name).write_bytes(path.read_bytes())
    weights = made / WEIGHTS
    if kind == "truncated":
        weights.write_bytes(weights.read_bytes()[:5000])
    elif kind == "another's":
        data = load(Request("toy-medium", "collected", steps=100))
        checkpoint.write_tensors(weights, small("bc", data).state_dict())
    else:
        (made / CARD).write_text('{"model": "dt"}')
    sentence = refused([], capsys, lambda _: play.main(play.Options(made)))
    assert str(made) in sentence
    assert {"truncated": "damaged checkpoint", "another's": "another model's weights", "card": "damaged"}[
        kind
    ] in sentence


def test_a_damaged_checkpoint_of_an_unfinished_run_says_what_to_remove(finished, capsys) -> None:
    state = finished / STATE
    (finished / RECORD).rename(finished / "kept")
    try:
        state.write_bytes(b"\x00" * 100)
        words = ["--model", "dt", *TOY, *QUICK, "--data-dir", str(finished.parents[1] / "data")]
        sentence = refused([*words, "--results-dir", str(finished.parent)], capsys)
    finally:
        state.unlink()
        (finished / "kept").rename(finished / RECORD)
    assert f"{state}: damaged checkpoint" in sentence
    assert "remove it and run the command again" in sentence


# ---- delayed rewards and long episodes ------------------------------------------------------------------------------


def test_a_model_of_delayed_rewards_gets_zero_rewards_while_playing() -> None:
    heard: list[float] = []

    class Listener:
        def act(self, observations: np.ndarray, rewards: np.ndarray, live: np.ndarray) -> np.ndarray:
            heard.extend(rewards)
            return np.full((len(live), 1), 0.5, np.float32)

    assert play_episodes(Listener(), make("toy", 1), episode_seeds(1)).returns == pytest.approx([10])
    assert heard == [0.0, *[0.5] * 19]
    heard.clear()
    assert play_episodes(DelayedRewardPlayer(Listener()), make("toy", 1), episode_seeds(1)).returns == pytest.approx(
        [10]
    )
    assert heard == [0.0] * 20


def test_a_run_with_delayed_rewards_is_played_with_delayed_rewards(tmp_path, monkeypatch) -> None:
    players = []

    def counted(player: Player) -> Player:
        players.append(player)
        return DelayedRewardPlayer(player)

    monkeypatch.setattr("training.evaluate.DelayedRewardPlayer", counted)
    run.main(["--model", "dt", *TOY, *QUICK, "--delayed-reward", "--results-dir", str(tmp_path)])
    assert len(players) == 2  # one for each target return
    (made,) = tmp_path.iterdir()
    play.main(play.Options(made))
    assert len(players) == 3


def test_episodes_longer_than_the_time_limit_are_learned(tmp_path: Path) -> None:
    toy = Spec("toy", (2,), (1,), max_episode_steps=20)
    path = write_d4rl(tmp_path / "long.hdf5", table(made_up([35, 10], toy)))  # the toy stops after 20
    for runs in ("first", "cached"):
        words = ["--model", "dt", "--env", "toy-medium", "--path", str(path), *QUICK, "--context", "40"]
        run.main([*words, "--results-dir", str(tmp_path / runs)])
        assert len(read_all(tmp_path / runs)) == 1
