"""Files and folders that are whole or not there, whatever ends the process or the machine.

What is written lies beside its place as .<name>.<8 digits>.tmp, is flushed to the disk and renamed, and then its folder
is flushed: after a power cut there is the old one or the new one, and never an empty one.
"""

import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from trajectories.disk import VARIABLE
from trajectories.errors import UserError

LEFTOVER = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.tmp")  # what a killed process was writing
FULL = (errno.ENOSPC, errno.EDQUOT)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
OCCUPIED = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR)  # a file where a folder is meant, or the other way round
UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP)  # of file systems that cannot flush a folder
LOCKLESS = (errno.ENOSYS, errno.ENOLCK, *UNSUPPORTED)  # of file systems without locks: some of networks and of users
CACHE = f"--data-dir or ${VARIABLE}"


@contextmanager
def disk_errors(folder: Path, size: int = 0, option: str = CACHE) -> Iterator[None]:
    """Make `folder` and write up to `size` bytes below it.

    Args:
        option: what names another folder.

    Raises:
        UserError: the disk is full, or the folder cannot be made or written; the message has the size and the folder.
    """
    needed = f"{size / 1e6:,.0f} MB" if size else "more room"
    elsewhere = f"choose another folder with {option}"
    try:
        make_folder(folder)
        if size > shutil.disk_usage(folder).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        yield
    except OSError as error:
        if error.errno in FULL:
            raise UserError(f"The disk that holds {folder} is full: free {needed} there, or {elsewhere}.") from error
        if error.errno in (*FORBIDDEN, *OCCUPIED) or not os.path.isdir(folder):
            raise UserError(f"{folder} cannot be written ({error.strerror}): {elsewhere}.") from error
        raise


def make_once(target: Path, make: Callable[[], object], is_made: Callable[[Path], bool] = Path.exists) -> Path:
    """`target`, made by the first process that needs it. Where it is there, nothing is locked and nothing written."""
    if not is_made(target):
        with file_lock(target):
            if not is_made(target):
                if target.exists():
                    print(f"{target} is cut off: it is made again.")
                    remove(target)
                make()
    return target


@contextmanager
def file_lock(target: Path, wait: bool = True) -> Iterator[None]:
    """One process at a time makes `target`; the others wait, and then find it made. A killed process holds no lock.

    What a killed process left of `target` is removed first.

    Raises:
        UserError: the folder of `target` cannot be written, or another process makes it and `wait` is false.
    """
    path = target.with_name(f".{target.name}.lock")
    with disk_errors(target.parent):
        try:
            lock = acquire(path, timeout=0.0)
        except Timeout:
            if not wait:
                raise UserError(f"{target} is being made by another process: wait for it, or end it.") from None
            print(f"Waiting for another process to make {target.name}.")
            lock = acquire(path)
    try:
        for leftover in leftovers(target):
            remove(leftover)
        yield
    finally:
        release(lock)


def acquire(path: Path, timeout: float = -1.0) -> BaseFileLock:
    """Hold the lock of this path: the operating system's, or a file of its own on file systems without locks.

    Raises:
        Timeout: another process holds it for more than `timeout` seconds.
        OSError: its file cannot be written.
    """
    try:
        return _acquired(FileLock(path, fallback_to_soft=False), timeout)
    except OSError as error:
        if error.errno not in LOCKLESS:
            raise
    path.unlink(missing_ok=True)
    return _acquired(SoftFileLock(path.with_name(f"{path.name}.soft")), timeout)  # a dead process's is taken over


def release(lock: BaseFileLock) -> None:
    """Let go of a lock that `acquire` gave, and leave no file behind."""
    if not isinstance(lock, SoftFileLock):
        with suppress(OSError):  # Windows keeps an open file
            os.unlink(lock.lock_file)  # while it is held: a process that waits for it notices, and makes a new one
    lock.release()


def _acquired(lock: BaseFileLock, timeout: float) -> BaseFileLock:
    lock.acquire(timeout=timeout)
    return lock


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
def atomic_file(file: Path, alone: bool = False) -> Iterator[Path]:
    """A path beside `file` to write to, which becomes `file` at the end; after an error nothing is left.

    Args:
        alone: the path lies in a folder of its own, for a writer that makes further files beside (safetensors does).
    """
    place = _beside(file)
    fresh = place / file.name if alone else place
    try:
        if alone:
            place.mkdir()
        yield fresh
        replace(fresh, file)
    finally:
        remove(place)


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
    """Make a folder and those above it, and return when their names are on the disk.

    Raises:
        PermissionError: no folder can be made there.
    """
    if not folder.is_dir():
        make_folder(folder.parent)
        try:
            folder.mkdir(exist_ok=True)
        except FileNotFoundError as error:  # its parent is there, and takes none: /proc
            raise PermissionError(errno.EPERM, "no folder can be made here", str(folder)) from error
        sync(folder.parent)


def leftovers(target: Path) -> list[Path]:
    """What killed processes left of `target`; under its lock no other process writes them."""
    return sorted(path for path in target.parent.iterdir() if leftover_of(path) == target)


def leftover_of(path: Path) -> Path | None:
    """What a killed process was making where it left `path`; None if that is nothing unfinished."""
    match = LEFTOVER.fullmatch(path.name)
    return path.with_name(match["name"]) if match else None


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
