"""A grid on real Ray workers: one of them killed in the middle costs nothing but time."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from report.store import read_all
from tests.test_benchmark import grid, same_but_for_times
from training import jobs
from training.run_lock import unfinished
from trajectories.errors import UserError

PORT = "6397"
ADDRESS = f"127.0.0.1:{PORT}"


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a cluster of two CPUs, started as a user would."""
    pytest.importorskip("ray", reason="Ray is not installed: requirements-ray.txt")
    ray = [sys.executable, "-m", "ray.scripts.scripts"]
    options = [
        "--head",
        "--node-ip-address",
        "127.0.0.1",
        "--num-cpus",
        "2",
        "--port",
        PORT,
        "--include-dashboard=false",
        "--disable-usage-stats",
    ]
    try:
        begun = subprocess.run([*ray, "start", *options], capture_output=True, text=True, check=False)
        if begun.returncode:
            pytest.skip(f"Ray does not start here: {begun.stderr.splitlines()[-1:]}")
        yield ADDRESS
    finally:
        subprocess.run([*ray, "stop", "--force"], capture_output=True, check=False)


@pytest.mark.slow
def test_a_grid_on_ray_begun_in_another_folder_survives_a_killed_worker(tmp_path: Path, cluster: str) -> None:
    options = ("--models", "bc", "--seeds", "0", "1", "--checkpoint-seconds", "0")
    local, remote = tmp_path / "local" / "runs", tmp_path / "remote" / "runs"
    process = subprocess.Popen(
        grid(remote, *options, "--ray", cluster),
        cwd=tmp_path,  # whatever folder it is started from
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    kill_a_worker(process, remote)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    assert subprocess.run(grid(local, *options), capture_output=True, check=False).returncode == 0
    assert same_but_for_times(remote) == same_but_for_times(local)
    assert len(read_all(remote)) == 2


def kill_a_worker(process: subprocess.Popen[str], folder: Path) -> None:
    """As soon as a run has a checkpoint: its Ray worker is the run's parent."""
    while process.poll() is None:
        for state in folder.glob("*/state.safetensors"):
            run = unfinished(state.parent)["process"]
            worker = int(Path(f"/proc/{run}/stat").read_text().rpartition(")")[2].split()[1])
            os.kill(worker, signal.SIGKILL)
            return
        try:
            process.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            continue
    pytest.fail(f"the grid ended before it could be disturbed: {process.stdout and process.stdout.read()}")


def test_a_cluster_that_is_not_there_is_named_with_how_to_start_one() -> None:
    pytest.importorskip("ray", reason="Ray is not installed: requirements-ray.txt")
    with pytest.raises(UserError, match="ray start --head"):
        jobs.connected("127.0.0.1:1")
