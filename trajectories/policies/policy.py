"""Behaviour policies in NumPy: what recorded the data, and what records it again.

Three kinds share one shape: chance is drawn beforehand, and an action is a function of an observation and its draw.

    TanhGaussian   soft actor-critic's policy as D4RL's v2 files store it under metadata/policy (Haarnoja et al. 2018,
                   arXiv:1801.01290; trained with rlkit, whose log standard deviation is held within [-20, 2])
    Gaussian       proximal policy optimisation's as Stable-Baselines3 trains it, with the observations' normalisation
    Uniform        actions drawn evenly from [-1, 1]

Shapes   E environments, S observation numbers, A action numbers
Numbers  float64 inside, so that an action rounded to float32 does not depend on how many rows a matrix product had
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import h5py
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from trajectories.errors import DatasetError, UserError

LOG_STD_RANGE = (-20.0, 2.0)  # rlkit/torch/sac/policies/gaussian_policy.py
LAYERS = ("fc0", "fc1", "last_fc", "last_fc_log_std")  # D4RL's names
OBSERVATION_CLIP = 10.0  # VecNormalize's default


@runtime_checkable
class Policy(Protocol):
    """How data are recorded: sampled actions."""

    def draw(self, generator: np.random.Generator, steps: int) -> np.ndarray:
        """All the chance that an episode of `steps` needs, (steps, A)."""
        ...

    def act(self, observations: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """(E, S) observations and (E, A) draws -> (E, A) actions, float32, within [-1, 1]."""
        ...


@dataclass(frozen=True)
class Layer:
    """An affine map, (rows in) -> (rows out)."""

    weight: np.ndarray  # (in, out) float64
    bias: np.ndarray  # (out,) float64

    @classmethod
    def of(cls, weight: np.ndarray, bias: np.ndarray) -> "Layer":
        """From torch's layout, (out, in)."""
        return cls(np.ascontiguousarray(weight.T, dtype=np.float64), bias.astype(np.float64))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        return rows @ self.weight + self.bias


@dataclass(frozen=True)
class TanhGaussian:
    """tanh(mean + standard deviation x normal draw), both read off a ReLU network."""

    hidden: tuple[Layer, ...]
    mean: Layer
    log_std: Layer

    def draw(self, generator: np.random.Generator, steps: int) -> np.ndarray:
        return generator.standard_normal((steps, len(self.mean.bias)))

    def distribution(self, observations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation before the tanh, both (E, A)."""
        rows = np.asarray(observations, np.float64)
        for layer in self.hidden:
            rows = np.maximum(layer(rows), 0)
        return self.mean(rows), np.exp(np.clip(self.log_std(rows), *LOG_STD_RANGE))

    def act(self, observations: np.ndarray, chance: np.ndarray) -> np.ndarray:
        mean, std = self.distribution(observations)
        return np.tanh(mean + std * chance).astype(np.float32)


@dataclass(frozen=True)
class Gaussian:
    """mean + standard deviation x normal draw, clipped to [-1, 1]; a tanh network on normalised observations."""

    observation_mean: np.ndarray  # (S,)
    observation_std: np.ndarray  # (S,)
    hidden: tuple[Layer, ...]
    mean: Layer
    log_std: np.ndarray  # (A,)

    def draw(self, generator: np.random.Generator, steps: int) -> np.ndarray:
        return generator.standard_normal((steps, len(self.log_std)))

    def act(self, observations: np.ndarray, chance: np.ndarray) -> np.ndarray:
        rows = (np.asarray(observations, np.float64) - self.observation_mean) / self.observation_std
        rows = np.clip(rows, -OBSERVATION_CLIP, OBSERVATION_CLIP)
        for layer in self.hidden:
            rows = np.tanh(layer(rows))
        return np.clip(self.mean(rows) + np.exp(self.log_std) * chance, -1, 1).astype(np.float32)


@dataclass(frozen=True)
class Uniform:
    """Actions drawn evenly from [-1, 1], whatever is observed."""

    action_size: int

    def draw(self, generator: np.random.Generator, steps: int) -> np.ndarray:
        return generator.uniform(-1, 1, (steps, self.action_size))

    def act(self, observations: np.ndarray, chance: np.ndarray) -> np.ndarray:
        return chance.astype(np.float32)


def from_d4rl(path: Path) -> TanhGaussian:
    """The policy that recorded a D4RL v2 file, from the file's own metadata.

    Raises:
        DatasetError: the file cannot be read, or carries no such policy (v0, random and replay files do not).
    """
    try:
        with h5py.File(path) as file:
            if "metadata/policy" not in file:
                raise DatasetError(
                    f"{path} does not carry its behaviour policy: give a D4RL v2 file, medium or expert."
                )
            stored: Any = file["metadata/policy"]
            kind = tuple(stored[key][()].decode() for key in ("nonlinearity", "output_distribution"))
            if kind != ("relu", "tanh_gaussian"):
                raise DatasetError(f"{path} carries a policy of another kind ({', '.join(kind)}): only SAC's is known.")
            layers = [Layer.of(stored[name]["weight"][()], stored[name]["bias"][()]) for name in LAYERS]
    except (OSError, KeyError) as error:
        raise DatasetError(
            f"{path} cannot be read as a D4RL file with its policy ({error}): fetch it again."
        ) from error
    return TanhGaussian(hidden=tuple(layers[:2]), mean=layers[2], log_std=layers[3])


def save(path: Path, policy: Gaussian, card: dict[str, Any]) -> None:
    """Store a policy as safetensors (float32, torch's layout) and its card beside it as JSON."""
    tensors = {
        "observation_mean": policy.observation_mean,
        "observation_std": policy.observation_std,
        "log_std": policy.log_std,
        "mean.weight": policy.mean.weight.T,
        "mean.bias": policy.mean.bias,
    }
    for depth, layer in enumerate(policy.hidden):
        tensors |= {f"hidden.{depth}.weight": layer.weight.T, f"hidden.{depth}.bias": layer.bias}
    save_file({name: np.ascontiguousarray(value, dtype=np.float32) for name, value in tensors.items()}, path)
    path.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n")


def load(path: Path) -> Gaussian:
    """A policy stored by `save`.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        tensors = load_file(path)
        depth = sum(name.startswith("hidden.") for name in tensors) // 2
        names = [f"hidden.{number}" for number in range(depth)] + ["mean"]
        layers = [Layer.of(tensors[f"{name}.weight"], tensors[f"{name}.bias"]) for name in names]
        flat = {name: tensors[name].astype(np.float64) for name in ("observation_mean", "observation_std", "log_std")}
    except (OSError, KeyError, SafetensorError) as error:
        raise UserError(f"The policy {path} cannot be read ({error}): restore it from the repository.") from error
    return Gaussian(**flat, hidden=tuple(layers[:-1]), mean=layers[-1])
