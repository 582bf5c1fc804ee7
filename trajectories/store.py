"""The cache on disk: one folder a data set, one memory-mapped column a file, and where they come from.

    <cache>/columns/<name>-<source>-<key>/
        observations.npy actions.npy rewards.npy terminated.npy starts.npy returns_to_go.npy
        provenance.json     origin with the columns' sha256, spec, which episodes are unfinished, and path, size and
                            time of the file they come from

Pairs and texts are kept in the same way, with columns of their own.

A folder is written beside and renamed, and its key holds everything that decides its content, so it never changes: an
open data set stays whole whatever another process does. Opening one maps the columns and reads nothing but its few
bytes of provenance: milliseconds, and no memory until steps are used. Large columns never take much of it, however many
steps are used (`drop_pages`).
"""

import hashlib
import json
import mmap
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from trajectories.atomic import atomic_directory, disk_errors, file_lock, remove
from trajectories.names import path_name
from trajectories.pairs import Pairs
from trajectories.text import Text
from trajectories.types import Provenance, Spec, Trajectories

PIECE = 1 << 26  # bytes hashed at once
LARGE = 1 << 28  # bytes; of a larger column, pages that were read are let go of again
COLUMNS = ("observations", "actions", "rewards", "terminated", "starts", "returns_to_go")
ANSWERED: dict[str, type[Pairs] | type[Text]] = {"pairs": Pairs, "text": Text}
PROVENANCE = "provenance.json"
VERSION = 3  # of this layout and of what the readers keep; a higher one reads every file anew


def place(cache: Path, name: str, source: str, stamp: dict[str, Any], spec: Spec, details: dict[str, Any]) -> Path:
    """The folder below `cache` for the columns of a file: its name holds a hash of everything that decides them.

    Args:
        stamp: the state of the file (`file_stamp`).
        spec: the environment's.
        details: how the file was made or is read.
    """
    decides = {"version": VERSION, "file": stamp, "spec": spec.to_json(), "details": details}
    key = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]
    return cache / "columns" / f"{path_name(name)}-{source}-{key}"


@contextmanager
def new_columns(target: Path, stamp: dict[str, Any]) -> Iterator[Path | None]:
    """A folder to save columns in, which becomes `target` at the end; None if another process has made it meanwhile.

    Raises:
        UserError: the disk is full.
    """
    with file_lock(target):
        if find(target) is not None:
            yield None
            return
        remove(target)
        with atomic_directory(target) as fresh:
            yield fresh
        _remove_older(target, stamp)


def save(folder: Path, data: Trajectories | Pairs | Text, stamp: dict[str, Any] | None = None) -> None:
    """Write the columns that are not there yet, and the provenance of all.

    Raises:
        UserError: the disk is full.
    """
    columns = _columns(data)
    missing = [column for column in columns if not (folder / f"{column}.npy").exists()]
    with disk_errors(folder.parent, sum(columns[column].nbytes for column in missing)):
        folder.mkdir(exist_ok=True)
        for column in missing:
            _write(folder / f"{column}.npy", columns[column])
        provenance = {
            "origin": asdict(replace(data.origin, digest=digest(data))),
            "spec": data.spec.to_json(),
            "version": VERSION,
            "file": stamp,
        }
        if isinstance(data, Trajectories):
            unfinished = np.flatnonzero(~data.finished).tolist()
            provenance |= {"unfinished": unfinished, "steps": len(data), "episodes": data.episodes}
        else:
            provenance |= {"rows": {name: len(column) for name, column in columns.items()}}
        (folder / PROVENANCE).write_text(json.dumps(provenance, indent=2) + "\n", encoding="utf-8")


def find(target: Path) -> Any:
    """What `load` gives; None if there is nothing, or not all of it."""
    try:
        return load(target)
    except (OSError, ValueError, LookupError, TypeError):
        return None


def load(target: Path) -> Any:
    """Open a folder that `save` wrote; its columns are read-only memory maps, viewed as plain arrays.

    Returns:
        Trajectories, or Pairs or Text, whichever was saved.

    Raises:
        OSError, ValueError, LookupError, TypeError: there is no such folder, or it is not whole.
    """
    provenance = json.loads((target / PROVENANCE).read_text(encoding="utf-8"))
    spec, origin = Spec.from_json(provenance["spec"]), Provenance(**provenance["origin"])
    names = provenance["rows"] if spec.kind else COLUMNS
    mapped = {column: np.load(target / f"{column}.npy", mmap_mode="r").view(np.ndarray) for column in names}
    if spec.kind:
        if {name: len(column) for name, column in mapped.items()} != provenance["rows"]:
            raise ValueError(f"{target} is not whole")
        return ANSWERED[spec.kind].from_columns(origin, mapped)
    if len(mapped["observations"]) != provenance["steps"] or len(mapped["starts"]) != provenance["episodes"] + 1:
        raise ValueError(f"{target} is not whole")
    finished = np.ones(provenance["episodes"], bool)
    finished[provenance["unfinished"]] = False
    return Trajectories(spec=spec, origin=origin, finished=finished, **mapped)


def digest(data: Trajectories | Pairs | Text) -> str:
    """sha256 of the columns that were recorded and of the spec: equal for equal data, whatever file they came in."""
    spec = replace(data.spec, clipped_rewards=False)  # the rewards themselves are hashed
    if spec.kind:
        spec = replace(spec, name=spec.kind)  # there is no environment to name
    content = hashlib.sha256(json.dumps(spec.to_json(), sort_keys=True).encode())
    for column, array in _columns(data).items():
        if column == "returns_to_go":  # which follow from the rest
            continue
        values = np.ascontiguousarray(array)
        content.update(f"{column} {values.dtype.str} {values.shape} ".encode())
        flat = values.reshape(-1).view(np.uint8)
        for first in range(0, len(flat), PIECE):
            content.update(flat[first : first + PIECE].data)
            drop_pages(values)
    return content.hexdigest()


def _columns(data: Trajectories | Pairs | Text) -> dict[str, np.ndarray]:
    """What is stored of a data set, by name."""
    return {name: getattr(data, name) for name in COLUMNS} if isinstance(data, Trajectories) else data.columns


def drop_pages(*columns: Any) -> None:
    """Let go of the memory that the pages of large mapped columns take; what is read again is mapped again.

    The operating system would do so too, but only when nothing else is left, and until then a data set larger than
    memory looks as if it were all in memory. Small columns, and those that are not mapped, stay as they are: a tensor,
    too.
    """
    for values in columns:
        if values.nbytes >= LARGE and (mapping := _mapping(values)) is not None:
            mapping.madvise(mmap.MADV_DONTNEED)


def _mapping(values: Any) -> mmap.mmap | None:
    """The file that an array, or what it is a view of, is mapped from."""
    while isinstance(values, np.ndarray):
        values = values.base
    return values if isinstance(values, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED") else None


def file_stamp(file: Path) -> dict[str, Any]:
    """Path, size and time of a file, or of all files in a folder, which change with its content."""
    files = [each.stat() for each in (file.rglob("*") if file.is_dir() else [file])]
    size, changed = sum(each.st_size for each in files), max((each.st_mtime_ns for each in files), default=0)
    return {"path": str(file.resolve()), "size": size, "mtime_ns": changed}


def _write(path: Path, values: np.ndarray) -> None:
    """As np.save does, whose OSError on a full disk has no errno."""
    values = np.ascontiguousarray(values)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(values))
        file.write(values.reshape(-1).view(np.uint8).data)


def _remove_older(target: Path, stamp: dict[str, Any]) -> None:
    """Remove columns of earlier states of the same file, and those that an earlier version read."""
    for other in target.parent.glob(f"{target.name.rsplit('-', 1)[0]}-*"):
        try:
            provenance = json.loads((other / PROVENANCE).read_text(encoding="utf-8"))
            known = (provenance["file"], provenance.get("version", 1))
            stale = known[0]["path"] == stamp["path"] and known != (stamp, VERSION)
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if stale:
            shutil.rmtree(other, ignore_errors=True)
