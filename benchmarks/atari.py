"""Atari: how much disk, memory and time half a million steps take, and how fast games are played together.

Peers    of the data: the same frames as kzl and Dopamine's readers hand them out, a loop over the windows and a stack
         for every step; of acting: one game after the other, by our own player and by one that encodes all frames in
         sight at every step, as kzl's does (atari/mingpt/utils.py at e2d82e6, sample)
Data     500,000 frames of noise on the disk, 3.5 GB, as the cache keeps them (trajectories/store.py)
Games    Breakout's first steps, more than fit the window, played by an untrained Decision Transformer of the paper's
         size in bf16, as a run does by default; of the peers a few games are measured and scaled up to all
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from backbone.action_head import ActionSampler
from backbone.playing import WindowPlayer
from benchmarks import playing
from benchmarks.timing import paired
from decision_transformer.atari import AtariDecisionTransformer
from decision_transformer.config import ImageConfig
from environments.make import make
from training.evaluate import Bf16Player, episode_seeds, play
from trajectories import store
from trajectories.catalog import environment
from trajectories.formats.streams import GrowingColumn
from trajectories.types import Provenance, Trajectories, returns_to_go
from trajectories.windows import sample_windows

STEPS, LENGTH, WINDOWS, CONTEXT = 500_000, 2_000, 128, 30
GAMES, TURNS, ALONE = 10, 40, 2  # games at once, their steps, games played one after the other
RESIDENT = """
import json, sys
from pathlib import Path
import numpy as np
from trajectories import store, windows
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
data, rng = store.load(Path(sys.argv[1])), np.random.default_rng(0)
before, most = resident(), 0
for _ in range(60):
    batch = windows.sample_windows(data, rng, 128, 30)
    most = max(most, resident())
print(json.dumps({"before": before, "most": most}))
"""


def measure() -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory() as folder:
        target = written(Path(folder) / "frames")
        data = store.load(target)
        size = sum(file.stat().st_size for file in target.iterdir())
        stacked = 4 * data.observations.nbytes
        return [
            {
                "what": "500,000 steps of Atari on the disk",
                "ours": f"{size / 1e9:.2f} GB",
                "peer": f"{stacked / 1e9:.1f} GB",
                "ratio": stacked / size,
                "note": "each frame once, against each in four stacks (kzl, in memory)",
            },
            cutting(data),
            staying(target, stacked),
            *acting(GAMES, TURNS, ALONE),
        ]


def cutting(data: Trajectories) -> dict[str, object]:
    rng = np.random.default_rng(0)
    ours, peer, ratio = paired(
        lambda: sample_windows(data, rng, WINDOWS, CONTEXT), lambda: stacks_by_a_loop(data, rng), pairs=10
    )
    return {
        "what": f"cutting a batch of {WINDOWS} windows of {CONTEXT} from them",
        "ours": f"{ours * 1e3:.1f} ms",
        "peer": f"{peer * 1e3:.0f} ms",
        "ratio": ratio,
        "note": "four frames a step; out of memory maps, against a loop over windows and steps",
    }


def staying(target: Path, stacked: int) -> dict[str, object]:
    root = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-c", RESIDENT, str(target)]
    measured = json.loads(subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8", check=True).stdout)
    ours = measured["most"] - measured["before"]
    return {
        "what": "memory that stays taken while batches are cut from them",
        "ours": f"{ours / 1e6:.0f} MB",
        "peer": f"{stacked / 1e6:,.0f} MB",
        "ratio": stacked / max(ours, 1),
        "note": "the most in 60 batches, a batch of 30 MB included; against all stacks in memory (kzl)",
    }


def acting(games: int, turns: int, alone: int) -> list[dict[str, object]]:
    """The Decision Transformer's games at once against one after the other."""
    row = environment("breakout")
    name = f'breakout?{{"frames": {turns * row.options["frame_skip"]}}}'
    torch.manual_seed(0)
    many, one = make(name, games), make(name, 1)
    model = AtariDecisionTransformer(ImageConfig(), many.spec).eval()
    seeds, target = episode_seeds(games), row.target_returns[0]

    def encode_all_frames() -> None:
        for seed in seeds[:alone]:
            drawn = ActionSampler(model.config.temperature, 1, seed)
            player = WindowPlayer(model, 1, target, torch.device("cpu"), drawn)
            play(Bf16Player(player, player.device), one, (seed,))

    rows = playing.together(
        f"DT: {games} games of {turns} steps of Breakout",
        lambda: playing.played(model, many, target, seeds),
        {
            "ours one after the other": lambda: playing.played(model, one, target, seeds[:alone]),
            "one after the other with all frames encoded again": encode_all_frames,
        },
        games, turns, alone,
    )  # fmt: skip
    many.close()
    one.close()
    return rows


def written(target: Path) -> Path:
    """The columns of episodes of equal length, without ever holding them."""
    rng = np.random.default_rng(0)
    target.mkdir()
    block = rng.integers(256, size=(10_000, 84, 84), dtype=np.uint8)
    with GrowingColumn(target / "observations.npy", (84, 84), "uint8") as column:
        for _ in range(STEPS // len(block)):
            column.append(block)
    starts = np.arange(0, STEPS + 1, LENGTH)
    rewards = rng.integers(2, size=STEPS).astype(np.float32)
    columns: dict[str, np.ndarray] = {
        "actions": rng.integers(4, size=STEPS),
        "rewards": rewards,
        "terminated": np.isin(np.arange(1, STEPS + 1), starts),
        "starts": starts,
        "returns_to_go": returns_to_go(rewards, starts),
    }
    for name, values in columns.items():
        np.save(target / f"{name}.npy", values)
    measured: dict[str, object] = {
        "origin": asdict(Provenance("breakout", "noise", "")),
        "spec": environment("breakout").spec().to_json(),
    }
    measured |= {"steps": STEPS, "episodes": len(starts) - 1, "unfinished": []}
    (target / store.PROVENANCE).write_text(json.dumps(measured), encoding="utf-8")
    return target


def stacks_by_a_loop(data: Trajectories, rng: np.random.Generator) -> np.ndarray:
    """Windows of stacks, step by step."""
    windows = []
    for last in rng.integers(len(data), size=WINDOWS).tolist():
        first = int(data.starts[data.episode_of(np.array([last]))[0]])
        steps = []
        for step in range(last - CONTEXT + 1, last + 1):
            rows = range(step - 3, step + 1)
            frames = [data.observations[row] if row >= first else np.zeros((84, 84), np.uint8) for row in rows]
            steps.append(np.stack(frames))
        windows.append(np.stack(steps))
    store.drop_pages(data.observations)
    return np.stack(windows)
