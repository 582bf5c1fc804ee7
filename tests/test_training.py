"""training/train.py and evaluate.py: what a seed decides, what a kill costs, how episodes are counted."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from environments.interface import Step
from experiments import run
from report.curve import CURVE
from report.store import RECORD, read_record
from tests.toys import POINT, small, walk
from training import run as whole_run
from training import train
from training.checkpoint import load_model, save_rounded
from training.evaluate import episode_seeds, evaluate, play
from training.registry import MODELS, find
from training.settings import Run
from trajectories.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
TIMES = ("seconds", "peak_memory_mb", "commit", "dirty")


def words(model: str, folder: Path, *more: str) -> list[str]:
    """A run of a toy that takes a second."""
    return [
        *("--model", model, "--env", "toy-medium", "--source", "collected", "--steps", "300", "--updates", "6"),
        *("--episodes", "3", "--batch-size", "4", "--threads", "1", "--checkpoint-seconds", "0"),
        *("--evaluate-every", "3", "--evaluate-episodes", "2", "--results-dir", str(folder), *more),
    ]


SIZES = {
    "bc": ("--width", "16"),
    "dt": ("--width", "16"),
    "tt": ("--width", "16", "--layers", "1", "--bins", "10", "--horizon", "1", "--beam-width", "2"),
    "gato": ("--width", "16", "--heads", "2", "--head-width", "8", "--hidden", "32"),
}


def outcome(folder: Path) -> tuple[dict, list[list[str]], bytes]:
    """The record, the curve and the weights of the only run in a folder, without what the clock decides."""
    (made,) = folder.iterdir()
    record = json.loads((made / RECORD).read_text())
    lines = [line.split(",") for line in (made / CURVE).read_text().splitlines()]
    clock = lines[0].index("seconds")
    curve = [line[:clock] + line[clock + 1 :] for line in lines]
    kept = {name: value for name, value in record.items() if name not in TIMES}
    return kept, curve, (made / "model.safetensors").read_bytes()


@pytest.mark.parametrize("stopped", [1, 4])
@pytest.mark.parametrize("model", [name for name in MODELS if find(name).trained])
def test_an_interrupted_run_ends_with_the_same_weights_curve_and_record(model, stopped, tmp_path, monkeypatch, capsys):
    update, done = train.update, []

    def interrupted(*arguments):
        if len(done) == stopped:
            raise KeyboardInterrupt
        done.append(update(*arguments))
        return done[-1]

    monkeypatch.setattr(train, "LOG_EVERY", 2)
    run.main(words(model, tmp_path / "whole", *SIZES[model]))
    with monkeypatch.context() as patch:
        patch.setattr(train, "update", interrupted)
        with pytest.raises(SystemExit, match="130"):
            run.main(words(model, tmp_path / "broken", *SIZES[model]))
    assert "Run the same command again to continue" in capsys.readouterr().err
    assert not list((tmp_path / "broken").rglob(RECORD))
    run.main(words(model, tmp_path / "broken", *SIZES[model]))
    assert outcome(tmp_path / "broken") == outcome(tmp_path / "whole")


@pytest.mark.parametrize("model", ["dt", "tt"])
def test_a_run_that_is_measured_on_the_way_has_the_weights_of_one_that_is_not(model, tmp_path):
    for folder, every in (("measured", "1"), ("not", "0")):
        run.main([*words(model, tmp_path / folder, *SIZES[model]), "--evaluate-every", every])
    (measured, other) = (outcome(tmp_path / folder) for folder in ("measured", "not"))
    assert measured[2] == other[2]
    assert measured[0]["evaluations"] == other[0]["evaluations"]
    columns = measured[1][0]
    shown = columns.index("return/any" if model == "tt" else "return/18")
    assert all(row[shown] for row in measured[1][1:])
    assert len(measured[1]) == 1 + 6
    assert "return" not in ",".join(other[1][0])
    losses = [place for place, name in enumerate(columns) if not name.startswith("return/")]
    assert [measured[1][-1][place] for place in losses][:2] == other[1][-1][:2]  # update and learning rate


def test_a_run_that_is_killed_while_it_is_measured_ends_the_same(tmp_path, monkeypatch):
    measure, measured = whole_run.measure, []

    def interrupted(*arguments):
        measured.append(1)
        if len(measured) == 2:
            raise KeyboardInterrupt
        return measure(*arguments)

    run.main(words("dt", tmp_path / "whole", *SIZES["dt"]))
    monkeypatch.setattr(whole_run, "measure", interrupted)
    with pytest.raises(SystemExit, match="130"):
        run.main(words("dt", tmp_path / "broken", *SIZES["dt"]))
    run.main(words("dt", tmp_path / "broken", *SIZES["dt"]))
    assert outcome(tmp_path / "broken") == outcome(tmp_path / "whole")


def test_checkpoints_are_made_by_the_clock_and_not_only_at_rows(tmp_path, monkeypatch):
    update, numbers = train.update, []

    def interrupted(*arguments):
        if len(numbers) == 5:
            numbers.append("killed")
            raise KeyboardInterrupt
        numbers.append(arguments[4].update)
        return update(*arguments)

    monkeypatch.setattr(train, "update", interrupted)  # six updates, of which only the last gives a row
    line = [*words("bc", tmp_path, *SIZES["bc"]), "--evaluate-every", "0"]
    with pytest.raises(SystemExit, match="130"):
        run.main(line)
    monkeypatch.setattr(whole_run, "load_state_weights", Mock(wraps=whole_run.load_state_weights))
    run.main(line)
    assert numbers == [0, 1, 2, 3, 4, "killed", 5]
    assert whole_run.load_state_weights.call_count == 1  # before it is calibrated


def test_losses_of_an_interrupted_row_are_those_of_a_whole_one():
    losses = train.Losses()
    for value in (1.0, 2.0, 6.0):
        losses.add({"total": torch.tensor(value), "accuracy": torch.tensor(0.5)})
    again = train.Losses(losses.kept())
    other = train.Losses({name: torch.cat([column, column + 2]) for name, column in losses.kept().items()})
    assert again.average(1) == losses.average(1) == {"loss/total": 3.0, "loss/accuracy": 0.5}
    assert other.average(1)["loss/total"] == 4.0  # was saved by two processes


def test_a_run_killed_outright_goes_on_from_its_checkpoint_and_ends_the_same(tmp_path, own_cache):
    command = [sys.executable, str(ROOT / "experiments" / "run.py")]
    longer = ("--updates", "300", *SIZES["bc"])
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    killed = subprocess.Popen(
        [*command, *words("bc", tmp_path / "broken", *longer, "--evaluate-every", "0")],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while killed.poll() is None and not list((tmp_path / "broken").glob("*/state.safetensors")):
        try:
            killed.wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            continue
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    for folder in ("broken", "whole"):
        run.main(words("bc", tmp_path / folder, *longer, "--evaluate-every", "0"))
    assert outcome(tmp_path / "broken") == outcome(tmp_path / "whole")


def test_two_runs_with_one_seed_are_equal_and_with_two_seeds_are_not(tmp_path):
    for folder, seed in (("one", "1"), ("again", "1"), ("other", "2")):
        run.main(words("dt", tmp_path / folder, *SIZES["dt"], "--seed", seed))
    assert outcome(tmp_path / "one") == outcome(tmp_path / "again")
    assert outcome(tmp_path / "one")[2] != outcome(tmp_path / "other")[2]


def test_a_finished_run_is_printed_and_neither_trained_nor_changed(tmp_path, monkeypatch, capsys):
    run.main(words("bc", tmp_path))
    (made,) = tmp_path.iterdir()
    before = (made / RECORD).read_bytes()
    monkeypatch.setattr(whole_run, "learn", lambda *_: pytest.fail("it was trained again"))
    run.main(words("bc", tmp_path))
    assert "finished already" in capsys.readouterr().out
    assert (made / RECORD).read_bytes() == before


def test_a_record_without_weights_is_trained_again_beside_it_and_compared(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(whole_run, "RESULTS", tmp_path / "results")
    usual = words("bc", tmp_path)
    del usual[usual.index("--results-dir") :]
    run.main(usual)
    (made,) = (tmp_path / "results" / "runs").iterdir()
    save_rounded(made, load_model(made))  # which is no checkpoint
    (made / "model.safetensors").unlink()
    before = (made / RECORD).read_bytes()
    capsys.readouterr()
    run.main(usual)
    output = capsys.readouterr().out
    assert f"{made.name}, but not its checkpoint" in output
    score = f"{read_record(made).evaluations[0].normalized:.1f}"
    assert f"{score} now, {score} in results/runs/{made.name}" in output.replace(os.sep, "/")
    run.main(usual)
    assert "finished already" in capsys.readouterr().out
    assert (made / RECORD).read_bytes() == before
    again = tmp_path / "results" / "again" / made.name
    assert (again / "model.safetensors").exists()


def test_the_record_holds_every_episode_of_every_target_return(tmp_path):
    run.main(words("dt", tmp_path, *SIZES["dt"], "--target-returns", "5", "2"))
    (made,) = tmp_path.iterdir()
    record = read_record(made)
    assert [played.target_return for played in record.evaluations] == [5, 2]
    assert [len(played.returns) for played in record.evaluations] == [3, 3]
    assert record.protocol.seeds == episode_seeds(3)


class Corridor:
    """Episodes of different lengths; environment e pays e + 1 a step, and goes on paying if stepped too often."""

    spec = POINT

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = np.array(lengths)
        self.count = len(lengths)
        self.steps = np.zeros(self.count, int)
        self.seeds: Sequence[int] = ()

    def reset(self, seeds: Sequence[int], only: np.ndarray | None = None) -> np.ndarray:
        self.seeds, self.steps[:] = seeds, 0
        return np.zeros((self.count, 3), np.float32)

    def step(self, actions: np.ndarray, live: np.ndarray) -> Step:
        self.steps += 1
        ended = self.steps >= self.lengths
        rewards = np.arange(1.0, self.count + 1)
        return Step(np.zeros((self.count, 3), np.float32), rewards, ended, np.zeros(self.count, bool))


class Idle:
    def act(self, observations: np.ndarray, rewards: np.ndarray, live: np.ndarray) -> np.ndarray:
        return np.zeros((len(live), 2), np.float32)


def test_every_episode_is_counted_once_however_long_the_others_are():
    played = play(Idle(), Corridor([3, 1, 7, 1]), episode_seeds(4))
    assert played.lengths.tolist() == [3, 1, 7, 1]
    assert played.returns.tolist() == [3, 2, 21, 4]


def test_every_episode_starts_from_the_seed_of_its_number():
    corridor = Corridor([1, 1])
    play(Idle(), corridor, episode_seeds(2))
    assert tuple(corridor.seeds) == episode_seeds(5)[:2]


def test_measuring_leaves_a_model_learning_if_it_was():
    model = small("bc", walk((5, 5)))
    model.train()
    evaluate(model, Corridor([2, 2]), None)
    assert model.training


def test_the_learning_rate_rises_and_then_falls_to_its_end():
    model = small("bc", walk((5, 5)))
    config = type(model.config)(learning_rate=1.0, warmup_fraction=0.1, final_lr_fraction=0.5)
    rates = [train.learning_rate(config, update, 100) for update in range(100)]
    assert rates[:10] == pytest.approx([0.1 * (update + 1) for update in range(10)])
    assert rates[10] == pytest.approx(1.0)
    assert all(later < earlier for earlier, later in pairwise(rates[10:]))
    assert rates[-1] == pytest.approx(0.5, abs=1e-3)


def test_without_a_final_rate_the_learning_rate_stays():
    model = small("bc", walk((5, 5)))
    assert train.learning_rate(type(model.config)(), 999, 1000) == type(model.config)().learning_rate


def test_a_loss_that_is_no_number_ends_the_training_with_what_to_do():
    losses = train.Losses()
    for value in (1.0, float("nan")):
        losses.add({"total": torch.tensor(value)})
    with pytest.raises(UserError, match="nan at update 7: lower --learning-rate"):
        losses.average(7)


def test_what_an_update_draws_depends_on_the_seed_and_its_number_only():
    data = walk((9, 12, 7))
    losses = []
    for begun in (0, 5):
        torch.manual_seed(0)
        model = small("dt", data)
        progress = train.Progress(update=5)
        torch.manual_seed(begun)
        losses.append(train.update(model, data, train.adamw(model), Run(seed=3, precision="fp32"), progress)["total"])
    assert torch.equal(*losses)
