"""Any observation as one array: what a space of gymnasium's, or of a Minari file, is made of, and in which order.

    a single array      as it is, in its own shape (float32, or uint8 for images)
    a single number     Discrete: (1,) int64
    several parts       laid out one after another in one row: float32, or int64 where every part is whole numbers

Order    of a goal-conditioned observation: observation, achieved_goal, desired_goal; of any other dictionary: its keys
         in alphabetical order; nested ones likewise, part by part
Images   of 32 x 32 and more may be stored as JPEGs, which are decoded
Text     as the bytes of its UTF-8, `TEXT` numbers wide, zeros behind; what is longer is cut

Names, shapes and kinds of the parts are kept (Provenance.details["observation_parts"]), so that a model can treat an
image, a direction and a mission differently. Nothing here imports gymnasium: a space is recognized by its class's name.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trajectories.errors import DatasetError

GOAL_ORDER = ("observation", "achieved_goal", "desired_goal")
TEXT = 64  # bytes kept of a text


@dataclass(frozen=True)
class Part:
    """One array of an observation."""

    path: tuple[str, ...]  # the keys that lead to it; empty where the observation is one array
    shape: tuple[int, ...]
    kind: str  # float, integer, image (uint8), text

    @property
    def name(self) -> str:
        return "/".join(self.path)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))


@dataclass(frozen=True)
class Layout:
    """How observations of one space become rows of one array."""

    parts: tuple[Part, ...]

    @property
    def single(self) -> bool:
        return len(self.parts) == 1 and not self.parts[0].path and self.parts[0].kind != "text"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one observation."""
        return (self.parts[0].shape or (1,)) if self.single else (sum(part.size for part in self.parts),)

    @property
    def dtype(self) -> str:
        if self.single and self.parts[0].kind == "image":
            return "uint8"
        return "float32" if any(part.kind == "float" for part in self.parts) else "int64"

    def describe(self) -> list[list[Any]]:
        """Name, shape and kind of every part, for the record."""
        return [[part.name, list(part.shape), part.kind] for part in self.parts]

    def rows(self, observations: Any) -> np.ndarray:
        """Nested observations of T steps, each part (T, ...) or T strings -> (T, *shape)."""
        columns = [_column(part, _follow(observations, part.path)) for part in self.parts]
        if self.single:
            return columns[0].reshape(-1, *self.shape).astype(self.dtype, copy=False)
        return np.concatenate([column.reshape(len(column), -1) for column in columns], axis=1, dtype=self.dtype)


def layout(space: Any, owner: object = "The environment") -> Layout:
    """The layout of a gymnasium space, or of one that Minari wrote as JSON.

    Args:
        owner: whose observations they are, for the messages about them.

    Raises:
        DatasetError: the space holds something without a fixed size.
    """
    return Layout(tuple(_parts(space, (), owner)))


def actions_of(space: Any, owner: object = "The environment") -> tuple[tuple[int, ...], int | None]:
    """Shape of an action and how many there are (None: continuous).

    Args:
        owner: whose actions they are, for the messages about them.

    Raises:
        DatasetError: neither Discrete from 0 nor a Box.
    """
    kind = _kind(space)
    if kind == "Discrete":
        if start := int(_get(space, "start") or 0):
            raise DatasetError(f"{owner} has discrete actions that count from {start}: shift them to count from 0.")
        return (), int(_get(space, "n"))
    if kind == "Box":
        return tuple(_get(space, "shape")), None
    raise DatasetError(
        f"{owner} has {kind} actions, and models learn only Box and Discrete ones: flatten them into one of these."
    )


def _parts(space: Any, path: tuple[str, ...], owner: object) -> list[Part]:
    kind = _kind(space)
    if kind == "Dict":
        inner = _get(space, "subspaces") if isinstance(space, dict) else space.spaces
        return [part for key in in_order(list(inner)) for part in _parts(inner[key], (*path, key), owner)]
    if kind == "Tuple":
        inner = _get(space, "subspaces") if isinstance(space, dict) else space.spaces
        return [part for place, one in enumerate(inner) for part in _parts(one, (*path, str(place)), owner)]
    if kind == "Box":
        dtype = np.dtype(_get(space, "dtype"))
        whole = "image" if dtype == np.uint8 else "integer" if dtype.kind in "iub" else "float"
        return [Part(path, tuple(_get(space, "shape")), whole)]
    if kind in ("Text", "MissionSpace"):
        return [Part(path, (TEXT,), "text")]
    if kind == "Discrete":
        return [Part(path, (), "integer")]
    if kind in ("MultiDiscrete", "MultiBinary"):
        sizes = _get(space, "nvec") if kind == "MultiDiscrete" else np.zeros(_get(space, "n"))
        return [Part(path, np.shape(sizes), "integer")]
    raise DatasetError(
        f"{owner} has observations that hold {kind}{' as ' + '/'.join(path) if path else ''}, which has no fixed size: "
        f"flatten them into arrays."
    )


def in_order(keys: Sequence[str]) -> list[str]:
    """A dictionary's keys in the order in which they are laid out."""
    return list(GOAL_ORDER) if set(keys) == set(GOAL_ORDER) else sorted(keys)


def _kind(space: Any) -> str:
    return str(space["type"]) if isinstance(space, dict) else type(space).__name__


def _get(space: Any, key: str) -> Any:
    return space.get(key) if isinstance(space, dict) else getattr(space, key, None)


def _follow(observations: Any, path: tuple[str, ...]) -> Any:
    for key in path:  # of a dictionary; a tuple counts from 0
        observations = observations[int(key) if isinstance(observations, tuple) else key]
    return observations


def _flat(values: Any, part: Part) -> bool:
    """Whether an image comes as a row of its numbers, and not as a JPEG's bytes."""
    return np.ndim(values) == 2 and np.shape(values)[1] == part.size


def _column(part: Part, values: Any) -> np.ndarray:
    """(T, *part.shape), numbers."""
    if part.kind == "image" and np.ndim(values) < 1 + len(part.shape) and not _flat(values, part):
        from PIL import Image

        return np.stack([np.asarray(Image.open(io.BytesIO(bytes(one)))) for one in values]).reshape(-1, *part.shape)
    if part.kind != "text":
        return np.asarray(values).reshape(-1, *part.shape)
    rows = np.zeros((len(values), TEXT), np.int64)
    for row, text in zip(rows, values, strict=True):
        content = text if isinstance(text, bytes) else str(text).encode()
        row[: len(content)] = np.frombuffer(content[:TEXT], np.uint8)[: len(content)]
    return rows
