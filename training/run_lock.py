"""One process at a time runs a run. The lock is the operating system's: it ends with its process, however that ends.

.lock                is held while a process is at the run
.unfinished.json     says what the run is, so that a grid knows what is begun
state.safetensors    how far it has been trained (checkpoint.py)
played.safetensors   how far it has been evaluated (evaluation_log.py)

The last three stand in an unfinished run's folder, and are removed when its records are on the disk. What is finished
holds model.safetensors and model.json, beside its record; of some runs git has model.bf16.safetensors in place of the
first, the weights rounded (checkpoint.py).
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import Timeout

from report.store import plain
from trajectories.atomic import LEFTOVER, acquire, disk_errors, release, remove, sync, write_text
from trajectories.errors import UserError

WEIGHTS, CARD = "model.safetensors", "model.json"
ROUNDED = "model.bf16.safetensors"  # which a finished run is played from, but not known by
LOCK, UNFINISHED, STATE, PLAYED = ".lock", ".unfinished.json", "state.safetensors", "played.safetensors"
PATIENCE = 0.5  # seconds in which a process that is just ending lets go


@contextmanager
def hold_run(folder: Path, identity: Mapping[str, Any], commit: str = "") -> Iterator[None]:
    """Hold the run of `folder` while the block runs, without what killed processes were writing there.

    What an unfinished run needs stays afterwards only if there is work to continue.

    Args:
        commit: of the code that goes on with it; kept behind those that began it.

    Raises:
        UserError: another process is running it, or the folder cannot be made or written.
    """
    try:
        with disk_errors(folder, option="--results-dir"):
            lock = acquire(folder / LOCK, PATIENCE)
    except Timeout:
        holder = unfinished(folder).get("process", "of another machine")
        raise UserError(f"{folder}: process {holder} is at this run already: wait for it, or end it.") from None
    finished = False
    try:
        for path in [each for each in folder.rglob(".*") if LEFTOVER.fullmatch(each.name)]:
            remove(path)
        commits = list(dict.fromkeys([*commits_of(folder), *([commit] if commit else [])]))
        about = {"process": os.getpid(), "config": plain(identity), "commits": commits}
        write_text(folder / UNFINISHED, json.dumps(about))
        yield
        finished = True
    finally:
        if finished or all(each.name.startswith((LOCK, UNFINISHED)) for each in folder.iterdir()):
            for name in (UNFINISHED, STATE, PLAYED):
                (folder / name).unlink(missing_ok=True)
        release(lock)
        sync(folder)  # else a power cut brings back what was removed
        with suppress(OSError):
            folder.rmdir()  # where nothing was begun


def weights_of(folder: Path) -> Path:
    """The file that a run is played from: its weights as they were trained, else rounded; there may be neither."""
    whole, rounded = folder / WEIGHTS, folder / ROUNDED
    return rounded if rounded.is_file() and not whole.exists() else whole


def rounding(folder: Path) -> dict[str, str]:
    """For what is measured with a run's weights as they are here: empty, or that they are rounded."""
    return {"weights": "bfloat16"} if weights_of(folder).name == ROUNDED else {}


def clear_finished(folder: Path) -> None:
    """Remove what the process left that was killed between a run's records and its end."""
    if any((folder / name).exists() for name in (UNFINISHED, STATE, PLAYED)):
        with suppress(UserError), hold_run(folder, unfinished(folder).get("config", {})):  # else it is just ending
            pass


def commits_of(folder: Path) -> list[str]:
    """The code that an unfinished run was made by so far, one entry a commit."""
    found = unfinished(folder).get("commits")
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def unfinished(folder: Path) -> dict[str, Any]:
    """The process, the configuration and the commits of an unfinished run; nothing if there is none."""
    try:
        return dict(json.loads((folder / UNFINISHED).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
