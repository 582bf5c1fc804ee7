"""New HDF5 files on a disk that may fill up: libhdf5 crashes where it cannot write, at the latest when it closes."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py


class _Disk(io.FileIO):
    """A file as libhdf5 sees it: nothing ever goes wrong; after the first error nothing is written any more."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        while len(left) and self.error is None:
            try:
                left = left[super().write(left) :]
            except OSError as error:
                self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0


class NewHdf5(h5py.File):  # type: ignore[misc]  # h5py has no types
    """An HDF5 file that is being written."""

    def __init__(self, disk: _Disk, **options: Any) -> None:
        super().__init__(disk, "w", **options)
        self._disk = disk

    def check(self) -> None:
        """Raise the OSError of a disk on which nothing can be written any more."""
        if self._disk.error is not None:
            raise self._disk.error


@contextmanager
def new_hdf5(path: Path, **options: Any) -> Iterator[NewHdf5]:
    """A new HDF5 file at `path`, with h5py's options.

    Raises:
        OSError: it cannot be written, for example because the disk is full; at the end, or when it is `check`ed.
    """
    with _Disk(path) as disk:
        with NewHdf5(disk, **options) as file:
            yield file
        file.check()
