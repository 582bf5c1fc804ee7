"""Named parts of an observation, an image beside a mission beside numbers: one row of bytes, and what is where in it.

Row      each part is a slice of the row, which `view` gives back as an array without a copy (torch: backbone/parts.py).
         A slice begins at a multiple of its type's size; the bytes between two slices are zero
Text     as the bytes of its UTF-8, `TEXT` of them, zeros behind. A longer one is cut and ends in "…"
Why      a column of bytes is gathered, padded, memory-mapped, hashed, written to HDF5 and safetensors and moved to a
         GPU as every other array is, by code that knows nothing of parts. torch and safetensors have no structured
         arrays, and a dictionary of tensors would have to be known to windows, prompts, players and CUDA graphs alike

Shapes   N rows, n bytes of a row
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

KINDS = {"float": ("float32",), "integer": ("int64", "uint8"), "image": ("uint8",), "text": ("uint8",)}  # and types
TEXT = 256  # bytes kept of a text: BabyAI's missions reach 166
MORE = "…"  # the end of a text that was cut
BLOCK = 1 << 16  # rows looked at together


@dataclass(frozen=True)
class Part:
    """One array of an observation.

    Raises:
        ValueError: a kind or type that there is not.
    """

    path: tuple[str, ...]  # the keys that lead to it; empty where the observation is one array
    shape: tuple[int, ...]
    kind: str  # float, integer, image, text
    dtype: str  # float32, int64 or uint8
    sizes: tuple[int, ...] = ()  # how many values each number of a cell can take: see `cell`; empty: not known

    def __post_init__(self) -> None:
        if self.dtype not in KINDS.get(self.kind, ()):
            raise ValueError(f"a part of kind {self.kind!r} and type {self.dtype!r}")
        if len(self.sizes) > 1 and self.shape[-1:] != (len(self.sizes),):
            raise ValueError(f"a part of shape {self.shape} and sizes {self.sizes}")

    @property
    def cell(self) -> int:
        """Numbers of a cell: of several sizes, the last axis; else each number is one."""
        return max(len(self.sizes), 1)

    @property
    def name(self) -> str:
        return "/".join(self.path) or self.kind

    @property
    def size(self) -> int:
        """Numbers in it."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * np.dtype(self.dtype).itemsize

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "Part":
        """A part as JSON or TOML has it."""
        values: dict[str, Any] = {name: tuple(each) if isinstance(each, list) else each for name, each in row.items()}
        return cls(**values)


def offsets(parts: Iterable[Part]) -> tuple[list[int], int]:
    """Where each part begins in a row, and how many bytes a row has."""
    begins, end, widest = list[int](), 0, 1
    for part in parts:
        unit = np.dtype(part.dtype).itemsize
        begins.append(-(-end // unit) * unit)
        end, widest = begins[-1] + part.nbytes, max(widest, unit)
    return begins, -(-end // widest) * widest


def row_size(parts: Iterable[Part]) -> int:
    """Bytes of a row."""
    return offsets(parts)[1]


def view(rows: np.ndarray, parts: tuple[Part, ...]) -> np.ndarray:
    """Rows of bytes, (*N, n) uint8, as a structured array, (*N): `view(rows, parts)["mission"]` is (*N, 256) uint8."""
    return rows.view(_structure(parts))[..., 0]


@cache
def _structure(parts: tuple[Part, ...]) -> np.dtype:
    begins, size = offsets(parts)
    formats = [(part.dtype, part.shape) for part in parts]
    names = [part.name for part in parts]
    return np.dtype({"names": names, "formats": formats, "offsets": begins, "itemsize": size})


def pack(columns: Mapping[str, np.ndarray], parts: tuple[Part, ...]) -> np.ndarray:
    """Each part's column, (N, *shape), as rows of bytes, (N, n).

    Raises:
        ValueError: a column holds a number that its part cannot.
    """
    rows = np.zeros((len(next(iter(columns.values()))), row_size(parts)), np.uint8)
    structured = view(rows, parts)
    for part in parts:
        structured[part.name] = exactly(columns[part.name], part.dtype, part.name)
    return rows


def exactly(values: np.ndarray, dtype: str, name: str) -> np.ndarray:
    """Values as `dtype`, where this may round floats, but neither cut off what follows the point nor wrap around.

    Raises:
        ValueError: one would become another number.
    """
    values = np.asarray(values)
    if (row := changed(values, dtype)) is not None:
        raise ValueError(f"{name} holds {values[row]} in row {row[0]}, which is no {dtype}")
    return values.astype(dtype, copy=False)


def changed(values: np.ndarray, dtype: str) -> tuple[int, ...] | None:
    """Where the first number lies that is another one as `dtype`, a type of whole numbers; None if there is none."""
    if np.dtype(dtype).kind not in "iu" or np.can_cast(values.dtype, dtype):
        return None
    for first in range(0, len(values), BLOCK):
        block = values[first : first + BLOCK]
        with np.errstate(invalid="ignore"):  # of what is too large
            wrong = block.astype(dtype) != block
        if wrong.any():
            row, *rest = (int(place) for place in np.argwhere(wrong)[0])
            return (first + row, *rest)
    return None


def alike(parts: tuple[Part, ...], others: tuple[Part, ...]) -> bool:
    """Whether rows of one are rows of the other: all but what is known of the sizes is the same."""
    return [replace(part, sizes=()) for part in parts] == [replace(part, sizes=()) for part in others]


def to_bytes(texts: Iterable[str | bytes]) -> np.ndarray:
    """Texts as rows, (N, 256) uint8; one that is longer is cut between two characters, and ends in "…"."""
    contents = [text if isinstance(text, bytes) else str(text).encode(errors="replace") for text in texts]
    rows = np.zeros((len(contents), TEXT), np.uint8)
    for row, content in zip(rows, contents, strict=True):
        if len(content) > TEXT:
            room = TEXT - len(MORE.encode())
            content = content[:room].decode(errors="ignore").encode() + MORE.encode()
        row[: len(content)] = np.frombuffer(content, np.uint8)
    return rows


def to_text(row: np.ndarray | bytes) -> str:
    """The text that a row of bytes holds."""
    return bytes(row).rstrip(b"\0").decode(errors="replace")


def were_cut(rows: np.ndarray) -> np.ndarray:
    """Which texts, (N, 256), were longer than what is kept of them."""
    cut: np.ndarray = np.asarray(
        rows[:, -4:].any(axis=1)
    )  # or at least long: a cut text lacks at most 3 bytes, those of a character
    cut[cut] = [to_text(row).endswith(MORE) for row in rows[cut]]
    return cut
