"""Files and folders that are whole or not there, whatever ends the process or the machine.

What is written lies beside its place as .<name>.<8 digits>.tmp, is flushed to the disk and renamed, and then its folder
is flushed: after a power cut there is the old one or the new one, and never an empty one.
"""

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from trajectories.disk import VARIABLE
from trajectories.errors import UserError

LEFTOVER = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.tmp")  # what a killed process was writing
FULL = (errno.ENOSPC, errno.EDQUOT)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP)  # of file systems that cannot flush a folder


@contextmanager
def disk_errors(folder: Path, size: int = 0) -> Iterator[None]:
    """Make `folder` and write up to `size` bytes below it.

    Raises:
        UserError: the disk is full, or the folder may not be written; the message says how much is needed and where.
    """
    needed = f"{size / 1e6:,.0f} MB" if size else "more room"
    elsewhere = f"choose another folder with --data-dir or ${VARIABLE}"
    try:
        make_folder(folder)
        if size > shutil.disk_usage(folder).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        yield
    except OSError as error:
        if error.errno in FULL:
            raise UserError(f"The disk that holds {folder} is full: free {needed} there, or {elsewhere}.") from error
        if error.errno in FORBIDDEN or isinstance(error, FileExistsError | NotADirectoryError):
            raise UserError(f"{folder} cannot be written ({error.strerror}): {elsewhere}.") from error
        raise


@contextmanager
def file_lock(target: Path) -> Iterator[None]:
    """One process at a time makes `target`; the others wait, and then find it made. A killed process holds no lock.

    What a killed process left of `target` is removed first.
    """
    make_folder(target.parent)
    path = target.with_name(f".{target.name}.lock")
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        print(f"Waiting for another process to make {target.name}.")
        lock.acquire()
    try:
        for leftover in leftovers(target):
            remove(leftover)
        yield
    finally:
        with suppress(OSError):  # Windows keeps an open file
            path.unlink()  # while it is held: a process that waits for it notices, and makes a new one
        lock.release()


@contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, which becomes `target` at the end; after an error nothing is left.

    If another process was faster, its folder stays: `target` names its content, so it is as good.
    """
    fresh = _beside(target)
    fresh.mkdir()
    try:
        yield fresh
        for path in [fresh, *fresh.rglob("*")]:
            sync(path)
        try:
            fresh.replace(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        sync(target.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


@contextmanager
def atomic_file(file: Path) -> Iterator[Path]:
    """A path beside `file` to write to, which becomes `file` at the end; after an error nothing is left."""
    fresh = _beside(file)
    try:
        yield fresh
        replace(fresh, file)
    finally:
        fresh.unlink(missing_ok=True)


def write_text(file: Path, text: str) -> Path:
    """Replace the whole content of `file`."""
    with atomic_file(file) as fresh:
        fresh.write_text(text, encoding="utf-8", newline="\n")
    return file


def replace(fresh: Path, file: Path) -> None:
    """Rename a complete file of the same folder to `file`, and return when both are on the disk."""
    sync(fresh)
    fresh.replace(file)
    sync(file.parent)


def sync(path: Path) -> None:
    """Return when a file's content, or the names in a folder, are on the disk."""
    if path.is_dir():
        if os.name == "nt":  # which opens no folders
            return
        descriptor = os.open(path, os.O_RDONLY)
    else:
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, and return when their names are on the disk."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def leftovers(target: Path) -> list[Path]:
    """What killed processes left of `target`; under its lock nobody else is writing them."""
    found = ((path, LEFTOVER.fullmatch(path.name)) for path in target.parent.iterdir())
    return sorted(path for path, match in found if match and match["name"] == target.name)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
