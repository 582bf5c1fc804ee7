"""Training the behavior policies that record `collected` data."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sources.experts import policy
from trajectories.errors import UserError

train = pytest.importorskip("sources.experts.train", reason="needs stable-baselines3")


def short(out: Path, steps: int = 200) -> Any:
    return train.Config(
        env="hopper",
        algorithm="sac",
        out=out,
        steps=steps,
        every=100,
        episodes=1,
        warmup=40,
        actor=8,
        critic=16,
        batch_size=16,
    )


def steps_of(folder: Path) -> list[int]:
    with (folder / "curve.csv").open(newline="") as file:
        return [int(row["steps"]) for row in csv.DictReader(file)]


def test_soft_actor_critic_keeps_its_policy_from_the_first_step_on(tmp_path: Path) -> None:
    train.main(short(tmp_path))
    assert steps_of(tmp_path) == [0, 100, 200]
    kept = [policy.load(path) for path in sorted(tmp_path.glob("*.safetensors"))]
    assert all(isinstance(one, policy.TanhGaussian) and len(one.hidden[0].bias) == 8 for one in kept)
    assert not np.array_equal(kept[0].mean.weight, kept[2].mean.weight)


def test_training_resumes_and_its_cards_have_the_settings(tmp_path: Path) -> None:
    train.main(short(tmp_path, 100))
    train.main(replace(short(tmp_path, 200), gradient_steps=3, learning_rate=1e-4))
    assert steps_of(tmp_path) == [0, 100, 200]
    cards = [json.loads(path.read_text())["settings"] for path in sorted(tmp_path.glob("*.json"))]
    assert [card["gradient_steps"] for card in cards] == [1, 1, 3]
    model, _ = train.learner(replace(short(tmp_path, 200), gradient_steps=3, learning_rate=1e-4))
    assert (model.gradient_steps, model.lr_schedule(1), model.replay_buffer.size() * 4) == (3, 1e-4, 200)


def test_a_training_cannot_go_on_with_networks_of_another_width(tmp_path: Path) -> None:
    train.main(short(tmp_path, 100))
    with pytest.raises(UserError, match="--actor 8 --critic 16, and not 9 and 16"):
        train.main(replace(short(tmp_path), actor=9))


def test_an_unknown_algorithm_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="choose one of ppo, sac"):
        train.main(replace(short(tmp_path), algorithm="td3"))
