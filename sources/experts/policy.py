"""Behavior policies in NumPy: what recorded the data, and what records it again.

All kinds share one shape: chance is drawn beforehand, and an action is a function of an observation and its draw.

    TanhGaussian   soft actor-critic's policy as D4RL's v2 files store it under metadata/policy (Haarnoja et al. 2018,
                   arXiv:1801.01290; trained with rlkit, whose log standard deviation is held within [-20, 2])
    Gaussian       proximal policy optimization's as Stable-Baselines3 trains it, with the observations' normalization;
                   also DAPG's (Rajeswaran et al. 2018, arXiv:1709.10087), which recorded D4RL's Adroit experts
    Deterministic  behavior cloning's, which filled half of D4RL's Adroit `cloned` files; clipped to [-1, 1]
    Uniform        actions drawn evenly from [-1, 1]

Shapes   E environments, S observation numbers, A action numbers
Numbers  float64 inside, so that an action rounded to float32 does not depend on how many rows a matrix product had
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from trajectories.atomic import atomic_file, write_text
from trajectories.errors import UserError

LOG_STD_RANGE = (-20.0, 2.0)  # rlkit/torch/sac/policies/gaussian_policy.py
OBSERVATION_CLIP = 10.0  # VecNormalize's default
NORMALIZATION = ("observation_mean", "observation_std", "log_std")  # what a stored Gaussian has besides its layers


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
    """mean + standard deviation x normal draw, clipped to [-1, 1]; a tanh network on normalized observations."""

    observation_mean: np.ndarray  # (S,)
    observation_std: np.ndarray  # (S,)
    hidden: tuple[Layer, ...]
    mean: Layer
    log_std: np.ndarray  # (A,)
    observation_clip: float = OBSERVATION_CLIP  # of normalized observations

    def draw(self, generator: np.random.Generator, steps: int) -> np.ndarray:
        return generator.standard_normal((steps, len(self.log_std)))

    def act(self, observations: np.ndarray, chance: np.ndarray) -> np.ndarray:
        rows = (np.asarray(observations, np.float64) - self.observation_mean) / self.observation_std
        rows = np.clip(rows, -self.observation_clip, self.observation_clip)
        for layer in self.hidden:
            rows = np.tanh(layer(rows))
        return np.clip(self.mean(rows) + np.exp(self.log_std) * chance, -1, 1).astype(np.float32)


@dataclass(frozen=True)
class Deterministic:
    """A ReLU network's output, clipped to [-1, 1]."""

    hidden: tuple[Layer, ...]
    mean: Layer

    def draw(self, generator: np.random.Generator, steps: int) -> np.ndarray:
        return np.zeros((steps, len(self.mean.bias)))  # nothing is left to chance

    def act(self, observations: np.ndarray, chance: np.ndarray) -> np.ndarray:
        rows = np.asarray(observations, np.float64)
        for layer in self.hidden:
            rows = np.maximum(layer(rows), 0)
        return np.clip(self.mean(rows), -1, 1).astype(np.float32)


@dataclass(frozen=True)
class Noiseless:
    """A policy that does what it finds best, its mean action."""

    policy: Policy

    def draw(self, generator: np.random.Generator, steps: int) -> np.ndarray:
        return np.zeros_like(self.policy.draw(generator, steps))

    def act(self, observations: np.ndarray, chance: np.ndarray) -> np.ndarray:
        return self.policy.act(observations, chance)


@dataclass(frozen=True)
class Uniform:
    """Actions drawn evenly from [-1, 1], whatever is observed."""

    action_size: int

    def draw(self, generator: np.random.Generator, steps: int) -> np.ndarray:
        return generator.uniform(-1, 1, (steps, self.action_size))

    def act(self, observations: np.ndarray, chance: np.ndarray) -> np.ndarray:
        return chance.astype(np.float32)


def save(path: Path, policy: Gaussian | TanhGaussian, card: dict[str, Any]) -> None:
    """Store a policy as safetensors (torch's layout) and its card beside it as JSON.

    In float16, whose rounding is far below the noise of sampled actions. It is played as it is stored.
    """
    tensors = tensors_of(policy)
    with atomic_file(path, alone=True) as fresh:
        save_file({name: np.ascontiguousarray(value, dtype=np.float16) for name, value in tensors.items()}, fresh)
    write_text(path.with_suffix(".json"), json.dumps(card, indent=2) + "\n")


def load(path: Path) -> Gaussian | TanhGaussian:
    """A policy stored by `save`.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        return from_tensors(load_file(path))
    except (OSError, KeyError, SafetensorError) as error:
        raise UserError(f"The policy {path} cannot be read ({error}): restore it from the repository.") from error


def tensors_of(policy: Gaussian | TanhGaussian) -> dict[str, np.ndarray]:
    """A policy's numbers by name, weights in torch's layout."""
    tensors = {"mean.weight": policy.mean.weight.T, "mean.bias": policy.mean.bias}
    if isinstance(policy, Gaussian):
        tensors |= {name: getattr(policy, name) for name in NORMALIZATION}
    else:
        tensors |= {"log_std.weight": policy.log_std.weight.T, "log_std.bias": policy.log_std.bias}
    for depth, layer in enumerate(policy.hidden):
        tensors |= {f"hidden.{depth}.weight": layer.weight.T, f"hidden.{depth}.bias": layer.bias}
    return tensors


def from_tensors(tensors: Mapping[str, np.ndarray]) -> Gaussian | TanhGaussian:
    """The policy whose numbers these are.

    Raises:
        KeyError: one is missing.
    """
    depth = sum(name.startswith("hidden.") for name in tensors) // 2
    squashed = "log_std.weight" in tensors
    names = [*(f"hidden.{number}" for number in range(depth)), "mean", *(["log_std"] if squashed else [])]
    layers = [Layer.of(tensors[f"{name}.weight"], tensors[f"{name}.bias"]) for name in names]
    if squashed:
        return TanhGaussian(hidden=tuple(layers[:-2]), mean=layers[-2], log_std=layers[-1])
    flat: dict[str, Any] = {name: tensors[name].astype(np.float64) for name in NORMALIZATION}
    return Gaussian(**flat, hidden=tuple(layers[:-1]), mean=layers[-1])
