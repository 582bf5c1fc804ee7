"""Any observation as one array: what a space of gymnasium's, or of a Minari file, is made of, and in which order.

    a single array      as it is, in its own shape (float32, or uint8 for images)
    a single number     Discrete: (1,) int64
    several of numbers  laid out one after another in one row: float32, or int64 where every part is whole numbers
    with a text, an     kept apart, in a row of bytes (parts.py): Spec.parts
    image or a grid

Order    of a goal-conditioned observation: observation, achieved_goal, desired_goal; of any other dictionary: its keys
         in alphabetical order; nested ones likewise, part by part
Images   uint8, of two or three axes and at least 16 pixels a side; may be stored as JPEGs, which are decoded
Grids    smaller ones are whole numbers, and so are those whose space says that they hold few values (at most 1,024
         kinds of cells), and MiniGrid's, whose space does not say so

Names, shapes and kinds of the parts are kept (Provenance.details["observation_parts"]). Nothing here imports gymnasium:
a space is recognized by its class's name.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trajectories.errors import DatasetError
from trajectories.parts import TEXT, Part, exactly, pack, row_size, to_bytes

GOAL_ORDER = ("observation", "achieved_goal", "desired_goal")
PICTURE = 16  # pixels of the shorter side of an image: a patch of Gato's
CELLS = 1024  # kinds of cells in a grid that is no image: Gato's ids for whole numbers
MINIGRID = {"direction", "image", "mission"}  # the keys of an observation of MiniGrid's
LARGEST_SPACE = 1 << 20  # numbers whose bounds are looked at
LARGEST_GRID = 25  # cells of a side: MiniGrid's largest room; with these keys, a larger image is one of pixels
# Kinds of objects and colors, and states: a door has three, the agent in a view of the whole grid four directions
# (minigrid 3.2.0, core/constants.py and wrappers.py, FullyObsWrapper)
MINIGRID_CELL = (11, 6, 4)


@dataclass(frozen=True)
class Layout:
    """How observations of one space become rows of one array."""

    parts: tuple[Part, ...]

    @property
    def single(self) -> bool:
        return len(self.parts) == 1 and not self.parts[0].path and self.parts[0].kind != "text"

    @property
    def kept_apart(self) -> tuple[Part, ...]:
        """The parts of a row of bytes, as Spec has them; none where an observation is one array of numbers."""
        plain = all(part.kind != "text" and not _is_grid(part) for part in self.parts)
        return () if self.single or plain else self.parts

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one observation."""
        if self.kept_apart:
            return (row_size(self.parts),)
        return (self.parts[0].shape or (1,)) if self.single else (sum(part.size for part in self.parts),)

    @property
    def dtype(self) -> str:
        if self.kept_apart or (self.single and self.parts[0].dtype == "uint8"):
            return "uint8"
        return "float32" if any(part.kind == "float" for part in self.parts) else "int64"

    def describe(self) -> list[list[Any]]:
        """Name, shape and kind of every part, for the record."""
        return [[part.name, list(part.shape), part.kind] for part in self.parts]

    def rows(self, observations: Any) -> np.ndarray:
        """Nested observations of T steps, each part (T, ...) or T strings -> (T, *shape).

        Raises:
            ValueError: they hold a number that their space does not.
        """
        columns = [_column(part, _follow(observations, part.path)) for part in self.parts]
        if self.kept_apart:
            return pack({part.name: column for part, column in zip(self.parts, columns, strict=True)}, self.parts)
        if self.single:
            return exactly(columns[0].reshape(-1, *self.shape), self.dtype, "an observation")
        flat = [exactly(column, self.dtype, part.name) for part, column in zip(self.parts, columns, strict=True)]
        return np.concatenate([column.reshape(len(column), -1) for column in flat], axis=1)


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
        parts = [part for key in in_order(list(inner)) for part in _parts(inner[key], (*path, key), owner)]
        cells = set(inner) >= MINIGRID
        return [_minigrid(part) if cells and part.path[-1] == "image" else part for part in parts]
    if kind == "Tuple":
        inner = _get(space, "subspaces") if isinstance(space, dict) else space.spaces
        return [part for place, one in enumerate(inner) for part in _parts(one, (*path, str(place)), owner)]
    if kind == "Box":
        return [_box(space, path)]
    if kind == "Text" or kind.endswith("MissionSpace"):  # minigrid's; BabyAI has one of its own
        return [Part(path, (TEXT,), "text", "uint8")]
    if kind == "Discrete":
        return [Part(path, (), "integer", "int64", () if _get(space, "start") else (int(_get(space, "n")),))]
    if kind in ("MultiDiscrete", "MultiBinary"):
        sizes = _get(space, "nvec") if kind == "MultiDiscrete" else np.zeros(_get(space, "n"))
        return [Part(path, np.shape(sizes), "integer", "int64")]
    raise DatasetError(
        f"{owner} has observations that hold {kind}{' as ' + '/'.join(path) if path else ''}, which has no fixed size: "
        f"flatten them into arrays."
    )


def _box(space: Any, path: tuple[str, ...]) -> Part:
    dtype, shape = np.dtype(_get(space, "dtype")), tuple(_get(space, "shape"))
    if dtype != np.uint8:
        whole = dtype.kind in "iub"
        return Part(path, shape, "integer" if whole else "float", "int64" if whole else "float32")
    picture = 2 <= len(shape) <= 3 and sorted(shape)[-2] >= PICTURE
    if len(shape) >= 2 and (sizes := _cell_sizes(space, shape)):
        return Part(path, shape, "integer", "uint8", sizes)
    return Part(path, shape, "image" if picture or not path else "integer", "uint8")


def _cell_sizes(space: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """How many values the numbers of a grid's cells can take, where its space says so and a cell is one of few kinds.

    The last of three axes holds the numbers of a cell; on a grid of two axes, each number is a cell.
    """
    low, high = (_get(space, bound) for bound in ("low", "high"))
    if low is None or high is None or not 0 < math.prod(shape) <= LARGEST_SPACE:
        return ()
    cells = np.broadcast_to(high, shape).reshape(-1, shape[-1] if len(shape) > 2 else 1)
    if np.any(low) or (cells != cells[0]).any():
        return ()
    sizes = tuple(int(number) + 1 for number in cells[0])
    return sizes if math.prod(sizes) <= CELLS and max(sizes) < 256 else ()


def _minigrid(part: Part) -> Part:
    """The image of a MiniGrid: cells, unless a wrapper has made pixels of them."""
    cells = len(part.shape) == 3 and part.shape[2] == len(MINIGRID_CELL) and max(part.shape[:2]) <= LARGEST_GRID
    return replace(part, kind="integer", sizes=MINIGRID_CELL) if cells and part.dtype == "uint8" else part


def _is_grid(part: Part) -> bool:
    """Whether a part is an image, or a grid of cells."""
    return part.dtype == "uint8" and len(part.shape) >= 2


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
    """(T, *part.shape), in numbers or bytes."""
    if part.kind == "image" and np.ndim(values) < 1 + len(part.shape) and not _flat(values, part):
        from PIL import Image

        return np.stack([np.asarray(Image.open(io.BytesIO(bytes(one)))) for one in values]).reshape(-1, *part.shape)
    if part.kind != "text":
        return np.asarray(values).reshape(-1, *part.shape)
    return to_bytes(values)
