"""Runs that are killed at random moments and started again: they end as undisturbed ones do, and leave nothing else.

Each attempt is a fork of this process, which has imported everything, as the leader of a group of processes: what is
killed is the group, by SIGKILL.
"""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from campaign.tally import Tally
from experiments import benchmark, data, run
from training.cli import exit_on_user_error

TIMES = ("seconds", "peak_memory_mb", "dirty", "commit")
SMALL = {
    "dt": ("--layers", "1", "--width", "32"),
    "gato": ("--layers", "1", "--width", "32", "--heads", "2", "--head-width", "16", "--hidden", "64"),
    "tt": ("--layers", "1", "--width", "32", "--beam-width", "4", "--horizon", "2", "--bins", "20"),
}
RUN = (
    *("--source", "collected", "--steps", "1000", "--updates", "60", "--episodes", "2", "--batch-size", "4"),
    *("--evaluate-every", "20", "--checkpoint-seconds", "0.01", "--threads", "1", "--precision", "fp32"),
)
GRID = ("--models", "bc", "dt", "--envs", "toy-medium", "--seeds", "0", "--jobs", "2", "--no-report", "--width", "32")
WHAT = ("dt", "gato", "tt", "collect", "grid")


def command(what: str, results: Path, cache: Path) -> Callable[[], object]:
    """What is to be killed, with its results below `results`."""
    if what == "collect":
        words = ["collect", "toy-medium", "--steps", "20000", "--data-dir", str(results)]
        return lambda: data.main(words)
    if what == "grid":
        os.environ["TRAJECTORIES_DIR"] = str(cache)  # for the processes that it starts
        words = [*GRID, *RUN, "--results-dir", str(results)]
        return lambda: sys.exit(benchmark.main(*benchmark.command_line(words)))
    words = ["--model", what, "--env", "toy-medium", *RUN, *SMALL[what]]
    return lambda: run.main([*words, "--results-dir", str(results), "--data-dir", str(cache)])


def kill(what: str, kills: int, seconds: float, seed: int, scratch: Path) -> Tally:
    """Kill a command until it was killed `kills` times, or until `seconds` are over."""
    tally, cache = Tally(f"killed and started again: {what}"), scratch / "cache"
    rng = random.Random(f"{what} {seed}")
    whole = scratch / f"{what}-whole"
    attempt(command(what, whole, cache), scratch / "log")  # makes the data
    shutil.rmtree(whole, ignore_errors=True)
    began = time.monotonic()
    code, _ = attempt(command(what, whole, cache), scratch / "log")
    length = time.monotonic() - began
    if code:
        tally.count(f"an undisturbed one ends with {code}: {last_line(scratch / 'log')}")
        return tally
    expected = facts(whole)
    deadline = time.monotonic() + seconds
    while tally.tried < kills and time.monotonic() < deadline:
        results = scratch / what
        shutil.rmtree(results, ignore_errors=True)
        killed = 0
        for _ in range(min(rng.randint(1, 4), kills - tally.tried)):
            code, late = attempt(command(what, results, cache), scratch / "log", rng.uniform(0, length))
            killed += not late
            if late:
                break
        code, _ = attempt(command(what, results, cache), scratch / "log")
        failure = f"it ends with {code}: {last_line(scratch / 'log')}" if code else differing(expected, facts(results))
        for _ in range(killed):
            tally.count(failure)
    return tally


def attempt(call: Callable[[], object], log: Path, after: float | None = None) -> tuple[int, bool]:
    """Run in a fork, and kill it `after` some seconds: its exit code, and whether it ended before that."""
    child = os.fork()
    if not child:
        _as_a_command(call, log)
    deadline = time.monotonic() + (after if after is not None else 3600)
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), True
        time.sleep(0.002)
    os.killpg(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), False


def _as_a_command(call: Callable[[], object], log: Path) -> None:
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, sys.stdout.fileno())
    os.dup2(output, sys.stderr.fileno())
    code = 1
    try:
        with exit_on_user_error():
            call()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", flush=True)
    finally:
        sys.stdout.flush()
        os._exit(code)


def last_line(log: Path) -> str:
    return (log.read_text(errors="replace").strip().splitlines() or [""])[-1][:120]


def facts(folder: Path) -> dict[str, str]:
    """What a command left, without what time it took."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = re.sub(r"-[0-9a-f]{16}(?=/)", "", str(path.relative_to(folder)))  # a key holds the time of a file
        if path.name.endswith(".log") or "logs" in path.parts:
            continue
        found[name] = hashlib.sha256(_content(path)).hexdigest()
    return found


def _content(path: Path) -> bytes:
    if path.name in ("record.json", "provenance.json"):
        row: dict[str, Any] = json.loads(path.read_text())
        return json.dumps({name: row[name] for name in row if name not in (*TIMES, "file")}).encode()
    if path.name == "curve.csv":
        rows = [line.split(",") for line in path.read_text().splitlines()]
        place = rows[0].index("seconds")
        return "\n".join(",".join(cells[:place] + cells[place + 1 :]) for cells in rows).encode()
    if path.suffix == ".hdf5":
        parts: list[bytes] = []
        with h5py.File(path, "r") as file:
            file.visititems(lambda name, item: parts.append(_bytes(name, item)))
        return b"".join(parts)
    return path.read_bytes()


def _bytes(name: str, item: Any) -> bytes:
    return name.encode() + (np.asarray(item[()]).tobytes() if isinstance(item, h5py.Dataset) else b"")


def differing(expected: dict[str, str], found: dict[str, str]) -> str | None:
    """How what a killed command left differs from what an undisturbed one leaves."""
    other = [name for name in expected if name in found and found[name] != expected[name]]
    missing, extra = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    kinds = {"other": other, "no": missing, "also": extra}
    return "; ".join(f"{what} {', '.join(names)}" for what, names in kinds.items() if names)[:200] or None
