"""The policies that D4RL's files carry: what recorded them, and records them again."""

from pathlib import Path

import numpy as np

from sources.experts.policy import Deterministic, Gaussian, Layer, TanhGaussian
from trajectories.errors import DatasetError
from trajectories.formats.hdf5 import Hdf5Array, Hdf5Group, open_hdf5

LAYERS = ("fc0", "fc1", "last_fc", "last_fc_log_std")  # D4RL's names
PARTS = (("weight", 2), ("bias", 1))  # and how many axes they have


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
            raise DatasetError(f"{path} does not carry its behavior policy: give a D4RL file of medium (v2) or expert.")
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
    (scripts/generation/hand_dapg_policies.py:48 at 61b0d25), and to sample with it would give nonsense.
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
