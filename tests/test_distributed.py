"""One run on several processes gives what one process gives: torchrun with two CPU processes, DDP and FSDP2."""

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from gato.config import Config
from report.curve import Curve
from report.store import read_all
from tests.test_benchmark import same_but_for_times
from tests.toys import small, walk
from training import distributed
from training.run_lock import STATE, UNFINISHED, unfinished
from training.step import rows_of
from trajectories.errors import UserError
from trajectories.windows import sample_windows

ROOT = Path(__file__).resolve().parent.parent
RUN = [str(ROOT / "experiments" / "run.py"), "--env", "toy-medium", "--preset", "smoke", "--precision", "fp32"]
SMALL = ["--threads", "1", "--width", "32", "--heads", "2", "--layers", "2", "--context", "4", "--batch-size", "7"]
GATO = [*RUN, "--model", "gato", "--head-width", "16", "--hidden", "64", *SMALL]
TWO = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
LEARN = ["--updates", "200", "--learning-rate", "1e-3", "--checkpoint-seconds", "0"]
ALONE = {**os.environ, "OMP_NUM_THREADS": "1"}

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch has no torch.distributed")


def run(words: list[str], folder: Path) -> Path:
    """The folder of the run that the words make."""
    done = subprocess.run(
        [*words, "--results-dir", str(folder)], env=ALONE, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("record.json") == 1  # one process speaks
    (found,) = folder.iterdir()
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run that one process makes."""
    return run([sys.executable, *GATO, *LEARN], tmp_path_factory.mktemp("alone"))


@pytest.mark.slow
def test_two_processes_have_the_losses_and_the_weights_of_one(tmp_path: Path, alone: Path) -> None:
    two = run([*TWO, *GATO, *LEARN], tmp_path / "two")  # seven windows: four and three
    assert Curve(two).read()["loss/total"] == pytest.approx(Curve(alone).read()["loss/total"], rel=1e-5)
    weights, others = load_file(alone / "model.safetensors"), load_file(two / "model.safetensors")
    for name, value in weights.items():  # on the mean: Adam makes steps of rounding where a gradient is nothing else
        assert (others[name].float() - value.float()).abs().mean() < 1e-4, name
    (record,) = read_all(tmp_path / "two")
    assert record.processes == 2
    assert record.tokens == read_all(alone.parent)[0].tokens
    assert alone.name == two.name  # how many there were is the machine's affair


@pytest.mark.slow
def test_shared_out_weights_learn_the_same_and_continue_exactly(tmp_path: Path, alone: Path) -> None:
    words = [*GATO, *LEARN, "--shard"]
    whole = run([*TWO, *words], tmp_path / "whole")
    assert Curve(whole).read()["loss/total"] == pytest.approx(Curve(alone).read()["loss/total"], rel=1e-4)
    killed = subprocess.Popen(
        [*TWO, *words, "--results-dir", str(tmp_path / "killed")], env=ALONE, cwd=ROOT, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while killed.poll() is None and not list((tmp_path / "killed").glob(f"*/{STATE}")):
        try:
            killed.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            continue
    os.killpg(killed.pid, 9)
    killed.wait()
    for process in children(tmp_path / "killed"):
        os.kill(process, 9)  # torchrun gives its processes groups of their own
    run([*TWO, *words], tmp_path / "killed")
    assert same_but_for_times(tmp_path / "killed") == same_but_for_times(tmp_path / "whole")


def children(folder: Path) -> list[int]:
    """The process that holds the unfinished run of a folder, if it is still there."""
    held = [unfinished(path.parent)["process"] for path in folder.glob(f"*/{UNFINISHED}")]
    return [process for process in held if Path(f"/proc/{process}").exists()]


@pytest.mark.parametrize("name", ["bc", "dt", "tt", "gato"])
def test_shares_weighed_by_their_terms_have_the_loss_of_the_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = walk([12, 2, 3, 12, 1, 5])
    model = small(name, data)
    batch = model.sample(data, np.random.default_rng(0))
    shares = [rows_of(batch, slice(rank, None, 3)) for rank in range(3)]
    terms = [model.loss_weight(share) for share in shares]
    assert sum(terms) == model.loss_weight(batch)
    losses = [model.loss(share)["total"].item() for share in shares]
    together = np.average(losses, weights=terms)
    assert together == pytest.approx(model.loss(batch)["total"].item(), rel=1e-5)


@pytest.mark.parametrize(("draws", "batch", "fits"), [(0, 64, False), (4, 7, False), (4, 8, True), (1, 2, True)])
def test_shared_out_weights_of_several_tasks_need_sequences_of_each_task_everywhere(
    draws: int, batch: int, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "size", lambda: 2)
    config = Config(tasks_per_update=draws, batch_size=batch)
    distributed.check_shares(config, 1)  # one task has rows in every process
    with nullcontext() if fits else pytest.raises(UserError, match=f"from 1 to {batch // 2}"):
        distributed.check_shares(config, 3)


def test_rows_that_do_not_go_round_leave_some_processes_without_any() -> None:
    data = walk([12, 12])
    batch = sample_windows(data, np.random.default_rng(0), 2, 4)
    assert rows_of(batch, slice(2, None, 3)) is None
