"""Runs as processes: several at once on this machine, or as tasks of a Ray cluster.

Each run is `python experiments/run.py ...` with a log of its own. It ends with the process that started it, so a killed
grid leaves only checkpoints, and the same grid started again continues from them.
"""

import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from training.grid import Planned
from training.provenance import ROOT
from trajectories.errors import UserError

PROGRAM = ROOT / "experiments" / "run.py"
SAY_EVERY = 60.0  # seconds between two lines on what is running
TO_END = 10.0  # seconds that a run has to end after SIGTERM
CONNECT_TIMEOUT = 10.0  # seconds in which a cluster has to answer
PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True)
class Job:
    """A run with what its machine decides."""

    run: Planned
    machine: tuple[str, ...]  # further arguments of experiments/run.py
    log: Path
    threads: int

    @property
    def words(self) -> list[str]:
        return [str(PROGRAM), *self.run.arguments, *self.machine]


@dataclass(frozen=True)
class Ended:
    """A job that has come to its end, and how."""

    job: Job
    code: int

    @property
    def why(self) -> str:
        """The last line of its log."""
        return last_line(self.job.log)


def run_local(jobs: Sequence[Job], at_once: int, say: Callable[[str], None]) -> Generator[Ended, None, None]:
    """Run the jobs, `at_once` of them at a time, and hand each back when it ends; who stops waiting ends them all."""
    running = Running()
    with ThreadPoolExecutor(at_once) as pool:
        futures: dict[Future[int], Job] = {
            pool.submit(start, job.words, job.log, job.threads, running=running): job for job in jobs
        }
        try:
            while futures:
                ended, _ = wait(futures, SAY_EVERY, FIRST_COMPLETED)
                for future in ended:
                    yield Ended(futures.pop(future), future.result())
                for future, job in futures.items():
                    if not ended and future.running():
                        say(f"  {job.run.name}: {last_line(job.log)}")
        finally:
            for future in futures:
                future.cancel()
            running.end()


class Running:
    """The processes that are running now."""

    def __init__(self) -> None:
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._ending = False
        self._lock = threading.Lock()

    def wait(self, process: subprocess.Popen[bytes]) -> int:
        """The exit code of a process, which `end` ends."""
        with self._lock:
            self._processes.add(process)
            if self._ending:
                process.terminate()
        code = process.wait()
        with self._lock:
            self._processes.discard(process)
        return code

    def end(self) -> None:
        """Ask every process to end, and those that are started from now on; kill those that do not."""
        with self._lock:
            self._ending = True
            processes = tuple(self._processes)
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + TO_END
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()


def start(
    words: Sequence[str], log: Path, threads: int, folder: Path | None = None, running: Running | None = None
) -> int:
    """Run one job to its end, in `folder`; its exit code. On Linux it is killed when this thread's process dies."""
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    environment |= {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    die_with_parent = None
    if sys.platform == "linux":
        die_with_parent = partial(ctypes.CDLL(None).prctl, PR_SET_PDEATHSIG, signal.SIGKILL)
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=folder,
            env=environment,
            stdout=file,
            stderr=file,
            preexec_fn=die_with_parent,
        )
    return (running or Running()).wait(process)


def last_line(log: Path) -> str:
    """The last line of a job's log."""
    if not log.exists():
        return "waiting"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        lines = file.read().decode(errors="replace").replace("\r", "\n").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "starting")


# ---- on a cluster ----------------------------------------------------------------------------------------------------


def on_ray(jobs: Sequence[Job], address: str, gpus: float, say: Callable[[str], None]) -> Generator[Ended, None, None]:
    """Run the jobs as tasks of a Ray cluster that shares this file system, and hand each back when it ends.

    A task takes its job's threads as CPUs, and `gpus`. One whose worker or machine dies is started again elsewhere, and
    its run continues from its checkpoint.

    Raises:
        UserError: Ray is not installed, or no cluster is at `address`.
    """
    ray = connected(address)

    def start_there(words: list[str], log: str, threads: int, folder: str) -> int:
        """`start`, on a machine of the cluster; defined here, it is sent whole: workers cannot import this file."""
        import sys
        from pathlib import Path

        sys.path.insert(0, root)
        from training import jobs

        return jobs.start(words, Path(log), threads, Path(folder))

    root, folder = str(ROOT), str(Path.cwd())
    task = ray.remote(max_retries=-1)(start_there)
    waiting: dict[Any, Job] = {}
    for job in jobs:
        chosen = task.options(num_cpus=job.threads, num_gpus=gpus, name=job.run.name)
        waiting[chosen.remote(job.words, str(job.log), job.threads, folder)] = job
    try:
        while waiting:
            ended, _ = ray.wait(list(waiting), timeout=SAY_EVERY)
            for one in ended:
                job = waiting.pop(one)
                yield Ended(job, exit_code(ray, one, job))
            if not ended:
                for job in waiting.values():
                    say(f"  {job.run.name}: {last_line(job.log)}")
    finally:
        for one in waiting:
            ray.cancel(one, force=True)
        ray.shutdown()


def exit_code(ray: Any, task: Any, job: Job) -> int:
    """What a task returned; 1 where the machine could not even start the job, as its log says."""
    try:
        return int(ray.get(task))
    except ray.exceptions.RayError as error:
        with job.log.open("a", encoding="utf-8") as file:
            print(error, file=file)
        return 1


def connected(address: str) -> Any:
    """Ray, connected to the cluster at `address`; "auto" is the one that `ray start` has started here."""
    try:
        import ray
    except ImportError:
        raise UserError("Ray is not installed: pip install -r requirements-ray.txt, or leave --ray away.") from None
    try:
        check_reachable(address)
        on_signal = signal.getsignal(signal.SIGTERM)  # Ray sets its own, which ends without a word
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        signal.signal(signal.SIGTERM, on_signal)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"No Ray cluster at {address!r} ({reason}): ray start --head starts one here.") from error
    return ray


def check_reachable(address: str) -> None:
    """Check that something listens at a host and port: Ray might wait for ever.

    Raises:
        OSError: nothing listens there.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT).close()
