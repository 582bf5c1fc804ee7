"""Choose the behaviour policies of `collected` data among training's checkpoints, and write their cards.

    python -m sources.experts.choose --env hopper --checkpoints checkpoints/hopper

    medium      the checkpoint whose return is nearest to D4RL's own medium file's
    ladder-NN   checkpoints from the untrained policy to medium, evenly spaced in the order of training
    expert      the checkpoint of highest score, of any of the folders

The few episodes that training played only say which checkpoints are worth 100. What is chosen by those 100 is played
another 100 times with other seeds for its card, so that the card is not flattered by the choice.
"""

import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from environments.scores import normalized
from sources.collect import play
from sources.experts.policy import load, save
from sources.experts.recipes import FOLDER
from trajectories.catalog import dataset
from trajectories.errors import UserError
from trajectories.output import print_any_text

RUNGS = 10
EPISODES = 100
CHOOSING, CARD = 1, 2  # seeds; training's own plays use the training's


@dataclass(frozen=True)
class Config:
    checkpoints: tuple[Path, ...]  # folders that train.py wrote; medium and its ladder come from the first
    env: str = "hopper"  # environment, a row of the catalog
    candidates: int = 6  # checkpoints of each kind that are played at length


def score(env: str, checkpoint: Path, seed: int) -> float:
    returns, _ = play(env, load(checkpoint), EPISODES, seed, physics=_card(checkpoint)["physics"])
    value = float(normalized(env, returns).mean())
    print(f"{checkpoint}  {value:.1f}", flush=True)
    return value


def keep(env: str, checkpoint: Path, name: str) -> None:
    """Copy a checkpoint into the repository under its new name, with what 100 sampled episodes say about it."""
    card, policy = _card(checkpoint), load(checkpoint)
    returns, lengths = play(env, policy, EPISODES, CARD, physics=card["physics"])
    card |= {
        "actions": "sampled",
        "episodes": EPISODES,
        "return_mean": round(float(returns.mean()), 1),
        "return_std": round(float(returns.std()), 1),
        "return_best": round(float(returns.max()), 1),
        "length_mean": round(float(lengths.mean()), 1),
        "length_std": round(float(lengths.std()), 1),
    }
    card["score"] = round(float(normalized(env, np.array(card["return_mean"]))), 1)
    save(FOLDER / env / f"{name}.safetensors", policy, card)
    print(name, card, flush=True)


def wanted(env: str) -> float:
    """The score of D4RL's own medium file, by its row of the catalog."""
    mean = dataset(f"{env}-medium").mean_return
    if mean is None:
        raise UserError(f"Nothing is published about {env}-medium: add its mean_return to catalog.toml.")
    return float(normalized(env, np.array(mean)))


def main(config: Config) -> None:
    target = wanted(config.env)
    curves = [_curve(folder) for folder in config.checkpoints]
    first_scores = {checkpoint: float(normalized(config.env, np.array(mean))) for checkpoint, mean in curves[0].items()}
    near = sorted(first_scores, key=lambda checkpoint: abs(first_scores[checkpoint] - target))[: config.candidates]
    every = {checkpoint: mean for curve in curves for checkpoint, mean in curve.items()}
    best = sorted(every, key=lambda checkpoint: -every[checkpoint])[: config.candidates]
    medium = min(near, key=lambda checkpoint: abs(score(config.env, checkpoint, CHOOSING) - target))
    expert = max(best, key=lambda checkpoint: score(config.env, checkpoint, CHOOSING))

    folder = FOLDER / config.env
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    keep(config.env, medium, "medium")
    keep(config.env, expert, "expert")
    climb = [checkpoint for checkpoint in curves[0] if checkpoint <= medium]  # their names are their steps
    for rung, place in enumerate(np.linspace(0, len(climb) - 1, RUNGS).round().astype(int)):
        keep(config.env, climb[place], f"ladder-{rung:02d}")
    for source in {config.checkpoints[0], expert.parent}:
        shutil.copy(source / "curve.csv", folder / f"curve-seed{_card(next(iter(_curve(source))))['seed']}.csv")


def _curve(folder: Path) -> dict[Path, float]:
    """Checkpoints in the order of training, with the mean return that training saw."""
    with (folder / "curve.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {folder / f"{int(row['steps']):08d}.safetensors": float(row["return_mean"]) for row in rows}


def _card(checkpoint: Path) -> dict[str, Any]:
    return json.loads(checkpoint.with_suffix(".json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    print_any_text()
    main(tyro.cli(Config))
