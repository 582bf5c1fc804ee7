"""HDF5 files that may come from a stranger: opened here and nowhere else.

An HDF5 file can name other files (external links, external storage, virtual data sets), itself, and any size; libhdf5
follows all of it, and hangs, crashes, reads foreign files or reads zeros. So links are followed here, one by one and
within the file only, and an array is read once its layout and its size have been found plausible (limits.py).
"""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from trajectories.errors import DamagedFileError, DatasetError
from trajectories.formats.limits import SMALL, check_declared, check_memory

CHUNK = 200  # bytes that libhdf5 takes for each chunk while it reads
SOFT_LINKS = 8  # that may follow each other
ITEM = 16  # bytes; whatever is in a group takes more than that in its file


class Hdf5Array:
    """An array of a file, not read yet; only the rows that are indexed are read.

    Raises:
        DatasetError: it lies in another file, or declares more than the file can hold.
    """

    def __init__(self, dataset: h5py.Dataset, file: Path) -> None:
        self._dataset, self._file = dataset, file
        self.place = f"{file}, {dataset.name}"
        with reading(file):
            layout = dataset.id.get_create_plist()
            if layout.get_layout() == h5py.h5d.VIRTUAL or layout.get_external_count():
                raise DatasetError(
                    f"{self.place} is kept in other files, which are not read: copy the data into one HDF5 file."
                )
            self.shape: tuple[int, ...] | None = dataset.shape  # None: declared to be nothing
            self.dtype: np.dtype = dataset.dtype
            filters = [layout.get_filter(number) for number in range(layout.get_nfilters())]
            for number, _, _, name in filters:
                if not h5py.h5z.filter_avail(number):
                    called = name.decode(errors="replace") or f"filter {number}"
                    raise DatasetError(
                        f"{self.place} is compressed by {called}, which h5py does not bring: write the file again with "
                        f"gzip, or without compression."
                    )
            sizes = [
                math.prod(shape) * self.dtype.itemsize for shape in (self.shape, dataset.chunks) if shape is not None
            ]
            if self.shape and dataset.chunks:
                sides = zip(self.shape, dataset.chunks, strict=True)
                sizes.append(CHUNK * math.prod(-(-side // chunk) for side, chunk in sides))
            stored = min(dataset.id.get_storage_size(), file.stat().st_size)
        check_declared(max(sizes, default=0), stored, self.place)

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape or ()) * self.dtype.itemsize

    def __getitem__(self, rows: Any) -> Any:
        check_memory(self.nbytes, self.place)
        if self.dtype.kind == "O" and self.shape:
            return self._texts()[rows]
        with reading(self._file):
            return self._dataset[rows]

    def _texts(self) -> np.ndarray:
        """All texts, a few at a time: a small file can name one long text again and again."""
        if h5py.check_string_dtype(self.dtype) is None:
            raise DatasetError(f"{self.place} holds neither numbers nor text: look at how it was written.")
        size, found = self._file.stat().st_size, np.empty(self.shape or (), object)
        at_once = max(64, SMALL // size)
        total = 0
        for first in range(0, len(found), at_once):
            with reading(self._file):
                found[first : first + at_once] = self._dataset[first : first + at_once]
            total += sum(map(len, found[first : first + at_once].flat))
            check_declared(total, size, self.place)
            check_memory(total, self.place)
        return found


class Hdf5Group:
    """A group of a file: names, and what lies under them."""

    def __init__(self, group: h5py.Group, file: Path, opened: Iterator[int]) -> None:
        self._group, self._file, self._opened = group, file, opened

    def __iter__(self) -> Iterator[str]:
        with reading(self._file):
            names = list(self._group)
        return (name if isinstance(name, str) else repr(name) for name in names)  # bytes: no text

    def get(self, path: str) -> "Hdf5Group | Hdf5Array | None":
        """What lies at `path`, as "metadata/policy"; None if nothing does.

        Raises:
            DatasetError: a link leads out of the file or nowhere, or what is there is refused.
        """
        with reading(self._file):
            found = self._followed(self._group, path, SOFT_LINKS)
        if isinstance(found, h5py.Dataset):
            return Hdf5Array(found, self._file)
        return Hdf5Group(found, self._file, self._opened) if isinstance(found, h5py.Group) else None

    def array(self, path: str) -> Hdf5Array:
        """The array at `path`.

        Raises:
            DatasetError: there is none, or it is refused.
        """
        found = self.get(path)
        if not isinstance(found, Hdf5Array):
            raise DamagedFileError(self._file, f"it has no array {path}")
        return found

    def column(self, path: str) -> np.ndarray:
        """All rows of the array at `path`.

        Raises:
            DatasetError: there is none, it has no rows, or it is refused.
        """
        array = self.array(path)
        if not array.shape:
            raise DamagedFileError(self._file, f"{path} has no rows")
        return np.asarray(array[()])

    def arrays(self, path: str) -> Iterator[tuple[str, Hdf5Array]]:
        """Every array at or below `path`, each with its own path from there."""
        found = self.get(path)
        if isinstance(found, Hdf5Array):
            yield path, found
        for name in found if isinstance(found, Hdf5Group) else ():
            yield from self.arrays(f"{path}/{name}")

    def _followed(self, group: Any, path: str, links: int) -> Any:
        for part in filter(None, path.split("/")):
            link = group.get(part, getlink=True) if isinstance(group, h5py.Group) else None
            if link is None:
                return None
            if next(self._opened, None) is None:
                raise DatasetError(f"{self._file} holds groups within each other without end: get a whole copy of it.")
            if isinstance(link, h5py.ExternalLink) or links == 0:
                raise DatasetError(
                    f"{self._file}: {part} is a link that leads out of the file or nowhere: copy its data here."
                )
            soft = isinstance(link, h5py.SoftLink)
            start = group.file if soft and link.path.startswith("/") else group
            group = self._followed(start, link.path, links - 1) if soft else group[part]
        return group


@contextmanager
def open_hdf5(path: Path) -> Iterator[Hdf5Group]:
    """The HDF5 file, open for reading; errors, here or while it is read, become one sentence.

    Raises:
        DatasetError: there is no such file, or it is no HDF5.
    """
    if not path.exists():
        raise DatasetError(f"There is no file {path}: check --path.")
    if path.is_dir():
        raise DatasetError(f"{path} is a folder: give the HDF5 file in it.")
    if not path.is_file():  # reading a pipe would wait for ever
        raise DatasetError(f"{path} is no ordinary file: give the HDF5 file itself.")
    if not os.access(path, os.R_OK):
        raise DatasetError(f"{path} may not be read by you: change its permissions, or give a copy.")
    with reading(path):
        if not h5py.is_hdf5(path):
            what = "is not an HDF5 file, whatever its name" if path.stat().st_size else "is empty"
            raise DatasetError(f"{path} {what}: give a whole HDF5 file, or name it by what it is, as .pkl.")
        file = h5py.File(path, "r")
    with file:
        yield Hdf5Group(file, path, iter(range(path.stat().st_size // ITEM)))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """libhdf5's errors about a file as one sentence.

    Raises:
        DatasetError: libhdf5 raised anything.
    """
    try:
        yield
    except DatasetError:
        raise
    except Exception as error:  # of any type: h5py has one for each of libhdf5's reasons
        if "unable to lock file" in str(error):
            raise DatasetError(f"{path} is being written by another program: run again once it is closed.") from error
        if "already open for write" in str(error):
            raise DatasetError(
                f"{path} is open in another program, or was when that was killed: close it there, or else clear its "
                f"mark with `h5clear -s {path}`."
            ) from error
        raise DamagedFileError(path, error) from error


def metadata(file: Hdf5Group) -> dict[str, dict[str, Any]]:
    """The scalars under metadata/, as details under that name, apart from details of our own; {} if there are none."""
    group, found = file.get("metadata"), {}
    for key in group if isinstance(group, Hdf5Group) else ():
        item = file.get(f"metadata/{key}")
        if isinstance(item, Hdf5Array) and item.shape == ():
            found[key] = item[()]
    return {"metadata": found} if found else {}
