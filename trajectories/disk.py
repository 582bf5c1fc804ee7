"""Where things land on disk, and what to say when they cannot."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trajectories.errors import UserError

try:
    import fcntl
except ImportError:  # Windows: two processes may then make the same thing twice
    fcntl = None  # type: ignore[assignment]

VARIABLE = "TRAJECTORIES_DIR"
FULL = (errno.ENOSPC, errno.EDQUOT)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def data_folder(choice: Path | None = None) -> Path:
    """The cache: --data-dir, else $TRAJECTORIES_DIR, else $XDG_CACHE_HOME/trajectories, else ~/.cache/trajectories."""
    if choice is not None:
        return Path(choice).expanduser().absolute()
    if named := os.environ.get(VARIABLE):
        return Path(named).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "trajectories"


@contextmanager
def writing(folder: Path, size: int = 0) -> Iterator[None]:
    """Make `folder` and write up to `size` bytes below it.

    Raises:
        UserError: the disk is full, or the folder may not be written; the message says how much is needed and where.
    """
    needed = f"{size / 1e6:,.0f} MB" if size else "more room"
    elsewhere = f"choose another folder with --data-dir or ${VARIABLE}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
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
def alone(target: Path) -> Iterator[None]:
    """One process at a time makes `target`; the others wait, and then find it made. A killed one lets go by itself."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f".{target.name}.lock").open("w") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"Waiting for another process to make {target.name}.")
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """A fresh folder beside `target`, which becomes `target` at the end, whole; whatever goes wrong, nothing is left.

    Whoever was quicker wins: `target` names its content, so the other's is as good.
    """
    fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield fresh
        fresh.chmod(0o755)  # mkdtemp makes private folders
        try:
            fresh.replace(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A path beside `file`, which becomes `file` once it is written whole; whatever goes wrong, nothing is left."""
    fresh = file.with_name(f".{os.getpid()}.{file.name}")
    try:
        yield fresh
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)
