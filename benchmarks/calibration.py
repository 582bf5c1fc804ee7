"""Which physics D4RL's scores belong to: D4RL's own policies played in D4RL's bodies and in gymnasium's.

    python benchmarks/calibration.py --files ../shared/data/d4rl       # a minute; prints a table in Markdown

The policies come from the metadata of D4RL's medium files, of which the first steps suffice. Actions are sampled, as in
D4RL's recording, so that the column of the right physics repeats the file's mean return to within its standard error.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

sys.path.insert(0, str(Path(__file__).parents[1]))

from environments.physics import PHYSICS
from environments.scores import normalized
from sources.collect import play
from sources.experts.d4rl_policy import from_d4rl
from training.cli import exit_on_user_error
from trajectories.catalog import dataset
from trajectories.rows import DatasetRow


@dataclass(frozen=True)
class Config:
    files: Path  # folder with D4RL's v2 files, or their beginnings
    datasets: tuple[str, ...] = ("hopper-medium", "walker2d-medium", "halfcheetah-medium")  # rows of the catalog
    episodes: int = 300  # in each physics
    seed: int = 0


def cell(row: DatasetRow, returns: np.ndarray) -> str:
    """Mean return, its standard error, and the normalized score."""
    error = returns.std() / np.sqrt(len(returns))
    return f"{returns.mean():.0f} ± {error:.0f} ({normalized(row.env, returns).mean():.1f})"


def main(config: Config) -> None:
    print("| behavior policy | D4RL's file | " + " | ".join(f"physics {name}" for name in PHYSICS) + " |")
    print("|---|---|" + "---|" * len(PHYSICS))
    for name in config.datasets:
        row = dataset(name)
        assert row.file is not None
        policy = from_d4rl(config.files / row.file, row.environment.trailing_zeros)
        published = "not published"
        if row.mean_return is not None:
            published = f"{row.mean_return:.0f} ({normalized(row.env, np.array(row.mean_return)):.1f})"
        played = [play(row.env, policy, config.episodes, config.seed, physics)[0] for physics in PHYSICS]
        print(f"| {name} | {published} | " + " | ".join(cell(row, returns) for returns in played) + " |", flush=True)
    print(f"\nMean return ± standard error of {config.episodes} episodes (normalized score), actions sampled.")


if __name__ == "__main__":
    with exit_on_user_error():
        main(tyro.cli(Config))
