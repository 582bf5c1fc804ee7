"""A million recorded steps: out of an HDF5 file, out of the cache, and into batches.

Peers    the loops that kzl/decision-transformer's users run: gym/data/download_d4rl_datasets.py turns a file into
         episodes step by step, gym/experiment.py get_batch cuts and pads windows one by one. The loop is run once: what
         these users wait for every day is pickle.load of what it made, which stands beside our opening again
Data     hopper-sized noise in D4RL's layout, compressed and chunked as D4RL's files are (gzip; noise packs worst)

    python -m benchmarks.data
"""

import json
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np

from benchmarks.decision_transformer import per_sample_batch
from benchmarks.made_up import noise
from benchmarks.timing import paired, seconds
from sources.loading import Request, load
from training.cli import exit_on_user_error
from trajectories.types import Trajectories
from trajectories.windows import sample_windows

STEPS = 1_000_000
REPEATS = 3
# Run in a process of its own, whose memory holds nothing but what opening costs; imports are not timed.
OPENING = """
import json, pickle, sys, time
from pathlib import Path
{imports}
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
before, began = resident(), time.perf_counter()
data = {opened}
print(json.dumps({{"seconds": time.perf_counter() - began, "megabytes": resident() - before}}))
"""
WARM = OPENING.format(
    imports="from sources.loading import Request, load",
    opened='load(Request("hopper-medium", path=Path(sys.argv[1]), data_dir=Path(sys.argv[2])))',
)
UNPICKLED = OPENING.format(imports="import numpy", opened='pickle.load(open(sys.argv[1], "rb"))')


def measure() -> list[dict[str, object]]:
    """The rows of the table that this file answers for."""
    with tempfile.TemporaryDirectory() as folder:
        file = written(Path(folder) / "million.hdf5", noise(STEPS))
        cold = [cold_seconds(file, Path(folder) / f"cache{turn}") for turn in range(REPEATS)]
        loop = [seconds(lambda: episodes_by_a_loop(file)) for _ in range(REPEATS)]
        with (kept := Path(folder) / "million.pkl").open("wb") as pickled:
            pickle.dump(episodes_by_a_loop(file), pickled)
        turns = [(opened(WARM, file, Path(folder) / "cache0"), opened(UNPICKLED, kept)) for _ in range(REPEATS)]
        return [
            cutting(file, Path(folder) / "cache0"),
            row("a million steps from HDF5, cold", min(cold), min(loop), "read, checked, hashed, stored and opened"),
            warm(turns),
        ]


def row(what: str, ours: float, peer: float, note: str) -> dict[str, object]:
    names = {"ours": f"{ours * 1e3:.3g} ms", "peer": f"{peer * 1e3:.3g} ms", "ratio": peer / ours}
    return {"what": what, **names, "note": f"against a loop over steps; {note}"}


def warm(turns: list[tuple[dict[str, float], dict[str, float]]]) -> dict[str, object]:
    """Opening data that are known already: a memory map against a pickle."""
    ours, peer = (min(turn[place]["seconds"] for turn in turns) for place in (0, 1))
    memory = " against ".join(f"{max(turn[place]['megabytes'] for turn in turns):.1f}" for place in (0, 1))
    return {
        "what": "a million steps, opened again",
        "ours": f"{ours * 1e3:.3g} ms",
        "peer": f"{peer * 1e3:.3g} ms",
        "ratio": peer / ours,
        "note": f"memory maps against a pickled list of episodes; {memory} MB resident",
    }


def cutting(file: Path, cache: Path) -> dict[str, object]:
    """64 windows of 20 steps, out of memory maps, against one by one out of arrays in memory."""
    data = load(Request("hopper-medium", path=file, data_dir=cache))
    bounds = list(zip(data.starts[:-1], data.starts[1:], strict=True))
    names = ("observations", "actions", "rewards")
    episodes = [{name: np.array(getattr(data, name)[start:end]) for name in names} for start, end in bounds]
    share = data.lengths / len(data)
    rng = np.random.default_rng(0)
    ours, peer, ratio = paired(
        lambda: sample_windows(data, rng, 64, 20), lambda: per_sample_batch(episodes, share), pairs=200, warm=100
    )
    return {
        "what": "cutting a batch of 64 windows of 20 from a million steps",
        "ours": f"{ours * 1e3:.2f} ms",
        "peer": f"{peer * 1e3:.2f} ms",
        "ratio": ratio,
        "note": "out of memory maps, against one window after the other",
    }


def written(path: Path, data: Trajectories) -> Path:
    """The data as D4RL writes its files."""
    ends = np.isin(np.arange(1, len(data) + 1), data.starts[1:])
    columns = {
        "observations": data.observations,
        "next_observations": data.observations,
        "actions": data.actions,
        "rewards": data.rewards,
        "terminals": ends,
        "timeouts": np.zeros(len(data), bool),
    }
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            file.create_dataset(name, data=values, compression="gzip")
    return path


def cold_seconds(file: Path, cache: Path) -> float:
    return seconds(lambda: load(Request("hopper-medium", path=file, data_dir=cache)))


def opened(program: str, *files: Path) -> dict[str, float]:
    """Seconds and resident memory of one opening, in a process of its own."""
    root = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-c", program, *map(str, files)]
    return json.loads(subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8", check=True).stdout)


def episodes_by_a_loop(path: Path) -> list[dict[str, np.ndarray]]:
    """The file as a list of episodes, gathered step by step."""
    names = ("observations", "next_observations", "actions", "rewards", "terminals")
    with h5py.File(path) as file:
        columns = {name: file[name][()] for name in (*names, "timeouts")}
    episodes = []
    episode: dict[str, list] = {name: [] for name in names}
    for step in range(len(columns["rewards"])):
        for name in names:
            episode[name].append(columns[name][step])
        if columns["terminals"][step] or columns["timeouts"][step]:
            episodes.append({name: np.array(values) for name, values in episode.items()})
            episode = {name: [] for name in names}
    return episodes


if __name__ == "__main__":
    with exit_on_user_error():
        for measured in measure():
            print("; ".join(f"{name} {value}" for name, value in measured.items()))
