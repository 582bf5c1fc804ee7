"""One process at a time runs a run. The lock is the kernel's: it goes when its process goes, however that ends.

.lock   stands in an unfinished run's folder and says what the run is, so that a grid can tell what is under way.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from results.store import plain
from trajectories.errors import UserError

LOCK = ".lock"


@contextmanager
def claimed(folder: Path, identity: Mapping[str, Any]) -> Iterator[None]:
    """Hold the run of `folder` while the block runs. Its file stays afterwards only if there is work to continue.

    Raises:
        UserError: another process is running it.
    """
    with opened(folder) as file:
        file.truncate(0)
        file.write(json.dumps({"process": os.getpid(), "config": plain(identity)}))
        file.flush()
        finished = False
        try:
            yield
            finished = True
        finally:
            if finished or {each.name for each in folder.iterdir()} == {LOCK}:
                (folder / LOCK).unlink(missing_ok=True)
                with suppress(OSError):
                    folder.rmdir()  # where nothing was begun


def opened(folder: Path) -> TextIO:
    """The lock's file, held by this process until it is closed."""
    path = folder / LOCK
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
            file.close()  # whoever held it has just removed it
        except BlockingIOError:
            file.close()
            holder = read(folder).get("process", "of another machine")
            raise UserError(f"{folder}: process {holder} is at this run already: wait for it, or end it.") from None


def read(folder: Path) -> dict[str, Any]:
    """What the lock's file says; nothing if there is none or it is half written."""
    try:
        return dict(json.loads((folder / LOCK).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
