"""Train the behavior policies that record `collected` data, by PPO or SAC, and keep many checkpoints on the way.

    pip install -r requirements-policies.txt
    python -m sources.experts.train --env hopper --out checkpoints/hopper           # half an hour on one core
    python -m sources.experts.choose --env hopper --checkpoints checkpoints/hopper  # fills policies/hopper
    python -m sources.experts.train --env halfcheetah --algorithm sac --learning-rate 1e-3 --every 10000 --out ...

Source   PPO: Schulman et al. 2017, arXiv:1707.06347; SAC: Haarnoja et al. 2018, arXiv:1801.01290, which recorded D4RL's
         own; both as Stable-Baselines3 2.9.2 implements them. PPO does not get HalfCheetah to run fast
Differs  PPO: observations and rewards are normalized (VecNormalize) and the learning rate falls to zero, without which
         it climbs past its best and falls again. SAC: fewer gradient steps than environment steps and batches of 128,
         since gradient steps are what it costs, and a policy narrower than D4RL's 256, since all of them are kept

Each checkpoint is played with sampled actions, as data are recorded; its mean return is a row of curve.csv. SAC takes
hours: the same command again goes on from the last checkpoint (its random numbers begin anew, so that a run that was
interrupted is as good as another but not the same), and with other settings if the command says so; the card of each
checkpoint shows which. With a lower --learning-rate it ends more steadily.
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
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize

from environments.make import make
from environments.mujoco import simulator
from sources.collect import play
from sources.experts.policy import Gaussian, Layer, TanhGaussian, save
from sources.experts.vectorized import VectorizedEnvironments
from trajectories.atomic import atomic_file, write_text
from trajectories.catalog import environment
from trajectories.errors import UserError
from trajectories.output import print_any_text

ALGORITHMS = {
    "ppo": "PPO (Stable-Baselines3 2.9.2, VecNormalize)",
    "sac": "SAC (Stable-Baselines3 2.9.2)",
}


LEARNER, BUFFER = "learner.zip", "buffer"  # what SAC goes on from, in the folder of its checkpoints
SETTINGS = {  # on every card
    "ppo": ("steps", "learning_rate", "batch_size", "copies", "rollout", "epochs", "gamma", "log_std"),
    "sac": ("learning_rate", "batch_size", "gradient_steps", "actor", "critic", "warmup"),
}


@dataclass(frozen=True)
class Config:
    env: str = "hopper"  # environment, a row of the catalog
    out: Path = Path("checkpoints")  # folder for checkpoints and curve.csv
    algorithm: str = "ppo"  # ppo or sac
    steps: int = 3_000_000  # environment steps; may be stopped earlier
    seed: int = 0  # decides the weights, the environments and the actions
    physics: str = "d4rl"  # bodies to train in: d4rl or gymnasium
    learning_rate: float = 3e-4  # ppo: at the beginning; falls linearly to 0. sac: all the way
    copies: int = 8  # ppo: environments stepped together
    rollout: int = 512  # ppo: steps in each copy between updates
    batch_size: int = 128  # steps in a gradient step
    actor: int = 64  # sac: width of the policy's two hidden layers
    critic: int = 256  # sac: width of the two layers of each critic
    gradient_steps: int = 1  # sac: for every 4 steps; D4RL's learner took 4
    warmup: int = 1000  # sac: uniform actions before learning begins
    epochs: int = 10  # ppo: passes over each rollout
    gamma: float = 0.99  # ppo: discount factor
    log_std: float = -0.5  # ppo: logarithm of the actions' standard deviation at the beginning
    every: int = 40_960  # steps between checkpoints
    episodes: int = 20  # episodes played at each checkpoint, actions sampled


def network(model: Any, normalizer: VecNormalize | None) -> Gaussian | TanhGaussian:
    """The policy being trained, as NumPy plays it."""
    weights = {name: value.detach().numpy() for name, value in model.policy.state_dict().items()}

    def layers(*names: str) -> list[Layer]:
        return [Layer.of(weights[f"{name}.weight"], weights[f"{name}.bias"]) for name in names]

    if normalizer is None:
        first, second, mean, log_std = layers("actor.latent_pi.0", "actor.latent_pi.2", "actor.mu", "actor.log_std")
        return TanhGaussian(hidden=(first, second), mean=mean, log_std=log_std)
    statistics: Any = normalizer.obs_rms
    first, second, mean = layers("mlp_extractor.policy_net.0", "mlp_extractor.policy_net.2", "action_net")
    return Gaussian(
        observation_mean=statistics.mean.copy(),
        observation_std=np.sqrt(statistics.var + normalizer.epsilon),
        hidden=(first, second),
        mean=mean,
        log_std=weights["log_std"].astype(np.float64),
    )


class Checkpoints(BaseCallback):
    """Saves and plays the policy at the start and again and again."""

    def __init__(self, config: Config, normalizer: VecNormalize | None) -> None:
        super().__init__()
        self.config = config
        self.normalizer = normalizer
        self.begun = time.perf_counter()
        self.due = 0  # steps at which the next checkpoint is taken

    def _on_training_start(self) -> None:
        """Where it goes on: nothing again that was checked before, and nothing of what was lost."""
        if self.num_timesteps > 0:
            self.due = self.num_timesteps + self.config.every
            curve = self.config.out / "curve.csv"
            header, *rows = curve.read_text(encoding="utf-8").splitlines()
            kept = [row for row in rows if int(row.partition(",")[0]) <= self.num_timesteps]
            write_text(curve, "\n".join([header, *kept]) + "\n")

    def _on_rollout_start(self) -> None:
        if self.num_timesteps >= self.due:
            self.checkpoint()
            self.due += self.config.every

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
            "log_std": round(float(policy.log_std.mean()), 3) if isinstance(policy, Gaussian) else "",
        }
        card: dict[str, Any] = {
            "environment": config.env,
            "algorithm": ALGORITHMS[config.algorithm],
            "steps": self.num_timesteps,
            "seed": config.seed,
            "physics": config.physics,
        }
        card["settings"] = {name: getattr(config, name) for name in SETTINGS[config.algorithm]}
        save(config.out / f"{self.num_timesteps:08d}.safetensors", policy, card)
        curve = config.out / "curve.csv"
        new = self.num_timesteps == 0
        with curve.open("w" if new else "a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, row)
            if new:
                writer.writeheader()
            writer.writerow(row)
        print(*(f"{name} {value}" for name, value in row.items()), sep="  ", flush=True)
        if config.algorithm == "sac" and self.num_timesteps > 0:
            for write, name in ((self.model.save_replay_buffer, BUFFER), (self.model.save, LEARNER)):
                with atomic_file(config.out / name) as fresh, fresh.open("wb") as file:
                    write(file)


def soft_actor_critic(config: Config, copies: VecEnv) -> SAC:
    """A new learner, or the one that the folder holds, under the command's settings.

    Raises:
        UserError: the folder's has networks of other widths.
    """
    if not (config.out / LEARNER).is_file():
        return SAC(
            "MlpPolicy",
            copies,
            learning_rate=config.learning_rate,
            buffer_size=1_000_000,
            learning_starts=config.warmup,
            batch_size=config.batch_size,
            gradient_steps=config.gradient_steps,
            seed=config.seed,
            device="cpu",
            policy_kwargs={"net_arch": {"pi": [config.actor] * 2, "qf": [config.critic] * 2}},
        )
    sac = SAC.load(config.out / LEARNER, env=copies, device="cpu")
    actor, critic = (sac.policy_kwargs["net_arch"][name][0] for name in ("pi", "qf"))
    if (actor, critic) != (config.actor, config.critic):
        raise UserError(
            f"The learner in {config.out} has --actor {actor} --critic {critic}, and not {config.actor} and "
            f"{config.critic}: ask for these, or choose another --out."
        )
    sac.learning_rate = config.learning_rate
    sac._setup_lr_schedule()
    sac.batch_size, sac.gradient_steps = config.batch_size, config.gradient_steps
    sac.load_replay_buffer(config.out / BUFFER)
    return sac


def learner(config: Config) -> tuple[Any, VecNormalize | None]:
    """The algorithm, ready to learn, and what normalizes its observations."""
    row = environment(config.env)

    def copies(count: int) -> VecEnv:
        if row.family != "mujoco":
            return VectorizedEnvironments(make(row.name, count, config.physics), config.seed)
        one: Any = lambda: gymnasium.wrappers.TimeLimit(simulator(row.gym_id, config.physics), row.max_episode_steps)  # noqa: E731
        return DummyVecEnv([one] * count)

    if config.algorithm == "sac":
        return soft_actor_critic(config, copies(4)), None
    normalizer = VecNormalize(copies(config.copies), gamma=config.gamma)
    ppo = PPO(
        "MlpPolicy",
        normalizer,
        learning_rate=lambda left: config.learning_rate * left,
        n_steps=config.rollout,
        batch_size=config.batch_size,
        n_epochs=config.epochs,
        gamma=config.gamma,
        gae_lambda=0.95,
        clip_range=0.2,
        ent_coef=0.0,
        seed=config.seed,
        device="cpu",
        policy_kwargs={"log_std_init": config.log_std, "net_arch": [64, 64]},
    )
    return ppo, normalizer


def main(config: Config) -> None:
    torch.set_num_threads(1)
    if config.algorithm not in ALGORITHMS:
        raise UserError(f"--algorithm is {config.algorithm!r}: choose one of {', '.join(ALGORITHMS)}.")
    config.out.mkdir(parents=True, exist_ok=True)
    model, normalizer = learner(config)
    left, done = config.steps - model.num_timesteps, model.num_timesteps
    if left > 0:
        model.learn(left, callback=Checkpoints(config, normalizer), reset_num_timesteps=done == 0)


if __name__ == "__main__":
    print_any_text()
    main(tyro.cli(Config))
