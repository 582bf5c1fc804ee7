"""The content of a file of any format: tables (names to more), lists, and arrays, which are read when used."""

import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from trajectories.errors import DamagedFileError, DatasetError, UserError
from trajectories.formats import lerobot
from trajectories.formats.hdf5 import Hdf5Array, Hdf5Group, metadata, open_hdf5
from trajectories.formats.limits import RATIO, check_declared, check_memory
from trajectories.formats.restricted_unpickler import UNCOMPRESSED, as_array, unpickle
from trajectories.parts import Part, pack, to_bytes
from trajectories.spaces import PICTURE, in_order

SHOWN, TEXT = 8, 40  # names that a summary lists, and characters of each


class Content:
    """A file's outermost table or list, and how the arrays in it are read."""

    def __init__(self, path: Path, root: Any, ratio: int = RATIO, details: dict[str, Any] | None = None) -> None:
        self.path, self.root, self.details = path, root, details or {}
        self.parts: tuple[Part, ...] = ()  # that its observations are to have
        self._laid_out: dict[str, list[str]] = {}  # of a column's place in an episode, the names laid side by side
        self._ratio, self._stored, self._size = ratio, path.stat().st_size, 0

    def array(self, value: Any, place: str) -> np.ndarray | None:
        """An array of the file, or lists of numbers as one; None for anything else.

        Raises:
            DatasetError: lists of unequal lengths, or more than the file or this machine can hold.
        """
        read = value[()] if isinstance(value, Hdf5Array | NpzArray) else value
        values = read if isinstance(read, np.ndarray) else as_array(read, f"{self.path}, {place}", self._stored)
        self._size += 0 if values is None else values.nbytes  # one array may stand in every episode
        check_declared(self._size, self._stored, str(self.path), self._ratio)
        check_memory(self._size, str(self.path))
        return values

    def column(self, value: Any, place: str) -> np.ndarray:
        """An array with a row for each step; the parts of an observation side by side, without its pictures.

        Raises:
            DatasetError: it is none.
        """
        if isinstance(value, Mapping) and self.parts:
            return self.packed(value, place)
        if isinstance(value, Mapping):  # an observation of several parts
            kept = {key: each for key in in_order(list(value)) if not _is_picture(each := value[key])}
            within = place.rpartition(", ")[2]  # whatever the episode
            if (names := self._laid_out.setdefault(within, list(kept))) != list(kept):
                raise DatasetError(
                    f"{self.path}: {place} holds {', '.join(kept)}, and of an earlier episode {', '.join(names)}: "
                    f"write the same for all."
                )
            if left_out := [f"{within}/{key}" for key in value if key not in kept]:
                self.details["left_out"] = list(dict.fromkeys([*self.details.get("left_out", []), *left_out]))
            parts = [self.column(each, f"{place}/{key}") for key, each in kept.items()]
            if parts and {len(part) for part in parts} == {len(parts[0]) or 1}:
                return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
        values = self.array(value, place)
        if values is None or values.ndim == 0:
            raise DatasetError(f"{self.path}: {place} is no array: write an array with a row for each step.")
        return values

    def packed(self, tree: Mapping[str, Any], place: str) -> np.ndarray:
        """An observation's parts in nested tables as rows of bytes.

        Raises:
            DatasetError: one is missing, or of another shape or length.
        """
        found = {part.name: self._part(tree, part, place) for part in self.parts}
        lengths = {name: len(values) for name, values in found.items()}
        if len(set(lengths.values())) > 1:
            raise DatasetError(
                f"{self.path}: the parts of {place} have different lengths ({lengths}): write all alike."
            )
        try:
            return pack(found, self.parts)
        except ValueError as error:
            raise DatasetError(
                f"{self.path}: in {place}, {error}: write it so, or name another environment."
            ) from error

    def _part(self, tree: Any, part: Part, place: str) -> np.ndarray:
        for key in part.path:
            tree = tree.get(key) if isinstance(tree, Mapping) else None
        values = None if tree is None else self.array(tree, f"{place}/{part.name}")
        if values is None or (part.kind != "text" and values.shape[1:] != part.shape):
            found = "is not there" if values is None else f"has the shape {values.shape[1:]} at each step"
            raise DatasetError(f"{self.path}: {place}/{part.name} {found}: write it as {part.shape}, {part.kind}.")
        return to_bytes(values) if part.kind == "text" else values


def _is_picture(value: Any) -> bool:
    """Whether a column holds pictures, (T, H, W) or (T, H, W, C)."""
    shape = getattr(value, "shape", None) or ()
    return str(getattr(value, "dtype", "")) == "uint8" and len(shape) > 2 and min(shape[1:3]) >= PICTURE


class NpzArray:
    """An array of an .npz, not read yet.

    Raises:
        DatasetError: it declares more than the file can hold.
        ValueError: it is no array of numbers.
    """

    def __init__(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
        self._archive, self._member = archive, member
        with archive.open(member) as file:
            version = np.lib.format.read_magic(file)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            self.shape, _, self.dtype = header(file)
        declared = max(member.file_size, int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize)
        if self.dtype.kind != "O":
            check_declared(declared, member.compress_size, f"{archive.filename}, {member.filename}")

    def __getitem__(self, rows: Any) -> np.ndarray:
        if self.dtype.kind == "O":
            raise DatasetError(
                f"{self._archive.filename}, {self._member.filename} holds Python's objects, which would have to be "
                f"unpickled: write episodes of different lengths one behind another, with terminals or timeouts."
            )
        with self._archive.open(self._member) as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False)[rows])


class _Hdf5Table(Mapping[str, Any]):
    """A group of an HDF5 file. Nothing is opened before it is used."""

    def __init__(self, group: Hdf5Group) -> None:
        self._group, self._names = group, list(group)

    def __getitem__(self, name: str) -> Any:
        found = self._group.get(name)
        return _Hdf5Table(found) if isinstance(found, Hdf5Group) else found

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@contextmanager
def _hdf5(path: Path) -> Iterator[Content]:
    with open_hdf5(path) as group:
        yield Content(path, _Hdf5Table(group), details=metadata(group))


@contextmanager
def _pickle(path: Path) -> Iterator[Content]:
    yield Content(path, unpickle(path), UNCOMPRESSED)


@contextmanager
def _npz(path: Path) -> Iterator[Content]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [one for one in archive.infolist() if one.filename.endswith(".npy")]
            yield Content(path, {one.filename.removesuffix(".npy"): NpzArray(archive, one) for one in members})
    except UserError:
        raise
    except Exception as error:  # zipfile and numpy fail in many ways at a damaged file
        raise DamagedFileError(path, error) from error


@contextmanager
def _arrow(path: Path) -> Iterator[Content]:
    from trajectories.formats import minari_arrow

    yield Content(path, minari_arrow.Table(path))


@contextmanager
def _lerobot(path: Path) -> Iterator[Content]:
    columns, details = lerobot.table(path)
    yield Content(path, columns, details=details)


READERS: dict[str, Callable[[Path], Any]] = {
    **dict.fromkeys((".hdf5", ".h5", ".hdf"), _hdf5),
    **dict.fromkeys((".pkl", ".pickle"), _pickle),
    ".npz": _npz,
    **dict.fromkeys((".arrow", ".parquet"), _arrow),
}


def opened(path: Path) -> Any:
    """The content of a file, for a `with` block.

    Raises:
        DatasetError: there is no such file, its name has no known ending, it cannot be read, or it is damaged.
    """
    read = _lerobot if path.name == lerobot.INFO.name else READERS.get(path.suffix.lower())
    if path.is_dir():
        raise DatasetError(f"{path} is a folder: give the file in it.")
    if read is None:
        raise DatasetError(f"{path}: its name has no known ending: give a file that ends in {', '.join(READERS)}.")
    if not path.is_file() and read is not _hdf5:
        what = "is no file" if path.exists() else "is not there"
        raise DatasetError(f"{path} {what}: check --path.")
    return read(path)


def summary(value: Any) -> str:
    """What a table, a list or an array holds, in a few words: names and shapes."""
    if isinstance(value, Mapping):
        texts = islice((name for name in value if isinstance(name, str)), SHOWN)
        inner = [f"{name[:TEXT]} {_shape(value[name])}" for name in texts]
        return ", ".join([*inner, *(["..."] if len(value) > SHOWN else [])]) or "an empty table"
    if isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
        return f"a list of {len(value):,}, the first with {summary(value[0])}"
    return _shape(value)


def _shape(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"(a table of {len(value):,})"
    if isinstance(value, list | tuple):
        return f"a list of {len(value):,}"
    shape = getattr(getattr(value, "values", value), "shape", None)
    return str(tuple(shape)) if shape is not None else type(value).__name__
