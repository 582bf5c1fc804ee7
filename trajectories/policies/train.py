"""Train the behaviour policies that record `collected` data, by PPO, and keep many checkpoints on the way.

    pip install -r requirements-policies.txt
    python -m trajectories.policies.train --env hopper --out checkpoints/hopper           # half an hour on one core
    python -m trajectories.policies.choose --env hopper --checkpoints checkpoints/hopper  # fills policies/hopper

Source   Schulman et al. 2017, arXiv:1707.06347, as Stable-Baselines3 2.9.2 implements it
Differs  observations and rewards are normalised (VecNormalize) and the learning rate falls to zero, without which PPO
         climbs past its best and falls again

Each checkpoint is played with sampled actions, as data are recorded; its mean return is a row of curve.csv.
"""

import csv
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
import tyro
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from environments.mujoco import simulator
from trajectories.collect import play
from trajectories.policies.policy import Gaussian, Layer, save


@dataclass(frozen=True)
class Config:
    env: str = "hopper"  # environment, a row of the catalog
    out: Path = Path("checkpoints")  # folder for checkpoints and curve.csv
    steps: int = 3_000_000  # environment steps
    seed: int = 0  # decides the weights, the environments and the actions
    physics: str = "d4rl"  # bodies to train in: d4rl or gymnasium
    copies: int = 8  # environments stepped together
    rollout: int = 512  # steps in each copy between updates
    batch_size: int = 128  # steps in a gradient step
    epochs: int = 10  # passes over each rollout
    learning_rate: float = 3e-4  # at the beginning; falls linearly to 0
    log_std: float = -0.5  # logarithm of the actions' standard deviation at the beginning
    every: int = 10  # rollouts between checkpoints
    episodes: int = 20  # episodes played at each checkpoint, actions sampled


def network(model: PPO, normalizer: VecNormalize) -> Gaussian:
    """The policy being trained, as NumPy plays it."""
    weights = {name: value.detach().numpy() for name, value in model.policy.state_dict().items()}
    statistics: Any = normalizer.obs_rms
    layers = [
        Layer.of(weights[f"{name}.weight"], weights[f"{name}.bias"])
        for name in ("mlp_extractor.policy_net.0", "mlp_extractor.policy_net.2", "action_net")
    ]
    return Gaussian(
        observation_mean=statistics.mean.copy(),
        observation_std=np.sqrt(statistics.var + normalizer.epsilon),
        hidden=tuple(layers[:2]),
        mean=layers[2],
        log_std=weights["log_std"].astype(np.float64),
    )


class Checkpoints(BaseCallback):
    """Saves and plays the policy at the start and after every few rollouts."""

    def __init__(self, config: Config, normalizer: VecNormalize) -> None:
        super().__init__()
        self.config = config
        self.normalizer = normalizer
        self.begun = time.perf_counter()
        self.rollouts = 0

    def _on_rollout_start(self) -> None:
        if self.rollouts % self.config.every == 0:
            self.checkpoint()
        self.rollouts += 1

    def _on_training_end(self) -> None:
        self.checkpoint()

    def _on_step(self) -> bool:
        return True

    def checkpoint(self) -> None:
        config, policy = self.config, network(self.model, self.normalizer)
        returns, lengths = play(config.env, policy, config.episodes, seed=config.seed, physics=config.physics)
        row = {
            "steps": self.num_timesteps,
            "seconds": round(time.perf_counter() - self.begun, 1),
            "return_mean": round(float(returns.mean()), 1),
            "return_std": round(float(returns.std()), 1),
            "length_mean": round(float(lengths.mean()), 1),
            "log_std": round(float(policy.log_std.mean()), 3),
        }
        card = {
            "environment": config.env,
            "algorithm": "PPO (Stable-Baselines3 2.9.2, VecNormalize)",
            "steps": self.num_timesteps,
            "seed": config.seed,
            "physics": config.physics,
        }
        save(config.out / f"{self.num_timesteps:08d}.safetensors", policy, card)
        curve = config.out / "curve.csv"
        new = self.num_timesteps == 0
        with curve.open("w" if new else "a", newline="") as file:
            writer = csv.DictWriter(file, row)
            if new:
                writer.writeheader()
            writer.writerow(row)
        print(*(f"{name} {value}" for name, value in row.items()), sep="  ", flush=True)


def main(config: Config) -> None:
    torch.set_num_threads(1)
    config.out.mkdir(parents=True, exist_ok=True)
    from trajectories.catalog import environment

    row = environment(config.env)
    copies: list[Any] = [
        lambda: gymnasium.wrappers.TimeLimit(simulator(row.gym_id, config.physics), row.horizon)
    ] * config.copies
    normalizer = VecNormalize(DummyVecEnv(copies), gamma=0.99)
    model = PPO(
        "MlpPolicy",
        normalizer,
        learning_rate=lambda left: config.learning_rate * left,
        n_steps=config.rollout,
        batch_size=config.batch_size,
        n_epochs=config.epochs,
        gamma=0.99,
        gae_lambda=0.95,
        clip_range=0.2,
        ent_coef=0.0,
        seed=config.seed,
        device="cpu",
        policy_kwargs={"log_std_init": config.log_std, "net_arch": [64, 64]},
    )
    model.learn(config.steps, callback=Checkpoints(config, normalizer))


if __name__ == "__main__":
    main(tyro.cli(Config))
