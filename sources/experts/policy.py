"""Behaviour policies in NumPy: what recorded the data, and what records it again.

All kinds share one shape: chance is drawn beforehand, and an action is a function of an observation and its draw.

    TanhGaussian   soft actor-critic's policy as D4RL's v2 files store it under metadata/policy (Haarnoja et al. 2018,
                   arXiv:1801.01290; trained with rlkit, whose log standard deviation is held within [-20, 2])
    Gaussian       proximal policy optimisation's as Stable-Baselines3 trains it, with the observations' normalisation;
                   also DAPG's (Rajeswaran et al. 2018, arXiv:1709.10087), which recorded D4RL's Adroit experts
    Deterministic  behaviour cloning's, which filled half of D4RL's Adroit `cloned` files; clipped to [-1, 1]
    Uniform        actions drawn evenly from [-1, 1]

Shapes   E environments, S observation numbers, A action numbers
Numbers  float64 inside, so that an action rounded to float32 does not depend on how many rows a matrix product had
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from trajectories.atomic import atomic_file, write_text
from trajectories.errors import DatasetError, UserError
from trajectories.formats.hdf5 import Hdf5Array, Hdf5Group, open_hdf5

LOG_STD_RANGE = (-20.0, 2.0)  # rlkit/torch/sac/policies/gaussian_policy.py
LAYERS = ("fc0", "fc1", "last_fc", "last_fc_log_std")  # D4RL's names
PARTS = (("weight", 2), ("bias", 1))  # and how many axes they have
OBSERVATION_CLIP = 10.0  # VecNormalize's default
NORMALISATION = ("observation_mean", "observation_std", "log_std")  # what a stored Gaussian has besides its layers


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
class Uniform:
    """Actions drawn evenly from [-1, 1], whatever is observed."""

    action_size: int

    def draw(self, generator: np.random.Generator, steps: int) -> np.ndarray:
        return generator.uniform(-1, 1, (steps, self.action_size))

    def act(self, observations: np.ndarray, chance: np.ndarray) -> np.ndarray:
        return chance.astype(np.float32)


def from_d4rl(path: Path, trailing_zeros: int = 0) -> TanhGaussian | Gaussian | Deterministic:
    """The policy that recorded a D4RL file, from the file itself: SAC's of locomotion v2, DAPG's of Adroit.

    Args:
        trailing_zeros: how many of its inputs, the last ones, were always zero and are not shown here (Ant's forces).

    Raises:
        DatasetError: the file cannot be read, or carries no such policy (v0, random, replay and human files do not).
    """
    with open_hdf5(path) as file:
        stored = file.get("metadata/policy")
        if not isinstance(stored, Hdf5Group):
            raise DatasetError(
                f"{path} does not carry its behaviour policy: give a D4RL file of medium (v2) or expert."
            )
        kind = tuple(_text(stored.array(key)) for key in ("nonlinearity", "output_distribution"))
        names = LAYERS[:-1] if kind[1:] == ("deterministic",) else LAYERS
        parts = [[_matrix(stored.array(f"{name}/{part}"), axes) for part, axes in PARTS] for name in names]
        if kind == ("relu", "deterministic"):  # of which alone weights are stored (in, out)
            *hidden, mean = (Layer(weight.astype(np.float64), bias.astype(np.float64)) for weight, bias in parts)
            return Deterministic(tuple(hidden), mean)
        layers = [Layer.of(weight, bias) for weight, bias in parts]
        if trailing_zeros:
            layers[0] = Layer(layers[0].weight[: max(0, len(layers[0].weight) - trailing_zeros)], layers[0].bias)
        if kind == ("relu", "tanh_gaussian"):
            return TanhGaussian(hidden=tuple(layers[:2]), mean=layers[2], log_std=layers[3])
        if kind == ("tanh", "gaussian"):
            return _dapg(path, layers, file.array("infos/action_log_std"))
    raise DatasetError(f"{path} carries a policy of another kind ({', '.join(kind)}): only SAC's and DAPG's are known.")


def _text(array: Hdf5Array) -> str:
    value = array[()]
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _matrix(array: Hdf5Array, axes: int) -> np.ndarray:
    """Numbers of a layer."""
    if array.dtype.kind != "f" or len(array.shape or ()) != axes:
        raise DatasetError(f"{array.place} is {array.dtype} of the shape {array.shape}, which is no part of a layer.")
    return np.asarray(array[()])


def _dapg(path: Path, layers: list[Layer], log_std: Hdf5Array) -> Gaussian:
    """Adroit's expert. Its deviations never change and are beside each action.

    The file's last_fc_log_std is none of that: D4RL's script wrote last_fc, the mean, there once more
    (scripts/generation/hand_dapg_policies.py:48 at 61b0d25), and whoever sampled with it would sample nonsense.
    """
    if not np.array_equal(log_std[0], log_std[-1]):
        raise DatasetError(
            f"{path}: its policy's deviations change, and only Adroit's experts' constant ones are known."
        )
    size = layers[0].weight.shape[0]
    return Gaussian(
        observation_mean=np.zeros(size),
        observation_std=np.ones(size),
        hidden=tuple(layers[:2]),
        mean=layers[2],
        log_std=np.asarray(log_std[0], np.float64),
        observation_clip=np.inf,
    )


def save(path: Path, policy: Gaussian | TanhGaussian, card: dict[str, Any]) -> None:
    """Store a policy as safetensors (torch's layout) and its card beside it as JSON.

    A Gaussian is stored in float32; a TanhGaussian, whose network is larger, in float16. It is played as it is stored.
    """
    tensors = {"mean.weight": policy.mean.weight.T, "mean.bias": policy.mean.bias}
    if isinstance(policy, Gaussian):
        tensors |= {name: getattr(policy, name) for name in NORMALISATION}
    else:
        tensors |= {"log_std.weight": policy.log_std.weight.T, "log_std.bias": policy.log_std.bias}
    for depth, layer in enumerate(policy.hidden):
        tensors |= {f"hidden.{depth}.weight": layer.weight.T, f"hidden.{depth}.bias": layer.bias}
    dtype = np.float32 if isinstance(policy, Gaussian) else np.float16
    with atomic_file(path) as fresh:
        save_file({name: np.ascontiguousarray(value, dtype=dtype) for name, value in tensors.items()}, fresh)
    write_text(path.with_suffix(".json"), json.dumps(card, indent=2) + "\n")


def load(path: Path) -> Gaussian | TanhGaussian:
    """A policy stored by `save`.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        tensors = load_file(path)
        depth = sum(name.startswith("hidden.") for name in tensors) // 2
        squashed = "log_std.weight" in tensors
        names = [*(f"hidden.{number}" for number in range(depth)), "mean", *(["log_std"] if squashed else [])]
        layers = [Layer.of(tensors[f"{name}.weight"], tensors[f"{name}.bias"]) for name in names]
        if squashed:
            return TanhGaussian(hidden=tuple(layers[:-2]), mean=layers[-2], log_std=layers[-1])
        flat: dict[str, Any] = {name: tensors[name].astype(np.float64) for name in NORMALISATION}
    except (OSError, KeyError, SafetensorError) as error:
        raise UserError(f"The policy {path} cannot be read ({error}): restore it from the repository.") from error
    return Gaussian(**flat, hidden=tuple(layers[:-1]), mean=layers[-1])
