"""The effect of torch's threads waiting briefly (trajectories/openmp.py): training on all cores, idle and not.

Ours     the Decision Transformer's step at the paper's sizes, as every command of this repository runs it
Peer     the same where libgomp spins as it does of itself, 300,000 times
Beside   a process that computes without end, as another run or a browser does; elsewhere nothing else is started, but
         a machine on which others work is not idle for that
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from training.provenance import PROJECT
from trajectories.openmp import SPINCOUNT

LIBGOMP = "300000"
SECONDS = 6.0  # of training in each process
PAIRS = 3
BUSY = "while True: pass"
TRAIN = """
import sys
from benchmarks.waiting import updates_a_second
print(updates_a_second(float(sys.argv[1]), int(sys.argv[2])))
"""


def measure() -> list[dict[str, object]]:
    """The rows of the table that this file answers for."""
    return [compare(beside) for beside in (False, True)]


def compare(beside: bool, pairs: int = PAIRS, seconds: float = SECONDS) -> dict[str, object]:
    """Updates a second with each spin, in turn, each in a process of its own: libgomp reads the number once."""
    with busy() if beside else idle():
        rates = [(trained(SPINCOUNT, seconds), trained(LIBGOMP, seconds)) for _ in range(pairs)]
    ours, peer = (statistics.median(rate) for rate in zip(*rates, strict=True))
    threads = torch.get_num_threads()
    return {
        "what": f"DT: training with {threads} threads, {'beside one busy process' if beside else 'nothing beside it'}",
        "ours": f"{ours:.2f} updates/s",
        "peer": f"{peer:.2f} updates/s",
        "ratio": statistics.median(mine / theirs for mine, theirs in rates),
        "note": f"peer: libgomp's own spin, {LIBGOMP}; ours {SPINCOUNT}; load average {os.getloadavg()[0]:.1f}",
    }


def trained(spin: str, seconds: float) -> float:
    """Updates a second of a fresh process whose libgomp spins so often."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    command = [sys.executable, "-c", TRAIN, str(seconds), str(torch.get_num_threads())]
    environment["GOMP_SPINCOUNT"] = spin
    done = subprocess.run(command, cwd=PROJECT, env=environment, check=True, capture_output=True, encoding="utf-8")
    return float(done.stdout)


def updates_a_second(seconds: float, threads: int) -> float:
    """How fast this process trains: the Decision Transformer on made-up data, for so many seconds."""
    from benchmarks.decision_transformer import our_step
    from benchmarks.made_up import noise

    torch.set_num_threads(threads)
    step = our_step(noise(20_000), "bf16")
    step()
    began, done = time.perf_counter(), 0
    while (spent := time.perf_counter() - began) < seconds:
        step()
        done += 1
    return done / spent


@contextmanager
def busy() -> Iterator[None]:
    """A process that wants a core for itself, as long as this lasts."""
    process = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def idle() -> Iterator[None]:
    yield
