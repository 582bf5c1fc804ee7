"""Whether a fetched file is complete and of its format, by its first and last bytes alone."""

import math
from collections.abc import Callable
from pathlib import Path

from trajectories.errors import DatasetError
from trajectories.formats.streams import GzippedColumn

SIGNATURE = b"\x89HDF\r\n\x1a\n"


def check_hdf5(path: Path) -> None:
    """The signature, and as many bytes as the superblock says (HDF5 File Format Specification 3.0, II.A).

    Raises:
        DatasetError: it is cut off, or no HDF5 file.
    """
    with path.open("rb") as file:
        head = file.read(96).ljust(96, b"\0")
    version = head[8]  # of the superblock; two addresses stand before that of the file's end
    width, first = (head[13], 24 + 4 * version) if version < 2 else (head[9], 12)
    end = int.from_bytes(head[first + 2 * width : first + 3 * width], "little")
    if not (head.startswith(SIGNATURE) and 0 < end <= path.stat().st_size):
        raise DatasetError(f"{path} is cut off, or no HDF5 file: fetch it again.")


def check_gzip(path: Path) -> None:
    """An array's header, and its length in the last four bytes (RFC 1952, 2.3.1), as numpy.save and gzip write them.

    Raises:
        DatasetError: it is cut off, or no gzipped .npy.
    """
    with GzippedColumn(path) as column, path.open("rb") as file:
        file.seek(-4, 2)
        whole = column.header_bytes + math.prod(column.shape) * column.dtype.itemsize
        if int.from_bytes(file.read(4), "little") != whole % 2**32:
            raise DatasetError(f"{path} is cut off: fetch it again.")


def check_gzips(folder: Path) -> None:
    """`check_gzip` of every such file in a folder.

    Raises:
        FileNotFoundError: there is none.
        DatasetError: one of them is cut off, or no gzipped .npy.
    """
    files = sorted(folder.glob("*.gz"))
    if not files:
        raise FileNotFoundError(folder)
    for file in files:
        check_gzip(file)


def is_whole(path: Path, check: Callable[[Path], None]) -> bool:
    """Whether a file is there and `check` finds nothing wrong with it; one that may not be read is left alone."""
    try:
        check(path)
    except (FileNotFoundError, NotADirectoryError, DatasetError):
        return False
    except OSError:
        return True
    return True
