"""Columns too large for memory: read from the front of a gzipped .npy, written into a .npy that grows."""

import gzip
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from trajectories.errors import DamagedFileError
from trajectories.formats.limits import check_declared, check_memory

PIECE = 1 << 23  # bytes that are skipped at once


class GzippedColumn:
    """A gzipped .npy, read row by row from its front; errors become one sentence.

    Raises:
        DamagedFileError: it is truncated or damaged, or holds objects, which would have to be unpickled.
        DatasetError: it declares more than it can hold.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._reading():
            self._file = gzip.open(path)  # noqa: SIM115 (closed by __exit__)
            version = np.lib.format.read_magic(self._file)
            if version != (1, 0):
                raise ValueError(f"its format is {version}")
            self.shape, by_columns, self.dtype = np.lib.format.read_array_header_1_0(self._file)
            empty = min((self.dtype.itemsize, *self.shape[1:])) < 1 or min(self.shape, default=0) < 0
            if empty or self.dtype.kind not in "fiubU" or (by_columns and len(self.shape) > 1):
                raise ValueError(f"it holds {self.dtype} {self.shape}{' by columns' if by_columns else ''}")
            self.header_bytes = self._file.tell()
        check_declared(math.prod(self.shape) * self.dtype.itemsize, path.stat().st_size, str(path))

    def __enter__(self) -> "GzippedColumn":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    @property
    def length(self) -> int:
        return self.shape[0] if self.shape else 1

    @property
    def row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def rows(self, count: int) -> np.ndarray:
        """The next `count` rows.

        Raises:
            DatasetError: the file is damaged, or they do not fit in memory.
        """
        check_memory(count * self.row_bytes, str(self.path))
        with self._reading():
            content = self._file.read(count * self.row_bytes)
            if len(content) < count * self.row_bytes:
                raise EOFError("it ends too early")
        return np.frombuffer(content, self.dtype).reshape(count, *self.shape[1:])

    def skip(self, count: int) -> None:
        """Skip the next `count` rows.

        Raises:
            DamagedFileError: there are fewer.
        """
        left = count * self.row_bytes
        with self._reading():
            while left > 0:
                piece = len(self._file.read(min(left, PIECE)))
                if not piece:
                    raise EOFError("it ends too early")
                left -= piece

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # a header fails in any way that Python's own parser does
            raise DamagedFileError(self.path, error) from error


class GrowingColumn:
    """A .npy of rows of one shape that grows; its header has the length once it is closed."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: str) -> None:
        self.path, self.shape, self.dtype = path, shape, np.dtype(dtype)
        self.length = 0

    def __enter__(self) -> "GrowingColumn":
        self._file = self.path.open("wb")
        self._write_header()
        self._begin = self._file.tell()
        return self

    def append(self, rows: np.ndarray) -> None:
        self._file.write(np.ascontiguousarray(rows, self.dtype).data)
        self.length += len(rows)

    def __exit__(self, *error: object) -> None:
        self._file.seek(0)
        self._write_header()
        assert self._file.tell() == self._begin  # numpy leaves room for the number of rows to grow
        self._file.close()

    def _write_header(self) -> None:
        header = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.length, *self.shape)}
        np.lib.format.write_array_header_1_0(self._file, header)
